"""Tables of healing: a tenant's own rules and their history, approvals, attempts."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")


class TenantRule(TenantOwned, Base):
    """A rule of the tenant's own; one with the id of a pack's rule stands in its place."""

    __tablename__ = "rules"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int]
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_by: Mapped[str] = mapped_column(Text)


class RuleVersion(TenantOwned, Base):
    """What a tenant's rule was in one version; without a document it was deleted then."""

    __tablename__ = "rule_versions"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    changed_by: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class RuleSetVersion(TenantOwned, Base):
    """Counts the changes of a tenant's rules."""

    __tablename__ = "rule_sets"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)


class Approval(TenantOwned, Base):
    """A plan, or a step of its run, that waits or waited for a person; it holds for the plan's hash alone."""

    __tablename__ = "approvals"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[UUID]
    kind: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    rule_id: Mapped[str | None] = mapped_column(Text)
    run_id: Mapped[UUID | None]
    path: Mapped[str | None] = mapped_column(Text)
    plan: Mapped[dict[str, Any]] = mapped_column(JSONB)
    plan_hash: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    approvers: Mapped[list[str]] = mapped_column(ARRAY(Text))
    requested_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)
    decided_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    decided_by: Mapped[str | None] = mapped_column(Text)
    decision_reason: Mapped[str | None] = mapped_column(Text)


class RuleAttempt(TenantOwned, Base):
    """What a rule has tried on an incident: failures since the last success, and when it last ended."""

    __tablename__ = "rule_attempts"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[UUID] = mapped_column(primary_key=True)
    rule_id: Mapped[str] = mapped_column(Text, primary_key=True)
    failed: Mapped[int]
    last_at: Mapped[datetime] = mapped_column(_MOMENT)
