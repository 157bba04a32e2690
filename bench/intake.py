"""Intake over HTTP against its floors: single on the hot route, batch, and an ordinary write.

Client, server and PostgreSQL share the machine's cores, for the floor and for Fettle alike. Each ratio is the
median over rounds in which the floor and Fettle had a slice each, so that a busy machine costs both the same.

The floors of a single exception and of an ordinary write are one process each, and so is Fettle there. The floor of
batches keeps both cores busy over two connections; there Fettle has a process for each core (`FETTLE_API_PROCESSES`).
"""

import asyncio
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager
from statistics import median
from typing import Any

import asyncpg
from bench.bare_ingest import TABLES
from bench.environment import ROOT, Environment, answers, environment, free_ports, main, process, row
from bench.load import parent_of, request_of

from fettle.kernel.ids import new_id

CLIENTS = 64
BATCH = 1_000
BATCH_CLIENTS = 4
PROCESSES = os.cpu_count() or 1
"""Of the API, for batches."""


def exception_body() -> bytes:
    """Return an exception of 571 bytes."""
    body = {
        "check_type": "bench_check", "host": "front-desk-3", "site": "main-street", "platform": "linux",
        "severity": "high", "summary": "The service's file is not as it was declared", "details": {"mode": "0644"},
    }  # fmt: skip
    body["details"]["padding"] = "x" * (571 - len(json.dumps(body)) - len(', "padding": ""'))  # type: ignore[index]  # details is a mapping of its own
    return json.dumps(body).encode()


def run(short: bool) -> dict[str, Any]:
    """Measure intake; `short` takes a few seconds for each line."""
    return asyncio.run(_run(rounds=5 if short else 15, seconds=0.6 if short else 1.5))


async def _run(*, rounds: int, seconds: float) -> dict[str, Any]:
    single = exception_body()
    batch = b'{"items": [' + b",".join([single] * BATCH) + b"]}"
    async with environment() as here, _copiers(here) as copiers:
        postgres = parent_of(copiers[0].get_server_pid()) or 0
        bare, plain, *ours = free_ports(2 + PROCESSES)

        def serve(port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
            return process("fettle.central.run", "api", ready=lambda: answers(port), FETTLE_PORT=str(port))

        def side(
            servers: Mapping[int, int], path: str, body: bytes, clients: int = CLIENTS
        ) -> dict[str, Any]:
            token = here.api_key if servers.keys() <= set(ours) else None
            return {
                "ports": list(servers), "request": request_of(path, body, token).decode(), "clients": clients,
                "pids": {"server": list(servers.values()), "postgres": [postgres]},
            }  # fmt: skip

        with (
            process("bench.bare_ingest", str(bare), ready=lambda: answers(bare)) as bare_server,
            process(
                "bench.bare_ingest", str(plain), "--fastapi", ready=lambda: answers(plain)
            ) as plain_server,
            contextlib.ExitStack() as stack,
        ):
            alone = {ours[0]: stack.enter_context(serve(ours[0])).pid}
            hot = side(alone, "/api/v1/exceptions", single)
            ordinary = side(alone, "/api/v1/hooks/alertmanager", _notification())
            rows = [
                _row(
                    "single, hot route",
                    _in_turn([side({bare: bare_server.pid}, "/", single), hot], rounds, seconds),
                    0.5,
                ),
                _row(
                    "ordinary write (FastAPI route)",
                    _in_turn([side({plain: plain_server.pid}, "/", single), ordinary], rounds, seconds),
                    0.7,
                ),
            ]
            all_of_it = alone | {port: stack.enter_context(serve(port)).pid for port in ours[1:]}
            many = side(all_of_it, "/api/v1/exceptions/batch", batch, BATCH_CLIENTS)
            rows.append(await _batch_row(copiers, single.decode(), many, rounds, seconds))
    return {"benchmark": "intake", "clients": CLIENTS, "rounds": rounds, "rows": rows}


def _in_turn(sides: Sequence[dict[str, Any]], rounds: int, seconds: float) -> list[list[dict[str, Any]]]:
    """Load each side in its turn, after a first round that only warms them."""
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump({"rounds": rounds + 1, "seconds": seconds, "sides": sides}, file)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "bench.load", file.name], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)[1:]
    for measured in (one for sliced in found for one in sliced):
        if wrong := {status: n for status, n in measured["statuses"].items() if status != "202"}:
            raise RuntimeError(f"not everything was accepted: {wrong}")
    return found


def _row(name: str, rounds: list[list[dict[str, Any]]], goal: float) -> dict[str, Any]:
    floors, ours = zip(*rounds, strict=True)
    return _paired(
        name,
        [floor["per_second"] for floor in floors],
        [measured["per_second"] for measured in ours],
        "requests/s",
        goal,
        floor_p99_ms=round(median(floor["p99_ms"] for floor in floors), 2),
        floor_cpu_us=_cpu(floors),
        **_told(ours),
    )


def _paired(
    name: str, floors: Sequence[float], measured: Sequence[float], unit: str, goal: float, **extra: Any
) -> dict[str, Any]:
    """Return a line whose ratio is the median of the rounds' own ratios."""
    ratio = median(here / floor for floor, here in zip(floors, measured, strict=True))
    floor = median(floors)
    return row(name, floor=floor, measured=ratio * floor, unit=unit, goal=goal, **extra)


def _told(measured: Sequence[dict[str, Any]], each: int = 1) -> dict[str, Any]:
    return {
        "p50_ms": round(median(one["p50_ms"] for one in measured), 2),
        "p99_ms": round(median(one["p99_ms"] for one in measured), 2),
        "cpu_us": _cpu(measured, each),
    }


def _cpu(measured: Sequence[dict[str, Any]], each: int = 1) -> dict[str, float]:
    """Return the processor time that one request, or one of its events, cost each part."""
    parts = measured[0]["cpu_us"]
    return {part: round(median(one["cpu_us"][part] for one in measured) / each, 1) for part in parts}


async def _batch_row(
    copiers: Sequence[asyncpg.Connection], text: str, side: dict[str, Any], rounds: int, seconds: float
) -> dict[str, Any]:
    floors, ours = [], []
    for _ in range(rounds):
        floors.append(await _copy(copiers, text, seconds))
        ours += [many for (many,) in await asyncio.to_thread(_in_turn, [side], 1, seconds)]
    rates = [BATCH * many["per_second"] for many in ours]
    name = f"batch of {BATCH:,}, {PROCESSES} API processes"
    return _paired(name, floors, rates, "events/s", 0.4, **_told(ours, BATCH))


@contextlib.asynccontextmanager
async def _copiers(here: Environment) -> AsyncIterator[list[asyncpg.Connection]]:
    """Open the two connections of the floor of batches, and make the tables of all floors."""
    opened = [await asyncpg.connect(here.variables["FETTLE_DATABASE_URL"]) for _ in range(2)]
    try:
        await opened[0].execute(TABLES)
        for connection in opened:
            await connection.set_type_codec(
                "jsonb",
                schema="pg_catalog",
                format="binary",
                encoder=lambda text: b"\x01" + text.encode(),
                decoder=bytes,
            )
        yield opened
    finally:
        for connection in opened:
            await connection.close()


async def _copy(connections: Sequence[asyncpg.Connection], text: str, seconds: float) -> float:
    """Return how many events a second COPY writes over two connections, 1,000 at a time."""
    began = time.perf_counter()

    async def write(connection: asyncpg.Connection) -> int:
        written = 0
        while time.perf_counter() - began < seconds:
            records = [(new_id(), text) for _ in range(BATCH)]
            await connection.copy_records_to_table("bare_events", records=records)
            written += BATCH
        return written

    written = sum(await asyncio.gather(*map(write, connections)))
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
