"""The API's words for identity."""

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
