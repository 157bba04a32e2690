"""What else was out of order around an incident: on the same host or site, of the same check or pattern."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.healing.signature import pattern_signature
from fettle.incidents import queries
from fettle.incidents.models import Incident
from fettle.incidents.schemas import IncidentItem
from fettle.kernel.database import driver

_CANDIDATES: Final = 100
_SHOWN: Final = 30
_WEIGHTS: Final = {"host": 4, "pattern": 3, "check_type": 2, "site": 1}

_ITEM: Final = ", ".join(IncidentItem.model_fields)
_RELATED: Final = f"""
SELECT DISTINCT ON (id) * FROM (
  (SELECT {_ITEM}, summary, details, labels FROM incidents WHERE tenant_id = $1 AND host = $2 AND id <> $5
     AND opened_at BETWEEN $6 AND $7 ORDER BY id DESC LIMIT $8)
  UNION ALL
  (SELECT {_ITEM}, summary, details, labels FROM incidents WHERE tenant_id = $1 AND check_type = $3 AND id <> $5
     AND opened_at BETWEEN $6 AND $7 ORDER BY id DESC LIMIT $8)
  UNION ALL
  (SELECT {_ITEM}, summary, details, labels FROM incidents WHERE tenant_id = $1 AND site = $4 AND id <> $5
     AND opened_at BETWEEN $6 AND $7 ORDER BY id DESC LIMIT $8)
) AS near ORDER BY id DESC
"""  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Related:
    """An incident and what it has in common with the one that was asked about.

    Attributes:
        shares: Of ``host``, ``site``, ``check_type``, ``pattern``.
    """

    incident: Mapping[str, Any]
    shares: tuple[str, ...]


async def related(session: AsyncSession, tenant_id: UUID, incident_id: UUID, *, hours: int) -> list[Related]:
    """Read what was opened at most so many hours before or after an incident and has something in common.

    Those with the most in common come first, of these the newest.

    Raises:
        NotFound: The tenant has no such incident.
    """
    incident = await queries.one(session, tenant_id, incident_id)
    window = timedelta(hours=hours)
    connection = await driver(session)
    rows = await connection.fetch(
        _RELATED,
        tenant_id,
        incident.host,
        incident.check_type,
        incident.site,
        incident_id,
        incident.opened_at - window,
        incident.opened_at + window,
        _CANDIDATES,
    )
    pattern = pattern_signature(_facts(incident))
    found = [Related(dict(row), _shares(incident, row, pattern)) for row in rows]
    found.sort(key=lambda one: (_weight(one), one.incident["id"]), reverse=True)
    return found[:_SHOWN]


def _shares(incident: Incident, other: asyncpg.Record, pattern: str) -> tuple[str, ...]:
    same = [
        name
        for name in ("host", "site", "check_type")
        if getattr(incident, name) is not None and getattr(incident, name) == other[name]
    ]
    if pattern_signature(dict(other)) == pattern:
        same.append("pattern")
    return tuple(same)


def _weight(one: Related) -> int:
    return sum(_WEIGHTS[name] for name in one.shares)


def _facts(incident: Incident) -> dict[str, Any]:
    names = ("check_type", "host", "site", "platform", "summary", "details", "labels")
    return {name: getattr(incident, name) for name in names}
