"""The ten hottest reads with a million incidents of two hundred tenants, against their own statements alone.

The floor of each read is a bare ASGI application that sends the very statements which the route sends, under
row-level security with the tenant bound, and answers the very bytes: what is left of the API when all but
PostgreSQL is taken away. Both are served by a process for each processor core, as one would have them, and
loaded in turn, so that a busy machine costs both the same. With each read come the number of its statements,
beside those that begin and end its transaction, and the plan of each.
"""

import asyncio
import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from bench.environment import ROOT, answers, environment, free_ports, main, process, row
from bench.load import request_of
from bench.many_incidents import fill
from bench.statements import Statement, plan_of, recorded

GOAL = 0.5
BIG_TABLES = frozenset(
    {"incidents", "events", "incident_exceptions", "evidence_bundles", "approvals", "playbook_runs"}
)
_CLIENTS = 16
_PROCESSES = os.cpu_count() or 1
_LOOPBACK = "http://127.0.0.1"


@dataclass(frozen=True)
class Read:
    """A read that people and programs ask for all day.

    Attributes:
        name: What it is.
        path: With ``{incident}`` and ``{deep}`` for an incident and for the cursor of a page far down the list.
        queries: How many statements it may send, those of its transaction aside.
    """

    name: str
    path: str
    queries: int


READS = (
    Read("incidents, first page", "/api/v1/incidents", 1),
    Read("incidents, a page far down", "/api/v1/incidents?cursor={deep}", 1),
    Read("incidents of a state", "/api/v1/incidents?state=escalated&state=awaiting_approval", 1),
    Read("incidents of a host", "/api/v1/incidents?host=host-13", 1),
    Read("incidents, gravest first", "/api/v1/incidents?sort=severity&limit=20", 1),
    Read("one incident", "/api/v1/incidents/{incident}", 1),
    Read("its timeline", "/api/v1/incidents/{incident}/timeline", 1),
    Read("its evidence", "/api/v1/evidence?incident_id={incident}", 1),
    Read("its runs", "/api/v1/runs?incident_id={incident}", 1),
    Read("approvals that wait", "/api/v1/approvals?state=pending", 1),
)


@dataclass(frozen=True)
class Looked:
    """What a read did when it was tried once."""

    read: Read
    path: str
    answer: bytes
    statements: Sequence[Statement]
    plans: Sequence[Sequence[str]]

    @property
    def whole_tables(self) -> list[str]:
        """The large tables that it reads from end to end."""
        nodes = [node for plan in self.plans for node in plan]
        return [node for node in nodes if node.startswith("Seq Scan") and node.split()[-1] in BIG_TABLES]


def run(short: bool) -> dict[str, Any]:
    """Measure the reads; `short` with 20,000 incidents for some seconds."""
    incidents, rounds, seconds = (20_000, 3, 0.4) if short else (1_000_000, 7, 1.5)
    return asyncio.run(_run(incidents, rounds, seconds))


async def _run(incidents: int, rounds: int, seconds: float) -> dict[str, Any]:
    async with environment() as here:
        await fill(here.variables, here.tenant_id, incidents)
        key = await reader_key(here.platform, here.tenant_id)
        looked = await look(here.platform, here.tenant_id, key)
        with tempfile.NamedTemporaryFile() as file:
            file.write(pickle.dumps(_floor_of(looked, here.tenant_id)))
            file.flush()
            with ExitStack() as stack:
                sides = [
                    {port: stack.enter_context(serve(port)).pid for port in free_ports(_PROCESSES)}
                    for serve in (partial(_bare, file.name), _ours)
                ]
                rows = [_row(one, _in_turn(one, sides, key, rounds, seconds)) for one in looked]
    return {
        "benchmark": "reads",
        "incidents": incidents,
        "clients": _CLIENTS,
        "processes": _PROCESSES,
        "rows": rows,
    }


def _bare(reads: str, port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return process("bench.bare_reads", str(port), reads, ready=lambda: answers(port))


def _ours(port: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    return process("fettle.central.run", "api", ready=lambda: answers(port), FETTLE_PORT=str(port))


async def look(
    platform: Any, tenant_id: UUID, key: str, reads: Sequence[Read] = READS, *, forced: bool = False
) -> list[Looked]:
    """Try each read once, in this process, and tell what it sent and how PostgreSQL goes about it.

    Args:
        platform: Says where the database is; connections of its own are opened.
        tenant_id: Whose data it is.
        key: An API key that may read.
        reads: What to try.
        forced: As in `plan_of`.
    """
    from fettle.central.app import create_app
    from fettle.kernel.database import Database
    from fettle.kernel.platform import Platform

    with recorded() as heard:
        database = await Database.connect(platform.settings)
        trial = Platform(
            settings=platform.settings, database=database, redis=platform.redis, parts=dict(platform.parts)
        )
        transport = httpx.ASGITransport(create_app(trial))
        headers = {"Authorization": f"Bearer {key}"}
        connection = await asyncpg.connect(platform.settings.database_app_url.get_secret_value())
        try:
            async with httpx.AsyncClient(transport=transport, base_url=_LOOPBACK, headers=headers) as client:
                places = await _places(client)
                return [
                    await _try(client, connection, tenant_id, read, places, heard, forced) for read in reads
                ]
        finally:
            await connection.close()
            await database.close()


async def _places(client: httpx.AsyncClient) -> dict[str, str]:
    """Return an incident that has evidence and a run, and the cursor of a page far down."""
    places = {"incident": await _sealed_and_run(client), "deep": ""}
    answer = (await client.get("/api/v1/incidents?limit=200")).raise_for_status().json()
    for _ in range(20):
        if answer["next_cursor"] is None:
            break
        places["deep"] = answer["next_cursor"]
        answer = (
            await client.get("/api/v1/incidents", params={"limit": 200, "cursor": places["deep"]})
        ).json()
    return places


async def _sealed_and_run(client: httpx.AsyncClient) -> str:
    sealed = (await client.get("/api/v1/evidence?limit=200")).raise_for_status().json()["items"]
    for incident in (str(item["incident_id"]) for item in sealed):
        runs = (await client.get("/api/v1/runs", params={"incident_id": incident})).raise_for_status()
        if runs.json()["items"]:
            return incident
    raise RuntimeError("none of the newest incidents has both evidence and a run")


async def _try(
    client: httpx.AsyncClient, connection: asyncpg.Connection, tenant_id: UUID, read: Read,
    places: Mapping[str, str], heard: list[Statement], forced: bool,
) -> Looked:  # fmt: skip
    path = read.path.format_map(places)
    # The first time signs in and fills what is remembered of a caller.
    await client.get(path)
    heard.clear()
    answer = (await client.get(path)).raise_for_status()
    statements = [statement for statement in heard if not statement.is_frame]
    plans = [await plan_of(connection, tenant_id, one, forced=forced) for one in statements]
    return Looked(read, path, answer.content, statements, plans)


def _floor_of(looked: Sequence[Looked], tenant_id: UUID) -> dict[str, Any]:
    """Return what the floor sends and answers, by path and query."""
    floors = {}
    for one in looked:
        path, _, query = one.path.partition("?")
        sent = [(statement.sql, statement.arguments) for statement in one.statements]
        framed = not all(statement.binds for statement in one.statements)
        floors[f"{path}?{query}"] = (str(tenant_id), framed, sent, one.answer)
    return floors


def _in_turn(
    one: Looked, served: Sequence[Mapping[int, int]], key: str, rounds: int, seconds: float
) -> list[list[dict[str, Any]]]:
    sides = [
        {
            "ports": list(pids), "request": request_of(one.path, None, key).decode(), "clients": _CLIENTS,
            "pids": {"server": list(pids.values())},
        }
        for pids in served
    ]  # fmt: skip
    with tempfile.NamedTemporaryFile("w") as file:
        json.dump({"rounds": rounds + 1, "seconds": seconds, "sides": sides}, file)
        file.flush()
        done = subprocess.run(
            [sys.executable, "-m", "bench.load", file.name], cwd=ROOT, stdout=subprocess.PIPE, check=True
        )
    found: list[list[dict[str, Any]]] = json.loads(done.stdout)[1:]
    for measured in (side for sliced in found for side in sliced):
        if set(measured["statuses"]) != {"200"}:
            raise RuntimeError(f"{one.path} was not always answered: {measured['statuses']}")
    return found


def _row(one: Looked, rounds: list[list[dict[str, Any]]]) -> dict[str, Any]:
    floors, ours = zip(*rounds, strict=True)
    ratio = median(here["per_second"] / floor["per_second"] for floor, here in rounds)
    floor = median(measured["per_second"] for measured in floors)
    return row(
        one.read.name,
        floor=floor,
        measured=ratio * floor,
        unit="requests/s",
        goal=GOAL,
        queries=len(one.statements),
        plan=[node for plan in one.plans for node in plan],
        whole_tables=one.whole_tables,
        bytes=len(one.answer),
        floor_cpu_us=round(median(measured["cpu_us"]["server"] for measured in floors)),
        cpu_us=round(median(measured["cpu_us"]["server"] for measured in ours)),
        p99_ms=round(median(measured["p99_ms"] for measured in ours), 2),
    )


async def reader_key(platform: Any, tenant_id: UUID) -> str:
    """Return a new API key that may read whatever a key may."""
    from fettle.identity.api_keys import create_api_key
    from fettle.identity.audit import Who
    from fettle.identity.authentication import Access
    from fettle.identity.permissions import KEY_SCOPES, PERMISSIONS
    from fettle.kernel.ids import new_id

    access = Access(new_id(), None, "system:bench", tenant_id, frozenset(PERMISSIONS))
    async with platform.database.tenant(tenant_id) as session:
        made = await create_api_key(
            session, access, Who("system:bench", None), name="reads", expires_at=None,
            scopes=sorted(scope for scope in KEY_SCOPES if scope.endswith(":read")),
        )  # fmt: skip
    return made.text


if __name__ == "__main__":
    main(run)
