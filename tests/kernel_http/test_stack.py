"""What every answer carries and every request must be, at a real server."""

import asyncio
import dataclasses
import io
import json
import re
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, FastAPI, Query, WebSocket
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from tests.kernel_http.serving import serve, speak
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from fettle.kernel import context
from fettle.kernel.errors import NotFound, Unauthenticated
from fettle.kernel.http import Page, Paging, StrictRoute, problem_handlers, wrap
from fettle.kernel.http.serving import GuardedProtocol
from fettle.kernel.metrics import render
from fettle.kernel.platform import Platform
from fettle.kernel.settings import SettingsError


class Reading(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str
    level: Literal["low", "high"] = "low"
    value: int = 0
    nested: dict[str, Any] = {}


router = APIRouter(route_class=StrictRoute)
seen: list[Reading] = []


@router.post("/readings", status_code=202)
async def take(reading: Reading) -> dict[str, str]:
    seen.append(reading)
    return {"status": "accepted"}


@router.get("/readings/{reading_id}")
async def read(reading_id: UUID) -> dict[str, str]:
    context.actor.set("user:ada")
    raise NotFound(f"There is no reading {reading_id}.")


@router.get("/readings")
async def pages(paging: Paging, q: Annotated[str | None, Query()] = None) -> Page[int]:
    after = paging.after(int)
    first = 0 if after is None else after[0] + 1
    rows, following = paging.cut(list(range(first, min(7, first + paging.limit + 1))), lambda row: [row])
    return Page[int](items=list(rows), next_cursor=following)


@router.get("/secret-failure")
async def fail() -> None:
    raise RuntimeError("connecting with password=hunter2 failed")


@router.get("/who")
async def who() -> None:
    raise Unauthenticated("Sign in first.")


@router.get("/large")
async def large() -> list[str]:
    return ["the same thing again"] * 1000


@router.get("/slow")
async def slow() -> None:
    await asyncio.Event().wait()


async def _ticks() -> AsyncIterator[bytes]:
    yield b"data: 1\n\n"
    await asyncio.sleep(1.5)
    yield b"data: 2\n\n"


@router.get("/stream")
async def stream() -> StreamingResponse:
    return StreamingResponse(_ticks(), media_type="text/event-stream")


@router.websocket("/ws")
async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("hello")
    await websocket.close()


def application() -> FastAPI:
    app = FastAPI()
    app.include_router(router, prefix="/api/v1")
    problem_handlers(app)
    return app


def changed(platform: Platform, **settings: Any) -> Platform:
    return dataclasses.replace(platform, settings=platform.settings.model_copy(update=settings), parts={})


@pytest_asyncio.fixture(scope="module")
async def log() -> io.StringIO:
    return io.StringIO()


@pytest_asyncio.fixture(scope="module")
async def address(platform: Platform, log: io.StringIO) -> AsyncIterator[str]:
    here = changed(platform, log_format="json", allowed_hosts=["fettle.example.com", "*.msp.example"])
    async with serve(wrap(application(), here, log_stream=log), here.settings) as url:
        yield url


@pytest_asyncio.fixture(scope="module")
async def client(address: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=address, timeout=60) as opened:
        yield opened


def assert_problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document = response.json()
    assert document["type"] == f"urn:fettle:problem:{slug}"
    assert document["status"] == status
    assert document["title"]
    assert document["detail"]
    assert document["instance"] == response.headers["x-request-id"]
    return document


async def test_every_answer_carries_id_time_and_guards(client: httpx.AsyncClient):
    response = await client.post("/api/v1/readings", json={"name": "a"})
    assert response.status_code == 202
    assert UUID(response.headers["x-request-id"]).version == 7
    assert float(response.headers["x-process-time-ms"]) >= 0
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["x-frame-options"] == "DENY"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert "strict-transport-security" not in response.headers
    assert "server" not in response.headers


async def test_a_sane_request_id_is_kept_and_any_other_replaced(client: httpx.AsyncClient):
    kept = await client.get("/api/v1/readings", headers={"X-Request-ID": "ticket-42.a_B"})
    assert kept.headers["x-request-id"] == "ticket-42.a_B"
    for bad in ("a b", "x" * 65, "a/b", "<script>", "a,b", "\u00e9", ""):
        response = await client.get("/api/v1/readings", headers={"X-Request-ID": bad.encode()})
        assert UUID(response.headers["x-request-id"])


@pytest.mark.parametrize(
    "line", [b"X-Request-ID: a\r\nSet-Cookie: b", b"X-Request-ID: a\nSet-Cookie: b", b"X-Request-ID: a\x00b"]
)
async def test_a_header_cannot_be_injected_through_the_id(address: str, line: bytes):
    heard = await speak(
        address, b"GET /api/v1/who HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + line + b"\r\n\r\n"
    )
    assert heard.startswith(b"HTTP/1.1 4")
    assert b"set-cookie" not in heard.lower()


async def test_a_problem_names_what_happened(client: httpx.AsyncClient):
    missing = await client.get("/api/v1/readings/01939c5e-7b1f-7c3a-9f31-2f4c1d0a9b77")
    assert_problem(missing, 404, "not-found")
    assert_problem(await client.get("/api/v1/nothing"), 404, "not-found")
    method = await client.delete("/api/v1/readings")
    assert_problem(method, 405, "method-not-allowed")
    assert method.headers["allow"]
    unknown = await client.get("/api/v1/who")
    assert_problem(unknown, 401, "unauthenticated")
    assert unknown.headers["www-authenticate"] == "Bearer"


async def test_invalid_fields_are_named_by_pointer(client: httpx.AsyncClient):
    response = await client.post("/api/v1/readings", json={"level": "huge", "value": "x", "a/b": 1})
    document = assert_problem(response, 422, "invalid")
    assert {error["pointer"] for error in document["errors"]} == {"/name", "/level", "/value", "/a~1b"}
    query = assert_problem(await client.get("/api/v1/readings?limit=0"), 422, "invalid")
    assert query["errors"][0]["pointer"] == "/query/limit"
    path = assert_problem(await client.get("/api/v1/readings/7"), 422, "invalid")
    assert path["errors"][0]["pointer"] == "/path/reading_id"


DEEP = b'{"name":"a","nested":' + b'{"a":' * 100 + b"1" + b"}" * 101
VERY_DEEP = b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        (b"{", 400, "malformed"),
        (b"", 422, "invalid"),
        (b"null", 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b'"text"', 422, "invalid"),
        (b'{"name":1}', 422, "invalid"),
        (b'{"name":"a","value":NaN}', 400, "malformed"),
        (b'{"name":"a","value":Infinity}', 400, "malformed"),
        (b'{"name":"a\\u0000"}', 422, "invalid"),
        (b'{"name":"\\ud800"}', 400, "malformed"),
        (b'{"name":"\xed\xa0\x80"}', 400, "malformed"),
        (b'{"name":"\xff"}', 400, "malformed"),
        (b'\xef\xbb\xbf{"name":"a"}', 400, "malformed"),
        (b'{"name":"a","value":99999999999999999999}', 422, "invalid"),
        (b'{"name":"a","value":' + b"9" * 100_000 + b"}", 400, "malformed"),
        (b'{"name":"a","value":1e400}', 400, "malformed"),
        (DEEP, 422, "invalid"),
        (VERY_DEEP, 400, "malformed"),
        (b'{"name":"a"} {}', 400, "malformed"),
    ],
)
async def test_bad_json_is_refused_clearly(client: httpx.AsyncClient, body: bytes, status: int, slug: str):
    before = len(seen)
    response = await client.post(
        "/api/v1/readings", content=body, headers={"Content-Type": "application/json"}
    )
    assert_problem(response, status, slug)
    assert len(seen) == before


async def test_another_format_is_refused(client: httpx.AsyncClient):
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
        response = await client.post(
            "/api/v1/readings", content=b'{"name":"a"}', headers={"Content-Type": media_type}
        )
        assert_problem(response, 415, "unsupported-media-type")


async def test_a_body_of_five_megabytes_is_refused_declared_or_not(client: httpx.AsyncClient):
    body = b'{"name":"' + b"a" * 5_000_000 + b'"}'
    headers = {"Content-Type": "application/json"}
    assert_problem(await client.post("/api/v1/readings", content=body, headers=headers), 413, "too-large")

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65_536):
            yield body[start : start + 65_536]

    assert_problem(await client.post("/api/v1/readings", content=pieces(), headers=headers), 413, "too-large")


async def test_a_declared_length_beyond_all_bounds_is_refused_before_a_byte_is_read(address: str):
    heard = await speak(
        address,
        b"POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\n\r\n",
    )
    assert heard.startswith(b"HTTP/1.1 413")


SECOND = b"GET /api/v1/readings?limit=7 HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", b"0\r\n\r\n" + SECOND),
        (
            b"Transfer-Encoding: chunked\r\nContent-Length: %d" % len(b"0\r\n\r\n" + SECOND),
            b"0\r\n\r\n" + SECOND,
        ),
        (b"Content-Length: 0\r\nContent-Length: %d" % len(SECOND), SECOND),
        (b"Transfer-Encoding: chunked, identity", b"0\r\n\r\n" + SECOND),
        (b"Transfer-Encoding: xchunked", b"0\r\n\r\n" + SECOND),
        (b"Transfer-Encoding:\x0bchunked", b"0\r\n\r\n" + SECOND),
        (b"Transfer-Encoding : chunked", b"0\r\n\r\n" + SECOND),
        (b"Transfer-Encoding: chunked", b"0x0\r\n\r\n" + SECOND),
        (b"Transfer-Encoding: chunked", b"-1\r\n\r\n" + SECOND),
        (b"Transfer-Encoding: chunked", b"fffffffffffffffff\r\n\r\n" + SECOND),
    ],
)
async def test_a_request_whose_end_reads_in_two_ways_smuggles_no_other(
    address: str, head: bytes, body: bytes
):
    """What a proxy before us takes for one request's body is no second request to us."""
    heard = await speak(
        address, b"POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n" + body
    )
    assert heard.startswith(b"HTTP/1.1 4")
    assert heard.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("value", [b"-1", b"1, 2", b"abc", b"5\r\nContent-Length: 6", b"0x10"])
async def test_a_content_length_that_is_none_is_refused(address: str, value: bytes):
    heard = await speak(
        address,
        b"POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: "
        + value
        + b"\r\n\r\nabcde",
    )
    assert heard.startswith(b"HTTP/1.1 4")


async def test_an_unexpected_error_tells_the_caller_only_its_id(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
):
    response = await client.get("/api/v1/secret-failure")
    assert_problem(response, 500, "internal")
    assert "hunter2" not in response.text
    assert "RuntimeError" not in response.text
    assert "Traceback" not in response.text


async def test_the_request_after_an_error_is_answered(client: httpx.AsyncClient):
    await client.get("/api/v1/secret-failure")
    assert (await client.get("/api/v1/readings")).status_code == 200


AMBIGUOUS = [
    "/api/v1/%2e%2e/who",
    "/api/v1/../v1/who",
    "/api/v1/./who",
    "/api//v1/who",
    "//api/v1/who",
    "/api%2fv1/who",
    "/api%5cv1/who",
    "/api/v1/who%00",
    "/api/v1/who%0d%0a",
    "/api/v1/%252e%252e/who",
    "/api/v1/%c0%ae%c0%ae/who",
    "/api/v1/wh%6",
    "/api\\v1\\who",
    "http://evil.example/api/v1/who",
    "http://localhost/api/v1/who",
    "api/v1/who",
    "*",
]


@pytest.mark.parametrize("target", AMBIGUOUS)
async def test_a_path_that_reads_in_two_ways_reaches_no_route(address: str, target: str):
    heard = await speak(
        address, f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode()
    )
    assert re.match(rb"HTTP/1\.1 (400|404) ", heard), heard[:200]


async def test_an_ordinary_encoded_path_is_read(client: httpx.AsyncClient):
    response = await client.get("/api/v1/readings/caf%C3%A9%20x")
    assert_problem(response, 422, "invalid")


async def test_a_query_without_nul_is_read_and_one_with_it_refused(client: httpx.AsyncClient):
    assert (await client.get("/api/v1/readings?q=caf%C3%A9")).status_code == 200
    assert_problem(await client.get("/api/v1/readings?q=%00"), 400, "malformed")


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8321", 200),
        ("127.0.0.1", 200),
        ("127.9.9.9:80", 200),
        ("[::1]:8321", 200),
        ("fettle.example.com", 200),
        ("a.b.msp.example", 200),
        ("msp.example", 400),
        ("evilmsp.example", 400),
        ("evil.example", 400),
        ("fettle.example.com.evil.example", 400),
        ("localhost.evil.example", 400),
        ("localhost@evil.example", 400),
        ("localhost:x", 400),
        ("localhost:99999", 400),
        ("10.0.0.1", 400),
        ("", 400),
        ("localhost/x", 400),
        ("localhost, evil.example", 400),
    ],
)
async def test_only_our_own_hosts_are_answered_for(address: str, host: str, status: int):
    request = f"GET /api/v1/readings HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    heard = await speak(address, request.encode())
    assert heard.startswith(f"HTTP/1.1 {status} ".encode()), heard[:200]


async def test_two_hosts_or_none_are_refused(address: str):
    for hosts in (
        b"",
        b"Host: localhost\r\nHost: evil.example\r\n",
        b"Host: localhost\r\nhost: localhost\r\n",
    ):
        heard = await speak(
            address, b"GET /api/v1/readings HTTP/1.1\r\nConnection: close\r\n" + hosts + b"\r\n"
        )
        assert heard.startswith(b"HTTP/1.1 400"), heard[:100]


async def test_large_answers_are_compressed_and_small_ones_are_not(client: httpx.AsyncClient):
    big = await client.get("/api/v1/large")
    assert big.headers["content-encoding"] == "gzip"
    assert len(big.json()) == 1000
    plain = await client.get("/api/v1/large", headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in (await client.get("/api/v1/readings")).headers


async def test_pages_follow_each_other_and_a_changed_cursor_is_refused(client: httpx.AsyncClient):
    items: list[int] = []
    cursor = None
    while True:
        params: dict[str, str | int] = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = (await client.get("/api/v1/readings", params=params)).json()
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert items == list(range(7))
    for bad in ("x", "AAAA", "%ff", "W10", "WzFd", "WzEsImEiXQ", "WzEsMSwyXQ", "WzIsMV0", "W10K" * 100, "=="):
        document = assert_problem(
            await client.get("/api/v1/readings", params={"cursor": bad}), 422, "invalid"
        )
        assert document["errors"][0]["pointer"] == "/query/cursor"


async def test_each_request_has_one_log_line_without_its_query(client: httpx.AsyncClient, log: io.StringIO):
    await client.get(
        "/api/v1/readings/01939c5e-7b1f-7c3a-9f31-2f4c1d0a9b77?token=hunter2", headers={"X-Request-ID": "one"}
    )
    await client.get("/api/v1/jane@doe.example", headers={"X-Request-ID": "two"})
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["request_id"] == "one"]
    assert line["method"] == "GET"
    assert line["status"] == 404
    assert line["actor"] == "user:ada"
    assert line["ms"] >= 0
    (other,) = [line for line in lines if line["request_id"] == "two"]
    assert other["actor"] is None
    assert "hunter2" not in log.getvalue()
    assert "jane@doe" not in log.getvalue()


async def test_requests_are_counted_by_route_and_never_by_path(client: httpx.AsyncClient):
    await client.get("/api/v1/readings/01939c5e-7b1f-7c3a-9f31-2f4c1d0a9b77")
    await client.request("BREW", "/api/v1/whatever")
    figures = render().decode()
    assert (
        'fettle_http_requests_total{method="GET",route="/api/v1/readings/{reading_id}",status="404"}'
        in figures
    )
    assert "01939c5e" not in figures
    assert "BREW" not in figures


async def test_a_slow_body_is_given_up(platform: Platform):
    here = changed(platform, request_timeout_seconds=1)
    async with serve(wrap(application(), here, log_stream=io.StringIO()), here.settings) as url:
        heard = await speak(
            url,
            b"POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"name":',
        )
    assert heard.startswith(b"HTTP/1.1 408")
    assert b"urn:fettle:problem:slow-request" in heard


async def test_a_slow_answer_is_given_up_and_a_live_stream_is_not(platform: Platform):
    here = changed(platform, request_timeout_seconds=1)
    async with (
        serve(wrap(application(), here, log_stream=io.StringIO()), here.settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        response = await client.get("/api/v1/slow")
        assert_problem(response, 503, "unavailable")
        assert int(response.headers["retry-after"]) >= 1
        assert "data: 2" in (await client.get("/api/v1/stream")).text


async def test_slow_and_endless_heads_are_given_up(platform: Platform):
    class Hasty(GuardedProtocol):
        header_seconds = 0.2

    here = changed(platform)
    async with serve(wrap(application(), here, log_stream=io.StringIO()), here.settings, http=Hasty) as url:
        assert await speak(url) == b""
        assert await speak(url, b"GET / HTTP/1.1\r\nHost: local") == b""
        many = b"".join(b"X-%d: a\r\n" % number for number in range(200))
        assert (await speak(url, b"GET / HTTP/1.1\r\n" + many + b"\r\n")).startswith(b"HTTP/1.1 400")
        long = b"X-Long: " + b"a" * 40_000
        assert b"200" not in (await speak(url, b"GET / HTTP/1.1\r\n" + long + b"\r\n\r\n"))[:12]


async def test_fields_after_the_body_are_no_headers(address: str):
    head = (
        b"POST /api/v1/readings HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: application/json\r\n\r\n"
    )
    body = b'c\r\n{"name":"a"}\r\n0\r\n'
    late = b"X-Request-ID: smuggled\r\nX-Tenant-ID: smuggled\r\n"
    for pieces in (
        [head + body + late + b"\r\n"],
        [head, body, late, b"\r\n"],
        [head + body, late * 2_000 + b"\r\n"],
    ):
        heard = await speak(address, *pieces)
        assert heard.startswith(b"HTTP/1.1 202"), heard
        assert b"smuggled" not in heard


async def test_what_is_no_json_is_guarded_as_a_page(client: httpx.AsyncClient):
    response = await client.get("/api/v1/stream")
    assert response.headers["referrer-policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
    assert re.search(r"script-src ([^;]*)", response.headers["content-security-policy"])[1] == "'self'"


async def test_too_many_requests_without_a_credential_are_refused(platform: Platform):
    here = changed(platform, rate_limit_per_minute=60)
    async with (
        serve(wrap(application(), here, log_stream=io.StringIO()), here.settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        await platform.redis.flushall()
        answers = [await client.get("/api/v1/readings") for _ in range(20)]
        refused = [answer for answer in answers if answer.status_code == 429]
        assert_problem(refused[0], 429, "rate-limited")
        assert int(refused[0].headers["retry-after"]) >= 1
        assert len(answers) - len(refused) <= 10


async def test_another_page_may_call_only_when_listed(platform: Platform):
    here = changed(platform, cors_origins=["https://console.example.com"])
    async with (
        serve(wrap(application(), here, log_stream=io.StringIO()), here.settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        listed = await client.get("/api/v1/readings", headers={"Origin": "https://console.example.com"})
        assert listed.headers["access-control-allow-origin"] == "https://console.example.com"
        for origin in ("null", "https://console.example.com.evil.example", "http://console.example.com"):
            other = await client.get("/api/v1/readings", headers={"Origin": origin})
            assert "access-control-allow-origin" not in other.headers
    for bad in ("*", "null", "https://x.example/path"):
        with pytest.raises(SettingsError, match="FETTLE_CORS_ORIGINS"):
            wrap(application(), changed(platform, cors_origins=[bad]))


async def test_a_connection_is_opened_for_our_own_pages_only(address: str):
    socket_url = address.replace("http://", "ws://") + "/api/v1/ws"
    async with connect(socket_url) as websocket:
        assert await websocket.recv() == "hello"
    async with connect(socket_url, origin=address) as websocket:
        assert await websocket.recv() == "hello"
    for origin in ("null", "http://evil.example", address + ".evil.example", "file://"):
        with pytest.raises(InvalidStatus) as refused:
            async with connect(socket_url, origin=origin):
                pass
        assert refused.value.response.status_code == 403


async def test_browsers_are_held_to_https_where_it_is_served(platform: Platform):
    here = changed(platform, public_url="https://fettle.example.com")
    async with (
        serve(wrap(application(), here, log_stream=io.StringIO()), here.settings) as url,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):
        response = await client.get("/api/v1/readings", headers={"Host": "fettle.example.com"})
        assert "max-age" in response.headers["strict-transport-security"]
