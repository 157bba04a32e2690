"""The API's words for identity."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fettle.identity.passwords import MAX_CHARS
from fettle.kernel.http.idempotency import OneTimeAnswer

Email = Annotated[str, StringConstraints(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254, strip_whitespace=True)]
Text = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
Password = Annotated[str, StringConstraints(min_length=1, max_length=MAX_CHARS)]
Id = Annotated[UUID, Field(examples=["01939f6e-7a00-7000-8000-000000000001"])]


class Input(BaseModel):
    """What is sent to us: a field that is not listed is refused, so that none is set by surprise."""

    model_config = ConfigDict(extra="forbid")


class Output(BaseModel):
    """What we send."""

    model_config = ConfigDict(from_attributes=True)


class Credentials(Input):
    """An account's address and password."""

    email: Email = Field(examples=["owner@localhost"])
    password: Password = Field(examples=["correct-horse-battery-staple"])


class AccessToken(Output, OneTimeAnswer):
    """What a sign-in gives; the refresh token is in a cookie that scripts cannot read."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105 - the scheme's name
    expires_in: int = Field(description="Seconds until it must be refreshed.", examples=[900])
    must_change_password: bool


class PasswordChange(Input):
    """A person's wish for another password."""

    current_password: Password
    new_password: Annotated[str, StringConstraints(max_length=1_000)] = Field(
        description="12 to 128 characters.", examples=["several unrelated words"]
    )


class TenantOut(Output):
    """A tenant."""

    id: Id
    name: str = Field(examples=["Alder Clinic"])
    slug: str = Field(examples=["alder-clinic"])
    created_at: datetime


class TenantIn(Input):
    """A tenant to be."""

    name: Text = Field(examples=["Alder Clinic"])
    slug: Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")] = Field(
        examples=["alder-clinic"]
    )


class TenantOfMine(Output):
    """A tenant and the caller's role in it."""

    id: Id
    name: str
    slug: str
    role: str | None = Field(description="None for an API key, whose scopes stand in its place.")


class Me(Output):
    """The caller."""

    id: Id
    kind: Literal["user", "api_key"]
    email: str | None
    name: str
    is_platform_admin: bool
    must_change_password: bool
    tenants: list[TenantOfMine]
    tenant_id: UUID | None = Field(description="The tenant that the request is about, where one is chosen.")
    permissions: list[str] = Field(description="In that tenant; empty where none is chosen.")





class MemberOut(Output):
    """A member of the tenant."""

    id: Id
    email: str
    name: str
    role: str
    since: datetime


class MemberIn(Input):
    """A member to be."""

    email: Email = Field(examples=["ann@example.org"])
    name: Text = Field(examples=["Ann Example"])
    role: Text = Field(examples=["operator"])


class MemberAdded(MemberOut, OneTimeAnswer):
    """A new member; the one-time password of a new account is shown here and never again."""

    one_time_password: str | None


class RoleChange(Input):
    """Another role for a member."""

    role: Text = Field(examples=["analyst"])


class RoleOut(Output):
    """A role."""

    name: str
    description: str
    permissions: list[str]


class PermissionOut(Output):
    """A permission."""

    name: str
    description: str


class RolesAndPermissions(Output):
    """Everything that may be done, and by whom."""

    roles: list[RoleOut]
    permissions: list[PermissionOut]
