"""The database: one transaction for one unit of work, with the tenant bound before the first query."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
import orjson
from asyncpg.pool import PoolConnectionProxy
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from fettle.kernel.background import Background
from fettle.kernel.connecting import Connector
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.settings import Settings, SettingsError
from fettle.kernel.tenancy import TENANT_SETTING

EVENTS_CHANNEL = "fettle_events"
"""The NOTIFY channel that wakes readers of the event store."""

_WAKES = "fettle_wakes"
"""Key in `AsyncSession.info`: the NOTIFY channels to tell after the commit."""

DriverConnection = asyncpg.Connection | PoolConnectionProxy
"""A bare driver connection, lent by the pool or below a session."""

DATABASE_TROUBLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, DBAPIError)
"""What any use of a database may raise, away or refusing; `is_unreachable` tells the two apart."""

_LOST = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)

_TROUBLED_CLASSES = frozenset({"08", "53", "57"})
"""SQLSTATE classes of a server that is away, out of something, or stopping; of no statement's making.

PostgreSQL 18, appendix A: connection exception, insufficient resources, operator intervention.
"""

_ENDING = frozenset({"FATAL", "PANIC"})
"""Severities after which the server has closed the connection."""

_CONTENDED = frozenset({"40001", "40P01", "55P03"})
"""SQLSTATEs of transactions that stood in each other's way: serialization failure, deadlock, lock not available."""

_NOTIFY_PAUSE_SECONDS = 0.002
_BIND = text("SELECT set_config(:name, :value, true)")
_NO_JIT = {"jit": "off", "application_name": "fettle"}


class Database:
    """Two doors to one PostgreSQL: the application role, bound to a tenant, and the system role.

    The tenant is bound with a transaction-local setting, so that nothing is left on a pooled connection.
    """

    def __init__(
        self,
        app: AsyncEngine,
        system: AsyncEngine,
        app_pool: asyncpg.Pool,
        system_pool: asyncpg.Pool,
        system_url: str,
        connector: Connector,
    ) -> None:
        self._app = app
        self._system = system
        self._app_pool = app_pool
        self._system_pool = system_pool
        self._system_url = system_url
        self._connector = connector
        self._notifier = Notifier(system_pool)

    @classmethod
    async def connect(cls, settings: Settings) -> "Database":
        """Open the pools; connections are made when first needed.

        Raises:
            SettingsError: No database is configured.
            OSError: The server cannot be reached.
            asyncpg.PostgresError: The server refuses the role.
        """
        if settings.database_app_url is None or settings.database_system_url is None:
            raise SettingsError(
                "FETTLE_DATABASE_APP_URL: no database is configured. Run 'fettle up', which starts one, or set "
                "FETTLE_DATABASE_URL, FETTLE_DATABASE_APP_URL and FETTLE_DATABASE_SYSTEM_URL."
            )
        app_url = settings.database_app_url.get_secret_value()
        system_url = settings.database_system_url.get_secret_value()
        size = settings.database_pool_size
        connector = Connector()
        app_pool = await _driver_pool(app_url, size, connector)
        try:
            system_pool = await _driver_pool(system_url, size, connector)
        except BaseException:  # also where it is cancelled: nobody else knows of the first pool
            app_pool.terminate()
            raise
        engines = _engine(app_url, size, connector), _engine(system_url, size, connector)
        return cls(*engines, app_pool, system_pool, system_url, connector)

    async def close(self) -> None:
        """Return every connection."""
        await self._notifier.close()
        await self._app.dispose()
        await self._system.dispose()
        await self._app_pool.close()
        await self._system_pool.close()

    @contextlib.asynccontextmanager
    async def tenant(self, tenant_id: UUID) -> AsyncIterator[AsyncSession]:
        """Run one transaction as the application role with the tenant bound; commits unless it raises."""
        async with self.unbound() as session:
            await bind_tenant(session, tenant_id)
            yield session

    @contextlib.asynccontextmanager
    async def unbound(self) -> AsyncIterator[AsyncSession]:
        """Run one transaction as the application role, which sees no tenant's row until `bind_tenant`."""
        async with self._session(self._app) as session:
            yield session

    @contextlib.asynccontextmanager
    async def system(self) -> AsyncIterator[AsyncSession]:
        """Run one transaction as the system role, which sees all tenants: the bus, sign-in, schedules."""
        async with self._session(self._system) as session:
            yield session

    @contextlib.asynccontextmanager
    async def raw_tenant(self, tenant_id: UUID) -> AsyncIterator[DriverConnection]:
        """Run one transaction on the bare driver, tenant bound in the round trip that begins it."""
        async with self.raw_app() as connection, driver_transaction(connection, tenant_id):
            yield connection

    async def fetch_bound(self, tenant_id: UUID, select: str, *arguments: object) -> list[asyncpg.Record]:
        """Read under a bound tenant in a single statement, so in a single round trip.

        The statement is its own transaction. It first binds the tenant, in a row that the query then
        depends on by data: `select` must filter by ``bound.tenant_id``, so no plan can run it before. Were
        it run before all the same, the unset setting would yield no rows.

        Args:
            tenant_id: The tenant.
            select: A constant SELECT that names ``bound.tenant_id``; its own parameters begin at ``$2``.
            *arguments: Their values.
        """
        if "bound.tenant_id" not in select:
            raise ValueError("a bound read must filter by bound.tenant_id")
        statement = (
            f"SELECT r.* FROM (SELECT set_config('{TENANT_SETTING}', $1, true)::uuid AS tenant_id OFFSET 0) AS bound "  # noqa: S608 - constants
            f"CROSS JOIN LATERAL ({select}) AS r"
        )
        return await self._fetch_at_once(statement, str(tenant_id), *arguments)

    async def write_bound(self, tenant_id: UUID, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Write under a bound tenant in a single statement, so in a single round trip and its own transaction.

        Every row must take its tenant from ``bound.tenant_id``, so that none exists before the tenant is
        bound. Were a policy looked at before all the same, the unset setting would refuse the row.

        Args:
            tenant_id: The tenant.
            statement: A constant that goes on after ``WITH bound AS (...)`` and takes rows ``FROM bound``; its
                own parameters begin at ``$2``.
            *arguments: Their values.
        """
        if "bound.tenant_id" not in statement:
            raise ValueError("a bound write must take the tenant from bound.tenant_id")
        whole = (
            f"WITH bound AS MATERIALIZED (SELECT set_config('{TENANT_SETTING}', $1, true)::uuid AS tenant_id)"
            f"{statement}"
        )
        return await self._fetch_at_once(whole, str(tenant_id), *arguments)

    async def _fetch_at_once(self, statement: str, *arguments: object) -> list[asyncpg.Record]:
        """Do what `raw_app` and a fetch do; the hottest paths feel each context manager."""
        connection = await self._app_pool.acquire()
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
        except asyncpg.InternalClientError as error:
            raise _reset(connection) from error
        finally:
            await self._app_pool.release(connection)
        return rows

    @contextlib.asynccontextmanager
    async def raw_app(self) -> AsyncIterator[DriverConnection]:
        """Lend a bare driver connection of the application role, outside a transaction."""
        async with self._app_pool.acquire() as connection, _ended_by_server(connection):
            yield connection

    @contextlib.asynccontextmanager
    async def raw_system(self) -> AsyncIterator[DriverConnection]:
        """Lend a bare driver connection of the system role, outside a transaction."""
        async with self._system_pool.acquire() as connection, _ended_by_server(connection):
            yield connection

    def poke(self, channel: str = EVENTS_CHANNEL) -> None:
        """Wake who listens to a channel; call it after a commit on a bare connection that gave them something to do."""
        self._notifier.poke({channel})

    async def listen(self, wake: asyncio.Event, channel: str = EVENTS_CHANNEL) -> asyncpg.Connection:
        """Set `wake` at each notification; the caller closes the connection that is returned."""
        connection: asyncpg.Connection = await self._connector.connect(self._system_url)
        await _set_json_codec(connection)
        await connection.add_listener(channel, lambda *_: wake.set())
        return connection

    @contextlib.asynccontextmanager
    async def _session(self, engine: AsyncEngine) -> AsyncIterator[AsyncSession]:
        async with (
            _ended_by_server(),
            AsyncSession(engine, expire_on_commit=False, autoflush=False) as session,
        ):
            async with session.begin():
                yield session
            if channels := session.info.get(_WAKES):
                self._notifier.poke(channels)


def wake_after_commit(session: AsyncSession, channel: str = EVENTS_CHANNEL) -> None:
    """Have who listens to a channel woken once the transaction is committed."""
    session.info.setdefault(_WAKES, set()).add(channel)


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Conditions of a bound read.

    Attributes:
        sql: Each with ``AND`` before it.
        values: What their parameters stand for, from ``$2`` on.
    """

    sql: str
    values: tuple[object, ...]


def narrowed_by(*conditions: tuple[str, object]) -> Narrowed:
    """Return the conditions that were asked for, for a statement of `Database.fetch_bound`.

    What is not asked for stands in no statement: PostgreSQL then plans it once, and by the index that serves it.

    Args:
        *conditions: A constant with ``{}`` where its value stands, and the value; None leaves the condition out.
    """
    asked = [(sql, value) for sql, value in conditions if value is not None]
    numbered = [sql.format(f"${place}") for place, (sql, _) in enumerate(asked, 2)]
    return Narrowed("".join(f" AND {sql}" for sql in numbered), tuple(value for _, value in asked))


def is_unreachable(error: BaseException) -> bool:
    """Say whether an error means that the database is away, and not that a statement was wrong.

    Of a transaction that was ended by such an error it is not known whether it was committed.
    """
    if isinstance(error, DBAPIError):
        return error.connection_invalidated or (
            error.orig is not None and is_unreachable(error.orig.__cause__ or error.orig)
        )
    if isinstance(error, asyncpg.PostgresError):
        ends_session = (
            getattr(error, "severity_en", None) in _ENDING or getattr(error, "severity", None) in _ENDING
        )
        return ends_session or (error.sqlstate or "")[:2] in _TROUBLED_CLASSES
    if isinstance(error, asyncpg.InterfaceError):
        return "clos" in str(error)  # "connection is closed", "the pool is closing"
    return isinstance(error, OSError | asyncpg.InternalClientError | PoolTimeoutError)


def is_contended(error: BaseException) -> bool:
    """Say whether a transaction failed only because of others at the same time; done again, it may well succeed."""
    if isinstance(error, DBAPIError):
        return error.orig is not None and is_contended(error.orig.__cause__ or error.orig)
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _CONTENDED


class Notifier:
    """Sends one NOTIFY a channel for however many commits came since the last, outside of their transactions.

    A NOTIFY inside each writing transaction serialises their commits on one lock.
    """

    def __init__(self, pool: asyncpg.Pool) -> None:
        self._pool = pool
        self._due: set[str] = set()
        self._sending = Background()

    def poke(self, channels: Iterable[str]) -> None:
        """Ask for a notification soon."""
        self._due.update(channels)
        self._sending.begin(self._send)

    async def close(self) -> None:
        """Stop sending; readers poll, so one that is not sent is only late."""
        await self._sending.end()

    async def _send(self) -> None:
        while self._due:
            statements = "; ".join(f"NOTIFY {channel}" for channel in sorted(self._due))
            self._due.clear()
            with contextlib.suppress(*_LOST):
                async with self._pool.acquire() as connection:
                    await connection.execute(statements)
            # Under load commits come faster than readers can make use of being told.
            await asyncio.sleep(_NOTIFY_PAUSE_SECONDS)


async def bind_tenant(session: AsyncSession, tenant_id: UUID) -> None:
    """Bind a tenant for the rest of the session's transaction, in place of the one bound before."""
    await session.execute(_BIND, {"name": TENANT_SETTING, "value": str(tenant_id)})


async def driver(session: AsyncSession) -> asyncpg.Connection:
    """Return the bare driver connection below a session that is in a transaction, for bulk statements."""
    connection = await session.connection()
    raw = await connection.get_raw_connection()
    if not isinstance(raw.driver_connection, asyncpg.Connection):
        raise TypeError("the session is not on asyncpg")
    if not raw.driver_connection.is_in_transaction():
        # The engine begins its transaction with its own first statement; without one, each of ours would be
        # a transaction by itself, and nothing would be undone when a later one fails.
        await connection.execute(text("SELECT 1"))
    return raw.driver_connection


@contextlib.asynccontextmanager
async def _ended_by_server(connection: DriverConnection | None = None) -> AsyncIterator[None]:
    """Tell of a connection that the server ended while it lay idle as of any that is lost.

    The driver has read the server's farewell by then, but not yet the end of the stream, and says of the next
    statement that it is itself in a wrong state.
    """
    try:
        yield
    except asyncpg.InternalClientError as error:
        raise _reset(connection) from error


def _reset(connection: DriverConnection | None) -> ConnectionResetError:
    if connection is not None:
        with contextlib.suppress(asyncpg.InterfaceError):
            connection.terminate()
    return ConnectionResetError("the server ended the connection")


@contextlib.asynccontextmanager
async def driver_transaction(connection: DriverConnection, tenant_id: UUID) -> AsyncIterator[None]:
    """Run one transaction on a bare connection with the tenant bound; rolls back when it raises."""
    # The UUID's own text holds hexadecimal digits and hyphens only, so it can stand in the statement.
    await connection.execute(f"BEGIN; SELECT set_config('{TENANT_SETTING}', '{UUID(str(tenant_id))}', true)")
    try:
        yield
    except BaseException:
        # A connection that is lost has nothing to roll back, and must not hide what went wrong.
        with contextlib.suppress(*_LOST):
            if not connection.is_closed():
                await connection.execute("ROLLBACK")
        raise
    await connection.execute("COMMIT")


def _engine(url: str, size: int, connector: Connector) -> AsyncEngine:
    engine = create_async_engine(
        url.replace("postgresql://", "postgresql+asyncpg://", 1),
        pool_size=size,
        max_overflow=size,
        pool_use_lifo=True,
        connect_args={"server_settings": _NO_JIT, "async_creator_fn": connector.connect},
        json_serializer=dumps_str,
        json_deserializer=orjson.loads,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


def _refuse_closed(connection: Any, _record: object, _lent: object) -> None:
    """Let the engine replace a connection that has ended: the driver knows without a round trip."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError


async def _driver_pool(url: str, size: int, connector: Connector) -> asyncpg.Pool:
    return await asyncpg.create_pool(
        url,
        connect=connector.connect,
        min_size=1,
        max_size=size,
        server_settings=_NO_JIT,
        init=_set_json_codec,
        reset=_refuse_open_transaction,
    )


async def _set_json_codec(connection: asyncpg.Connection) -> None:
    """Give bare connections the codec of the engine's: JSON text goes in, values come out."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda document: b"\x01" + document.encode(),
        decoder=lambda stored: orjson.loads(stored[1:]),
    )


async def _refuse_open_transaction(connection: asyncpg.Connection) -> None:
    """Replace the pool's own RESET round trip: no session state is ever set, only transaction-local."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
