"""Connections to the database's server, made so that the many of a process cost it little.

While the server is away, all who want one wait for the same attempt: a server that recovers starts a process for each,
only to refuse it, on the cores that recovery needs. And what arrays are made of is asked once in a process, where the
driver asks at each new connection (github.com/MagicStack/asyncpg/issues/1272), for some 20 ms each time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import asyncpg

_PAUSE_SECONDS: Final = 0.1

_AWAY: Final = (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError)
"""Raised where nobody answers, or who answers is starting, stopping or recovering."""

_ARRAYS: Final = frozenset({1000, 1001, 1005, 1007, 1016, 1021, 1022, 1182, 1185, 1187, 1231, 2951, 3807})
"""Arrays of PostgreSQL's own types, as numbered in its pg_type.dat for every server: of boolean, bytea, smallint,
integer, bigint, real, double precision, date, timestamptz, interval, numeric, uuid and jsonb."""

_known_types: dict[int, Any] = {}


class _Connection(asyncpg.Connection):
    """Asks only once in a process what arrays are made of."""

    async def learn_types(self) -> None:
        """Ask for all, so that no connection made later has to."""
        found, _ = await super()._introspect_types(_ARRAYS, None)  # type: ignore[misc]  # not in its stubs
        _known_types.update({of["oid"]: of for of in found})

    async def _introspect_types(self, typeoids: Collection[int], timeout: float | None) -> tuple[Any, Any]:
        if _known_types.keys() >= set(typeoids):
            # The driver prepares a statement anew where the question, without a name, took its place: none was asked.
            return [_known_types[oid] for oid in typeoids], SimpleNamespace(name="known")
        found: tuple[Any, Any] = await super()._introspect_types(typeoids, timeout)  # type: ignore[misc]  # not in its stubs
        return found


async def _connect(*arguments: Any, **options: Any) -> _Connection:
    connection: _Connection = await asyncpg.connect(*arguments, connection_class=_Connection, **options)
    if not _known_types:
        try:
            await connection.learn_types()
        except BaseException:  # also where it is cancelled: nobody else knows of the connection
            connection.terminate()
            raise
    return connection


class Connector:
    """Makes the connections of one process to one server."""

    def __init__(self) -> None:
        self._is_away = False
        self._attempt: asyncio.Task[Exception | None] | None = None

    async def connect(self, *arguments: Any, **options: Any) -> Any:
        """Connect as `asyncpg.connect` does, which takes the same.

        Raises:
            OSError: The server cannot be reached, or was away in an attempt that ended after this one was asked for.
            asyncpg.PostgresError: The server refuses.
        """
        options.pop("connection_class", None)  # the pool's own; ours is one of these
        if self._is_away:
            if self._attempt is None or self._attempt.done():
                attempt = self._try_soon(partial(_connect, *arguments, **options))
                self._attempt = asyncio.create_task(attempt, name="database-attempt")
            if (error := await asyncio.shield(self._attempt)) is not None:
                raise ConnectionRefusedError("the database's server is away") from error
        try:
            return await _connect(*arguments, **options)
        except _AWAY:
            self._is_away = True
            raise

    async def _try_soon(self, connect: Callable[[], Awaitable[_Connection]]) -> Exception | None:
        """Find out for everybody whether the server is back; returns what says that it is not."""
        await asyncio.sleep(_PAUSE_SECONDS)
        try:
            connection = await connect()
        except Exception as error:  # noqa: BLE001 - handed to all who wait for it
            self._is_away = isinstance(error, _AWAY)
            return error if self._is_away else None
        self._is_away = False
        await connection.close()
        return None
