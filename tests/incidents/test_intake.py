"""What correlation promises, whatever arrives in whatever batches."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from fettle.incidents.intake import Arrival, Known, correlate
from fettle.incidents.states import MOVES, State, may_move
from fettle.kernel.ids import new_id

NOW = datetime(2026, 11, 1, tzinfo=UTC)


def arrival(fingerprint="f", status="firing", severity="medium"):
    body = {"status": status, "severity": severity}
    return Arrival(new_id(), fingerprint, body, NOW, new_id())


arrivals = st.lists(
    st.builds(
        arrival,
        st.sampled_from("abc"),
        st.sampled_from(["firing", "firing", "resolved"]),
        st.sampled_from(["info", "low", "medium", "high", "critical"]),
    ),
    max_size=20,
)
knowns = st.dictionaries(
    st.sampled_from("abc"),
    st.builds(
        lambda state, severity: Known(new_id(), state, severity),
        st.sampled_from([state for state in State if state is not State.CLOSED]),
        st.sampled_from(["info", "medium", "critical"]),
    ),
)


@given(arrivals, knowns)
def test_every_exception_is_accounted_for_once(batch, known):
    outcomes, went_to = correlate(batch, known)
    assert set(went_to) == {a.exception_id for a in batch}
    assert len({o.fingerprint for o in outcomes}) == len(outcomes)
    counted = sum(len(o.added) + (o.first is not None) for o in outcomes)
    assert counted == sum(not a.resolved for a in batch)


@given(arrivals, knowns)
def test_a_known_incident_is_never_opened_again(batch, known):
    for outcome in correlate(batch, known)[0]:
        assert (outcome.first is None) == (outcome.fingerprint in known)
        assert outcome.incident_id == (
            known[outcome.fingerprint].incident_id if outcome.known else outcome.incident_id
        )


@given(arrivals, knowns)
def test_severity_never_falls_and_the_last_word_of_the_sender_counts(batch, known):
    order = ["info", "low", "medium", "high", "critical"]
    for outcome in correlate(batch, known)[0]:
        if outcome.known:
            assert order.index(outcome.severity) >= order.index(outcome.known.severity)
        last = [a for a in batch if a.fingerprint == outcome.fingerprint][-1]
        if not last.resolved:
            assert outcome.recovered is None


def test_word_that_all_is_well_where_nothing_was_wrong_changes_nothing():
    well = arrival(status="resolved")
    outcomes, went_to = correlate([well], {})
    assert outcomes == []
    assert went_to == {well.exception_id: None}


def test_a_run_in_hand_decides_by_its_own_check():
    known = {"f": Known(new_id(), State.HEALING, "high")}
    [outcome] = correlate([arrival(status="resolved")], known)[0]
    assert outcome.recovered is not None
    assert not outcome.settles


def test_a_resolved_incident_is_reopened_by_the_next_occurrence():
    known = {"f": Known(new_id(), State.RESOLVED, "high")}
    [outcome] = correlate([arrival(), arrival()], known)[0]
    assert outcome.reopened
    assert outcome.handed_over
    assert len(outcome.added) == 2


def test_every_state_can_be_left_and_closed_only_by_reopening():
    assert set(MOVES) == set(State)
    assert all(MOVES[state] for state in State)
    assert MOVES[State.CLOSED] == {State.OPEN}
    assert may_move(State.HEALING, State.HEALING)
