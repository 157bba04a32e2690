"""A command that is sent twice under one key is done once, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
from fastapi import APIRouter, Depends, FastAPI, Request
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.database import Database
from fettle.kernel.errors import Conflict
from fettle.kernel.http import Once, StrictRoute, problem_handlers
from fettle.kernel.http.idempotency import forget_expired
from fettle.kernel.ids import new_id

router = APIRouter(route_class=StrictRoute)


class Command(BaseModel):
    text: str
    fails: bool = False
    wait: float = 0


class Accepted(BaseModel):
    id: UUID
    status: str = "accepted"


done: list[str] = []


async def tenant_session(request: Request) -> AsyncIterator[AsyncSession]:
    database: Database = request.app.state.database
    async with database.tenant(UUID(request.headers["X-Tenant-ID"])) as session:
        yield session


Session = Annotated[AsyncSession, Depends(tenant_session, scope="function")]


@router.post("/things/{thing}", status_code=202)
async def change(thing: str, command: Command, request: Request, session: Session, once: Once) -> Accepted:
    async def act() -> Accepted:
        done.append(command.text)
        await asyncio.sleep(command.wait)
        if command.fails:
            raise Conflict("It is not in that state.")
        return Accepted(id=new_id())

    return await once.run(
        session,
        tenant_id=UUID(request.headers["X-Tenant-ID"]),
        principal=request.headers.get("X-Principal", "user:ada"),
        command=act,
    )


@pytest_asyncio.fixture
async def client(database: Database, tenant: UUID) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.database = database
    app.include_router(router, prefix="/api/v1")
    problem_handlers(app)
    done.clear()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://localhost",
        headers={"X-Tenant-ID": str(tenant), "Idempotency-Key": "first-try"},
    ) as opened:
        yield opened


async def send(client: httpx.AsyncClient, body: dict[str, Any], thing: str = "a", **headers: str):
    return await client.post(f"/api/v1/things/{thing}", json=body, headers=headers)


async def test_the_same_key_and_body_is_done_once_and_answered_alike(client: httpx.AsyncClient):
    first = await send(client, {"text": "x"})
    again = await send(client, {"text": "x"})
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert done == ["x"]


async def test_the_same_key_with_another_request_is_a_conflict(client: httpx.AsyncClient):
    await send(client, {"text": "x"})
    for other in (await send(client, {"text": "y"}), await send(client, {"text": "x"}, thing="b")):
        assert other.status_code == 409
        assert other.json()["type"] == "urn:fettle:problem:conflict"
    assert done == ["x"]


async def test_twenty_at_the_same_time_are_one(client: httpx.AsyncClient):
    answers = await asyncio.gather(*(send(client, {"text": "x", "wait": 0.05}) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert done == ["x"]


async def test_a_command_that_failed_may_be_tried_again(client: httpx.AsyncClient):
    body = {"text": "x", "fails": True}
    assert (await send(client, body)).status_code == 409
    assert (await send(client, body)).status_code == 409
    assert done == ["x", "x"]
    assert (await send(client, {"text": "y"})).status_code == 202


async def test_keys_of_others_are_others(client: httpx.AsyncClient, other_tenant: UUID):
    answers = [
        await send(client, {"text": "a"}),
        await send(client, {"text": "b"}, **{"X-Principal": "user:bob"}),
        await send(client, {"text": "c"}, **{"X-Tenant-ID": str(other_tenant)}),
        await send(client, {"text": "d"}, **{"Idempotency-Key": "second-try"}),
    ]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert done == ["a", "b", "c", "d"]


async def test_without_a_key_it_is_simply_done(client: httpx.AsyncClient):
    del client.headers["Idempotency-Key"]
    await send(client, {"text": "x"})
    await send(client, {"text": "x"})
    assert done == ["x", "x"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é".encode().decode("latin-1")])
async def test_a_key_that_is_none_is_refused(client: httpx.AsyncClient, key: str):
    response = await client.post(
        "/api/v1/things/a", json={"text": "x"}, headers={b"Idempotency-Key": key.encode("latin-1")}
    )
    assert response.status_code == 422
    assert response.json()["errors"][0]["pointer"] == "/header/Idempotency-Key"
    assert done == []


async def test_a_key_is_forgotten_after_a_day(client: httpx.AsyncClient, database: Database, tenant: UUID):
    first = await send(client, {"text": "x"})
    async with database.tenant(tenant) as session:
        await session.execute(text("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'"))
    again = await send(client, {"text": "y"})
    assert again.status_code == 202
    assert again.json()["id"] != first.json()["id"]
    async with database.tenant(tenant) as session:
        await session.execute(text("UPDATE idempotency_keys SET created_at = now() - interval '25 hours'"))
    async with database.system() as session:
        assert await forget_expired(session) == 1


async def test_nothing_of_the_request_is_kept_but_hashes(
    client: httpx.AsyncClient, database: Database, tenant: UUID
):
    await send(client, {"text": "hunter2"})
    async with database.tenant(tenant) as session:
        rows = (await session.execute(text("SELECT idempotency_keys::text FROM idempotency_keys"))).scalars()
        kept = "".join(rows)
    assert "hunter2" not in kept
    assert "first-try" not in kept
