"""The auditor: what hangs is an incident once, and over when it moves; all is looked through, a part each round."""

import asyncio
import json
from datetime import timedelta

import pytest

from fettle.healing.auditing import looking
from fettle.healing.auditing.auditing import audit
from fettle.healing.auditing.due import open_states
from fettle.healing.auditing.looking import Place
from fettle.healing.auditing.service import figures
from fettle.incidents.service import Transition, transition
from fettle.incidents.states import State
from fettle.kernel.clock import utcnow
from fettle.kernel.events import read_stream
from fettle.kernel.ids import new_id


async def hang(alder, kind):
    """Let one thing of a kind hang; returns its id and its state."""
    if kind == "run":
        return await alder.run(await alder.incident("healing", timedelta(0))), "running"
    if kind == "approval":
        return await alder.approval(await alder.incident("awaiting_approval", timedelta(0))), "pending"
    if kind == "plan_request":
        return await alder.plan_request(await alder.incident("planning", timedelta(0))), "open"
    if kind == "escalation":
        return await alder.clock(await alder.incident("escalated", timedelta(0))), "active"
    return await alder.message(await alder.incident("escalated", timedelta(0))), "sending"


KINDS = ["run", "approval", "plan_request", "escalation", "message"]
ENDS = {
    "run": "UPDATE playbook_runs SET state = 'finished' WHERE id = $1",
    "approval": "UPDATE approvals SET state = 'expired' WHERE id = $1",
    "plan_request": "DELETE FROM plan_requests WHERE id = $1",
    "escalation": "UPDATE escalations SET due_at = now() + interval '1 hour' WHERE id = $1",
    "message": "UPDATE escalation_deliveries SET state = 'delivered' WHERE id = $1",
}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_hangs_is_an_incident_once_and_over_when_it_moves(alder, kind):
    subject, state = await hang(alder, kind)
    for _ in range(3):
        await audit(alder.platform)
    (item,) = await alder.overdue()
    assert (item["kind"], item["state"], item["subject_id"]) == (kind, state, subject)
    (told,) = await alder.told()
    assert (told["id"], told["state"], told["level"], told["occurrences"]) == (
        item["incident_id"],
        "escalated",
        "L3",
        1,
    )
    await alder.rows(ENDS[kind], subject)
    await audit(alder.platform)
    assert [one["state"] for one in await alder.told()] == ["closed"]
    assert all(one["moved_at"] for one in await alder.overdue())


@pytest.mark.parametrize("state", open_states())
async def test_an_incident_that_nothing_has_in_hand_is_found_in_every_open_state(alder, state):
    incident = await alder.incident(state)
    await audit(alder.platform)
    (item,) = await alder.overdue()
    assert (item["kind"], item["state"], item["subject_id"]) == ("incident", state, incident)
    async with alder.platform.database.tenant(alder.tenant) as session:
        over = Transition(incident_id=incident, type="incident.resolved", to=State.RESOLVED, actor="user:x")
        await transition(session, alder.tenant, [over], if_allowed=True)
    await alder.rows("UPDATE incidents SET state = 'resolved' WHERE id = $1", incident)
    await audit(alder.platform)
    assert [one["state"] for one in await alder.told()] == ["closed"]


async def test_what_moves_in_time_or_is_in_somebodys_hands_is_left_alone(alder):
    for state in open_states():
        await alder.incident(state, timedelta(seconds=5))
    healing = await alder.incident("healing")
    await alder.run(healing, ago=timedelta(seconds=-30))
    asked = await alder.incident("awaiting_approval")
    await alder.approval(asked, timedelta(hours=-1))
    planned = await alder.incident("planning")
    await alder.plan_request(planned, timedelta(seconds=-30))
    told = await alder.incident("escalated")
    await alder.clock(told, ago=timedelta(seconds=-30))
    taken = await alder.incident("escalated")
    await alder.clock(taken, "acknowledged")
    waiting = await alder.incident("suppressed")
    await alder.rows(
        "INSERT INTO muted_incidents (tenant_id, incident_id, reason, muted_by, title, until, returns_to) "
        "VALUES ($1, $2, 'silenced', 'x', 'x', now() + interval '1 day', 'triaged')",
        alder.tenant,
        waiting,
    )
    result = await audit(alder.platform)
    assert (result.overdue, await alder.overdue(), await alder.told()) == (0, [], [])


async def test_a_muted_incident_whose_silence_ended_and_a_clock_without_a_leader_are_found(alder):
    muted = await alder.incident("suppressed", timedelta(hours=2))
    await alder.rows(
        "INSERT INTO muted_incidents (tenant_id, incident_id, reason, muted_by, title, until, returns_to) "
        "VALUES ($1, $2, 'silenced', 'x', 'x', now() - interval '1 hour', 'triaged')",
        alder.tenant,
        muted,
    )
    lost = await alder.clock(await alder.incident("escalated"), "grouped", storm_id=new_id())
    nobody = await alder.clock(await alder.incident("escalated"), "exhausted")
    await audit(alder.platform)
    found = {(one["kind"], one["state"], one["subject_id"]) for one in await alder.overdue()}
    assert found == {
        ("incident", "suppressed", muted),
        ("escalation", "grouped", lost),
        ("escalation", "exhausted", nobody),
    }


async def test_many_that_hang_alike_are_one_incident_that_ends_with_the_last(alder):
    runs = [await alder.run(await alder.incident("healing")) for _ in range(30)]
    await audit(alder.platform)
    (told,) = await alder.told()
    assert told["occurrences"] == len(runs) == len(await alder.overdue())
    more = await alder.run(await alder.incident("healing"))
    await audit(alder.platform)
    assert [one["occurrences"] for one in await alder.told()] == [31]
    for run in runs:
        await alder.rows(ENDS["run"], run)
    # Their incidents hang now, for nothing has them in hand.
    await alder.rows(
        "UPDATE incidents SET state = 'resolved' WHERE tenant_id = $1 AND state = 'healing'", alder.tenant
    )
    await audit(alder.platform)
    assert [one["state"] for one in await alder.told()] == ["escalated"]
    await alder.rows(ENDS["run"], more)
    await audit(alder.platform)
    assert [one["state"] for one in await alder.told()] == ["closed"]


async def test_what_a_person_closed_meanwhile_is_told_of_again_only_when_more_hangs(alder):
    await alder.run(await alder.incident("healing"))
    await audit(alder.platform)
    (told,) = await alder.told()
    async with alder.platform.database.tenant(alder.tenant) as session:
        over = Transition(incident_id=told["id"], type="incident.resolved", to=State.RESOLVED, actor="user:x")
        await transition(session, alder.tenant, [over])
    await audit(alder.platform)
    assert [one["state"] for one in await alder.told()] == ["resolved"]
    await alder.run(await alder.incident("healing"))
    await audit(alder.platform)
    assert [one["state"] for one in await alder.told()] == ["escalated"]
    async with alder.platform.database.tenant(alder.tenant) as session:
        history = await read_stream(session, alder.tenant, "incident", told["id"])
    assert [event.type for event in history] == [
        "incident.opened",
        "incident.escalated",
        "incident.resolved",
        "incident.reopened",
        "incident.escalated",
    ]


async def test_the_auditor_waits_for_no_incident_of_its_own(alder):
    await alder.incident("escalated", check_type=looking.CHECK_TYPE)
    await audit(alder.platform)
    assert await alder.overdue() == []


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_tenant_that_cannot_be_looked_at_hides_no_other(alder, birch, is_first):
    broken, well = (alder, birch) if is_first else (birch, alder)
    for one in (broken, well):
        await one.run(await one.incident("healing", timedelta(0)))
    await broken.policy(step_seconds="soon")
    for _ in range(2):
        await audit(alder.platform)
    assert [item["kind"] for item in await well.overdue()] == ["run"]
    await alder.rows("UPDATE overdue_items SET looked_at = now() - interval '1 hour'")
    await alder.rows("UPDATE playbook_runs SET state = 'finished' WHERE tenant_id = $1", well.tenant)
    await audit(alder.platform)
    assert [one["state"] for one in await well.told()] == ["closed"]


async def test_much_that_hangs_in_one_tenant_hides_nothing_of_others_and_of_what_was_not_told_of(
    alder, birch
):
    """However long it has hung: it is told of once, and then leaves room."""
    for _ in range(6):
        await alder.approval(await alder.incident("awaiting_approval", timedelta(0)), timedelta(days=9))
    await birch.approval(await birch.incident("awaiting_approval", timedelta(0)), timedelta(hours=9))

    async def seen(most):
        async with alder.platform.database.raw_system() as connection:
            found = await looking.of_all(connection, utcnow(), most)
        return [len(found.get(one.tenant, ())) for one in (alder, birch)]

    assert await seen(2) == [2, 1]
    await audit(alder.platform)
    assert await seen(2) == [0, 0]
    later = await alder.approval(await alder.incident("awaiting_approval", timedelta(0)))
    assert await seen(2) == [1, 0]
    await audit(alder.platform)
    assert later in {item["subject_id"] for item in await alder.overdue()}


async def test_each_tenant_is_told_of_its_own_by_its_own_policy(alder, birch):
    await alder.policy(person_seconds=60)
    await birch.policy(person_seconds=600_000)
    for one in (alder, birch):
        await one.incident("escalated", timedelta(hours=1))
    await audit(alder.platform)
    assert [item["is_for_person"] for item in await alder.overdue()] == [True]
    assert (await birch.overdue(), await birch.told()) == ([], [])
    async with alder.platform.database.raw_tenant(birch.tenant) as connection:
        assert await connection.fetchval("SELECT count(*) FROM overdue_items") == 0
    async with alder.platform.database.raw_app() as connection:
        assert await connection.fetchval("SELECT count(*) FROM overdue_items") == 0


async def test_rounds_go_on_from_where_the_last_ended_and_reach_everything(alder, birch):
    mine = {await alder.incident(state) for state in ("escalated", "open", "healing") for _ in range(5)}
    theirs = {await birch.incident("open") for _ in range(4)}
    rounds = 0
    while not (one := await audit(alder.platform, incidents=3, tenants=2)).is_whole or rounds == 0:
        assert one.looked_at <= 3
        rounds += 1
    assert {item["subject_id"] for item in await alder.overdue()} == mine
    assert {item["subject_id"] for item in await birch.overdue()} == theirs
    async with alder.platform.database.raw_system() as connection:
        told = await figures(connection)
    assert told.looked_at >= len(mine | theirs)
    assert told.hanging >= 14
    assert told.waiting >= 5
    assert told.last_whole_at is not None


async def test_two_rounds_at_once_tell_of_it_once(alder):
    await alder.run(await alder.incident("healing"))
    await asyncio.gather(*[audit(alder.platform) for _ in range(4)])
    assert len(await alder.overdue()) == 1
    assert [one["occurrences"] for one in await alder.told()] == [1]


async def test_a_page_of_100000_open_incidents_reads_no_more_than_a_page_of_each_state(alder):
    """By the plan that the database makes, and by the rows that it says it read."""
    states = open_states()
    await alder.rows(
        "INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, fingerprint, labels, "
        "details, occurrences, opened_at, last_seen_at, version) SELECT gen_random_uuid(), $1, n, 'It hangs', "
        "($2::text[])[1 + n % 8], 'high', 'firewall_status', n::text, '{}', '{}', 1, now(), now(), 1 "
        "FROM generate_series(1, 100000) n",
        alder.tenant,
        states,
    )
    await alder.rows("ANALYZE incidents")
    middle = await alder.rows(
        "SELECT id FROM incidents WHERE tenant_id = $1 AND state = $2 ORDER BY id OFFSET 6000 LIMIT 1",
        alder.tenant,
        states[4],
    )
    limit = 500
    plans = []
    for left, after in ((states, looking._NIL), (states[4:], middle[0]["id"])):
        (row,) = await alder.rows(
            "EXPLAIN (ANALYZE, FORMAT JSON) " + looking._PAGE + looking._FACTS,
            alder.tenant,
            left,
            after,
            looking._NIL,
            limit,
        )
        plans.append(json.loads(row[0])[0]["Plan"])
    for plan in plans:
        nodes = list(_nodes(plan))
        assert not [
            node for node in nodes if node["Node Type"] == "Seq Scan" and node["Relation Name"] == "incidents"
        ]
        read = [
            node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
            for node in nodes
            if node.get("Relation Name") == "incidents"
        ]
        assert read
        assert max(read) <= limit * len(states)
    async with alder.platform.database.raw_system() as connection:
        seen, count, following = await looking.page(connection, alder.tenant, Place(), limit)
    assert (count, len(seen), following) == (limit, limit, Place("open", seen[-1].subject_id))


def _nodes(plan):
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
