"""Tables of signing in: second factors, passkeys, unfinished sign-ins, tenants' rules for them, sign-on."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Computed, DateTime, ForeignKey, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")


class TotpFactor(Base):
    """The secret that a person's authenticator app shares with us; good once it was confirmed by a code."""

    __tablename__ = "totp_factors"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    sealed_secret: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    confirmed_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    last_step: Mapped[int] = mapped_column(server_default=text("0"))


class RecoveryCode(Base):
    """A code for the day when the device is lost; a used one is deleted."""

    __tablename__ = "recovery_codes"

    code_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class SignInChallenge(Base):
    """A sign-in whose first half is done; what it proved so far stands in `methods`."""

    __tablename__ = "sign_in_challenges"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    methods: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    within_tenant: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)


class Passkey(Base):
    """A credential of a person's authenticator: we hold its public key alone."""

    __tablename__ = "passkeys"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    credential_id: Mapped[bytes] = mapped_column(LargeBinary)
    public_key: Mapped[bytes] = mapped_column(LargeBinary)
    sign_count: Mapped[int] = mapped_column(BigInteger)
    name: Mapped[str]
    transports: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    last_used_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class PasskeyChallenge(Base):
    """Random bytes that an authenticator is to sign, once; deleted as they are read."""

    __tablename__ = "passkey_challenges"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    challenge: Mapped[bytes] = mapped_column(LargeBinary)
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    registers: Mapped[bool]
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)


class SignInPolicy(TenantOwned, Base):
    """How a tenant lets people in; a tenant without a row has the defaults."""

    __tablename__ = "sign_in_policies"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    require_mfa: Mapped[bool]
    session_hours: Mapped[int | None]
    allowed_sign_in: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class IdentityProvider(TenantOwned, Base):
    """A tenant's OpenID provider, and what its claims mean here."""

    __tablename__ = "identity_providers"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    issuer: Mapped[str]
    client_id: Mapped[str]
    sealed_client_secret: Mapped[bytes | None] = mapped_column(LargeBinary, deferred=True)
    has_client_secret: Mapped[bool] = mapped_column(Computed("sealed_client_secret IS NOT NULL"))
    scopes: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    role_claim: Mapped[str]
    role_mapping: Mapped[dict[str, Any]] = mapped_column(JSONB)
    default_role: Mapped[str | None]
    email_domains: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    confirmed_domains: Mapped[list[str]] = mapped_column(ARRAY(TEXT), server_default=text("'{}'"))
    counts_as_second_factor: Mapped[bool] = mapped_column(server_default=text("false"))
    enabled: Mapped[bool] = mapped_column(server_default=text("true"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class IdentityLink(TenantOwned, Base):
    """That a provider's subject is an account of ours."""

    __tablename__ = "identity_links"

    provider_id: Mapped[UUID] = mapped_column(ForeignKey("identity_providers.id"), primary_key=True)
    subject: Mapped[str] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"))
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    last_used_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class SignOnState(Base):
    """A sign-in that is away at a provider; deleted as it comes back."""

    __tablename__ = "sign_on_states"

    state_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    browser_hash: Mapped[bytes] = mapped_column(LargeBinary)
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("identity_providers.id"))
    nonce: Mapped[str]
    sealed_verifier: Mapped[bytes] = mapped_column(LargeBinary)
    return_to: Mapped[str]
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)
