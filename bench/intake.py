"""Intake over HTTP against its floors: single on the hot route, batch, and an ordinary write.

Client, server and PostgreSQL share the machine's cores, for the floor and for Fettle alike.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
from bench.environment import ROOT, Environment, answers, environment, free_port, main, process, row

from fettle.kernel.ids import new_id

CLIENTS = 64
BATCH = 1_000


def exception_body() -> bytes:
    """Return an exception of 571 bytes."""
    body = {
        "check_type": "bench_check", "host": "front-desk-3", "site": "main-street", "platform": "linux",
        "severity": "high", "summary": "The service's file is not as it was declared", "details": {"mode": "0644"},
    }  # fmt: skip
    body["details"]["padding"] = "x" * (571 - len(json.dumps(body)) - len(', "padding": ""'))  # type: ignore[index]
    return json.dumps(body).encode()


def run(short: bool) -> dict[str, Any]:
    """Measure intake; `short` takes a few seconds for each line."""
    return asyncio.run(_run(3.0 if short else 12.0))


async def _run(seconds: float) -> dict[str, Any]:
    rows: list[dict[str, Any]] = []
    async with environment() as here:
        connection = await asyncpg.connect(here.variables["FETTLE_DATABASE_URL"])
        from bench.bare_ingest import TABLES

        await connection.execute(TABLES)
        single, batch = exception_body(), exception_body()
        batch = b'{"items": [' + b",".join([single] * BATCH) + b"]}"
        port = free_port()
        with process("bench.bare_ingest", str(port), ready=lambda: answers(port)):
            bare = _load(port, "/", single, seconds)
        port = free_port()
        with process("bench.bare_ingest", str(port), "--fastapi", ready=lambda: answers(port)):
            plain = _load(port, "/", single, seconds)
        copied = await _copy(connection, single, seconds / 3)
        await connection.close()
        port = free_port()
        with process("fettle.central.run", "api", ready=lambda: answers(port), FETTLE_PORT=str(port)):
            hot = _load(port, "/api/v1/exceptions", single, seconds, here)
            ordinary = _load(port, "/api/v1/hooks/alertmanager", _notification(), seconds, here)
            many = _load(port, "/api/v1/exceptions/batch", batch, seconds, here, clients=4)
    rows.append(_row("single, hot route", bare, hot, 0.5))
    rows.append(_row("ordinary write (FastAPI route)", plain, ordinary, 0.7))
    many["per_second"] *= BATCH
    rows.append(
        row(
            "batch of 1,000",
            floor=copied,
            measured=many["per_second"],
            unit="events/s",
            goal=0.4,
            **_latency(many),
        )
    )
    return {"benchmark": "intake", "clients": CLIENTS, "rows": rows}


def _row(name: str, floor: dict[str, Any], measured: dict[str, Any], goal: float) -> dict[str, Any]:
    return row(
        name, floor=floor["per_second"], measured=measured["per_second"], unit="requests/s", goal=goal,
        floor_p99_ms=round(floor["p99_ms"], 2), **_latency(measured),
    )  # fmt: skip


def _latency(measured: dict[str, Any]) -> dict[str, Any]:
    wrong = {status: n for status, n in measured["statuses"].items() if status != "202"}
    if wrong:
        raise RuntimeError(f"not everything was accepted: {wrong}")
    return {"p50_ms": round(measured["p50_ms"], 2), "p99_ms": round(measured["p99_ms"], 2)}


def _load(
    port: int, path: str, body: bytes, seconds: float, here: Environment | None = None, clients: int = CLIENTS
) -> dict[str, Any]:
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(body)
        arguments = [str(port), path, str(clients), str(seconds), file.name]
        if here is not None:
            arguments.append(here.api_key)
        warm = [*arguments]
        warm[3] = "0.5"
        for wanted in (warm, arguments):
            done = subprocess.run(
                [sys.executable, "-m", "bench.load", *wanted], cwd=ROOT, capture_output=True, check=True
            )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


async def _copy(connection: asyncpg.Connection, body: bytes, seconds: float) -> float:
    """Events per second that COPY writes, 1,000 at a time, into a table of the floor's shape."""
    text = body.decode()
    began, written = time.perf_counter(), 0
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        format="binary",
        encoder=lambda text: b"\x01" + text.encode(),
        decoder=bytes,
    )
    while time.perf_counter() - began < seconds:
        await connection.copy_records_to_table(
            "bare_events", records=[(new_id(), text) for _ in range(BATCH)]
        )
        written += BATCH
    return written / (time.perf_counter() - began)


def _notification() -> bytes:
    alert = {
        "status": "firing",
        "labels": {"alertname": "BenchAlert", "instance": "files-1:9100", "severity": "warning"},
        "annotations": {"summary": "Less than 5 % left on the volume of the practice's documents"},
        "startsAt": "2026-11-20T08:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "fingerprint": "c5b1e4d2a9f60713",
    }  # fmt: skip
    return json.dumps(
        {"version": "4", "status": "firing", "receiver": "fettle", "groupKey": "{}", "alerts": [alert]}
    ).encode()


if __name__ == "__main__":
    main(run)
