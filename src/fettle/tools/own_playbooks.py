"""A tenant's own playbooks: create, change, delete, restore, each with its version, its history and its event."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.authored import Authored
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict, FieldError, Invalid, NotFound
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks
from fettle.packs.service import active_packs
from fettle.tools.catalogue import registry_of
from fettle.tools.drafts import Surroundings, accepted

MAX_PLAYBOOKS: Final = 500
"""Most playbooks of a tenant's own."""

_PLAYBOOKS: Final = Authored("playbook", "source", is_json=False)
_COLUMNS: Final = "id, version, source, document, updated_at, updated_by"
_INSERT: Final = """
INSERT INTO playbooks (tenant_id, id, version, source, document, updated_by)
SELECT $1, $2, n.version, $3, $4::text::jsonb || jsonb_build_object('version', n.version), $5
FROM (SELECT 1 + coalesce(max(version), 0) AS version FROM playbook_versions
      WHERE tenant_id = $1 AND playbook_id = $2) n
ON CONFLICT DO NOTHING RETURNING version
"""
_UPDATE: Final = """
UPDATE playbooks SET source = $4, document = $5::text::jsonb || jsonb_build_object('version', version + 1),
  version = version + 1, updated_at = now(), updated_by = $6
WHERE tenant_id = $1 AND id = $2 AND version = $3 RETURNING version
"""


@dataclass(frozen=True, slots=True)
class OwnPlaybook:
    """A tenant's playbook as it is stored."""

    id: str
    version: int
    source: str
    document: Mapping[str, Any]
    updated_at: datetime
    updated_by: str


@dataclass(frozen=True, slots=True)
class PastPlaybook:
    """What a playbook was in one version; without a source it was deleted then."""

    version: int
    source: str | None
    before: str | None
    changed_by: str
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Library:
    """Every playbook that a tenant can run: those of its packs, and its own in the place of theirs.

    Attributes:
        packs: The tenant's active packs.
        own: The tenant's own playbooks by id.
        documents: All of them by id.
    """

    packs: ActivePacks
    own: Mapping[str, OwnPlaybook]
    documents: Mapping[str, Mapping[str, Any]]

    def find(self, playbook_id: str) -> Mapping[str, Any]:
        """Return a playbook.

        Raises:
            NotFound: There is none of this id.
        """
        found = self.documents.get(playbook_id)
        if found is None:
            raise NotFound(f"There is no playbook {playbook_id}, neither in an active pack nor of your own.")
        return found


async def library_of(platform: Platform, session: AsyncSession, tenant_id: UUID) -> Library:
    """Return the playbooks that a tenant can run now."""
    packs = await active_packs(platform, tenant_id)
    own = await list_own(session, tenant_id)
    return Library(packs, own, merged(packs.playbooks, {name: one.document for name, one in own.items()}))


def merged(
    packs: Mapping[str, Mapping[str, Any]], own: Mapping[str, Mapping[str, Any]]
) -> dict[str, Mapping[str, Any]]:
    """Return packs' playbooks with a tenant's own in the place of those with the same id."""
    return {**packs, **own}


async def list_own(session: AsyncSession, tenant_id: UUID) -> dict[str, OwnPlaybook]:
    """Return the tenant's own playbooks by id."""
    connection = await driver(session)
    rows = await connection.fetch(
        f"SELECT {_COLUMNS} FROM playbooks WHERE tenant_id = $1",  # noqa: S608 - a constant
        tenant_id,
    )
    return {row["id"]: OwnPlaybook(**dict(row)) for row in rows}


async def create(
    platform: Platform, session: AsyncSession, tenant_id: UUID, source: str, *, actor: str
) -> OwnPlaybook:
    """Add a playbook; rules and runs can use it from now on.

    Raises:
        Invalid: It cannot be used; each error names its line.
        Conflict: The tenant has one of this id, or too many.
    """
    connection = await driver(session)
    await _PLAYBOOKS.count_change(connection, tenant_id)
    document = await _checked(platform, session, tenant_id, source)
    if (
        await connection.fetchval("SELECT count(*) FROM playbooks WHERE tenant_id = $1", tenant_id)
        >= MAX_PLAYBOOKS
    ):
        raise Conflict(f"A tenant has at most {MAX_PLAYBOOKS} playbooks of its own. Delete some first.")
    name = str(document["id"])
    version = await connection.fetchval(_INSERT, tenant_id, name, source, dumps_str(document), actor)
    if version is None:
        raise Conflict(f"There is a playbook {name} already. Change that one, or choose another id.")
    await _note(session, tenant_id, name, "created", version, source, actor)
    return await read_own(session, tenant_id, name)


async def change(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    playbook_id: str,
    source: str,
    *,
    version: int,
    actor: str,
) -> OwnPlaybook:
    """Replace a playbook that nobody changed since it was read; runs under way keep the old one.

    Raises:
        Invalid: It cannot be used, or names another id.
        NotFound: The tenant has no such playbook of its own.
        Conflict: It has another version by now.
    """
    connection = await driver(session)
    await _PLAYBOOKS.count_change(connection, tenant_id)
    document = await _checked(platform, session, tenant_id, source)
    if document["id"] != playbook_id:
        raise Invalid(
            "The id of a playbook does not change. To rename it, create another and delete this one.",
            errors=[FieldError("/yaml/id", f"must be {playbook_id}, as in the address")],
        )
    changed = await connection.fetchval(
        _UPDATE, tenant_id, playbook_id, version, source, dumps_str(document), actor
    )
    if changed is None:
        await _PLAYBOOKS.refuse_stale(connection, tenant_id, playbook_id, version)
    await _note(session, tenant_id, playbook_id, "changed", changed, source, actor)
    return await read_own(session, tenant_id, playbook_id)


async def delete(
    session: AsyncSession, tenant_id: UUID, playbook_id: str, *, version: int, actor: str
) -> None:
    """Delete a playbook that nobody changed since it was read; a pack's of the same id holds again.

    Raises:
        NotFound: The tenant has no such playbook of its own.
        Conflict: It has another version by now.
    """
    connection = await driver(session)
    await _PLAYBOOKS.count_change(connection, tenant_id)
    deleted = await _PLAYBOOKS.delete(connection, tenant_id, playbook_id, version)
    await _note(session, tenant_id, playbook_id, "deleted", deleted, None, actor)


async def restore(
    platform: Platform,
    session: AsyncSession,
    tenant_id: UUID,
    playbook_id: str,
    *,
    to: int,
    version: int | None,
    actor: str,
) -> OwnPlaybook:
    """Let a playbook be again what it was in a version, as a new one; a deleted one comes back.

    Args:
        platform: The process's parts.
        session: With the tenant bound.
        tenant_id: Whose playbook.
        playbook_id: Which playbook.
        to: The version to go back to.
        version: The version that was read; None for a playbook that is deleted.
        actor: Who does it.

    Raises:
        NotFound: The playbook never had that version.
        Invalid: It cannot be used any more, such as when it calls what is gone.
        Conflict: It has another version by now.
    """
    source = await _PLAYBOOKS.past(await driver(session), tenant_id, playbook_id, to)
    if version is None:
        return await create(platform, session, tenant_id, source, actor=actor)
    return await change(platform, session, tenant_id, playbook_id, source, version=version, actor=actor)


async def history(
    session: AsyncSession, tenant_id: UUID, playbook_id: str, *, before: int | None, limit: int
) -> list[PastPlaybook]:
    """Return the versions of a playbook, newest first, each with the one before it."""
    connection = await driver(session)
    rows = await _PLAYBOOKS.history(connection, tenant_id, playbook_id, before=before, limit=limit)
    return [PastPlaybook(**dict(row)) for row in rows]


async def read_own(session: AsyncSession, tenant_id: UUID, playbook_id: str) -> OwnPlaybook:
    """Return one of the tenant's own playbooks.

    Raises:
        NotFound: The tenant has none of this id.
    """
    connection = await driver(session)
    row = await connection.fetchrow(
        f"SELECT {_COLUMNS} FROM playbooks WHERE tenant_id = $1 AND id = $2",  # noqa: S608 - a constant
        tenant_id,
        playbook_id,
    )
    if row is None:
        raise _PLAYBOOKS.missing(playbook_id)
    return OwnPlaybook(**dict(row))


def surroundings(platform: Platform, library: Library) -> Surroundings:
    """Return what a playbook of the tenant may name."""
    tools = {tool.name for tool in registry_of(platform)}
    return Surroundings(library.documents, tools, library.packs.runbooks.keys())


async def _checked(platform: Platform, session: AsyncSession, tenant_id: UUID, source: str) -> dict[str, Any]:
    library = await library_of(platform, session, tenant_id)
    return accepted(source, surroundings(platform, library))


async def _note(
    session: AsyncSession,
    tenant_id: UUID,
    playbook_id: str,
    done: str,
    version: int,
    source: str | None,
    actor: str,
) -> None:
    # What an author writes may hold what an event must not; the event binds it by its hash.
    digest = None if source is None else hashlib.sha256(source.encode()).hexdigest()
    await _PLAYBOOKS.note(
        session,
        tenant_id,
        playbook_id,
        done,
        version=version,
        content=source,
        told={"sha256": digest},
        actor=actor,
    )
