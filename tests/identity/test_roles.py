"""A tenant's own roles and its members' roles: nobody gives what they do not hold, and the last administrator stays."""

import asyncio
from uuid import uuid4

import pytest

from fettle.identity.permissions import KEY_SCOPES, MEMBER_ROLES, ROLES, permissions_of

NIGHT = {"name": "night-shift", "description": "Works at night.", "permissions": ["incidents:read"]}


@pytest.fixture
async def admin(make_person, bearer, tenant):
    return await bearer(await make_person({tenant: "tenant_admin"}), tenant)


async def define(client, headers, **changed):
    answer = await client.post("/api/v1/roles", headers=headers, json={**NIGHT, **changed})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def permissions(client, headers):
    return set((await client.get("/api/v1/me", headers=headers)).json()["permissions"])


async def test_a_role_of_ones_own_lets_do_exactly_what_it_says_and_changes_at_once(
    client, make_person, bearer, admin, tenant
):
    await define(client, admin, permissions=["incidents:read", "users:read"])
    person = await make_person({tenant: "viewer"})
    headers = await bearer(person, tenant)
    changed = await client.patch(f"/api/v1/users/{person.id}", headers=admin, json={"role": "night-shift"})
    assert changed.json()["role"] == "night-shift"
    assert await permissions(client, headers) == {"incidents:read", "users:read"}
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 200
    body = {"description": "", "permissions": ["incidents:read"]}
    assert (await client.put("/api/v1/roles/night-shift", headers=admin, json=body)).status_code == 200
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 403
    assert await permissions(client, headers) == {"incidents:read"}


async def test_a_role_means_nothing_in_another_tenant(
    client, make_person, bearer, admin, tenant, other_tenant
):
    await define(client, admin)
    other = await bearer(await make_person({other_tenant: "tenant_admin"}), other_tenant)
    member = await make_person({other_tenant: "viewer"})
    listed = await client.get("/api/v1/roles", headers=other)
    assert [r["name"] for r in listed.json()["roles"]] == list(ROLES)
    assert NIGHT["description"] not in listed.text
    refused = await client.patch(f"/api/v1/users/{member.id}", headers=other, json={"role": "night-shift"})
    assert refused.status_code == 422
    body = {"description": "", "permissions": []}
    assert (await client.put("/api/v1/roles/night-shift", headers=other, json=body)).status_code == 404
    assert (await client.delete("/api/v1/roles/night-shift", headers=other)).status_code == 404
    # The same name may stand for something else there.
    await define(client, other, permissions=["rules:read"])
    mine = {r["name"]: r for r in (await client.get("/api/v1/roles", headers=admin)).json()["roles"]}
    assert mine["night-shift"]["permissions"] == ["incidents:read"]
    assert mine["night-shift"]["builtin"] is False


@pytest.mark.parametrize("name", ROLES)
async def test_a_built_in_role_can_be_neither_taken_nor_changed(client, admin, name):
    assert (
        await client.post("/api/v1/roles", headers=admin, json={**NIGHT, "name": name})
    ).status_code == 409
    body = {"description": "", "permissions": []}
    assert (await client.put(f"/api/v1/roles/{name}", headers=admin, json=body)).status_code == 403
    assert (await client.delete(f"/api/v1/roles/{name}", headers=admin)).status_code == 403


@pytest.mark.parametrize(
    "name", ["", "x", "Night", "night shift", "../x", "1st", "a" * 64, "nacht\u0131", "a\nb"]
)
async def test_a_name_is_short_and_plain(client, admin, name):
    answer = await client.post("/api/v1/roles", headers=admin, json={**NIGHT, "name": name})
    assert answer.status_code == 422


@pytest.mark.parametrize("permission", ["platform:admin", "tenants:write", "*", "root", ""])
async def test_no_role_of_a_tenant_reaches_beyond_it(client, make_person, bearer, tenant, permission):
    headers = await bearer(await make_person(is_platform_admin=True), tenant)
    body = {**NIGHT, "permissions": ["incidents:read", permission]}
    answer = await client.post("/api/v1/roles", headers=headers, json=body)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["pointer"] == "/permissions/1"


async def test_what_was_put_into_the_database_by_hand_opens_nothing_more(
    client, platform, make_person, bearer, admin, tenant
):
    await define(client, admin)
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE custom_roles SET permissions = '{platform:admin,tenants:write,incidents:read}' "
            "WHERE tenant_id = $1",
            tenant,
        )
    headers = await bearer(await make_person({tenant: "night-shift"}), tenant)
    assert await permissions(client, headers) == {"incidents:read"}


async def test_nobody_defines_gives_or_touches_more_than_they_hold(
    client, make_person, bearer, admin, tenant
):
    await define(client, admin, name="people", permissions=["users:read", "users:write", "incidents:read"])
    await define(client, admin, name="strong", permissions=["users:write", "packs:write"])
    headers = await bearer(await make_person({tenant: "people"}), tenant)
    await define(client, admin)
    victim = await make_person({tenant: "night-shift"})
    strong = await make_person({tenant: "strong"})
    weak = {"description": "", "permissions": ["incidents:read"]}
    for method, path, body in (
        ("POST", "/roles", {**NIGHT, "permissions": ["packs:write"]}),
        ("PUT", "/roles/people", {"description": "", "permissions": ["users:write", "keys:write"]}),
        ("PUT", "/roles/strong", weak),
        ("DELETE", "/roles/strong", None),
        ("PATCH", f"/users/{victim.id}", {"role": "tenant_admin"}),
        ("PATCH", f"/users/{victim.id}", {"role": "strong"}),
        ("PATCH", f"/users/{strong.id}", {"role": "people"}),
        ("DELETE", f"/users/{strong.id}", None),
        ("POST", "/invitations", {"email": "a@example.org", "role": "tenant_admin"}),
        ("POST", "/invitations", {"email": "a@example.org", "role": "strong"}),
    ):
        answer = await client.request(method, f"/api/v1{path}", headers=headers, json=body)
        assert answer.status_code == 403, (method, path, answer.text)
    me = (await client.get("/api/v1/me", headers=headers)).json()["id"]
    raised = await client.patch(f"/api/v1/users/{me}", headers=headers, json={"role": "tenant_admin"})
    assert raised.status_code == 403
    assert (
        await client.patch(f"/api/v1/users/{victim.id}", headers=headers, json={"role": "people"})
    ).status_code == 200


@pytest.mark.parametrize("role", MEMBER_ROLES)
async def test_each_role_may_manage_people_exactly_if_it_says_so(client, make_person, bearer, tenant, role):
    headers = await bearer(await make_person({tenant: role}), tenant)
    may = permissions_of(role)
    for method, path, body, needs in (
        ("POST", "/roles", {**NIGHT, "name": f"r-{uuid4().hex[:8]}"}, "users:write"),
        ("PUT", "/roles/nothing", {"description": "", "permissions": []}, "users:write"),
        ("DELETE", "/roles/nothing", None, "users:write"),
        ("GET", "/invitations", None, "users:read"),
        ("POST", "/invitations", {"email": f"{uuid4().hex}@example.org", "role": "viewer"}, "users:write"),
        ("POST", f"/invitations/{uuid4()}/resend", None, "users:write"),
        ("DELETE", f"/invitations/{uuid4()}", None, "users:write"),
    ):
        answer = await client.request(method, f"/api/v1{path}", headers=headers, json=body)
        assert (answer.status_code != 403) == (needs in may), (method, path, answer.text)


async def test_a_role_in_use_stays_and_says_by_whom(client, make_person, admin, tenant):
    await define(client, admin)
    person = await make_person({tenant: "night-shift"})
    body = {"email": "wanted@example.org", "role": "night-shift"}
    invitation = (await client.post("/api/v1/invitations", headers=admin, json=body)).json()
    refused = await client.delete("/api/v1/roles/night-shift", headers=admin)
    assert refused.status_code == 409
    assert "Ann Example" in refused.json()["detail"]
    assert "wanted@example.org" in refused.json()["detail"]
    await client.patch(f"/api/v1/users/{person.id}", headers=admin, json={"role": "viewer"})
    await client.delete(f"/api/v1/invitations/{invitation['id']}", headers=admin)
    assert (await client.delete("/api/v1/roles/night-shift", headers=admin)).status_code == 204
    assert (await client.delete("/api/v1/roles/night-shift", headers=admin)).status_code == 404


async def test_a_role_is_not_deleted_while_it_is_being_given(client, make_person, admin, tenant):
    person = await make_person({tenant: "viewer"})
    for round_ in range(5):
        name = f"fleeting-{round_}"
        await define(client, admin, name=name)
        given, deleted = await asyncio.gather(
            client.patch(f"/api/v1/users/{person.id}", headers=admin, json={"role": name}),
            client.delete(f"/api/v1/roles/{name}", headers=admin),
        )
        assert (given.status_code, deleted.status_code) in {(200, 409), (422, 204)}


async def test_the_last_administrator_is_neither_removed_nor_demoted(
    client, platform, make_person, bearer, tenant
):
    first = await make_person({tenant: "tenant_admin"})
    headers = await bearer(first, tenant)
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
        answer = await client.request(method, f"/api/v1/users/{first.id}", headers=headers, json=body)
        assert answer.status_code == 409, answer.text
    second = await make_person({tenant: "tenant_admin"})
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET disabled_at = now() WHERE id = $1", second.id)
    refused = await client.delete(f"/api/v1/users/{first.id}", headers=headers)
    assert refused.status_code == 409, "whoever cannot sign in administers nothing"
    await make_person({tenant: "tenant_admin"})
    assert (await client.delete(f"/api/v1/users/{first.id}", headers=headers)).status_code == 204


async def test_two_administrators_who_demote_each_other_at_once_leave_one(
    client, make_person, bearer, tenant, platform
):
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)) * 3:
        people = [await make_person({tenant: "tenant_admin"}) for _ in range(2)]
        one, other = [await bearer(person, tenant) for person in people]
        answers = await asyncio.gather(
            client.request(method, f"/api/v1/users/{people[1].id}", headers=one, json=body),
            client.request(method, f"/api/v1/users/{people[0].id}", headers=other, json=body),
        )
        assert sum(a.status_code < 300 for a in answers) == 1, [a.text for a in answers]
        async with platform.database.raw_system() as connection:
            left = await connection.fetchval(
                "SELECT count(*) FROM memberships WHERE tenant_id = $1 AND role = 'tenant_admin'", tenant
            )
            assert left == 1
            await connection.execute("DELETE FROM memberships WHERE tenant_id = $1", tenant)


async def test_members_are_searched_filtered_and_paged(client, platform, make_person, admin, tenant):
    people = [await make_person({tenant: "viewer" if n % 2 else "operator"}) for n in range(5)]
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET name = 'Zoë 100%_Ölmann' WHERE id = $1", people[0].id)
    seen, cursor = [], None
    while True:
        params = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/v1/users", headers=admin, params=params)).json()
        seen += [item["id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == 6

    async def found(**params):
        answer = await client.get("/api/v1/users", headers=admin, params=params)
        return {item["id"] for item in answer.json()["items"]}

    assert await found(q="ZOË 100%_") == {str(people[0].id)}
    assert await found(q=people[1].email[:20].upper()) == {str(people[1].id)}
    assert await found(q="%") == {str(people[0].id)}
    assert await found(role="viewer") == {str(people[1].id), str(people[3].id)}
    assert await found(role="viewer", q="Ann") == {str(people[1].id), str(people[3].id)}
    assert await found(role="nothing") == set()
    assert await found(q="' OR true --") == set()


async def test_every_change_of_roles_is_in_the_audit(client, admin):
    await define(client, admin)
    body = {"description": "x", "permissions": ["rules:read"]}
    await client.put("/api/v1/roles/night-shift", headers=admin, json=body)
    await client.delete("/api/v1/roles/night-shift", headers=admin)
    items = (await client.get("/api/v1/audit", headers=admin)).json()["items"]
    assert [i["action"] for i in items if i["action"].startswith("role.")] == [
        "role.deleted",
        "role.changed",
        "role.created",
    ]
    changed = next(i for i in items if i["action"] == "role.changed")
    assert changed["before"]["permissions"] == ["incidents:read"]
    assert changed["after"]["permissions"] == ["rules:read"]


def test_a_role_of_a_tenant_can_hold_what_a_key_can():
    assert KEY_SCOPES.isdisjoint({"platform:admin", "tenants:write"})
