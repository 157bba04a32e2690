"""Clocks: steps, repeats, fallback, acknowledgement, hand-over, quiet hours, storms, and tenants without a policy."""

import asyncio
import json
from datetime import UTC, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.healing.escalation import acting, clocks
from fettle.healing.escalation.policies import Match, Policy, Quiet, Step, Target, due, quiet_until
from fettle.healing.escalation.schedules import Window
from fettle.incidents.commands import By
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.ids import new_id

HERE = Target(UUID(int=1))


async def test_without_a_policy_that_fits_nothing_happens(rig):
    incident = await rig.incident()
    match = {"severities": ["critical"], "check_types": [], "sites": []}
    await rig.policy(([{"channel_id": await rig.channel("slack")}], 60), match=match)
    other = await rig.incident(severity="low")
    await rig.send()
    assert rig.world.knocks == []
    assert await rig.rows("SELECT 1 FROM escalations WHERE incident_id = ANY($1)", [incident, other]) == []


async def test_steps_are_told_one_after_the_other_repeated_and_then_the_fallback(rig):
    first, second, last = [await rig.channel("webhook") for _ in range(3)]
    fallback = [{"channel_id": str(last), "schedule_id": None, "user_id": None}]
    await rig.policy(
        ([{"channel_id": first}], 60), ([{"channel_id": second}], 60), repeats=1, fallback=fallback
    )
    incident = await rig.incident()
    for _ in range(7):
        await rig.send()
        await rig.hurry()
    rows = await rig.rows(
        "SELECT channel_id FROM escalation_deliveries WHERE incident_id = $1 ORDER BY position", incident
    )
    assert [row["channel_id"] for row in rows] == [first, second, first, second, last]
    assert (await rig.clock(incident))["state"] == "exhausted"


async def test_whoever_acknowledges_stops_the_clock_and_everybody_told_hears_of_it(rig):
    ada = await rig.person("Ada")
    webhook, slack = await rig.channel("webhook"), await rig.channel("slack")
    await rig.policy(([{"channel_id": webhook}], 60), ([{"channel_id": slack}], 60))
    incident = await rig.incident()
    await rig.send()
    async with rig.platform.database.tenant(rig.tenant) as session:
        by = By(f"user:{ada}", ada)
        await acting.acknowledge(session, rig.tenant, by, incident, is_taken=True)
        await acting.acknowledge(session, rig.tenant, by, incident, is_taken=True)
    await rig.hurry()
    await rig.send()
    assert [body["type"] for body in rig.world.of("webhook")] == [
        "escalation.firing",
        "escalation.acknowledged",
    ]
    assert rig.world.of("webhook")[1]["data"]["acknowledged_by"] == "Ada"
    assert rig.world.of("slack") == []
    (row,) = await rig.rows("SELECT assignee FROM incidents WHERE id = $1", incident)
    assert row["assignee"] == ada
    await rig.resolve(incident)
    await rig.send()
    assert rig.world.of("webhook")[-1]["type"] == "escalation.resolved"
    with pytest.raises(Conflict):
        async with rig.platform.database.tenant(rig.tenant) as session:
            await acting.acknowledge(session, rig.tenant, by, incident, is_taken=True)


async def test_another_tenants_incident_can_be_neither_acknowledged_nor_handed_over(rig, other_tenant):
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 60))
    incident = await rig.incident()
    for act in (
        lambda session, by: acting.acknowledge(session, other_tenant, by, incident, is_taken=False),
        lambda session, by: acting.hand_over(session, other_tenant, by, incident, to=UUID(int=1), reason="x"),
    ):
        with pytest.raises(NotFound):
            async with rig.platform.database.tenant(other_tenant) as session:
                await act(session, By("key:x"))
    assert (await rig.clock(incident))["state"] == "active"


async def test_who_gets_it_handed_over_is_told_and_the_clock_goes_on_from_where_it_was(rig):
    ada, bo = await rig.person("Ada", slack="U0ADA"), await rig.person("Bo", slack="U0BO")
    slack, teams = await rig.channel("slack"), await rig.channel("teams")
    await rig.policy(([{"channel_id": slack, "user_id": ada}], 60), ([{"channel_id": teams}], 60))
    incident = await rig.incident()
    await rig.send()
    async with rig.platform.database.tenant(rig.tenant) as session:
        by = By(f"user:{ada}", ada)
        await acting.acknowledge(session, rig.tenant, by, incident, is_taken=True)
        await acting.hand_over(session, rig.tenant, by, incident, to=bo, reason="My shift is over.")
    await rig.send()
    assert "<@U0BO>" in str(rig.world.of("slack")[-1])
    assert rig.world.of("teams") == []
    await rig.hurry()
    await rig.send()
    assert len(rig.world.of("teams")) == 1


async def test_who_is_on_call_is_looked_up_when_the_step_is_due_and_a_gap_is_passed_over(rig):
    bo = await rig.person("Bo", slack="U0BO")
    schedules = []
    for person in (None, str(bo)):
        schedules.append(new_id())
        begins, ends = utcnow() - timedelta(hours=1), utcnow() + timedelta(hours=1)
        override = {"person": person, "begins": begins.isoformat(), "ends": ends.isoformat()}
        document = {"time_zone": "Europe/Berlin", "layers": [], "overrides": [override]}
        async with rig.platform.database.raw_system() as connection:
            await connection.execute(
                "INSERT INTO oncall_schedules (id, tenant_id, name, document, updated_by) VALUES ($1, $2, $3, $4, 't')",
                schedules[-1],
                rig.tenant,
                str(schedules[-1]),
                json.dumps(document),
            )
    slack = await rig.channel("slack")
    await rig.policy(*[([{"channel_id": slack, "schedule_id": schedule}], 3600) for schedule in schedules])
    incident = await rig.incident()
    await rig.send()
    await rig.send()
    assert "<@U0BO>" in str(rig.world.of("slack"))
    assert [row["recipient"] for row in await rig.log(incident)] == [bo]


async def test_a_storm_is_one_message_with_a_count_and_over_when_all_of_it_is(rig):
    storm = {"threshold": 2, "window_seconds": 300, "update_seconds": 60}
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 3600), storm=storm)
    incidents = [await rig.incident(f"Host {number} is away") for number in range(12)]
    await rig.send()
    told = [body["data"]["incidents"] for body in rig.world.of("webhook")]
    assert sorted(told) == [1, 1, 10]
    await rig.rows("UPDATE escalations SET update_at = now() WHERE members > 1 RETURNING 1")
    for incident in incidents[:-1]:
        await rig.resolve(incident)
    await rig.send()
    kinds = [body["type"] for body in rig.world.of("webhook")]
    assert kinds.count("escalation.resolved") == 2
    await rig.resolve(incidents[-1])
    await rig.send()
    kinds = [body["type"] for body in rig.world.of("webhook")]
    assert kinds.count("escalation.resolved") == 3


async def test_a_storm_whose_last_two_end_at_once_is_over(rig):
    storm = {"threshold": 1, "window_seconds": 300, "update_seconds": 60}
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 3600), storm=storm)
    _, leading, *members = [await rig.incident(f"Host {number} is away") for number in range(4)]
    await rig.send()
    await rig.resolve(leading)
    tenant = rig.platform.database.tenant

    async def settle(session, incident):
        await clocks.settle(await driver(session), rig.tenant, [incident])

    async def settle_apart(incident):
        async with tenant(rig.tenant) as session:
            await settle(session, incident)

    async with tenant(rig.tenant) as session:
        await settle(session, members[0])
        other = asyncio.create_task(settle_apart(members[1]))
        while not other.done() and not await rig.rows(
            "SELECT 1 FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"
        ):
            await asyncio.sleep(0.01)
    await other
    assert (await rig.clock(leading))["state"] == "resolved"


async def test_what_comes_back_after_it_was_taken_is_told_from_the_first_step_again(rig):
    ada = await rig.person("Ada")
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 3600))
    incident = await rig.incident()
    await rig.send()
    await rig.happen(incident, "incident.assigned", data={"assignee": str(ada)}, actor=f"user:{ada}")
    assert (await rig.clock(incident))["state"] == "acknowledged"
    await rig.happen(incident, "incident.escalated", data={"level": "L3", "reason": "run_failed"})
    await rig.send()
    kinds = [body["type"] for body in rig.world.of("webhook")]
    assert kinds == ["escalation.firing", "escalation.acknowledged", "escalation.firing"]


def test_quiet_hours_hold_for_their_severities_alone_and_by_the_clock_on_the_wall():
    night = Quiet(
        Window(frozenset(range(7)), time(22), time(7)), ZoneInfo("Europe/Berlin"), frozenset({"low"})
    )
    policy = Policy(Match(), (Step((HERE,), 60),), quiet=(night,))
    before_change = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)  # midnight, and summer time begins at two
    assert quiet_until(policy, "low", before_change) == datetime(2026, 3, 29, 5, 0, tzinfo=UTC)
    assert quiet_until(policy, "critical", before_change) is None
    assert quiet_until(policy, "low", datetime(2026, 3, 28, 12, 0, tzinfo=UTC)) is None


@given(st.integers(1, 6), st.integers(0, 5), st.booleans())
def test_every_step_is_told_as_often_as_the_policy_says_and_then_it_ends(steps, repeats, has_fallback):
    fallback = (HERE,) if has_fallback else ()
    policy = Policy(Match(), tuple(Step((HERE,), 60) for _ in range(steps)), repeats, fallback)
    position, told = 0, []
    while (one := due(policy, position)) is not None:
        told.append(one.step)
        position += 1
    assert told == [*range(steps)] * (repeats + 1) + [steps] * has_fallback
