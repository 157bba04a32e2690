"""From an accepted exception to a watching reader, at 1,000 a second, against a bare commit and NOTIFY.

API, worker, PostgreSQL, Redis, the sender and the reader share the machine's cores. The floor is one connection
that inserts a row, commits and notifies, and another that hears of it, at the same pace.
"""

import asyncio
import contextlib
import time
from collections.abc import Collection
from typing import Any

import asyncpg
import orjson
import uvloop
from bench.environment import answers, environment, free_port, main, process, quantiles, row

from fettle.kernel.platform import Platform

PER_SECOND = 1_000
CONNECTIONS = 64
HOSTS = 20
WARM_UP_SECONDS = 1.5


def run(short: bool) -> dict[str, Any]:
    """Measure the live stream; `short` takes a few seconds."""
    return uvloop.run(_run(3.0 if short else 10.0))


async def _run(seconds: float) -> dict[str, Any]:
    async with environment() as here:
        floor = await _commit_and_notify(here.variables["FETTLE_DATABASE_URL"], seconds / 2)
        port = free_port()
        api = process("fettle.central.run", "api", ready=lambda: answers(port), FETTLE_PORT=str(port))
        worker = process("fettle.central.run", "worker", ready=lambda: True)
        with api, worker:
            seen = Reader()
            reading = asyncio.create_task(seen.read(port, here.api_key))
            await seen.ready.wait()
            await _until_published(here.platform)
            sender = Sender(port, here.api_key)
            for _ in range(2):
                await sender.send(WARM_UP_SECONDS)
                await seen.all_of(sender.accepted.keys())
            sender.forget()
            await sender.send(seconds)
            await seen.all_of(sender.accepted.keys())
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await reading
    from_accepted = [max(0.0, seen.accepted[key] - at) for key, at in sender.accepted.items()]
    from_sent = [seen.accepted[key] - at for key, at in sender.sent.items()]
    told = {name: value for name, value in quantiles(from_accepted).items() if name != "p50_ms"}
    answered = [sender.accepted[key] - at for key, at in sender.sent.items()]
    line = row(
        "accepted to seen on SSE, p50", floor=quantiles(floor)["p50_ms"], measured=quantiles(from_accepted)["p50_ms"],
        unit="ms", goal=10, more_is_better=False, **told,
        per_second=round(len(from_accepted) / seconds), sent_to_seen=quantiles(from_sent),
        sent_to_accepted=quantiles(answered), floor_p99_ms=quantiles(floor)["p99_ms"],
    )  # fmt: skip
    return {"benchmark": "live", "per_second": PER_SECOND, "rows": [line]}


class Reader:
    """Follows the stream and notes when it told of each exception."""

    def __init__(self) -> None:
        self.ready = asyncio.Event()
        self.accepted: dict[str, float] = {}
        self._news = asyncio.Event()

    async def all_of(self, wanted: Collection[str]) -> None:
        """Wait until the stream has told of all of them."""
        async with asyncio.timeout(60):
            while not all(key in self.accepted for key in wanted):
                self._news.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(1):
                        await self._news.wait()

    async def read(self, port: int, token: str) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
        head = (
            f"GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
        )
        writer.write(head.encode())
        async for line in reader:
            if line.startswith(b"retry:"):
                self.ready.set()
            elif line.startswith(b"data:") and b'"exception_accepted"' in line:
                now = time.perf_counter()
                self.accepted[orjson.loads(line[5:])["data"]["exception_id"]] = now
                self._news.set()
        raise RuntimeError("the stream ended before everything was told")


class Sender:
    """Sends exceptions at a steady pace, however long their answers take."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self._idle: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = asyncio.Queue()
        self._number = 0
        self.sent: dict[str, float] = {}
        self.accepted: dict[str, float] = {}

    async def send(self, seconds: float) -> None:
        """Send for so long and wait for every answer."""
        for _ in range(CONNECTIONS - self._idle.qsize()):
            self._idle.put_nowait(await asyncio.open_connection("127.0.0.1", self._port))
        began, under_way = time.perf_counter(), set()
        for number in range(int(seconds * PER_SECOND)):
            pause = began + number / PER_SECOND - time.perf_counter()
            if pause > 0:
                await asyncio.sleep(pause)
            under_way.add(task := asyncio.create_task(self._send_one()))
            task.add_done_callback(under_way.discard)
        await asyncio.gather(*under_way)

    def forget(self) -> None:
        """Begin to count."""
        self.sent.clear()
        self.accepted.clear()

    async def _send_one(self) -> None:
        reader, writer = await self._idle.get()
        self._number += 1
        body = b'{"check_type": "bench_check", "host": "host-%d"}' % (self._number % HOSTS)
        head = (
            f"POST /api/v1/exceptions HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {self._token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        at = time.perf_counter()
        writer.write(head.encode() + body)
        answer_head = await reader.readuntil(b"\r\n\r\n")
        length = int(answer_head.lower().split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        answer = orjson.loads(await reader.readexactly(length))
        self.accepted[answer["id"]] = time.perf_counter()
        self.sent[answer["id"]] = at
        self._idle.put_nowait((reader, writer))


async def _until_published(platform: Platform) -> None:
    """Wait until the worker has started and publishes: who publishes holds the one advisory lock there is."""
    async with asyncio.timeout(60):
        while True:
            async with platform.database.raw_system() as connection:
                if await connection.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"):
                    return
            await asyncio.sleep(0.1)


async def _commit_and_notify(url: str, seconds: float) -> list[float]:
    writing, hearing = await asyncpg.connect(url), await asyncpg.connect(url)
    await writing.execute("CREATE TABLE bare_notified (id bigint PRIMARY KEY, body text NOT NULL)")
    heard = asyncio.Event()
    await hearing.add_listener("bare", lambda *_: heard.set())
    taken, began = [], time.perf_counter()
    for number in range(int(seconds * PER_SECOND)):
        pause = began + number / PER_SECOND - time.perf_counter()
        if pause > 0:
            await asyncio.sleep(pause)
        heard.clear()
        at = time.perf_counter()
        async with writing.transaction():
            await writing.execute("INSERT INTO bare_notified VALUES ($1, $2)", number, "x" * 571)
            await writing.execute("NOTIFY bare")
        await heard.wait()
        taken.append(time.perf_counter() - at)
    await writing.close()
    await hearing.close()
    return taken


if __name__ == "__main__":
    main(run)
