"""Which tenant a request is about, what its caller may do there, and that taking it away works at once."""

import asyncio
from datetime import timedelta
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from fettle.identity.authentication import authenticator
from fettle.identity.permissions import KEY_SCOPES, MEMBER_ROLES, permissions_of
from fettle.identity.tenants import ensure_tenant
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Unauthenticated
from fettle.kernel.platform import Platform


async def make_key(client, headers, **body):
    answer = await client.post(
        "/api/v1/api-keys", headers=headers, json={"name": "test", "scopes": ["keys:read"], **body}
    )
    assert answer.status_code == 201, answer.text
    return answer.json()


def with_key(key) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['secret']}"}


@pytest.fixture
async def admin(make_person, bearer, tenant):
    return await bearer(await make_person({tenant: "tenant_admin"}), tenant)


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": ""}, {"Authorization": "Bearer"}, {"Authorization": "Bearer "}]
)
async def test_no_credential_is_401_with_the_challenge(client, headers):
    answer = await client.get("/api/v1/api-keys", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("scheme", ["Basic", "Token", "ftl_", "Bearer:"])
async def test_other_schemes_are_no_credential(client, admin, scheme):
    token = admin["Authorization"].removeprefix("Bearer ")
    assert (await client.get("/api/v1/me", headers={"Authorization": f"{scheme} {token}"})).status_code == 401


async def test_a_token_in_the_address_or_the_body_is_not_looked_at(client, admin):
    token = admin["Authorization"].removeprefix("Bearer ")
    assert (await client.get("/api/v1/me", params={"token": token, "access_token": token})).status_code == 401


@pytest.mark.parametrize("name", ["Authorization", "X-Tenant-ID"])
async def test_a_header_sent_twice_is_refused_not_chosen_from(client, admin, name):
    headers = [*admin.items(), (name, admin[name])]
    assert (await client.get("/api/v1/api-keys", headers=headers)).status_code == 400


async def test_a_member_of_one_tenant_need_not_name_it(client, make_person, bearer, tenant):
    headers = await bearer(await make_person({tenant: "viewer"}))
    assert (await client.get("/api/v1/me", headers=headers)).json()["tenant_id"] == str(tenant)


async def test_a_member_of_two_must_say_which(client, make_person, bearer, tenant, other_tenant):
    person = await make_person({tenant: "tenant_admin", other_tenant: "viewer"})
    headers = await bearer(person)
    answer = await client.get("/api/v1/api-keys", headers=headers)
    assert answer.status_code == 422
    assert "X-Tenant-ID" in answer.json()["detail"]
    assert (
        await client.get("/api/v1/api-keys", headers=headers | {"X-Tenant-ID": str(tenant)})
    ).status_code == 200
    denied = await client.get("/api/v1/api-keys", headers=headers | {"X-Tenant-ID": str(other_tenant)})
    assert denied.status_code == 403


async def test_a_member_of_none_is_told_so(client, make_person, bearer):
    assert (
        await client.get("/api/v1/api-keys", headers=await bearer(await make_person()))
    ).status_code == 403


@pytest.mark.parametrize("role", MEMBER_ROLES)
async def test_no_member_reaches_another_tenant_nor_learns_that_it_exists(
    client, make_person, bearer, tenant, other_tenant, role
):
    headers = await bearer(await make_person({tenant: role}))
    answers = [
        await client.get("/api/v1/api-keys", headers=headers | {"X-Tenant-ID": str(value)})
        for value in (other_tenant, uuid4())
    ]
    assert [a.status_code for a in answers] == [404, 404]
    assert answers[0].json()["detail"] == answers[1].json()["detail"]
    assert (await client.get(f"/api/v1/tenants/{other_tenant}", headers=headers)).status_code == 404


@pytest.mark.parametrize(
    "value", ["", "*", "1", "all", "{%s}", "urn:uuid:%s", "%s,%s", "00000000000000000000000000000000"]
)
async def test_a_tenant_is_named_by_its_uuid_and_nothing_else(client, admin, tenant, value):
    header = {"X-Tenant-ID": value.replace("%s", str(tenant))}
    assert (await client.get("/api/v1/api-keys", headers=admin | header)).status_code == 422


async def test_a_key_belongs_to_its_tenant_whatever_the_header_says(client, admin, tenant, other_tenant):
    headers = with_key(await make_key(client, admin))
    assert (await client.get("/api/v1/api-keys", headers=headers)).status_code == 200
    assert (
        await client.get("/api/v1/api-keys", headers=headers | {"X-Tenant-ID": str(tenant)})
    ).status_code == 200
    other = await client.get("/api/v1/api-keys", headers=headers | {"X-Tenant-ID": str(other_tenant)})
    assert other.status_code == 404


async def test_a_platform_admin_acts_in_each_tenant_that_exists(
    client, make_person, bearer, tenant, other_tenant
):
    headers = await bearer(await make_person(is_platform_admin=True))
    for value, status in ((tenant, 200), (other_tenant, 200), (uuid4(), 404)):
        answer = await client.get("/api/v1/api-keys", headers=headers | {"X-Tenant-ID": str(value)})
        assert answer.status_code == status
    assert (await client.get("/api/v1/api-keys", headers=headers)).status_code == 422
    me = (await client.get("/api/v1/me", headers=headers)).json()
    assert {t["role"] for t in me["tenants"]} == {"platform_admin"}
    assert me["permissions"] == []


@pytest.mark.parametrize("role", MEMBER_ROLES)
async def test_each_role_may_exactly_what_it_says(client, make_person, bearer, tenant, role):
    headers = await bearer(await make_person({tenant: role}))
    may = permissions_of(role)
    attempts = [
        ("GET", "/users", "users:read", None),
        ("GET", "/api-keys", "keys:read", None),
        ("GET", "/audit", "audit:read", None),
        ("POST", "/users", "platform:admin", {"email": "a@b", "name": "A", "role": "viewer"}),
        ("PATCH", f"/users/{uuid4()}", "users:write", {"role": "viewer"}),
        ("DELETE", f"/users/{uuid4()}", "users:write", None),
        ("POST", "/api-keys", "keys:write", {"name": "x", "scopes": ["incidents:read"]}),
        ("DELETE", f"/api-keys/{uuid4()}", "keys:write", None),
        ("POST", "/tenants", "tenants:write", {"name": "T", "slug": f"t-{uuid4().hex[:12]}"}),
    ]
    for method, path, permission, body in attempts:
        answer = await client.request(method, f"/api/v1{path}", headers=headers, json=body)
        assert (answer.status_code != 403) == (permission in may), (method, path, answer.text)
        assert answer.status_code in {200, 201, 403, 404}


async def test_a_key_cannot_get_more_than_its_maker_has(client, make_person, bearer, tenant, admin):
    key = await make_key(client, admin, scopes=["keys:write", "incidents:read"])
    answer = await client.post(
        "/api/v1/api-keys",
        headers=with_key(key),
        json={"name": "x", "scopes": ["incidents:read", "rules:write"]},
    )
    assert answer.status_code == 403
    assert "rules:write" in answer.json()["detail"]


@pytest.mark.parametrize("scope", ["platform:admin", "tenants:write", "*", "admin", ""])
async def test_a_key_has_scopes_of_the_list_only(client, make_person, bearer, tenant, scope):
    headers = await bearer(await make_person(is_platform_admin=True), tenant)
    answer = await client.post("/api/v1/api-keys", headers=headers, json={"name": "x", "scopes": [scope]})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/scopes/0"


async def test_a_scope_that_was_put_into_the_database_by_hand_opens_nothing_more(client, platform, admin):
    key = await make_key(client, admin)
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE api_keys SET scopes = '{platform:admin,tenants:write}'")
    await authenticator(platform).revoke(f"key:{key['id']}")
    access = await authenticator(platform).access(key["secret"], None)
    assert access.permissions.isdisjoint({"platform:admin", "tenants:write"})
    assert access.permissions <= KEY_SCOPES


async def test_a_revoked_key_stops_at_once(client, admin):
    key = await make_key(client, admin)
    assert (await client.get("/api/v1/api-keys", headers=with_key(key))).status_code == 200
    assert (await client.delete(f"/api/v1/api-keys/{key['id']}", headers=admin)).status_code == 204
    assert (await client.get("/api/v1/api-keys", headers=with_key(key))).status_code == 401
    assert (await client.delete(f"/api/v1/api-keys/{key['id']}", headers=admin)).status_code == 404


async def test_an_expired_key_stops(client, platform, admin):
    key = await make_key(client, admin, expires_at=(utcnow() + timedelta(hours=1)).isoformat())
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE api_keys SET expires_at = now() - interval '1 second'")
    assert (await client.get("/api/v1/api-keys", headers=with_key(key))).status_code == 401


async def test_a_key_that_expired_already_is_not_made(client, admin):
    answer = await client.post(
        "/api/v1/api-keys",
        headers=admin,
        json={"name": "x", "scopes": ["keys:read"], "expires_at": "2020-01-01T00:00:00Z"},
    )
    assert answer.status_code == 422


async def test_the_secret_is_shown_once_and_kept_nowhere(client, platform, admin):
    key = await make_key(client, admin)
    listed = await client.get("/api/v1/api-keys", headers=admin)
    secret = key["secret"].split("_")[2]
    assert secret not in listed.text
    assert key["prefix"] in listed.text
    async with platform.database.raw_system() as connection:
        for table in ("api_keys", "audit_records", "events"):
            stored = await connection.fetchval(f"SELECT string_agg(t::text, '') FROM {table} t")
            assert secret not in stored


async def test_a_changed_role_and_an_ended_membership_work_at_once(
    client, make_person, bearer, admin, tenant
):
    member = await make_person({tenant: "tenant_admin"})
    headers = await bearer(member, tenant)
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 200
    changed = await client.patch(f"/api/v1/users/{member.id}", headers=admin, json={"role": "viewer"})
    assert changed.json()["role"] == "viewer"
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 403
    assert (await client.delete(f"/api/v1/users/{member.id}", headers=admin)).status_code == 204
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 404


async def test_nobody_gives_or_takes_a_role_above_their_own(client, make_person, bearer, tenant):
    partner = await make_person({tenant: "partner_admin"})
    member = await make_person({tenant: "viewer"})
    headers = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    for path, method, body in (
        (member.id, "PATCH", {"role": "partner_admin"}),
        (partner.id, "PATCH", {"role": "viewer"}),
        (partner.id, "DELETE", None),
    ):
        answer = await client.request(method, f"/api/v1/users/{path}", headers=headers, json=body)
        assert answer.status_code == 403
    unknown = await client.patch(
        f"/api/v1/users/{member.id}", headers=headers, json={"role": "platform_admin"}
    )
    assert unknown.status_code == 422


async def test_a_member_of_another_tenant_is_no_member_of_this(client, make_person, admin, other_tenant):
    stranger = await make_person({other_tenant: "viewer"})
    listed = await client.get("/api/v1/users", headers=admin)
    assert str(stranger.id) not in listed.text
    assert stranger.email not in listed.text
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
        answer = await client.request(method, f"/api/v1/users/{stranger.id}", headers=admin, json=body)
        assert answer.status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/auth/login", {"email": "a@b", "password": "x", "is_platform_admin": True}),
        ("POST", "/tenants", {"name": "T", "slug": "t", "id": str(uuid4())}),
        ("POST", "/api-keys", {"name": "x", "scopes": ["keys:read"], "tenant_id": str(uuid4())}),
        ("POST", "/api-keys", {"name": "x", "scopes": ["keys:read"], "secret_hash": "00"}),
        ("POST", "/users", {"email": "a@b", "name": "A", "role": "viewer", "is_platform_admin": True}),
        ("POST", "/users", {"email": "a@b", "name": "A", "role": "platform_admin"}),
    ],
)
async def test_fields_that_are_not_offered_are_refused(
    client, make_person, bearer, tenant, method, path, body
):
    headers = await bearer(await make_person(is_platform_admin=True), tenant)
    answer = await client.request(method, f"/api/v1{path}", headers=headers, json=body)
    assert answer.status_code == 422


async def test_a_platform_admin_adds_a_member_who_signs_in_with_the_one_time_password(
    client, make_person, bearer, tenant
):
    headers = await bearer(await make_person(is_platform_admin=True), tenant)
    body = {"email": f"{uuid4().hex}@example.org", "name": "New", "role": "operator"}
    added = (await client.post("/api/v1/users", headers=headers, json=body)).json()
    assert added["role"] == "operator"
    answer = await client.post(
        "/api/v1/auth/login", json={"email": body["email"], "password": added["one_time_password"]}
    )
    assert answer.json()["must_change_password"] is True
    client.cookies.clear()
    assert (await client.post("/api/v1/users", headers=headers, json=body)).status_code == 409


async def test_every_change_is_in_the_audit_with_its_maker(client, platform, make_person, bearer, tenant):
    person = await make_person({tenant: "tenant_admin"})
    headers = await bearer(person, tenant)
    key = await make_key(client, headers, name="for the audit")
    await client.delete(f"/api/v1/api-keys/{key['id']}", headers=headers)
    items = (await client.get("/api/v1/audit", headers=headers)).json()["items"]
    assert [item["action"] for item in items[:2]] == ["api_key.revoked", "api_key.created"]
    assert {item["actor"] for item in items[:2]} == {f"user:{person.id}"}
    assert items[0]["target_id"] == key["id"]
    assert items[1]["after"]["scopes"] == ["keys:read"]
    async with platform.database.raw_system() as connection:
        types = await connection.fetch(
            "SELECT data ->> 'action' AS action FROM events WHERE tenant_id = $1 AND type = 'audit.recorded' "
            "ORDER BY position",
            tenant,
        )
    assert [row["action"] for row in types] == ["api_key.created", "api_key.revoked"]


async def test_a_partner_admin_belongs_to_the_tenant_they_create(client, make_person, bearer, tenant):
    headers = await bearer(await make_person({tenant: "partner_admin"}))
    slug = f"new-{uuid4().hex[:8]}"
    created = await client.post("/api/v1/tenants", headers=headers, json={"name": "New", "slug": slug})
    assert created.status_code == 201
    assert (await client.get(f"/api/v1/tenants/{created.json()['id']}", headers=headers)).status_code == 200
    listed = (await client.get("/api/v1/tenants", headers=headers)).json()["items"]
    assert [item["id"] for item in listed] == sorted([str(tenant), created.json()["id"]])
    again = await client.post("/api/v1/tenants", headers=headers, json={"name": "New", "slug": slug})
    assert again.status_code == 409


async def test_lists_page_by_keyset(client, admin):
    made = {(await make_key(client, admin, name=f"k{n}"))["id"] for n in range(5)}
    seen, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/v1/api-keys", headers=admin, params=params)).json()
        assert len(page["items"]) <= 2
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen))
    assert set(seen) == made


async def test_a_tenant_is_ensured_once(platform):
    slug = f"demo-{uuid4().hex[:8]}"
    assert await ensure_tenant(platform, slug, "Demo") == await ensure_tenant(platform, slug, "Demo")


async def until(happened):
    async with asyncio.timeout(60):
        while not happened():
            await asyncio.sleep(0.001)


@pytest.fixture
async def key(client, admin):
    return await make_key(client, admin)


@pytest.fixture
async def other(platform, redis_url, key):
    """An authenticator with connections of its own, as in another process, where the key was used and news is heard."""
    elsewhere = Platform(platform.settings, platform.database, Redis.from_url(redis_url))
    other = authenticator(elsewhere)
    try:
        await other.access(key["secret"], None)
        await until(lambda: other._hearing)
        yield other
    finally:
        await other.close()
        await elsewhere.redis.aclose()


async def test_another_process_forgets_a_revoked_key_when_told(client, admin, key, other):
    await other.access(key["secret"], None)
    assert other._remembered
    await client.delete(f"/api/v1/api-keys/{key['id']}", headers=admin)
    await until(lambda: not other._remembered)
    with pytest.raises(Unauthenticated):
        await other.access(key["secret"], None)


async def test_a_busy_caller_is_looked_up_once_and_not_for_each_of_its_requests(key, other, monkeypatch):
    asked = []
    look_up = other._look_up

    async def counted(token):
        asked.append(token)
        return await look_up(token)

    monkeypatch.setattr(other, "_look_up", counted)
    found = await asyncio.gather(*(other.access(key["secret"], None) for _ in range(50)))
    assert len(asked) == 1
    assert len({access.api_key_id for access in found}) == 1
    # One that is cancelled, and a token of nobody, leave the others to ask for themselves.
    other._remembered.clear()
    first, *rest = [asyncio.create_task(other.access(key["secret"], None)) for _ in range(5)]
    await asyncio.sleep(0)
    first.cancel()
    assert len({access.api_key_id for access in await asyncio.gather(*rest)}) == 1
    wrong = await asyncio.gather(
        *(other.access(key["secret"] + "x", None) for _ in range(5)), return_exceptions=True
    )
    assert [type(each) for each in wrong] == [Unauthenticated] * 5


async def test_a_revocation_during_a_look_up_is_not_answered_from_it(client, admin, key, other, monkeypatch):
    """Who comes after the revocation asks anew, whatever was asked before it and is still under way."""
    look_up, go_on = other._look_up, asyncio.Event()

    async def slow(token):
        caller = await look_up(token)
        await go_on.wait()
        return caller

    other._remembered.clear()
    monkeypatch.setattr(other, "_look_up", slow)
    before = asyncio.create_task(other.access(key["secret"], None))
    await until(lambda: other._questions)
    heard = other._revocations_seen
    await client.delete(f"/api/v1/api-keys/{key['id']}", headers=admin)
    await until(lambda: other._revocations_seen > heard)
    monkeypatch.setattr(other, "_look_up", look_up)
    with pytest.raises(Unauthenticated):
        await other.access(key["secret"], None)
    go_on.set()
    await before
    with pytest.raises(Unauthenticated):
        await other.access(key["secret"], None)


async def test_without_redis_nothing_is_remembered(client, platform, admin):
    alone = authenticator(Platform(platform.settings, platform.database, None))
    key = await make_key(client, admin)
    await alone.access(key["secret"], None)
    await client.delete(f"/api/v1/api-keys/{key['id']}", headers=admin)
    with pytest.raises(Unauthenticated):
        await alone.access(key["secret"], None)
