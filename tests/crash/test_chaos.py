"""Promises P1 and P2 under fire: API, workers and PostgreSQL are killed at random moments under load."""

from tests.crash.chaos import chaos

KILLS = 50


async def test_nothing_acknowledged_is_lost_doubled_or_half_applied(tmp_path):
    report = await chaos(tmp_path / "home", kills=KILLS, seed=1, per_second=15, accepted=500)
    assert report.wrong == []
    assert sum(report.killed.values()) >= KILLS
    assert report.killed.keys() == {"api", "worker-1", "worker-2", "backend", "postmaster"}
    assert report.accepted > 500
