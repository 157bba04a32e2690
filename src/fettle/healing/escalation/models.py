"""Tables of escalation: schedules, channels, policies, contacts, feeds, clocks, messages, and what came back."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Identity, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")


class _Named(TenantOwned):
    """What a tenant names and describes."""

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_by: Mapped[str] = mapped_column(Text)


class OnCallSchedule(_Named, Base):
    """Who is on call when."""

    __tablename__ = "oncall_schedules"


class EscalationChannel(_Named, Base):
    """A way to tell people; its secrets stand in it by name."""

    __tablename__ = "escalation_channels"

    kind: Mapped[str] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))


class EscalationPolicy(_Named, Base):
    """Whom an incident is told to; of several that fit, the lowest position holds."""

    __tablename__ = "escalation_policies"

    position: Mapped[int]
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))


class OnCallContact(TenantOwned, Base):
    """How channels reach and know a person."""

    __tablename__ = "oncall_contacts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(primary_key=True)
    document: Mapped[dict[str, str]] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_by: Mapped[str] = mapped_column(Text)


class OnCallFeed(TenantOwned, Base):
    """An address that a calendar program asks; of its secret the digest alone is kept."""

    __tablename__ = "oncall_feeds"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID]
    name: Mapped[str] = mapped_column(Text)
    whole: Mapped[bool] = mapped_column(server_default=text("false"))
    digest: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    last_used_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class Escalation(TenantOwned, Base):
    """The clock of an incident that a person must look at; in a storm, of many."""

    __tablename__ = "escalations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[UUID]
    policy_id: Mapped[UUID]
    policy: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(Text)
    severity: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    storm_id: Mapped[UUID | None]
    settled: Mapped[bool] = mapped_column(server_default=text("false"))
    members: Mapped[int] = mapped_column(server_default=text("1"))
    told_members: Mapped[int] = mapped_column(server_default=text("0"))
    position: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    update_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    handed_to: Mapped[UUID | None]
    acknowledged_by: Mapped[str | None] = mapped_column(Text)
    acknowledged_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    opened_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    ended_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class EscalationDelivery(TenantOwned, Base):
    """One message to one place."""

    __tablename__ = "escalation_deliveries"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    escalation_id: Mapped[UUID | None]
    incident_id: Mapped[UUID | None]
    channel_id: Mapped[UUID]
    channel_kind: Mapped[str] = mapped_column(Text)
    recipient: Mapped[UUID | None]
    lane: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    step: Mapped[int | None]
    state: Mapped[str] = mapped_column(Text, server_default=text("'queued'"))
    may_have_arrived: Mapped[bool] = mapped_column(server_default=text("false"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    lease_owner: Mapped[UUID | None]
    fence: Mapped[int] = mapped_column(server_default=text("0"))
    error_code: Mapped[str | None] = mapped_column(Text)
    error: Mapped[str | None] = mapped_column(Text)
    sent: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    said: Mapped[str | None] = mapped_column(Text)
    history: Mapped[list[dict[str, Any]]] = mapped_column(JSONB, server_default=text("'[]'"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    ended_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class EscalationCallback(TenantOwned, Base):
    """Something that a channel sent back; the same again does nothing."""

    __tablename__ = "escalation_callbacks"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    channel_id: Mapped[UUID] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    received_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
