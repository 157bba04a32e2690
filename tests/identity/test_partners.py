"""Partner users see their partner's tenants and no other; what is given and taken works at once."""

import asyncio
from uuid import uuid4

import pytest

from fettle.identity.permissions import MEMBER_ROLES, permissions_of


async def command(client, method, path, body, headers, status=None):
    answer = await client.request(method, f"/api/v1{path}", json=body, headers=headers)
    assert status is None or answer.status_code == status, answer.text
    return answer.json() if answer.content else None


def in_tenant(headers, tenant):
    return headers | {"X-Tenant-ID": str(tenant)}


@pytest.fixture
async def owner(make_person, bearer):
    return await bearer(await make_person(is_platform_admin=True))


@pytest.fixture
def make_partner(client, owner):
    """Make a partner that looks after tenants."""

    async def make(*tenants):
        body = {"name": "Northwind IT", "slug": f"p-{uuid4().hex[:12]}"}
        partner = (await command(client, "POST", "/partners", body, owner, 201))["id"]
        for tenant in tenants:
            await command(client, "PATCH", f"/tenants/{tenant}", {"partner_id": partner}, owner, 200)
        return partner

    return make


@pytest.fixture
def employ(client, owner, make_person, bearer):
    """Make somebody one of a partner's people, signed in."""

    async def make(partner, role="partner_admin", roles=None):
        person = await make_person(roles)
        body = {"email": person.email, "name": "Ann", "role": role}
        added = await command(client, "POST", f"/partners/{partner}/members", body, owner, 201)
        assert added["one_time_password"] is None
        return person, await bearer(person)

    return make


@pytest.mark.parametrize("role", MEMBER_ROLES)
async def test_each_role_of_a_partner_holds_in_its_tenants_and_in_no_other(
    client, make_partner, employ, tenant, other_tenant, role
):
    partner = await make_partner(tenant)
    await make_partner(other_tenant)
    _, headers = await employ(partner, role)
    mine = (await client.get("/api/v1/me", headers=in_tenant(headers, tenant))).json()
    assert [(t["id"], t["via"], t["role"]) for t in mine["tenants"]] == [(str(tenant), "partner", role)]
    assert [(p["id"], p["role"]) for p in mine["partners"]] == [(partner, role)]
    assert set(mine["permissions"]) == permissions_of(role)
    for stranger in (other_tenant, uuid4()):
        answer = await client.get("/api/v1/users", headers=in_tenant(headers, stranger))
        assert answer.status_code == 404
        assert (await client.get(f"/api/v1/tenants/{stranger}", headers=headers)).status_code == 404
    listed = await client.get("/api/v1/tenants", headers=headers)
    assert {t["id"] for t in listed.json()["items"]} == ({str(tenant)} if role != "agent" else set())


async def test_a_partner_learns_nothing_of_another_and_changes_nothing(
    client, make_partner, employ, tenant, other_tenant
):
    mine, other = await make_partner(tenant), await make_partner(other_tenant)
    _, headers = await employ(mine)
    victim, _ = await employ(other, "viewer")
    assert [p["id"] for p in (await command(client, "GET", "/partners", None, headers))["items"]] == [mine]
    attempts = [
        ("GET", "", None),
        ("PATCH", "", {"name": "Mine"}),
        ("GET", "/members", None),
        ("PATCH", f"/members/{victim.id}", {"role": "viewer"}),
        ("DELETE", f"/members/{victim.id}", None),
        ("GET", "/invitations", None),
        ("POST", "/invitations", {"email": "a@example.org", "role": "viewer"}),
        ("POST", f"/invitations/{uuid4()}/resend", None),
        ("DELETE", f"/invitations/{uuid4()}", None),
    ]
    for method, path, body in attempts:
        answers = [
            await client.request(method, f"/api/v1/partners/{id_}{path}", json=body, headers=headers)
            for id_ in (other, uuid4())
        ]
        assert [a.status_code for a in answers] == [404, 404], (method, path, answers[0].text)
        assert answers[0].json()["detail"] == answers[1].json()["detail"]
    refused = await client.post(
        "/api/v1/tenants", headers=headers, json={"name": "T", "slug": uuid4().hex, "partner_id": other}
    )
    assert refused.status_code == 404
    assert victim.email not in (await client.get("/api/v1/users", headers=in_tenant(headers, tenant))).text


@pytest.mark.parametrize("role", [r for r in MEMBER_ROLES if r != "partner_admin"])
async def test_only_an_administrator_of_a_partner_decides_about_it(
    client, make_partner, employ, tenant, role
):
    partner = await make_partner(tenant)
    _, headers = await employ(partner, role)
    may = permissions_of(role)
    invited = {"email": f"{uuid4().hex}@example.org", "role": "viewer"}
    for method, path, body, needs in (
        ("PATCH", f"/partners/{partner}", {"name": "X"}, "tenants:write"),
        ("GET", f"/partners/{partner}/members", None, "users:read"),
        ("POST", f"/partners/{partner}/invitations", invited, "users:write"),
        ("POST", f"/partners/{partner}/members", {**invited, "name": "X"}, "platform:admin"),
        ("POST", "/partners", {"name": "X", "slug": uuid4().hex}, "platform:admin"),
        ("POST", "/tenants", {"name": "X", "slug": uuid4().hex}, "tenants:write"),
        ("PATCH", f"/tenants/{tenant}", {"name": "X"}, "tenants:write"),
        ("GET", "/accounts", None, "platform:admin"),
    ):
        answer = await client.request(method, f"/api/v1{path}", json=body, headers=headers)
        wanted = (
            {200, 201}
            if needs in may
            else {403}
            if needs != "tenants:write" or role != "agent"
            else {403, 404}
        )
        assert answer.status_code in wanted, (method, path, answer.text)


async def test_a_tenant_that_a_partner_creates_is_open_to_its_people_at_once(client, make_partner, employ):
    partner = await make_partner()
    _, headers = await employ(partner)
    _, colleague = await employ(partner, "operator")
    assert (await client.get("/api/v1/me", headers=colleague)).json()["tenants"] == []
    made = await command(client, "POST", "/tenants", {"name": "New", "slug": uuid4().hex}, headers, 201)
    assert made["partner_id"] == partner
    assert (await client.get("/api/v1/me", headers=colleague)).json()["tenants"][0]["id"] == made["id"]
    renamed = await command(client, "PATCH", f"/tenants/{made['id']}", {"name": "Newer"}, headers, 200)
    assert renamed["name"] == "Newer"
    assert renamed["slug"] == made["slug"]


async def test_whoever_serves_two_partners_says_for_which_a_tenant_is(client, make_partner, employ, owner):
    first, second = await make_partner(), await make_partner()
    person, headers = await employ(first)
    body = {"email": person.email, "name": "Ann", "role": "partner_admin"}
    await command(client, "POST", f"/partners/{second}/members", body, owner, 201)
    wish = {"name": "T", "slug": uuid4().hex}
    refused = await client.post("/api/v1/tenants", headers=headers, json=wish)
    assert refused.json()["errors"][0]["pointer"] == "/partner_id"
    made = await command(client, "POST", "/tenants", {**wish, "partner_id": second}, headers, 201)
    assert made["partner_id"] == second


async def test_a_tenant_that_changes_partners_is_closed_to_the_old_and_open_to_the_new_at_once(
    client, make_partner, employ, tenant, owner
):
    old, new = await make_partner(tenant), await make_partner()
    _, before = await employ(old)
    _, after = await employ(new)
    assert (await client.get("/api/v1/users", headers=in_tenant(before, tenant))).status_code == 200
    assert (await client.get("/api/v1/users", headers=in_tenant(after, tenant))).status_code == 404
    await command(client, "PATCH", f"/tenants/{tenant}", {"partner_id": new}, owner, 200)
    assert (await client.get("/api/v1/users", headers=in_tenant(before, tenant))).status_code == 404
    assert (await client.get("/api/v1/users", headers=in_tenant(after, tenant))).status_code == 200
    await command(client, "PATCH", f"/tenants/{tenant}", {"partner_id": None}, owner, 200)
    assert (await client.get("/api/v1/users", headers=in_tenant(after, tenant))).status_code == 404


async def test_no_partner_takes_or_gives_away_a_tenant(client, make_partner, employ, tenant, other_tenant):
    partner = await make_partner(tenant)
    _, headers = await employ(partner)
    for target, status in ((tenant, 403), (other_tenant, 404)):
        for wanted in (partner, None):
            answer = await client.patch(
                f"/api/v1/tenants/{target}", headers=headers, json={"partner_id": wanted}
            )
            assert answer.status_code == status


async def test_a_person_taken_out_or_given_another_role_is_bound_by_it_at_once(
    client, make_partner, employ, tenant
):
    partner = await make_partner(tenant)
    _, headers = await employ(partner)
    person, theirs = await employ(partner, "tenant_admin")
    where = in_tenant(theirs, tenant)
    assert (await client.get("/api/v1/users", headers=where)).status_code == 200
    path = f"/partners/{partner}/members/{person.id}"
    await command(client, "PATCH", path, {"role": "viewer"}, headers, 200)
    assert (await client.get("/api/v1/users", headers=where)).status_code == 403
    await command(client, "DELETE", path, None, headers, 204)
    assert (await client.get("/api/v1/users", headers=where)).status_code == 404


async def test_a_tenants_audit_tells_who_joins_and_leaves_its_partner(
    client, make_partner, employ, make_person, bearer, tenant, other_tenant
):
    partner = await make_partner(tenant)
    await make_partner(other_tenant)
    _, headers = await employ(partner)
    person, _ = await employ(partner, "operator")
    path = f"/partners/{partner}/members/{person.id}"
    await command(client, "PATCH", path, {"role": "viewer"}, headers, 200)
    await command(client, "DELETE", path, None, headers, 204)
    invited = {"email": f"{uuid4().hex}@example.org", "role": "analyst"}
    made = await command(client, "POST", f"/partners/{partner}/invitations", invited, headers, 201)
    answer = {
        "token": made["link"].rpartition("#")[2].rpartition("=")[2],
        "name": "Ben",
        "password": uuid4().hex,
    }
    await command(client, "POST", "/auth/invitations/accept", answer, {}, 200)

    async def told(where):
        admin = await bearer(await make_person({where: "tenant_admin"}), where)
        items = (await command(client, "GET", "/audit?limit=100", None, admin))["items"]
        return [
            (one["action"], one["before"] and one["before"]["role"], one["after"] and one["after"]["role"])
            for one in reversed(items)
            if one["action"].startswith("partner_member.")
        ]

    assert await told(tenant) == [
        ("partner_member.added", None, "partner_admin"),
        ("partner_member.added", None, "operator"),
        ("partner_member.role_changed", "operator", "viewer"),
        ("partner_member.removed", "viewer", None),
        ("partner_member.added", None, "analyst"),
    ]
    assert await told(other_tenant) == []


async def test_the_last_administrator_of_a_partner_stays_one_even_when_two_are_taken_at_once(
    client, make_partner, employ
):
    partner = await make_partner()
    first, one = await employ(partner)
    second, other = await employ(partner)
    answers = await asyncio.gather(
        client.patch(
            f"/api/v1/partners/{partner}/members/{first.id}", headers=other, json={"role": "viewer"}
        ),
        client.delete(f"/api/v1/partners/{partner}/members/{second.id}", headers=one),
    )
    assert sorted(a.status_code for a in answers) in ([200, 409], [204, 409], [200, 403], [204, 403])
    people = await client.get(f"/api/v1/partners/{partner}/members", headers=one)
    if people.status_code != 200:
        people = await client.get(f"/api/v1/partners/{partner}/members", headers=other)
    assert "partner_admin" in {p["role"] for p in people.json()["items"]}


async def test_a_tenant_sees_who_of_its_partner_may_act_in_it_and_nobody_elses(
    client, make_partner, employ, make_person, bearer, tenant, other_tenant
):
    mine, other = await make_partner(tenant), await make_partner(other_tenant)
    person, _ = await employ(mine, "operator", {tenant: "viewer"})
    colleague, _ = await employ(mine, "analyst")
    stranger, _ = await employ(other, "operator")
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    answer = await client.get("/api/v1/users", headers=admin)
    shown = {i["id"]: (i["role"], i["via"], i["partner_role"]) for i in answer.json()["items"]}
    assert shown[str(person.id)] == ("viewer", "tenant", "operator")
    assert shown[str(colleague.id)] == ("analyst", "partner", "analyst")
    assert stranger.email not in answer.text
    # The partner decides about its own people.
    for method, body in (("PATCH", {"role": "viewer"}), ("DELETE", None)):
        refused = await client.request(method, f"/api/v1/users/{colleague.id}", headers=admin, json=body)
        assert refused.status_code == 404


async def test_membership_and_partner_add_up(client, make_partner, employ, tenant):
    partner = await make_partner(tenant)
    _, headers = await employ(partner, "auditor", {tenant: "operator"})
    mine = (await client.get("/api/v1/me", headers=in_tenant(headers, tenant))).json()
    assert set(mine["permissions"]) == permissions_of("auditor") | permissions_of("operator")
    assert [(t["via"], t["role"]) for t in mine["tenants"]] == [("tenant", "operator")]


@pytest.mark.parametrize("role", ["platform_admin", "night-shift", "", "Partner_Admin"])
async def test_a_role_at_a_partner_is_a_built_in_one(client, make_partner, owner, role):
    partner = await make_partner()
    body = {"email": "x@example.org", "name": "X", "role": role}
    answer = await client.post(f"/api/v1/partners/{partner}/members", headers=owner, json=body)
    assert answer.status_code == 422


async def test_a_disabled_account_stops_at_once_and_no_other_is_touched(
    client, make_person, bearer, owner, tenant
):
    person = await make_person({tenant: "tenant_admin"})
    headers = await bearer(person, tenant)
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 200
    refused = await client.patch(f"/api/v1/accounts/{person.id}", headers=headers, json={"disabled": True})
    assert refused.status_code == 403
    await command(client, "PATCH", f"/accounts/{person.id}", {"disabled": True}, owner, 200)
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 401
    login = {"email": person.email, "password": person.password}
    assert (await client.post("/api/v1/auth/login", json=login)).status_code == 401
    await command(client, "PATCH", f"/accounts/{person.id}", {"disabled": False}, owner, 200)
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 401, "the session stays ended"
    assert (await client.post("/api/v1/auth/login", json=login)).status_code == 200
    client.cookies.clear()


async def test_nobody_disables_their_own_account(client, owner):
    me = (await client.get("/api/v1/me", headers=owner)).json()["id"]
    answer = await client.patch(f"/api/v1/accounts/{me}", headers=owner, json={"disabled": True})
    assert answer.status_code == 409


async def test_a_person_changes_their_own_name_and_nothing_else(client, make_person, bearer, tenant):
    headers = await bearer(await make_person({tenant: "viewer"}))
    answer = await client.patch("/api/v1/me", headers=headers, json={"name": " Ann Other "})
    assert answer.json()["name"] == "Ann Other"
    for body in (
        {"name": "X", "email": "a@b"},
        {"name": "X", "is_platform_admin": True},
        {"name": "a\r\nBcc: b"},
        {"name": ""},
        {},
    ):
        assert (await client.patch("/api/v1/me", headers=headers, json=body)).status_code == 422
    assert (await client.get("/api/v1/me", headers=headers)).json()["is_platform_admin"] is False


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/partners", {"name": "P", "slug": "p", "id": str(uuid4())}),
        ("/tenants", {"name": "T", "slug": "t", "created_at": "2020-01-01T00:00:00Z"}),
        ("/roles", {"name": "r1", "description": "", "permissions": [], "builtin": True}),
        ("/roles", {"name": "r1", "description": "", "permissions": [], "tenant_id": str(uuid4())}),
        ("/invitations", {"email": "a@b.c", "role": "viewer", "tenant_id": str(uuid4())}),
        ("/invitations", {"email": "a@b.c", "role": "viewer", "expires_at": "2099-01-01T00:00:00Z"}),
    ],
)
async def test_fields_that_are_not_offered_are_refused(client, owner, tenant, path, body):
    answer = await client.post(f"/api/v1{path}", headers=in_tenant(owner, tenant), json=body)
    assert answer.status_code == 422


async def test_whoever_has_more_tenants_than_are_told_at_once_finds_them_by_search_and_page_by_page(
    client, platform, make_partner, employ, other_tenant
):
    partner = await make_partner()
    mark = uuid4().hex[:8]
    names = {f"m{mark}-{n:03}": f"{'ÄB' if n % 2 else 'äb'} {'x' * 190} {n:03}" for n in range(203)}
    names[f"m{mark}-999"] = f"Zebra {mark}"
    async with platform.database.raw_system() as connection:
        await connection.executemany(
            "INSERT INTO tenants (id, name, slug, partner_id) VALUES ($1, $2, $3, $4)",
            [(uuid4(), name, slug, partner) for slug, name in names.items()],
        )
    _, headers = await employ(partner, "partner_admin")
    me = (await client.get("/api/v1/me", headers=headers)).json()
    assert (len(me["tenants"]), me["more_tenants"]) == (200, True)

    seen, query = [], {"limit": "60"}
    while True:
        answer = await client.get("/api/v1/me/tenants", headers=headers, params=query)
        assert answer.status_code == 200, answer.text
        seen += answer.json()["items"]
        if answer.json()["next_cursor"] is None:
            break
        query["cursor"] = answer.json()["next_cursor"]
    assert {one["slug"]: one["name"] for one in seen} == names
    assert len(seen) == len(names)
    assert seen[:200] == me["tenants"]
    assert {(one["via"], one["role"]) for one in seen} == {("partner", "partner_admin")}

    async def found(**asked):
        answer = await client.get("/api/v1/me/tenants", headers=headers, params=asked)
        assert answer.status_code == 200, answer.text
        return [one["slug"] for one in answer.json()["items"]]

    assert await found(q=f"ZEBRA {mark}") == [f"m{mark}-999"]
    assert await found(slug=[f"m{mark}-999", "alder"]) == [f"m{mark}-999"]
    async with platform.database.raw_system() as connection:
        foreign = await connection.fetchval("SELECT slug FROM tenants WHERE id = $1", other_tenant)
    assert await found(slug=foreign) == await found(q=foreign) == []


async def test_few_tenants_are_told_whole(client, make_person, bearer, tenant):
    headers = await bearer(await make_person({tenant: "viewer"}))
    me = (await client.get("/api/v1/me", headers=headers)).json()
    listed = (await client.get("/api/v1/me/tenants", headers=headers)).json()
    assert (me["more_tenants"], listed) == (False, {"items": me["tenants"], "next_cursor": None})
