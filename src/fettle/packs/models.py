"""Tables of packs: installed versions, each tenant's activations, test results and policies."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")


class PackVersion(Base):
    """One installed version of a pack; it never changes."""

    __tablename__ = "pack_versions"

    pack_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(Text)
    is_default: Mapped[bool] = mapped_column(default=False)
    digest: Mapped[str] = mapped_column(Text)
    signature: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    content: Mapped[dict[str, Any]] = mapped_column(JSONB, deferred=True)
    installed_by: Mapped[str] = mapped_column(Text)
    installed_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class PackActivation(TenantOwned, Base):
    """What a tenant chose for a pack: a version, off, or the installation's default."""

    __tablename__ = "pack_activations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    pack_id: Mapped[str] = mapped_column(Text)
    mode: Mapped[str] = mapped_column(Text)
    version: Mapped[str | None] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    replaces: Mapped[UUID | None]
    is_current: Mapped[bool]
    actor: Mapped[str] = mapped_column(Text)
    activated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class PolicyVersion(TenantOwned, Base):
    """One version of a tenant's Policy Pack; the highest holds."""

    __tablename__ = "policy_packs"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[dict[str, Any]] = mapped_column(JSONB)
    changed_by: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class PackTestRun(TenantOwned, Base):
    """How a version's own test cases came out once."""

    __tablename__ = "pack_test_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    pack_id: Mapped[str] = mapped_column(Text)
    version: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(Text)
    passed: Mapped[bool]
    report: Mapped[dict[str, Any]] = mapped_column(JSONB)
    ran_by: Mapped[str] = mapped_column(Text)
    ran_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
