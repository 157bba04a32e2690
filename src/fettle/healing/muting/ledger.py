"""Which incidents keep still: written down when they begin to, with where they go when it is over."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.healing.muting.mutes import INHIBITED, Mute
from fettle.incidents.service import Transition
from fettle.incidents.states import State

ACTOR: Final = "system:muting"
SUPPRESSED: Final = "incident.suppressed"
RELEASED: Final = "incident.released"

LOOKED_AFTER: Final = timedelta(seconds=60)
"""So long after its last look, what has no known end is looked at again."""

_NOTE: Final = """
INSERT INTO muted_incidents (tenant_id, incident_id, reason, muted_by, title, until, source_id, is_disruptive,
                             returns_to)
SELECT $1, n.* FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::uuid[],
                           $8::bool[], $9::text[])
  AS n(incident_id, reason, muted_by, title, until, source_id, is_disruptive, returns_to)
ON CONFLICT (tenant_id, incident_id) DO UPDATE SET
  reason = excluded.reason, muted_by = excluded.muted_by, title = excluded.title, until = excluded.until,
  source_id = excluded.source_id, is_disruptive = excluded.is_disruptive, returns_to = excluded.returns_to
"""
_LOOK_AT: Final = """
INSERT INTO mute_sets (tenant_id, due_at) VALUES ($1, $2)
ON CONFLICT (tenant_id) DO UPDATE SET due_at = least(mute_sets.due_at, excluded.due_at)
"""


@dataclass(frozen=True, slots=True)
class Muted:
    """An incident that keeps still.

    Attributes:
        returns_to: The state that it had.
        is_disruptive: The plan that is held disturbs people at work.
    """

    incident_id: UUID
    mute: Mute
    returns_to: State
    is_disruptive: bool = False

    def transition(self, cause: UUID | None = None) -> Transition:
        """Return the event that says so."""
        return Transition(
            incident_id=self.incident_id,
            type=SUPPRESSED,
            to=State.SUPPRESSED,
            data=self.mute.document(),
            actor=ACTOR,
            causation_id=cause,
        )


async def note(
    connection: asyncpg.Connection, tenant_id: UUID, muted: Sequence[Muted], now: datetime
) -> None:
    """Write down what keeps still, and when to look at it again."""
    if not muted:
        return
    columns: list[list[Any]] = [
        list(column)
        for column in zip(
            *(
                (
                    one.incident_id,
                    one.mute.reason,
                    one.mute.by,
                    one.mute.title,
                    one.mute.until,
                    one.mute.source,
                    one.is_disruptive,
                    one.returns_to.value,
                )
                for one in muted
            ),
            strict=True,
        )
    ]
    await connection.execute(_NOTE, tenant_id, *columns)
    await look_at(connection, tenant_id, min(again_at(one.mute, now) for one in muted))


async def look_at(connection: asyncpg.Connection, tenant_id: UUID, moment: datetime) -> None:
    """Let a tenant be looked at no later than a moment."""
    await connection.execute(_LOOK_AT, tenant_id, moment)


async def forget(connection: asyncpg.Connection, tenant_id: UUID, incident_ids: Iterable[UUID]) -> None:
    """Strike out what keeps still no longer."""
    await connection.execute(
        "DELETE FROM muted_incidents WHERE tenant_id = $1 AND incident_id = ANY($2)",
        tenant_id, list(incident_ids),
    )  # fmt: skip


def again_at(mute: Mute, now: datetime) -> datetime:
    """Return when something that keeps still is to be looked at again."""
    if mute.until is None or mute.reason == INHIBITED:
        return now + LOOKED_AFTER
    return mute.until
