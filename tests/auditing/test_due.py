"""The table of what is due when: nothing that is open lacks a line; what is late is found, what is held is not."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.healing.auditing.due import (
    ALLOWED_SECONDS,
    TABLE,
    Standing,
    allowed_seconds,
    due_at,
    is_overdue,
    open_states,
)
from fettle.incidents.states import SETTLED, State
from fettle.packs.schema_policy import policy_pack

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STATES = sorted(TABLE)

standings = st.builds(
    Standing,
    kind=st.just(""),
    state=st.just(""),
    since=st.timedeltas(timedelta(0), timedelta(days=60)).map(lambda ago: NOW - ago),
    promised=st.none() | st.timedeltas(timedelta(days=-9), timedelta(days=9)).map(lambda by: NOW + by),
)
kept = st.sampled_from([key for key in STATES if key[1] not in {"taken", "muted"}])


def of(key, standing, **more):
    return Standing(*key, standing.since, more.pop("promised", standing.promised), **more)


def test_every_state_in_which_an_incident_is_open_has_a_line():
    assert {("incident", state.value) for state in State if state not in SETTLED} <= set(TABLE)
    assert set(open_states()) == {state.value for state in State if state not in SETTLED}


async def test_every_open_state_that_the_database_knows_has_a_line(database):
    """A state that somebody adds to a table must get a line, or what stands in it could hang unseen."""
    over = {
        "playbook_runs": ("run", {"finished"}),
        "approvals": ("approval", {"approved", "rejected", "expired", "withdrawn"}),
        "escalations": ("escalation", {"resolved"}),
        "escalation_deliveries": ("message", {"delivered", "failed", "skipped"}),
    }
    async with database.raw_system() as connection:
        for table, (kind, ended) in over.items():
            check = await connection.fetchval(
                "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", f"ck_{table}_state"
            )
            states = {part for part in check.split("'")[1::2] if part.islower()}
            assert states, table
            assert {(kind, state) for state in states - ended} <= set(TABLE)


def test_every_line_allows_what_the_policy_can_change():
    schema = policy_pack()["properties"]["due_within"]["properties"]
    assert {line.allows for line in TABLE.values()} == set(ALLOWED_SECONDS) == set(schema)


@given(kept, standings)
def test_what_is_open_and_not_held_is_always_due_some_time(key, standing):
    one = of(key, standing)
    due = due_at(one, {})
    assert due is not None
    assert due > max(one.since, one.promised or one.since)
    assert is_overdue(one, {}, due + timedelta(microseconds=1))
    assert not is_overdue(one, {}, due)
    assert due_at(of(key, standing, held=True), {}) is None


@given(kept, standings, st.integers(60, 10**6))
def test_the_policy_says_how_long_it_may_take(key, standing, seconds):
    policy = {"due_within": dict.fromkeys(ALLOWED_SECONDS, seconds)}
    one = of(key, standing)
    assert due_at(one, policy) - max(one.since, one.promised or one.since) == timedelta(seconds=seconds)


@pytest.mark.parametrize("name", ALLOWED_SECONDS)
def test_without_a_policy_the_usual_time_holds(name):
    assert allowed_seconds(name, {}) == allowed_seconds(name, {"due_within": {}}) == ALLOWED_SECONDS[name]


def test_whoever_has_an_incident_gets_longer_and_an_end_of_a_silence_is_kept_to():
    long_ago = NOW - timedelta(days=2)
    waits = Standing("incident", "escalated", long_ago)
    assert is_overdue(waits, {}, NOW)
    assert not is_overdue(Standing("incident", "escalated", long_ago, is_taken=True), {}, NOW)
    assert not is_overdue(Standing("incident", "suppressed", long_ago), {}, NOW)
    assert is_overdue(Standing("incident", "suppressed", long_ago, NOW - timedelta(hours=1)), {}, NOW)
