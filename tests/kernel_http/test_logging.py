"""Logs are JSON, say whose work they are about, and hold no secret from whichever door it came in."""

import gzip
import io
import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
import structlog
from redis.asyncio import Redis

from fettle.kernel import context
from fettle.kernel.ids import new_id
from fettle.kernel.logging import configure_logging
from fettle.kernel.redis import connect_redis, ping, tenant_key
from fettle.kernel.settings import SettingsError, load_settings
from fettle.kernel.telemetry import clean_report, report, start_telemetry


@pytest.fixture
def out(tmp_path: Path) -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    configure_logging(load_settings(home=tmp_path, log_format="json"), stream=stream)
    yield stream
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_json_and_says_whose_work_it_is_about(out: io.StringIO):
    tokens = [context.request_id.set("r-1"), context.tenant_id.set("t-1"), context.actor.set("user:ada")]
    structlog.get_logger("fettle.test").info("incident opened", number=7)
    context.request_id.reset(tokens[0])
    context.tenant_id.reset(tokens[1])
    context.actor.reset(tokens[2])
    (line,) = lines(out)
    assert line["event"] == "incident opened"
    assert line["level"] == "info"
    assert line["logger"] == "fettle.test"
    assert (line["request_id"], line["tenant_id"], line["actor"], line["number"]) == (
        "r-1",
        "t-1",
        "user:ada",
        7,
    )
    assert line["at"].endswith("Z")


CANARY = "canary-7f3a"


def connect(secret: str) -> None:
    raise ValueError(f"cannot connect with password={secret}")


class Odd:
    def __repr__(self) -> str:
        return "Odd(password='canary-7f3a')"


@pytest.mark.parametrize(
    "event",
    [
        {"password": "canary-7f3a"},
        {"headers": {"Authorization": "Bearer canary-7f3a"}},
        {"url": "postgresql://u:canary-7f3a@db/x"},
        {"detail": Odd()},
        {"detail": ["token=canary-7f3a"]},
        {"detail": ("token=canary-7f3a",)},
        {"detail": b"token=canary-7f3a"},
        {"detail": {1: {"client_secret": "canary-7f3a"}}},
    ],
)
def test_no_secret_reaches_a_line(out: io.StringIO, event: dict[str, Any]):
    structlog.get_logger("fettle.test").warning("something happened", **event)
    logging.getLogger("other.library").warning("it said password=%s", "canary-7f3a")
    assert len(lines(out)) == 2
    assert "canary" not in out.getvalue()


def test_an_exception_is_written_without_its_secrets_or_variables(out: io.StringIO):
    try:
        connect(CANARY)
    except ValueError:
        structlog.get_logger("fettle.test").exception("failed")
        logging.getLogger("other.library").exception("failed too")
    first, second = lines(out)
    assert "ValueError: cannot connect with password=[redacted:secret]" in first["exception"]
    assert "ValueError" in second["exception"]
    assert "canary" not in out.getvalue()


def test_what_json_cannot_hold_is_still_logged(out: io.StringIO):
    loop: list[Any] = []
    loop.append(loop)
    structlog.get_logger("fettle.test").info("odd", big=2**70, text="\ud800", loop=loop, set={1}, id=new_id())
    assert lines(out)[0]["big"] == str(2**70)


def test_levels_and_noise_are_kept_down(out: io.StringIO):
    structlog.get_logger("fettle.test").debug("too much")
    logging.getLogger("uvicorn.access").info("GET /?token=canary")
    logging.getLogger("httpx").info("HTTP Request: GET http://x/?token=canary")
    assert out.getvalue() == ""


def test_a_terminal_gets_readable_lines(tmp_path: Path, out: io.StringIO):
    configure_logging(load_settings(home=tmp_path, log_format="console"), stream=out)
    structlog.get_logger("fettle.test").info("ready", address="http://127.0.0.1:8321")
    assert "ready" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_nothing_is_reported_unless_asked_for_and_allowed(tmp_path: Path):
    dsn = "https://key@sentry.example.com/1"
    assert start_telemetry(load_settings(home=tmp_path)) is False
    assert start_telemetry(load_settings(home=tmp_path, sentry_dsn=dsn)) is False
    assert not sentry_sdk.get_client().is_active()


def test_an_allowed_report_arrives_and_holds_no_secret(tmp_path: Path):
    received: list[bytes] = []

    class Sink(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Sink) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        dsn = f"http://key@127.0.0.1:{server.server_port}/1"
        try:
            assert start_telemetry(load_settings(home=tmp_path, sentry_dsn=dsn, sovereign=False)) is True
            try:
                connect(CANARY)
            except ValueError as error:
                report(error)
            sentry_sdk.flush(timeout=60)
        finally:
            sentry_sdk.get_client().close()
            sentry_sdk.get_global_scope().set_client(None)
            server.shutdown()
    sent = b"".join(gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body for body in received)
    assert b"cannot connect with password=[redacted:secret]" in sent
    assert b"canary" not in sent


def test_a_report_holds_no_secret_and_no_person():
    report = clean_report(
        {
            "user": {"ip_address": "10.0.0.1"},
            "request": {"cookies": "sid=canary-7f3a"},
            "server_name": "web-01",
            "tags": {"password": "canary-7f3a"},
            "exception": {"values": [{"type": "ValueError", "value": "password=canary-7f3a"}]},
        },
        {},
    )
    assert "canary" not in json.dumps(report)
    assert set(report) == {"tags", "exception"}


async def test_redis_answers_and_its_keys_begin_with_the_tenant(tmp_path: Path, redis_url: str):
    client = connect_redis(load_settings(home=tmp_path, redis_url=redis_url))
    assert isinstance(client, Redis)
    assert await ping(client) > 0
    await client.aclose()
    tenant = new_id()
    assert tenant_key(tenant, "live", "cursor") == f"fettle:{tenant}:live:cursor"
    for bad in (("a:b",), ("",), ()):
        with pytest.raises(ValueError):
            tenant_key(tenant, *bad)
    with pytest.raises(ValueError):
        tenant_key("*", "live")


def test_a_redis_that_is_none_is_named(tmp_path: Path):
    with pytest.raises(SettingsError, match="FETTLE_REDIS_URL"):
        connect_redis(load_settings(home=tmp_path))
    with pytest.raises(SettingsError, match="FETTLE_REDIS_URL"):
        connect_redis(load_settings(home=tmp_path, redis_url="http://example.com"))
