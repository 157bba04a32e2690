"""A tenant's own rules over time: create, change, delete, each with its version, its history and its event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.temporal.current import MOST_RULES
from fettle.healing.temporal.rules import TemporalRule, TemporalRuleError
from fettle.kernel.authored import Authored
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.kernel.jsonio import dumps_str

RULES: Final = Authored("temporal_rule", "document", is_json=True)
RESERVED_IDS: Final = frozenset({"schema", "dry-run", "new", "memory"})
OF_PACKS: Final = frozenset({"source", "pack_id", "pack_version", "tests"})
"""What only packs say of theirs."""

_INSERT: Final = """
INSERT INTO temporal_rules (tenant_id, id, version, document, updated_by)
SELECT $1, $2, 1 + coalesce((SELECT max(version) FROM temporal_rule_versions
                             WHERE tenant_id = $1 AND temporal_rule_id = $2), 0), $3::text::jsonb, $4
ON CONFLICT DO NOTHING RETURNING version
"""
_READ: Final = "SELECT document, version, updated_at, updated_by FROM temporal_rules WHERE tenant_id = $1"


@dataclass(frozen=True, slots=True)
class Stored:
    """A tenant's rule over time as it is stored."""

    rule: TemporalRule
    version: int
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class Past:
    """What a tenant's rule over time was in one version; without a document it was deleted then."""

    version: int
    document: Mapping[str, Any] | None
    before: Mapping[str, Any] | None
    changed_by: str
    changed_at: datetime


async def list_own(session: AsyncSession, tenant_id: UUID) -> dict[str, Stored]:
    """Return the tenant's own rules over time by id."""
    connection = await driver(session)
    stored = [_stored(row) for row in await connection.fetch(_READ, tenant_id)]
    return {one.rule.id: one for one in stored}


async def read_own(session: AsyncSession, tenant_id: UUID, rule_id: str) -> Stored:
    """Return one of the tenant's own rules over time.

    Raises:
        NotFound: The tenant has none of this id.
    """
    connection = await driver(session)
    row = await connection.fetchrow(f"{_READ} AND id = $2", tenant_id, rule_id)
    if row is None:
        raise RULES.missing(rule_id)
    return _stored(row)


async def create(session: AsyncSession, tenant_id: UUID, document: Mapping[str, Any], *, actor: str) -> int:
    """Add a rule over time; it sees exceptions within a second of the commit. Returns its version.

    Raises:
        Invalid: It cannot be used.
        Conflict: The tenant has a rule of this id, or too many.
    """
    rule = checked(document)
    connection = await driver(session)
    await RULES.count_change(connection, tenant_id)
    count = await connection.fetchval("SELECT count(*) FROM temporal_rules WHERE tenant_id = $1", tenant_id)
    if count >= MOST_RULES:
        raise Conflict(f"A tenant has at most {MOST_RULES} rules over time of its own. Delete some first.")
    version = await connection.fetchval(_INSERT, tenant_id, rule.id, dumps_str(rule.document), actor)
    if version is None:
        raise Conflict(f"There is a rule {rule.id} already. Change it with PUT, or choose another id.")
    await _note(session, tenant_id, rule.id, "created", version, rule.document, actor)
    return int(version)


async def change(
    session: AsyncSession,
    tenant_id: UUID,
    rule_id: str,
    document: Mapping[str, Any],
    *,
    version: int,
    actor: str,
) -> int:
    """Replace a rule that nobody changed since it was read; what it remembers stays where it looks at the same.

    Raises:
        Invalid: It cannot be used, or names another id.
        NotFound: The tenant has no such rule.
        Conflict: It has another version by now.
    """
    rule = checked(document)
    if rule.id != rule_id:
        raise Invalid(
            "The id of a rule does not change.",
            errors=[FieldError("/id", f"must be {rule_id}, as in the address")],
        )
    connection = await driver(session)
    await RULES.count_change(connection, tenant_id)
    changed = await connection.fetchval(
        "UPDATE temporal_rules SET document = $4::text::jsonb, version = version + 1, updated_at = now(), "
        "updated_by = $5 WHERE tenant_id = $1 AND id = $2 AND version = $3 RETURNING version",
        tenant_id, rule_id, version, dumps_str(rule.document), actor,
    )  # fmt: skip
    if changed is None:
        await RULES.refuse_stale(connection, tenant_id, rule_id, version)
    await _note(session, tenant_id, rule_id, "changed", changed, rule.document, actor)
    return int(changed)


async def delete(session: AsyncSession, tenant_id: UUID, rule_id: str, *, version: int, actor: str) -> None:
    """Delete a rule that nobody changed since it was read; a pack's rule of the same id holds again.

    Raises:
        NotFound: The tenant has no such rule.
        Conflict: It has another version by now.
    """
    connection = await driver(session)
    await RULES.count_change(connection, tenant_id)
    deleted = await RULES.delete(connection, tenant_id, rule_id, version)
    await _note(session, tenant_id, rule_id, "deleted", deleted, None, actor)


async def set_enabled(
    session: AsyncSession,
    tenant_id: UUID,
    rule: TemporalRule,
    *,
    enabled: bool,
    version: int | None,
    actor: str,
    of_packs: Mapping[str, Mapping[str, Any]],
) -> int | None:
    """Switch a rule on or off; a pack's by a copy of the tenant's own, which is removed where it says nothing else.

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
    own = (await list_own(session, tenant_id)).get(rule.id)
    if (own.version if own is not None else None) != version:
        raise Conflict("The rule was changed meanwhile. Look at it again.")
    if rule.enabled is enabled:
        return version
    document = {**own_form(rule.document), "enabled": enabled}
    if own is None:
        return await create(session, tenant_id, document, actor=actor)
    packed = of_packs.get(rule.id)
    if packed is not None and {"enabled": True, **own_form(packed)} == document:
        await delete(session, tenant_id, rule.id, version=own.version, actor=actor)
        return None
    return await change(session, tenant_id, rule.id, document, version=own.version, actor=actor)


async def history(
    session: AsyncSession, tenant_id: UUID, rule_id: str, *, before: int | None, limit: int
) -> list[Past]:
    """Return the versions of a tenant's rule, newest first, each with the one before it."""
    connection = await driver(session)
    rows = await RULES.history(connection, tenant_id, rule_id, before=before, limit=limit)
    return [Past(**dict(row)) for row in rows]


async def restore(
    session: AsyncSession, tenant_id: UUID, rule_id: str, *, to: int, version: int | None, actor: str
) -> int:
    """Let a rule be again what it was in a version, as a new one; a deleted one comes back.

    Raises:
        NotFound: The rule never had that version.
        Conflict: It has another version by now.
    """
    document = await RULES.past(await driver(session), tenant_id, rule_id, to)
    if version is None:
        return await create(session, tenant_id, document, actor=actor)
    return await change(session, tenant_id, rule_id, document, version=version, actor=actor)


def own_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule without what only packs say of theirs."""
    return {name: value for name, value in document.items() if name not in OF_PACKS}


def checked(document: Mapping[str, Any]) -> TemporalRule:
    """Return a rule of a tenant's own, read.

    Raises:
        Invalid: With the pointer of what is wrong and what would be right.
    """
    try:
        rule = TemporalRule.parse(own_form(document), place="sent")
    except TemporalRuleError as error:
        pointer = "/" + error.path.replace("[", "/").replace("]", "").replace(".", "/") if error.path else ""
        raise Invalid(
            f"The rule cannot be used: {error.path} {error.detail}.",
            errors=[FieldError(pointer, error.detail)],
        ) from None
    if rule.id in RESERVED_IDS:
        raise Invalid(
            f"{rule.id} has a meaning of its own.", errors=[FieldError("/id", "is taken; choose another")]
        )
    return rule


async def _note(
    session: AsyncSession,
    tenant_id: UUID,
    rule_id: str,
    done: str,
    version: int,
    document: Mapping[str, Any] | None,
    actor: str,
) -> None:
    await RULES.note(
        session,
        tenant_id,
        rule_id,
        done,
        version=version,
        content=None if document is None else dumps_str(document),
        told={"rule": document},
        actor=actor,
    )


def _stored(row: asyncpg.Record) -> Stored:
    return Stored(TemporalRule.parse(row["document"]), row["version"], row["updated_at"], row["updated_by"])
