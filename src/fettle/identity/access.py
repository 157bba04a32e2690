"""What a route asks for: who calls, in which tenant, with which permission, and a session bound to it."""

from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import Depends, Request
from fastapi.security import HTTPBearer
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.datastructures import Headers

from fettle.identity.audit import Entry, Who, record_read, watched
from fettle.identity.authentication import (
    Access,
    Caller,
    authenticate_token,
    authenticator,
)
from fettle.identity.permissions import PERMISSIONS
from fettle.kernel import context
from fettle.kernel.errors import Malformed, Unauthenticated
from fettle.kernel.platform import Platform
from fettle.packs.service import active_packs

__all__ = [
    "Access",
    "Caller",
    "CurrentPlatform",
    "CurrentWho",
    "SignedInCaller",
    "TenantSession",
    "authenticate_token",
    "require",
]

TENANT_HEADER: Final = "X-Tenant-ID"
BEARER: Final = "fettle.bearer"
"""Key in the ASGI scope of the bearer token, where the door has read it already."""

_READS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


async def platform_of(request: Request) -> Platform:
    """Return the process's parts."""
    platform = request.app.state.platform
    if not isinstance(platform, Platform):
        raise TypeError("the application was made without a platform")
    return platform


CurrentPlatform = Annotated[Platform, Depends(platform_of)]


class _Documented(HTTPBearer):
    """A dependency that the documentation shows as the API's one way of signing in.

    Each of them does its whole work by itself: FastAPI goes through the dependencies of a dependency anew
    wherever it stands, even where its result is known.
    """

    def __init__(self) -> None:
        super().__init__(
            auto_error=False,
            scheme_name="bearer",
            description="An access token of `POST /api/v1/auth/login`, or an API key (`ftl_...`).",
        )


class _BearerToken(_Documented):
    async def __call__(self, request: Request) -> str:  # type: ignore[override]  # the token instead of its parts
        """Return the request's one bearer token.

        Raises:
            Unauthenticated: There is none.
            Malformed: There are two, of which a proxy may have checked the other.
        """
        return token_of(request.headers)


bearer_token: Final = _BearerToken()


def token_of(headers: Headers) -> str:
    """Return the one bearer token of a request's headers.

    Raises:
        Unauthenticated: There is none.
        Malformed: There are two.
    """
    scheme, _, token = (_single(headers, "Authorization") or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("Send the header 'Authorization: Bearer', with an access token or an API key.")
    return token


BearerToken = Annotated[str, Depends(bearer_token)]


async def signed_in(platform: CurrentPlatform, token: BearerToken) -> Caller:
    """Return who is calling, for the few routes that are about no tenant."""
    caller = await authenticator(platform).caller(token)
    context.actor.set(caller.actor)
    return caller


SignedInCaller = Annotated[Caller, Depends(signed_in)]


class _CurrentAccess(_Documented):
    async def __call__(self, request: Request) -> Access:  # type: ignore[override]  # what the token opens
        """Return what the caller may do in the tenant that the request names."""
        headers = request.headers
        token = request.scope.get(BEARER) or token_of(headers)
        access = await authenticate_token(await platform_of(request), token, _single(headers, TENANT_HEADER))
        context.actor.set(access.actor)
        context.tenant_id.set(str(access.tenant_id))
        return access


current_access: Final = _CurrentAccess()


CurrentAccess = Annotated[Access, Depends(current_access)]


class RequiredPermission:
    """A route's demand for one permission; found on the route by the documentation and by the tests.

    Args:
        permission: One of `PERMISSIONS`; anything else stops the start.
        reads: What the audit calls the read, ``noun.listed`` or ``noun.exported``, where it is a sensitive one.
    """

    def __init__(self, permission: str, reads: str | None = None) -> None:
        if permission not in PERMISSIONS:
            raise ValueError(f"{permission} is not listed in identity/permissions.py")
        self.permission = permission
        self.reads = reads

    async def __call__(self, request: Request, access: CurrentAccess) -> Access:
        """Return the access where it holds the permission; a sensitive read is in the audit before its answer."""
        access.check(self.permission)
        if request.method not in _READS:
            # Whatever is sent is redacted by the rules of the tenant's packs, so this process must know them.
            await active_packs(await platform_of(request), access.tenant_id)
        if self.reads is not None:
            kind = self.reads.partition(".")[0]
            target = (kind, next(iter(request.path_params.values()), None))
            who = Who(access.actor, address_of(request))
            asked = {name: value for name, value in request.query_params.items() if name != "cursor"}
            entry = Entry(who, self.reads, target, after={"asked": asked} if asked else None)
            await record_read(await platform_of(request), access.tenant_id, entry)
        return access


def require(permission: str, *, reads: str | None = None) -> RequiredPermission:
    """Return the dependency of a route that needs a permission.

    Args:
        permission: One of `PERMISSIONS`.
        reads: Of a sensitive read, what the audit calls it, such as ``secrets.listed``.
    """
    return RequiredPermission(permission, reads)


async def who_calls(request: Request, access: CurrentAccess) -> Who:
    """Return the caller as the audit names them."""
    return Who(access.actor, address_of(request))


CurrentWho = Annotated[Who, Depends(who_calls)]


async def tenant_session(request: Request, access: CurrentAccess) -> AsyncIterator[AsyncSession]:
    """Lend the request's one transaction, bound to its tenant; committed before the response is sent.

    A request that may change something is in the audit even where its route forgets to say so.
    """
    platform = await platform_of(request)
    async with platform.database.tenant(access.tenant_id) as session:
        if request.method in _READS:
            yield session
            return
        route = request.scope.get("route")
        path = getattr(route, "path", "")
        target = (path.strip("/").split("/")[0], next(iter(request.path_params.values()), None))
        who = Who(access.actor, address_of(request))
        action = f"{request.method} {path}"
        async with watched(session, who, action, tenant_id=access.tenant_id, target=target):
            yield session


TenantSession = Annotated[AsyncSession, Depends(tenant_session, scope="function")]


def address_of(request: Request) -> str | None:
    """Return the network address that the request came from."""
    return request.client.host if request.client is not None else None


def _single(headers: Headers, name: str) -> str | None:
    values = headers.getlist(name)
    if len(values) > 1:
        raise Malformed(f"The header {name} was sent {len(values)} times. Send it once.")
    return values[0] if values else None
