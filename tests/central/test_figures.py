"""What `/metrics` shows moves with what the platform did, in every process, and names no tenant."""

import contextlib
import os
import subprocess
import sys

import pytest_asyncio
from bench.healable import CHECK_TYPE, let_heal
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from fettle.kernel import metrics

SECRET = "ghp_" + "a1B2" * 9


@pytest_asyncio.fixture(scope="module")
async def healing(api_at_work):
    """The application with a tenant whose exceptions heal by one call."""
    await let_heal(api_at_work.platform, api_at_work.alder.id, {CHECK_TYPE: "noop"})
    return api_at_work


def read(shown: str) -> dict[tuple[str, ...], float]:
    """Return each figure by its name and its labels' values, the labels in the order of their names."""
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(shown)
        for sample in family.samples
    }


async def figures(api) -> dict[tuple[str, ...], float]:
    answer = await api.client.get("/metrics")
    assert answer.status_code == 200
    return read(answer.text)


async def heal(api, **more) -> None:
    body = {"check_type": CHECK_TYPE, "host": "figures-1", "platform": "linux", **more}
    sent = await api.client.post("/api/v1/exceptions", headers=api.alder.headers(), json=body)
    assert sent.status_code == 202, sent.text
    await api.eventually(
        f"/api/v1/incidents?host={body['host']}",
        api.alder.headers("viewer"),
        lambda answer: [item["state"] for item in answer["items"]] == ["resolved"],
    )
    await api.settle()


async def test_one_healed_incident_moves_every_figure_of_its_way(healing):
    before = await figures(healing)
    await heal(healing, summary=f"The token {SECRET} was refused")
    after = await figures(healing)
    moved = {key: after[key] - before.get(key, 0) for key in after if after[key] != before.get(key, 0)}
    assert moved["fettle_events_handled_total", "incidents.intake", "handled"] == 1
    assert moved["fettle_events_handled_total", "healing.decide", "handled"] == 1
    assert moved["fettle_events_handled_total", "evidence.seal", "handled"] >= 1
    assert moved["fettle_event_handling_seconds_count", "healing.decide"] == 1
    assert moved["fettle_decisions_total", "L1", "plan.approved"] == 1
    step_and_its_check = 2
    assert moved["fettle_tool_calls_total", "succeeded", "noop"] == step_and_its_check
    assert moved[("fettle_healing_seconds_count",)] == 1
    assert [change for key, change in moved.items() if key[0] == "fettle_redactions_total"] == [1]
    assert moved["fettle_http_requests_total", "POST", "/api/v1/exceptions", "202"] == 1


async def test_how_far_each_consumer_is_behind_is_shown(healing):
    shown = await figures(healing)
    for name in ("fettle_consumer_lag_events", "fettle_consumer_lag_seconds", "fettle_dead_letters"):
        assert (name, "incidents.intake") in shown
    assert {("fettle_temporal_keys",), ("fettle_temporal_bytes",)} <= set(shown)


async def test_no_figure_names_a_tenant_a_host_or_what_was_sent(healing):
    await heal(healing, host="figures-2")
    answer = await healing.client.get("/metrics")
    for private in (str(healing.alder.id), "alder", "figures-2", SECRET):
        assert private not in answer.text


async def test_what_is_rolled_back_is_not_counted(database, tenant):
    counted = []
    for statement in ("SELECT 1 / 0", "SELECT 1"):
        with contextlib.suppress(DBAPIError):
            async with database.tenant(tenant) as session:
                metrics.after_commit(session, lambda statement=statement: counted.append(statement))
                await session.execute(text(statement))
    assert counted == ["SELECT 1"]


def test_the_figures_of_all_processes_of_a_machine_are_shown_together(tmp_path):
    """As the worker and the API count, which are processes of their own."""
    environment = {**os.environ, metrics.PROCESSES_FOLDER: str(tmp_path)}
    count = "from fettle.kernel import metrics; metrics.DECISIONS.labels('L1', 'plan.approved').inc(%d); "
    for number in (2, 3):
        subprocess.run([sys.executable, "-c", count % number], env=environment, check=True)
    show = count % 1 + "import sys; sys.stdout.buffer.write(metrics.render())"
    shown = subprocess.run([sys.executable, "-c", show], env=environment, check=True, capture_output=True)
    assert read(shown.stdout.decode())["fettle_decisions_total", "L1", "plan.approved"] == 6


async def test_a_figure_that_cannot_be_counted_does_not_undo_the_work(database, tenant):
    def broken() -> None:
        raise OSError("no space left on the disk")

    async with database.tenant(tenant) as session:
        metrics.after_commit(session, broken)
        kept = await session.scalar(text("SELECT 1"))
    assert kept == 1
