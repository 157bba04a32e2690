"""The API's words for identity providers."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from fettle.identity.schemas import Id, Input, Output

Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Issuer = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
ClientId = Annotated[str, StringConstraints(min_length=1, max_length=200)]
ClientSecret = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Scope = Annotated[str, StringConstraints(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,100}$")]
Claim = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Role = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Domain = Annotated[
    str,
    StringConstraints(
        pattern=r"^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)+$",
        max_length=253,
    ),
]
Scopes = Annotated[list[Scope], Field(max_length=20)]
Mapping = Annotated[dict[Claim, Role], Field(max_length=100)]
Domains = Annotated[list[Domain], Field(max_length=50)]

_ISSUER = "https://sign-on.example.com/realms/alder"
_ROLES = {"fettle-admins": "tenant_admin", "fettle-operators": "operator"}


class ProviderIn(Input):
    """An identity provider to be."""

    name: Name = Field(examples=["Alder sign-on"])
    issuer: Issuer = Field(description="To the letter as the provider names itself.", examples=[_ISSUER])
    client_id: ClientId = Field(examples=["fettle"])
    client_secret: ClientSecret | None = Field(None, description="Kept sealed, and never shown again.")
    scopes: Scopes = Field(["openid", "profile", "email"])
    role_claim: Claim | None = Field(
        None,
        description="Dotted path; realm_access.roles where it is not said.",
        examples=["realm_access.roles"],
    )
    role_mapping: Mapping = Field({}, description="Value of the claim to role.", examples=[_ROLES])
    default_role: Role | None = Field(
        None, description="For whom no value of the claim is mapped; without one they are not let in."
    )
    email_domains: Domains = Field([], examples=[["alder.example"]])
    counts_as_second_factor: bool = Field(
        False, description="The provider asks everybody for a second factor itself."
    )
    enabled: bool = True


class ProviderChange(Input):
    """Other values for an identity provider; what is not sent stays."""

    name: Name | None = Field(None, examples=["Alder sign-on"])
    issuer: Issuer | None = Field(None, examples=[_ISSUER])
    client_id: ClientId | None = None
    client_secret: ClientSecret | None = Field(None, description="null removes it.")
    scopes: Scopes | None = None
    role_claim: Claim | None = None
    role_mapping: Mapping | None = None
    default_role: Role | None = None
    email_domains: Domains | None = None
    counts_as_second_factor: bool | None = None
    enabled: bool | None = None


class ProviderOut(Output):
    """An identity provider, without its secret."""

    id: Id
    name: str
    issuer: str
    client_id: str
    has_client_secret: bool
    scopes: list[str]
    role_claim: str
    role_mapping: dict[str, str]
    default_role: str | None
    email_domains: list[str]
    confirmed_domains: list[str] = Field(
        description="Those that a platform administrator has confirmed; the provider vouches for these alone."
    )
    counts_as_second_factor: bool
    enabled: bool
    created_at: datetime
    updated_at: datetime


class Offered(Output):
    """A provider that vouches for an address's domain."""

    id: UUID
    name: str
    start_href: str = Field(description="Where the browser goes; add return_to.")
