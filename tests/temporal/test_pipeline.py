"""Rules over time in the pipeline: from exceptions to the incident that they add up to, with what is remembered."""

import asyncio
from datetime import timedelta

import pytest
from tests.crosswise import somebody_waits
from tests.temporal.rules import ABSENCE, ACCUMULATE, COUNT, MISSING, ONCE, SEQUENCE, document, rule

from fettle.healing.temporal import keeping, service, striking
from fettle.healing.temporal.consumers import see
from fettle.healing.temporal.current import current_rules
from fettle.healing.temporal.forgetting import forget_key
from fettle.healing.temporal.matching import Key, Sighting, TemporalRules
from fettle.healing.temporal.moments import KeyState
from fettle.incidents.accepting import acceptor
from fettle.incidents.schemas import ExceptionIn
from fettle.kernel import events
from fettle.kernel.bus import TenantBatch
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import NotFound


async def unseen(temporal, *check_types):
    """Accept exceptions that no consumer has seen yet; return their events."""
    wanted = [ExceptionIn.model_validate({"check_type": one, "host": "h1"}) for one in check_types]
    ids = await acceptor(temporal.platform).accept(temporal.tenant, wanted, actor="system:test")
    rows = await temporal.rows(f"SELECT {events.COLUMNS} FROM events WHERE stream_id = ANY($1)", ids)
    return [events.Event(**row) for row in rows]


OPEN = "escalated"  # nothing heals what no pack knows, so a person has it


async def test_three_within_the_window_open_one_incident_of_their_key(temporal):
    await temporal.write(COUNT)
    await temporal.see("a", "a", "a", host="h1")
    await temporal.see("a", "a", host="h2")
    assert await temporal.raised() == [("h1", OPEN)]
    [firing] = await temporal.rows("SELECT * FROM temporal_firings")
    assert firing["key"] == {"host": "h1"}
    assert firing["count"] == 3
    [incident] = await temporal.rows("SELECT * FROM incidents WHERE check_type = 'c'")
    assert incident["details"]["exceptions"] == [str(id_) for id_ in firing["exception_ids"]]
    assert incident["details"]["rule_id"] == "T-1"
    figures = await temporal.figures()
    assert (figures["counted"], figures["fired"], figures["keys"]) == (5, 1, 2)


async def test_an_incident_is_linked_with_those_that_led_to_it(temporal):
    await temporal.write(COUNT)
    await temporal.see("a", "a", "a")
    for _ in range(2):
        await striking.link_incidents(temporal.platform)
    [link] = await temporal.rows(
        "SELECT l.kind, f.check_type AS of, t.check_type AS by FROM incident_links l "
        "JOIN incidents f ON f.id = l.from_id JOIN incidents t ON t.id = l.to_id"
    )
    assert link == {"kind": "caused_by", "of": "c", "by": "a"}


async def test_each_kind_finds_what_it_is_for(temporal):
    await temporal.write(SEQUENCE)
    await temporal.see("a", "a")
    assert await temporal.raised() == []
    await temporal.see("b")
    assert await temporal.raised() == [("h1", OPEN)]


async def test_what_began_and_did_not_end_is_told_when_it_is_due_and_is_over_when_it_ends(temporal):
    await temporal.write(MISSING)
    await temporal.see("a", host="h1")
    await temporal.see("a", host="h2")
    await temporal.see("b", host="h2", status="resolved")
    assert await temporal.wait(14) == 0
    assert await temporal.wait(16) == 1
    assert await temporal.wait(160) == 0
    assert await temporal.raised() == [("h1", OPEN)]
    await temporal.see("b", host="h1", status="resolved")
    assert await temporal.raised() == [("h1", "closed")]


async def test_a_heartbeat_that_stopped_is_missed_and_ends_what_was_told_when_it_beats_again(temporal):
    await temporal.write(ABSENCE)
    await temporal.see("a", status="resolved", ago=100)
    assert await temporal.wait(0) == 1
    assert await temporal.wait(1000) == 0
    assert await temporal.raised() == [("h1", OPEN)]
    await temporal.see("a", status="resolved")
    assert await temporal.raised() == [("h1", "closed")]
    assert await temporal.wait(16) == 1


async def test_what_is_expected_is_missed_though_nothing_was_ever_seen_of_it(temporal):
    await temporal.write(ABSENCE, expected=[{"host": "H7"}, {"host": "h8"}])
    await temporal.see("a", host="h8", status="resolved")
    assert [row["key"] for row in await temporal.keys()] == [{"host": "h7"}, {"host": "h8"}]
    assert await temporal.wait(20) == 2
    assert await temporal.raised() == [("h7", OPEN), ("h8", OPEN)]


async def test_what_came_while_a_rule_was_switched_off_is_not_missed_once_it_is_on_again(temporal):
    await temporal.write(ABSENCE, expected=[{"host": "h9"}])
    await temporal.see("a", host="h1", status="resolved")
    await switch(temporal, 1, enabled=False)
    assert await temporal.keys() == []
    assert (await temporal.figures())["keys"] == 0
    await temporal.see("a", host="h1", status="resolved")
    await switch(temporal, 2, enabled=True)
    assert [row["key"] for row in await temporal.keys()] == [{"host": "h9"}]
    assert await temporal.wait(16) == 1
    assert await temporal.raised() == [("h9", OPEN)]
    await switch(temporal, 3, enabled=False)
    await switch(temporal, 4, enabled=True)
    await temporal.see("a", host="h9", status="resolved")
    assert await temporal.raised() == [("h9", "closed")]


async def switch(temporal, version, *, enabled):
    async with temporal.platform.database.tenant(temporal.tenant) as session:
        rule = document(ABSENCE, expected=[{"host": "h9"}], enabled=enabled)
        await service.RULES.change(
            session, temporal.tenant, "T-1", service.checked(rule), version=version, actor="user:test"
        )
    await temporal.settle()


async def test_an_expected_key_that_an_older_version_of_the_rule_wrote_over_is_looked_for_all_the_same(
    temporal,
):
    await temporal.write(ABSENCE, expected=[{"host": "h1"}])
    await temporal.rows("UPDATE temporal_keys SET stamp = 'older' RETURNING 1")
    assert await temporal.wait(16) == 0
    assert await temporal.wait(16) == 1
    assert await temporal.raised() == [("h1", OPEN)]
    assert (await temporal.figures())["keys"] == 1


async def test_only_the_first_within_the_window_raises_and_the_others_are_noted(temporal):
    await temporal.write(ONCE)
    await temporal.see("a", "a", "a")
    assert await temporal.rows("SELECT count FROM temporal_firings") == [{"count": 1}]
    figures = await temporal.figures()
    assert (figures["counted"], figures["held"]) == (1, 2)


async def test_a_sum_that_reaches_its_threshold_says_what_it_came_to(temporal):
    await temporal.write(ACCUMULATE)
    for amount in (60, "many", 30.5, 9.5):
        await temporal.see("a", details={"bytes": amount})
    [firing] = await temporal.rows("SELECT total, count FROM temporal_firings")
    assert firing == {"total": 100.0, "count": 3}
    assert (await temporal.figures())["passed_over"] == 1


async def test_no_rule_over_time_sees_what_one_raised(temporal):
    of_all = [{"field": "check_type", "operator": "in", "value": ["a", "c"]}]
    await temporal.write(ONCE, conditions=of_all, by=[])
    await temporal.see("a")
    await temporal.write(ONCE, id="T-2", conditions=of_all, by=[])
    assert len(await temporal.rows("SELECT id FROM temporal_firings")) == 1


async def test_the_time_of_the_sender_counts_unless_it_cannot_be_right(temporal):
    await temporal.write(COUNT)
    for ago in (30, 15, 0):
        await temporal.see("a", host="apart", ago=ago)
    for ago in (30, 25, 21):
        await temporal.see("a", host="together", ago=ago)
    for ago in (-3_600, 0, 10**6):  # a clock that is ahead, and one that is far behind
        await temporal.see("a", host="wrong", ago=ago)
    assert await temporal.raised() == [("together", OPEN), ("wrong", OPEN)]


async def test_a_rule_is_forgotten_with_what_it_remembered_once_it_looks_at_something_else(temporal):
    await temporal.write(COUNT)
    await temporal.see("a", "a")
    await temporal.rows(
        "UPDATE temporal_rules SET document = document || '{\"within_seconds\": 9}' RETURNING id"
    )
    await temporal.rows("UPDATE temporal_rule_sets SET version = version + 1 RETURNING version")
    temporal.platform.parts.pop("healing.temporal")
    await temporal.see("a", "a")
    assert await temporal.raised() == []
    await temporal.see("a")
    assert await temporal.raised() == [("h1", OPEN)]


async def test_more_keys_than_a_rule_may_have_evict_those_seen_least_lately_and_that_is_said(temporal):
    await temporal.write(COUNT, most_keys=3)
    for host in ("h1", "h2", "h3", "h4", "h5"):
        await temporal.see("a", host=host)
    assert [row["key"]["host"] for row in await temporal.keys()] == ["h3", "h4", "h5"]
    figures = await temporal.figures()
    assert (figures["keys"], figures["evicted"]) == (3, 2)
    assert figures["bytes"] == sum(row["bytes"] for row in await temporal.keys())
    told = await temporal.rows("SELECT data FROM events WHERE type = 'temporal_rule.limit_reached'")
    assert [row["data"] for row in told] == [
        {"temporal_rule_id": "T-1", "did": "evicted", "keys": 1, "most_keys": 3}
    ]


async def test_one_batch_of_very_many_keys_stays_within_the_limit_too(temporal):
    await temporal.write(COUNT, most_keys=3)
    await temporal.see("a", host="h0")
    await temporal.report(*({"check_type": "a", "host": f"h{number}"} for number in range(1, 40)))
    assert len(await temporal.keys()) == 3
    figures = await temporal.figures()
    assert (figures["keys"], figures["evicted"]) == (3, 37)


async def test_what_waits_is_never_evicted_so_that_new_keys_are_refused(temporal):
    await temporal.write(MISSING, most_keys=1)
    await temporal.see("a", host="h1")
    await temporal.see("a", host="h2")
    assert (await temporal.figures())["refused"] == 1
    assert await temporal.wait(16) == 1
    assert await temporal.raised() == [("h1", OPEN)]


async def test_a_tenant_remembers_no_more_keys_than_it_may(temporal, monkeypatch):
    monkeypatch.setattr(keeping, "MOST_KEYS", 2)
    await temporal.write(COUNT)
    for host in ("h1", "h2", "h3"):
        await temporal.see("a", host=host)
    assert len(await temporal.keys()) == 2
    assert (await temporal.figures())["refused"] == 1


async def test_what_a_rule_that_is_gone_waited_for_is_not_missed(temporal):
    await temporal.write(MISSING)
    await temporal.see("a")
    await temporal.rows("DELETE FROM temporal_rules RETURNING id")
    await temporal.rows("UPDATE temporal_rule_sets SET version = version + 1 RETURNING version")
    assert await temporal.wait(100) == 0
    assert await temporal.keys() == []
    figures = await temporal.figures()
    assert (figures["keys"], figures["bytes"]) == (0, 0)


async def test_keys_that_say_nothing_any_more_are_forgotten(temporal):
    await temporal.write(COUNT)
    await temporal.see("a", ago=3_600)
    await striking.forget(temporal.platform)
    assert await temporal.keys() == []
    figures = await temporal.figures()
    assert (figures["keys"], figures["bytes"]) == (0, 0)


async def test_a_batch_that_is_undone_leaves_nothing_and_is_applied_once_when_it_comes_again(temporal):
    await temporal.write(COUNT)
    await temporal.see("a", "a")
    seen = await unseen(temporal, "a")
    assert len(seen) == 1

    async def die():
        async with temporal.platform.database.tenant(temporal.tenant) as session:
            await see(TenantBatch(temporal.platform, session, temporal.tenant, seen))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await die()
    assert await temporal.rows("SELECT id FROM temporal_firings") == []
    async with temporal.platform.database.tenant(temporal.tenant) as session:
        await see(TenantBatch(temporal.platform, session, temporal.tenant, seen))
    [firing] = await temporal.rows("SELECT id, exception_ids FROM temporal_firings")
    assert len(firing["exception_ids"]) == 3


async def test_two_tenants_share_neither_rules_nor_memory(temporal, other):
    await temporal.write(COUNT)
    await temporal.see("a", "a")
    await other.see("a", "a", "a")
    await other.write(COUNT)
    await other.see("a", "a")
    assert await temporal.raised() == []
    assert await other.raised() == []
    await temporal.see("a")
    assert await temporal.raised() == [("h1", OPEN)]
    assert await other.rows("SELECT id FROM temporal_firings") == []


async def test_without_a_rule_that_looks_at_it_an_exception_costs_no_statement(temporal, monkeypatch):
    await temporal.write(COUNT)
    opened = []
    monkeypatch.setattr(keeping.Keeper, "open", lambda *_: opened.append(1))
    await temporal.see("sandbox_process", "nobody_knows")
    assert opened == []


def _hostile():
    yield {"check_type": "a", "host": "h" * 200, "labels": {"x": "\u202e" + "y" * 3_999}}
    yield {"check_type": "a", "details": {"host": ["list"], "bytes": 1e308}}
    yield {"check_type": "a", "host": "h", "details": {"bytes": -1, "deep": {"a": {"b": {}}}}}
    yield {"check_type": "a", "host": "h", "occurred_at": "0001-01-01T00:00:00+14:00"}
    yield {"check_type": "a", "host": "h", "occurred_at": "9999-12-31T23:59:59-12:00"}


async def test_hostile_exceptions_are_counted_or_passed_over_and_break_nothing(temporal):
    await temporal.write(COUNT, by=["labels.x"])
    await temporal.write(ACCUMULATE, id="T-2", by=["details.host"])
    await temporal.write(ACCUMULATE, id="T-3")
    for body in _hostile():
        await temporal.report(body, body)
    await temporal.see("a", "a", "a", labels={"x": "y"})
    rows = await temporal.rows("SELECT rule_id, counted, passed_over FROM temporal_figures ORDER BY rule_id")
    assert rows == [
        {"rule_id": "T-1", "counted": 5, "passed_over": 0},
        {"rule_id": "T-3", "counted": 0, "passed_over": 13},
    ]


def test_a_host_is_the_same_however_it_is_written_and_long_values_stay_apart():
    rules = TemporalRules([rule(COUNT, by=["host", "labels.x"])])

    def key(host, label):
        body = {"check_type": "a", "host": host, "labels": {"x": label}}
        now = utcnow()
        [touch] = rules.touched(Sighting("1", body, now - timedelta(seconds=1), now))
        return touch.key

    assert key("H1", "x") == key("h1", "x") != key("h1", "X")
    long = "z" * 3_000
    assert key("h1", long + "1").hash != key("h1", long + "2").hash
    assert len(key("h1", long).values[1]) <= 200


async def test_what_was_accepted_and_not_seen_yet_stops_the_clock(temporal):
    await temporal.write(ABSENCE)
    await temporal.see("a", status="resolved", ago=100)
    await lanes_at_end(temporal)
    [event] = await unseen(temporal, "a")
    async with temporal.platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE events SET occurred_at = now() - interval '95 seconds' WHERE id = $1", event.id
        )
    await striking.look_at_due(temporal.platform)
    assert await temporal.rows("SELECT id FROM temporal_firings") == [], "it may be what one waits for"
    await lanes_at_end(temporal)
    await striking.look_at_due(temporal.platform)
    assert len(await temporal.rows("SELECT id FROM temporal_firings")) == 1


async def lanes_at_end(temporal):
    """Let the bus say that the group has read everything."""
    async with temporal.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO consumer_lanes (consumer_group, lane, position) SELECT $1, lane, "
            "(SELECT max(position) FROM events) FROM generate_series(0, 15) lane "
            "ON CONFLICT (consumer_group, lane) DO UPDATE SET position = excluded.position",
            striking.GROUP,
        )


async def forget(temporal, host, rule_id="T-1"):
    """Let a rule forget the key of a host, as a person does."""
    async with temporal.platform.database.tenant(temporal.tenant) as session:
        rules = await current_rules(temporal.platform, session, temporal.tenant, is_fresh=True)
        rule = rules.rules.rules[rule_id]
        return await forget_key(session, temporal.tenant, rule, Key.of([host]).hash, actor="user:ann")


async def test_what_is_missing_of_a_forgotten_key_is_told_no_more(temporal):
    await temporal.write(ABSENCE)
    await temporal.see("a", host="h1")
    await temporal.see("a", host="h2")
    await forget(temporal, "h1")
    assert await temporal.wait(16) == 1
    assert await temporal.raised() == [("h2", OPEN)]
    [told] = await temporal.rows("SELECT data FROM events WHERE type = 'temporal_rule.key_forgotten'")
    assert told["data"] == {"temporal_rule_id": "T-1", "key": {"host": "h1"}}


async def test_an_expected_key_that_is_forgotten_is_looked_for_anew(temporal):
    await temporal.write(ABSENCE, expected=[{"host": "h1"}])
    assert await temporal.wait(16) == 1
    gone = await forget(temporal, "h1")
    assert gone["is_told"]
    [key] = await temporal.keys()
    assert not KeyState.of(key["state"]).is_told
    figures = await temporal.figures()
    assert (figures["keys"], figures["bytes"]) == (1, key["bytes"])
    assert await temporal.wait(16) == 1, "it is missing anew"


async def test_who_forgets_waits_for_what_is_just_being_counted_and_forgets_that_too(temporal):
    await temporal.write(COUNT)
    await temporal.see("a")
    new = await unseen(temporal, "a")
    async with temporal.platform.database.tenant(temporal.tenant) as session:
        await see(TenantBatch(temporal.platform, session, temporal.tenant, new))
        waiting = asyncio.create_task(forget(temporal, "h1"))
        await somebody_waits(await driver(session), waiting)
    assert (await waiting)["remembered"] == 2
    assert await temporal.keys() == []
    with pytest.raises(NotFound, match="remembers no key"):
        await forget(temporal, "h1")
