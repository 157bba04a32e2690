"""A tenant's directory as its provider keeps it: what people and groups have in common, roles above all."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.members import ADMIN_ROLE
from fettle.identity.permissions import MEMBER_ROLES, permissions_of
from fettle.identity.scim.errors import ScimProblem
from fettle.identity.scim.resources import role_named
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.database import DriverConnection, driver

DEFAULT_ROLE: Final = "viewer"
"""Of whoever is in no group that stands for a role."""

_GIVEN: Final = tuple(role for role in MEMBER_ROLES if permissions_of(role) <= permissions_of("tenant_admin"))
"""Roles that a provider may give: none that reaches beyond the tenant."""

# Whoever came to the tenant in another way is known to its provider all the same.
_ADOPT: Final = """
INSERT INTO scim_users (tenant_id, id, user_id, user_name, attributes, made_account)
SELECT m.tenant_id, gen_random_uuid(), m.user_id, u.email, jsonb_build_object('displayName', u.name), false
FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.tenant_id = $1
  AND NOT EXISTS (SELECT FROM scim_users s WHERE s.tenant_id = $1 AND s.user_id = m.user_id)
ON CONFLICT DO NOTHING
"""

# What a role of the tenant's own can do is bounded where it is looked up, so it reaches beyond no tenant.
_ROLES_OF_GROUPS: Final = """
SELECT g.display_name FROM scim_group_members gm
JOIN scim_groups g ON g.tenant_id = gm.tenant_id AND g.id = gm.group_id
WHERE gm.tenant_id = $1 AND gm.member_id = $2
"""

# Locked in the order in which the tenant's own administrators lock them.
_ADMINISTRATORS: Final = """
SELECT m.user_id, u.disabled_at IS NULL AS enabled FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.tenant_id = $1 AND m.role = $2 ORDER BY m.user_id FOR UPDATE OF m
"""

Given = TypeVar("Given")


@dataclass(slots=True)
class Directory:
    """One tenant's directory in one transaction of the system role; every statement names the tenant.

    Attributes:
        revoked: Accounts whose callers every process must forget after the commit.
    """

    session: AsyncSession
    tenant_id: UUID
    who: Who
    revoked: set[UUID]

    async def connection(self) -> DriverConnection:
        """Return the driver's connection in the transaction."""
        return await driver(self.session)

    async def hold(self) -> None:
        """Let nobody else change this directory until the transaction ends: what is patched is what was read."""
        await hold_lock(await self.connection(), "scim", self.tenant_id)

    async def adopt(self, connection: DriverConnection) -> None:
        """Let whoever is a member of the tenant be a user of its provider's."""
        await connection.execute(_ADOPT, self.tenant_id)

    async def follow_groups(self, connection: DriverConnection, member: UUID, *, lost: str | None) -> None:
        """Give a member the role that their groups stand for; a role that no group gave is left as it is."""
        role = await self.role(connection, member)
        if role is None and lost is not None and await self._role_of_group(connection, lost) is not None:
            role = DEFAULT_ROLE
        if role is None:
            return
        account = await connection.fetchval(
            "UPDATE memberships m SET role = $3 FROM scim_users s WHERE s.tenant_id = $1 AND s.id = $2 "
            "AND m.tenant_id = $1 AND m.user_id = s.user_id AND m.role <> $3 RETURNING m.user_id",
            self.tenant_id, member, role,
        )  # fmt: skip
        if account is not None:
            self.revoked.add(account)

    async def role(self, connection: DriverConnection, member: UUID) -> str | None:
        """Return the greatest role that a member's groups stand for; one of the tenant's own comes last."""
        rows = await connection.fetch(_ROLES_OF_GROUPS, self.tenant_id, member)
        return await self._role_of_group(connection, *(row["display_name"] for row in rows))

    async def _role_of_group(self, connection: DriverConnection, *display_names: str) -> str | None:
        named = {role_named(name) for name in display_names}
        builtin = next((role for role in _GIVEN if role in named), None)
        if builtin is not None or not named:
            return builtin
        own = await connection.fetch(
            "SELECT name FROM custom_roles WHERE tenant_id = $1 ORDER BY name", self.tenant_id
        )
        return next((row["name"] for row in own if role_named(row["name"]) in named), None)

    @asynccontextmanager
    async def keeping_an_administrator(self, connection: DriverConnection) -> AsyncIterator[None]:
        """Refuse what takes the last administrator of the tenant away, whichever way it does so.

        Raises:
            ScimProblem: With 409; the transaction is undone with it.
        """
        were = await connection.fetch(_ADMINISTRATORS, self.tenant_id, ADMIN_ROLE)
        yield
        are = await connection.fetch(_ADMINISTRATORS, self.tenant_id, ADMIN_ROLE)
        lost = {row["user_id"] for row in were} - {row["user_id"] for row in are}
        if lost and not any(row["enabled"] for row in are):
            raise ScimProblem(
                409,
                "This would take the tenant's last administrator. Give somebody else the role tenant_admin first.",
            )

    async def tell(self, action: str, kept_id: UUID, **was: Mapping[str, Any]) -> None:
        """Add a record to the audit: `before` and `after`, where there is one."""
        kind = action.partition(".")[0]
        await audit.record(
            self.session, self.who, action, tenant_id=self.tenant_id, target=(kind, kept_id), **was
        )


class Collection(ABC, Generic[Given]):
    """What a directory holds of one kind of resource.

    Args:
        directory: Whose.
    """

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._tenant_id = directory.tenant_id

    @abstractmethod
    def read(self, body: Mapping[str, Any]) -> Given:
        """Read a resource as it is sent, in full.

        Raises:
            ScimProblem: It is none.
        """

    @abstractmethod
    async def listed(self, equal: tuple[str, str] | None = None) -> list[dict[str, Any]]:
        """Return resources, by id; those with one attribute where an index can find them."""

    @abstractmethod
    async def one(self, kept_id: UUID) -> dict[str, Any]:
        """Return one resource.

        Raises:
            NotFound: The tenant has no such resource.
        """

    @abstractmethod
    async def create(self, given: Given) -> dict[str, Any]:
        """Add a resource.

        Raises:
            ScimProblem: The tenant has it already, or what it refers to is not there.
        """

    @abstractmethod
    async def change(self, kept_id: UUID, given: Given) -> dict[str, Any]:
        """Make a resource what the provider says.

        Raises:
            NotFound: The tenant has no such resource.
            ScimProblem: Another one is called so, or the tenant's last administrator would be none any more.
        """

    @abstractmethod
    async def delete(self, kept_id: UUID) -> None:
        """Take a resource away.

        Raises:
            NotFound: The tenant has no such resource.
            ScimProblem: The tenant's last administrator would be none any more.
        """

    def as_changed(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a resource with every attribute that a change may name."""
        return resource


def check_version(resource: Mapping[str, Any], wanted: str | None) -> None:
    """Refuse a change that was made of another version.

    Raises:
        ScimProblem: With 412, as ``If-Match`` asks for.
    """
    if wanted is not None and wanted != "*":
        versions = {one.strip() for one in wanted.split(",")}
        if resource["meta"]["version"] not in versions:
            raise ScimProblem(412, "The resource is another by now. Read it again and repeat.")
