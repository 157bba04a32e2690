"""What people and programs read all day: few statements each, no large table read whole, and the shape it says."""

import json

import pytest
import pytest_asyncio
from bench.many_incidents import fill
from bench.reads import READS, Read, look, reader_key
from tests.conftest import insert_tenant

from fettle.evidence.schemas import BundlePage
from fettle.healing.schemas import RulePage
from fettle.healing.schemas_approvals import ApprovalPage
from fettle.identity.routes_audit import AuditOut
from fettle.incidents.overview import Overview
from fettle.incidents.schemas import IncidentOut, IncidentPage, Timeline
from fettle.incidents.work_schemas import CountOut
from fettle.kernel.http.pages import Page
from fettle.packs.service import ensure_shipped
from fettle.tools.schemas import RunPage

INCIDENTS = 4_000
MORE = (
    Read("incidents, last seen first", "/api/v1/incidents?sort=seen", 1),
    Read("incidents of a check, by state", "/api/v1/incidents?check_type=check_1&state=closed", 1),
    Read("incidents that need somebody", "/api/v1/incidents?needs_me=true&level=L1", 1),
    Read("grave incidents of a state", "/api/v1/incidents?sort=severity&severity=high&state=closed", 1),
    Read("how many incidents", "/api/v1/incidents/count", 1),
    Read("how many of a state", "/api/v1/incidents/count?state=escalated", 1),
    Read("overview", "/api/v1/overview", 1),
    Read("evidence", "/api/v1/evidence", 1),
    Read("runs", "/api/v1/runs", 1),
    Read("approvals", "/api/v1/approvals", 1),
    Read("approvals of two states", "/api/v1/approvals?state=pending&state=expired", 1),
    Read("audit", "/api/v1/audit", 1),
    Read("audit of an action", "/api/v1/audit?action=incident.closed", 1),
    # The versions of the tenant's rules and playbooks, and its own rules; the packs' are in memory.
    Read("rules", "/api/v1/rules", 2),
)
SHAPES = {
    "incidents": IncidentPage, "count": CountOut, "overview": Overview, "evidence": BundlePage, "runs": RunPage,
    "approvals": ApprovalPage, "audit": Page[AuditOut], "rules": RulePage, "timeline": Timeline,
}  # fmt: skip


@pytest_asyncio.fixture(scope="module")
async def looked(platform):
    await ensure_shipped(platform)
    tenant = await insert_tenant(platform.database, "many")
    settings = platform.settings
    urls = {
        "FETTLE_DATABASE_URL": settings.database_url.get_secret_value(),
        "FETTLE_DATABASE_SYSTEM_URL": settings.database_system_url.get_secret_value(),
    }
    await fill(urls, tenant, INCIDENTS)
    key = await reader_key(platform, tenant)
    return {one.read: one for one in await look(platform, tenant, key, (*READS, *MORE), forced=True)}


@pytest.mark.parametrize("read", [*READS, *MORE], ids=lambda read: read.name)
def test_a_hot_read_sends_few_statements_and_reads_no_large_table_whole(looked, read):
    one = looked[read]
    assert len(one.statements) <= read.queries, [statement.sql for statement in one.statements]
    assert one.whole_tables == []
    assert any("Index" in node for plan in one.plans for node in plan)


@pytest.mark.parametrize("read", [*READS, *MORE], ids=lambda read: read.name)
def test_what_is_not_validated_again_has_the_shape_that_the_documentation_says(looked, read):
    one = looked[read]
    path = one.path.partition("?")[0]
    shape = SHAPES.get(path.rsplit("/", 1)[1], IncidentOut)
    answer = json.loads(one.answer)
    assert shape.model_validate_json(one.answer).model_dump(mode="json") == answer
    assert answer.get("items") != [], "a list of nothing shows nothing"


def test_stretches_of_an_index_are_one_list(looked):
    by_name = {read.name: json.loads(one.answer).get("items") for read, one in looked.items()}
    ids = [item["id"] for item in by_name["incidents of a state"]]
    assert ids == sorted(ids, reverse=True)
    assert {item["state"] for item in by_name["incidents of a state"]} == {"escalated", "awaiting_approval"}
    assert {item["severity"] for item in by_name["grave incidents of a state"]} == {"high"}
    assert {item["state"] for item in by_name["grave incidents of a state"]} == {"closed"}
    seen = [item["last_seen_at"] for item in by_name["incidents, last seen first"]]
    assert seen == sorted(seen, reverse=True)
