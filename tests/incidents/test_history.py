"""Old histories replay to the same standing, byte for byte."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from fettle.incidents import history
from fettle.kernel.jsonio import dumps

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_a_golden_history_replays_to_the_standing_that_was_recorded_with_it(path):
    recorded = json.loads(path.read_text())
    standing = history.fold(
        (e["type"], e["data"], datetime.fromisoformat(e["occurred_at"])) for e in recorded["events"]
    )
    replayed = json.loads(dumps(standing._asdict()))
    assert {name: replayed.pop(name) for name in recorded["standing"]} == recorded["standing"]
    # What a standing has learned to say since then, it does not say of a history that knows nothing of it.
    assert set(replayed.values()) <= {None}


def test_there_are_golden_histories():
    assert len(GOLDEN) >= 4


def test_a_history_begins_with_the_opening():
    with pytest.raises(ValueError, match=r"begins with incident\.opened"):
        history.fold([("incident.triaged", {}, datetime.now().astimezone())])
