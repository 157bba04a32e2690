"""Reads incidents as their triage gave them to the rules, and their patterns, cheaply in a flood."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from fettle.healing.dry_run import as_triaged
from fettle.healing.signature import ground_of, pattern_signature
from fettle.kernel.platform import Platform
from fettle.packs.active import ActivePacks

COLUMNS: Final = (
    "id, number, title, check_type, host, site, platform, source, summary, severity, fingerprint, pack_id, labels, "
    "details, opened_at"
)

_PART: Final = "healing.flywheel.patterns"
_KEPT: Final = 4_096

_READ: Final = f"""
SELECT {COLUMNS},
       CASE WHEN id = ANY($3) THEN decision ->> 'plan_hash' END AS plan_hash,
       CASE WHEN id = ANY($3) THEN decision #> '{{plan,parameters}}' END AS parameters,
       CASE WHEN id = ANY($3) THEN decision #>> '{{plan,incident,severity}}' END AS severity_then
FROM incidents WHERE tenant_id = $1 AND id = ANY($2)
"""  # noqa: S608 - a constant


class Patterns:
    """A process's patterns of the texts that it met last: a flood repeats a few, with other hosts in them."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, str] = OrderedDict()

    def of(self, incident: Mapping[str, Any]) -> str:
        """Return the pattern of an incident."""
        # A digest, since a text may be long and many are remembered.
        short = sha256(orjson.dumps(ground_of(incident), default=str)).digest()
        found = self._known.get(short)
        if found is None:
            found = self._known[short] = pattern_signature(incident)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(short)
        return found


def patterns_of(platform: Platform) -> Patterns:
    """Return the process's patterns."""
    found = platform.parts.setdefault(_PART, Patterns())
    if not isinstance(found, Patterns):
        raise TypeError(f"{_PART} is not a Patterns")
    return found


async def read_seen(
    connection: asyncpg.Connection, tenant_id: UUID, incident_ids: Sequence[UUID], planned: Sequence[UUID]
) -> list[asyncpg.Record]:
    """Read incidents in one statement.

    Args:
        connection: With the tenant bound.
        tenant_id: The owner.
        incident_ids: All.
        planned: Those of which the plan's parameters are wanted.
    """
    return list(await connection.fetch(_READ, tenant_id, list(incident_ids), list(planned)))


def as_decided(row: asyncpg.Record, packs: ActivePacks) -> dict[str, Any]:
    """Return an incident as it was decided on, with the category that its pack gives it."""
    incident = {
        name: value
        for name, value in as_triaged(row, packs).items()
        if name not in {"plan_hash", "parameters", "severity_then"}
    }
    if row.get("severity_then") is not None:
        incident["severity"] = row["severity_then"]
    return incident
