"""The floor of ingest: bare ASGI that writes a 571-byte event and its outbox row in a group commit, nothing else.

``python -m bench.bare_ingest PORT``; the database is FETTLE_DATABASE_URL. ``--fastapi`` serves the same by FastAPI.
"""

import os
import sys
from typing import Any
from uuid import UUID

import asyncpg
import orjson
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from fettle.kernel.group_commit import GroupCommitter
from fettle.kernel.ids import new_id

TABLES = """
CREATE TABLE IF NOT EXISTS bare_events (id uuid PRIMARY KEY, body jsonb NOT NULL);
CREATE TABLE IF NOT EXISTS bare_outbox (id uuid PRIMARY KEY, body jsonb NOT NULL);
"""
INSERT = """
WITH e AS (INSERT INTO bare_events SELECT * FROM unnest($1::uuid[], $2::jsonb[]))
INSERT INTO bare_outbox SELECT * FROM unnest($1::uuid[], $2::jsonb[])
"""


class Bare:
    """Reads a body, commits it with whichever others are due, answers with its id."""

    def __init__(self) -> None:
        self.pool: asyncpg.Pool | None = None
        self.committer: GroupCommitter[tuple[Any, str], None] = GroupCommitter(self.flush)

    async def flush(self, batch: list[tuple[Any, str]]) -> list[None]:
        if self.pool is None:
            self.pool = await asyncpg.create_pool(os.environ["FETTLE_DATABASE_URL"], min_size=1, max_size=2)
        async with self.pool.acquire() as connection:
            await connection.execute(INSERT, [item[0] for item in batch], [item[1] for item in batch])
        return [None] * len(batch)

    async def store(self, body: str) -> UUID:
        event_id = new_id()
        await self.committer.submit((event_id, body))
        return event_id

    async def accept(self, body: bytes) -> bytes:
        orjson.loads(body)
        return orjson.dumps({"id": await self.store(body.decode())})

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        body = await self.accept(message["body"])
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 202, "headers": headers})
        await send({"type": "http.response.body", "body": body})


class Sent(BaseModel):
    """What the floor behind FastAPI is sent."""

    check_type: str
    host: str
    site: str
    platform: str
    severity: str
    summary: str
    details: dict[str, Any]


class Stored(BaseModel):
    """What it answers."""

    id: UUID


def fastapi_app() -> FastAPI:
    """The same work behind FastAPI as it is ordinarily used: one route with a declared body and answer."""
    bare = Bare()
    app = FastAPI()

    @app.post("/", status_code=202)
    async def accept(sent: Sent) -> Stored:
        return Stored(id=await bare.store(sent.model_dump_json()))

    return app


if __name__ == "__main__":
    served = fastapi_app() if "--fastapi" in sys.argv else Bare()
    uvicorn.run(
        served, host="127.0.0.1", port=int(sys.argv[1]), log_level="error", access_log=False, lifespan="off"
    )
