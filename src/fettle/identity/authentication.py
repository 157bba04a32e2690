"""Who is calling, from a bearer token: looked up, remembered for seconds, forgotten at once when revoked."""

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NoReturn
from uuid import UUID

import structlog
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from fettle.identity import sign_in_policy
from fettle.identity.grants import GRANTS, grants_of
from fettle.identity.key_use import KeyUse
from fettle.identity.permissions import KEY_SCOPES, PERMISSIONS
from fettle.identity.signing_keys import KEYS_CHANGED, SigningKeys
from fettle.identity.tokens import (
    TokenRefused,
    is_api_key,
    read_access_token,
    read_api_key,
)
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import FieldError, Forbidden, Invalid, NotFound, Unauthenticated
from fettle.kernel.platform import Platform
from fettle.kernel.ratelimit import limit_tenant

CACHE_SECONDS: Final = 3.0
_CACHE_ENTRIES: Final = 20_000
_REVOCATIONS: Final = "fettle:identity:revoked"
_LISTEN_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 1.0

_HOLDER: Final = (
    "SELECT u.is_platform_admin, u.must_change_password, s.methods, s.within_tenant, g.* "  # noqa: S608 - of constants
    f"FROM refresh_sessions s JOIN users u ON u.id = s.user_id LEFT JOIN LATERAL ({GRANTS}) AS g ON true "
    "WHERE s.id = $1 AND u.id = $2 AND s.ended_at IS NULL AND u.disabled_at IS NULL"
)

_log = structlog.get_logger(__name__)


class PasswordChangeRequired(Forbidden):
    """The account still has its one-time password, and may do nothing but change it."""

    slug = "password-change-required"
    title = "Change the password first"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who is calling, before a tenant is chosen.

    Attributes:
        user_id: The person, or None for a program.
        api_key_id: The program's key, or None for a person.
        session_id: The person's sign-in.
        is_platform_admin: Whether every tenant is open.
        must_change_password: Whether nothing else may be done first.
        rights: Permissions by tenant.
        good_until: When the credential expires by itself.
        partners: The person's role by partner; it holds in each of the partner's tenants.
        custom_roles: The tenants' own roles that the rights come from, as ``<tenant>/<name>``.
        methods: What the person's sign-in proved, first things first.
        within_tenant: The one tenant that the sign-in reaches, where that tenant's provider vouched for it.
    """

    user_id: UUID | None
    api_key_id: UUID | None
    session_id: UUID | None
    is_platform_admin: bool
    must_change_password: bool
    rights: Mapping[UUID, frozenset[str]]
    good_until: datetime | None
    partners: Mapping[UUID, str] = field(default_factory=dict)
    custom_roles: frozenset[str] = frozenset()
    methods: tuple[str, ...] = ()
    within_tenant: UUID | None = None

    @property
    def actor(self) -> str:
        """Return the name by which events and the audit record the caller."""
        return f"user:{self.user_id}" if self.user_id is not None else f"key:{self.api_key_id}"

    @property
    def subjects(self) -> frozenset[str]:
        """Return the names under which this caller can be revoked."""
        named = {"user": self.user_id, "key": self.api_key_id, "session": self.session_id}
        own = {f"{kind}:{value}" for kind, value in named.items() if value is not None}
        partners = {f"partner:{partner}" for partner in self.partners}
        return frozenset(own | partners | {f"role:{role}" for role in self.custom_roles})

    def refuse_one_time_password(self) -> None:
        """Refuse everything but a change of the password while it is still the one-time password.

        Raises:
            PasswordChangeRequired: It is.
        """
        if self.must_change_password:
            raise PasswordChangeRequired(
                "This account still has its one-time password. Change it with POST /api/v1/auth/password."
            )


@dataclass(frozen=True, slots=True)
class Access:
    """What a caller may do in one tenant.

    Attributes:
        user_id: The person, or None for a program.
        api_key_id: The program's key, or None for a person.
        actor: Name in events and the audit.
        tenant_id: The one tenant that this request is about.
        permissions: What may be done there.
    """

    user_id: UUID | None
    api_key_id: UUID | None
    actor: str
    tenant_id: UUID
    permissions: frozenset[str]

    def check(self, permission: str) -> None:
        """Refuse what the caller may not do.

        Raises:
            Forbidden: The permission is not held.
        """
        if permission not in self.permissions:
            raise Forbidden(f"This needs the permission {permission}. Ask an administrator of the tenant.")


@dataclass(slots=True)
class _Remembered:
    caller: Caller
    forget_at: float
    accesses: dict[str | None, Access] = field(default_factory=dict)


@dataclass(slots=True)
class _Question:
    """A look-up under way, and how many revocations were heard of before it."""

    revocations_seen: int
    answered: asyncio.Event = field(default_factory=asyncio.Event)


class Authenticator:
    """Turns bearer tokens into callers; one for each process.

    A caller is remembered only while this process hears of revocations: without Redis every request asks
    the database, which is slower and never wrong.
    """

    def __init__(self, platform: Platform) -> None:
        self.keys = SigningKeys(platform)
        self._key_use = KeyUse(platform)
        self._platform = platform
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._questions: dict[bytes, _Question] = {}
        self._revocations_seen = 0
        self._hearing = False
        self._listener: asyncio.Task[None] | None = None

    async def caller(self, token: str) -> Caller:
        """Return who holds a token.

        Raises:
            Unauthenticated: Nobody, or nobody any more.
        """
        return (await self._recall(token)).caller

    async def access(self, token: str, tenant_header: str | None) -> Access:
        """Return what the holder of a token may do in the tenant that the request names.

        Args:
            token: The bearer token.
            tenant_header: ``X-Tenant-ID``, where it was sent.

        Raises:
            Unauthenticated: Nobody holds it.
            PasswordChangeRequired: The one-time password was not changed yet.
            NotFound: No such tenant for this caller.
            Invalid: The header is needed, or is not a UUID.
            Forbidden: The caller belongs to no tenant.
        """
        remembered = await self._recall(token)
        known = remembered.accesses.get(tenant_header)
        if known is not None:
            return known
        caller = remembered.caller
        caller.refuse_one_time_password()
        access = await self._choose_tenant(caller, tenant_header)
        remembered.accesses[tenant_header] = access
        return access

    async def revoke(self, *subjects: str) -> None:
        """Make every process forget callers; called after the change is committed.

        Args:
            *subjects: ``user:<id>``, ``key:<id>``, ``session:<id>``, or everybody with ``partner:<id>`` or
                ``role:<tenant>/<name>``; `KEYS_CHANGED` is everybody.
        """
        self._forget(frozenset(subjects))
        if self._platform.redis is not None:
            try:
                await self._platform.redis.publish(_REVOCATIONS, " ".join(subjects))
            except (RedisError, OSError):
                # Whoever hears nothing remembers nothing beyond CACHE_SECONDS.
                _log.warning("revocation not published", subjects=subjects)

    async def close(self) -> None:
        """Stop listening, and write down what is still to be noted."""
        await self._key_use.close()
        if self._listener is not None:
            self._listener.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._listener
            self._listener = None
        self._hearing = False

    async def _recall(self, token: str) -> _Remembered:
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        found = self._known(key)
        if found is not None:
            return found
        asked = self._questions.get(key)
        if self._hearing and asked is not None and asked.revocations_seen == self._revocations_seen:
            # All that a busy caller has under way would else ask at once whenever it is forgotten.
            await asked.answered.wait()
            found = self._known(key)
        return found or await self._ask(key, token)

    def _known(self, key: bytes) -> _Remembered | None:
        found = self._remembered.get(key)
        if found is not None and self._hearing and time.monotonic() < found.forget_at:
            return found
        return None

    async def _ask(self, key: bytes, token: str) -> _Remembered:
        self._listen()
        question = self._questions[key] = _Question(self._revocations_seen)
        try:
            caller = await self._look_up(token)
            seconds = CACHE_SECONDS
            if caller.good_until is not None:
                seconds = min(seconds, (caller.good_until - utcnow()).total_seconds())
            remembered = _Remembered(caller, time.monotonic() + seconds)
            # A revocation that arrived during the query may have been about this very caller.
            if self._hearing and question.revocations_seen == self._revocations_seen:
                self._remembered[key] = remembered
                self._remembered.move_to_end(key)
                if len(self._remembered) > _CACHE_ENTRIES:
                    self._remembered.popitem(last=False)
            return remembered
        finally:
            if self._questions.get(key) is question:
                del self._questions[key]
            question.answered.set()

    async def _look_up(self, token: str) -> Caller:
        try:
            if is_api_key(token):
                return await self._holder_of_key(token)
            return await self._holder_of_access_token(token)
        except TokenRefused as refusal:
            _log.info("token refused", reason=str(refusal))
            raise Unauthenticated("The token is not valid, or not any more. Sign in again.") from None

    async def _holder_of_key(self, token: str) -> Caller:
        holder = await self._key_use.holder(read_api_key(token))
        return Caller(
            user_id=None,
            api_key_id=holder.id,
            session_id=None,
            is_platform_admin=False,
            must_change_password=False,
            rights={holder.tenant_id: frozenset(holder.scopes) & KEY_SCOPES},
            good_until=holder.good_until,
        )

    async def _holder_of_access_token(self, token: str) -> Caller:
        claims = read_access_token(token, await self.keys.public_for(token), now=utcnow())
        async with self._platform.database.raw_system() as connection:
            rows = await connection.fetch(_HOLDER, claims.session_id, claims.user_id)
        if not rows:
            raise TokenRefused("session ended or account disabled")
        granted, within = grants_of(rows), rows[0]["within_tenant"]
        if within is not None:
            granted = granted.within(within)
        return Caller(
            user_id=claims.user_id,
            api_key_id=None,
            session_id=claims.session_id,
            is_platform_admin=rows[0]["is_platform_admin"] and within is None,
            must_change_password=rows[0]["must_change_password"],
            rights=granted.rights,
            good_until=claims.expires_at,
            partners=granted.partners,
            custom_roles=granted.custom_roles,
            methods=tuple(rows[0]["methods"]),
            within_tenant=within,
        )

    async def _choose_tenant(self, caller: Caller, header: str | None) -> Access:
        tenant_id = _only_tenant(caller) if header is None else _tenant_named(header)
        if caller.is_platform_admin:
            if tenant_id not in caller.rights and not await self._tenant_exists(tenant_id):
                raise _no_such_tenant()
            permissions = frozenset(PERMISSIONS)
        elif tenant_id in caller.rights:
            permissions = caller.rights[tenant_id]
        else:
            raise _no_such_tenant()
        if caller.user_id is not None:
            await sign_in_policy.check(
                self._platform,
                tenant_id,
                caller.methods,
                partners=caller.partners,
                is_admin=caller.is_platform_admin,
            )
        return Access(caller.user_id, caller.api_key_id, caller.actor, tenant_id, permissions)

    async def _tenant_exists(self, tenant_id: UUID) -> bool:
        async with self._platform.database.raw_system() as connection:
            return bool(
                await connection.fetchval("SELECT EXISTS (SELECT FROM tenants WHERE id = $1)", tenant_id)
            )

    def _forget(self, subjects: frozenset[str]) -> None:
        self._revocations_seen += 1
        if KEYS_CHANGED in subjects:
            self.keys.forget()
            self._remembered.clear()
        stale = [key for key, entry in self._remembered.items() if entry.caller.subjects & subjects]
        for key in stale:
            del self._remembered[key]

    def _listen(self) -> None:
        if self._platform.redis is not None and (self._listener is None or self._listener.done()):
            self._listener = asyncio.get_running_loop().create_task(self._hear(), name="identity-revocations")

    async def _hear(self) -> None:
        redis = self._platform.redis
        while redis is not None:
            try:
                async with redis.pubsub() as channel:
                    await self._follow(channel)
            except (RedisError, OSError):
                _log.warning("revocations cannot be heard; every request asks the database")
            finally:
                self._hearing = False
                self._remembered.clear()
            await asyncio.sleep(_RETRY_SECONDS)

    async def _follow(self, channel: PubSub) -> NoReturn:
        await channel.subscribe(_REVOCATIONS)
        while True:
            message = await channel.get_message(timeout=_LISTEN_SECONDS)
            if message is None:
                await channel.ping()
            elif message["type"] == "subscribe":
                self._hearing = True
            elif message["type"] == "message":
                self._forget(frozenset(_text(message["data"]).split(" ")))


def authenticator(platform: Platform) -> Authenticator:
    """Return the process's authenticator."""
    found = platform.parts.get("identity.authenticator")
    if not isinstance(found, Authenticator):
        found = platform.parts["identity.authenticator"] = Authenticator(platform)
    return found


async def authenticate_token(platform: Platform, token: str, tenant_header: str | None) -> Access:
    """Return what the holder of a token may do; for the hot routes and the WebSocket.

    Raises:
        Problem: As `Authenticator.access` does.
        RateLimited: The tenant has had its requests for now.
    """
    access = await authenticator(platform).access(token, tenant_header)
    await limit_tenant(platform, access.tenant_id)
    return access


def _only_tenant(caller: Caller) -> UUID:
    if len(caller.rights) == 1:
        return next(iter(caller.rights))
    if not caller.rights and not caller.is_platform_admin:
        raise Forbidden("This account belongs to no tenant. Ask an administrator to add it to one.")
    raise Invalid(
        "This account has several tenants. Say which with the header X-Tenant-ID; GET /api/v1/me lists them.",
        errors=[FieldError("/headers/X-Tenant-ID", "is missing")],
    )


def _tenant_named(header: str) -> UUID:
    try:
        tenant_id = UUID(header)
    except ValueError:
        tenant_id = None
    if tenant_id is None or str(tenant_id) != header.lower():
        raise Invalid(
            "The header X-Tenant-ID is not a tenant's id. GET /api/v1/me lists them.",
            errors=[FieldError("/headers/X-Tenant-ID", "is not a UUID of the form 8-4-4-4-12")],
        )
    return tenant_id


def _no_such_tenant() -> NotFound:
    return NotFound("There is no such tenant for this account. GET /api/v1/me lists those that there are.")


def _text(data: bytes | str) -> str:
    return data.decode() if isinstance(data, bytes) else data
