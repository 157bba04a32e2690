"""Rules of a tenant's own, of whatever kind: create, change, delete, switch, restore, each a version and an event."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.authored import Authored
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.kernel.jsonio import dumps_str

_COLUMNS: Final = "document, version, updated_at, updated_by"


class _Written(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def enabled(self) -> bool: ...
    @property
    def document(self) -> Mapping[str, Any]: ...


Kind = TypeVar("Kind", bound=_Written)


@dataclass(frozen=True, slots=True)
class Stored(Generic[Kind]):
    """A tenant's rule as it is stored."""

    rule: Kind
    version: int
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Past:
    """What a tenant's rule was in one version; without a document it was deleted then."""

    version: int
    document: Mapping[str, Any] | None
    before: Mapping[str, Any] | None
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class OwnRules(Generic[Kind]):
    """One kind of rules that tenants write.

    Attributes:
        kept: Where they are kept.
        called: What several are called, in errors.
        most: Most of them of one tenant.
        parse: Reads one as it was stored.
        checked: Reads one as it was sent, or raises `Invalid`.
        own_form: Leaves out what only packs say of theirs.
    """

    kept: Authored
    called: str
    most: int
    parse: Callable[[Mapping[str, Any]], Kind]
    checked: Callable[[Mapping[str, Any]], Kind]
    own_form: Callable[[Mapping[str, Any]], dict[str, Any]]

    async def all(self, session: AsyncSession, tenant_id: UUID) -> dict[str, Stored[Kind]]:
        """Return the tenant's own by id."""
        connection = await driver(session)
        rows = await connection.fetch(
            f"SELECT {_COLUMNS} FROM {self.kept.noun}s WHERE tenant_id = $1",  # noqa: S608 - a noun of ours
            tenant_id,
        )
        stored = [self._stored(row) for row in rows]
        return {one.rule.id: one for one in stored}

    async def read(self, session: AsyncSession, tenant_id: UUID, rule_id: str) -> Stored[Kind]:
        """Return one of the tenant's own.

        Raises:
            NotFound: The tenant has none of this id.
        """
        connection = await driver(session)
        row = await connection.fetchrow(
            f"SELECT {_COLUMNS} FROM {self.kept.noun}s WHERE tenant_id = $1 AND id = $2",  # noqa: S608 - a noun of ours
            tenant_id, rule_id,
        )  # fmt: skip
        if row is None:
            raise self.kept.missing(rule_id)
        return self._stored(row)

    async def create(self, session: AsyncSession, tenant_id: UUID, rule: Kind, *, actor: str) -> int:
        """Add a rule that was checked; returns its version.

        Raises:
            Conflict: The tenant has a rule of this id, or too many.
        """
        connection = await driver(session)
        noun = self.kept.noun
        await self.kept.count_change(connection, tenant_id)
        count = await connection.fetchval(f"SELECT count(*) FROM {noun}s WHERE tenant_id = $1", tenant_id)  # noqa: S608 - a noun of ours
        if count >= self.most:
            raise Conflict(f"A tenant has at most {self.most} {self.called} of its own. Delete some first.")
        version = await connection.fetchval(
            f"INSERT INTO {noun}s (tenant_id, id, version, document, updated_by) "  # noqa: S608 - a noun of ours
            f"SELECT $1, $2, 1 + coalesce((SELECT max(version) FROM {noun}_versions "
            f"WHERE tenant_id = $1 AND {noun}_id = $2), 0), $3::text::jsonb, $4 "
            "ON CONFLICT DO NOTHING RETURNING version",
            tenant_id, rule.id, dumps_str(rule.document), actor,
        )  # fmt: skip
        if version is None:
            raise Conflict(f"There is a rule {rule.id} already. Change it with PUT, or choose another id.")
        await self._note(session, tenant_id, rule.id, "created", version, rule.document, actor)
        return int(version)

    async def change(
        self, session: AsyncSession, tenant_id: UUID, rule_id: str, rule: Kind, *, version: int, actor: str
    ) -> int:
        """Replace a rule that nobody changed since it was read by one that was checked; returns its version.

        Raises:
            Invalid: It names another id.
            NotFound: The tenant has no such rule.
            Conflict: It has another version by now.
        """
        if rule.id != rule_id:
            raise Invalid(
                "The id of a rule does not change.",
                errors=[FieldError("/id", f"must be {rule_id}, as in the address")],
            )
        connection = await driver(session)
        await self.kept.count_change(connection, tenant_id)
        changed = await connection.fetchval(
            f"UPDATE {self.kept.noun}s SET document = $4::text::jsonb, version = version + 1, "  # noqa: S608 - a noun of ours
            "updated_at = now(), updated_by = $5 WHERE tenant_id = $1 AND id = $2 AND version = $3 RETURNING version",
            tenant_id, rule_id, version, dumps_str(rule.document), actor,
        )  # fmt: skip
        if changed is None:
            await self.kept.refuse_stale(connection, tenant_id, rule_id, version)
        await self._note(session, tenant_id, rule_id, "changed", changed, rule.document, actor)
        return int(changed)

    async def delete(
        self, session: AsyncSession, tenant_id: UUID, rule_id: str, *, version: int, actor: str
    ) -> None:
        """Delete a rule that nobody changed since it was read; a pack's rule of the same id holds again.

        Raises:
            NotFound: The tenant has no such rule.
            Conflict: It has another version by now.
        """
        connection = await driver(session)
        await self.kept.count_change(connection, tenant_id)
        deleted = await self.kept.delete(connection, tenant_id, rule_id, version)
        await self._note(session, tenant_id, rule_id, "deleted", deleted, None, actor)

    async def set_enabled(
        self,
        session: AsyncSession,
        tenant_id: UUID,
        rule: Kind,
        *,
        enabled: bool,
        version: int | None,
        actor: str,
        of_packs: Mapping[str, Mapping[str, Any]],
    ) -> int | None:
        """Switch a rule on or off; a pack's by a copy of the tenant's own, which goes where it says nothing else.

        Args:
            session: With the tenant bound.
            tenant_id: Whose rule.
            rule: As it holds now.
            enabled: What it shall be.
            version: The version of the tenant's own that was read, None for a pack's.
            actor: Who does it.
            of_packs: The packs' rules by id.

        Returns:
            The version of the tenant's own rule, None where the pack's holds.

        Raises:
            Conflict: Somebody changed it meanwhile.
        """
        own = (await self.all(session, tenant_id)).get(rule.id)
        if (own.version if own is not None else None) != version:
            raise Conflict("The rule was changed meanwhile. Look at it again.")
        if rule.enabled is enabled:
            return version
        document = {**self.own_form(rule.document), "enabled": enabled}
        if own is None:
            return await self.create(session, tenant_id, self.checked(document), actor=actor)
        packed = of_packs.get(rule.id)
        if packed is not None and {"enabled": True, **self.own_form(packed)} == document:
            await self.delete(session, tenant_id, rule.id, version=own.version, actor=actor)
            return None
        return await self.change(
            session, tenant_id, rule.id, self.checked(document), version=own.version, actor=actor
        )

    async def history(
        self, session: AsyncSession, tenant_id: UUID, rule_id: str, *, before: int | None, limit: int
    ) -> list[Past]:
        """Return the versions of a tenant's rule, newest first, each with the one before it."""
        connection = await driver(session)
        rows = await self.kept.history(connection, tenant_id, rule_id, before=before, limit=limit)
        return [Past(**dict(row)) for row in rows]

    async def restore(
        self,
        session: AsyncSession,
        tenant_id: UUID,
        rule_id: str,
        *,
        to: int,
        version: int | None,
        actor: str,
    ) -> int:
        """Let a rule be again what it was in a version, as a new one; a deleted one comes back.

        Raises:
            NotFound: The rule never had that version.
            Conflict: It has another version by now.
        """
        rule = self.checked(await self.kept.past(await driver(session), tenant_id, rule_id, to))
        if version is None:
            return await self.create(session, tenant_id, rule, actor=actor)
        return await self.change(session, tenant_id, rule_id, rule, version=version, actor=actor)

    async def _note(
        self,
        session: AsyncSession,
        tenant_id: UUID,
        rule_id: str,
        done: str,
        version: int,
        document: Mapping[str, Any] | None,
        actor: str,
    ) -> None:
        await self.kept.note(
            session,
            tenant_id,
            rule_id,
            done,
            version=version,
            content=None if document is None else dumps_str(document),
            told={"rule": document},
            actor=actor,
        )

    def _stored(self, row: asyncpg.Record) -> Stored[Kind]:
        return Stored(self.parse(row["document"]), row["version"], row["updated_at"], row["updated_by"])


def unusable(path: str, detail: str) -> Invalid:
    """Return what to raise of a rule that was sent and cannot be used.

    Args:
        path: Of what is wrong, as ``conditions[0].field``; empty for the whole.
        detail: What would be right.
    """
    pointer = "/" + path.replace("[", "/").replace("]", "").replace(".", "/") if path else ""
    return Invalid(f"The rule cannot be used: {path} {detail}.", errors=[FieldError(pointer, detail)])


def refuse_reserved(rule_id: str, reserved: frozenset[str]) -> None:
    """Refuse an id that stands for something else in addresses.

    Raises:
        Invalid: It does.
    """
    if rule_id in reserved:
        raise Invalid(
            f"{rule_id} has a meaning of its own.", errors=[FieldError("/id", "is taken; choose another")]
        )
