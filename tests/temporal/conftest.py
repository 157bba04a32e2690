"""One tenant with its pipeline and rules over time, and a clock that tests can move."""

from datetime import timedelta

import pytest
from tests.healing.conftest import SPECS, Pipeline
from tests.healing.conftest import packs as packs  # noqa: PLC0414 - a fixture
from tests.temporal.rules import document

from fettle.healing.temporal import service, striking
from fettle.healing.temporal.consumers import CONSUMERS
from fettle.kernel.clock import rfc3339, utcnow


class Temporal(Pipeline):
    """A tenant that writes rules over time."""

    def __init__(self, platform, tenant):
        super().__init__(platform, tenant, [*SPECS, *CONSUMERS])

    async def write(self, like, **more):
        """Add a rule, and let the pipeline hear of it."""
        async with self.platform.database.tenant(self.tenant) as session:
            rule = service.checked(document(like, **more))
            await service.RULES.create(session, self.tenant, rule, actor="user:test")
        await self.settle()

    async def see(self, *check_types, host="h1", ago=0, **more):
        """Report exceptions of some seconds ago, one for each check type."""
        at = rfc3339(utcnow() - timedelta(seconds=ago))
        await self.report(
            *({"check_type": one, "host": host, "occurred_at": at, **more} for one in check_types)
        )

    async def wait(self, seconds):
        """Let rules see that so much time has passed."""
        found = await striking.look_at_tenant(
            self.platform, self.tenant, utcnow() + timedelta(seconds=seconds)
        )
        await self.settle()
        return found

    async def raised(self):
        """Return the incidents that rules opened, as (host, state)."""
        rows = await self.rows("SELECT host, state FROM incidents WHERE check_type = 'c' ORDER BY number")
        return [(row["host"], row["state"]) for row in rows]

    async def figures(self):
        [row] = await self.rows("SELECT * FROM temporal_figures")
        return row

    async def keys(self):
        return await self.rows("SELECT * FROM temporal_keys ORDER BY key")


@pytest.fixture
def temporal(platform, packs, tenant):
    return Temporal(platform, tenant)


@pytest.fixture
def other(platform, packs, other_tenant):
    return Temporal(platform, other_tenant)
