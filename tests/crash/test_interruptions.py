"""A database that is away for a moment: what was not begun is not said to have failed."""

import asyncio

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


@pytest.mark.parametrize("door", ["raw_app", "raw_system", "unbound", "system"])
async def test_a_connection_that_the_server_ended_while_idle_is_one_that_is_lost(database, door):
    with pytest.raises(ConnectionResetError):
        async with getattr(database, door)():
            raise asyncpg.InternalClientError(
                "cannot switch to state 15; another operation (2) is in progress"
            )
    async with database.raw_app() as connection:
        assert await connection.fetchval("SELECT 1") == 1


async def lose_it(database, tenant):
    async with database.raw_tenant(tenant) as connection:
        connection.terminate()
        await asyncio.sleep(0)
        with pytest.raises(asyncpg.InterfaceError):  # the pool has taken it back: nothing can be asked of it
            connection.is_closed()
        raise ZeroDivisionError


async def test_a_transaction_whose_connection_is_lost_tells_of_its_own_error(database, tenant):
    with pytest.raises(ZeroDivisionError):
        await lose_it(database, tenant)
