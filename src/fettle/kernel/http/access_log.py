"""One line for each request; written by hand, for the hot routes answer thousands in a second."""

import asyncio
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import IO, Final

import orjson

from fettle.kernel.redaction import redact_text
from fettle.kernel.settings import Settings

_MOST_WAITING: Final = 500


class AccessLog:
    """Collects the lines of one turn of the event loop and writes them at once.

    Args:
        settings: Nothing is written where ``log_level`` is above ``info``.
        stream: Where to; standard error unless a test asks otherwise.
    """

    def __init__(self, settings: Settings, stream: IO[str] | None = None) -> None:
        self._out = stream or sys.stderr
        self._wanted = settings.log_level in {"debug", "info"}
        self._readable = settings.log_format == "console" or (
            settings.log_format == "auto" and self._out.isatty()
        )
        self._waiting: list[str] = []

    def write(
        self,
        *,
        method: str,
        path: str,
        status: int,
        milliseconds: float,
        request_id: str,
        tenant_id: str | None,
        actor: str | None,
        client: str | None,
    ) -> None:
        """Note one answered request; the query is left out, for it may hold anything."""
        if not self._wanted:
            return
        shown = _shown(path)
        if self._readable:
            line = f"{method} {shown} {status} {milliseconds:.1f} ms [{request_id}]\n"
        else:
            fields = {
                "at": datetime.now(UTC),
                "level": "info",
                "event": "request",
                "method": method,
                "path": shown,
                "status": status,
                "ms": round(milliseconds, 2),
                "request_id": request_id,
                "tenant_id": tenant_id,
                "actor": actor,
                "client": client,
            }
            line = orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_UTC_Z).decode()
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.flush)
        self._waiting.append(line)
        if len(self._waiting) >= _MOST_WAITING:
            self.flush()

    def flush(self) -> None:
        """Write what waits."""
        if self._waiting:
            lines, self._waiting = self._waiting, []
            self._out.write("".join(lines))
            self._out.flush()


@lru_cache(maxsize=1024)
def _shown(path: str) -> str:
    return redact_text(path[:300])
