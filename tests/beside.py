"""Programs of tests, each a process of its own beside the tests' on the same database, that can be killed anywhere."""

import asyncio
import os
import signal
import sys

PATIENCE_SECONDS = 60


async def start_beside(settings, program, *arguments, **variables):
    """Start a program of ours on the database that the tests use; returns its process.

    Args:
        settings: The platform's.
        program: Its file.
        *arguments: Its words.
        **variables: Of its environment, besides the home and the database.
    """
    environ = {
        **os.environ,
        "FETTLE_HOME": str(settings.home),
        "FETTLE_DATABASE_APP_URL": settings.database_app_url.get_secret_value(),
        "FETTLE_DATABASE_SYSTEM_URL": settings.database_system_url.get_secret_value(),
        **variables,
    }
    words = [str(argument) for argument in arguments]
    return await asyncio.create_subprocess_exec(sys.executable, str(program), *words, env=environ)


async def was_killed(process):
    """Wait until a program has killed itself; whatever else it does, it is gone then."""
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await process.wait() == -signal.SIGKILL
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
