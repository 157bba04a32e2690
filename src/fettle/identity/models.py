"""Tables of identity: tenants, accounts, memberships, credentials, sessions, audit."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")


class Tenant(Base):
    """One isolated customer; requests see only the row of their own."""

    __tablename__ = "tenants"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    slug: Mapped[str]
    partner_id: Mapped[UUID | None]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class User(Base):
    """An account of a person, who may belong to several tenants."""

    __tablename__ = "users"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    password_hash: Mapped[str]
    is_platform_admin: Mapped[bool] = mapped_column(server_default=text("false"))
    must_change_password: Mapped[bool] = mapped_column(server_default=text("false"))
    password_changed_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    disabled_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class Membership(TenantOwned, Base):
    """That a user belongs to a tenant, in one role."""

    __tablename__ = "memberships"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class ApiKey(TenantOwned, Base):
    """A program's credential in one tenant; only the hash of its secret is kept."""

    __tablename__ = "api_keys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    prefix: Mapped[str]
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary, deferred=True)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    created_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    expires_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    last_used_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    revoked_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    rotated_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    old_until: Mapped[datetime | None] = mapped_column(_MOMENT)
    warned_at: Mapped[datetime | None] = mapped_column(_MOMENT, deferred=True)


class RefreshSession(Base):
    """One sign-in: the family of all refresh tokens that descend from it."""

    __tablename__ = "refresh_sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    address: Mapped[str | None]
    agent: Mapped[str | None]
    methods: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    within_tenant: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    authenticated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    last_used_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)
    ended_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    ended_because: Mapped[str | None]


class RefreshToken(Base):
    """One refresh token of a family; a used one is kept, so that its return is noticed."""

    __tablename__ = "refresh_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    session_id: Mapped[UUID] = mapped_column(ForeignKey("refresh_sessions.id"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    used_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class LoginAttempt(Base):
    """How often an address was tried, whether it has an account or not."""

    __tablename__ = "login_attempts"

    subject: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    failures: Mapped[int] = mapped_column(server_default=text("0"))
    last_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    locked_until: Mapped[datetime | None] = mapped_column(_MOMENT)


class TokenKey(Base):
    """A key pair that signs access tokens; the private half is sealed."""

    __tablename__ = "token_keys"

    id: Mapped[str] = mapped_column(primary_key=True)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sealed_private_key: Mapped[bytes | None] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    superseded_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    retired_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class AuditRecord(Base):
    """Who changed what; rows are added and never changed. Without a tenant: about the installation."""

    __tablename__ = "audit_records"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    actor: Mapped[str]
    action: Mapped[str]
    target_type: Mapped[str]
    target_id: Mapped[str | None]
    before: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    after: Mapped[Any | None] = mapped_column(JSONB(none_as_null=True))
    address: Mapped[str | None]
    request_id: Mapped[str | None]
    occurred_at: Mapped[datetime] = mapped_column(_MOMENT)
