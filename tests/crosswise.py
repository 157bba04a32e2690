"""Two transactions that want the same rows: the one waits until the other stands behind it."""

import asyncio

_BEHIND = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY(pg_blocking_pids(pid))"


async def somebody_waits(connection, task) -> None:
    """Return once another transaction, of this task, waits for what this one has locked."""
    while not await connection.fetchval(_BEHIND):
        assert not task.done(), f"It did not wait: {task}"
        await asyncio.sleep(0.01)
