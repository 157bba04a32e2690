"""Everybody who may come to the API: each role as a person, a role of the tenant's own, keys, and nobody."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

from fettle.identity.authentication import authenticator
from fettle.identity.permissions import PERMISSIONS, ROLES, permissions_of
from fettle.identity.tokens import issue_access_token, new_api_key
from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id

OWN_ROLE = "night-shift"
OWN_ROLES_PERMISSIONS = frozenset({"incidents:read", "rules:write", "keys:read"})
SCOPE = "rules:read"


@dataclass(frozen=True)
class Somebody:
    """A caller.

    Attributes:
        name: What a failure calls them.
        headers: Of each of their requests, without a tenant.
        permissions: What they may do in their tenant.
        is_person: Whether they have an account, sessions and second factors.
        partner: The partner that they act for.
        is_known: Whether their credential is good at all.
    """

    name: str
    headers: dict[str, str]
    permissions: frozenset[str] = frozenset()
    is_person: bool = False
    partner: UUID | None = None
    is_known: bool = True

    @property
    def is_platform_admin(self) -> bool:
        return "platform:admin" in self.permissions


async def everybody(api, tenant, partner: UUID | None = None) -> list[Somebody]:
    """Make one caller of each kind in a tenant; the partner's administrator acts through the partner, if given."""
    callers = []
    async with api.platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO custom_roles (tenant_id, name, description, permissions) VALUES ($1, $2, '', $3)",
            tenant.id,
            OWN_ROLE,
            sorted(OWN_ROLES_PERMISSIONS),
        )
        for role in (*ROLES, OWN_ROLE):
            through = partner if role == "partner_admin" else None
            user_id = await _account(connection, tenant.id, role, through)
            held = permissions_of(role) or OWN_ROLES_PERMISSIONS
            headers = await _signed_in(api, connection, user_id)
            callers.append(Somebody(f"a person as {role}", headers, held, is_person=True, partner=through))
        person = await _account(connection, tenant.id, "tenant_admin", None)
        late = await _signed_in(api, connection, person, ago=timedelta(days=1))
        one_scope = await _key(connection, tenant.id, [SCOPE])
        expired = await _key(connection, tenant.id, sorted(PERMISSIONS), expires=timedelta(days=-1))
        revoked = await _key(connection, tenant.id, sorted(PERMISSIONS), revoked=True)
    return [
        *callers,
        Somebody("a key with one scope", one_scope, frozenset({SCOPE})),
        Somebody("nobody", {}, is_known=False),
        Somebody("an administrator whose token is over", late, is_known=False),
        Somebody("an expired key with every scope", expired, is_known=False),
        Somebody("a revoked key with every scope", revoked, is_known=False),
    ]


async def _account(connection, tenant_id, role, partner) -> UUID:
    user_id = new_id()
    await connection.execute(
        "INSERT INTO users (id, email, name, password_hash, is_platform_admin) VALUES ($1, $2, $3, '', $4)",
        user_id,
        f"{uuid4().hex}@example.org",
        role,
        role == "platform_admin",
    )
    if partner is not None:
        await connection.execute(
            "INSERT INTO partner_members (partner_id, user_id, role) VALUES ($1, $2, $3)",
            partner,
            user_id,
            role,
        )
    elif role != "platform_admin":
        await connection.execute(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3)", tenant_id, user_id, role
        )
    return user_id


async def _signed_in(api, connection, user_id, ago=timedelta(0)) -> dict[str, str]:
    session_id = new_id()
    await connection.execute(
        "INSERT INTO refresh_sessions (id, user_id, expires_at, methods) "
        "VALUES ($1, $2, now() + interval '1 day', '{password,totp}')",
        session_id,
        user_id,
    )
    key = await authenticator(api.platform).keys.private()
    token = issue_access_token(key, user_id=user_id, session_id=session_id, now=utcnow() - ago)
    return {"Authorization": f"Bearer {token}"}


async def _key(connection, tenant_id, scopes, *, expires=timedelta(days=1), revoked=False) -> dict[str, str]:
    key = new_api_key()
    await connection.execute(
        "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hash, scopes, created_by, expires_at, revoked_at) "
        "VALUES ($1, $2, 'of the matrix', $3, $4, $5, 'system:test', $6, $7)",
        new_id(),
        tenant_id,
        key.prefix,
        key.secret_hash,
        scopes,
        utcnow() + expires,
        utcnow() if revoked else None,
    )
    return {"Authorization": f"Bearer {key.text}"}
