"""The API's words for people: oneself, partners, tenants, members, roles, accounts."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from fettle.identity.roles import NAME_PATTERN
from fettle.identity.schemas import Email, Id, Input, Output, Text
from fettle.kernel.http.idempotency import OneTimeAnswer

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
PersonName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=200, strip_whitespace=True, pattern=r"^[^\x00-\x1f\x7f]*$"),
]
"""A person's name, which is also written into headers of mail: one line of text."""


class TenantOfMine(Output):
    """A tenant and the caller's role in it."""

    id: Id
    name: str
    slug: str
    role: str | None = Field(description="None for an API key, whose scopes stand in its place.")
    via: Literal["tenant", "partner", "platform"] = Field(
        description="A membership of the tenant, of the partner that looks after it, or neither: a platform "
        "administrator."
    )
    partner_id: UUID | None = Field(description="The partner that looks after it.")


class PartnerOfMine(Output):
    """A partner and the caller's role in each of its tenants."""

    id: Id
    name: str
    slug: str
    role: str


class Me(Output):
    """The caller."""

    id: Id
    kind: Literal["user", "api_key"]
    email: str | None
    name: str
    is_platform_admin: bool
    must_change_password: bool
    tenants: list[TenantOfMine] = Field(
        description="The first 200 by name; GET /me/tenants lists and searches all."
    )
    more_tenants: bool = Field(description="Whether there are more of them.")
    partners: list[PartnerOfMine]
    tenant_id: UUID | None = Field(description="The tenant that the request is about, where one is chosen.")
    permissions: list[str] = Field(description="In that tenant; empty where none is chosen.")
    refused_because: str | None = Field(
        None,
        description="Why that tenant does not let this sign-in in: second-factor-required, sign-in-way-refused.",
    )


class MyName(Input):
    """Another name for oneself."""

    name: PersonName = Field(examples=["Ann Example"])


class Myself(Output):
    """The caller's own account."""

    id: Id
    email: str
    name: str


class TenantOut(Output):
    """A tenant."""

    id: Id
    name: str = Field(examples=["Alder Clinic"])
    slug: str = Field(examples=["alder-clinic"])
    partner_id: UUID | None = Field(description="The partner that looks after it.")
    created_at: datetime


class TenantIn(Input):
    """A tenant to be."""

    name: Text = Field(examples=["Alder Clinic"])
    slug: Slug = Field(examples=["alder-clinic"])
    partner_id: UUID | None = Field(
        None, description="The partner that looks after it; the caller's own where they have but one."
    )


class TenantChange(Input):
    """What is to change of a tenant; what is left out stays."""

    name: Text = Field(None, validate_default=False, examples=["Alder Clinic"])  # type: ignore[assignment]  # absent
    partner_id: UUID | None = Field(
        None, description="The partner that looks after it, or null for none; for platform administrators."
    )

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("say what is to change: name or partner_id")
        return self


class PartnerOut(Output):
    """A partner: a service provider that looks after tenants."""

    id: Id
    name: str = Field(examples=["Northwind IT"])
    slug: str = Field(examples=["northwind-it"])
    created_at: datetime


class PartnerIn(Input):
    """A partner to be."""

    name: Text = Field(examples=["Northwind IT"])
    slug: Slug = Field(examples=["northwind-it"])


class PartnerChange(Input):
    """Another name for a partner."""

    name: Text = Field(examples=["Northwind IT"])


class PartnerMemberOut(Output):
    """A person of a partner, with one role in each of its tenants."""

    id: Id
    email: str
    name: str
    role: str
    disabled: bool = Field(description="Whether a platform administrator has disabled the account.")
    since: datetime


class MemberOut(Output):
    """Somebody who may act in the tenant."""

    id: Id
    email: str
    name: str
    role: str
    via: Literal["tenant", "partner"] = Field(
        description="`partner`: through the tenant's partner alone, which decides about them."
    )
    partner_role: str | None = Field(description="Their role at the tenant's partner, which holds here too.")
    disabled: bool = Field(description="Whether a platform administrator has disabled the account.")
    since: datetime


class MemberIn(Input):
    """A member to be."""

    email: Email = Field(examples=["ann@example.org"])
    name: PersonName = Field(examples=["Ann Example"])
    role: Text = Field(examples=["operator"])


class MemberAdded(MemberOut, OneTimeAnswer):
    """A new member; the one-time password of a new account is shown here and never again."""

    one_time_password: str | None


class PartnerMemberAdded(PartnerMemberOut, OneTimeAnswer):
    """A new person of a partner; the one-time password of a new account is shown here and never again."""

    one_time_password: str | None


class RoleChange(Input):
    """Another role for a member."""

    role: Text = Field(examples=["analyst"])


class RoleOut(Output):
    """A role."""

    name: str
    description: str
    permissions: list[str]
    builtin: bool = Field(description="Whether it is the same in every tenant and cannot be changed.")


class RoleDefinition(Input):
    """What a role of the tenant's own is to be."""

    description: Annotated[str, StringConstraints(max_length=500, strip_whitespace=True)] = Field(
        examples=["Works incidents at night."]
    )
    permissions: Annotated[list[Text], Field(max_length=100)] = Field(
        description="Of those that the caller has.", examples=[["incidents:read", "incidents:write"]]
    )


class RoleIn(RoleDefinition):
    """A role to be."""

    name: Annotated[str, StringConstraints(pattern=NAME_PATTERN)] = Field(examples=["night-shift"])


class PermissionOut(Output):
    """A permission."""

    name: str
    description: str


class RolesAndPermissions(Output):
    """Everything that may be done, and by whom."""

    roles: list[RoleOut]
    permissions: list[PermissionOut]


class AccountOut(Output):
    """An account of the installation."""

    id: Id
    email: str
    name: str
    is_platform_admin: bool
    disabled_at: datetime | None
    created_at: datetime


class AccountChange(Input):
    """Whether an account may be used."""

    disabled: bool = Field(examples=[True])
