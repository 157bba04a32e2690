"""Ten thousand exceptions in a minute: what is accepted, what is lost, what people see of it, and how intake holds.

The API, a worker, PostgreSQL, a receiver of messages and this program share the machine's cores. Each exception is a
request of its own, from another host of one site, of a check that no rule heals, at an even pace, whatever the
answers take. The tenant's policy lets a storm begin at `LIMIT` new ones within a minute, as the shipped one does, and
one webhook tells of every incident.

- ``accepted and counted``: exceptions that an incident counts; the floor is what was answered 202, so 1 is none lost.
- ``incidents`` and ``messages``: the floor is the number of exceptions. Messages are those of the normal pace, too:
  what comes within minutes of it is told under the one message that counts.
- ``intake in the storm, p95``: from the request to its 202; the floor is the same at a normal pace before it.
"""

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop
from bench.environment import Environment, answers, environment, free_port, main, process, quantiles, row
from tests.escalation.conftest import WEBHOOK_SECRET, Rig, put_secrets
from tests.escalation.world import World

from fettle.healing.escalation.sending import Sender
from fettle.packs.policies import put_policy

EXCEPTIONS = 10_000
SECONDS = 60.0
NORMAL_PER_SECOND = 10
LIMIT = 200
CONNECTIONS = 32
_PATIENCE_SECONDS = 180.0

_COUNTED = """
SELECT (SELECT count(*) FROM events WHERE tenant_id = $1 AND type = 'exception.ingested') AS ingested,
  (SELECT count(DISTINCT exception_id) FROM incident_exceptions WHERE tenant_id = $1) AS counted,
  (SELECT count(*) FROM incidents WHERE tenant_id = $1) AS incidents,
  (SELECT count(*) FROM incidents WHERE tenant_id = $1 AND source = 'fettle:storm') AS storms,
  (SELECT count(*) FROM incidents i WHERE tenant_id = $1 AND NOT EXISTS (
     SELECT FROM escalations e WHERE e.tenant_id = $1 AND e.incident_id = i.id))
  + (SELECT count(*) FROM escalations WHERE tenant_id = $1 AND due_at <= now())
  + (SELECT count(*) FROM escalation_deliveries WHERE tenant_id = $1 AND state IN ('queued', 'sending')) AS waiting
"""


@dataclass
class Phase:
    """What came of one pace."""

    seconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)


def run(short: bool) -> dict[str, Any]:
    """Measure; `short` is the same pace for a sixth of the time."""
    share = 6 if short else 1
    return uvloop.run(_run(EXCEPTIONS // share, SECONDS / share, 5.0 if short else 15.0))


async def _run(count: int, seconds: float, normal_seconds: float) -> dict[str, Any]:
    async with World(webhook_secret=WEBHOOK_SECRET).open() as world, environment() as here:
        await _let_storm(here, world)
        port = free_port()
        parts = {"FETTLE_EGRESS_ALLOW": f"127.0.0.1:{world.port}", "FETTLE_PORT": str(port)}
        with (
            process("fettle.central.run", "api", ready=lambda: answers(port), **parts),
            process("fettle.central.run", "worker", ready=lambda: True, **parts),
        ):
            sender = _Sender(port, here.api_key)
            await _send(sender, 3 * NORMAL_PER_SECOND, 3.0, "warm")
            usual = int(NORMAL_PER_SECOND * normal_seconds)
            normal = await _send(sender, usual, normal_seconds, "normal")
            before = await _settled(here, 3 * NORMAL_PER_SECOND + usual)
            storm = await _send(sender, count, seconds, "storm")
            began = time.perf_counter()
            after = await _settled(here, before["counted"] + storm.statuses[202])
            behind = time.perf_counter() - began
    accepted, counted = storm.statuses[202], after["counted"] - before["counted"]
    calm, wild = quantiles(normal.seconds), quantiles(storm.seconds)
    incidents, messages = after["incidents"] - before["incidents"], len(world.taken)
    return {
        "benchmark": "storm",
        "rows": [
            row(
                "accepted of what was sent", floor=count, measured=accepted, unit="exceptions", goal=1.0,
                answers=dict(storm.statuses), seconds=seconds,
            ),
            row(
                "accepted and counted", floor=accepted, measured=counted, unit="exceptions", goal=1.0,
                lost=accepted - counted, done_seconds_after=round(behind, 2),
            ),
            row(
                "incidents", floor=count, measured=incidents, unit="of exceptions",
                goal=(LIMIT + 1) / count, more_is_better=False, storms=after["storms"],
            ),
            row("messages", floor=count, measured=messages, unit="of exceptions", goal=0.01, more_is_better=False),
            row(
                "intake in the storm, p95", floor=calm["p95_ms"], measured=wild["p95_ms"], unit="ms", goal=2.0,
                more_is_better=False, normal=calm, storm=wild,
            ),
        ],
    }  # fmt: skip


class _Connection(asyncio.Protocol):
    """One request after the other; as little of this process's time as can be, for it is measured with."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._status: asyncio.Future[int] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        start = head.lower().find(b"content-length:")
        if found and start >= 0 and len(body) >= int(head[start + 15 :].split(b"\r\n", 1)[0]):
            self._buffer = b""
            assert self._status is not None
            self._status.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._status is not None and not self._status.done():
            self._status.set_exception(exc or ConnectionError("The API closed the connection."))

    async def ask(self, request: bytes) -> int:
        """Send a request and return the status of its answer."""
        assert self._transport is not None
        self._status = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._status

    def close(self) -> None:
        """Close it."""
        if self._transport is not None:
            self._transport.close()


@dataclass
class _Sender:
    """A program that reports, over some connections; what is due waits for one that is free."""

    port: int
    api_key: str
    free: asyncio.Queue[_Connection] = field(default_factory=asyncio.Queue)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Hold the connections; anew for each pace, for the API closes what is idle."""
        loop = asyncio.get_running_loop()
        made = [
            (await loop.create_connection(_Connection, "127.0.0.1", self.port))[1] for _ in range(CONNECTIONS)
        ]
        for connection in made:
            self.free.put_nowait(connection)
        try:
            yield
        finally:
            self.free = asyncio.Queue()
            for connection in made:
                connection.close()

    async def report(self, name: str, number: int) -> int:
        """Report one exception and return the answer's status."""
        body = json.dumps(_exception(name, number)).encode()
        head = (
            f"POST /api/v1/exceptions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self.api_key}\r\n"
            f"Idempotency-Key: {name}-{number}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        connection = await self.free.get()
        try:
            return await connection.ask(head.encode() + body)
        finally:
            self.free.put_nowait(connection)


async def _send(sender: _Sender, count: int, seconds: float, name: str) -> Phase:
    """Send so many at an even pace, each when it is due, and wait for every answer; latency is from when it was due."""
    phase = Phase()
    sending = set[asyncio.Task[None]]()

    async def one(number: int, due: float) -> None:
        status = await sender.report(name, number)
        phase.seconds.append(time.perf_counter() - due)
        phase.statuses[status] += 1

    async with sender.connected():
        began = time.perf_counter()
        for number in range(count):
            due = began + number * seconds / count
            wait = due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            sending.add(asyncio.create_task(one(number, due)))
        await asyncio.gather(*sending)
    return phase


async def _settled(here: Environment, wanted: int) -> dict[str, int]:
    """Wait until so many exceptions are counted, each incident has its clock, and every message has left."""
    until = time.perf_counter() + _PATIENCE_SECONDS
    while True:
        async with here.platform.database.raw_system() as connection:
            found = dict(await connection.fetchrow(_COUNTED, here.tenant_id))
        if (found["counted"] >= wanted and not found["waiting"]) or time.perf_counter() > until:
            return found
        await asyncio.sleep(0.5)


async def _let_storm(here: Environment, world: World) -> None:
    """Give the tenant a policy with storms, and somebody who is told of everything at once."""
    policy = {
        "id": "bench", "version": "1.0.0", "schema_version": 1, "title": "Storm", "autonomy": "act",
        "storm": {"incidents": LIMIT, "window_seconds": 60},
    }  # fmt: skip
    async with here.platform.database.tenant(here.tenant_id) as session:
        await put_policy(session, here.tenant_id, policy, actor="system:bench")
    await put_secrets(here.platform, here.tenant_id, world)
    rig = Rig(here.platform, world, here.tenant_id, Sender(here.platform))
    channel = await rig.channel("webhook")
    many = {"threshold": 10, "window_seconds": 300, "update_seconds": 300}
    await rig.policy(([{"channel_id": channel}], 3_600), storm=many)


def _exception(name: str, number: int) -> dict[str, Any]:
    return {
        "check_type": f"bench_{name}", "host": f"{name}-{number}", "platform": "linux", "site": "main-street",
        "severity": "high",
        "summary": "The host does not answer any more", "details": {"last_seen_seconds": 90},
    }  # fmt: skip


if __name__ == "__main__":
    main(run)
