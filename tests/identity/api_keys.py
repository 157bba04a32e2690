"""Programs of a tenant that a test needs, each with the permissions of a role or with given ones."""

from collections.abc import Iterable
from uuid import UUID

from fettle.identity.permissions import KEY_SCOPES, permissions_of
from fettle.identity.tokens import new_api_key
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform


async def key_headers(
    platform: Platform, tenant: UUID, role: str = "tenant_admin", scopes: Iterable[str] | None = None
) -> dict[str, str]:
    """Store an API key and return the headers of its requests."""
    key = new_api_key()
    chosen = permissions_of(role) & KEY_SCOPES if scopes is None else scopes
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO api_keys (id, tenant_id, name, prefix, secret_hash, scopes, created_by) "
            "VALUES ($1, $2, $3, $4, $5, $6, 'system:test')",
            new_id(),
            tenant,
            f"of the role {role}",
            key.prefix,
            key.secret_hash,
            sorted(chosen),
        )
    return {"Authorization": f"Bearer {key.text}"}
