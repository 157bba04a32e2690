"""`http.request` and `http.get` as a playbook calls them: checked, secret, and honest about what is not known."""

import base64
import dataclasses
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from tests.egress.servers import Authority, DnsResolver, WebServer, answer, name_server, web_server

from fettle.kernel.egress import Egress
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.settings import load_settings
from fettle.tools.providers import http
from fettle.tools.registry import OutcomeUnknown, ToolCall, ToolError, ToolRegistry
from fettle.tools.secrets import resolve

CANARY = "canary-7f3a9b"


class Vault:
    """A tenant's secrets."""

    def __init__(self, **secrets: str) -> None:
        self._secrets = secrets

    async def read(self, name: str) -> str:
        return self._secrets[name]


@pytest.fixture(scope="module")
def registry() -> ToolRegistry:
    made = ToolRegistry()
    http.register(made)
    return made


@pytest_asyncio.fixture
async def web(platform: Platform) -> AsyncIterator[WebServer]:
    async with name_server() as dns, web_server() as server:
        dns.script["api.example"] = [["127.0.0.1"]]
        settings = load_settings(egress_allow=[f"api.example:{server.port}", f"127.0.0.1:{server.port}"])
        platform.parts["kernel.egress"] = Egress(settings, DnsResolver(dns.port))
        yield server


async def call(
    registry: ToolRegistry,
    platform: Platform,
    asked: dict[str, Any],
    *,
    tool: str = "http.request",
    dry_run: bool = False,
    **secrets: str,
) -> dict[str, Any]:
    registry.check_input(tool, None, asked)
    vault = Vault(**secrets)
    return await registry.call(
        tool,
        None,
        ToolCall(
            tenant_id=new_id(),
            run_id=new_id(),
            incident_id=None,
            step_id="fix",
            attempt=1,
            idempotency_key="run:fix",
            input=await resolve(asked, vault),
            secrets=vault,
            platform=platform,
            dry_run=dry_run,
        ),
    )


def url(web: WebServer, path: str = "/") -> str:
    return f"http://api.example:{web.port}{path}"


async def test_a_command_is_sent_with_its_secrets_in_place(
    registry: ToolRegistry, platform: Platform, web: WebServer
):
    web.answers["/tickets"] = answer("201 Created", b'{"id":7}', X_Request_ID="r-1", Set_Cookie="sid=1")
    output = await call(
        registry,
        platform,
        {
            "method": "POST",
            "url": url(web, "/tickets"),
            "query": {"notify": True, "q": "a b&c"},
            "json": {"title": "Firewall is off"},
            "headers": {"X-Api-Key": {"$secret": "key"}},
            "auth": {"bearer": {"$secret": "token"}},
            "idempotency_header": "Idempotency-Key",
            "expect_status": [201],
        },
        key="k-1",
        token="t-1",
    )
    assert output == {
        "status": 201,
        "origin": f"http://api.example:{web.port}",
        "headers": {"content-type": "application/json", "x-request-id": "r-1"},
        "is_cut_off": False,
        "json": {"id": 7},
    }
    (seen,) = web.seen
    assert seen.line == "POST /tickets?notify=true&q=a+b%26c HTTP/1.1"
    assert json.loads(seen.body) == {"title": "Firewall is off"}
    assert seen.headers["content-type"] == "application/json"
    assert seen.headers["x-api-key"] == "k-1"
    assert seen.headers["authorization"] == "Bearer t-1"
    assert seen.headers["idempotency-key"] == "run:fix"


async def test_basic_credentials_are_sent(registry: ToolRegistry, platform: Platform, web: WebServer):
    web.answers["/"] = answer()
    auth = {"basic": {"username": "svc", "password": {"$secret": "password"}}}
    await call(registry, platform, {"url": url(web), "auth": auth}, tool="http.get", password="p:w")
    assert base64.b64decode(web.seen[0].headers["authorization"].split(" ")[1]) == b"svc:p:w"


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"url": "x"},
        {"url": "https://api.example/", "method": "CONNECT"},
        {"url": "https://api.example/", "json": {}, "body": "x"},
        {"url": "https://api.example/", "auth": {"bearer": "a", "basic": {}}},
        {"url": "https://api.example/", "proxy": "http://127.0.0.1"},
        {"url": "https://api.example/", "headers": {"a": 1}},
        {"url": "https://api.example/", "timeout_seconds": 6000},
    ],
)
async def test_an_input_that_does_not_fit_is_refused(
    registry: ToolRegistry, platform: Platform, asked: dict[str, Any]
):
    with pytest.raises(ToolError) as refused:
        await call(registry, platform, asked)
    assert refused.value.code == "input"


async def test_a_forbidden_place_is_refused(registry: ToolRegistry, platform: Platform, web: WebServer):
    for bad in (
        "http://169.254.169.254/latest/",
        "http://2130706433/",
        "http://[::1]/",
        "https://evil.example/",
    ):
        with pytest.raises(ToolError) as refused:
            await call(registry, platform, {"url": bad})
        assert (refused.value.code, refused.value.retryable) == ("refused", False)
    assert web.connections == 0


@pytest.mark.parametrize(
    ("method", "reply", "unknown"),
    [
        ("POST", b"drop", True),
        ("PATCH", b"drop", True),
        ("POST", b"wait", True),
        ("POST", answer("502 Bad Gateway"), True),
        ("POST", answer("500 Internal Server Error"), True),
        ("POST", answer("503 Service Unavailable"), False),
        ("POST", answer("400 Bad Request"), False),
        ("GET", b"drop", False),
        ("PUT", b"drop", False),
        ("DELETE", b"wait", False),
        ("PUT", answer("502 Bad Gateway"), False),
    ],
)
async def test_what_cannot_be_known_is_never_guessed(
    registry: ToolRegistry, platform: Platform, web: WebServer, method: str, reply: bytes, unknown: bool
):
    web.answers["/"] = reply
    asked = {"method": method, "url": url(web), "timeout_seconds": 1 if reply == b"wait" else 60}
    with pytest.raises(OutcomeUnknown if unknown else ToolError):
        await call(registry, platform, asked)
    if unknown:
        with pytest.raises(ToolError):
            await call(registry, platform, {**asked, "idempotency_header": "Idempotency-Key"})


async def test_a_command_that_never_left_may_be_tried_again(
    registry: ToolRegistry, platform: Platform, web: WebServer
):
    async with web_server() as gone:
        port = gone.port
    settings = load_settings(egress_allow=[f"127.0.0.1:{port}"])
    platform.parts["kernel.egress"] = Egress(settings)
    with pytest.raises(ToolError) as failed:
        await call(registry, platform, {"method": "POST", "url": f"http://127.0.0.1:{port}/"})
    assert (failed.value.code, failed.value.retryable) == ("unreachable", True)


@pytest.mark.parametrize(
    ("status", "retryable"), [("404 Not Found", False), ("429 Too Many Requests", True), ("503 Busy", True)]
)
async def test_an_unwanted_answer_is_a_failure(
    registry: ToolRegistry, platform: Platform, web: WebServer, status: str, retryable: bool
):
    web.answers["/"] = answer(status)
    with pytest.raises(ToolError) as failed:
        await call(registry, platform, {"url": url(web)})
    assert (failed.value.code, failed.value.retryable) == ("status", retryable)
    code = int(status[:3])
    output = await call(registry, platform, {"url": url(web), "expect_status": [code]})
    assert output["status"] == code


async def test_a_secret_stands_in_no_error(registry: ToolRegistry, platform: Platform, web: WebServer):
    web.answers["/" + CANARY] = answer("400 Bad Request", CANARY.encode())
    web.answers["/drop"] = b"drop"
    web.answers["/hop"] = answer("302 Found", Location=f"http://10.0.0.1/{CANARY}?token={CANARY}")
    attempts: list[dict[str, Any]] = [
        {"url": url(web, f"/{CANARY}")},
        {"url": url(web, f"/drop?token={CANARY}"), "method": "POST", "body": CANARY},
        {"url": url(web, "/hop")},
        {"url": f"http://{CANARY}:{CANARY}@api.example/"},
        {"url": f"http://10.0.0.1/{CANARY}"},
        {"url": url(web), "auth": {"bearer": f"{CANARY}\r\nX: y"}},
        {"url": url(web), "headers": {"X-Key": f"{CANARY}\n"}},
        {"url": url(web), "tls": {"certificate": CANARY, "key": CANARY}},
        {"url": url(web, f"/{CANARY}\\")},
        {"url": f"http://[{CANARY}/"},
        {"url": f"http://[{CANARY}/", "query": {"a": CANARY}},
    ]
    for asked in attempts:
        with pytest.raises((ToolError, OutcomeUnknown)) as failed:
            await call(registry, platform, asked)
        assert CANARY not in str(failed.value)


async def test_a_dry_run_says_what_would_be_sent_and_sends_nothing(
    registry: ToolRegistry, platform: Platform, web: WebServer
):
    asked = {"method": "DELETE", "url": url(web, f"/things/7?token={CANARY}")}
    output = await call(registry, platform, asked, dry_run=True)
    assert output == {
        "status": 0,
        "origin": f"http://api.example:{web.port}",
        "would": f"DELETE http://api.example:{web.port}/things/7",
    }
    with pytest.raises(ToolError):
        await call(registry, platform, {"url": "http://10.0.0.1/"}, dry_run=True)
    assert web.connections == 0


async def test_long_and_odd_answers_are_kept_short(
    registry: ToolRegistry, platform: Platform, web: WebServer
):
    web.answers["/long"] = answer(body=b'"' + b"x" * 50_000 + b'"')
    web.answers["/odd"] = answer(body=b'{"a":"\\u0000"}\x00\xff')
    web.answers["/huge"] = answer(body=b"x" * 2_000_000)
    long = await call(registry, platform, {"url": url(web, "/long")}, tool="http.get")
    assert long["is_cut_off"] is True
    assert len(long["text"]) == http.SHOWN_BYTES
    odd = await call(registry, platform, {"url": url(web, "/odd")}, tool="http.get")
    assert "\x00" not in odd["text"]
    with pytest.raises(ToolError) as failed:
        await call(registry, platform, {"url": url(web, "/huge")}, tool="http.get")
    assert (failed.value.code, failed.value.retryable) == ("too_large", False)


async def test_mutual_tls_by_secrets(registry: ToolRegistry, platform: Platform, tmp_path: Path):
    authority = Authority.make(tmp_path)
    certificate, key = authority.issue("fettle-client")
    async with (
        name_server() as dns,
        web_server(tls=authority.server_tls("a.example", wants_client=True)) as web,
    ):
        dns.script["a.example"] = [["127.0.0.1"]]
        web.answers["/"] = answer()
        settings = load_settings(egress_allow=[f"a.example:{web.port}", f"127.0.0.1:{web.port}"])
        here = dataclasses.replace(platform, parts={"kernel.egress": Egress(settings, DnsResolver(dns.port))})
        output = await call(
            registry,
            here,
            {
                "url": f"https://a.example:{web.port}/",
                "tls": {"ca": authority.pem, "certificate": {"$secret": "cert"}, "key": {"$secret": "key"}},
            },
            cert=certificate,
            key=key,
        )
        assert output["json"] == {"ok": True}
        assert web.seen[0].client == "fettle-client"
