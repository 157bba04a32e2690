"""Authenticator apps and recovery codes: each code once, guessing locked out, and no way around them."""

import asyncio
import logging
import re
from uuid import uuid4

import pyotp
import pytest
import structlog

from fettle.identity import totp
from fettle.identity.lockout import FREE_ATTEMPTS
from fettle.kernel.clock import utcnow

COOKIE = "fettle_refresh"


class App:
    """An authenticator app on the person's phone, and the moment of the test."""

    now = utcnow()

    def __init__(self, secret):
        self.secret = secret
        self._given = 0

    def code(self, offset=0):
        step = int(self.now.timestamp()) // totp.STEP_SECONDS + offset
        return pyotp.TOTP(self.secret).generate_otp(step)

    async def fresh(self, platform, person):
        """Return the present code, as if the last one had been used long ago."""
        async with platform.database.raw_system() as connection:
            await connection.execute("UPDATE totp_factors SET last_step = 0 WHERE user_id = $1", person.id)
        return self.code()


@pytest.fixture(autouse=True)
def moment(monkeypatch):
    """The phone and the platform look at one clock that stands: no step ends between a code and its use."""
    now, look = utcnow(), totp.step_of
    monkeypatch.setattr(App, "now", now)
    monkeypatch.setattr(totp, "step_of", lambda code, secret, _: look(code, secret, now))


@pytest.fixture
def enrol(client, platform):
    """Add an authenticator app to the account that some headers belong to."""

    async def add(headers):
        begun = await client.post("/api/v1/me/totp", headers=headers)
        assert begun.status_code == 200, begun.text
        app = App(begun.json()["secret"])
        answer = await client.post("/api/v1/me/totp/confirm", headers=headers, json={"code": app.code()})
        assert answer.status_code == 200, answer.text
        return app, answer.json()["recovery_codes"]

    return add


@pytest.fixture
def enrolled(make_person, bearer, enrol, tenant):
    """Make a person with an authenticator app."""

    async def make():
        person = await make_person({tenant: "tenant_admin"})
        headers = await bearer(person, tenant)
        app, codes = await enrol(headers)
        return person, headers, app, codes

    return make


@pytest.fixture
def answer_with(client):
    """Answer a challenge."""

    async def answer(challenge, code, method="totp"):
        body = {"challenge": challenge, "method": method, "code": code}
        given = await client.post("/api/v1/auth/mfa", json=body)
        client.cookies.clear()
        return given

    return answer


async def challenge_of(sign_in, person):
    answer = await sign_in(person)
    assert answer.status_code == 200, answer.text
    assert answer.json()["mfa_required"] is True
    return answer.json()["challenge"]


def as_bearer(answer, tenant=None):
    named = {"X-Tenant-ID": str(tenant)} if tenant else {}
    return {"Authorization": f"Bearer {answer.json()['access_token']}", **named}


async def test_the_password_alone_gives_a_challenge_and_nothing_else(client, platform, enrolled, sign_in):
    person, _, app, _ = await enrolled()
    answer = await sign_in(person)
    assert answer.json()["methods"] == ["totp", "recovery_code"]
    assert answer.json()["expires_in"] == 300
    assert "access_token" not in answer.text
    assert "set-cookie" not in answer.headers
    challenge = answer.json()["challenge"]
    for token in (challenge, app.secret):
        me = await client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})
        assert me.status_code == 401


async def test_a_code_finishes_the_sign_in(client, platform, enrolled, sign_in, answer_with):
    person, _, app, _ = await enrolled()
    answer = await answer_with(await challenge_of(sign_in, person), await app.fresh(platform, person))
    assert answer.status_code == 200
    assert COOKIE in answer.headers["set-cookie"]
    assert answer.headers["cache-control"] == "no-store"
    assert (await client.get("/api/v1/me", headers=as_bearer(answer))).json()["email"] == person.email
    listed = await client.get("/api/v1/me/sessions", headers=as_bearer(answer))
    current = [one for one in listed.json()["items"] if one["current"]]
    assert current[0]["methods"] == ["password", "totp"]


@pytest.mark.parametrize("offset", [-1, 0, 1])
async def test_a_clock_may_be_one_step_off(platform, enrolled, sign_in, answer_with, offset):
    person, _, app, _ = await enrolled()
    await app.fresh(platform, person)
    assert (await answer_with(await challenge_of(sign_in, person), app.code(offset))).status_code == 200


@pytest.mark.parametrize("offset", [-3, 3, 2_000])
async def test_and_no_more_than_that(platform, enrolled, sign_in, answer_with, offset):
    person, _, app, _ = await enrolled()
    await app.fresh(platform, person)
    assert (await answer_with(await challenge_of(sign_in, person), app.code(offset))).status_code == 422


async def test_a_code_is_good_once_even_in_another_sign_in(platform, enrolled, sign_in, answer_with):
    person, _, app, _ = await enrolled()
    code = await app.fresh(platform, person)
    first, second = await challenge_of(sign_in, person), await challenge_of(sign_in, person)
    assert (await answer_with(first, code)).status_code == 200
    replayed = await answer_with(second, code)
    assert replayed.status_code == 422
    assert replayed.json()["errors"][0]["pointer"] == "/code"


async def test_the_code_that_confirmed_the_app_is_used_up(enrolled, sign_in, answer_with):
    person, _, app, _ = await enrolled()
    assert (await answer_with(await challenge_of(sign_in, person), app.code())).status_code == 422


async def test_an_older_step_is_refused_after_a_newer_one(platform, enrolled, sign_in, answer_with):
    person, _, app, _ = await enrolled()
    await app.fresh(platform, person)
    assert (await answer_with(await challenge_of(sign_in, person), app.code(1))).status_code == 200
    assert (await answer_with(await challenge_of(sign_in, person), app.code())).status_code == 422


async def test_of_two_uses_of_one_code_that_race_one_wins(platform, enrolled, sign_in, answer_with):
    person, _, app, _ = await enrolled()
    code = await app.fresh(platform, person)
    pending = [await challenge_of(sign_in, person) for _ in range(4)]
    answers = await asyncio.gather(*(answer_with(one, code) for one in pending))
    assert [a.status_code for a in answers].count(200) == 1


async def test_of_two_uses_of_one_recovery_code_that_race_one_wins(enrolled, sign_in, answer_with):
    person, _, _, codes = await enrolled()
    pending = [await challenge_of(sign_in, person) for _ in range(4)]
    answers = await asyncio.gather(*(answer_with(one, codes[0], "recovery_code") for one in pending))
    assert [a.status_code for a in answers].count(200) == 1


async def test_of_two_answers_to_one_challenge_that_race_one_wins(enrolled, sign_in, answer_with):
    person, _, _, codes = await enrolled()
    challenge = await challenge_of(sign_in, person)
    answers = await asyncio.gather(*(answer_with(challenge, code, "recovery_code") for code in codes[:4]))
    assert [a.status_code for a in answers].count(200) == 1
    assert {a.status_code for a in answers} == {200, 401}


async def test_a_recovery_code_is_good_once_however_it_is_typed(client, enrolled, sign_in, answer_with):
    person, _, _, codes = await enrolled()
    assert len(set(codes)) == 10
    typed = codes[3].upper().replace("-", " ")
    answer = await answer_with(await challenge_of(sign_in, person), typed, "recovery_code")
    assert answer.status_code == 200
    again = await answer_with(await challenge_of(sign_in, person), codes[3], "recovery_code")
    assert again.status_code == 422
    security = await client.get("/api/v1/me/security", headers=as_bearer(answer))
    assert security.json()["recovery_codes_left"] == 9


async def test_another_persons_codes_are_good_for_nothing(platform, enrolled, sign_in, answer_with):
    person, *_ = await enrolled()
    other, _, their_app, their_codes = await enrolled()
    challenge = await challenge_of(sign_in, person)
    assert (await answer_with(challenge, await their_app.fresh(platform, other))).status_code == 422
    assert (await answer_with(challenge, their_codes[0], "recovery_code")).status_code == 422


async def test_a_challenge_is_used_up_by_its_sign_in(platform, enrolled, sign_in, answer_with):
    person, _, app, codes = await enrolled()
    challenge = await challenge_of(sign_in, person)
    assert (await answer_with(challenge, await app.fresh(platform, person))).status_code == 200
    assert (await answer_with(challenge, codes[0], "recovery_code")).status_code == 401


@pytest.mark.parametrize(
    "how",
    [
        "UPDATE sign_in_challenges SET expires_at = now() - interval '1 second' WHERE user_id = $1",
        "UPDATE users SET disabled_at = now() WHERE id = $1",
        "UPDATE users SET password_hash = 'another' WHERE id = $1",
    ],
    ids=["late", "disabled", "another password"],
)
async def test_a_challenge_that_is_late_or_overtaken_is_over(platform, enrolled, sign_in, answer_with, how):
    person, _, app, _ = await enrolled()
    challenge = await challenge_of(sign_in, person)
    code = await app.fresh(platform, person)
    async with platform.database.raw_system() as connection:
        await connection.execute(how, person.id)
    assert (await answer_with(challenge, code)).status_code == 401


@pytest.mark.parametrize("challenge", ["", "ftc_", "ftc_" + "a" * 43, "ftr_" + "a" * 43, "x" * 100])
async def test_an_invented_challenge_is_refused(answer_with, challenge):
    assert (await answer_with(challenge, "000000")).status_code in {401, 422}


@pytest.mark.parametrize("method", ["totp", "recovery_code"])
async def test_guessing_codes_is_locked_out_whatever_the_challenge(
    platform, enrolled, sign_in, answer_with, method
):
    person, _, app, codes = await enrolled()
    for _ in range(FREE_ATTEMPTS):
        wrong = await answer_with(await challenge_of(sign_in, person), "000000", method)
        assert wrong.status_code == 422
    right = codes[0] if method == "recovery_code" else await app.fresh(platform, person)
    locked = await answer_with(await challenge_of(sign_in, person), right, method)
    assert locked.status_code == 429
    assert 25 <= int(locked.headers["retry-after"]) <= 30
    async with platform.database.raw_system() as connection:
        left = await connection.fetchval("SELECT count(*) FROM recovery_codes WHERE user_id = $1", person.id)
        refused = await connection.fetchval(
            "SELECT count(*) FROM audit_records WHERE action = 'second_factor.refused' AND target_id = $1",
            str(person.id),
        )
    assert left == 10
    assert refused == FREE_ATTEMPTS


async def test_parallel_guesses_do_not_outrun_the_count(enrolled, sign_in, answer_with):
    person, *_ = await enrolled()
    challenge = await challenge_of(sign_in, person)
    answers = await asyncio.gather(*(answer_with(challenge, f"{n:06}") for n in range(20)))
    assert sorted(a.status_code for a in answers) == [422] * FREE_ATTEMPTS + [429] * (20 - FREE_ATTEMPTS)


async def test_a_right_password_does_not_clear_the_count_of_codes(platform, enrolled, sign_in, answer_with):
    """Otherwise every sign-in would give five more guesses."""
    person, *_ = await enrolled()
    for _ in range(FREE_ATTEMPTS):
        await answer_with(await challenge_of(sign_in, person), "000000")
    assert (await answer_with(await challenge_of(sign_in, person), "000000")).status_code == 429


@pytest.mark.parametrize("code", ["", "12345", "1234567", "abcdef", "١٢٣٤٥٦", "000000\n", "-00001"])
async def test_what_is_no_code_is_refused(enrolled, sign_in, answer_with, code):
    person, *_ = await enrolled()
    assert (await answer_with(await challenge_of(sign_in, person), code)).status_code == 422


async def test_an_app_counts_only_once_it_is_confirmed(client, make_person, bearer, sign_in, tenant):
    person = await make_person({tenant: "viewer"})
    headers = await bearer(person)
    begun = await client.post("/api/v1/me/totp", headers=headers)
    assert begun.json()["uri"].startswith("otpauth://totp/Fettle:")
    assert (await client.get("/api/v1/me/security", headers=headers)).json()["totp"] is None
    assert "access_token" in (await sign_in(person)).json()
    wrong = await client.post("/api/v1/me/totp/confirm", headers=headers, json={"code": "000000"})
    assert wrong.status_code == 422


async def test_a_second_app_does_not_replace_the_first(client, enrolled):
    _, headers, _, _ = await enrolled()
    assert (await client.post("/api/v1/me/totp", headers=headers)).status_code == 409
    again = await client.post("/api/v1/me/totp/confirm", headers=headers, json={"code": "000000"})
    assert again.status_code == 409


async def test_sessions_from_before_the_app_end_and_this_one_goes_on(
    client, make_person, bearer, enrol, tenant
):
    person = await make_person({tenant: "viewer"})
    here, elsewhere = await bearer(person), await bearer(person)
    await enrol(here)
    assert (await client.get("/api/v1/me", headers=here)).status_code == 200
    assert (await client.get("/api/v1/me", headers=elsewhere)).status_code == 401


async def age(platform, person):
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE refresh_sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = $1",
            person.id,
        )


async def test_a_stolen_session_cannot_change_how_the_account_signs_in(client, platform, enrolled):
    person, headers, app, _ = await enrolled()
    await age(platform, person)
    tried = (
        ("/me/totp/disable", {"code": await app.fresh(platform, person)}),
        ("/me/recovery-codes", {}),
        ("/me/totp", {}),
    )
    for path, body in tried:
        answer = await client.post(f"/api/v1{path}", headers=headers, json=body)
        assert answer.status_code == 403, path
        assert answer.json()["type"] == "urn:fettle:problem:recent-sign-in-required"
        wrong = await client.post(f"/api/v1{path}", headers=headers, json=body | {"password": "wrong"})
        assert wrong.status_code == 422
        assert wrong.json()["errors"][0]["pointer"] == "/password"
    body = {"code": await app.fresh(platform, person), "password": person.password}
    assert (await client.post("/api/v1/me/totp/disable", headers=headers, json=body)).status_code == 204


async def test_confirming_needs_the_password_and_the_second_factor(client, platform, enrolled):
    person, headers, app, _ = await enrolled()
    await age(platform, person)

    async def confirm(**body):
        return (await client.post("/api/v1/me/confirm", headers=headers, json=body)).status_code

    assert await confirm(password=person.password) == 422
    assert await confirm(password=person.password, code="000000") == 422
    assert await confirm(password="wrong", code=await app.fresh(platform, person)) == 422
    assert (await client.post("/api/v1/me/recovery-codes", headers=headers)).status_code == 403
    assert await confirm(password=person.password, code=await app.fresh(platform, person)) == 204
    assert (await client.post("/api/v1/me/recovery-codes", headers=headers)).status_code == 200


async def test_removing_the_app_needs_its_code(client, platform, enrolled, sign_in):
    person, headers, _, codes = await enrolled()
    body = {"password": person.password, "code": "000000"}
    assert (await client.post("/api/v1/me/totp/disable", headers=headers, json=body)).status_code == 422
    body["code"] = codes[0]
    assert (await client.post("/api/v1/me/totp/disable", headers=headers, json=body)).status_code == 204
    security = (await client.get("/api/v1/me/security", headers=headers)).json()
    assert (security["totp"], security["recovery_codes_left"]) == (None, 0)
    assert "access_token" in (await sign_in(person)).json()


async def test_new_recovery_codes_end_the_old(client, enrolled, sign_in, answer_with):
    person, headers, _, old = await enrolled()
    answer = await client.post("/api/v1/me/recovery-codes", headers=headers)
    new = answer.json()["recovery_codes"]
    assert not set(new) & set(old)
    challenge = await challenge_of(sign_in, person)
    assert (await answer_with(challenge, old[0], "recovery_code")).status_code == 422
    assert (await answer_with(challenge, new[0], "recovery_code")).status_code == 200


async def test_recovery_codes_stand_beside_a_factor_and_not_alone(client, make_person, bearer, tenant):
    headers = await bearer(await make_person({tenant: "viewer"}))
    assert (await client.post("/api/v1/me/recovery-codes", headers=headers)).status_code == 409


async def test_a_refresh_and_a_changed_password_do_not_get_around_the_second_factor(
    client, platform, enrolled, sign_in, answer_with
):
    person, headers, app, _ = await enrolled()
    new = "quite another phrase"
    changed = await client.post(
        "/api/v1/auth/password",
        headers=headers,
        json={"current_password": person.password, "new_password": new},
    )
    assert changed.status_code == 204
    assert (await sign_in(person, new)).json()["mfa_required"] is True
    person.password = new
    signed_in = await answer_with(await challenge_of(sign_in, person), await app.fresh(platform, person))
    refreshed = await client.post(
        "/api/v1/auth/refresh", headers={"Cookie": f"{COOKIE}={signed_in.cookies[COOKIE]}"}
    )
    client.cookies.clear()
    listed = await client.get("/api/v1/me/sessions", headers=as_bearer(refreshed))
    assert [one["methods"] for one in listed.json()["items"] if one["current"]] == [["password", "totp"]]


async def test_a_one_time_password_opens_no_second_factor(client, make_person, bearer, tenant):
    headers = await bearer(await make_person({tenant: "viewer"}, must_change_password=True))
    for method, path in (("GET", "/me/security"), ("POST", "/me/totp"), ("POST", "/me/recovery-codes")):
        answer = await client.request(method, f"/api/v1{path}", headers=headers)
        assert answer.status_code == 403
        assert answer.json()["type"] == "urn:fettle:problem:password-change-required"


REASON = {"reason": "The phone was stolen; called back."}


def reset_path(person):
    return f"/api/v1/users/{person.id}/second-factors/reset"


async def reset_records(platform, person):
    async with platform.database.raw_system() as connection:
        return [
            tuple(row)
            for row in await connection.fetch(
                "SELECT actor, tenant_id, after FROM audit_records "
                "WHERE action = 'second_factor.reset' AND target_id = $1",
                str(person.id),
            )
        ]


async def test_an_administrator_takes_lost_factors_from_a_member_of_their_tenant_alone(
    client, platform, make_person, bearer, enrolled, sign_in, tenant
):
    person, headers, _, _ = await enrolled()
    administrator = await make_person({tenant: "tenant_admin"})
    admin = await bearer(administrator, tenant)
    for lacking in ({}, {"reason": "  "}):
        assert (await client.post(reset_path(person), headers=admin, json=lacking)).status_code == 422
    for other in (headers, await bearer(await make_person({tenant: "operator"}), tenant)):
        answer = await client.post(reset_path(person), headers=other, json=REASON)
        assert answer.status_code == 403, "neither one's own nor without the permission"
    assert await reset_records(platform, person) == []
    assert (await client.post(reset_path(person), headers=admin, json=REASON)).status_code == 204
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
    assert "access_token" in (await sign_in(person)).json()
    assert await reset_records(platform, person) == [(f"user:{administrator.id}", tenant, REASON)]


@pytest.mark.parametrize("elsewhere", ["another tenant", "a partner", "the platform"])
async def test_no_tenant_takes_factors_from_an_account_that_acts_elsewhere_too(
    client, platform, make_person, bearer, enrolled, sign_in, tenant, other_tenant, elsewhere
):
    person, _, _, _ = await enrolled()
    async with platform.database.raw_system() as connection:
        if elsewhere == "another tenant":
            await connection.execute(
                "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, 'viewer')",
                other_tenant, person.id,
            )  # fmt: skip
        elif elsewhere == "a partner":
            partner = uuid4()
            await connection.execute(
                "INSERT INTO partners (id, name, slug) VALUES ($1, 'P', $2)", partner, f"p-{partner.hex[:9]}"
            )
            await connection.execute(
                "INSERT INTO partner_members (partner_id, user_id, role) VALUES ($1, $2, 'viewer')",
                partner, person.id,
            )  # fmt: skip
        else:
            await connection.execute("UPDATE users SET is_platform_admin = true WHERE id = $1", person.id)
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    answer = await client.post(reset_path(person), headers=admin, json=REASON)
    assert (answer.status_code, "platform administrator" in answer.json()["detail"]) == (403, True)
    assert (await sign_in(person)).json()["mfa_required"] is True
    owner = await bearer(await make_person(is_platform_admin=True), tenant)
    assert (await client.post(reset_path(person), headers=owner, json=REASON)).status_code == 204
    assert "access_token" in (await sign_in(person)).json()


async def test_nobody_takes_factors_from_who_can_do_more_nor_from_whom_the_tenant_does_not_have(
    client, make_person, bearer, enrolled, sign_in, tenant, other_tenant
):
    person, _, _, _ = await enrolled()
    stranger = await bearer(await make_person({other_tenant: "tenant_admin"}), other_tenant)
    assert (await client.post(reset_path(person), headers=stranger, json=REASON)).status_code == 404
    chief = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    role = {
        "name": f"front-{uuid4().hex[:8]}",
        "description": "Front",
        "permissions": ["users:read", "users:write"],
    }
    made = await client.post("/api/v1/roles", headers=chief, json=role)
    assert made.status_code == 201, made.text
    lesser = await bearer(await make_person({tenant: role["name"]}), tenant)
    assert (await client.post(reset_path(person), headers=lesser, json=REASON)).status_code == 403
    assert (await sign_in(person)).json()["mfa_required"] is True


async def test_a_reset_of_factors_needs_a_recent_sign_in(
    client, platform, make_person, bearer, enrolled, tenant
):
    person, _, _, _ = await enrolled()
    administrator = await make_person({tenant: "tenant_admin"})
    admin = await bearer(administrator, tenant)
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE refresh_sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = $1",
            administrator.id,
        )
    answer = await client.post(reset_path(person), headers=admin, json=REASON)
    assert answer.json()["type"] == "urn:fettle:problem:recent-sign-in-required"


async def test_lost_factors_are_taken_from_an_account_of_no_tenant_too(
    client, platform, make_person, bearer, enrol, sign_in, tenant
):
    person = await make_person()
    headers = await bearer(person)
    await enrol(headers)
    path = f"/api/v1/accounts/{person.id}/second-factors"
    assert (await client.get("/api/v1/me", headers=headers)).json()["tenants"] == []
    for other in (headers, await bearer(await make_person({tenant: "tenant_admin"}), tenant)):
        assert (await client.delete(path, headers=other)).status_code == 403
    administrator = await make_person({tenant: "viewer"}, is_platform_admin=True)
    owner = await bearer(administrator)
    assert (await client.delete(path, headers=owner)).status_code == 204
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
    assert "access_token" in (await sign_in(person)).json()
    assert (await client.delete(path.replace(str(person.id), str(uuid4())), headers=owner)).status_code == 404
    async with platform.database.raw_system() as connection:
        written = await connection.fetch(
            "SELECT actor, tenant_id FROM audit_records WHERE action = 'second_factor.reset' AND target_id = $1",
            str(person.id),
        )
    assert [tuple(row) for row in written] == [(f"user:{administrator.id}", None)]


async def test_no_secret_of_a_second_factor_is_ever_told_again(
    client, platform, enrolled, sign_in, answer_with, caplog
):
    caplog.set_level(logging.DEBUG)
    with structlog.testing.capture_logs() as logged:
        person, headers, app, codes = await enrolled()
        code = await app.fresh(platform, person)
        challenge = await challenge_of(sign_in, person)
        wrong = await answer_with(challenge, "000000")
        await answer_with(challenge, code)
        asked = [
            await client.get(f"/api/v1{path}", headers=headers)
            for path in ("/me/security", "/me/sessions", "/me")
        ]
        told = [answer.text for answer in (wrong, *asked)]
    async with platform.database.raw_system() as connection:
        tables = [
            row[0]
            for row in await connection.fetch(
                "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
                "AND has_table_privilege(oid, 'SELECT')"
            )
        ]
        for table in tables:
            told += [row[0] for row in await connection.fetch(f"SELECT t::text FROM {table} t")]
    everything = "\n".join([*told, str(logged), caplog.text])
    planted = [app.secret, challenge, *codes, *(re.sub("-", "", code) for code in codes)]
    assert [secret for secret in planted if secret in everything] == []
    assert app.secret.encode().hex() not in everything
