"""Tables of rules over time: what tenants write, what is remembered, what it adds up to, and what was found."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")
_NONE = text("0")


class TenantTemporalRule(TenantOwned, Base):
    """A rule over time of the tenant's own; one with the id of a pack's rule stands in its place."""

    __tablename__ = "temporal_rules"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_by: Mapped[str] = mapped_column(Text)


class TemporalRuleVersion(TenantOwned, Base):
    """What a tenant's rule over time was in one version; without a document it was deleted then."""

    __tablename__ = "temporal_rule_versions"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    temporal_rule_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    changed_by: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class TemporalRuleSetVersion(TenantOwned, Base):
    """Counts the changes of a tenant's rules over time."""

    __tablename__ = "temporal_rule_sets"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, server_default=text("1"))


class TemporalClock(TenantOwned, Base):
    """When something is due for a tenant, and whose expected keys are there; its lock lets one work at a time."""

    __tablename__ = "temporal_clocks"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    due_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    expected: Mapped[str | None] = mapped_column(Text)


class TemporalKey(TenantOwned, Base):
    """What a rule remembers of one key."""

    __tablename__ = "temporal_keys"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(Text, primary_key=True)
    key_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[dict[str, Any]] = mapped_column(JSONB)
    stamp: Mapped[str] = mapped_column(Text)
    state: Mapped[dict[str, Any]] = mapped_column(JSONB)
    bytes: Mapped[int]
    due_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    forget_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    seen_at: Mapped[datetime] = mapped_column(_MOMENT)


class TemporalFigures(TenantOwned, Base):
    """What a rule over time came to so far, and how much it remembers."""

    __tablename__ = "temporal_figures"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(Text, primary_key=True)
    keys: Mapped[int] = mapped_column(server_default=_NONE)
    bytes: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    counted: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    held: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    late: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    repeated: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    passed_over: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    fired: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    evicted: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    refused: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    fired_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    limit_told_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class TemporalFiring(TenantOwned, Base):
    """What a rule over time found; it has the id of the exception that it raised."""

    __tablename__ = "temporal_firings"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(Text)
    key: Mapped[dict[str, Any]] = mapped_column(JSONB)
    is_over: Mapped[bool]
    at: Mapped[datetime] = mapped_column(_MOMENT)
    count: Mapped[int]
    total: Mapped[float | None]
    exception_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid))
    is_linked: Mapped[bool] = mapped_column(server_default=text("false"))
    fired_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
