"""A forgotten password: the same for every address, good once, ends every session, and no way past a second factor."""

import asyncio
import logging
import re

import pytest
import pytest_asyncio
from sqlalchemy import event, text
from tests.identity.test_invitations import everything_stored, logged
from tests.mail_box import link_in, token_in

from fettle.identity import links, mailing
from fettle.identity.sign_in import passwords
from fettle.kernel.ratelimit import PART, RateLimiter

NEW = "quite another phrase"


@pytest_asyncio.fixture(scope="module")
async def settings(settings, box):
    return box.settings(settings)


@pytest.fixture(autouse=True)
def nobody_asked_yet(platform):
    """Let each test begin with the whole of the limit."""
    platform.parts[PART] = RateLimiter(None, per_minute=600_000)


async def forgot(client, email, **headers):
    return await client.post("/api/v1/auth/password/forgot", json={"email": email}, headers=headers)


async def reset(client, token, password=NEW):
    return await client.post("/api/v1/auth/password/reset", json={"token": token, "new_password": password})


async def asked(client, platform, box, person):
    """Have a link mailed and return its token."""
    assert (await forgot(client, person.email)).status_code == 202
    while await mailing.deliver_due(platform):
        pass
    return token_in(box.to(person.email)[-1])


async def test_a_forgotten_password_is_set_anew_and_every_session_ends(
    client, platform, box, make_person, bearer, sign_in, tenant
):
    person = await make_person({tenant: "viewer"})
    headers = await bearer(person)
    token = await asked(client, platform, box, person)
    assert link_in(box.to(person.email)[-1]).startswith("https://fettle.example.org/reset-password#token=")
    answer = await reset(client, token)
    assert answer.status_code == 204
    assert "set-cookie" not in answer.headers
    assert (await client.get("/api/v1/me", headers=headers)).status_code == 401
    assert (await sign_in(person)).status_code == 401
    assert (await sign_in(person, NEW)).status_code == 200
    await mailing.deliver_due(platform)
    assert box.to(person.email)[-1]["subject"] == "Your password was changed"


async def test_whoever_loses_their_second_factors_to_an_administrator_is_told(
    client, platform, box, make_person, bearer, tenant
):
    person = await make_person({tenant: "viewer"})
    admin = await bearer(await make_person({tenant: "tenant_admin"}), tenant)
    path, body = f"/api/v1/users/{person.id}/second-factors/reset", {"reason": "The phone was stolen."}
    assert (await client.post(path, headers=admin, json=body)).status_code == 204
    while await mailing.deliver_due(platform):
        pass
    told = box.to(person.email)[-1]
    assert told["subject"] == "Your second factors were removed"
    assert link_in(told) == "https://fettle.example.org"
    assert body["reason"] not in str(told)


async def test_a_known_and_an_unknown_address_are_answered_alike_after_the_same_statements(
    client, platform, make_person
):
    person, disabled = await make_person(), await make_person()
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET disabled_at = now() WHERE id = $1", disabled.id)
    engine = platform.database._system.sync_engine
    said, answers = [], []

    def note(_connection, _cursor, statement, *_rest):
        said[-1].append(re.sub(r"\$\d+(::\w+)?", "$", statement))

    event.listen(engine, "before_cursor_execute", note)
    try:
        checks = passwords(platform).checks
        for email in (person.email, disabled.email, "nobody@example.org", "not even a real@address"):
            said.append([])
            answers.append(await forgot(client, email))
        assert passwords(platform).checks == checks
    finally:
        event.remove(engine, "before_cursor_execute", note)
    assert [a.status_code for a in answers] == [202, 202, 202, 422]
    assert answers[0].text == answers[1].text == answers[2].text
    assert said[0] == said[1] == said[2]
    assert said[0]


async def test_nobody_without_an_account_gets_a_mail_and_what_they_typed_is_not_kept(client, platform, box):
    while await mailing.deliver_due(platform):
        pass
    typed = "my-secret-password@typed.by.mistake"
    await forgot(client, typed)
    assert typed not in await everything_stored(platform)
    before = len(box.mails)
    while await mailing.deliver_due(platform):
        pass
    assert len(box.mails) == before
    async with platform.database.raw_system() as connection:
        waiting = await connection.fetchval("SELECT count(*) FROM outgoing_mails WHERE state = 'queued'")
    assert waiting == 0


async def test_a_link_is_good_once_even_when_it_is_used_twice_at_once(
    client, platform, box, make_person, sign_in
):
    person = await make_person()
    token = await asked(client, platform, box, person)
    wishes = [f"phrase of the racer {n}" for n in range(4)]
    answers = await asyncio.gather(*(reset(client, token, wish) for wish in wishes))
    assert sorted(a.status_code for a in answers) == [204, 404, 404, 404]
    [winner] = [wish for wish, a in zip(wishes, answers, strict=True) if a.status_code == 204]
    assert (await sign_in(person, winner)).status_code == 200
    assert (await reset(client, token)).status_code == 404


async def test_using_one_link_ends_the_others(client, platform, box, make_person):
    person = await make_person()
    first = await asked(client, platform, box, person)
    second = await asked(client, platform, box, person)
    assert (await reset(client, second)).status_code == 204
    assert (await reset(client, first, "one more different phrase")).status_code == 404


async def test_an_expired_link_and_that_of_a_disabled_account_are_not_good(
    client, platform, box, make_person, sign_in
):
    late, disabled = await make_person(), await make_person()
    tokens = [await asked(client, platform, box, person) for person in (late, disabled)]
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE link_tokens SET expires_at = now() WHERE user_id = $1", late.id)
        await connection.execute("UPDATE users SET disabled_at = now() WHERE id = $1", disabled.id)
    answers = [await reset(client, token) for token in [*tokens, "ftp_" + "A" * 43, "x"]]
    assert {a.status_code for a in answers} == {404}
    assert len({a.json()["detail"] for a in answers}) == 1
    assert (await sign_in(late)).status_code == 200
    await links.forget_links(platform)
    async with platform.database.raw_system() as connection:
        assert await connection.fetchval("SELECT count(*) FROM link_tokens WHERE user_id = $1", late.id) == 0


async def test_a_link_of_an_invitation_resets_no_password(client, platform, make_person):
    person = await make_person()
    async with platform.database.system() as session:
        token = await links.mint(session, user_id=person.id, expires_at=await _later(session))
    as_invitation = {"token": token, "name": "N", "password": NEW}
    assert (await client.post("/api/v1/auth/invitations/accept", json=as_invitation)).status_code == 404
    assert (await reset(client, token.replace("ftp_", "fti_"))).status_code == 404


@pytest.mark.parametrize("password", ["short", "aaaaaaaaaaaaaaaa", "x" * 129])
async def test_a_weak_password_does_not_use_the_link_up(client, platform, box, make_person, password):
    person = await make_person()
    token = await asked(client, platform, box, person)
    refused = await reset(client, token, password)
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["pointer"] == "/new_password"
    assert (await reset(client, token)).status_code == 204


async def test_a_second_factor_is_asked_for_after_a_reset_as_before(
    client, platform, box, make_person, sign_in
):
    person = await make_person()
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO totp_factors (user_id, sealed_secret, confirmed_at) VALUES ($1, '\\x00', now())",
            person.id,
        )
    begun = (await sign_in(person)).json()
    assert begun["mfa_required"] is True
    token = await asked(client, platform, box, person)
    assert (await reset(client, token)).status_code == 204
    answer = (await sign_in(person, NEW)).json()
    assert answer["mfa_required"] is True
    assert "access_token" not in answer
    # What was begun with the old password is not finished either.
    old = {"challenge": begun["challenge"], "method": "totp", "code": "000000"}
    assert (await client.post("/api/v1/auth/mfa", json=old)).status_code == 401


async def test_an_address_gets_few_mails_and_one_place_may_ask_seldom(client, platform, box, make_person):
    person = await make_person()
    statuses = [(await forgot(client, person.email)).status_code for _ in range(20)]
    assert statuses[0] == 202
    assert statuses[-1] == 429
    while await mailing.deliver_due(platform):
        pass
    # Those of one batch may be taken at the same moment; after it, no more are sent within the hour.
    sent = len(box.to(person.email))
    platform.parts[PART] = RateLimiter(None, per_minute=600_000)
    for _ in range(5):
        await forgot(client, person.email)
    while await mailing.deliver_due(platform):
        pass
    assert len(box.to(person.email)) == sent


async def test_the_host_of_a_request_does_not_get_into_the_link(client, platform, box, make_person):
    person = await make_person()
    await forgot(client, person.email, **{"Host": "evil.example", "X-Forwarded-Host": "evil.example"})
    while await mailing.deliver_due(platform):
        pass
    assert "evil.example" not in box.to(person.email)[-1].as_string()


async def test_a_reset_unlocks_an_address_that_was_guessed_at(client, platform, box, make_person, sign_in):
    person = await make_person()
    statuses = [(await sign_in(person, "wrong")).status_code for _ in range(7)]
    assert statuses[-1] == 429
    token = await asked(client, platform, box, person)
    assert (await reset(client, token)).status_code == 204
    assert (await sign_in(person, NEW)).status_code == 200


async def test_no_token_and_no_password_stands_in_database_logs_or_audit(
    client, platform, box, make_person, caplog
):
    caplog.set_level(logging.DEBUG)
    person = await make_person()
    token = await asked(client, platform, box, person)
    stored = await everything_stored(platform)
    await reset(client, token)
    stored += await everything_stored(platform)
    for secret in (token, token.removeprefix("ftp_"), NEW):
        assert secret not in stored
        assert secret not in logged(caplog)
    async with platform.database.raw_system() as connection:
        actions = await connection.fetch(
            "SELECT action, actor FROM audit_records WHERE target_id = $1 ORDER BY id", str(person.id)
        )
    told = [(row["action"], row["actor"]) for row in actions]
    assert ("password.reset_asked_for", "system:mail") in told
    assert ("password.reset", f"user:{person.id}") in told


async def _later(session):
    return await session.scalar(text("SELECT now() + interval '10 minutes'"))
