"""The API's words for channels: by which ways people are told."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from fettle.healing.escalation.schemas import ChannelKind, Name, Number, Version
from fettle.kernel.http.bodies import Input
from fettle.kernel.mail import ADDRESS_PATTERN
from fettle.tools.secrets import NAME as SECRET_NAME

Secret = Annotated[
    str,
    StringConstraints(pattern=f"^{SECRET_NAME.pattern}$"),
    Field(description="Name of a secret of the tenant's."),
]
Url = Annotated[str, StringConstraints(min_length=8, max_length=2_000, pattern=r"^https?://[\x21-\x7e]+$")]
Address = Annotated[str, StringConstraints(max_length=254, pattern=ADDRESS_PATTERN)]


class SlackIn(Input):
    """A Slack incoming webhook; with the app's signing secret its buttons work."""

    kind: Literal["slack"]
    url_secret: Secret
    signing_secret: Secret | None = None


class TeamsIn(Input):
    """A Teams Workflows webhook."""

    kind: Literal["teams"]
    url_secret: Secret


class PagerDutyIn(Input):
    """PagerDuty's Events API v2; with the subscription's secret its webhooks stop the clock here."""

    kind: Literal["pagerduty"]
    routing_key_secret: Secret
    webhook_secret: Secret | None = None
    url: Url = "https://events.pagerduty.com/v2/enqueue"


class EmailIn(Input):
    """Mail by the installation's mail server, to whoever is meant or to these addresses."""

    kind: Literal["email"]
    to: Annotated[list[Address], Field(max_length=50)] = Field(default_factory=list)


class SendGridIn(Input):
    """Mail by SendGrid."""

    kind: Literal["sendgrid"]
    api_key_secret: Secret
    sender: Address
    to: Annotated[list[Address], Field(max_length=50)] = Field(default_factory=list)
    url: Url = "https://api.sendgrid.com/v3/mail/send"


class WebhookIn(Input):
    """Any receiver of Standard Webhooks."""

    kind: Literal["webhook"]
    url: Url
    signing_secret: Secret


class SmsIn(Input):
    """Text messages by the provider that the installation plugged in."""

    kind: Literal["sms"]
    to: Annotated[list[Number], Field(max_length=20)] = Field(default_factory=list)


ChannelSettings = Annotated[
    SlackIn | TeamsIn | PagerDutyIn | EmailIn | SendGridIn | WebhookIn | SmsIn, Field(discriminator="kind")
]


class ChannelBody(Input):
    """A way to tell people. Secrets are named, never written."""

    name: Name
    enabled: bool = True
    settings: ChannelSettings


class ChannelChange(ChannelBody):
    """A whole channel in the place of what it was; its kind stays."""

    version: Version


class ChannelOut(BaseModel):
    """A channel; its secrets are named."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    name: str
    kind: ChannelKind
    enabled: bool
    document: dict[str, Any]
    version: int
    updated_at: datetime
    updated_by: str
    callback: str | None = Field(None, description="Path that the other side sends back to, where it can.")
