"""Tables of muting: what a tenant sets, what keeps still because of it, and groups of incidents."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")


class StoredMute(TenantOwned, Base):
    """A silence, a maintenance window, an inhibition or a dependency of a tenant's own."""

    __tablename__ = "mutes"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    starts_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    ends_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_by: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class MuteSetVersion(TenantOwned, Base):
    """Counts the changes of what a tenant sets, and says when something next begins or ends."""

    __tablename__ = "mute_sets"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))
    due_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class MutedIncident(TenantOwned, Base):
    """An incident that keeps still, why, and where it goes when that is over."""

    __tablename__ = "muted_incidents"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[UUID] = mapped_column(primary_key=True)
    reason: Mapped[str] = mapped_column(Text)
    muted_by: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    until: Mapped[datetime | None] = mapped_column(_MOMENT)
    source_id: Mapped[UUID | None]
    is_disruptive: Mapped[bool] = mapped_column(server_default=text("false"))
    returns_to: Mapped[str] = mapped_column(Text)
    muted_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class Correlation(TenantOwned, Base):
    """Incidents that may belong together, until a person says whether they do."""

    __tablename__ = "correlations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text, server_default=text("'candidate'"))
    cause_id: Mapped[UUID | None]
    version: Mapped[int] = mapped_column(server_default=text("1"))
    last_at: Mapped[datetime] = mapped_column(_MOMENT)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    decided_by: Mapped[str | None] = mapped_column(Text)
    decided_at: Mapped[datetime | None] = mapped_column(_MOMENT)
