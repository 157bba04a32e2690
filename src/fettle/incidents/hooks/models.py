"""Tables of webhooks in: sources, their secrets and mappings, what was received, and wishes to send."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.dialects.postgresql import UUID as SQL_UUID
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")
_NONE = text("0")


class HookSource(TenantOwned, Base):
    """A program that sends to an address of its own."""

    __tablename__ = "hook_sources"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    origin: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    authentication: Mapped[str] = mapped_column(Text)
    format: Mapped[str] = mapped_column(Text)
    topic: Mapped[str | None] = mapped_column(Text)
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    keep_days: Mapped[int] = mapped_column(server_default=text("7"))
    mapping: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    mapping_version: Mapped[int] = mapped_column(server_default=_NONE)
    version: Mapped[int] = mapped_column(server_default=text("1"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_by: Mapped[str] = mapped_column(Text)


class HookFigures(TenantOwned, Base):
    """What came of what was sent to a source."""

    __tablename__ = "hook_figures"

    source_id: Mapped[UUID] = mapped_column(primary_key=True)
    accepted: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    passed_over: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    repeated: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    refused: Mapped[int] = mapped_column(BigInteger, server_default=_NONE)
    received_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    accepted_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    refused_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    refusal: Mapped[str | None] = mapped_column(Text)


class HookSecret(TenantOwned, Base):
    """What senders of a source prove themselves with: a token's digest, or a sealed secret."""

    __tablename__ = "hook_secrets"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID]
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary)
    sealed: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    created_by: Mapped[str] = mapped_column(Text)
    ends_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class HookMapping(TenantOwned, Base):
    """One version of a source's own mapping; None is the pack's."""

    __tablename__ = "hook_mappings"

    source_id: Mapped[UUID] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    mapping: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))
    replaces: Mapped[int]
    changed_by: Mapped[str] = mapped_column(Text)
    changed_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class HookPayload(TenantOwned, Base):
    """One of the last things received, redacted."""

    __tablename__ = "hook_payloads"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID]
    received_at: Mapped[datetime] = mapped_column(_MOMENT)
    outcome: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    size: Mapped[int]
    headers: Mapped[dict[str, str]] = mapped_column(JSONB)
    payload: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    exceptions: Mapped[list[UUID]] = mapped_column(ARRAY(SQL_UUID))


class HookSubscription(TenantOwned, Base):
    """A topic's wish to send here, which waits for a person."""

    __tablename__ = "hook_subscriptions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    source_id: Mapped[UUID]
    topic: Mapped[str] = mapped_column(Text)
    sealed_address: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(Text, server_default=text("'held'"))
    detail: Mapped[str | None] = mapped_column(Text)
    asked_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    decided_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    decided_by: Mapped[str | None] = mapped_column(Text)
