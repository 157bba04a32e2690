"""What the planner shows over HTTP: its chain, budgets, costs and decisions, of the own tenant alone."""

import pytest
import pytest_asyncio

from fettle.kernel.ids import new_id

_DECISION = (
    "INSERT INTO planner_decisions (tenant_id, id, incident_id, pattern, outcome, choice, provider, model, confidence, "
    "claimed, requires_human_review, calls, input_tokens, output_tokens, cost_micros, latency_ms, result) "
    "VALUES ($1, $2, $3, 'v1:x', $4, 'runbook:RB-X', 'openai:m@h:1', 'm', 0.8, 0.9, false, 1, 900, 50, 1100, 40, $5)"
)
_COST = (
    "INSERT INTO planner_costs (tenant_id, day, provider, model, asked, answered, calls, input_tokens, output_tokens, "
    "cost_micros, latency_ms) SELECT $1, (now() AT TIME ZONE 'utc')::date - n, 'openai:m@h:1', 'm', 2, 1, 3, 900, 50, "
    "1100, 80 FROM generate_series(0, 2) n"
)


@pytest_asyncio.fixture
async def spent(api):
    """Three days of costs and three decisions of one tenant."""
    incident = new_id()
    async with api.platform.database.raw_tenant(api.alder.id) as connection:
        await connection.execute("DELETE FROM planner_decisions WHERE tenant_id = $1", api.alder.id)
        await connection.execute("DELETE FROM planner_costs WHERE tenant_id = $1", api.alder.id)
        for outcome, result in (("chosen", "healed"), ("chosen", "not_healed"), ("unsure", None)):
            await connection.execute(_DECISION, api.alder.id, new_id(), incident, outcome, result)
        await connection.execute(_COST, api.alder.id)
    return incident


async def get(api, path, who=None, role="viewer"):
    return await api.client.get(f"/api/v1/planner{path}", headers=(who or api.alder).headers(role))


async def test_the_planner_is_shown_with_its_chain_budgets_and_calibration(api, spent):
    shown = (await get(api, "")).json()
    assert shown["enabled"] is False
    assert shown["prose"] == "withheld"
    assert [link["breaker"] for link in shown["chain"]] == ["closed"] * len(shown["chain"])
    assert [budget["kind"] for budget in shown["budgets"]] == ["calls", "tokens", "usd"]
    calibration = shown["calibration"]
    assert (calibration["number"], calibration["error"]) == (2, pytest.approx(0.3, abs=1e-3))
    assert calibration["points"] == [{"claimed": 0.8, "came_true": 0.5, "number": 2}]


@pytest.mark.parametrize(("by", "rows"), [("day", 3), ("model", 1)])
async def test_costs_are_summed(api, spent, by, rows):
    usage = (await get(api, f"/usage?by={by}")).json()
    assert len(usage["items"]) == rows
    assert usage["total"]["cost"] == {"amount": "0.0033", "currency": "USD"}
    assert usage["total"]["calls"] == 9
    assert usage["total"]["mean_latency_ms"] == 40


async def test_months_are_summed_and_days_that_cannot_be_are_named(api, spent):
    usage = (await get(api, "/usage?by=month")).json()
    assert sum(item["calls"] for item in usage["items"]) == 9
    wrong = await get(api, "/usage?first=2026-05-02&last=2026-05-01")
    assert (wrong.status_code, wrong.json()["errors"][0]["pointer"]) == (422, "/first")
    assert (await get(api, "/usage?first=1990-01-01")).status_code == 422
    for edge in ("last=0001-01-01", "first=9999-12-31", "first=0001-01-01&last=0001-01-01"):
        assert (await get(api, f"/usage?{edge}")).status_code in {200, 422}, edge


async def test_decisions_are_listed_by_page_by_incident_and_by_outcome(api, spent):
    first = (await get(api, "/decisions?limit=2")).json()
    second = (await get(api, f"/decisions?limit=2&cursor={first['next_cursor']}")).json()
    results = [one["result"] for one in (*first["items"], *second["items"])]
    assert results == [None, "not_healed", "healed"]
    assert second["next_cursor"] is None
    found = (await get(api, f"/decisions?incident_id={spent}&outcome=unsure")).json()["items"]
    assert [one["cost"]["amount"] for one in found] == ["0.0011"]
    assert (await get(api, f"/decisions?incident_id={new_id()}")).json()["items"] == []


async def test_another_tenant_sees_nothing_of_it(api, spent):
    assert (await get(api, "/decisions", api.birch)).json()["items"] == []
    assert (await get(api, "/usage", api.birch)).json()["items"] == []
    shown = (await get(api, "", api.birch)).json()
    assert shown["calibration"]["number"] == 0


@pytest.mark.parametrize("path", ["", "/usage", "/decisions"])
async def test_who_has_no_key_sees_nothing(api, path):
    assert (await api.client.get(f"/api/v1/planner{path}")).status_code == 401
