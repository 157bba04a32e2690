"""A check that comes and goes: counted, left to a person, suppressed, and cleared."""

import asyncio
from uuid import UUID

import pytest
from tests.brakes.conftest import ANN

from fettle.healing.brakes import flaps
from fettle.healing.brakes.flaps import Returned, subject_of
from fettle.healing.brakes.limits import FlapLimits
from fettle.incidents.service import Transition, transition
from fettle.incidents.states import State
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.ids import new_id

AT = {"host": "web-1", "site": "hq"}
WELL = {**AT, "status": "resolved"}


async def flap(scene, times, body=AT):
    """Let a check be healed and be out of order again so many times; the first report makes none."""
    for _ in range(times):
        await scene.report(body)


async def open_ones(scene, **more):
    async with scene.session() as session:
        return await flaps.listed(session, scene.tenant, cleared=False, q=None, before=None, limit=50, **more)


async def clear(scene, suppression_id, reason="the cable is mended"):
    async with scene.session() as session:
        await flaps.clear(session, scene.tenant, suppression_id, reason, who=ANN)
    await scene.settle()


async def test_the_third_return_goes_to_a_person_and_what_comes_after_rests_until_somebody_clears_it(scene):
    await scene.begin()
    await flap(scene, 3)
    assert await scene.states() == ["resolved"]
    assert await open_ones(scene) == []
    await scene.report(AT)
    assert await scene.states() == ["escalated"]
    [said] = await scene.told("incident.escalated")
    assert (said["data"]["reason"], said["data"]["level"]) == ("flapping", "L3")
    [one] = await open_ones(scene)
    assert (one["check_type"], one["host"], one["site"], one["flaps"]) == ("brake_demo", "web-1", "hq", 3)
    assert said["data"]["by"] == str(one["id"])
    ran = len(scene.calls)
    await scene.report(WELL)  # its sender says that it is in order, and then it is not
    await scene.report(AT)
    assert await scene.states() == ["closed", "suppressed"]
    assert len(scene.calls) == ran
    await clear(scene, one["id"])
    assert await scene.states() == ["closed", "resolved"]
    assert await open_ones(scene) == []
    [cleared] = await scene.told("flap.cleared")
    assert (cleared["data"]["by"], cleared["data"]["reason"]) == ("user:ann", "the cable is mended")
    assert [row["type"] for row in await scene.told("incident.suppressed", "incident.released")] == [
        "incident.suppressed",
        "incident.released",
    ]
    await scene.report(AT)  # counted from zero
    assert await scene.states() == ["closed", "resolved"]


async def test_what_opens_anew_soon_after_its_sender_said_that_it_is_in_order_is_a_return(scene):
    await scene.begin()
    for _ in range(4):
        await scene.report(AT, run=False)
        await scene.report(WELL, run=False)
    await scene.report(AT)
    states = await scene.states()
    assert len(await open_ones(scene)) == 0  # a run had each in hand, so nothing was resolved by its sender
    assert states == ["resolved"]


async def test_an_incident_that_closed_and_another_of_its_fingerprint_are_a_return(scene):
    await scene.begin(autonomy="observe")
    for _ in range(3):
        await scene.report(AT)
        await scene.report(WELL)
    await scene.report(AT)
    assert await scene.states() == ["closed", "closed", "closed", "escalated"]
    [one] = await open_ones(scene)
    assert one["flaps"] == 3


async def test_another_host_site_or_check_is_not_suppressed(scene):
    await scene.begin(flapping={"flaps": 2})
    await flap(scene, 3)
    assert len(await open_ones(scene)) == 1
    await scene.report({**AT, "host": "web-2"}, {**AT, "site": "branch"}, {"host": "web-1"})
    assert await scene.states() == ["escalated", "resolved", "resolved", "resolved"]
    await scene.report({**AT, "host": "WEB-1", "details": {"more": 1}})
    assert await scene.states() == ["escalated", "resolved", "resolved", "resolved"]


async def test_the_policy_says_how_often_and_in_what_window_and_whether_at_all(scene):
    await scene.begin(flapping={"enabled": False})
    await flap(scene, 6)
    assert await scene.states() == ["resolved"]
    await scene.policy(flapping={"flaps": 2, "window_seconds": 60})
    await scene.rows("UPDATE flap_counts SET moments = '{}'")
    await scene.report(AT)
    await scene.rows(
        "UPDATE flap_counts SET moments = (SELECT array_agg(m - interval '61 seconds') FROM unnest(moments) m)"
    )
    await scene.report(AT)
    assert await scene.states() == ["resolved"]
    await scene.report(AT)
    assert await scene.states() == ["escalated"]


async def test_a_person_who_reopens_makes_no_flap(scene):
    await scene.begin(flapping={"flaps": 2})
    await flap(scene, 1)
    for _ in range(3):
        [row] = await scene.rows("SELECT id FROM incidents")
        async with scene.session() as session:
            opened = Transition(
                incident_id=row["id"], type="incident.reopened", to=State.OPEN, actor="user:ann"
            )
            solved = Transition(
                incident_id=row["id"], type="incident.resolved", to=State.RESOLVED, actor="user:ann"
            )
            await transition(session, scene.tenant, [opened, solved])
        await scene.settle()
    assert await scene.rows("SELECT * FROM flap_counts") == []


async def test_many_of_one_batch_are_counted_once_each_and_told_together(scene):
    await scene.begin(flapping={"flaps": 2})
    bodies = [{"host": f"h{number}"} for number in range(40)]
    for _ in range(3):
        await scene.report(*bodies)
    assert set(await scene.states()) == {"escalated"}
    assert len(await open_ones(scene)) == 40
    assert len(await scene.told("flap.suppressed")) == 40


async def test_clearing_is_done_once_and_by_nobody_else(scene, other_scene):
    await scene.begin(flapping={"flaps": 2})
    await other_scene.begin()
    await flap(scene, 3)
    [one] = await open_ones(scene)
    assert await open_ones(other_scene) == []
    with pytest.raises(NotFound):
        await clear(other_scene, one["id"])
    with pytest.raises(NotFound):
        await clear(scene, new_id())
    await clear(scene, one["id"])
    with pytest.raises(Conflict):
        await clear(scene, one["id"])
    assert [UUID(row["data"]["suppression_id"]) for row in await scene.told("flap.cleared")] == [one["id"]]


def kinds(count, **more):
    return [{**AT, "dedup_key": f"k{number}", **more} for number in range(count)]


async def test_all_that_rests_is_released_however_much_of_it_came_at_once(scene):
    await scene.begin(flapping={"flaps": 2})
    await flap(scene, 3)
    await scene.report(*kinds(5))
    assert await scene.states() == ["escalated"] + ["suppressed"] * 5
    [one] = await open_ones(scene)
    assert one["suppressed_incidents"] == 5
    await clear(scene, one["id"])
    assert await scene.states() == ["escalated"] + ["resolved"] * 5


async def test_what_a_person_released_is_no_return_by_that(scene):
    """Or clearing a check of which several things rest would suppress it again at once."""
    await scene.begin(flapping={"flaps": 2})
    await flap(scene, 3)
    await scene.report(*kinds(3))
    await scene.report(*kinds(3, status="resolved"))
    await scene.report(*kinds(3))
    assert await scene.states() == ["escalated"] + ["closed"] * 3 + ["suppressed"] * 3
    [one] = await open_ones(scene)
    await clear(scene, one["id"])
    assert await scene.states() == ["escalated"] + ["closed"] * 3 + ["resolved"] * 3
    assert await open_ones(scene) == []


async def test_each_release_says_who_cleared_its_own_check_and_happens_once(scene):
    await scene.begin(flapping={"flaps": 2})
    for host in ("a", "b"):
        await flap(scene, 3, {"host": host})
        await scene.report({"host": host, "dedup_key": f"more-{host}"})
    # It rested under both, one after the other.
    await scene.rows(
        "UPDATE flap_suppressions SET suppressed = "
        "(SELECT array_agg(x) FROM flap_suppressions o, unnest(o.suppressed) x)"
    )
    for one in await open_ones(scene):
        async with scene.session() as session:
            reason = f"{one['host']} is mended"
            await flaps.clear(session, scene.tenant, one["id"], reason, who=ANN)
    await scene.settle()
    assert await scene.states() == ["escalated", "resolved"] * 2
    told = await scene.told("incident.released")
    cleared = {
        row["data"]["suppression_id"]: row["data"]["reason"] for row in await scene.told("flap.cleared")
    }
    assert len(told) == 2
    assert all(cleared[row["data"]["by"]] == row["data"]["reason"] for row in told)


async def test_what_is_decided_while_its_check_is_cleared_does_not_rest_for_ever(scene):
    await scene.begin(flapping={"flaps": 2})
    await flap(scene, 3)
    [one] = await open_ones(scene)
    coming = Returned(new_id(), subject_of({"check_type": "brake_demo", **AT}), "another", None)

    async def take():
        async with scene.session() as session:
            return await flaps.take(session, scene.tenant, [coming], FlapLimits(), utcnow())

    async def is_waiting():
        return await scene.rows("SELECT FROM pg_locks WHERE NOT granted")

    async with scene.session() as session:
        await flaps.clear(session, scene.tenant, one["id"], "mended", who=ANN)
        taking = asyncio.create_task(take())
        async with asyncio.timeout(60):
            while not await is_waiting():
                await asyncio.sleep(0.01)
    assert await taking == {}


async def test_a_suppression_that_is_full_forgets_what_is_over_and_then_leaves_the_rest_to_people(scene):
    await scene.begin(flapping={"flaps": 2})
    await flap(scene, 3)
    await scene.rows("UPDATE flap_suppressions SET suppressed = $1", [new_id() for _ in range(1_000)])
    await scene.report(*kinds(2))
    [one] = await open_ones(scene)
    assert one["suppressed_incidents"] == 2
    await scene.rows(
        "INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, fingerprint, labels, "
        "details, occurrences, opened_at, last_seen_at, version) SELECT gen_random_uuid(), $1, 1000 + n, 'x', "
        "'suppressed', 'low', 'x', 'f' || n, '{}', '{}', 1, now(), now(), 1 FROM generate_series(1, 998) n",
        scene.tenant,
    )
    await scene.rows(
        "UPDATE flap_suppressions SET suppressed = (SELECT array_agg(id) FROM incidents WHERE state = 'suppressed')"
    )
    await scene.report({**AT, "dedup_key": "one too many"})
    [last] = await scene.rows("SELECT state FROM incidents WHERE number < 1000 ORDER BY number DESC LIMIT 1")
    assert last["state"] == "escalated"
    assert (await open_ones(scene))[0]["suppressed_incidents"] == 1_000
