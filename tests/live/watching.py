"""A reader of what people watch live, and what there is to see."""

import asyncio
import contextlib
import json

import httpx
import websockets


class Stream:
    """An open SSE stream and what it brought."""

    def __init__(self, lines):
        self._lines = lines
        self.messages = []
        self.ids = []

    async def until(self, wanted, seconds=60):
        async with asyncio.timeout(seconds):
            while True:
                for message in self.messages:
                    if wanted(message):
                        return message
                await self.next()

    async def next(self):
        async for line in self._lines:
            if line.startswith("id: "):
                self.ids.append(int(line[4:]))
            if line.startswith("data: "):
                self.messages.append(json.loads(line[6:]))
                return self.messages[-1]
        raise EOFError


@contextlib.asynccontextmanager
async def streaming(api, headers, after=None):
    extra = {} if after is None else {"Last-Event-ID": str(after)}
    async with (
        httpx.AsyncClient(base_url=api.url, timeout=60) as client,
        client.stream("GET", "/api/v1/events/stream", headers={**headers, **extra}) as response,
    ):
        assert response.status_code == 200, await response.aread()
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith("retry:"):
                break
        yield Stream(lines)


async def report(api, tenant, host, count=1):
    # At one place so many at once would be a storm, which is one incident.
    places = [{"host": f"{host}-{n}", "site": f"{host}-{n // 100}"} for n in range(count)]
    body = {"items": [{"check_type": "unheard_of", **place} for place in places]}
    answer = await api.client.post("/api/v1/exceptions/batch", json=body, headers=tenant.headers())
    assert answer.status_code == 202, answer.text
    return [item["id"] for item in answer.json()["items"]]


def opened(host):
    return lambda m: m["type"] == "incident_opened" and m["data"]["incident"]["host"] == host


def ws_url(api, query=""):
    return api.url.replace("http", "ws", 1) + "/ws" + query


async def code_of_end(connection):
    try:
        await heard(connection, lambda _: False)
    except websockets.ConnectionClosed as closed:
        return closed.rcvd.code


async def heard(connection, wanted):
    async with asyncio.timeout(60):
        while True:
            message = json.loads(await connection.recv())
            if wanted(message):
                return message
