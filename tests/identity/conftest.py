"""An application of identity's routes alone, and people to sign in with."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from tests.mail_box import Mailbox, mail_server

from fettle.identity.authentication import authenticator
from fettle.identity.routes import router
from fettle.identity.sign_in import passwords
from fettle.kernel.http.problems import problem_handlers
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform

PASSWORD = "several unrelated words"

_hashes: list[str] = []
"""Of the one password, computed once: argon2id is slow on purpose."""


@dataclass
class Person:
    """An account with a known password."""

    id: UUID
    email: str
    password: str = PASSWORD


@pytest_asyncio.fixture(scope="module")
async def client(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    """A caller without a credential or a cookie of its own."""
    app = FastAPI()
    app.state.platform = platform
    app.include_router(router, prefix="/api/v1")
    problem_handlers(app)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as opened:
        yield opened
    await authenticator(platform).close()


@pytest_asyncio.fixture(scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Mailbox]:
    """A mail server, and what came to it."""
    async with mail_server(tmp_path_factory.mktemp("mail")) as running:
        yield running


@pytest.fixture
def make_person(platform: Platform):
    """Make an account with memberships."""

    async def make(roles: dict[UUID, str] | None = None, **columns: Any) -> Person:
        person = Person(new_id(), f"{uuid4().hex}@example.org")
        values = {"is_platform_admin": False, "must_change_password": False, **columns}
        if not _hashes:
            _hashes.append(await passwords(platform).hash(PASSWORD))
        async with platform.database.raw_system() as connection:
            await connection.execute(
                "INSERT INTO users (id, email, name, password_hash, is_platform_admin, must_change_password) "
                "VALUES ($1, $2, $3, $4, $5, $6)",
                person.id,
                person.email,
                "Ann Example",
                _hashes[0],
                values["is_platform_admin"],
                values["must_change_password"],
            )
            for tenant_id, role in (roles or {}).items():
                await connection.execute(
                    "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)",
                    tenant_id,
                    person.id,
                    role,
                )
        return person

    return make


@pytest.fixture
def sign_in(client: httpx.AsyncClient):
    """Sign a person in and return the answer; its cookie is not kept by the client."""

    async def sign(person: Person, password: str | None = None) -> httpx.Response:
        answer = await client.post(
            "/api/v1/auth/login", json={"email": person.email, "password": password or person.password}
        )
        client.cookies.clear()
        return answer

    return sign


@pytest.fixture
def bearer(sign_in):
    """Sign a person in and return the headers of their requests."""

    async def headers(person: Person, tenant: UUID | None = None) -> dict[str, str]:
        answer = await sign_in(person)
        assert answer.status_code == 200, answer.text
        named = {"X-Tenant-ID": str(tenant)} if tenant is not None else {}
        return {"Authorization": f"Bearer {answer.json()['access_token']}", **named}

    return headers
