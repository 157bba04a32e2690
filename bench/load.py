"""A closed-loop HTTP client: so many connections, each with one request under way; a process of its own.

``python -m bench.load HOST_PORT PATH CLIENTS SECONDS BODY_FILE [TOKEN]`` prints one line of JSON.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop


class Connection(asyncio.Protocol):
    """Sends the same request again as soon as its answer is complete."""

    def __init__(
        self, request: bytes, latencies: list[float], statuses: dict[int, int], until: float
    ) -> None:
        self._request = request
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
        head = self._buffer[:head_end].lower()
        start = head.find(b"content-length:")
        length = int(head[start + 15 :].split(b"\r\n", 1)[0])
        if len(self._buffer) < head_end + 4 + length:
            return
        self._buffer = b""
        now = time.perf_counter()
        self._latencies.append(now - self._began)
        status = int(head[9:12])
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
        self._transport.write(self._request)


async def load(port: int, request: bytes, clients: int, seconds: float) -> dict[str, object]:
    """Keep so many connections busy for so long."""
    latencies: list[float] = []
    statuses: dict[int, int] = {}
    began = time.perf_counter()
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(
            lambda: Connection(request, latencies, statuses, began + seconds), "127.0.0.1", port
        )
        for _ in range(clients)
    ]
    await asyncio.gather(*(connection.closed for _, connection in made))
    ordered = sorted(latencies)
    return {
        "per_second": len(ordered) / (time.perf_counter() - began),
        "p50_ms": 1000 * ordered[len(ordered) // 2],
        "p99_ms": 1000 * ordered[int(len(ordered) * 0.99)],
        "statuses": statuses,
    }


def request_of(path: str, body: bytes, token: str | None) -> bytes:
    """Return a whole HTTP/1.1 request."""
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json"]
    if token:
        lines.append(f"Authorization: Bearer {token}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


if __name__ == "__main__":
    port_, path_, clients_, seconds_, body_, *rest = sys.argv[1:]
    wanted = request_of(path_, Path(body_).read_bytes(), rest[0] if rest else None)
    print(json.dumps(uvloop.run(load(int(port_), wanted, int(clients_), float(seconds_)))))
