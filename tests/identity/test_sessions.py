"""Sessions: listed and ended by their owner, and as short as the strictest tenant wants them."""

import re
from uuid import uuid4

COOKIE = "fettle_refresh"


async def test_a_person_sees_their_own_sessions_and_which_is_this_one(client, make_person, bearer, tenant):
    person, other = await make_person({tenant: "viewer"}), await make_person({tenant: "viewer"})
    here, _ = await bearer(person), await bearer(person)
    await bearer(other)
    items = (await client.get("/api/v1/me/sessions", headers=here)).json()["items"]
    assert [item["current"] for item in items] == [False, True]
    assert items[0]["address"]
    assert items[0]["agent"].startswith("python-httpx")
    assert items[0]["methods"] == ["password"]
    first = (await client.get("/api/v1/me/sessions?limit=1", headers=here)).json()
    assert len(first["items"]) == 1
    rest = await client.get(f"/api/v1/me/sessions?limit=1&cursor={first['next_cursor']}", headers=here)
    assert [item["current"] for item in rest.json()["items"]] == [True]


async def test_an_ended_session_dies_at_once_with_its_refresh_token(client, make_person, sign_in, tenant):
    person = await make_person({tenant: "viewer"})
    stolen, mine = await sign_in(person), await sign_in(person)
    headers = [{"Authorization": f"Bearer {one.json()['access_token']}"} for one in (stolen, mine)]
    assert (await client.get("/api/v1/me", headers=headers[0])).status_code == 200
    items = (await client.get("/api/v1/me/sessions", headers=headers[1])).json()["items"]
    other = next(item["id"] for item in items if not item["current"])
    assert (await client.delete(f"/api/v1/me/sessions/{other}", headers=headers[1])).status_code == 204
    assert (await client.get("/api/v1/me", headers=headers[0])).status_code == 401
    refreshed = await client.post(
        "/api/v1/auth/refresh", headers={"Cookie": f"{COOKIE}={stolen.cookies[COOKIE]}"}
    )
    assert refreshed.status_code == 401
    assert (await client.delete(f"/api/v1/me/sessions/{other}", headers=headers[1])).status_code == 404


async def test_ending_the_others_leaves_this_one(client, make_person, bearer, tenant):
    person = await make_person({tenant: "viewer"})
    others = [await bearer(person) for _ in range(3)]
    here = await bearer(person)
    answer = await client.post("/api/v1/me/sessions/end-others", headers=here)
    assert answer.json() == {"ended": 3}
    assert [(await client.get("/api/v1/me", headers=one)).status_code for one in others] == [401] * 3
    assert (await client.get("/api/v1/me", headers=here)).status_code == 200


async def test_nobody_ends_or_sees_another_persons_session(client, make_person, bearer, tenant):
    victim = await make_person({tenant: "tenant_admin"})
    thief = await make_person(is_platform_admin=True)
    theirs, mine = await bearer(victim), await bearer(thief)
    target = (await client.get("/api/v1/me/sessions", headers=theirs)).json()["items"][0]["id"]
    assert target not in (await client.get("/api/v1/me/sessions", headers=mine)).text
    refused = await client.delete(f"/api/v1/me/sessions/{target}", headers=mine)
    never = await client.delete(f"/api/v1/me/sessions/{uuid4()}", headers=mine)
    assert refused.status_code == never.status_code == 404
    assert {**refused.json(), "instance": ""} == {**never.json(), "instance": ""}
    await client.post("/api/v1/me/sessions/end-others", headers=mine)
    assert (await client.get("/api/v1/me", headers=theirs)).status_code == 200


async def test_a_tenant_shortens_the_sessions_of_its_members(
    client, platform, make_person, bearer, sign_in, tenant
):
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    member = await make_person({tenant: "viewer"})
    before = await sign_in(member)
    policy = {"require_mfa": False, "session_hours": 2, "allowed_sign_in": ["password"]}
    answer = await client.put(f"/api/v1/tenants/{tenant}/security", headers=admin, json=policy)
    assert answer.json() == policy
    after = await sign_in(member)
    lasts = int(re.search("max-age=([0-9]+)", after.headers["set-cookie"].lower())[1])
    assert 7100 < lasts <= 7200
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE refresh_sessions SET created_at = now() - interval '3 hours' WHERE user_id = $1",
            member.id,
        )
    for answer in (before, after):
        again = await client.post(
            "/api/v1/auth/refresh", headers={"Cookie": f"{COOKIE}={answer.cookies[COOKIE]}"}
        )
        client.cookies.clear()
        assert again.status_code == 401


async def test_an_api_key_has_neither_sessions_nor_factors(client, make_person, bearer, tenant):
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    made = await client.post(
        "/api/v1/api-keys", headers=admin, json={"name": "k", "scopes": ["incidents:read", "sign_on:read"]}
    )
    headers = {"Authorization": f"Bearer {made.json()['secret']}"}
    for method, path in (
        ("GET", "/me/sessions"),
        ("GET", "/me/security"),
        ("POST", "/me/sessions/end-others"),
        ("POST", "/me/totp"),
        ("DELETE", f"/me/sessions/{uuid4()}"),
    ):
        assert (await client.request(method, f"/api/v1{path}", headers=headers)).status_code == 403, path
    assert (await client.get(f"/api/v1/tenants/{tenant}/security", headers=headers)).status_code == 200
