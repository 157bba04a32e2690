"""From an accepted exception to a settled incident, on the real database."""

import asyncio
import contextlib
import os
from datetime import timedelta

import pytest

from fettle.incidents import consumers, history, queries, tasks
from fettle.incidents.accepting import Acceptor
from fettle.incidents.overview import overview
from fettle.incidents.queries import IncidentFilter
from fettle.incidents.schemas import ExceptionIn
from fettle.incidents.service import Transition, lock, transition
from fettle.incidents.states import State
from fettle.kernel import events
from fettle.kernel.bus import run_consumers
from fettle.kernel.bus_groups import wait_until_idle
from fettle.kernel.errors import Conflict, NotFound, TooLarge
from fettle.kernel.ids import new_id

PATIENCE = timedelta(seconds=60)


@pytest.fixture
async def intake(platform):
    """The intake consumer, running."""
    task = asyncio.create_task(run_consumers(platform, consumers.CONSUMERS))
    yield lambda: wait_until_idle(platform, ["incidents.intake"], timeout=PATIENCE)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def exception(host="host-1", **fields):
    return ExceptionIn(check_type="unheard_of_check", host=host, **fields)


async def send(platform, tenant, *bodies, **options):
    return await Acceptor(platform).accept(tenant, list(bodies), actor="key:test", **options)


async def listed(platform, tenant, **wanted):
    async with platform.database.tenant(tenant) as session:
        return [row async for row in queries.each(session, tenant, IncidentFilter(**wanted))]


async def test_what_belongs_together_becomes_one_incident(platform, tenant, intake):
    await send(platform, tenant, exception(severity="low"), exception("host-2"), exception(severity="high"))
    assert await intake()
    second, first = await listed(platform, tenant)
    assert (first.number, first.host, first.occurrences, first.severity) == (1, "host-1", 2, "high")
    assert (second.number, second.host, second.occurrences) == (2, "host-2", 1)
    assert first.state == "triaged"


async def test_a_row_equals_the_fold_of_its_stream(platform, tenant, intake):
    await send(platform, tenant, exception(), exception(), exception(status="resolved"))
    assert await intake()
    [incident] = await listed(platform, tenant)
    async with platform.database.tenant(tenant) as session:
        stream = await events.read_stream(session, tenant, "incident", incident.id)
        row = (await lock(session, tenant, [incident.id]))[incident.id]
    assert history.fold((e.type, e.data, e.occurred_at) for e in stream) == row
    assert stream[0].type == "incident.opened"
    assert row.state is State.CLOSED


async def test_another_tenant_sees_and_moves_nothing(platform, tenant, other_tenant, intake):
    [exception_id] = await send(platform, tenant, exception())
    assert await intake()
    [incident] = await listed(platform, tenant)
    assert await listed(platform, other_tenant) == []
    move = Transition(incident_id=incident.id, to=State.CLOSED, type="incident.closed", actor="user:x")
    async with platform.database.tenant(other_tenant) as session:
        with pytest.raises(NotFound):
            await queries.one(session, other_tenant, incident.id)
        with pytest.raises(NotFound):
            await transition(session, other_tenant, [move])
        with pytest.raises(NotFound):
            await transition(session, tenant, [move])
        assert await queries.incident_of_exception(session, tenant, exception_id) == (False, None)


async def test_the_same_key_is_accepted_once_and_another_body_is_refused(platform, tenant):
    first = await send(platform, tenant, exception(), idempotency_key="k1", body=b"one")
    again = await send(platform, tenant, exception(), idempotency_key="k1", body=b"one")
    assert again == first
    with pytest.raises(Conflict):
        await send(platform, tenant, exception(), idempotency_key="k1", body=b"two")
    async with platform.database.raw_tenant(tenant) as connection:
        assert await connection.fetchval("SELECT count(*) FROM events WHERE type = 'exception.ingested'") == 1


async def test_of_many_at_once_with_one_key_one_is_stored(platform, tenant):
    acceptors = [Acceptor(platform) for _ in range(4)]
    results = await asyncio.gather(
        *(
            acceptors[n % 4].accept(
                tenant, [exception()], actor="key:test", idempotency_key="k", body=b"same"
            )
            for n in range(40)
        )
    )
    assert len({ids[0] for ids in results}) == 1
    async with platform.database.raw_tenant(tenant) as connection:
        assert await connection.fetchval("SELECT count(*) FROM events") == 1


async def test_one_key_means_something_else_for_another_tenant(platform, tenant, other_tenant):
    mine = await send(platform, tenant, exception(), idempotency_key="k", body=b"one")
    theirs = await send(platform, other_tenant, exception(), idempotency_key="k", body=b"two")
    assert mine != theirs


async def test_a_bad_row_of_one_fails_nobody_else(platform, tenant):
    acceptor = Acceptor(platform)
    good = [acceptor.accept(tenant, [exception(f"h{n}")], actor="key:test") for n in range(5)]
    unknown = acceptor.accept(new_id(), [exception()], actor="key:\x00")
    results = await asyncio.gather(*good, unknown, return_exceptions=True)
    assert not any(isinstance(result, BaseException) for result in results[:5])


async def test_secrets_are_gone_before_anything_is_stored(platform, tenant, intake):
    canary = "ghp_" + os.urandom(18).hex()
    await send(
        platform,
        tenant,
        exception(
            summary=f"token {canary} refused",
            details={"password": canary, "log": f"Authorization: Bearer {canary}"},
            labels={"url": f"https://admin:{canary}@db.example/x"},
        ),
    )
    assert await intake()
    async with platform.database.raw_system() as connection:
        tables = await connection.fetch(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'alembic_version'"
        )
        for (table,) in tables:
            found = await connection.fetchval(
                f"SELECT count(*) FROM {table} t WHERE t::text LIKE $1", f"%{canary}%"
            )
            assert found == 0, table


async def test_an_exception_that_is_too_large_is_refused_and_nothing_is_written(platform, tenant):
    with pytest.raises(TooLarge):
        await send(platform, tenant, exception(), exception(details={"blob": "x" * 70_000}))
    async with platform.database.raw_tenant(tenant) as connection:
        assert await connection.fetchval("SELECT count(*) FROM events") == 0


async def test_a_resolved_incident_reopens_and_a_closed_one_makes_room(platform, tenant, intake):
    await send(platform, tenant, exception())
    assert await intake()
    [incident] = await listed(platform, tenant)
    async with platform.database.tenant(tenant) as session:
        move = Transition(
            incident_id=incident.id, to=State.RESOLVED, type="incident.resolved", actor="user:x"
        )
        await transition(session, tenant, [move])
    await send(platform, tenant, exception())
    assert await intake()
    [incident] = await listed(platform, tenant)
    assert (incident.state, incident.occurrences) == ("triaged", 2)
    async with platform.database.tenant(tenant) as session:
        move = Transition(incident_id=incident.id, to=State.CLOSED, type="incident.closed", actor="user:x")
        await transition(session, tenant, [move])
    await send(platform, tenant, exception())
    assert await intake()
    assert [i.number for i in await listed(platform, tenant)] == [2, 1]


async def test_a_move_that_the_table_does_not_have_is_refused_or_left_out(platform, tenant, intake):
    await send(platform, tenant, exception())
    assert await intake()
    [incident] = await listed(platform, tenant)
    move = Transition(incident_id=incident.id, to=State.VERIFYING, type="verification.started", actor="x")
    with pytest.raises(Conflict):
        async with platform.database.tenant(tenant) as session:
            await transition(session, tenant, [move])
    async with platform.database.tenant(tenant) as session:
        assert await transition(session, tenant, [move], if_allowed=True) == []


async def test_quiet_incidents_are_closed_and_busy_ones_left(platform, tenant, intake):
    await send(platform, tenant, exception("quiet"), exception("busy"))
    assert await intake()
    ids = [i.id for i in await listed(platform, tenant)]
    async with platform.database.tenant(tenant) as session:
        moves = [
            Transition(incident_id=i, to=State.RESOLVED, type="incident.resolved", actor="x") for i in ids
        ]
        await transition(session, tenant, moves)
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE incidents SET last_seen_at = now() - interval '3 days', resolved_at = now() - interval '3 days' "
            "WHERE tenant_id = $1 AND host = 'quiet'",
            tenant,
        )
    await tasks.close_quiet(platform)
    states = {i.host: i.state for i in await listed(platform, tenant)}
    assert states == {"quiet": "closed", "busy": "resolved"}


async def test_filters_and_words_narrow_the_list(platform, tenant, intake):
    await send(
        platform,
        tenant,
        exception("alpha", severity="critical", summary="The backup of the practice failed"),
        exception("beta", severity="low", labels={"room": "radiology"}),
    )
    assert await intake()
    hosts = lambda rows: [row.host for row in rows]  # noqa: E731 - a name for a sentence
    assert hosts(await listed(platform, tenant, severities=("critical",))) == ["alpha"]
    assert hosts(await listed(platform, tenant, text="backup practice")) == ["alpha"]
    assert hosts(await listed(platform, tenant, text="radiology")) == ["beta"]
    assert hosts(await listed(platform, tenant, text="backup -practice")) == []
    assert hosts(await listed(platform, tenant, host="beta", states=(State.TRIAGED,))) == ["beta"]
    seen = await overview(platform.database, tenant, minutes_per_incident=20)
    assert seen.open == {"critical": 1, "low": 1}
    assert seen.exceptions_24h == 2
