"""A tenant's own rules: create, change, delete, each with its version, its history and its event."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.rules import Rule, RuleError
from fettle.kernel.authored import Authored
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.kernel.jsonio import dumps_str

MAX_RULES: Final = 20_000
"""Most rules of a tenant's own."""

RESERVED_IDS: Final = frozenset({"schema", "explain", "dry-run", "new"})
OWN_FIELDS: Final = (
    "id", "title", "description", "priority", "enabled", "conditions", "action", "runbook_id", "playbook_id",
    "parameters", "reason", "cooldown_seconds", "max_attempts",
)  # fmt: skip
"""What a tenant says of a rule of its own."""

_RULES: Final = Authored("rule", "document", is_json=True)
_INSERT: Final = """
INSERT INTO rules (tenant_id, id, version, document, updated_by)
SELECT $1, $2, 1 + coalesce((SELECT max(version) FROM rule_versions WHERE tenant_id = $1 AND rule_id = $2), 0),
       $3::text::jsonb, $4
ON CONFLICT DO NOTHING RETURNING version
"""


@dataclass(frozen=True, slots=True)
class StoredRule:
    """A tenant's rule as it is stored."""

    rule: Rule
    version: int
    updated_at: datetime
    updated_by: str


async def list_own(session: AsyncSession, tenant_id: UUID) -> dict[str, StoredRule]:
    """Return the tenant's own rules by id."""
    connection = await driver(session)
    rows = await connection.fetch(
        "SELECT document, version, updated_at, updated_by FROM rules WHERE tenant_id = $1", tenant_id
    )
    stored = [_stored(row) for row in rows]
    return {one.rule.id: one for one in stored}


async def read_own(session: AsyncSession, tenant_id: UUID, rule_id: str) -> StoredRule:
    """Return one of the tenant's own rules.

    Raises:
        NotFound: The tenant has none of this id.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        "SELECT document, version, updated_at, updated_by FROM rules WHERE tenant_id = $1 AND id = $2",
        tenant_id, rule_id,
    )  # fmt: skip
    if row is None:
        raise _RULES.missing(rule_id)
    return _stored(row)


async def create_rule(
    session: AsyncSession,
    tenant_id: UUID,
    document: Mapping[str, Any],
    *,
    actor: str,
    source: str = "tenant",
) -> int:
    """Add a rule; it holds from the next decision on.

    Args:
        session: With the tenant bound.
        tenant_id: Whose rule.
        document: The rule.
        actor: Who adds it.
        source: Where it came from: a person (`tenant`) or what healed before (`promoted`).

    Returns:
        Its version.

    Raises:
        Invalid: It cannot be compiled.
        Conflict: The tenant has a rule of this id.
    """
    rule = checked(document, source=source)
    connection = await driver(session)
    await _RULES.count_change(connection, tenant_id)
    if await connection.fetchval("SELECT count(*) FROM rules WHERE tenant_id = $1", tenant_id) >= MAX_RULES:
        raise Conflict(f"A tenant has at most {MAX_RULES} rules of its own. Delete some first.")
    version = await connection.fetchval(_INSERT, tenant_id, rule.id, dumps_str(rule.document), actor)
    if version is None:
        raise Conflict(f"There is a rule {rule.id} already. Change it with PUT, or choose another id.")
    await _note(session, tenant_id, rule.id, "created", version, rule.document, actor)
    return int(version)


async def change_rule(
    session: AsyncSession,
    tenant_id: UUID,
    rule_id: str,
    document: Mapping[str, Any],
    *,
    version: int,
    actor: str,
    source: str = "tenant",
) -> int:
    """Replace a rule that nobody changed since it was read.

    Raises:
        Invalid: It cannot be compiled, or names another id.
        NotFound: The tenant has no such rule.
        Conflict: It has another version by now.
    """
    rule = checked(document, source=source)
    if rule.id != rule_id:
        raise Invalid(
            "The id of a rule does not change.",
            errors=[FieldError("/id", f"must be {rule_id}, as in the address")],
        )
    connection = await driver(session)
    await _RULES.count_change(connection, tenant_id)
    changed = await connection.fetchval(
        "UPDATE rules SET document = $4::text::jsonb, version = version + 1, updated_at = now(), updated_by = $5 "
        "WHERE tenant_id = $1 AND id = $2 AND version = $3 RETURNING version",
        tenant_id, rule_id, version, dumps_str(rule.document), actor,
    )  # fmt: skip
    if changed is None:
        await _RULES.refuse_stale(connection, tenant_id, rule_id, version)
    await _note(session, tenant_id, rule_id, "changed", changed, rule.document, actor)
    return int(changed)


async def delete_rule(
    session: AsyncSession, tenant_id: UUID, rule_id: str, *, version: int, actor: str
) -> None:
    """Delete a rule that nobody changed since it was read; a pack's rule of the same id holds again.

    Raises:
        NotFound: The tenant has no such rule.
        Conflict: It has another version by now.
    """
    connection = await driver(session)
    await _RULES.count_change(connection, tenant_id)
    deleted = await _RULES.delete(connection, tenant_id, rule_id, version)
    await _note(session, tenant_id, rule_id, "deleted", deleted, None, actor)


async def set_enabled(
    session: AsyncSession,
    tenant_id: UUID,
    rule: Rule,
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
        return await create_rule(session, tenant_id, document, actor=actor)
    packed = of_packs.get(rule.id)
    if packed is not None and {"enabled": True, **own_form(packed)} == document:
        await delete_rule(session, tenant_id, rule.id, version=own.version, actor=actor)
        return None
    return await change_rule(session, tenant_id, rule.id, document, version=own.version, actor=actor)


def own_form(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a rule without what only packs say of theirs."""
    return {name: value for name, value in document.items() if name in OWN_FIELDS}


@dataclass(frozen=True, slots=True)
class PastRule:
    """What a tenant's rule was in one version; without a document it was deleted then."""

    version: int
    document: Mapping[str, Any] | None
    before: Mapping[str, Any] | None
    changed_by: str
    changed_at: datetime


async def history(
    session: AsyncSession, tenant_id: UUID, rule_id: str, *, before: int | None, limit: int
) -> list[PastRule]:
    """Return the versions of a tenant's rule, newest first, each with the one before it."""
    connection = await driver(session)
    rows = await _RULES.history(connection, tenant_id, rule_id, before=before, limit=limit)
    return [PastRule(**dict(row)) for row in rows]


async def restore_rule(
    session: AsyncSession, tenant_id: UUID, rule_id: str, *, to: int, version: int | None, actor: str
) -> int:
    """Let a rule be again what it was in a version, as a new one; a deleted one comes back.

    Raises:
        NotFound: The rule never had that version.
        Conflict: It has another version by now.
    """
    document = await _RULES.past(await driver(session), tenant_id, rule_id, to)
    if version is None:
        return await create_rule(session, tenant_id, document, actor=actor)
    return await change_rule(session, tenant_id, rule_id, document, version=version, actor=actor)


def checked(document: Mapping[str, Any], *, source: str = "tenant") -> Rule:
    """Return a rule of a tenant's own, compiled.

    Raises:
        Invalid: With the pointer of what is wrong and what would be right.
    """
    try:
        rule = Rule.parse({**document, "source": source}, place="sent")
    except RuleError as error:
        pointer = "/" + error.path.replace("[", "/").replace("]", "").replace(".", "/") if error.path else ""
        raise Invalid(
            f"The rule cannot be used: {error.path} {error.detail}.",
            errors=[FieldError(pointer, error.detail)],
        ) from None
    if rule.id in RESERVED_IDS:
        raise Invalid(
            f"{rule.id} has a meaning of its own.", errors=[FieldError("/id", "is taken; choose another")]
        )
    if rule.action == "execute_runbook" and rule.runbook_id is None:
        raise _lacks("runbook_id", rule.action)
    if rule.action == "run_playbook" and rule.playbook_id is None:
        raise _lacks("playbook_id", rule.action)
    return rule


def rule_stream(tenant_id: UUID, rule_id: str) -> UUID:
    """Return the id of the stream that a rule's events stand in."""
    return _RULES.stream(tenant_id, rule_id)


def _lacks(field: str, action: str) -> Invalid:
    return Invalid(
        f"The action {action} needs a {field}.", errors=[FieldError(f"/{field}", f"is needed by {action}")]
    )


async def _note(
    session: AsyncSession,
    tenant_id: UUID,
    rule_id: str,
    done: str,
    version: int,
    document: Mapping[str, Any] | None,
    actor: str,
) -> None:
    await _RULES.note(
        session,
        tenant_id,
        rule_id,
        done,
        version=version,
        content=None if document is None else dumps_str(document),
        told={"rule": document},
        actor=actor,
    )


def _stored(row: asyncpg.Record) -> StoredRule:
    return StoredRule(Rule.parse(row["document"]), row["version"], row["updated_at"], row["updated_by"])
