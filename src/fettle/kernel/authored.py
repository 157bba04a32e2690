"""What a tenant's people write and change: each change counted, kept as a version, and told as an event."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from uuid import UUID, uuid5

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel import context, events
from fettle.kernel.database import DriverConnection, driver
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.events import NewEvent


@dataclass(frozen=True, slots=True)
class Authored:
    """A kind of what tenants write, and where it is kept: ``rules``, ``rule_versions``, ``rule_sets`` of a rule.

    Attributes:
        noun: What one is called, in tables, events and errors.
        content: The column of its versions that holds what was written; NULL where it was deleted.
        is_json: Whether that column holds JSON.
    """

    noun: str
    content: str
    is_json: bool

    async def count_change(self, connection: DriverConnection, tenant_id: UUID) -> None:
        """Count a change, before it is made: the row's lock makes changes of one tenant follow each other."""
        await connection.execute(
            f"INSERT INTO {self.noun}_sets (tenant_id, version) VALUES ($1, 1) "  # noqa: S608 - a noun of ours
            f"ON CONFLICT (tenant_id) DO UPDATE SET version = {self.noun}_sets.version + 1",
            tenant_id,
        )

    async def delete(self, connection: DriverConnection, tenant_id: UUID, name: str, version: int) -> int:
        """Delete one that nobody changed since it was read; returns the version that says so.

        Raises:
            NotFound: The tenant has no such one of its own.
            Conflict: It has another version by now.
        """
        deleted: int | None = await connection.fetchval(
            f"DELETE FROM {self.noun}s WHERE tenant_id = $1 AND id = $2 AND version = $3 RETURNING version",  # noqa: S608 - a noun of ours
            tenant_id, name, version,
        )  # fmt: skip
        if deleted is None:
            await self.refuse_stale(connection, tenant_id, name, version)
        return deleted + 1

    async def refuse_stale(
        self, connection: DriverConnection, tenant_id: UUID, name: str, version: int
    ) -> NoReturn:
        """Say why a change of a version did not come about.

        Raises:
            NotFound: The tenant has no such one of its own.
            Conflict: It has another version by now.
        """
        current = await connection.fetchval(
            f"SELECT version FROM {self.noun}s WHERE tenant_id = $1 AND id = $2",  # noqa: S608 - a noun of ours
            tenant_id, name,
        )  # fmt: skip
        if current is None:
            raise self.missing(name)
        raise Conflict(
            f"The {self.noun} has version {current} by now, not {version}. "
            "Read it again and repeat what still applies."
        )

    def missing(self, name: str) -> NotFound:
        """Return what to raise where the tenant has none of that name."""
        return NotFound(f"This tenant has no {self.noun} {name} of its own.")

    async def past(self, connection: DriverConnection, tenant_id: UUID, name: str, version: int) -> Any:
        """Return what was written in a version.

        Raises:
            NotFound: There never was that version, or it is the one in which it was deleted.
        """
        found = await connection.fetchval(
            f"SELECT {self.content} FROM {self.noun}_versions "  # noqa: S608 - nouns of ours
            f"WHERE tenant_id = $1 AND {self.noun}_id = $2 AND version = $3",
            tenant_id, name, version,
        )  # fmt: skip
        if found is None:
            raise NotFound(f"The {self.noun} {name} has no version {version} that could be restored.")
        return found

    async def history(
        self, connection: DriverConnection, tenant_id: UUID, name: str, *, before: int | None, limit: int
    ) -> list[asyncpg.Record]:
        """Return the versions of one, newest first, each with what was written in the one `before` it."""
        rows: list[asyncpg.Record] = await connection.fetch(
            f"SELECT * FROM (SELECT version, {self.content}, "  # noqa: S608 - nouns of ours
            f"lag({self.content}) OVER (ORDER BY version) AS before, changed_by, changed_at "
            f"FROM {self.noun}_versions WHERE tenant_id = $1 AND {self.noun}_id = $2) v "
            "WHERE $3::bigint IS NULL OR version < $3 ORDER BY version DESC LIMIT $4",
            tenant_id, name, before, limit,
        )  # fmt: skip
        return rows

    async def note(
        self,
        session: AsyncSession,
        tenant_id: UUID,
        name: str,
        done: str,
        *,
        version: int,
        content: str | None,
        told: Mapping[str, Any],
        actor: str,
    ) -> None:
        """Keep a version, and append the event of the change.

        Args:
            session: The transaction of the change, with the tenant bound.
            tenant_id: Whose it is.
            name: Which one.
            done: ``created``, ``changed`` or ``deleted``.
            version: Which it has from now on.
            content: What was written, None where it was deleted.
            told: What the event says beside the name and the version.
            actor: Who did it.
        """
        connection = await driver(session)
        cast = "::text::jsonb" if self.is_json else ""
        await connection.execute(
            f"INSERT INTO {self.noun}_versions (tenant_id, {self.noun}_id, version, {self.content}, changed_by) "  # noqa: S608 - nouns of ours
            f"VALUES ($1, $2, $3, $4{cast}, $5)",
            tenant_id, name, version, content, actor,
        )  # fmt: skip
        event = NewEvent(
            stream_type=self.noun,
            stream_id=self.stream(tenant_id, name),
            type=f"{self.noun}.{done}",
            data={f"{self.noun}_id": name, "version": version, **told},
            actor=actor,
            request_id=context.request_id.get(),
        )
        await events.append(session, tenant_id, [event])

    def stream(self, tenant_id: UUID, name: str) -> UUID:
        """Return the id of the stream that the events of one stand in."""
        return uuid5(tenant_id, f"{self.noun}:{name}")
