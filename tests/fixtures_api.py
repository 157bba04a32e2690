"""The whole application on a loopback port, with an owner, two tenants and an API key for each role in each."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio
import uvicorn

from fettle.central import features
from fettle.central.app import create_app
from fettle.central.celery import make_celery
from fettle.identity.owner import OWNER_EMAIL, ensure_owner
from fettle.identity.permissions import KEY_SCOPES, ROLES, permissions_of
from fettle.identity.tenants import ensure_tenant
from fettle.identity.tokens import new_api_key
from fettle.kernel.bus import run_consumers
from fettle.kernel.bus_groups import wait_until_idle
from fettle.kernel.http.serving import server_config
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.packs.service import ensure_shipped

OWNER_PASSWORD = "several unrelated words"


@dataclass(frozen=True, slots=True)
class TenantKeys:
    """A tenant of the test, and one API key for each role in it."""

    id: UUID
    keys: Mapping[str, str]

    def headers(self, role: str = "tenant_admin") -> dict[str, str]:
        """Return the headers of a request by the key of a role."""
        return {"Authorization": f"Bearer {self.keys[role]}"}


@dataclass(frozen=True, slots=True)
class Api:
    """A running application.

    Attributes:
        url: Its address, without a slash at the end.
        client: Without a credential; ask it for ``/api/v1/...``.
        platform: The parts that the application stands on, for a look into the database.
        owner_token: An access token of the platform's owner; name a tenant with ``X-Tenant-ID``.
        alder: One tenant.
        birch: Another, which must never be seen from the first.
    """

    url: str
    client: httpx.AsyncClient
    platform: Platform
    owner_token: str
    alder: TenantKeys
    birch: TenantKeys

    def owner(self, tenant: TenantKeys | None = None) -> dict[str, str]:
        """Return the headers of a request by the owner, in a tenant where one is given."""
        named = {"X-Tenant-ID": str(tenant.id)} if tenant is not None else {}
        return {"Authorization": f"Bearer {self.owner_token}", **named}

    async def settle(self) -> None:
        """Wait until every consumer has read all that is stored; needs `api_at_work`."""
        groups = [spec.group for spec in features.consumers()]
        assert await wait_until_idle(self.platform, groups, timeout=timedelta(seconds=60))

    async def eventually(self, path: str, headers: Mapping[str, str], wanted: Callable[[Any], bool]) -> Any:
        """Ask again until the answer is as wanted, at most a minute, and return it."""
        async with asyncio.timeout(60):
            while True:
                answer = (await self.client.get(path, headers=headers)).json()
                if wanted(answer):
                    return answer
                await asyncio.sleep(0.05)

    async def count_rows(self) -> dict[str, int]:
        """Count the rows of every table, to see that nothing was written."""
        async with self.platform.database.raw_system() as connection:
            tables = await connection.fetch(
                "SELECT relname AS name FROM pg_class WHERE relkind = 'r' "
                "AND relnamespace = 'public'::regnamespace AND has_table_privilege(oid, 'SELECT') ORDER BY 1"
            )
            counts = " UNION ALL ".join(
                f"SELECT '{row['name']}' AS name, count(*) FROM {row['name']}" for row in tables
            )
            return {row["name"]: row["count"] for row in await connection.fetch(counts)}


@pytest_asyncio.fixture(scope="module")
async def api(platform: Platform) -> AsyncIterator[Api]:
    """The application over the module's database, served as in production; no consumer runs."""
    features.equip(platform)
    platform.parts["celery"] = make_celery(platform.settings)
    await ensure_shipped(platform)
    listener = socket.create_server(("127.0.0.1", 0))
    # Connections inherit it: a reader that takes nothing is felt soon, however generous the kernel would be.
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65_536)
    options = {"lifespan": "on", "timeout_graceful_shutdown": 2}
    server = uvicorn.Server(server_config(create_app(platform), platform.settings, **options))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield Api(
            url,
            client,
            platform,
            await _owner_token(platform, client),
            await _tenant(platform, "alder-clinic"),
            await _tenant(platform, "birch-dental"),
        )
    server.should_exit = True
    await serving
    listener.close()


@pytest.fixture
def call(api: Api) -> Callable[..., Awaitable[httpx.Response]]:
    """Ask for what stands below ``/api/v1/`` by the key of a role, in alder where no tenant is given."""

    async def ask(
        method: str,
        path: str,
        *,
        role: str = "tenant_admin",
        tenant: TenantKeys | None = None,
        **options: Any,
    ) -> httpx.Response:
        headers = (tenant or api.alder).headers(role) | options.pop("headers", {})
        return await api.client.request(method, f"/api/v1/{path}", headers=headers, **options)

    return ask


@pytest_asyncio.fixture(scope="module")
async def api_at_work(api: Api) -> AsyncIterator[Api]:
    """The application with every consumer and the runner beside it, so that what is reported is healed."""
    async with asyncio.TaskGroup() as group:
        work = [
            run_consumers(api.platform, features.consumers()),
            *(run(api.platform) for run in features.services()),
        ]
        tasks = [group.create_task(one) for one in work]
        yield api
        for task in tasks:
            task.cancel()


async def _owner_token(platform: Platform, client: httpx.AsyncClient) -> str:
    one_time = await ensure_owner(platform)
    token = await _sign_in(client, one_time or OWNER_PASSWORD)
    if one_time is None:
        return token
    changed = await client.post(
        "/api/v1/auth/password",
        headers={"Authorization": f"Bearer {token}"},
        json={"current_password": one_time, "new_password": OWNER_PASSWORD},
    )
    assert changed.status_code == 204, changed.text
    return token


async def _sign_in(client: httpx.AsyncClient, password: str) -> str:
    answer = await client.post("/api/v1/auth/login", json={"email": OWNER_EMAIL, "password": password})
    client.cookies.clear()
    assert answer.status_code == 200, answer.text
    return str(answer.json()["access_token"])


async def _tenant(platform: Platform, slug: str) -> TenantKeys:
    tenant_id = await ensure_tenant(platform, slug, slug.replace("-", " ").title())
    keys = {}
    async with platform.database.raw_system() as connection:
        for role in ROLES:
            key = new_api_key()
            await connection.execute(
                "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hash, scopes, created_by) "
                "VALUES ($1, $2, $3, $4, $5, $6, 'system:test')",
                new_id(),
                tenant_id,
                f"of the role {role}",
                key.prefix,
                key.secret_hash,
                sorted(permissions_of(role) & KEY_SCOPES),
            )
            keys[role] = key.text
    return TenantKeys(tenant_id, keys)
