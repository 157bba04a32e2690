"""``Idempotency-Key``: the same command sent twice is done once, and answered the same both times."""

import hashlib
import re
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, TypeVar
from uuid import UUID

import asyncpg
import orjson
from fastapi import Depends, Header, Request, Response
from fastapi.encoders import jsonable_encoder
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.kernel.errors import Conflict, FieldError, Invalid

HEADER: Final = "Idempotency-Key"
REPLAYED: Final = "Idempotency-Replayed"
KEPT_HOURS: Final = 24

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_PATIENCE: Final = "5s"
_DESCRIPTION: Final = (
    "Any text of your own, up to 255 printable characters. The same key with the same body within 24 hours "
    "is answered as it was the first time; with another body it is refused."
)

Answer = TypeVar("Answer")

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
    "SELECT body_hash, status, response::text AS response FROM idempotency_keys "
    "WHERE tenant_id = :tenant_id AND scope = :scope AND key_hash = :key_hash"
)
_KEEP = text(
    "UPDATE idempotency_keys SET status = :status, response = cast(:response AS jsonb) "
    "WHERE tenant_id = :tenant_id AND scope = :scope AND key_hash = :key_hash"
)
_FORGET = text("DELETE FROM idempotency_keys WHERE created_at < now() - make_interval(hours => :kept_hours)")


class OnceOnly:
    """Does a route's command once for each idempotency key; use it as `Once` in a route's signature.

    A request without the header is simply done.
    """

    def __init__(
        self,
        request: Request,
        response: Response,
        _documented: Annotated[str | None, Header(alias=HEADER, description=_DESCRIPTION)] = None,
    ) -> None:
        given = request.headers.getlist(HEADER)
        if len(given) > 1 or (given and _KEY.fullmatch(given[0]) is None):
            raise Invalid(
                f"{HEADER} must be one text of 1 to 255 printable ASCII characters without spaces.",
                errors=[FieldError(f"/header/{HEADER}", "is not one text of 1 to 255 printable characters")],
            )
        self._key = given[0] if given else None
        self._request = request
        self._response = response

    async def run(
        self,
        session: AsyncSession,
        *,
        tenant_id: UUID,
        principal: str,
        command: Callable[[], Awaitable[Answer]],
    ) -> Answer | Any:
        """Do the command, or return what it returned before.

        What it returned is kept in the command's own transaction: both stand, or neither. A command that
        raises is not kept, so that it may be tried again. Two at the same time wait for each other.

        Args:
            session: The request's transaction, with the tenant bound.
            tenant_id: The tenant whose key it is.
            principal: Who sent it; two callers may choose the same key.
            command: What to do once.

        Returns:
            The command's own answer, or the JSON of the one before.

        Raises:
            Conflict: The key came with another request before, or the first one is still being done.
        """
        if self._key is None:
            return await command()
        keys = {
            "tenant_id": tenant_id,
            "scope": f"{self._request.method} {_template(self._request)} {principal}"[:500],
            "key_hash": hashlib.sha256(self._key.encode()).digest(),
        }
        body_hash = await self._hash_request()
        if not await _claim(session, keys, body_hash):
            return await self._replay(session, keys, body_hash)
        answer = await command()
        kept = {"status": _status(self._request), "response": orjson.dumps(jsonable_encoder(answer)).decode()}
        await session.flush()
        await session.execute(_KEEP, {**keys, **kept})
        return answer

    async def _replay(self, session: AsyncSession, keys: dict[str, Any], body_hash: bytes) -> Any:
        row = (await session.execute(_READ, keys)).one_or_none()
        if row is None:
            raise Conflict("The first request with this key was just given up. Send it again.")
        if row.body_hash != body_hash:
            raise Conflict(
                f"This {HEADER} came with another request before. Use a new key for a new request."
            )
        self._response.headers[REPLAYED] = "true"
        return orjson.loads(row.response)

    async def _hash_request(self) -> bytes:
        request = self._request
        target = f"{request.url.path}?{request.url.query}\n".encode()
        return hashlib.sha256(target + await request.body()).digest()


Once = Annotated[OnceOnly, Depends()]


async def forget_expired(session: AsyncSession) -> int:
    """Delete the keys that have had their 24 hours; the schedule calls it as the system role.

    Returns:
        How many there were.
    """
    result = await session.execute(_FORGET, {"kept_hours": KEPT_HOURS})
    return int(getattr(result, "rowcount", 0))


async def _claim(session: AsyncSession, keys: dict[str, Any], body_hash: bytes) -> bool:
    """Make the key this transaction's; waits for another that holds it, and says no when that one commits."""
    await session.execute(_WAIT, {"patience": _PATIENCE})
    try:
        await session.execute(_EXPIRE, {**keys, "kept_hours": KEPT_HOURS})
        claimed = (await session.execute(_CLAIM, {**keys, "body_hash": body_hash})).one_or_none()
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) != asyncpg.LockNotAvailableError.sqlstate:
            raise
        raise Conflict(
            "The first request with this key is still being done. Try again in a moment."
        ) from None
    await session.execute(_WAIT, {"patience": "0"})
    return claimed is not None


def _template(request: Request) -> str:
    routed = request.scope.get("fastapi", {}).get("effective_route_context") or request.scope.get("route")
    return str(getattr(routed, "path", request.url.path))


def _status(request: Request) -> int:
    routed = request.scope.get("fastapi", {}).get("effective_route_context") or request.scope.get("route")
    return int(getattr(routed, "status_code", None) or 200)
