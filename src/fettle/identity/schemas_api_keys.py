"""The API's words for API keys."""

from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, Field

from fettle.identity.api_keys import KeyState
from fettle.identity.schemas import Id, Input, Output, Text
from fettle.kernel.http.idempotency import OneTimeAnswer

Scopes = Annotated[list[Text], Field(min_length=1, max_length=100)]


class ApiKeyOut(Output):
    """An API key, without its secret."""

    id: Id
    name: str = Field(examples=["monitoring"])
    prefix: str = Field(description="Public part by which the key is recognised.", examples=["k3v9x0q2m7ab"])
    scopes: list[str]
    state: KeyState = Field(description="expiring: it stops working within 14 days.")
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute.")
    rotated_at: datetime | None
    old_until: datetime | None = Field(description="Until when the secret before the last rotation works.")


class ApiKeyIn(Input):
    """An API key to be."""

    name: Text = Field(examples=["monitoring"])
    scopes: Scopes = Field(
        description="Permissions, of those that the caller has.", examples=[["exceptions:write"]]
    )
    expires_at: AwareDatetime | None = Field(None, examples=["2027-12-31T00:00:00Z"])


class ApiKeyChange(Input):
    """What is to be another in a key; what is left out stays."""

    name: Text | None = Field(None, examples=["monitoring"])
    scopes: Scopes | None = Field(None, examples=[["exceptions:write"]])


class ApiKeyRotation(Input):
    """How a key changes over to its new secret."""

    overlap_hours: Annotated[float, Field(ge=0, le=720)] = Field(
        24, description="So long the old secret works beside the new one."
    )


class ApiKeyIssued(ApiKeyOut, OneTimeAnswer):
    """A key with its new secret, which is shown here and never again."""

    secret: str
