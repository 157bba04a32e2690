"""Channels: the one interface behind which messages leave, and the kinds that there are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import UUID

from fettle.healing.escalation.content import Notice
from fettle.kernel.platform import Platform
from fettle.tools.registry import ToolError
from fettle.tools.vault import Secrets

SMS_PART: Final = "escalation.sms"
"""Where in `Platform.parts` the installation's `SmsProvider` stands, once the first text message left."""


class DeliveryFailed(Exception):  # noqa: N818 - it is an answer
    """A message was not taken.

    Attributes:
        code: Stable word.
        detail: What happened, without an address's path, a secret or what the other side said.
        again: Whether another attempt may end better.
        may_have_arrived: Whether nobody can say that it did not.
        retry_after_seconds: How long the other side asked to be left alone.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        again: bool,
        may_have_arrived: bool = False,
        retry_after_seconds: float | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.again = again
        self.may_have_arrived = may_have_arrived
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Recipient:
    """A person who is meant.

    Attributes:
        contact: How channels reach them: ``slack``, ``phone``, ``pagerduty``.
    """

    user_id: UUID
    name: str
    email: str
    contact: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sending:
    """One message on its way.

    Attributes:
        notice: What it says.
        settings: Of the channel: names of secrets, never their values.
        recipient: Whoever is meant, where somebody is.
    """

    platform: Platform
    tenant_id: UUID
    notice: Notice
    settings: Mapping[str, Any]
    recipient: Recipient | None = None

    async def secret(self, name: str) -> str:
        """Return what a setting names.

        Raises:
            DeliveryFailed: There is no such secret.
        """
        try:
            return await Secrets(self.platform, self.tenant_id).read(str(self.settings[name]))
        except ToolError as error:
            raise DeliveryFailed("no_secret", error.message, again=False) from None


class Channel(Protocol):
    """One kind of channel."""

    async def send(self, sending: Sending) -> Mapping[str, Any]:
        """Send a message once.

        Returns:
            What the other side calls it, to be shown in the log.

        Raises:
            DeliveryFailed: It was not taken.
        """


class SmsProvider(Protocol):
    """Sends text messages; an installation names its own in `FETTLE_SMS_PROVIDER`."""

    async def send(self, *, number: str, text: str, idempotency_key: str) -> str:
        """Send a text message and return the provider's id of it.

        Raises:
            DeliveryFailed: It was not taken.
        """
