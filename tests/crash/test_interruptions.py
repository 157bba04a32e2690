"""A database that is away for a moment: what was not begun is not said to have failed."""

import asyncpg
import pytest
from tests.tools.rig import Rig, plan

from fettle.tools import enablement
from fettle.tools.remembering import Remembered


class Flickering:
    """The settings of a tenant's tools, read over a connection that breaks the first times."""

    def __init__(self, times: int) -> None:
        self.left = times

    async def read(self, _tenant_id: object) -> frozenset[str]:
        if self.left:
            self.left -= 1
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return frozenset()


@pytest.mark.parametrize("idempotent", [True, False])
async def test_a_tool_that_could_not_be_called_yet_is_called_when_the_database_is_back(
    platform, tenant, idempotent
):
    platform.parts.clear()
    rig = Rig(platform, tenant)
    rig.tool("w.count", idempotent=idempotent)
    flickering = Flickering(2)
    platform.parts[enablement._PART] = Remembered(flickering.read, fresh_seconds=60)
    [run_id] = await rig.approve(plan({"id": "s", "tool": "w.count"}))
    await rig.execute()
    assert (flickering.left, len(rig.calls)) == (0, 1)
    assert (await rig.run(run_id))["outcome"] == "completed"
