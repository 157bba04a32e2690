"""Mail to people: made so that no text of ours or of others can add a header, sent over TLS or not at all."""

import re
import ssl
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

import aiosmtplib

from fettle.kernel.clock import utcnow
from fettle.kernel.mail_server import MailServer, read_mail_server
from fettle.kernel.settings import Settings, SettingsError

ADDRESS_PATTERN: Final = (
    r"^[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*"
    r"@[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*$"
)
"""An address that mail is sent to: a dot-atom at a host name, and none of the older forms that hide others."""

_ADDRESS: Final = re.compile(ADDRESS_PATTERN)
_LONGEST_LOCAL_PART: Final = 64
_LONGEST_ADDRESS: Final = 254
_TIMEOUT_SECONDS: Final = 20.0
_PERMANENT: Final = range(550, 560)


class MailRefused(Exception):  # noqa: N818 - a verdict of the mail server
    """The mail was not taken.

    Attributes:
        reason: In a few words, without an address and without what the server said.
        permanent: Whether another attempt would end the same.
    """

    def __init__(self, reason: str, *, permanent: bool) -> None:
        super().__init__(reason)
        self.reason = reason
        self.permanent = permanent


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail.

    Attributes:
        to: The address.
        message_id: The same at each attempt, so that a mailbox can tell a repeated mail.
        text: What it says, as plain text.
        html: The same as HTML.
    """

    to: str
    subject: str
    text: str
    html: str
    message_id: str


def is_address(text: str) -> bool:
    """Tell whether a text is an address that mail can be sent to."""
    local = text.partition("@")[0]
    fits = len(text) <= _LONGEST_ADDRESS and len(local) <= _LONGEST_LOCAL_PART
    return fits and _ADDRESS.fullmatch(text) is not None


def compose(settings: Settings, mail: Mail) -> EmailMessage:
    """Return a mail as it is sent; a text that would break out of its header is refused.

    Raises:
        MailRefused: The recipient is no address, or the subject has more than one line.
    """
    if not is_address(mail.to):
        raise MailRefused("the recipient is no address", permanent=True)
    message = EmailMessage(policy=SMTP)
    local, _, domain = mail.to.rpartition("@")
    try:
        message["From"] = settings.smtp_from or "fettle@localhost"
        message["To"] = Address(username=local, domain=domain)
        message["Subject"] = mail.subject
    except ValueError:
        raise MailRefused("a header would not be one line", permanent=True) from None
    message["Date"] = format_datetime(utcnow())
    message["Message-ID"] = f"<{mail.message_id}@fettle>"
    # Answers of machines, such as that somebody is away, are of no use to a machine.
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    return message


async def send(settings: Settings, mail: Mail) -> None:
    """Hand a mail to the mail server.

    Raises:
        MailRefused: It was not taken.
        SettingsError: Mail is not set up.
    """
    if settings.smtp_url is None:
        raise SettingsError("FETTLE_SMTP_URL: is not set, so no mail can be sent.")
    server = read_mail_server(settings.smtp_url.get_secret_value())
    message = compose(settings, mail)
    client = aiosmtplib.SMTP(
        hostname=server.host,
        port=server.port,
        use_tls=server.tls == "smtps",
        start_tls={"required": True, "offered": None}.get(server.tls, False),
        tls_context=_trust(server),
        timeout=_TIMEOUT_SECONDS,
    )
    try:
        async with client:
            if server.username is not None:
                await client.login(server.username, server.password or "")
            await client.send_message(message, recipients=[mail.to])
    except aiosmtplib.SMTPException as error:
        raise _refusal(error) from None
    except (OSError, ValueError) as error:
        raise MailRefused(
            f"the mail server cannot be reached: {type(error).__name__}", permanent=False
        ) from None


def _trust(server: MailServer) -> ssl.SSLContext | None:
    if server.tls == "none":
        return None
    context = ssl.create_default_context(cafile=server.ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _refusal(error: aiosmtplib.SMTPException) -> MailRefused:
    """Return what an error means, in our own words: a server's own may hold the address."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [refused.code for refused in error.recipients]
        permanent = bool(codes) and all(code in _PERMANENT for code in codes)
        return MailRefused(f"the mail server refused the recipient: {codes[:1]}", permanent=permanent)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError):
        return MailRefused("the mail server refused our credentials", permanent=False)
    code = f" {error.code}" if isinstance(error, aiosmtplib.SMTPResponseException) else ""
    return MailRefused(f"the mail server failed: {type(error).__name__}{code}", permanent=False)
