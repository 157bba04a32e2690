"""Signing in, refreshing, signing out and changing a password, over HTTP against the real database."""

import asyncio

import pytest

from fettle.identity.lockout import FREE_ATTEMPTS
from fettle.identity.owner import OWNER_EMAIL, ensure_owner
from fettle.identity.passwords import Passwords
from fettle.identity.sign_in import passwords

COOKIE = "fettle_refresh"
ROTATION = "fettle_rotation"


def cookie_of(answer) -> str:
    return answer.cookies[COOKIE]


def attributes_of(answer, name) -> set[str]:
    """Return a cookie of an answer, cut at its semicolons and in small letters."""
    (cookie,) = [c for c in answer.headers.get_list("set-cookie") if c.startswith(f"{name}=")]
    return {part.strip().lower() for part in cookie.split(";")}


async def refresh(client, token, **headers):
    answer = await client.post("/api/v1/auth/refresh", headers={"Cookie": f"{COOKIE}={token}", **headers})
    client.cookies.clear()
    return answer


async def test_a_right_password_gives_a_token_that_works(client, make_person, sign_in, tenant):
    person = await make_person({tenant: "viewer"})
    answer = await sign_in(person)
    assert answer.status_code == 200
    assert answer.json() == {
        "access_token": answer.json()["access_token"],
        "token_type": "Bearer",
        "expires_in": 900,
        "must_change_password": False,
    }
    me = await client.get("/api/v1/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
    assert me.json()["email"] == person.email
    assert [t["id"] for t in me.json()["tenants"]] == [str(tenant)]
    assert "incidents:read" in me.json()["permissions"]


async def test_the_refresh_token_is_out_of_reach_of_scripts_and_other_sites(make_person, sign_in):
    answer = await sign_in(await make_person())
    cookie = attributes_of(answer, COOKIE)
    assert {"httponly", "samesite=strict", "path=/api/v1/auth"} <= cookie
    assert "refresh" not in answer.text
    assert answer.headers["cache-control"] == "no-store"


async def test_every_answer_to_an_exchange_is_told_to_the_browsers_pages_and_tells_them_no_secret(
    client, make_person, sign_in
):
    first = await sign_in(await make_person())
    second = await refresh(client, cookie_of(first))
    refused = await refresh(client, cookie_of(first))
    with_none = await client.post("/api/v1/auth/refresh")
    client.cookies.clear()
    told = []
    for answer in (first, second, refused, with_none):
        attributes = attributes_of(answer, ROTATION)
        assert {"samesite=strict", "path=/"} <= attributes
        assert "httponly" not in attributes
        value = answer.cookies[ROTATION]
        assert len(value) == 12
        assert value not in cookie_of(first) + cookie_of(second)
        told.append(value)
    assert len(set(told)) == len(told)
    assert [COOKIE in answer.cookies for answer in (refused, with_none)] == [False, False]
    opened = await client.post("/api/v1/auth/refresh", headers={"Cookie": f"{ROTATION}={told[1]}"})
    assert opened.status_code == 401


async def test_an_address_is_found_whatever_its_case(client, make_person):
    person = await make_person()
    answer = await client.post(
        "/api/v1/auth/login", json={"email": f" {person.email.upper()} ", "password": person.password}
    )
    assert answer.status_code == 200


async def test_wrong_unknown_and_disabled_answer_the_same_after_the_same_work(
    client, platform, make_person, sign_in
):
    known, disabled, unknown = await make_person(), await make_person(), await make_person()
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET disabled_at = now() WHERE id = $1", disabled.id)
        await connection.execute("DELETE FROM users WHERE id = $1", unknown.id)
    answers, checks = [], []
    for person, password in ((known, "wrong"), (disabled, disabled.password), (unknown, "wrong")):
        before = passwords(platform).checks
        answer = await sign_in(person, password)
        checks.append(passwords(platform).checks - before)
        answers.append((answer.status_code, {k: v for k, v in answer.json().items() if k != "instance"}))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] == 401
    assert checks == [1, 1, 1]


@pytest.mark.parametrize("exists", [True, False])
async def test_guessing_is_locked_out_and_tells_nothing(platform, make_person, sign_in, exists):
    person = await make_person()
    if not exists:
        async with platform.database.raw_system() as connection:
            await connection.execute("DELETE FROM users WHERE id = $1", person.id)
    for _ in range(FREE_ATTEMPTS):
        assert (await sign_in(person, "wrong")).status_code == 401
    before = passwords(platform).checks
    locked = await sign_in(person)
    assert locked.status_code == 429
    assert 25 <= int(locked.headers["retry-after"]) <= 30
    assert passwords(platform).checks == before, "a locked account must not have its password looked at"


async def test_parallel_guesses_do_not_outrun_the_count(platform, make_person, sign_in):
    person = await make_person()
    answers = await asyncio.gather(*(sign_in(person, "wrong") for _ in range(20)))
    assert sorted(a.status_code for a in answers) == [401] * FREE_ATTEMPTS + [429] * (20 - FREE_ATTEMPTS)


async def test_after_the_wait_a_right_password_clears_the_count(platform, make_person, sign_in):
    person = await make_person()
    for _ in range(FREE_ATTEMPTS):
        await sign_in(person, "wrong")
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE login_attempts SET locked_until = now() - interval '1 second'")
    assert (await sign_in(person)).status_code == 200
    for _ in range(FREE_ATTEMPTS):
        assert (await sign_in(person, "wrong")).status_code == 401


async def test_a_lock_out_of_one_account_leaves_the_others_alone(make_person, sign_in):
    victim, neighbour = await make_person(), await make_person()
    for _ in range(FREE_ATTEMPTS + 1):
        await sign_in(victim, "wrong")
    assert (await sign_in(neighbour)).status_code == 200


async def test_a_password_that_is_changed_while_it_is_checked_begins_no_session(
    client, platform, make_person, sign_in, bearer, monkeypatch
):
    person = await make_person()
    headers = await bearer(person)
    check, begun = Passwords.check, []

    async def slow(self, password, stored_hash):
        right = await check(self, password, stored_hash)
        if not begun:
            begun.append(password)
            body = {"current_password": person.password, "new_password": "another-1mz050nq-password"}
            changed = await client.post("/api/v1/auth/password", headers=headers, json=body)
            assert changed.status_code == 204, changed.text
        return right

    monkeypatch.setattr(Passwords, "check", slow)
    late = await sign_in(person)
    assert begun
    assert late.status_code == 401


async def test_a_refresh_gives_a_new_pair(client, make_person, sign_in):
    first = await sign_in(await make_person())
    second = await refresh(client, cookie_of(first))
    assert second.status_code == 200
    assert cookie_of(second) != cookie_of(first)
    assert (await refresh(client, cookie_of(second))).status_code == 200


async def test_a_replayed_refresh_token_ends_its_whole_family_at_once(client, make_person, sign_in):
    first = await sign_in(await make_person())
    second = await refresh(client, cookie_of(first))
    headers = {"Authorization": f"Bearer {second.json()['access_token']}"}
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 200
    assert (await refresh(client, cookie_of(first))).status_code == 401
    assert (await refresh(client, cookie_of(second))).status_code == 401
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401


async def test_two_refreshes_that_race_do_not_both_win(client, make_person, sign_in):
    first = await sign_in(await make_person())
    answers = await asyncio.gather(*(refresh(client, cookie_of(first)) for _ in range(8)))
    assert [a.status_code for a in answers].count(200) <= 1


async def test_another_session_of_the_same_person_survives_a_replay(client, make_person, sign_in):
    person = await make_person()
    stolen, other = await sign_in(person), await sign_in(person)
    await refresh(client, cookie_of(stolen))
    await refresh(client, cookie_of(stolen))
    assert (await refresh(client, cookie_of(other))).status_code == 200


@pytest.mark.parametrize("token", ["", "ftr_", "ftr_" + "a" * 43, "x" * 5000, "null"])
async def test_an_invented_refresh_token_is_refused(client, token):
    assert (await refresh(client, token)).status_code == 401


async def test_signing_out_ends_access_and_refresh(client, make_person, sign_in):
    answer = await sign_in(await make_person())
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    out = await client.post("/api/v1/auth/logout", headers={"Cookie": f"{COOKIE}={cookie_of(answer)}"})
    assert out.status_code == 204
    for name in (COOKIE, ROTATION):
        assert {f'{name}=""', "max-age=0"} <= attributes_of(out, name)
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
    assert (await refresh(client, cookie_of(answer))).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "null"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://localhost.evil.example"},
        {"Origin": "http://evil-localhost"},
        {"Origin": "http://localhost:81"},
        {"Origin": "http://localhost@evil.example"},
        {"Origin": "file://"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
async def test_another_page_cannot_use_the_cookie(client, make_person, sign_in, headers):
    answer = await sign_in(await make_person())
    assert (await refresh(client, cookie_of(answer), **headers)).status_code == 403
    out = await client.post(
        "/api/v1/auth/logout", headers={"Cookie": f"{COOKIE}={cookie_of(answer)}", **headers}
    )
    assert out.status_code == 403
    assert (await refresh(client, cookie_of(answer), Origin="http://localhost")).status_code == 200


async def test_the_cookie_opens_nothing_but_its_own_two_routes(client, make_person, sign_in):
    answer = await sign_in(await make_person())
    me = await client.get("/api/v1/me", headers={"Cookie": f"{COOKIE}={cookie_of(answer)}"})
    assert me.status_code == 401


async def test_a_one_time_password_opens_nothing_but_its_own_change(
    client, make_person, sign_in, bearer, tenant
):
    person = await make_person({tenant: "tenant_admin"}, must_change_password=True)
    headers = await bearer(person, tenant)
    assert (await client.get("/api/v1/me", headers=headers)).json()["must_change_password"] is True
    for method, path in (("GET", "/users"), ("GET", "/api-keys"), ("GET", "/tenants"), ("POST", "/api-keys")):
        body = {"json": {"name": "x", "scopes": ["incidents:read"]}} if method == "POST" else {}
        answer = await client.request(method, f"/api/v1{path}", headers=headers, **body)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:fettle:problem:password-change-required"
    changed = await client.post(
        "/api/v1/auth/password",
        headers=headers,
        json={"current_password": person.password, "new_password": "quite another phrase"},
    )
    assert changed.status_code == 204
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 200
    assert (await sign_in(person)).status_code == 401
    assert (await sign_in(person, "quite another phrase")).json()["must_change_password"] is False


async def test_changing_the_password_ends_the_other_sessions_and_not_this_one(
    client, make_person, bearer, tenant
):
    person = await make_person({tenant: "viewer"})
    here, elsewhere = await bearer(person), await bearer(person)
    await client.post(
        "/api/v1/auth/password",
        headers=here,
        json={"current_password": person.password, "new_password": "quite another phrase"},
    )
    assert (await client.get("/api/v1/me", headers=here)).status_code == 200
    assert (await client.get("/api/v1/me", headers=elsewhere)).status_code == 401


async def test_a_new_password_is_neither_the_old_one_nor_the_address(client, make_person, bearer, tenant):
    person = await make_person({tenant: "viewer"})
    headers = await bearer(person)
    for wish in (person.password, person.password.upper(), person.email):
        answer = await client.post(
            "/api/v1/auth/password",
            headers=headers,
            json={"current_password": person.password, "new_password": wish},
        )
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == "/new_password"
        assert wish not in answer.text


async def test_a_stolen_token_does_not_let_one_guess_the_password(client, make_person, bearer, tenant):
    headers = await bearer(await make_person({tenant: "viewer"}))
    guess = {"current_password": "wrong", "new_password": "quite another phrase"}
    statuses = [
        (await client.post("/api/v1/auth/password", headers=headers, json=guess)).status_code
        for _ in range(FREE_ATTEMPTS + 1)
    ]
    assert statuses == [422] * FREE_ATTEMPTS + [429]


async def test_the_owner_is_made_once_and_must_change_the_password(client, platform):
    one_time = await ensure_owner(platform)
    assert one_time
    assert await ensure_owner(platform) is None
    answer = await client.post("/api/v1/auth/login", json={"email": OWNER_EMAIL, "password": one_time})
    assert answer.json()["must_change_password"] is True
    client.cookies.clear()
    async with platform.database.raw_system() as connection:
        stored = await connection.fetchval("SELECT string_agg(r::text, '') FROM (SELECT * FROM users) r")
        audited = await connection.fetchval(
            "SELECT string_agg(r::text, '') FROM (SELECT * FROM audit_records) r"
        )
    assert one_time not in stored
    assert one_time not in audited
