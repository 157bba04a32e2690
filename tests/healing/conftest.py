"""Shipped packs, policies, and the pipeline from an accepted exception to a decision."""

import pytest
import pytest_asyncio
from tests.consuming import Consuming

from fettle.healing.consumers import CONSUMERS
from fettle.incidents.accepting import acceptor
from fettle.incidents.consumers import CONSUMERS as INTAKE
from fettle.incidents.schemas import ExceptionIn
from fettle.kernel import events
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id
from fettle.packs.policies import put_policy
from fettle.packs.service import ensure_shipped

SPECS = [*INTAKE, *CONSUMERS]
POLICY = {"id": "own", "version": "1.0.0", "schema_version": 1, "title": "Own", "autonomy": "act"}
OWN = {
    "id": "OWN-1",
    "title": "We know",
    "priority": 1,
    "conditions": [{"field": "check_type", "operator": "eq", "value": "sandbox_process"}],
    "action": "suppress",
    "reason": "we know",
}


class Pipeline(Consuming):
    """Intake and healing of one tenant."""

    def __init__(self, platform, tenant, specs=SPECS):
        super().__init__(platform, tenant, specs)

    async def policy(self, **choices):
        async with self.platform.database.tenant(self.tenant) as session:
            await put_policy(session, self.tenant, {**POLICY, **choices}, actor="system:test")

    async def report(self, *exceptions):
        wanted = [
            ExceptionIn.model_validate(
                {"check_type": "sandbox_process", "host": "demo", "platform": "linux", **body}
            )
            for body in exceptions
        ]
        await acceptor(self.platform).accept(self.tenant, wanted, actor="system:test")
        await self.settle()

    async def append(self, *new):
        async with self.platform.database.tenant(self.tenant) as session:
            await events.append(session, self.tenant, new)
        await self.settle()

    async def complete(self, incident_id, outcome, **data):
        await self.append(
            NewEvent(
                stream_type="run",
                stream_id=new_id(),
                type="playbook.completed",
                data={"outcome": outcome, **data},
                actor="system:test",
                correlation_id=incident_id,
            )
        )

    async def incident(self):
        [row] = await self.rows("SELECT * FROM incidents")
        return row

    async def approval(self):
        [row] = await self.rows("SELECT * FROM approvals WHERE state = 'pending'")
        return row

    async def told(self, *types):
        rows = await self.rows(
            "SELECT type, data FROM events WHERE stream_type = 'incident' ORDER BY position"
        )
        return [row for row in rows if not types or row["type"] in types]


@pytest_asyncio.fixture(scope="module")
async def packs(platform):
    await ensure_shipped(platform)


@pytest.fixture
def pipeline(platform, packs, tenant):
    return Pipeline(platform, tenant)
