"""A tenant with a rule and a playbook of its own, whose tools a test scripts; from report to outcome."""

import asyncio

import pytest
import pytest_asyncio
from tests.consuming import Consuming

from fettle.healing.brakes import guard
from fettle.healing.brakes.consumers import CONSUMERS as BRAKES
from fettle.healing.brakes.standing import brakes_of
from fettle.healing.consumers import CONSUMERS as HEALING
from fettle.healing.service import create_rule
from fettle.identity.audit import Who
from fettle.incidents.accepting import acceptor
from fettle.incidents.consumers import CONSUMERS as INTAKE
from fettle.incidents.schemas import ExceptionIn
from fettle.packs.policies import put_policy
from fettle.packs.service import ensure_shipped
from fettle.tools.catalogue import registry_of
from fettle.tools.consumers import CONSUMERS as TOOLS
from fettle.tools.own_playbooks import create
from fettle.tools.registry import Tool
from fettle.tools.runner import RunExecutor

SPECS = [*INTAKE, *HEALING, *BRAKES, *TOOLS]
POLICY = {"id": "own", "version": "1.0.0", "schema_version": 1, "title": "Own", "autonomy": "act"}
ANN = Who("user:ann")
ANYTHING = {"type": "object"}
PLAYBOOK = """
id: PB-DEMO
title: Mend it
steps:
  - id: first
    tool: demo.first
    rollback: {tool: demo.undo}
  - id: second
    tool: demo.second
verify: {tool: demo.check}
"""
RULE = {
    "id": "L1-DEMO",
    "conditions": [{"field": "check_type", "operator": "eq", "value": "brake_demo"}],
    "action": "run_playbook",
    "playbook_id": "PB-DEMO",
    "cooldown_seconds": 0,
    "max_attempts": 20,
}


class Scene(Consuming):
    """One tenant at work."""

    def __init__(self, platform, tenant):
        super().__init__(platform, tenant, SPECS)
        self.answers = {}
        self.calls = []

    async def begin(self, **policy):
        """Choose a policy, and have the rule and the playbook."""
        await self.policy(**policy)
        async with self.session() as session:
            await create(self.platform, session, self.tenant, PLAYBOOK, actor="user:ann")
            await create_rule(session, self.tenant, RULE, actor="user:ann")
        return self

    async def policy(self, **choices):
        async with self.session() as session:
            await put_policy(session, self.tenant, {**POLICY, **choices}, actor="user:ann")
        # Other processes see it within a second; this one does not wait for that.
        self.platform.parts.pop("packs.cache", None)

    def hold(self, tool):
        """Let a tool wait in the middle of its call; returns what tells that it began, and what lets it go on."""
        began, go_on = asyncio.Event(), asyncio.Event()

        async def slow(_):
            began.set()
            await go_on.wait()
            return {}

        self.answers[tool] = slow
        return began, go_on

    def session(self):
        return self.platform.database.tenant(self.tenant)

    def forget(self):
        """See what another process did, as this one does half a second later."""
        brakes_of(self.platform).forget()

    async def report(self, *exceptions, run=True):
        wanted = [ExceptionIn.model_validate({"check_type": "brake_demo", **body}) for body in exceptions]
        await acceptor(self.platform).accept(self.tenant, wanted, actor="system:test")
        await self.settle(run=run)

    async def settle(self, *, run=True):
        """Let consumers and runner do all that is due."""
        while await self.consume() or (run and await self.executor().run_once()):
            pass

    def executor(self):
        return RunExecutor(self.platform, registry_of(self.platform))

    async def states(self):
        rows = await self.rows("SELECT state FROM incidents ORDER BY number")
        return [row["state"] for row in rows]

    async def told(self, *types):
        rows = await self.rows("SELECT type, data FROM events ORDER BY position")
        return [row for row in rows if row["type"] in types]

    def called(self):
        return [call.step_id for call in self.calls]


@pytest_asyncio.fixture(scope="module")
async def packs(platform):
    await ensure_shipped(platform)


@pytest.fixture
def equipped(platform, packs):
    """A process with the scripted tools and the guard; each scene answers for its tenant."""
    platform.parts.clear()
    scenes = {}
    guard.register(platform)
    for name in ("demo.first", "demo.second", "demo.undo", "demo.check"):
        registry_of(platform).register(
            Tool(name=name, version="1", title=name, description=name, input_schema=ANYTHING,
                 output_schema=ANYTHING, idempotent=True, call=_call_of(name, scenes))
        )  # fmt: skip
    return scenes


def _call_of(name, scenes):
    async def call(given):
        scene = scenes[given.tenant_id]
        scene.calls.append(given)
        answer = scene.answers.get(name)
        if answer is not None:
            return await answer(given)
        return {"result": "pass"} if name == "demo.check" else {}

    return call


@pytest.fixture
def scene(platform, equipped, tenant):
    equipped[tenant] = Scene(platform, tenant)
    return equipped[tenant]


@pytest.fixture
def other_scene(platform, equipped, other_tenant):
    equipped[other_tenant] = Scene(platform, other_tenant)
    return equipped[other_tenant]
