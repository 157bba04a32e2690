"""A closed-loop HTTP client for several servers in turn, so that whatever else the machine does slows each alike.

``python -m bench.load PLAN`` reads a file of JSON, ``{"rounds", "seconds", "sides": [{"ports", "request",
"clients", "pids"}]}``, and prints one line: for each round, what each side did in its slice of the time.
"""

import asyncio
import itertools
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvloop

NUMBER = "0" * 20
"""What stands in a request where each one that is sent shall have a number of its own: its Idempotency-Key."""

_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
_numbers = itertools.count(time.time_ns())


class Connection(asyncio.Protocol):
    """Sends the same request again as soon as its answer is complete."""

    def __init__(
        self, request: bytes, latencies: list[float], statuses: dict[int, int], until: float
    ) -> None:
        self._head, _, self._rest = request.partition(NUMBER.encode())
        self._latencies = latencies
        self._statuses = statuses
        self._until = until
        self._buffer = b""
        self.closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._send()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head_end = self._buffer.find(b"\r\n\r\n")
        if head_end < 0:
            return
        start = self._buffer.find(b"content-length:")
        length = int(self._buffer[start + 15 : self._buffer.find(b"\r\n", start)])
        if len(self._buffer) < head_end + 4 + length:
            return
        status = int(self._buffer[9:12])
        self._buffer = b""
        now = time.perf_counter()
        self._latencies.append(now - self._began)
        self._statuses[status] = self._statuses.get(status, 0) + 1
        if now < self._until:
            self._send()
        else:
            self._transport.close()

    def connection_lost(self, _exc: Exception | None) -> None:
        if not self.closed.done():
            self.closed.set_result(None)

    def _send(self) -> None:
        self._began = time.perf_counter()
        self._transport.write(b"%b%020d%b" % (self._head, next(_numbers), self._rest))


async def load(
    ports: Sequence[int],
    request: bytes,
    clients: int,
    seconds: float,
    pids: Mapping[str, Iterable[int]] | None = None,
) -> dict[str, Any]:
    """Keep so many connections busy for so long.

    Args:
        ports: On loopback, of processes that serve the same; the connections go to them in turn.
        request: A whole request.
        clients: Connections, each with one request under way.
        seconds: How long new requests are begun.
        pids: Processes by the part that they are of, whose CPU time is told for each request.
    """
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    before = {part: cpu_seconds(found) for part, found in (pids or {}).items()}
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: Connection(request, latencies, statuses, began + seconds), "127.0.0.1", port
        )
        for port in itertools.islice(itertools.cycle(ports), clients)
    ]
    await asyncio.gather(*(connection.closed for _, connection in made))
    elapsed = time.perf_counter() - began
    ordered = sorted(latencies)
    return {
        "per_second": len(ordered) / elapsed,
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
        "statuses": statuses,
        "cpu_us": {
            part: 1e6 * (cpu_seconds(found) - before[part]) / len(ordered)
            for part, found in (pids or {}).items()
        },
    }


def request_of(path: str, body: bytes | None, token: str | None) -> bytes:
    """Return a whole HTTP/1.1 request: a POST of JSON under a key of its own, or a GET where there is no body."""
    lines = [f"{'GET' if body is None else 'POST'} {path} HTTP/1.1", "Host: 127.0.0.1"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    lines.append(f"Idempotency-Key: {NUMBER}")
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + (body or b"")


def _processes_below(pid: int) -> list[int]:
    """Return a process and its children, as Linux lists them."""
    children = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and parent_of(int(entry.name)) == pid
    ]
    return [pid, *children]


def parent_of(pid: int) -> int | None:
    """Return a process's parent, as Linux tells it."""
    fields = _stat(pid)
    return int(fields[1]) if fields else None


def cpu_seconds(roots: Iterable[int]) -> float:
    """Return the processor time that processes have had, with their children: those that live and those that ended."""
    ticks = 0
    for root in roots:
        for pid in _processes_below(root):
            if fields := _stat(pid):
                own, ended = fields[11:13], fields[13:15] if pid == root else ()
                ticks += sum(map(int, (*own, *ended)))
    return ticks / _TICKS_PER_SECOND


def _stat(pid: int) -> list[str]:
    """Return what the kernel tells of a process, from its state on; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []


async def _in_turn(plan: Mapping[str, Any]) -> list[list[dict[str, Any]]]:
    rounds = []
    for number in range(plan["rounds"]):
        # Every other round goes the other way, so that none always follows the same one.
        order = list(enumerate(plan["sides"]))
        measured: dict[int, dict[str, Any]] = {}
        for index, side in order if number % 2 == 0 else reversed(order):
            measured[index] = await load(
                side["ports"], side["request"].encode(), side["clients"], plan["seconds"], side["pids"]
            )
        rounds.append([measured[index] for index in range(len(order))])
    return rounds


if __name__ == "__main__":
    print(json.dumps(uvloop.run(_in_turn(json.loads(Path(sys.argv[1]).read_text())))))
