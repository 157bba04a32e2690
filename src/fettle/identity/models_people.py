"""Tables of partners, custom roles, invitations, and of the links and mails that people are sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey, LargeBinary, text
from sqlalchemy.dialects.postgresql import ARRAY, TEXT
from sqlalchemy.orm import Mapped, mapped_column

from fettle.kernel.tenancy import Base, TenantOwned

_MOMENT = DateTime(timezone=True)
_NOW = text("now()")


class Partner(Base):
    """A service provider that looks after many tenants."""

    __tablename__ = "partners"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    slug: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class PartnerMember(Base):
    """That a user works for a partner, in one role in every tenant of that partner."""

    __tablename__ = "partner_members"

    partner_id: Mapped[UUID] = mapped_column(ForeignKey("partners.id"), primary_key=True)
    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id"), primary_key=True)
    role: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class CustomRole(TenantOwned, Base):
    """A tenant's own named set of permissions."""

    __tablename__ = "custom_roles"

    tenant_id: Mapped[UUID] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    permissions: Mapped[list[str]] = mapped_column(ARRAY(TEXT))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    updated_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)


class Invitation(Base):
    """That a person was asked into a tenant, or into a partner; never both."""

    __tablename__ = "invitations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    tenant_id: Mapped[UUID | None] = mapped_column(ForeignKey("tenants.id"))
    partner_id: Mapped[UUID | None] = mapped_column(ForeignKey("partners.id"))
    email: Mapped[str]
    name: Mapped[str | None]
    role: Mapped[str]
    invited_by: Mapped[str]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)
    accepted_at: Mapped[datetime | None] = mapped_column(_MOMENT)
    revoked_at: Mapped[datetime | None] = mapped_column(_MOMENT)


class LinkToken(Base):
    """One link that was sent to somebody, known by the hash of its token; deleted when it is used."""

    __tablename__ = "link_tokens"

    token_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    invitation_id: Mapped[UUID | None] = mapped_column(ForeignKey("invitations.id"))
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id"))
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    expires_at: Mapped[datetime] = mapped_column(_MOMENT)


class OutgoingMail(Base):
    """A mail to be sent: what it is about, never what it says; nobody's where ``user_id`` is nobody's."""

    __tablename__ = "outgoing_mails"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    invitation_id: Mapped[UUID | None] = mapped_column(ForeignKey("invitations.id"))
    user_id: Mapped[UUID | None]
    state: Mapped[str] = mapped_column(server_default=text("'queued'"))
    attempts: Mapped[int] = mapped_column(server_default=text("0"))
    due_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    owner: Mapped[UUID | None]
    error: Mapped[str | None]
    created_at: Mapped[datetime] = mapped_column(_MOMENT, server_default=_NOW)
    finished_at: Mapped[datetime | None] = mapped_column(_MOMENT)
