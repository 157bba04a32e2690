"""Tables of tools: playbooks of tenants' own, runs, their ledger of steps, and each tenant's tools and secrets."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned


class PlaybookDefinition(TenantOwned, Base):
    """A playbook with all that it calls, as it was when a run began, by the hash of its content."""

    __tablename__ = "playbook_definitions"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    hash: Mapped[str] = mapped_column(Text, primary_key=True)
    definition: Mapped[dict[str, Any]] = mapped_column(JSONB)


class PlaybookRun(TenantOwned, Base):
    """One execution of a playbook."""

    __tablename__ = "playbook_runs"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    incident_id: Mapped[UUID | None]
    playbook_id: Mapped[str] = mapped_column(Text)
    playbook_version: Mapped[int]
    definition_hash: Mapped[str] = mapped_column(Text)
    plan_hash: Mapped[str | None] = mapped_column(Text)
    rule_id: Mapped[str | None] = mapped_column(Text)
    parameters: Mapped[dict[str, Any]] = mapped_column(JSONB)
    incident: Mapped[dict[str, Any]] = mapped_column(JSONB)
    state: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str | None] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    fence: Mapped[int]
    lease_owner: Mapped[UUID | None]
    recalled: Mapped[bool]
    cancelled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    due_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    causation_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    started_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    finished_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class RunStep(TenantOwned, Base):
    """One line of a run's ledger."""

    __tablename__ = "run_steps"

    run_id: Mapped[UUID] = mapped_column(primary_key=True)
    path: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    phase: Mapped[str] = mapped_column(Text)
    tool: Mapped[str | None] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int]
    input: Mapped[Any] = mapped_column(JSONB)
    output: Mapped[Any] = mapped_column(JSONB)
    error: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    wake_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ToolSetting(TenantOwned, Base):
    """Whether a tenant lets a tool be called."""

    __tablename__ = "tool_settings"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    tool: Mapped[str] = mapped_column(Text, primary_key=True)
    enabled: Mapped[bool]
    updated_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class TenantSecret(TenantOwned, Base):
    """A secret that a tenant's tools use, sealed."""

    __tablename__ = "tenant_secrets"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text, primary_key=True)
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
    updated_by: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class TenantPlaybook(TenantOwned, Base):
    """A playbook of the tenant's own; one with the id of a pack's playbook stands in its place."""

    __tablename__ = "playbooks"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int]
    source: Mapped[str] = mapped_column(Text)
    document: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))
    updated_by: Mapped[str] = mapped_column(Text)


class PlaybookVersion(TenantOwned, Base):
    """What a tenant's playbook was in one version; without a source it was deleted then."""

    __tablename__ = "playbook_versions"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    playbook_id: Mapped[str] = mapped_column(Text, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str | None] = mapped_column(Text)
    changed_by: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=text("now()"))


class PlaybookSetVersion(TenantOwned, Base):
    """Counts the changes of a tenant's playbooks."""

    __tablename__ = "playbook_sets"

    tenant_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
