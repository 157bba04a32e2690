"""Calendar addresses: shown once, kept as a digest, read alone, ended at once, asked for not too often, in no log."""

import asyncio
import io
import json
from datetime import timedelta

import pytest
import pytest_asyncio
from tests.crosswise import somebody_waits

from fettle.healing.escalation import feeds
from fettle.healing.escalation.calendars import NOBODY
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound, RateLimited
from fettle.kernel.http.access_log import AccessLog
from fettle.kernel.ids import new_id


async def member(api, tenant, role="operator"):
    """Put a person into a tenant and return their id."""
    person = new_id()
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, 'x')",
            person,
            f"{person.hex}@example.org",
            f"Person {person.hex[-4:]}",
        )
        await connection.execute(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)", tenant.id, person, role
        )
    return person


async def make(api, tenant, person, *, whole=False):
    async with api.platform.database.tenant(tenant.id) as session:
        return (await feeds.make(session, tenant.id, person, "Telephone", whole=whole)).secret


async def ask(api, secret):
    return await api.client.get(f"/api/v1/calendars/{secret}/on-call.ics")


@pytest_asyncio.fixture
async def ada(api):
    """Somebody of alder who is on call for a day, after somebody else was."""
    person, other = await member(api, api.alder), await member(api, api.alder)
    now = utcnow()
    turns = [
        {"person": str(one), "begins": begins.isoformat(), "ends": (begins + timedelta(days=1)).isoformat()}
        for one, begins in ((other, now), (person, now + timedelta(days=1)))
    ]
    document = {"time_zone": "Europe/Berlin", "layers": [], "overrides": turns}
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO oncall_schedules (id, tenant_id, name, document, updated_by) VALUES ($1, $2, $3, $4, 't')",
            new_id(),
            api.alder.id,
            f"Main {person.hex}",
            json.dumps(document),
        )
    return person


async def test_it_shows_ones_own_times_or_everybodys_to_whoever_has_the_address_and_nothing_else(api, ada):
    own = await ask(api, await make(api, api.alder, ada))
    assert (own.status_code, own.headers["content-type"].split(";")[0]) == (200, "text/calendar")
    assert own.headers["cache-control"] == "private, no-store"
    assert own.headers["referrer-policy"] == "no-referrer"
    assert own.text.replace("\r\n ", "").count(f"X-FETTLE-PERSON:{ada}") == 1
    assert f"X-FETTLE-PERSON:{NOBODY}" not in own.text
    whole = (await ask(api, await make(api, api.alder, ada, whole=True))).text.replace("\r\n ", "")
    assert f"X-FETTLE-PERSON:{ada}" in whole
    assert f"X-FETTLE-PERSON:{NOBODY}" in whole
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        secret = await make(api, api.alder, ada)
        answer = await api.client.request(method, f"/api/v1/calendars/{secret}/on-call.ics")
        assert answer.status_code in {401, 404, 405}


async def test_the_secret_is_kept_nowhere_and_a_guess_is_answered_as_a_revoked_one(api, ada):
    secret = await make(api, api.alder, ada)
    assert len(secret) >= 8 + 43
    assert (await ask(api, secret)).status_code == 200
    async with api.platform.database.raw_system() as connection:
        for table in ("oncall_feeds", "audit_records", "events"):
            rows = await connection.fetch(f"SELECT t::text FROM {table} t")
            assert secret not in "".join(row[0] for row in rows)
        used = await connection.fetchval(
            "SELECT last_used_at FROM oncall_feeds WHERE digest = $1", feeds.digest_of(secret)
        )
        await connection.execute("DELETE FROM oncall_feeds WHERE digest = $1", feeds.digest_of(secret))
    assert used is not None
    guess = secret[:-4] + "AAAA"
    revoked, guessed = await ask(api, secret), await ask(api, guess)
    assert revoked.status_code == guessed.status_code == 404
    assert revoked.json()["detail"] == guessed.json()["detail"]
    for one in (secret, guess):
        told = await logged(api, f"/api/v1/calendars/{one}/on-call.ics")
        assert one not in revoked.text + guessed.text + told


async def logged(api, path):
    """Return what the log of requests says of one."""
    out = io.StringIO()
    log = AccessLog(api.platform.settings, out)
    named = {"request_id": "x", "tenant_id": None, "actor": None, "client": "x"}
    log.write(method="GET", path=path, status=200, milliseconds=1.0, **named)
    log.flush()
    assert "/api/v1/calendars/" in out.getvalue()
    return out.getvalue()


@pytest.mark.parametrize(
    "path", ["/api/v1/calendars/x/on-call.ics", "/api/v1/calendars/ftl_cal_/on-call.ics"]
)
async def test_what_is_no_address_of_ours_is_asked_to_sign_in(api, path):
    assert (await api.client.get(path)).status_code == 401


async def test_whoever_leaves_or_may_no_longer_see_it_gets_nothing(api, ada):
    secret = await make(api, api.alder, ada)
    async with api.platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET disabled_at = now() WHERE id = $1", ada)
    assert (await ask(api, secret)).status_code == 404
    left = await member(api, api.alder)
    theirs = await make(api, api.alder, left)
    async with api.platform.database.raw_system() as connection:
        await connection.execute("DELETE FROM memberships WHERE user_id = $1", left)
    assert (await ask(api, theirs)).status_code == 404


async def test_of_another_tenant_nothing_stands_in_it_and_nobody_there_can_end_it(api, ada):
    stranger = await member(api, api.birch)
    calendar = (await ask(api, await make(api, api.birch, stranger, whole=True))).text
    assert str(ada) not in calendar
    assert "BEGIN:VEVENT" not in calendar
    await make(api, api.alder, ada)
    async with api.platform.database.tenant(api.alder.id) as session:
        (mine,) = await feeds.listed(session, api.alder.id, ada, before=None, limit=1)
    async with api.platform.database.tenant(api.birch.id) as session:
        assert await feeds.listed(session, api.birch.id, ada, before=None, limit=9) == []
        with pytest.raises(NotFound):
            await feeds.revoke(session, api.birch.id, mine.id, None)


async def test_an_address_and_a_machine_that_ask_too_often_are_told_to_wait(api, ada):
    secret = await make(api, api.alder, ada)
    guesses = [f"ftl_cal_{number:043}" for number in range(feeds.STRANGERS_PER_MINUTE)]
    for asked, address in (([secret] * feeds.PER_MINUTE, "192.0.2.7"), (guesses, "192.0.2.8")):
        answers = [await answer_of(api, one, address) for one in asked]
        assert answers[0] in {"read", "NotFound"}
        assert "RateLimited" in answers


async def answer_of(api, secret, address):
    try:
        await feeds.read(api.platform, secret, address)
    except (NotFound, RateLimited) as problem:
        return type(problem).__name__
    return "read"


async def test_a_person_makes_sees_and_ends_their_own_by_the_api(api):
    headers = api.owner(api.alder)
    made = await api.client.post("/api/v1/escalation/feeds", json={"name": "Telephone"}, headers=headers)
    assert made.status_code == 201, made.text
    assert (await api.client.get(made.json()["link"])).status_code == 200
    listed = (await api.client.get("/api/v1/escalation/feeds", headers=headers)).json()["items"]
    assert made.json()["id"] in {one["id"] for one in listed}
    assert "link" not in listed[0]
    gone = await api.client.delete(f"/api/v1/escalation/feeds/{made.json()['id']}", headers=headers)
    assert gone.status_code == 204
    assert (await api.client.get(made.json()["link"])).status_code == 404


async def test_a_key_has_no_calendar_and_a_viewer_ends_nobody_elses(api, ada):
    refused = await api.client.post(
        "/api/v1/escalation/feeds", json={"name": "x"}, headers=api.alder.headers()
    )
    assert refused.status_code == 403
    await make(api, api.alder, ada)
    async with api.platform.database.tenant(api.alder.id) as session:
        (theirs,) = await feeds.listed(session, api.alder.id, ada, before=None, limit=1)
        with pytest.raises(NotFound):
            await feeds.revoke(session, api.alder.id, theirs.id, new_id())
    async with api.platform.database.tenant(api.alder.id) as session:
        assert await feeds.revoke(session, api.alder.id, theirs.id, None) == "Telephone"


async def test_of_two_made_at_once_the_second_counts_the_first(api, ada):
    for _ in range(feeds.MOST - 1):
        await make(api, api.alder, ada)
    async with api.platform.database.tenant(api.alder.id) as session:
        await feeds.make(session, api.alder.id, ada, "Telephone", whole=False)
        second = asyncio.create_task(make(api, api.alder, ada))
        await somebody_waits(await driver(session), second)
    with pytest.raises(Conflict, match=f"at most {feeds.MOST}"):
        await second
