"""The port speaks TLS by itself: modern versions alone, the guards of plain requests, a certificate that may change."""

import asyncio
import dataclasses
import io
import ssl
import warnings
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from tests.certificates import OwnCertificate, make_certificate
from tests.kernel_http.serving import serve, speak
from tests.kernel_http.test_stack import application, changed
from websockets.asyncio.client import connect

from fettle.kernel.http import server_config, tls, wrap
from fettle.kernel.http.serving import GuardedProtocol, Server
from fettle.kernel.platform import Platform
from fettle.kernel.settings import Settings, SettingsError


@pytest.fixture
def own(tmp_path) -> OwnCertificate:
    return make_certificate(tmp_path)


@pytest_asyncio.fixture
async def address(platform: Platform, own: OwnCertificate) -> AsyncIterator[str]:
    here = changed(platform, **own.settings)
    async with serve(wrap(application(), here, log_stream=io.StringIO()), here.settings) as url:
        yield url


async def served_by(address: str, trusted: ssl.SSLContext) -> ssl.SSLObject:
    """Shake hands, and return what is known of the connection."""
    host, port = address.removeprefix("https://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=trusted)
    try:
        return writer.get_extra_info("ssl_object")
    finally:
        writer.close()


async def serial_served(address: str, own: OwnCertificate) -> int:
    return int((await served_by(address, own.trusted())).getpeercert()["serialNumber"], 16)


async def test_answers_streams_and_sockets_come_over_tls(address: str, own: OwnCertificate):
    assert address.startswith("https://")
    async with httpx.AsyncClient(base_url=address, verify=own.trusted(), timeout=60) as client:
        answer = await client.get("/api/v1/large")
        assert len(answer.json()) == 1000
        assert answer.headers["strict-transport-security"].startswith("max-age=63072000")
        sent = await client.post("/api/v1/readings", json={"name": "x" * 100_000})
        assert sent.status_code == 202
        assert (await client.get("/api/v1/stream")).text == "data: 1\n\ndata: 2\n\n"
    socket_url = address.replace("https", "wss") + "/api/v1/ws"
    async with connect(socket_url, origin=address, ssl=own.trusted()) as websocket:
        assert await websocket.recv() == "hello"


async def test_old_versions_and_weak_ciphers_are_refused(address: str, own: OwnCertificate):
    modern = await served_by(address, own.trusted())
    assert modern.version() == "TLSv1.3"
    older = own.trusted()
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    assert (await served_by(address, older)).cipher()[0].startswith("ECDHE-ECDSA-")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that it is old is what is tried
        old = own.trusted()
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    weak = own.trusted()
    weak.set_ciphers("ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256")
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    for refused in (old, weak):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await served_by(address, refused)


async def test_plain_http_on_the_port_is_let_go_and_others_go_on(address: str, own: OwnCertificate):
    plain = address.replace("https", "http")
    heard = await speak(plain, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"HTTP" not in heard
    async with httpx.AsyncClient(base_url=address, verify=own.trusted(), timeout=60) as client:
        assert (await client.get("/api/v1/large")).status_code == 200


async def test_slow_handshakes_and_slow_heads_are_given_up(platform: Platform, own: OwnCertificate):
    class Hasty(GuardedProtocol):
        header_seconds = 0.2

    class HastyServer(Server):
        handshake_seconds = 0.2

    here = changed(platform, **own.settings)
    app = wrap(application(), here, log_stream=io.StringIO())
    async with serve(app, here.settings, server=HastyServer, http=Hasty) as url:
        plain = url.replace("https", "http")
        assert await speak(plain) == b""
        assert await speak(plain, b"\x16\x03\x01\x02") == b""
        host, port = url.removeprefix("https://").split(":")
        for head in (b"", b"GET / HTTP/1.1\r\nHost: local"):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=own.trusted())
            writer.write(head)
            async with asyncio.timeout(60):
                assert await reader.read() == b""
            writer.close()
        reader, writer = await asyncio.open_connection(host, int(port), ssl=own.trusted())
        writer.write(b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: a\r\n" % n for n in range(200)) + b"\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()


async def test_a_changed_certificate_is_taken_up_by_the_next_connection(
    address: str, own: OwnCertificate, tmp_path
):
    async with httpx.AsyncClient(base_url=address, verify=own.trusted(), timeout=60) as before:
        assert (await before.get("/api/v1/large")).status_code == 200
        first = own.serial()
        assert await serial_served(address, own) == first
        renewed = make_certificate(tmp_path)
        assert await serial_served(address, renewed) == renewed.serial() != first
        assert (await before.get("/api/v1/large")).status_code == 200  # on the connection that it had


async def test_a_certificate_that_cannot_be_used_leaves_the_one_before(
    address: str, own: OwnCertificate, tmp_path
):
    first, trusted = own.serial(), own.trusted()
    other = tmp_path / "other"
    other.mkdir()
    stranger = make_certificate(other)
    stranger.certificate.replace(own.certificate)  # as a renewal that has replaced one of two files
    assert int((await served_by(address, trusted)).getpeercert()["serialNumber"], 16) == first
    own.key.unlink()
    assert int((await served_by(address, trusted)).getpeercert()["serialNumber"], 16) == first
    stranger.key.replace(own.key)
    assert await serial_served(address, own) == own.serial() != first


def faulty(own: OwnCertificate, fault: str, folder) -> OwnCertificate:
    """Return files of which one has a fault."""
    match fault:
        case "missing certificate":
            own.certificate.unlink()
        case "missing key":
            own.key.unlink()
        case "folder":
            return dataclasses.replace(own, certificate=folder)
        case "no certificate":
            own.certificate.write_text("nothing of the kind")
        case "no key":
            own.key.write_text("nothing of the kind")
        case "other key":
            inner = folder / "inner"
            inner.mkdir()
            return dataclasses.replace(own, key=make_certificate(inner).key)
        case "passphrase":
            return make_certificate(folder, passphrase=b"secret words")
        case "readable key":
            own.key.chmod(0o644)
    return own


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("missing certificate", "FETTLE_TLS_CERTIFICATE: .*tls.pem cannot be read: No such file"),
        ("missing key", "FETTLE_TLS_KEY: .*tls-key.pem cannot be read: No such file"),
        ("folder", "FETTLE_TLS_CERTIFICATE: .* cannot be read: Is a directory"),
        ("no certificate", "FETTLE_TLS_CERTIFICATE: .* holds no certificate in PEM form"),
        ("no key", "FETTLE_TLS_KEY: .* holds no private key in PEM form"),
        ("other key", "FETTLE_TLS_KEY: .* is not the key of the first certificate in .*tls.pem"),
        ("passphrase", "FETTLE_TLS_KEY: .* is locked by a passphrase"),
        ("readable key", r"FETTLE_TLS_KEY: others can read .*tls-key.pem \(0644\); chmod 0600"),
    ],
)
def test_what_cannot_be_served_with_is_one_line_that_names_the_setting(tmp_path, fault, said):
    own = faulty(make_certificate(tmp_path), fault, tmp_path)
    with pytest.raises(SettingsError, match=f"^{said}") as refused:
        server_config(application(), Settings(_env_file=None, **own.settings))
    assert "\n" not in str(refused.value)


def test_a_certificate_without_its_key_is_refused(own: OwnCertificate):
    with pytest.raises(SettingsError, match=r"^FETTLE_TLS_KEY: is not set, FETTLE_TLS_CERTIFICATE is"):
        tls.read_certificate(Settings(_env_file=None, tls_certificate=own.certificate))
    with pytest.raises(SettingsError, match=r"^FETTLE_TLS_CERTIFICATE: is not set, FETTLE_TLS_KEY is"):
        tls.read_certificate(Settings(_env_file=None, tls_key=own.key))
    assert tls.read_certificate(Settings(_env_file=None)) is None


@pytest.mark.parametrize(
    ("made", "settings", "said"),
    [
        ({}, {}, []),
        ({"days": -1, "begins_in_days": -9}, {}, ["the certificate ended on"]),
        ({"days": 5}, {}, ["the certificate ends on"]),
        ({"begins_in_days": 3}, {}, ["the certificate begins on"]),
        ({}, {"host": "10.1.2.3"}, ["names localhost, 127.0.0.1, and not 10.1.2.3"]),
        ({}, {"public_url": "http://localhost:8321"}, ["is http, the port speaks https alone"]),
        ({}, {"public_url": "https://fettle.example.org:8321"}, ["and not fettle.example.org"]),
        ({}, {"public_url": "https://fettle.example.org"}, []),
        ({"names": ["*.example.org"]}, {"public_url": "https://fettle.example.org:8321"}, []),
        ({"names": ["*.example.org"]}, {"public_url": "https://a.b.example.org:8321"}, ["and not a.b."]),
    ],
)
def test_what_is_odd_is_warned_of(tmp_path, made, settings, said):
    own = make_certificate(tmp_path, *made.pop("names", ()), **made)
    chosen = Settings(_env_file=None, **own.settings, **settings)
    found = tls.warnings(tls.read_certificate(chosen), chosen)
    assert len(found) == len(said)
    assert all(wanted in one for wanted, one in zip(said, found, strict=True))
