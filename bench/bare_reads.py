"""The floor of reads: bare ASGI that sends a route's own statements under row-level security and answers its bytes.

``python -m bench.bare_reads PORT FILE``; the database is FETTLE_DATABASE_APP_URL. FILE is a pickle of the bench's
own making: for each path the tenant, the statements with their arguments, and the answer.
"""

import os
import pickle
import sys
from pathlib import Path
from typing import Any

import asyncpg
import uvicorn


class Bare:
    """Sends each statement as the route does, and answers what the route answers.

    Statements that do not bind the tenant by themselves stand in a transaction that does: it begins and binds in
    one round trip.
    """

    def __init__(self, reads: dict[str, Any]) -> None:
        self.reads = reads
        self.pool: asyncpg.Pool | None = None

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        tenant_id, framed, statements, answer = self.reads[
            f"{scope['path']}?{scope['query_string'].decode()}"
        ]
        if self.pool is None:
            self.pool = await asyncpg.create_pool(
                os.environ["FETTLE_DATABASE_APP_URL"],
                min_size=1,
                max_size=10,
                server_settings={"jit": "off"},
                reset=_nothing,
            )
        async with self.pool.acquire() as connection:
            if framed:
                await connection.execute(f"BEGIN; SELECT set_config('fettle.tenant_id', '{tenant_id}', true)")
            for sql, arguments in statements:
                await connection.fetch(sql, *arguments)
            if framed:
                await connection.execute("COMMIT")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _nothing(_connection: asyncpg.Connection) -> None:
    """Leave out the round trip by which the pool resets a connection: no state of a session is ever set."""


if __name__ == "__main__":
    found = pickle.loads(Path(sys.argv[2]).read_bytes())
    uvicorn.run(
        Bare(found),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        log_level="error",
        access_log=False,
        lifespan="off",
    )
