"""A mail server on loopback that asks for STARTTLS and a password, and keeps what it is handed."""

import asyncio
import datetime as dt
import email
import email.policy
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pydantic import SecretStr

from fettle.kernel.settings import Settings

USER, PASSWORD = "fettle", "the/mail:password@1"


@dataclass
class Mailbox:
    """What a mail server was handed, and how it answers.

    Attributes:
        refuse: What it answers to a recipient instead of taking the mail.
        ciphers: How each mail's connection was encrypted; None where it was not.
        sign_ins: By which mechanism a password was sent, each time.
    """

    mails: list[EmailMessage] = field(default_factory=list)
    envelopes: list[tuple[str, list[str]]] = field(default_factory=list)
    ciphers: list[object] = field(default_factory=list)
    sign_ins: list[str] = field(default_factory=list)
    refuse: str | None = None
    port: int = 0
    ca_file: Path = Path()

    def url(self, *, user: str = USER, password: str = PASSWORD, options: str = "starttls=required") -> str:
        """Return the setting by which this server is used."""
        return (
            f"smtp://{quote(user, safe='')}:{quote(password, safe='')}@127.0.0.1:{self.port}"
            f"?{options}&cafile={self.ca_file}"
        )

    def settings(self, settings: Settings) -> Settings:
        """Return settings by which an installation sends its mails here."""
        return settings.model_copy(
            update={
                "smtp_url": SecretStr(self.url()),
                "smtp_from": "fettle@example.org",
                "public_url": "https://fettle.example.org",
            }
        )

    def to(self, address: str) -> list[EmailMessage]:
        """Return the mails to an address, oldest first."""
        found = zip(self.mails, self.envelopes, strict=True)
        return [mail for mail, (_, recipients) in found if recipients == [address]]

    async def handle_RCPT(self, _server, _session, envelope, address, _options):  # noqa: N802 - aiosmtpd's name
        if self.refuse is not None:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server, session, envelope):  # noqa: N802 - aiosmtpd's name
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        self.ciphers.append(session.ssl)
        return "250 OK"


@asynccontextmanager
async def mail_server(folder: Path, *, tls: bool = True) -> AsyncIterator[Mailbox]:
    """Run a mail server; without `tls` it offers no STARTTLS, and takes a password in the clear."""
    box = Mailbox(ca_file=folder / "mail.pem")
    key_file = folder / "mail.key"
    _certificate(box.ca_file, key_file)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(box.ca_file, key_file)

    def check(*asked: Any) -> AuthResult:
        box.sign_ins.append(asked[3])
        return _check(*asked)

    def serve() -> SMTP:
        return SMTP(
            box,
            hostname="mail.test",
            enable_SMTPUTF8=False,
            tls_context=context if tls else None,
            require_starttls=tls,
            auth_required=True,
            auth_require_tls=tls,
            authenticator=check,
            loop=asyncio.get_running_loop(),
        )

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


def link_in(mail: EmailMessage) -> str:
    """Return the one link of a mail, which its text and its HTML have in common."""
    text = mail.get_body(("plain",)).get_content()
    [link] = re.findall(r"https?://\S+", text)
    assert link in mail.get_body(("html",)).get_content()
    return link


def token_in(mail: EmailMessage) -> str:
    """Return the token of a mail's link."""
    return link_in(mail).partition("#token=")[2]


def _check(_server, _session, _envelope, mechanism, data) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=good, handled=mechanism not in {"LOGIN", "PLAIN"} or good)


def _certificate(cert_file: Path, key_file: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.test")])
    now = dt.datetime.now(dt.UTC)
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("mail.test")]
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
