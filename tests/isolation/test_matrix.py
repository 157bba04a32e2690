"""Every role, key and stranger on every operation of the document: what is not allowed is 403 and does nothing."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest_asyncio
import websockets
from tests.api.test_application import PUBLIC
from tests.isolation.bodies import least_body, least_query
from tests.isolation.callers import Somebody, everybody
from tests.isolation.test_routes import BODIES, QUERIES, concrete, operations, rows_of
from tests.populated import Alder, populate
from tests.signed_in import LOCALHOST

from fettle.identity.authentication import Access

AT_ONCE = 8

ANYBODY = "whoever is signed in"
PERSON = "a person, about themselves"
PLATFORM = "the platform's administrators"
PARTNER = "those who act for the partner"

OF_NO_TENANT = {
    "get /me": ANYBODY,
    "get /me/tenants": ANYBODY,
    "get /roles": ANYBODY,
    "get /tenants": ANYBODY,
    "get /partners": ANYBODY,
    "get /overview/tenants": ANYBODY,
    "patch /me": PERSON,
    "post /auth/password": PERSON,
    "get /accounts": PLATFORM,
    "patch /accounts/{account_id}": PLATFORM,
    "delete /accounts/{account_id}/second-factors": PLATFORM,
    "get /erasures": PLATFORM,
    "post /partners": PLATFORM,
    "post /platform/stop": PLATFORM,
    "post /platform/resume": PLATFORM,
    "post /partners/{partner_id}/members": PLATFORM,
    "post /tenants": "tenants:write",
    "get /tenants/{tenant_id}": "tenants:read",
    "patch /tenants/{tenant_id}": "tenants:write",
    "post /tenants/{tenant_id}/erase": "data:erase",
}
"""Who may what about no one tenant: such a route cannot name its permission, so it stands here."""


@dataclass(frozen=True)
class Operation:
    """An operation, whom it is for, and the least that it takes."""

    method: str
    path: str
    wants: str
    has_tenant: bool
    content: tuple[str, Any] | None
    query: dict[str, Any]
    is_endless: bool

    @property
    def name(self) -> str:
        return f"{self.method} {self.path.removeprefix('/api/v1')}"

    def is_for(self, caller: Somebody) -> bool:
        """Tell whether a caller may do it."""
        if self.wants == PARTNER:
            return caller.is_platform_admin or caller.partner is not None
        if self.wants == PERSON:
            return caller.is_person
        return self.wants == ANYBODY or {PLATFORM: "platform:admin"}.get(self.wants, self.wants) in (
            caller.permissions
        )


@dataclass
class Scene:
    """Two tenants with everybody in each, and every operation."""

    api: Any
    alder: Alder
    ours: list[Somebody]
    theirs: list[Somebody]
    operations: list[Operation]

    async def ask(self, caller: Somebody, operation: Operation, values, *, tenant, effect=True):
        """Return the status and the text of an operation's answer, of a stream only that it began."""
        headers = caller.headers | (LOCALHOST if operation.wants == PERSON else {})
        if operation.has_tenant and tenant is not None:
            headers["X-Tenant-ID"] = str(tenant)
        sent: dict[str, Any] = {"params": operation.query}
        kind, body = operation.content or (None, None)
        if kind == "application/json" or (kind or "").endswith("+json"):
            sent["content"] = json.dumps(body if effect else {})
            headers["Content-Type"] = kind
        elif kind is not None:
            sent["content"] = b"PK" if effect else b""
            headers["Content-Type"] = kind
        path = concrete(operation.path, values)
        async with self.api.client.stream(operation.method, path, headers=headers, **sent) as answer:
            if operation.is_endless and answer.status_code == 200:
                return 200, ""
            return answer.status_code, (await answer.aread()).decode(errors="replace")

    async def ask_all(self, asked):
        """Yield each (caller, operation) with its answer, several under way at once."""
        queue, told = iter(asked), []

        async def work():
            for caller, operation, values, options in queue:
                told.append((caller, operation, *await self.ask(caller, operation, values, **options)))

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())
        return told

    async def standing(self) -> dict[str, Any]:
        """Return what must not change: digests of both tenants' rows, and how many rows each table has."""
        await self.api.settle()
        standing: dict[str, Any] = {}
        for tenant in (self.api.alder, self.api.birch):
            standing |= {(t, tenant.id): rows for t, rows in (await rows_of(self.api, tenant.id)).items()}
        return standing | await self.api.count_rows()


@pytest_asyncio.fixture(scope="module")
async def scene(api_at_work) -> Scene:
    """Alder with one of everything, and everybody in both."""
    api = api_at_work
    alder = await populate(api)
    document = (await api.client.get("/api/v1/openapi.json")).json()
    ours = await everybody(api, api.alder, alder.values["partner_id"])
    theirs = await everybody(api, api.birch)
    return Scene(api, alder, ours, theirs, list(_closed(document, await operations(api))))


def _closed(document, found) -> Iterator[Operation]:
    for method, path, described in found:
        if path in PUBLIC:
            continue
        content = least_body(document, described)
        given = BODIES.get((method, path))
        if content is not None and given is not None:
            content = content[0], given
        query = QUERIES.get((method, path)) or least_query(document, described)
        wants = described.get("x-permission") or _of_no_tenant(method, path)
        has_tenant = any(p["name"] == "X-Tenant-ID" for p in described.get("parameters", ()))
        endless = "text/event-stream" in json.dumps(described["responses"])
        yield Operation(method, path, wants, has_tenant, content, query, endless)


def _of_no_tenant(method, path) -> str:
    short = path.removeprefix("/api/v1")
    said = OF_NO_TENANT.get(f"{method} {short}")
    if said is None and short.startswith("/me/"):
        return PERSON
    if said is None and short.startswith("/partners/"):
        return PARTNER
    assert said is not None, f"{method} {path} demands no permission: say above whom it is for"
    return said


def refused(told, allowed: set[int]) -> list[str]:
    """Return what was answered otherwise than by one of the statuses."""
    return [
        f"{caller.name}: {operation.name} wants {operation.wants}: {status} {text[:300]}"
        for caller, operation, status, text in told
        if status not in allowed
    ]


def moved(before: dict[str, Any], after: dict[str, Any]) -> list[Any]:
    """Return what did not stay as it was."""
    return [name for name in before.keys() | after.keys() if before.get(name) != after.get(name)]


async def test_who_may_not_gets_403_and_nothing_happens(scene):
    """Whole requests about things that there are: had a check been forgotten, rows would change."""
    asked = [
        (caller, operation, scene.alder.values, {"tenant": scene.api.alder.id})
        for caller in scene.ours
        for operation in scene.operations
        if caller.is_known and not operation.is_for(caller)
    ]
    before = await scene.standing()
    told = await scene.ask_all(asked)
    # Whether there is such a tenant or partner is not told to who may not see it.
    hidden = [one for one in told if one[1].wants == PARTNER or one[1].path == "/api/v1/tenants/{tenant_id}"]
    plain = [one for one in told if one not in hidden]
    assert "\n".join(refused(hidden, {403, 404}) + refused(plain, {403})) == ""
    assert moved(before, await scene.standing()) == []
    assert len(plain) > 700


async def test_who_is_nobody_or_nobody_any_more_gets_401_and_nothing_happens(scene):
    asked = [
        (caller, operation, scene.alder.values, {"tenant": scene.api.alder.id})
        for caller in scene.ours
        for operation in scene.operations
        if not caller.is_known
    ]
    before = await scene.standing()
    assert "\n".join(refused(await scene.ask_all(asked), {401})) == ""
    assert moved(before, await scene.standing()) == []


async def test_nobody_of_another_tenant_gets_in_by_naming_it(scene):
    """Every kind of caller of the other tenant, with whole requests about what there is in this one."""
    asked = [
        (caller, operation, scene.alder.values, {"tenant": scene.api.alder.id})
        for caller in scene.theirs
        for operation in scene.operations
        if caller.is_known
        and not caller.is_platform_admin
        and (operation.has_tenant or operation.wants == PARTNER or "{tenant_id}" in operation.path)
    ]
    before = await scene.standing()
    told = await scene.ask_all(asked)
    # A key has scopes of its own tenant alone, so naming another is an unknown tenant to it, too.
    keys = [one for one in told if not one[0].is_person]
    people = [one for one in told if one[0].is_person]
    assert "\n".join(refused(people, {404}) + refused(keys, {403, 404})) == ""
    leaked = [
        f"{caller.name}: {operation.name}"
        for caller, operation, _, text in told
        if any(secret in text for secret in scene.alder.private - set(scene.alder.values.values()))
    ]
    assert leaked == []
    assert moved(before, await scene.standing()) == []
    assert len(told) > 1000


async def test_nobody_of_another_tenant_reaches_an_object_from_their_own(scene):
    asked = [
        (caller, operation, scene.alder.values, {"tenant": scene.api.birch.id})
        for caller in scene.theirs
        for operation in scene.operations
        if caller.is_known and not caller.is_platform_admin and _names_alders_own(operation)
    ]
    before = await scene.standing()
    assert "\n".join(refused(await scene.ask_all(asked), {403, 404})) == ""
    assert moved(before, await scene.standing()) == []


def _names_alders_own(operation) -> bool:
    return operation.has_tenant and any(f"{{{name}_id}}" in operation.path for name in OWN_IDS)


OWN_IDS = (
    "approval", "bulk", "bundle", "comment", "delegation", "exception", "export", "host", "incident", "invitation",
    "job", "key", "letter", "link", "provider", "run", "suppression", "tenant", "view",
)  # fmt: skip


async def test_who_may_is_let_in(scene):
    """The least input about things that there are not: whatever comes of it, it is neither 401 nor 403."""
    nothing = {name: str(uuid4()) for name in scene.alder.values} | {"tenant_id": str(scene.api.alder.id)}
    nothing |= {"partner_id": scene.alder.values["partner_id"]}
    asked = [
        (caller, operation, nothing, {"tenant": scene.api.alder.id, "effect": False})
        for caller in scene.ours
        for operation in scene.operations
        if caller.is_known and operation.is_for(caller)
    ]
    told = await scene.ask_all(asked)
    fine = {200, 201, 202, 204, 404, 409, 422}
    assert "\n".join(refused(told, fine)) == ""
    done = {operation.name for _, operation, status, _ in told if status < 300}
    assert len(done) > 45, "input that is always refused proves little"


async def test_every_operation_but_the_open_ones_is_in_the_matrix(scene):
    known = {(operation.method, operation.path) for operation in scene.operations}
    rest = {(m, p) for m, p, _ in await operations(scene.api)} - known
    assert {path for _, path in rest} <= PUBLIC
    unused = {
        f"{operation.method} {operation.path.removeprefix('/api/v1')}" for operation in scene.operations
    }
    assert OF_NO_TENANT.keys() <= unused, "said of an operation that there is not any more"


async def test_the_matrix_sees_a_check_that_is_gone(scene, monkeypatch):
    """With the check of permissions broken, the same walk tells of almost every operation."""
    monkeypatch.setattr(Access, "check", lambda _self, _permission: None)
    agent = next(caller for caller in scene.ours if caller.name.endswith("agent"))
    nothing = {name: str(uuid4()) for name in scene.alder.values}
    closed = [o for o in scene.operations if o.has_tenant and not o.is_for(agent)]
    asked = [(agent, o, nothing, {"tenant": scene.api.alder.id, "effect": False}) for o in closed]
    told = refused(await scene.ask_all(asked), {403})
    assert len(told) > 0.9 * len(closed)


async def test_the_socket_is_for_whom_the_stream_is_for(scene):
    """The same matrix on the WebSocket, which the document does not describe: who may, and of which tenant."""
    url = scene.api.url.replace("http", "ws", 1) + "/ws"

    async def outcome(caller, tenant):
        token = caller.headers.get("Authorization", "Bearer ").removeprefix("Bearer ")
        async with websockets.connect(url) as connection:
            await connection.send(json.dumps({"token": token, "tenant_id": str(tenant)}))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(60):
                    return json.loads(await connection.recv())["type"]
            return "open"

    async def closed_by(caller, tenant):
        try:
            return await outcome(caller, tenant)
        except websockets.ConnectionClosed as end:
            return end.rcvd.code

    for caller in scene.ours:
        came = await closed_by(caller, scene.api.alder.id)
        if not caller.is_known:
            assert came == 4401, (caller.name, came)
        elif "incidents:read" in caller.permissions:
            assert isinstance(came, str), (caller.name, came)
        else:
            assert came == 4403, (caller.name, came)
    for caller in scene.theirs:
        if caller.is_known and not caller.is_platform_admin:
            assert await closed_by(caller, scene.api.alder.id) == 4403, caller.name
