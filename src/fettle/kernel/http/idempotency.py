"""``Idempotency-Key``: the same command sent twice is done once, and answered the same both times.

`StrictRoute` puts every POST through here, so that no route can forget it. Where the route works in the
request's transaction, the answer is kept in that transaction: command and answer stand together or not at
all. The few routes that open transactions of their own are claimed before and kept after; one that died in
between is never done a second time under its key.
"""

import asyncio
import functools
import hashlib
import inspect
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Protocol, runtime_checkable
from uuid import UUID

import asyncpg
import orjson
from fastapi import Depends, Header, Request, Response
from fastapi.encoders import jsonable_encoder
from pydantic import BaseModel
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.errors import Conflict, FieldError, Invalid
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import keyed_digest

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
KEPT_HOURS: Final = 24
LONGEST_KEY: Final = 200

_KEY: Final = re.compile(rf"[\x21-\x7e]{{1,{LONGEST_KEY}}}")
_PATIENCE: Final = "5s"
_NO_TENANT: Final = UUID(int=0)
_BEGUN: Final = 0
_WITHHELD: Final = 409
_NO_CONTENT: Final = 204
_PARAMETER: Final = "idempotency"
_DESCRIPTION: Final = (
    f"Any text of your own, up to {LONGEST_KEY} printable characters. The same key with the same request "
    "within 24 hours is answered as it was the first time; with another one it is refused. An answer that "
    "holds a secret is not kept: then the second request is refused, too."
)

_WAIT = text("SELECT set_config('lock_timeout', :patience, true)")
_EXPIRE = text(
    "DELETE FROM idempotency_keys WHERE tenant_id = :tenant_id AND scope = :scope AND key_hash = :key_hash "
    "AND created_at < now() - make_interval(hours => :kept_hours)"
)
_CLAIM = text(
    "INSERT INTO idempotency_keys (tenant_id, scope, key_hash, body_hash, status, response) "
    "VALUES (:tenant_id, :scope, :key_hash, :body_hash, 0, 'null') ON CONFLICT DO NOTHING RETURNING 1"
)
_READ = text(
    "SELECT body_hash, status, response #>> '{}' AS response FROM idempotency_keys "
    "WHERE tenant_id = :tenant_id AND scope = :scope AND key_hash = :key_hash"
)
# A text inside of JSON, so that the second answer is the first one to the byte.
_KEEP = text(
    "UPDATE idempotency_keys SET status = :status, response = to_jsonb(cast(:response AS text)) "
    "WHERE tenant_id = :tenant_id AND scope = :scope AND key_hash = :key_hash"
)
_RELEASE = text(
    "DELETE FROM idempotency_keys WHERE tenant_id = :tenant_id AND scope = :scope AND key_hash = :key_hash"
)
_FORGET = text("DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(hours => :kept_hours)")

Endpoint = Callable[..., Awaitable[Any]]


class OneTimeAnswer(BaseModel):
    """An answer that holds a secret, so that it is given once and never kept for a second request."""


@runtime_checkable
class Principal(Protocol):
    """Who sends a command; two of them may choose the same key."""

    @property
    def actor(self) -> str:
        """Name in events and the audit."""


@runtime_checkable
class TenantPrincipal(Principal, Protocol):
    """Who sends a command to a tenant."""

    @property
    def tenant_id(self) -> UUID:
        """The tenant that the command is about."""


def checked_key(given: list[str]) -> str | None:
    """Return the one key of a request, None where it has none.

    Raises:
        Invalid: There are two, or it is not of printable ASCII without spaces, or too long.
    """
    if not given:
        return None
    if len(given) > 1 or _KEY.fullmatch(given[0]) is None:
        raise Invalid(
            f"{HEADER} must be one text of 1 to {LONGEST_KEY} printable ASCII characters without spaces.",
            errors=[
                FieldError(f"/header/{HEADER}", f"is not one text of 1 to {LONGEST_KEY} printable characters")
            ],
        )
    return given[0]


async def idempotency_key(
    request: Request,
    _documented: Annotated[str | None, Header(alias=HEADER, description=_DESCRIPTION)] = None,
) -> str | None:
    """Return the request's key."""
    return checked_key(request.headers.getlist(HEADER))


IdempotencyKey = Annotated[str | None, Depends(idempotency_key)]
"""For a route that keeps its keys itself, as the group commit of exceptions does."""


class OnceOnly:
    """Does a request's command once under its key; a request without one is simply done."""

    def __init__(self, request: Request, key: str | None) -> None:
        self._request = request
        self._key = key

    async def run(self, given: dict[str, Any], command: Callable[[], Awaitable[Any]]) -> Any:
        """Do the command, or answer as it was answered before.

        A command that raises is not kept, so that it may be tried again. Two at the same time wait for each
        other where they share the request's transaction; elsewhere the second is told to wait.

        Args:
            given: What the route was given: its session or its platform, and who is calling.
            command: What to do once.

        Returns:
            The command's own answer, or a response with the JSON of the one before.

        Raises:
            Conflict: The key came with another request before, the first one is still being done, or what it
                was answered held a secret.
        """
        if self._key is None:
            return await command()
        session = _only(given, AsyncSession)
        principal = _principal(given)
        keys = {
            "tenant_id": principal.tenant_id if isinstance(principal, TenantPrincipal) else _NO_TENANT,
            "scope": f"POST {_template(self._request)} {self._name(principal)}"[:500],
            "key_hash": hashlib.sha256(self._key.encode()).digest(),
        }
        if session is not None:
            return await self._run_within(session, keys, command)
        platform = _only(given, Platform)
        if platform is None:
            raise TypeError(f"{_template(self._request)} has neither a session nor a platform")
        return await self._run_around(platform, keys, command)

    async def _run_within(
        self, session: AsyncSession, keys: dict[str, Any], command: Callable[[], Awaitable[Any]]
    ) -> Any:
        request_hash = hashlib.sha256(await self._said()).digest()
        if not await _claim(session, keys, request_hash):
            return await _replay(session, keys, request_hash)
        answer = await command()
        await session.flush()
        await session.execute(_KEEP, {**keys, **_kept(self._request, answer)})
        return answer

    async def _run_around(
        self, platform: Platform, keys: dict[str, Any], command: Callable[[], Awaitable[Any]]
    ) -> Any:
        # Some of these bodies are a password and little else, which a bare hash would give away to guessing.
        request_hash = keyed_digest(platform.settings, b"idempotency", await self._said())
        async with platform.database.system() as session:
            if not await _claim(session, keys, request_hash):
                return await _replay(session, keys, request_hash)
        try:
            answer = await command()
        except BaseException:
            await asyncio.shield(_release(platform, keys))
            raise
        async with platform.database.system() as session:
            await session.execute(_KEEP, {**keys, **_kept(self._request, answer)})
        return answer

    async def _said(self) -> bytes:
        request = self._request
        return f"{request.url.path}?{request.url.query}\n".encode() + await request.body()

    def _name(self, principal: Principal | None) -> str:
        if principal is not None:
            return principal.actor
        address = self._request.client.host if self._request.client is not None else ""
        cookies = hashlib.sha256(self._request.headers.get("cookie", "").encode()).hexdigest()
        return f"{address} {cookies}"


async def _once_of(request: Request, key: IdempotencyKey) -> OnceOnly:
    return OnceOnly(request, key)


def once_only(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that does the same, once for each key; one that keeps its keys itself stays as it is."""
    signature = inspect.signature(endpoint)
    if any(parameter.annotation == IdempotencyKey for parameter in signature.parameters.values()):
        return endpoint

    @functools.wraps(endpoint)
    async def once(**given: Any) -> Any:
        idempotency: OnceOnly = given.pop(_PARAMETER)
        return await idempotency.run(given, lambda: endpoint(**given))

    added = inspect.Parameter(
        _PARAMETER, inspect.Parameter.KEYWORD_ONLY, annotation=Annotated[OnceOnly, Depends(_once_of)]
    )
    parameters = [*signature.parameters.values(), added]
    once.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]  # read by inspect
    return once


async def forget_expired(session: AsyncSession) -> int:
    """Delete the keys that have had their 24 hours; the schedule calls it as the system role.

    Returns:
        How many there were.
    """
    result = await session.execute(_FORGET, {"kept_hours": KEPT_HOURS})
    return int(getattr(result, "rowcount", 0))


async def _claim(session: AsyncSession, keys: dict[str, Any], request_hash: bytes) -> bool:
    """Make the key this transaction's; waits for another that holds it, and says no when that one commits."""
    await session.execute(_WAIT, {"patience": _PATIENCE})
    try:
        await session.execute(_EXPIRE, {**keys, "kept_hours": KEPT_HOURS})
        claimed = (await session.execute(_CLAIM, {**keys, "body_hash": request_hash})).one_or_none()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != asyncpg.LockNotAvailableError.sqlstate:
            raise
        raise Conflict(
            "The first request with this key is still being done. Try again in a moment."
        ) from None
    await session.execute(_WAIT, {"patience": "0"})
    return claimed is not None


async def _replay(session: AsyncSession, keys: dict[str, Any], request_hash: bytes) -> Response:
    row = (await session.execute(_READ, keys)).one_or_none()
    if row is None:
        raise Conflict("The first request with this key was just given up. Send it again.")
    if row.body_hash != request_hash:
        raise Conflict(f"This {HEADER} came with another request before. Use a new key for a new request.")
    if row.status == _BEGUN:
        raise Conflict(
            "The first request with this key was begun, and its end is not known yet. Look whether it was "
            "done before you send it with a new key."
        )
    if row.status == _WITHHELD:
        raise Conflict(
            "This was done before, and its answer held a secret that is not kept. Where you have lost it, "
            "ask for a new one with a new key."
        )
    headers = {REPLAYED: "true"}
    if row.status == _NO_CONTENT:
        return Response(status_code=row.status, headers=headers)
    return Response(row.response, row.status, headers, media_type="application/json")


async def _release(platform: Platform, keys: dict[str, Any]) -> None:
    async with platform.database.system() as session:
        await session.execute(_RELEASE, keys)


def _kept(request: Request, answer: Any) -> dict[str, Any]:
    if isinstance(answer, OneTimeAnswer):
        return {"status": _WITHHELD, "response": "null"}
    return {"status": _status(request), "response": orjson.dumps(jsonable_encoder(answer)).decode()}


def _principal(given: dict[str, Any]) -> Principal | None:
    """Return who is calling, in a tenant where the route has one; a body may say what it likes."""
    named = [
        value for value in given.values() if isinstance(value, Principal) and not isinstance(value, BaseModel)
    ]
    return next((one for one in named if isinstance(one, TenantPrincipal)), named[0] if named else None)


def _only(given: dict[str, Any], kind: type[Any]) -> Any:
    return next((value for value in given.values() if isinstance(value, kind)), None)


def _template(request: Request) -> str:
    routed = request.scope.get("fastapi", {}).get("effective_route_context") or request.scope.get("route")
    return str(getattr(routed, "path", request.url.path))


def _status(request: Request) -> int:
    routed = request.scope.get("fastapi", {}).get("effective_route_context") or request.scope.get("route")
    return int(getattr(routed, "status_code", None) or 200)
