"""A source's own mapping: changed in versions, undone one step at a time, and tried on what was received."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.incidents.hooks.models import HookMapping, HookPayload, HookSource
from fettle.incidents.hooks.service import find
from fettle.kernel import jsonio
from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.packs.active import ActivePacks
from fettle.packs.check_sources import mapping_findings, mapping_of
from fettle.packs.diff import FieldChange, changes
from fettle.packs.sources import MappingError, SourceMapping
from fettle.packs.yaml_reader import pointer

MOST_SHOWN: Final = 10
"""Most exceptions of one payload that a preview shows."""

_STEPS_OF_PREVIEW: Final = 100_000
_MOST_CHANGES: Final = 50
_MOST_HISTORY: Final = 50


@dataclass(frozen=True, slots=True)
class Tried:
    """What two mappings make of one payload."""

    payload: HookPayload
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    error_before: str | None
    error_after: str | None

    @property
    def changes(self) -> list[FieldChange]:
        """What differs between the two, the first of it."""
        return changes(self.before, self.after)[:_MOST_CHANGES]


def checked(document: Mapping[str, Any], at: str = "/mapping") -> SourceMapping:
    """Return a mapping, compiled.

    Raises:
        Invalid: Naming each field at fault and how to mend it.
    """
    found = [
        FieldError(f"{at}{pointer(path)}", f"{message} {fix}")
        for path, message, fix in mapping_findings(dict(document))
    ]
    if found:
        raise Invalid("The mapping cannot be used; see errors for the fields at fault.", errors=found[:20])
    return SourceMapping(document)


def of_pack(packs: ActivePacks, kind: str) -> dict[str, Any] | None:
    """Return the mapping that the active packs have for a kind, None where they have none."""
    found = packs.sources.get(kind)
    return mapping_of(found) if found is not None else None


async def put(
    session: AsyncSession, source: HookSource, mapping: dict[str, Any] | None, *, looked_at: int, actor: str
) -> HookSource:
    """Give a source another mapping; None gives it the pack's.

    Raises:
        Conflict: It has another by now.
    """
    return await _put(
        session, source, mapping, looked_at=looked_at, replaces=source.mapping_version, actor=actor
    )


async def undo(session: AsyncSession, source: HookSource, *, looked_at: int, actor: str) -> HookSource:
    """Go back to the mapping before the last change; again, one step further back.

    Raises:
        Conflict: There is nothing to undo, or it has another by now.
    """
    present = await _version(session, source, source.mapping_version)
    if present is None or (present.mapping is None and present.replaces == 0):
        raise Conflict("There is nothing to undo: the pack's mapping holds, as it did in the beginning.")
    before = await _version(session, source, present.replaces)
    return await _put(
        session,
        source,
        before.mapping if before is not None else None,
        looked_at=looked_at,
        replaces=before.replaces if before is not None else 0,
        actor=actor,
    )


async def history(session: AsyncSession, source: HookSource) -> Sequence[HookMapping]:
    """Return the changes of a mapping, newest first."""
    return (
        await session.scalars(
            select(HookMapping)
            .where(HookMapping.tenant_id == source.tenant_id, HookMapping.source_id == source.id)
            .order_by(HookMapping.version.desc())
            .limit(_MOST_HISTORY)
        )
    ).all()


async def preview(
    source: HookSource, received: Sequence[HookPayload], before: SourceMapping | None, after: SourceMapping
) -> list[Tried]:
    """Read what was received by two mappings, off the event loop."""

    def tried() -> list[Tried]:
        found = []
        for payload in received:
            old, old_error = _made(before, payload, source.origin)
            new, new_error = _made(after, payload, source.origin)
            found.append(Tried(payload, old, new, old_error, new_error))
        return found

    return await asyncio.to_thread(tried)


def shown(made: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return exceptions as JSON shows them."""
    value: list[dict[str, Any]] = jsonio.parse(jsonio.dumps([dict(one) for one in made]))
    return value


def _made(
    mapping: SourceMapping | None, payload: HookPayload, origin: str
) -> tuple[list[dict[str, Any]], str | None]:
    if mapping is None:
        return [], None
    try:
        reading = mapping.read(payload.payload, payload.headers, source=origin, steps=_STEPS_OF_PREVIEW)
    except MappingError as error:
        return [], str(error)
    return shown(reading.exceptions), None


async def _version(session: AsyncSession, source: HookSource, version: int) -> HookMapping | None:
    found: HookMapping | None = await session.scalar(
        select(HookMapping).where(
            HookMapping.tenant_id == source.tenant_id,
            HookMapping.source_id == source.id,
            HookMapping.version == version,
        )
    )
    return found


async def _put(
    session: AsyncSession,
    source: HookSource,
    mapping: dict[str, Any] | None,
    *,
    looked_at: int,
    replaces: int,
    actor: str,
) -> HookSource:
    highest = select(func.coalesce(func.max(HookMapping.version), 0) + 1).where(
        HookMapping.tenant_id == source.tenant_id, HookMapping.source_id == source.id
    )
    done = await session.scalar(
        update(HookSource)
        .where(
            HookSource.tenant_id == source.tenant_id,
            HookSource.id == source.id,
            HookSource.mapping_version == looked_at,
        )
        .values(
            mapping=mapping,
            mapping_version=highest.scalar_subquery(),
            version=HookSource.version + 1,
            updated_at=func.now(),
            updated_by=actor,
        )
        .returning(HookSource.mapping_version)
    )
    if done is None:
        raise Conflict("The mapping was changed meanwhile. Look at it again.")
    session.add(
        HookMapping(
            tenant_id=source.tenant_id, source_id=source.id, version=done, mapping=mapping, replaces=replaces,
            changed_by=actor,
        )
    )  # fmt: skip
    await session.flush()
    return await find(session, source.tenant_id, source.id)


def known_kind(packs: ActivePacks, kind: str) -> Mapping[str, Any]:
    """Return what the active packs say of a kind.

    Raises:
        Invalid: They have no such kind.
    """
    found = packs.sources.get(kind)
    if found is None:
        known = ", ".join(sorted(packs.sources)) or "none"
        raise Invalid(f"No active pack has the kind {kind}.", errors=[FieldError("/kind", f"known: {known}")])
    return found


def example_of(kind: Mapping[str, Any] | None) -> tuple[Any, dict[str, str]]:
    """Return something that a program of this kind sends, and its headers: its pack's first test case."""
    if kind is None:
        return None, {}
    case = kind["tests"][0]
    return case["payload"], dict(case.get("headers", {}))
