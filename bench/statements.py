"""Which statements a piece of work sends to PostgreSQL, and whether their plans go by an index."""

import contextlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from asyncpg.connection import Connection
from sqlalchemy import Engine, event

# Beginning and binding, ending, and asking whether a connection still lives: the frame of each transaction.
_FRAME = re.compile(r"\s*(BEGIN|COMMIT|ROLLBACK|SELECT set_config|;|SELECT 1\s*$)", re.IGNORECASE)


@dataclass(frozen=True)
class Statement:
    """A statement and its arguments."""

    sql: str
    arguments: tuple[Any, ...]

    @property
    def is_frame(self) -> bool:
        """Whether it only begins, binds or ends a transaction."""
        return not self.sql.strip() or _FRAME.match(self.sql) is not None

    @property
    def binds(self) -> bool:
        """Whether it binds its tenant by itself, so that it needs no transaction around it."""
        return "set_config(" in self.sql


@contextlib.contextmanager
def recorded() -> Iterator[list[Statement]]:
    """Note each statement that any connection of this process sends, until the block ends.

    Only connections that are opened within the block are heard, so open their pools inside.
    """
    heard: list[Statement] = []
    original = Connection.__init__

    def hear(query: Any) -> None:
        heard.append(Statement(query.query, tuple(query.args or ())))

    def hear_engine(
        _connection: Any, _cursor: Any, sql: str, given: Any, _context: Any, _executemany: bool
    ) -> None:
        # Statements that are prepared first, as the engine's are, do not pass the driver's own loggers.
        heard.append(Statement(sql, tuple(given or ())))

    def opened(self: Any, *arguments: Any, **named: Any) -> None:
        original(self, *arguments, **named)
        self.add_query_logger(hear)

    event.listen(Engine, "before_cursor_execute", hear_engine)
    Connection.__init__ = opened  # type: ignore[method-assign]  # asyncpg has no hook for connections to come
    try:
        yield heard
    finally:
        event.remove(Engine, "before_cursor_execute", hear_engine)
        Connection.__init__ = original  # type: ignore[method-assign]  # as it was


async def plan_of(
    connection: asyncpg.Connection, tenant_id: UUID, statement: Statement, *, forced: bool = False
) -> list[str]:
    """Return the kinds of a plan's nodes, each with its table or index, as the application role sees it.

    Args:
        connection: Of the application role.
        tenant_id: Bound for the statement.
        statement: A query.
        forced: Let the planner read a whole table only where it knows no other way, as it would where the
            table were large.
    """
    async with connection.transaction():
        await connection.execute("SELECT set_config('fettle.tenant_id', $1, true)", str(tenant_id))
        if forced:
            await connection.execute("SET LOCAL enable_seqscan = off")
        found = await connection.fetchval(
            f"EXPLAIN (FORMAT JSON) {statement.sql}",
            *statement.arguments,
        )
    document = json.loads(found) if isinstance(found, str) else found
    return list(_nodes(document[0]["Plan"]))


def _nodes(plan: dict[str, Any]) -> Iterator[str]:
    where = plan.get("Index Name") or plan.get("Relation Name")
    if where:
        yield f"{plan['Node Type']} {where}"
    for child in plan.get("Plans", []):
        yield from _nodes(child)
