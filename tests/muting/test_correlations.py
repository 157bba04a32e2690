"""Incidents that may belong together: found by packs' rules, joined once, confirmed or dismissed by a person."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.healing.muting import correlations
from fettle.healing.muting.correlating import CorrelationRule, Seen, groups_of
from fettle.incidents.commands import By
from fettle.incidents.links import list_links
from fettle.kernel.errors import Conflict, NotFound

MOMENT = datetime(2026, 6, 1, tzinfo=UTC)
RULE = CorrelationRule(
    "p/disk", "Disk and backup", frozenset({"a", "b"}), ("host",), timedelta(minutes=5), "a"
)

seen = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["", "x", "y"]), st.integers(0, 30)), max_size=12
).map(
    lambda rows: [
        Seen(UUID(int=number), kind, MOMENT + timedelta(minutes=at), {"host": host})
        for number, (kind, host, at) in enumerate(rows)
    ]
)


@given(seen)
def test_a_group_is_what_lies_within_a_window_of_its_first(found):
    expected = set()
    for host in ("x", "y"):
        left = sorted(
            (one for one in found if one.labels["host"] == host and one.check_type in "ab"),
            key=lambda one: (one.opened_at, one.id),
        )
        while left:
            run = [one for one in left if one.opened_at - left[0].opened_at <= timedelta(minutes=5)]
            left = [one for one in left if one not in run]
            if {one.check_type for one in run} == {"a", "b"}:
                expected.add((f"host={host}", tuple(one.id for one in run)))
    groups = groups_of([RULE], found)
    assert {(group.key, tuple(one.id for one in group.members)) for group in groups} == expected
    kinds = {one.id: one.check_type for one in found}
    assert all(kinds[group.cause] == "a" for group in groups)


@pytest.fixture
def rules():
    return [
        CorrelationRule("p/disk", "Disk and backup", frozenset({"own_disk_full", "own_backup_failed"}), ("host",),
                        timedelta(minutes=5), "own_disk_full")
    ]  # fmt: skip


async def correlate(muting, rules):
    async with muting.platform.database.tenant(muting.tenant) as session:
        return await correlations.correlate_tenant(session, muting.tenant, rules)


async def groups(muting, **more):
    async with muting.platform.database.tenant(muting.tenant) as session:
        return await correlations.listed(session, muting.tenant, limit=10, **more)


async def decide(muting, group, *, together, version=None):
    async with muting.platform.database.tenant(muting.tenant) as session:
        return await correlations.decide(
            session,
            muting.tenant,
            By("user:ann"),
            group["id"],
            version=version or group["version"],
            together=together,
        )


async def test_a_group_is_proposed_once_grows_and_is_confirmed(muting, other, rules):
    await muting.report(
        {"check_type": "own_backup_failed", "host": "db"}, {"check_type": "own_backup_failed", "host": "ws"}
    )
    assert await correlate(muting, rules) == 0
    await muting.report({"check_type": "own_disk_full", "host": "db"})
    await other.report({"check_type": "own_disk_full", "host": "db"})
    assert sorted(await asyncio.gather(correlate(muting, rules), correlate(muting, rules))) == [0, 1]
    [group] = await groups(muting)
    assert (group["key"], group["state"], len(group["members"])) == ("host=db", "candidate", 2)
    assert await groups(other) == []
    with pytest.raises(NotFound):
        await decide(other, group, together=True)
    await muting.report(
        {"check_type": "own_backup_failed", "host": "db", "details": {}, "dedup_key": "another"}
    )
    await correlate(muting, rules)
    [grown] = await groups(muting)
    assert len(grown["members"]) == 3
    with pytest.raises(Conflict):
        await decide(muting, group, together=True)
    confirmed = await decide(muting, grown, together=True)
    assert confirmed["state"] == "confirmed"
    async with muting.platform.database.tenant(muting.tenant) as session:
        said = [one.says for one in await list_links(session, muting.tenant, confirmed["cause_id"])]
    assert said == ["causes", "causes"]


async def test_what_was_dismissed_is_not_proposed_again(muting, rules):
    await muting.report(
        {"check_type": "own_backup_failed", "host": "db"}, {"check_type": "own_disk_full", "host": "db"}
    )
    assert await correlate(muting, rules) == 1
    [group] = await groups(muting)
    await decide(muting, group, together=False)
    assert await correlate(muting, rules) == 0
    assert [one["state"] for one in await groups(muting)] == ["dismissed"]
    assert await groups(muting, incident_id=UUID(int=1)) == []
