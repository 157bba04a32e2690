"""What is new above a threshold becomes one incident; nothing is lost, and it is over when the last of it is."""

import asyncio
from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.crosswise import somebody_waits

from fettle.incidents.intake import Arrival
from fettle.incidents.service import lock
from fettle.incidents.storm_listing import MOST_BINS, StormFilter, binned, list_storms, pace
from fettle.incidents.storms import fingerprint_of, group_of, overflow
from fettle.kernel.database import driver
from fettle.packs.service import active_packs

STORM = {"incidents": 20, "window_seconds": 60}
MOMENT = datetime(2026, 6, 1, tzinfo=UTC)


def arrival(number: int, check_type: str, site: str | None) -> Arrival:
    body = {"check_type": check_type, "site": site, "host": f"h{number}"}
    return Arrival(UUID(int=number), f"f{number}", body, MOMENT, UUID(int=number))


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from([None, "x"])), max_size=30),
    st.dictionaries(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "x"])), st.integers(0, 9)),
    st.integers(1, 8),
)
def test_just_what_is_above_the_threshold_overflows(kinds, before, limit):
    new = [arrival(number, *kind) for number, kind in enumerate(kinds)]
    counted = Counter(group_of(one) for one in new)
    opened = {group: before.get(group, 0) + number for group, number in counted.items()}
    over = {one.fingerprint for one in overflow(new, opened, limit)}
    seen = Counter(before)
    for one in new:
        seen[group_of(one)] += 1
        assert (one.fingerprint in over) == (seen[group_of(one)] > limit)


@pytest.fixture
async def storm(muting):
    await muting.policy(storm=STORM)
    muting.platform.parts.pop("packs.cache", None)
    await active_packs(muting.platform, muting.tenant)
    return muting


def many(numbers, **more):
    return [
        {"check_type": "nobody_knows_this", "host": f"h{number}", "site": "Hall", **more}
        for number in numbers
    ]


async def test_a_storm_is_few_incidents_and_nothing_is_lost(storm, other):
    await storm.report(*many(range(150)), {"check_type": "nobody_knows_this", "host": "barn", "site": "Barn"})
    await storm.report(*many(range(100, 250)))
    await other.report(*many(range(30)))
    rows = await storm.rows("SELECT id, fingerprint, occurrences, state, source, title FROM incidents")
    [one] = [row for row in rows if row["source"] == "fettle:storm"]
    assert len(rows) == 20 + 1 + 1
    assert one["fingerprint"] == fingerprint_of(("nobody_knows_this", "Hall"))
    assert (one["occurrences"], one["state"]) == (130 + 150, "escalated")
    told = [row for row in await storm.told("incident.escalated") if row["data"]["reason"] == "storm"]
    assert len(told) == 1
    [noted] = await storm.rows(
        "SELECT count(*), count(DISTINCT incident_id) AS incidents FROM incident_exceptions"
    )
    assert (noted["count"], noted["incidents"]) == (301, 22)
    members = await storm.rows("SELECT fingerprint, occurrences FROM storm_members")
    assert (len(members), sum(row["occurrences"] for row in members)) == (230, 280)
    assert len(await other.rows("SELECT id FROM incidents")) == 30


async def test_a_storm_is_over_when_the_last_of_it_is(storm):
    await storm.report(*many(range(50)))
    await storm.report(*many(range(10), status="resolved"), *many(range(20, 49), status="resolved"))
    [one] = await storm.rows("SELECT id, state FROM incidents WHERE source = 'fettle:storm'")
    assert one["state"] == "escalated"
    [firing] = await storm.rows("SELECT fingerprint, host FROM storm_members WHERE is_firing")
    assert firing["host"] == "h49"
    await storm.report(*many([30]), *many([49], status="resolved"))
    assert (await storm.rows("SELECT state FROM incidents WHERE source = 'fettle:storm'"))[0][
        "state"
    ] == "escalated"
    await storm.report(*many([30], status="resolved"))
    assert (await storm.rows("SELECT state FROM incidents WHERE source = 'fettle:storm'"))[0][
        "state"
    ] == "closed"
    await storm.rows("UPDATE storms SET begun_at = begun_at - interval '2 minutes' RETURNING check_type")
    await storm.report(*many([30]))
    [row] = await storm.rows("SELECT state, source FROM incidents WHERE host = 'h30'")
    assert row["state"] == "escalated", "when the storm is over, it has an incident of its own"


async def test_a_storm_that_is_over_in_the_batch_that_it_began_in_leaves_nobody_anything_to_do(storm):
    hosts = [22, *range(23)]  # the last to be told of is not the last to be well again
    await storm.report(*many(range(23)), *many(hosts[:1], status="resolved"), *many(hosts))
    await storm.report(*many(range(40, 42)))
    assert len(await storm.rows("SELECT fingerprint FROM storm_members WHERE is_firing")) == 5
    await storm.report(*many(hosts, status="resolved"), *many([40]), *many([41, 40], status="resolved"))
    [one] = await storm.rows("SELECT state FROM incidents WHERE source = 'fettle:storm'")
    assert one["state"] == "closed"
    await storm.rows("UPDATE storms SET begun_at = begun_at - interval '2 minutes' RETURNING check_type")
    await storm.report(*many(range(60, 90)), *many(range(60, 90), status="resolved"))
    rows = await storm.rows("SELECT state FROM incidents WHERE source = 'fettle:storm'")
    assert [row["state"] for row in rows] == ["closed", "closed"]


async def test_what_is_reported_and_well_again_in_one_batch_is_counted(storm):
    await storm.report(*many(range(40)), *many([39], status="resolved"))
    [one] = await storm.rows("SELECT id, state FROM incidents WHERE source = 'fettle:storm'")
    assert one["state"] == "escalated"
    assert len(await storm.rows("SELECT fingerprint FROM storm_members WHERE is_firing")) == 19
    assert (
        len(await storm.rows("SELECT exception_id FROM incident_exceptions WHERE incident_id IS NULL")) == 0
    )


async def test_a_storm_s_incident_is_locked_in_its_order_among_the_others(storm):
    """Who holds it and wants one that is newer never waits for a batch that has that one and wants the storm's."""
    await storm.report(*many(range(21)))
    await storm.report({"check_type": "nobody_knows_this", "host": "barn", "site": "Barn"})
    rows = await storm.rows(
        "SELECT id FROM incidents ORDER BY (source = 'fettle:storm') DESC NULLS LAST, id DESC"
    )
    one, newer = rows[0]["id"], rows[1]["id"]
    assert one < newer
    async with storm.platform.database.tenant(storm.tenant) as session:
        await lock(session, storm.tenant, [one])
        more = [{"check_type": "nobody_knows_this", "host": "barn", "site": "Barn"}, *many([30])]
        taken = asyncio.create_task(storm.report(*more))
        await somebody_waits(await driver(session), taken)
        await lock(session, storm.tenant, [newer])
    await taken
    [told] = await storm.rows("SELECT occurrences FROM incidents WHERE source = 'fettle:storm'")
    assert told["occurrences"] == 2


@given(st.lists(st.tuples(st.integers(0, 10**7), st.integers(1, 50)), unique_by=lambda one: one[0]))
def test_each_exception_is_counted_once_in_the_time_in_which_it_came(seconds):
    seconds.sort()
    told = binned(seconds)
    assert len(told.counts) <= MOST_BINS
    assert sum(told.counts) == sum(times for _, times in seconds)
    for place, counted in enumerate(told.counts):
        begin = (told.first or 0) + place * told.seconds
        assert counted == sum(times for at, times in seconds if begin <= at < begin + told.seconds)
    if seconds:
        assert told.counts[0] > 0
        assert told.counts[-1] > 0


EVERY = StormFilter()


async def listed(muting, wanted=EVERY, **options):
    async with muting.platform.database.tenant(muting.tenant) as session:
        return await list_storms(session, muting.tenant, wanted, **{"before": None, "limit": 10, **options})


async def test_storms_stay_in_the_list_when_what_they_stood_for_came_again(storm, other):
    await storm.report(*many(range(30)))
    await storm.report(*many(range(30), status="resolved"))
    await storm.rows("UPDATE storms SET begun_at = begun_at - interval '2 minutes' RETURNING check_type")
    await storm.report(*many(range(30)), *many([7], check_type="another_check", site="Barn"))
    newer, older = await listed(storm)
    assert (newer["members"], newer["firing"], newer["occurrences"]) == (10, 10, 10)
    assert (older["members"], older["firing"], older["occurrences"]) == (0, 0, 10)
    assert older["last_at"] is not None
    for wanted, found in [
        (StormFilter(standing="going_on"), [newer]),
        (StormFilter(standing="over"), [older]),
        (StormFilter(text="HALL"), [newer, older]),
        (StormFilter(text="knows_this hall"), [newer, older]),
        (StormFilter(text="%"), []),
        (StormFilter(text=f"#{older['number']}"), [older]),
        (StormFilter(opened_after=newer["opened_at"]), [newer]),
        (StormFilter(opened_before=newer["opened_at"]), [older]),
    ]:
        assert [one["id"] for one in await listed(storm, wanted)] == [one["id"] for one in found], wanted
    assert [one["id"] for one in await listed(storm, before=newer["id"])] == [older["id"]]
    assert await listed(other) == []
    async with storm.platform.database.tenant(storm.tenant) as session:
        told = await pace(session, storm.tenant, newer["id"])
    assert (sum(told.counts), told.seconds, told.is_whole) == (10, 60, True)
    assert told.first <= newer["opened_at"].timestamp() < told.first + 60 * len(told.counts)
