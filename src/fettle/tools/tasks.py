"""What tools do on their own: the journal of commands forgets runs that are long over."""

import asyncio
import time
from pathlib import Path
from typing import Final

from fettle.kernel.jobs import Schedule
from fettle.kernel.platform import Platform
from fettle.tools.providers.runbook import JOURNAL_FOLDER

_KEPT_SECONDS: Final = 30 * 86_400


async def forget_old_commands(platform: Platform) -> None:
    """Remove what the journal says of commands that were begun more than 30 days ago."""
    await asyncio.to_thread(_remove_old, platform.settings.home / JOURNAL_FOLDER, time.time() - _KEPT_SECONDS)


def _remove_old(folder: Path, before: float) -> None:
    if not folder.is_dir():
        return
    for file in folder.iterdir():
        if file.stat().st_mtime < before:
            file.unlink(missing_ok=True)


SCHEDULE = [Schedule("tools.forget_old_commands", 86_400.0, forget_old_commands)]
