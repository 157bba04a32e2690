"""Real servers on loopback: DNS whose answers change, HTTP and TLS that note what reached them."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
import struct
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fettle.kernel.egress_rules import Address

A, AAAA = 1, 28


class NameServer(asyncio.DatagramProtocol):
    """Answers each question for a name with the next of its scripted answers; the last one stays."""

    def __init__(self) -> None:
        self.script: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        name, kind, end = _question(data)
        if kind == A:
            self.asked.append(name)
        answers = self.script.get(name, [[]])
        turn = max(0, min(self.asked.count(name), len(answers)) - 1)
        records = [
            address
            for address in map(ipaddress.ip_address, answers[turn])
            if address.version == {A: 4, AAAA: 6}[kind]
        ]
        header = data[:2] + struct.pack(">HHHHH", 0x8180, 1, len(records), 0, 0)
        body = b"".join(
            b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 0, len(record.packed)) + record.packed
            for record in records
        )
        self._transport.sendto(header + data[12:end] + body, addr)


def _question(data: bytes) -> tuple[str, int, int]:
    labels, at = [], 12
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode())
        at += 1 + length
    return ".".join(labels), struct.unpack(">H", data[at + 1 : at + 3])[0], at + 5


class DnsResolver:
    """Asks a name server over UDP, for both kinds of addresses, with nothing remembered."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def resolve(self, name: str) -> Sequence[Address]:
        return [*await self._ask(name, A), *await self._ask(name, AAAA)]

    async def _ask(self, name: str, kind: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[bytes] = loop.create_future()

        class Once(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                if not answered.done():
                    answered.set_result(data)

        transport, _ = await loop.create_datagram_endpoint(Once, remote_addr=("127.0.0.1", self._port))
        labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
        question = labels + b"\x00" + struct.pack(">HH", kind, 1)
        transport.sendto(struct.pack(">HHHHHH", 7, 0x0100, 1, 0, 0, 0) + question)
        async with asyncio.timeout(60):
            data = await answered
        transport.close()
        at, found = 12 + len(question), []
        for _ in range(struct.unpack(">H", data[6:8])[0]):
            size = struct.unpack(">H", data[at + 10 : at + 12])[0]
            found.append(ipaddress.ip_address(data[at + 12 : at + 12 + size]))
            at += 12 + size
        return found


@contextlib.asynccontextmanager
async def name_server() -> AsyncIterator[NameServer]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", 0))
    yield server
    transport.close()


@dataclass
class Seen:
    """One request, as it arrived."""

    line: str
    headers: dict[str, str]
    body: bytes
    address: str
    client: str | None
    sni: str | None = None


@dataclass
class WebServer:
    """Answers by path, and notes what it was asked."""

    port: int = 0
    seen: list[Seen] = field(default_factory=list)
    answers: dict[str, bytes] = field(default_factory=dict)
    connections: int = 0
    names: list[str | None] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await self._answer(reader, writer)
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in head[1:] if line)
        }
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        tls = writer.get_extra_info("peercert") or {}
        subject = dict(pair for part in tls.get("subject", ()) for pair in part)
        self.seen.append(
            Seen(head[0], headers, body, writer.get_extra_info("sockname")[0], subject.get("commonName"))
        )
        answer = self.answers.get(head[0].split(" ")[1].partition("?")[0])
        if answer == b"wait":
            await reader.read()  # until the other side gives up
            return
        if answer is not None and answer != b"drop":
            writer.write(answer)
            await writer.drain()


def answer(status: str = "200 OK", body: bytes = b'{"ok":true}', **headers: str) -> bytes:
    """Return an answer's bytes."""
    given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


@contextlib.asynccontextmanager
async def web_server(
    *addresses: str, tls: Callable[[WebServer], ssl.SSLContext] | None = None
) -> AsyncIterator[WebServer]:
    """Serve on one port of several loopback addresses."""
    web = WebServer()
    context = tls(web) if tls is not None else None
    async with contextlib.AsyncExitStack() as stack:
        for address in addresses or ("127.0.0.1",):
            server = await asyncio.start_server(web.serve, address, web.port, ssl=context)
            web.port = server.sockets[0].getsockname()[1]
            stack.push_async_callback(_close, server)
        yield web


async def _close(server: asyncio.Server) -> None:
    server.close()


@dataclass
class Authority:
    """A certificate authority of the test's own."""

    folder: Path
    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, folder: Path) -> "Authority":
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Test authority")])
        certificate = _builder(name, name, key).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), True
        )
        usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
        signed = certificate.add_extension(usage, True).sign(key, hashes.SHA256())
        return cls(folder, key, signed)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def issue(self, common_name: str, *names: str) -> tuple[str, str]:
        """Return a certificate and its key, both PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
        builder = _builder(subject, self.certificate.subject, key)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False
            )
        signed = builder.sign(self.key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return signed.public_bytes(serialization.Encoding.PEM).decode(), private.decode()

    def server_tls(self, *names: str, wants_client: bool = False) -> Callable[[WebServer], ssl.SSLContext]:
        """Return how to make a server's context; it notes the names that clients ask for."""

        def context_for(web: WebServer) -> ssl.SSLContext:
            certificate, key = self.issue(names[0], *names)
            file = self.folder / f"{names[0]}.pem"
            file.write_text(certificate + key)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            if wants_client:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(cadata=self.pem)
            context.sni_callback = lambda _socket, name, _context: web.names.append(name)
            return context

        return context_for


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    now = dt.datetime.now(dt.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(hours=1))
    )
