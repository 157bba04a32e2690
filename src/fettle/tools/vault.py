"""A tenant's secrets: sealed when they are put in, opened only for the call that names them."""

from uuid import UUID

from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretBox, SecretUnreadable
from fettle.tools.registry import ToolError


class Secrets:
    """Reads one tenant's secrets, and remembers which values it gave out, so that they can be withheld."""

    def __init__(self, platform: Platform, tenant_id: UUID) -> None:
        self._platform = platform
        self._tenant_id = tenant_id
        self._seen: set[str] = set()

    @property
    def seen(self) -> frozenset[str]:
        """Every value that was given out."""
        return frozenset(self._seen)

    async def read(self, name: str) -> str:
        """Return a secret's value.

        Raises:
            ToolError: The tenant has no secret of that name, or it cannot be opened.
        """
        async with self._platform.database.raw_tenant(self._tenant_id) as connection:
            sealed = await connection.fetchval(
                "SELECT sealed FROM tenant_secrets WHERE tenant_id = $1 AND name = $2", self._tenant_id, name
            )
        if sealed is None:
            raise ToolError("no_secret", f"there is no secret `{name}`; put it in, or name another")
        try:
            value = box(self._platform).decrypt(sealed, bound_to(self._tenant_id, name)).decode()
        except SecretUnreadable as error:
            raise ToolError("no_secret", f"the secret `{name}` cannot be opened: {error}") from None
        self._seen.add(value)
        return value


def box(platform: Platform) -> SecretBox:
    """Return the process's box, opened once."""
    found = platform.parts.get("tools.secret_box")
    if not isinstance(found, SecretBox):
        found = platform.parts["tools.secret_box"] = SecretBox(platform.settings)
    return found


def bound_to(tenant_id: UUID, name: str) -> bytes:
    """Return what a sealed secret belongs to: it opens for no other tenant and under no other name."""
    return f"tenant_secrets:{tenant_id}:{name}".encode()
