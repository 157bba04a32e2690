"""The pipeline with a planner at its end, and a model on loopback."""

import dataclasses

import pytest
import pytest_asyncio
from tests.conftest import insert_tenant
from tests.healing.conftest import Pipeline
from tests.planner.model_server import KEY, model_server

from fettle.healing.planner.worker import PlannerWorker, make_planner
from fettle.packs.service import ensure_shipped

UNKNOWN = {"check_type": "nobody_knows_this", "host": "ws-lobby-07", "platform": "linux"}
CLAMAV = "runbook:RB-LNX-CLAMAV-001"
CLOSE_FILE = "runbook:RB-LNX-CLOSE-FILE-001"


class Planning(Pipeline):
    """A tenant whose policy lets the planner look at what no rule matches."""

    def __init__(self, platform, tenant, model):
        super().__init__(platform, tenant)
        self.model = model

    def use(self, *chain, **settings):
        """Choose the chain and other settings."""
        chosen = {
            "planner_chain": list(chain),
            "planner_allow": [f"127.0.0.0/8:{self.model.port}"],
            "planner_keys": _Secret(f"127.0.0.1:{self.model.port}={KEY}"),
            **settings,
        }
        self.platform = dataclasses.replace(
            self.platform, settings=self.platform.settings.model_copy(update=chosen), parts={}
        )

    async def allow(self, autonomy="act", **planner):
        await self.policy(autonomy=autonomy, planner={"enabled": True, **planner})

    async def plan(self):
        """Plan what is due, and settle what follows."""
        worker = PlannerWorker(self.platform, make_planner(self.platform))
        count = await worker.run_once()
        await self.settle()
        return count

    async def heal(self, **details):
        """Report something that no rule matches, and plan it."""
        await self.report({**UNKNOWN, **details})
        await self.plan()
        return await self.newest()

    async def newest(self):
        [row] = await self.rows("SELECT * FROM incidents ORDER BY id DESC LIMIT 1")
        return row


class _Secret(str):
    __slots__ = ()

    def get_secret_value(self):
        return str(self)


@pytest_asyncio.fixture(scope="module")
async def packs(platform):
    await ensure_shipped(platform)


@pytest_asyncio.fixture
async def model():
    async with model_server() as server:
        yield server
        assert server.faults == []


@pytest.fixture
def planning(platform, packs, tenant, model):
    planning = Planning(platform, tenant, model)
    planning.use(model.openai)
    return planning


@pytest_asyncio.fixture
async def others(database, platform, packs, model):
    planning = Planning(platform, await insert_tenant(database, "birch-dental"), model)
    planning.use(model.openai)
    return planning
