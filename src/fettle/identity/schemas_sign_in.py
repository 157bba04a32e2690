"""The API's words for signing in, second factors and sessions."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from fettle.identity.schemas import Id, Input, Output, Password
from fettle.kernel.http.idempotency import OneTimeAnswer

Code = Annotated[str, StringConstraints(min_length=1, max_length=40)]
ChallengeToken = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]


class ChallengeOut(Output, OneTimeAnswer):
    """The first half of a sign-in is done; the second is to follow."""

    mfa_required: Literal[True] = True
    challenge: str = Field(description="Goes with the second half.")
    methods: list[Literal["totp", "recovery_code", "passkey"]]
    expires_in: int = Field(description="Seconds until the sign-in must be begun anew.", examples=[300])


class ChallengeAnswer(Input):
    """The second half of a sign-in."""

    challenge: ChallengeToken = Field(examples=["ftc_example"])
    method: Literal["totp", "recovery_code"] = Field(examples=["totp"])
    code: Code = Field(examples=["123456"])


class Confirmation(Input):
    """That it is still the same person."""

    password: Password = Field(examples=["several unrelated words"])
    code: Code | None = Field(None, description="Needed where the account has a second factor.")


class PasswordOnly(Input):
    """The password once more, where the sign-in is not recent."""

    password: Password | None = Field(None, examples=["several unrelated words"])


class TotpEnrolment(Output, OneTimeAnswer):
    """A secret for an authenticator app, shown once."""

    secret: str = Field(description="Base32, for typing.")
    uri: str = Field(description="otpauth://, for a QR code.")


class TotpCode(Input):
    """A code of an authenticator app."""

    code: Code = Field(examples=["123456"])


class FactorsReset(Input):
    """The wish to take a member's second factors away."""

    reason: Annotated[str, StringConstraints(min_length=1, max_length=1_000, strip_whitespace=True)] = Field(
        description="Why; it stands in the audit.",
        examples=["The phone was stolen; called back and confirmed."],
    )


class TotpRemoval(Input):
    """A code of the app, or a recovery code; and the password where the sign-in is not recent."""

    code: Code = Field(examples=["123456"])
    password: Password | None = None


class RecoveryCodes(Output, OneTimeAnswer):
    """Recovery codes, shown once; each is good once."""

    recovery_codes: list[str]


class TotpOut(Output):
    """An authenticator app."""

    enabled_at: datetime


class PasskeyOut(Output):
    """A passkey."""

    id: Id
    name: str = Field(examples=["Laptop"])
    created_at: datetime
    last_used_at: datetime | None


class PasskeyQuestion(Input):
    """A wish to sign in with a passkey."""

    challenge: ChallengeToken | None = Field(None, description="Of a sign-in whose first half is done.")


class PasskeyOptions(Output, OneTimeAnswer):
    """What the browser is to sign."""

    challenge_id: Id
    public_key: dict[str, Any] = Field(
        description="For navigator.credentials, with binary members as Base64url (WebAuthn JSON)."
    )


class PasskeyAnswer(Input):
    """What the browser signed."""

    challenge_id: Id
    credential: dict[str, Any] = Field(
        description="PublicKeyCredential.toJSON()", examples=[{"id": "…", "rawId": "…", "type": "public-key"}]
    )
    challenge: ChallengeToken | None = Field(None, description="Of a sign-in whose first half is done.")


class PasskeyIn(Input):
    """A passkey to be."""

    name: Name = Field(examples=["Laptop"])
    challenge_id: Id
    credential: dict[str, Any] = Field(
        description="PublicKeyCredential.toJSON()", examples=[{"id": "…", "rawId": "…", "type": "public-key"}]
    )


class PasskeyName(Input):
    """Another name for a passkey."""

    name: Name = Field(examples=["Old laptop"])


class PasskeyAdded(PasskeyOut, OneTimeAnswer):
    """A new passkey; with recovery codes, shown once, where the account had none."""

    recovery_codes: list[str] | None


class SecurityOut(Output):
    """How the account signs in."""

    totp: TotpOut | None
    recovery_codes_left: int
    passkeys: list[PasskeyOut]
    password_changed_at: datetime
    has_password: bool = Field(description="An account that a provider made has none until it sets one.")


class SessionOut(Output):
    """A session that is not over."""

    id: Id
    address: str | None
    agent: str | None
    methods: list[str] = Field(description="What it proved: password, totp, recovery_code, passkey, oidc.")
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    current: bool


class SessionsEnded(Output):
    """How many sessions were ended."""

    ended: int


class SignInPolicyIn(Input):
    """How a tenant lets people in."""

    require_mfa: bool = Field(examples=[True])
    session_hours: Annotated[int, Field(ge=1, le=336)] | None = Field(
        None,
        description="A member's session lasts so long at most; 14 days where it is not said.",
        examples=[12],
    )
    allowed_sign_in: Annotated[
        list[Literal["password", "passkey", "oidc"]], Field(min_length=1, max_length=3)
    ] = Field(
        description="The first thing that a sign-in proves.", examples=[["password", "passkey", "oidc"]]
    )


class SignInPolicyOut(Output):
    """How a tenant lets people in."""

    require_mfa: bool
    session_hours: int | None
    allowed_sign_in: list[Literal["password", "passkey", "oidc"]]


class Jwks(Output):
    """The public keys that access tokens are signed with (RFC 7517)."""

    keys: list[dict[str, Any]]
