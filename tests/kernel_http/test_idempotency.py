"""A command that is sent twice under one key is done once, whatever happens in between."""

import asyncio
import hashlib
import itertools
from collections.abc import AsyncIterator
from dataclasses import dataclass
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
from fettle.kernel.http import OneTimeAnswer, StrictRoute, problem_handlers
from fettle.kernel.http.idempotency import forget_expired
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

router = APIRouter(route_class=StrictRoute)


class Command(BaseModel):
    text: str
    fails: bool = False
    lingers: bool = False


class Accepted(BaseModel):
    id: UUID
    status: str = "accepted"


class Issued(OneTimeAnswer):
    secret: str


SECRET = "ftl_" + "s" * 40
done: list[str] = []
others_are_told = asyncio.Event()


async def tenant_session(request: Request) -> AsyncIterator[AsyncSession]:
    platform: Platform = request.app.state.platform
    async with platform.database.tenant(UUID(request.headers["X-Tenant-ID"])) as session:
        yield session


Session = Annotated[AsyncSession, Depends(tenant_session, scope="function")]


@dataclass(frozen=True)
class Caller:
    """Who is calling, as the routes of a module know it."""

    tenant_id: UUID
    actor: str


async def current_caller(request: Request) -> Caller:
    return Caller(UUID(request.headers["X-Tenant-ID"]), request.headers.get("X-Principal", "user:ada"))


async def current_platform(request: Request) -> Platform:
    return request.app.state.platform


Access = Annotated[Caller, Depends(current_caller)]
CurrentPlatform = Annotated[Platform, Depends(current_platform)]


async def act(command: Command) -> Accepted:
    done.append(command.text)
    if command.lingers:
        await others_are_told.wait()
    if command.fails:
        raise Conflict("It is not in that state.")
    return Accepted(id=new_id())


@router.post("/things/{thing}", status_code=202)
async def change(thing: str, command: Command, access: Access, session: Session) -> Accepted:
    return await act(command)


@router.post("/apart/{thing}", status_code=202)
async def change_apart(thing: str, command: Command, access: Access, platform: CurrentPlatform) -> Accepted:
    """A command in transactions of its own, as those of sign-in are."""
    return await act(command)


@router.post("/keys", status_code=201)
async def make_key(command: Command, access: Access, session: Session) -> Issued:
    await act(command)
    return Issued(secret=SECRET)


@router.post("/anonymous", status_code=204)
async def sign_out(command: Command, platform: CurrentPlatform) -> None:
    await act(command)


@pytest_asyncio.fixture
async def client(platform: Platform, tenant: UUID) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    app.state.platform = platform
    app.include_router(router, prefix="/api/v1")
    problem_handlers(app)
    done.clear()
    others_are_told.clear()
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://localhost",
        headers={"X-Tenant-ID": str(tenant), "Idempotency-Key": "first-try"},
    ) as opened:
        yield opened


@pytest.fixture(params=["things", "apart"])
def place(request: pytest.FixtureRequest) -> str:
    """A command in the request's transaction, and one in transactions of its own."""
    return request.param


async def send(
    client: httpx.AsyncClient, body: dict[str, Any], thing: str = "a", place: str = "things", **headers: str
):
    return await client.post(f"/api/v1/{place}/{thing}", json=body, headers=headers)


async def test_the_same_key_and_body_is_done_once_and_answered_alike(client: httpx.AsyncClient, place: str):
    first = await send(client, {"text": "x"}, place=place)
    again = await send(client, {"text": "x"}, place=place)
    assert first.status_code == again.status_code == 202
    assert first.json() == again.json()
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert done == ["x"]


async def test_the_same_key_with_another_request_is_a_conflict(client: httpx.AsyncClient, place: str):
    await send(client, {"text": "x"}, place=place)
    for other in (
        await send(client, {"text": "y"}, place=place),
        await send(client, {"text": "x"}, thing="b", place=place),
    ):
        assert other.status_code == 409
        assert other.json()["type"] == "urn:fettle:problem:conflict"
    assert done == ["x"]


async def test_twenty_at_the_same_time_are_one(client: httpx.AsyncClient):
    answers = await asyncio.gather(*(send(client, {"text": "x"}) for _ in range(20)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert done == ["x"]


async def test_a_command_that_failed_may_be_tried_again(client: httpx.AsyncClient, place: str):
    body = {"text": "x", "fails": True}
    assert (await send(client, body, place=place)).status_code == 409
    assert (await send(client, body, place=place)).status_code == 409
    assert done == ["x", "x"]
    assert (await send(client, {"text": "y"}, place=place)).status_code == 202


async def test_of_two_at_the_same_time_apart_the_second_is_told_to_wait(client: httpx.AsyncClient):
    body = {"text": "x", "lingers": True}
    asked = [asyncio.create_task(send(client, body, place="apart")) for _ in range(8)]
    answers = [(await answered).status_code for answered in itertools.islice(asyncio.as_completed(asked), 7)]
    assert answers == [409] * 7
    others_are_told.set()
    assert sorted([(await one).status_code for one in asked]) == [202] + [409] * 7
    assert done == ["x"]


async def test_what_was_begun_apart_and_never_ended_is_not_done_again(
    client: httpx.AsyncClient, database: Database
):
    """A process that dies between the command and its record leaves the key as it was claimed."""
    await send(client, {"text": "x"}, place="apart")
    async with database.system() as session:
        await session.execute(text("UPDATE idempotency_keys SET status = 0, response = 'null'"))
    again = await send(client, {"text": "x"}, place="apart")
    assert again.status_code == 409
    assert "not known" in again.json()["detail"]
    assert done == ["x"]


async def test_an_answer_with_a_secret_is_given_once_and_never_kept(
    client: httpx.AsyncClient, database: Database, tenant: UUID
):
    first = await client.post("/api/v1/keys", json={"text": "x"})
    assert first.json() == {"secret": SECRET}
    again = await client.post("/api/v1/keys", json={"text": "x"})
    assert again.status_code == 409
    assert "secret" in again.json()["detail"]
    assert done == ["x"]
    assert SECRET not in await kept(database)


async def test_strangers_are_told_apart_by_their_cookies(client: httpx.AsyncClient):
    for cookie in ("a", "b", "a"):
        answer = await client.post("/api/v1/anonymous", json={"text": cookie}, headers={"Cookie": cookie})
        assert (answer.status_code, answer.content) == (204, b"")
    assert done == ["a", "b"]


async def test_a_password_cannot_be_guessed_from_what_is_kept(client: httpx.AsyncClient, database: Database):
    """Whoever reads the table knows everything of the request but the password, and tries."""
    await client.post(
        "/api/v1/anonymous", content=b'{"text":"hunter2"}', headers={"Content-Type": "application/json"}
    )
    guess = hashlib.sha256(b'/api/v1/anonymous?\n{"text":"hunter2"}').hexdigest()
    assert guess not in await kept(database)


async def test_keys_of_others_are_others(client: httpx.AsyncClient, other_tenant: UUID):
    answers = [
        await send(client, {"text": "a"}),
        await send(client, {"text": "b"}, **{"X-Principal": "user:bob"}),
        await send(client, {"text": "c"}, **{"X-Tenant-ID": str(other_tenant)}),
        await send(client, {"text": "d"}, **{"Idempotency-Key": "second-try"}),
    ]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert done == ["a", "b", "c", "d"]


async def test_without_a_key_it_is_simply_done(client: httpx.AsyncClient, place: str):
    del client.headers["Idempotency-Key"]
    await send(client, {"text": "x"}, place=place)
    await send(client, {"text": "x"}, place=place)
    assert done == ["x", "x"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 201, "é".encode().decode("latin-1")])
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


async def test_nothing_of_the_request_is_kept_but_hashes(client: httpx.AsyncClient, database: Database):
    await send(client, {"text": "hunter2"})
    assert "hunter2" not in await kept(database)
    assert "first-try" not in await kept(database)


async def kept(database: Database) -> str:
    """Return the whole table as text."""
    async with database.system() as session:
        rows = (await session.execute(text("SELECT idempotency_keys::text FROM idempotency_keys"))).scalars()
        return "".join(rows)
