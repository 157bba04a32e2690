"""Shipped packs, a policy, and the pipeline with the flywheel at its end; what the planner would do is done at once."""

import pytest
import pytest_asyncio
from tests.conftest import insert_tenant
from tests.healing.conftest import Pipeline

from fettle.healing.consumers import CONSUMERS
from fettle.healing.flywheel.consumers import CONSUMERS as FLYWHEEL
from fettle.healing.flywheel.proposing import turn_for
from fettle.healing.planner import requests
from fettle.healing.planner.concluding import conclude
from fettle.healing.planner.words import RUNBOOK, Answer, Candidate, L2Decision
from fettle.healing.signature import pattern_signature
from fettle.incidents.consumers import CONSUMERS as INTAKE
from fettle.kernel.ids import new_id
from fettle.packs.service import ensure_shipped

SPECS = [*INTAKE, *CONSUMERS, *FLYWHEEL]
CLOSE_FILE = "RB-LNX-CLOSE-FILE-001"
FAULT = {
    "check_type": "nobody_knows_this",
    "platform": "linux",
    "source": "probe",
    "summary": "A file is open",
}
EASY = {"lower_bound": 0.5, "shadow_successes": 2, "canary_successes": 2, "canary_share": 1}
"""A policy's `flywheel` for which five successes are enough, and the stages short."""


class Wheel(Pipeline):
    """A tenant whose incidents a planner heals that always knows what to do."""

    def __init__(self, platform, tenant):
        super().__init__(platform, tenant, SPECS)

    async def allow(self, autonomy="act", planner=None, **flywheel):
        await self.policy(
            autonomy=autonomy, planner={"enabled": True, **(planner or {})}, flywheel={**EASY, **flywheel}
        )

    async def policy(self, **choices):
        await super().policy(**choices)
        self.platform.parts.pop("packs.cache", None)  # where another process would wait for a second

    async def fault(self, host, path="/etc/app.conf", **more):
        details = {"path": path, "kind": "config", **more.pop("details", {})}
        await self.report({**FAULT, "host": host, "details": details, **more})
        [row] = await self.rows("SELECT * FROM incidents ORDER BY id DESC LIMIT 1")
        return row

    async def plan(self, runbook=CLOSE_FILE):
        """Have the planner choose for every incident that waits; returns how many there were."""
        leased = await requests.lease(self.platform.database, new_id(), 100, 30)
        ours = [one for one in leased if one.tenant_id == self.tenant and "path" in one.incident["details"]]
        for request in ours:
            taken = {"path": request.incident["details"]["path"]} if runbook == CLOSE_FILE else {}
            chosen = Candidate(RUNBOOK, runbook, runbook, "", {})
            answer = Answer(chosen, taken, {}, "Known.", 0.95)
            assert await conclude(
                self.platform, request, L2Decision(answer, pattern_signature(request.incident))
            )
        await self.settle()
        return len(ours)

    async def heal(self, *hosts, outcome="verified", **more):
        """Have an incident on each host, planned, run and ended."""
        ended = []
        for host in hosts:
            row = await self.fault(host, **more)
            await self.plan()
            ended.append(await self.finish(row["id"], outcome))
        return ended

    async def finish(self, incident_id, outcome="verified"):
        [row] = await self.rows("SELECT * FROM incidents WHERE id = $1", incident_id)
        plan = row["decision"]
        await self.complete(
            incident_id,
            outcome,
            playbook_id=plan["plan"]["playbook"]["id"],
            plan_hash=plan["plan_hash"],
            rule_id=plan["rule_id"],
        )
        return row

    async def turn(self):
        return await turn_for(self.platform, self.tenant)

    async def promotion(self, **where):
        [row] = await self.rows("SELECT * FROM promotions ORDER BY id DESC LIMIT 1")
        return row


@pytest_asyncio.fixture(scope="module")
async def packs(platform):
    await ensure_shipped(platform)


@pytest.fixture
def wheel(platform, packs, tenant):
    return Wheel(platform, tenant)


@pytest_asyncio.fixture
async def other_wheel(database, platform, packs):
    return Wheel(platform, await insert_tenant(database, "birch-dental"))
