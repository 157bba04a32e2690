"""Amazon SNS on loopback: a key and a certificate of its own, messages that it signs, and what it was asked for."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.egress import Egress

TOPIC = "arn:aws:sns:eu-central-1:123456789012:alarms"
HOST = "https://sns.eu-central-1.amazonaws.com"
CERTIFICATE = f"{HOST}/SimpleNotificationService-{'0a' * 16}.pem"
_FIELDS = ("Message", "MessageId", "SubscribeURL", "Subject", "Timestamp", "Token", "TopicArn", "Type")


@dataclass
class Amazon:
    """What signs, and answers.

    Attributes:
        asked: The path and query of each request.
        common_name: Of the certificate that it serves.
        meanwhile: What happens while it thinks about a confirmation.
    """

    key: rsa.RSAPrivateKey = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    asked: list[str] = field(default_factory=list)
    common_name: str = "sns.amazonaws.com"
    port: int = 0
    meanwhile: Callable[[], Awaitable[None]] | None = None

    def message(self, kind="Notification", **fields: Any) -> dict[str, Any]:
        """Return a message as Amazon would send it, with fields replaced before it is signed."""
        said: dict[str, Any] = {
            "Type": kind,
            "MessageId": str(uuid4()),
            "TopicArn": TOPIC,
            "Subject": "Backup failed",
            "Message": "The backup of db-1 failed.",
            "Timestamp": rfc3339(utcnow()),
            "SignatureVersion": "2",
            "SigningCertURL": CERTIFICATE,
        }
        if kind != "Notification":
            del said["Subject"]
            said["Token"] = "a" * 64
            said["SubscribeURL"] = f"{HOST}/?Action=ConfirmSubscription&TopicArn={TOPIC}&Token={'a' * 64}"
        said |= fields
        said = {name: value for name, value in said.items() if value is not None}
        signed = "".join(f"{name}\n{said[name]}\n" for name in _FIELDS if name in said).encode()
        algorithm = hashes.SHA1() if said.get("SignatureVersion") == "1" else hashes.SHA256()
        said["Signature"] = base64.b64encode(self.key.sign(signed, padding.PKCS1v15(), algorithm)).decode()
        return said

    def pem(self) -> bytes:
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.common_name)])
        now = datetime.now(UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self.key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .sign(self.key, hashes.SHA256())
        )
        return made.public_bytes(serialization.Encoding.PEM)

    async def answer(self, reader, writer):
        line = (await reader.readline()).decode()
        while (await reader.readline()).strip():
            pass
        self.asked.append(line.split(" ")[1])
        if "ConfirmSubscription" in line and self.meanwhile is not None:
            await self.meanwhile()
        body = self.pem() if ".pem" in line else b"<ConfirmSubscriptionResponse/>"
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()


class ToLoopback(Egress):
    """The way out, with Amazon's hosts on loopback; everything else goes where it would."""

    def __init__(self, settings, amazon: Amazon) -> None:
        super().__init__(settings.model_copy(update={"egress_allow": [f"127.0.0.1/32:{amazon.port}"]}))
        self._amazon = amazon

    async def send(self, outgoing, *, tenant_id):
        parts = urlsplit(outgoing.url)
        assert parts.netloc.endswith(".amazonaws.com"), outgoing.url
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        there = replace(outgoing, url=f"http://127.0.0.1:{self._amazon.port}{target}")
        reply = await super().send(there, tenant_id=tenant_id)
        place = replace(reply.place, scheme="https", host=parts.netloc, port=443, address=None)
        return replace(reply, place=place)


@asynccontextmanager
async def running_amazon(platform):
    """Let the platform reach an Amazon of its own."""
    amazon = Amazon()
    server = await asyncio.start_server(amazon.answer, "127.0.0.1", 0)
    amazon.port = server.sockets[0].getsockname()[1]
    before = platform.parts.get("kernel.egress")
    platform.parts["kernel.egress"] = ToLoopback(platform.settings, amazon)
    try:
        yield amazon
    finally:
        platform.parts.pop("kernel.egress")
        platform.parts.pop("hooks.sns_certificates", None)
        if before is not None:
            platform.parts["kernel.egress"] = before
        server.close()
        await server.wait_closed()


def as_text(message: dict[str, Any]) -> bytes:
    return json.dumps(message, indent=2).encode()
