"""Races: of two people who decide at once one does, and what happens once is asked for once."""

import asyncio

import pytest_asyncio
from tests.isolation.callers import everybody


@pytest_asyncio.fixture(scope="module")
async def approvers(api_at_work):
    """Two people who may both decide."""
    found = await everybody(api_at_work, api_at_work.alder)
    return [one for one in found if one.name.endswith((" tenant_admin", " operator"))]


async def test_of_two_approvers_at_once_one_decides_and_the_plan_runs_once(api_at_work, approvers):
    """Each presses as often as they like: one decision, one run, and the others are told who it was."""
    api = api_at_work
    assert len(approvers) == 2
    body = {"check_type": "sandbox_process", "platform": "linux", "host": "raced"}
    await api.client.post("/api/v1/exceptions", headers=api.alder.headers(), json=body)
    found = await api.eventually(
        "/api/v1/approvals?state=pending", api.alder.headers(), lambda answer: len(answer["items"]) == 1
    )
    approval = found["items"][0]
    verdict = {"reason": "As agreed", "plan_hash": approval["plan_hash"]}
    path = f"/api/v1/approvals/{approval['id']}"
    answers = await asyncio.gather(
        *(
            api.client.post(f"{path}/{way}", headers=one.headers, json=verdict)
            for _ in range(5)
            for one, way in zip(approvers, ("approve", "reject"), strict=True)
        )
    )
    statuses = sorted(answer.status_code for answer in answers)
    assert statuses == [202] + [409] * 9
    won = next(answer for answer in answers if answer.status_code == 202)
    decided = (await api.client.get(path, headers=api.alder.headers())).json()
    assert decided["state"] == ("approved" if won.request.url.path.endswith("approve") else "rejected")
    await api.settle()
    runs = (await api.client.get("/api/v1/runs", headers=api.alder.headers())).json()["items"]
    assert len([run for run in runs if run["incident_id"] == approval["incident_id"]]) == (
        1 if decided["state"] == "approved" else 0
    )
