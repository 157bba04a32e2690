"""Requests leave to the very address that was checked, and carry nothing to where it does not belong."""

import dataclasses
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.egress.servers import (
    Authority,
    DnsResolver,
    NameServer,
    WebServer,
    answer,
    name_server,
    web_server,
)

from fettle.kernel.egress import Egress, EgressFailed, EgressRefused, Outgoing, client_tls
from fettle.kernel.ids import new_id
from fettle.kernel.settings import SettingsError, load_settings

LOOPBACK = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


@pytest_asyncio.fixture
async def dns() -> AsyncIterator[NameServer]:
    async with name_server() as server:
        yield server


@pytest_asyncio.fixture
async def web() -> AsyncIterator[WebServer]:
    async with web_server(*LOOPBACK) as server:
        yield server


def egress(dns: NameServer, *allow: str, **settings: Any) -> Egress:
    return Egress(load_settings(egress_allow=list(allow), **settings), DnsResolver(dns.port))


async def test_an_allowed_request_arrives_as_it_was_meant(dns: NameServer, web: WebServer):
    dns.script["api.example"] = [["127.0.0.1"]]
    web.answers["/v1/things"] = answer("201 Created")
    out = egress(dns, f"api.example:{web.port}", f"127.0.0.1:{web.port}")
    reply = await out.send(
        Outgoing(
            url=f"http://api.example:{web.port}/v1/things?a=1#frag",
            method="POST",
            headers={"X-Tenant": "t"},
            body=b'{"a":1}',
        ),
        tenant_id=None,
    )
    assert (reply.status, reply.body) == (201, b'{"ok":true}')
    (seen,) = web.seen
    assert seen.line == "POST /v1/things?a=1 HTTP/1.1"
    assert seen.headers["host"] == f"api.example:{web.port}"
    assert seen.headers["x-tenant"] == "t"
    assert seen.body == b'{"a":1}'


async def test_a_name_that_changes_its_address_is_connected_to_where_it_was_checked(
    dns: NameServer, web: WebServer
):
    dns.script["rebind.example"] = [["127.0.0.2"], ["127.0.0.3"]]
    web.answers["/"] = answer()
    out = egress(dns, f"rebind.example:{web.port}", f"127.0.0.2:{web.port}")
    await out.send(Outgoing(url=f"http://rebind.example:{web.port}/"), tenant_id=None)
    assert [seen.address for seen in web.seen] == ["127.0.0.2"]
    assert dns.asked == ["rebind.example"]
    with pytest.raises(EgressRefused):
        await out.send(Outgoing(url=f"http://rebind.example:{web.port}/"), tenant_id=None)
    assert web.connections == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.2", "127.0.0.3"],
        ["127.0.0.2", "169.254.169.254"],
        ["127.0.0.2", "::1"],
        ["::ffff:127.0.0.3"],
        ["64:ff9b::7f00:3"],
        ["fd00:ec2::254"],
        ["0.0.0.0"],
        ["::"],
    ],
)
async def test_one_forbidden_address_among_many_refuses_all(
    dns: NameServer, web: WebServer, addresses: list[str]
):
    dns.script["mixed.example"] = [addresses]
    out = egress(dns, f"mixed.example:{web.port}", f"127.0.0.2:{web.port}")
    with pytest.raises(EgressRefused):
        await out.send(Outgoing(url=f"http://mixed.example:{web.port}/"), tenant_id=None)
    assert web.connections == 0


async def test_what_is_not_listed_is_not_even_asked_for(dns: NameServer, web: WebServer):
    with pytest.raises(EgressRefused, match="FETTLE_EGRESS_ALLOW"):
        await egress(dns).send(Outgoing(url=f"http://secret-data.evil.example:{web.port}/"), tenant_id=None)
    assert dns.asked == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "2130706433",
        "0x7f.1",
        "127.1",
        "0",
        "localhost",
        "\uff11\uff12\uff17.1",
    ],
)
async def test_loopback_in_any_spelling_is_refused(dns: NameServer, web: WebServer, host: str):
    dns.script["localhost"] = [["127.0.0.1"]]
    out = egress(dns, f"localhost:{web.port}", sovereign=False)
    with pytest.raises((EgressRefused, EgressFailed)):
        await out.send(Outgoing(url=f"http://{host}:{web.port}/"), tenant_id=None)
    assert web.connections == 0


async def test_our_own_ports_are_never_reached_even_when_listed(dns: NameServer, web: WebServer):
    url = f"http://127.0.0.1:{web.port}/"
    web.answers["/"] = answer()
    allow = [f"127.0.0.0/8:{web.port}", f"own.example:{web.port}"]
    dns.script["own.example"] = [["127.0.0.1"]]
    await egress(dns, *allow).send(Outgoing(url=url), tenant_id=None)
    for settings in (
        {"port": web.port},
        {"database_url": f"postgresql://o:p@127.0.0.1:{web.port}/x"},
        {"redis_url": f"redis://127.0.0.1:{web.port}/0"},
    ):
        out = egress(dns, *allow, **settings)
        for place in (url, f"http://own.example:{web.port}/"):
            with pytest.raises(EgressRefused, match="this installation itself"):
                await out.send(Outgoing(url=place), tenant_id=None)
    assert web.connections == 1


async def test_proxies_in_the_environment_are_not_used(
    dns: NameServer, web: WebServer, monkeypatch: pytest.MonkeyPatch
):
    async with web_server() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        web.answers["/"] = answer()
        await egress(dns, f"127.0.0.1:{web.port}").send(
            Outgoing(url=f"http://127.0.0.1:{web.port}/"), tenant_id=None
        )
        assert (web.connections, proxy.connections) == (1, 0)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[::1]:{port}/",
        "http://127.0.0.3:{port}/",
        "//127.0.0.3:{port}/",
        "http://2130706435:{port}/",
        "http://user:pass@127.0.0.2:{port}/",
        "file:///etc/passwd",
        "gopher://127.0.0.2:{port}/",
        "http://unlisted.example:{port}/",
        "http://turned.example:{port}/",
        "http://[",
        "http://127.0.0.2:{port}\\@127.0.0.3/",
    ],
)
async def test_a_redirect_is_checked_like_the_first_place(dns: NameServer, web: WebServer, location: str):
    dns.script["turned.example"] = [["127.0.0.3"]]
    web.answers["/"] = answer("302 Found", Location=location.format(port=web.port))
    out = egress(dns, f"127.0.0.2:{web.port}", f"turned.example:{web.port}")
    with pytest.raises(EgressRefused):
        await out.send(Outgoing(url=f"http://127.0.0.2:{web.port}/"), tenant_id=None)
    assert web.connections == 1


async def test_a_redirect_resolves_its_name_anew(dns: NameServer, web: WebServer):
    dns.script["rebind.example"] = [["127.0.0.2"], ["127.0.0.3"]]
    web.answers["/"] = answer("302 Found", Location="/next")
    web.answers["/next"] = answer()
    out = egress(dns, f"rebind.example:{web.port}", f"127.0.0.2:{web.port}")
    with pytest.raises(EgressRefused):
        await out.send(Outgoing(url=f"http://rebind.example:{web.port}/"), tenant_id=None)
    assert [seen.address for seen in web.seen] == ["127.0.0.2"]


async def test_credentials_stay_at_their_origin(dns: NameServer, web: WebServer):
    web.answers["/"] = answer("307 Temporary Redirect", Location="/same")
    web.answers["/same"] = answer("302 Found", Location=f"http://127.0.0.2:{web.port}/other")
    web.answers["/other"] = answer()
    out = egress(dns, f"127.0.0.1:{web.port}", f"127.0.0.2:{web.port}")
    reply = await out.send(
        Outgoing(
            url=f"http://127.0.0.1:{web.port}/",
            headers={"Authorization": "Bearer a", "X-Api-Key": "b", "Cookie": "c=d", "Accept": "text/plain"},
        ),
        tenant_id=None,
    )
    assert reply.place.host == "127.0.0.2"
    first, same, other = web.seen
    assert first.headers["authorization"] == same.headers["authorization"] == "Bearer a"
    assert other.headers["accept"] == "text/plain"
    assert not {"authorization", "x-api-key", "cookie"} & set(other.headers)


async def test_a_command_is_not_repeated_elsewhere_by_a_redirect(dns: NameServer, web: WebServer):
    out = egress(dns, f"127.0.0.1:{web.port}", f"127.0.0.2:{web.port}")
    web.answers["/other"] = answer("307 Temporary Redirect", Location=f"http://127.0.0.2:{web.port}/x")
    web.answers["/found"] = answer("302 Found", Location="/x")
    web.answers["/same"] = answer("308 Permanent Redirect", Location="/x")
    web.answers["/x"] = answer()
    for path in ("/other", "/found"):
        url = f"http://127.0.0.1:{web.port}{path}"
        with pytest.raises(EgressFailed) as failed:
            await out.send(Outgoing(url=url, method="POST", body=b"secret"), tenant_id=None)
        assert failed.value.may_have_arrived
    assert len(web.seen) == 2
    url = f"http://127.0.0.1:{web.port}/same"
    assert (await out.send(Outgoing(url=url, method="POST", body=b"x"), tenant_id=None)).status == 200
    assert web.seen[-1].line.startswith("POST /x")
    assert web.seen[-1].body == b"x"


async def test_redirects_end(dns: NameServer, web: WebServer):
    web.answers["/"] = answer("302 Found", Location="/")
    with pytest.raises(EgressFailed, match="more than 5 redirects"):
        await egress(dns, f"127.0.0.1:{web.port}").send(
            Outgoing(url=f"http://127.0.0.1:{web.port}/"), tenant_id=None
        )
    assert web.connections == 6


async def test_size_and_time_have_an_end(dns: NameServer, web: WebServer):
    out = egress(dns, f"127.0.0.1:{web.port}")
    base = f"http://127.0.0.1:{web.port}"
    web.answers["/large"] = answer(body=b"x" * 5000)
    web.answers["/lies"] = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"400\r\n" + b"x" * 1024 + b"\r\n"
    )
    web.answers["/wait"] = b"wait"
    web.answers["/drop"] = b"drop"
    for path, code, size in (
        ("/large", "too_large", 1000),
        ("/lies", "too_large", 1000),
        ("/drop", "protocol", 1000),
    ):
        with pytest.raises(EgressFailed) as failed:
            await out.send(Outgoing(url=base + path, most_bytes=size), tenant_id=None)
        assert failed.value.code == code
        assert failed.value.may_have_arrived
    with pytest.raises(EgressFailed) as failed:
        await out.send(Outgoing(url=base + "/wait", timeout_seconds=1), tenant_id=None)
    assert (failed.value.code, failed.value.may_have_arrived) == ("timeout", True)


async def test_what_never_left_is_said_to_have_never_arrived(dns: NameServer):
    async with web_server() as gone:
        port = gone.port
    out = egress(dns, f"127.0.0.1:{port}", f"nowhere.example:{port}")
    for url in (f"http://127.0.0.1:{port}/", f"http://nowhere.example:{port}/"):
        with pytest.raises(EgressFailed) as failed:
            await out.send(Outgoing(url=url, method="POST"), tenant_id=None)
        assert (failed.value.code, failed.value.may_have_arrived) == ("unreachable", False)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Transfer-Encoding": "chunked"},
        {"content-length": "5"},
        {"X-A": "b\r\nX-C: d"},
        {"X-A\r\nX-C": "d"},
        {"X-A": "\u20ac"},
        {"X A": "b"},
        {"Proxy-Authorization": "x"},
    ],
)
async def test_headers_cannot_be_smuggled(dns: NameServer, web: WebServer, headers: dict[str, str]):
    with pytest.raises(EgressRefused) as refused:
        await egress(dns, f"127.0.0.1:{web.port}").send(
            Outgoing(url=f"http://127.0.0.1:{web.port}/", headers=headers), tenant_id=None
        )
    assert "X-C: d" not in str(refused.value)
    assert web.connections == 0


async def test_tls_names_and_checks_the_host_at_the_pinned_address(dns: NameServer, tmp_path: Path):
    authority = Authority.make(tmp_path)
    dns.script["ticket.example"] = [["127.0.0.2"]]
    dns.script["other.example"] = [["127.0.0.2"]]
    async with web_server("127.0.0.2", tls=authority.server_tls("ticket.example")) as web:
        web.answers["/"] = answer()
        allow = [f"127.0.0.2:{web.port}", f"ticket.example:{web.port}", f"other.example:{web.port}"]
        out = egress(dns, *allow)
        trusting = client_tls(ca=authority.pem)
        url = f"https://ticket.example:{web.port}/"
        assert (await out.send(Outgoing(url=url, tls=trusting), tenant_id=None)).status == 200
        assert web.names == ["ticket.example"]
        assert web.seen[0].headers["host"] == f"ticket.example:{web.port}"
        for bad_url, tls in (
            (f"https://other.example:{web.port}/", trusting),
            (f"https://127.0.0.2:{web.port}/", trusting),
            (url, None),
            (url, client_tls(ca=Authority.make(tmp_path).pem)),
        ):
            with pytest.raises(EgressFailed) as failed:
                await out.send(Outgoing(url=bad_url, tls=tls), tenant_id=None)
            assert (failed.value.code, failed.value.may_have_arrived) == ("tls", False)
        assert len(web.seen) == 1


async def test_a_client_certificate_is_shown_to_its_server_and_to_no_other(dns: NameServer, tmp_path: Path):
    authority = Authority.make(tmp_path)
    certificate, key = authority.issue("fettle-client")
    async with (
        web_server("127.0.0.1", tls=authority.server_tls("a.example", wants_client=True)) as first,
        web_server("127.0.0.1", tls=authority.server_tls("b.example")) as second,
    ):
        dns.script["a.example"] = dns.script["b.example"] = [["127.0.0.1"]]
        first.answers["/"] = answer("302 Found", Location=f"https://b.example:{second.port}/")
        out = egress(
            dns,
            *(
                f"{name}:{web.port}"
                for web in (first, second)
                for name in ("127.0.0.1", "a.example", "b.example")
            ),
        )
        url = f"https://a.example:{first.port}/"
        with pytest.raises(EgressFailed):
            await out.send(Outgoing(url=url, tls=client_tls(ca=authority.pem)), tenant_id=None)
        mutual = client_tls(ca=authority.pem, certificate=certificate, key=key)
        with pytest.raises(EgressFailed) as failed:  # the authority is not carried to the other origin either
            await out.send(Outgoing(url=url, tls=mutual), tenant_id=None)
        assert failed.value.code == "tls"
        assert [seen.client for seen in first.seen] == ["fettle-client"]
        assert second.seen == []


async def test_https_is_never_left_for_http(dns: NameServer, web: WebServer, tmp_path: Path):
    authority = Authority.make(tmp_path)
    dns.script["a.example"] = [["127.0.0.1"]]
    async with web_server("127.0.0.1", tls=authority.server_tls("a.example")) as secure:
        secure.answers["/"] = answer("302 Found", Location=f"http://127.0.0.1:{web.port}/")
        out = egress(dns, f"a.example:{secure.port}", f"127.0.0.1:{secure.port}", f"127.0.0.1:{web.port}")
        with pytest.raises(EgressRefused, match="https to http"):
            await out.send(
                Outgoing(url=f"https://a.example:{secure.port}/", tls=client_tls(ca=authority.pem)),
                tenant_id=None,
            )
        assert web.connections == 0


def test_a_certificate_that_is_none_is_refused_without_a_word_of_it(tmp_path: Path):
    authority = Authority.make(tmp_path)
    certificate, _ = authority.issue("a")
    _, other_key = authority.issue("b")
    encrypted = (
        "-----BEGIN ENCRYPTED " + "PRIVATE KEY-----\nMIIcanary\n-----END ENCRYPTED " + "PRIVATE KEY-----\n"
    )
    for parts in (
        {"certificate": "canary"},
        {"certificate": certificate},
        {"certificate": certificate, "key": other_key},
        {"certificate": certificate, "key": encrypted},
        {"certificate": "\u20accanary"},
        {"ca": "canary"},
    ):
        with pytest.raises(EgressRefused) as refused:
            client_tls(**parts)
        assert "canary" not in str(refused.value)
    assert client_tls(certificate="".join(authority.issue("c"))).verify_mode is ssl.CERT_REQUIRED


async def test_an_entry_of_one_tenant_opens_nothing_for_another(dns: NameServer, web: WebServer):
    ours = new_id()
    web.answers["/"] = answer()
    out = egress(dns, f"127.0.0.1:{web.port}@{ours}")
    outgoing = Outgoing(url=f"http://127.0.0.1:{web.port}/")
    assert (await out.send(outgoing, tenant_id=ours)).status == 200
    with pytest.raises(EgressRefused):
        await out.send(dataclasses.replace(outgoing), tenant_id=new_id())


def test_a_list_that_cannot_be_read_stops_the_start():
    with pytest.raises(SettingsError, match="FETTLE_EGRESS_ALLOW"):
        Egress(load_settings(egress_allow=["http://x/"]))
