"""The API's words for invitations and for passwords that were forgotten."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, Field, StringConstraints

from fettle.identity.schemas import Email, Id, Input, Output, Password, Text
from fettle.identity.schemas_people import PersonName
from fettle.kernel.http.idempotency import OneTimeAnswer
from fettle.kernel.mail import ADDRESS_PATTERN, is_address


def _mailable(email: str) -> str:
    if not is_address(email):
        raise ValueError("must be an address that mail can be sent to")
    return email


MailAddress = Annotated[
    str,
    StringConstraints(pattern=ADDRESS_PATTERN, max_length=254, strip_whitespace=True),
    AfterValidator(_mailable),
]
LinkSecret = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class InvitationIn(Input):
    """Somebody to be asked in."""

    email: MailAddress = Field(examples=["ann@example.org"])
    role: Text = Field(examples=["operator"])
    name: PersonName | None = Field(None, examples=["Ann Example"])


class InvitationOut(Output):
    """An invitation that waits for an answer."""

    id: Id
    email: str
    name: str | None
    role: str
    invited_by: str = Field(description="Who vouches for it: its maker, or who sent it again last.")
    created_at: datetime
    expires_at: datetime
    delivery: Literal["none", "queued", "sent", "failed"] = Field(description="How its last mail fared.")
    delivery_error: str | None


class InvitationIssued(InvitationOut, OneTimeAnswer):
    """An invitation just made or sent again; its link is shown here, once, only where nothing can be mailed."""

    mailed: bool = Field(description="Whether its link goes out by mail.")
    link: str | None = Field(description="To be handed over by other means, where no mail server is set up.")


class LinkToken(Input):
    """The token of an invitation's link."""

    token: LinkSecret = Field(examples=["fti_V2Zx0c7r"])


class InvitationLook(Output):
    """What an invitation is to."""

    tenant: str = Field(description="The name of the tenant, or of the partner.")
    email: str
    name: str | None
    role: str
    has_account: bool = Field(description="Its owner signs in first, or sends the password along.")


class InvitationAnswer(LinkToken):
    """The wish to accept an invitation."""

    name: PersonName | None = Field(None, description="Of a new account.", examples=["Ann Example"])
    password: Password | None = Field(
        None,
        description="A new account's, of 12 to 128 characters; or that of the account that the address has, where "
        "nobody is signed in.",
        examples=["several unrelated words"],
    )


class InvitationAccepted(Output):
    """An invitation that was accepted; sign in to go on."""

    tenant: str = Field(description="The name of the tenant, or of the partner.")
    email: str
    tenant_id: UUID | None
    partner_id: UUID | None
    account_created: bool


class ForgottenPassword(Input):
    """The address of an account whose password was forgotten."""

    email: Email = Field(examples=["ann@example.org"])


class ResetAccepted(Output):
    """What is answered whether the address has an account or not."""

    status: Literal["accepted"] = "accepted"


class PasswordReset(LinkToken):
    """A new password for the account that a link was sent to."""

    new_password: Annotated[str, StringConstraints(max_length=1_000)] = Field(
        description="12 to 128 characters.", examples=["several unrelated words"]
    )
