"""A real Alertmanager notifies the application: what fires opens, what repeats updates, what ends closes."""

import asyncio
import contextlib

import pytest_asyncio
from tests.incidents.alertmanager_process import running_alertmanager

from fettle.incidents import consumers
from fettle.kernel.bus import run_consumers

HOOK = "/api/v1/hooks/alertmanager"


@pytest_asyncio.fixture(scope="module")
async def at_intake(api):
    """The application with the intake beside it, and nothing that would heal what the alerts say."""
    task = asyncio.create_task(run_consumers(api.platform, consumers.CONSUMERS))
    yield api
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


@pytest_asyncio.fixture(scope="module")
async def alertmanager(at_intake):
    """A real Alertmanager that notifies the application by a key that may do nothing else."""
    tenant = at_intake.alder
    made = await at_intake.client.post(
        "/api/v1/api-keys",
        headers=tenant.headers(),
        json={"name": "alertmanager", "scopes": ["exceptions:write"]},
    )
    assert made.status_code == 201, made.text
    async with running_alertmanager(f"{at_intake.url}{HOOK}", made.json()["secret"]) as running:
        yield running


def alert(name, instance, **labels):
    return {"alertname": name, "instance": f"{instance}:9100", "severity": "warning", **labels}


async def incidents_of(api, host, wanted):
    """Return the incidents of a host once they are as wanted."""
    path = f"/api/v1/incidents?host={host}"
    return (await api.eventually(path, api.alder.headers("viewer"), lambda answer: wanted(answer["items"])))[
        "items"
    ]


async def test_a_firing_alert_opens_an_incident_repeats_update_it_and_the_end_closes_it(
    at_intake, alertmanager
):
    """Open until its sender says otherwise: while it fires, `endsAt` is of the year 1."""
    labels = alert("FilesAreOnFire", "files-1", mountpoint="/srv")
    await alertmanager.fire(labels, summary="Less than 5 % is left")
    [first] = await incidents_of(at_intake, "files-1", lambda items: len(items) == 1)
    assert (first["severity"], first["state"]) in {("medium", "open"), ("medium", "triaged")}
    assert first["closed_at"] is None

    [later] = await incidents_of(at_intake, "files-1", lambda items: items[0]["occurrences"] >= 3)
    assert later["id"] == first["id"]
    assert later["last_seen_at"] > first["last_seen_at"]

    shown = await at_intake.client.get(
        f"/api/v1/incidents/{first['id']}", headers=at_intake.alder.headers("viewer")
    )
    told = shown.json()
    assert told["labels"]["mountpoint"] == "/srv"
    assert told["details"]["alertname"] == "FilesAreOnFire"
    assert "ends_at" not in told["details"]
    assert told["summary"] == "Less than 5 % is left"

    await alertmanager.resolve(labels)
    [ended] = await incidents_of(at_intake, "files-1", lambda items: items[0]["state"] == "closed")
    assert ended["id"] == first["id"]
    assert ended["closed_at"] is not None


async def test_alerts_of_one_group_are_incidents_of_their_own_and_end_one_by_one(at_intake, alertmanager):
    both = [alert("GroupIsDown", "group-1", job=job) for job in ("node", "backup")]
    await alertmanager.fire(*both)
    opened = await incidents_of(at_intake, "group-1", lambda items: len(items) == 2)
    await alertmanager.resolve(both[0])
    states = await incidents_of(
        at_intake,
        "group-1",
        lambda items: sorted(i["state"] == "closed" for i in items) == [False, True],
    )
    assert {i["id"] for i in states} == {i["id"] for i in opened}


async def test_an_alert_that_fires_again_after_its_end_is_a_new_incident(at_intake, alertmanager):
    labels = alert("ComesAndGoes", "flap-1")
    await alertmanager.fire(labels)
    await incidents_of(at_intake, "flap-1", lambda items: len(items) == 1)
    await alertmanager.resolve(labels)
    await incidents_of(at_intake, "flap-1", lambda items: items[0]["state"] == "closed")
    await alertmanager.fire(labels)
    newer, older = await incidents_of(at_intake, "flap-1", lambda items: len(items) == 2)
    assert (newer["closed_at"], older["state"]) == (None, "closed")


async def test_another_tenant_sees_none_of_it(at_intake, alertmanager):
    await alertmanager.fire(alert("OnlyOfAlder", "alder-1"))
    await incidents_of(at_intake, "alder-1", lambda items: len(items) == 1)
    seen = await at_intake.client.get("/api/v1/incidents", headers=at_intake.birch.headers("viewer"))
    assert seen.json()["items"] == []
