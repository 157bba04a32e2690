"""A tenant's people and groups as its provider keeps them: memberships and roles follow, accounts stay."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import asyncpg
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.members import ADMIN_ROLE
from fettle.identity.permissions import MEMBER_ROLES, permissions_of
from fettle.identity.scim.errors import ScimProblem
from fettle.identity.scim.resources import GroupIn, UserIn, group_out, role_named, user_out
from fettle.kernel.database import DriverConnection, driver
from fettle.kernel.errors import NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str

DEFAULT_ROLE: Final = "viewer"
"""Of whoever is in no group that stands for a role."""

_GIVEN: Final = tuple(role for role in MEMBER_ROLES if permissions_of(role) <= permissions_of("tenant_admin"))
"""Roles that a provider may give: none that reaches beyond the tenant."""

_USERS: Final = """
SELECT s.id, s.user_id, s.user_name, s.external_id, s.attributes, s.made_account, s.created_at, s.updated_at,
       m.role, m.user_id IS NOT NULL AS active,
       coalesce((SELECT jsonb_agg(jsonb_build_object('value', g.id::text, 'display', g.display_name) ORDER BY g.id)
                 FROM scim_group_members gm JOIN scim_groups g ON g.tenant_id = gm.tenant_id AND g.id = gm.group_id
                 WHERE gm.tenant_id = s.tenant_id AND gm.member_id = s.id), '[]') AS groups
FROM scim_users s LEFT JOIN memberships m ON m.tenant_id = s.tenant_id AND m.user_id = s.user_id
WHERE s.tenant_id = $1
"""
_GROUPS: Final = """
SELECT g.id, g.display_name, g.external_id, g.created_at, g.updated_at,
       coalesce((SELECT jsonb_agg(jsonb_build_object('value', s.id::text, 'display', s.user_name) ORDER BY s.id)
                 FROM scim_group_members gm JOIN scim_users s ON s.tenant_id = gm.tenant_id AND s.id = gm.member_id
                 WHERE gm.tenant_id = g.tenant_id AND gm.group_id = g.id), '[]') AS members
FROM scim_groups g WHERE g.tenant_id = $1
"""

# Whoever came to the tenant in another way is known to its provider all the same.
_ADOPT: Final = """
INSERT INTO scim_users (tenant_id, id, user_id, user_name, attributes, made_account)
SELECT m.tenant_id, gen_random_uuid(), m.user_id, u.email, jsonb_build_object('displayName', u.name), false
FROM memberships m JOIN users u ON u.id = m.user_id
WHERE m.tenant_id = $1
  AND NOT EXISTS (SELECT FROM scim_users s WHERE s.tenant_id = $1 AND s.user_id = m.user_id)
ON CONFLICT DO NOTHING
"""

# An account belongs to the tenant alone, so that the tenant's provider may rename it and end its sessions.
_ALONE: Final = """
SELECT NOT u.is_platform_admin
  AND NOT EXISTS (SELECT FROM memberships m WHERE m.user_id = u.id AND m.tenant_id <> $1)
  AND NOT EXISTS (SELECT FROM partner_members p WHERE p.user_id = u.id)
FROM users u WHERE u.id = $2 FOR UPDATE OF u
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

    async def users(self, equal: tuple[str, str] | None = None) -> list[dict[str, Any]]:
        """Return users as resources, by id; those with one attribute where an index can find them."""
        connection = await driver(self.session)
        await connection.execute(_ADOPT, self.tenant_id)
        condition = {"username": "s.user_name = lower($2)", "externalid": "s.external_id = $2"}
        known = condition.get(equal[0]) if equal is not None else None
        if equal is not None and known is not None:
            rows = await connection.fetch(f"{_USERS} AND {known} ORDER BY s.id", self.tenant_id, equal[1])
        else:
            rows = await connection.fetch(f"{_USERS} ORDER BY s.id", self.tenant_id)
        return [user_out(dict(row)) for row in rows]

    async def groups(self, equal: tuple[str, str] | None = None) -> list[dict[str, Any]]:
        """Return groups as resources, by id; as `users` does."""
        connection = await driver(self.session)
        condition = {"displayname": "lower(g.display_name) = lower($2)", "externalid": "g.external_id = $2"}
        known = condition.get(equal[0]) if equal is not None else None
        if equal is not None and known is not None:
            rows = await connection.fetch(f"{_GROUPS} AND {known} ORDER BY g.id", self.tenant_id, equal[1])
        else:
            rows = await connection.fetch(f"{_GROUPS} ORDER BY g.id", self.tenant_id)
        return [group_out(dict(row)) for row in rows]

    async def user(self, user_id: UUID) -> dict[str, Any]:
        """Return one user as a resource.

        Raises:
            NotFound: The tenant has no such user.
        """
        connection = await driver(self.session)
        await connection.execute(_ADOPT, self.tenant_id)
        return user_out(await self._user_row(connection, user_id))

    async def group(self, group_id: UUID) -> dict[str, Any]:
        """Return one group as a resource.

        Raises:
            NotFound: The tenant has no such group.
        """
        connection = await driver(self.session)
        return group_out(await self._group_row(connection, group_id))

    async def create_user(self, given: UserIn) -> dict[str, Any]:
        """Bring a person into the tenant, with a new account where the address has none.

        Raises:
            ScimProblem: The tenant has this person already.
        """
        connection = await driver(self.session)
        await connection.execute(_ADOPT, self.tenant_id)
        account, made = await self._account(connection, given)
        row = await connection.fetchrow(
            "INSERT INTO scim_users (tenant_id, id, user_id, user_name, external_id, attributes, made_account) "
            "VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7) ON CONFLICT DO NOTHING RETURNING id",
            self.tenant_id, new_id(), account, given.user_name, given.external_id, dumps_str(given.attributes), made,
        )  # fmt: skip
        if row is None:
            raise ScimProblem(409, "The tenant has a user with this userName.", "uniqueness")
        if given.active:
            await self._activate(connection, row["id"], account)
        await self._tell("scim_user.created", row["id"], None, given)
        return await self.user(row["id"])

    async def change_user(self, user_id: UUID, given: UserIn) -> dict[str, Any]:
        """Make a user what the provider says.

        Raises:
            NotFound: The tenant has no such user.
            ScimProblem: Another user of the tenant has the userName, or this is its last administrator.
        """
        connection = await driver(self.session)
        async with self._keeping_an_administrator(connection):
            return await self._change_user(connection, user_id, given)

    async def _change_user(
        self, connection: DriverConnection, user_id: UUID, given: UserIn
    ) -> dict[str, Any]:
        row = await self._user_row(connection, user_id, locked=True)
        account, made = row["user_id"], row["made_account"]
        if given.user_name != row["user_name"]:
            account, made = await self._renamed(connection, row, given)
        elif made and await self._is_alone(connection, account):
            await connection.execute("UPDATE users SET name = $2 WHERE id = $1", account, given.name)
        try:
            await connection.execute(
                "UPDATE scim_users SET user_id = $3, user_name = $4, external_id = $5, attributes = $6::text::jsonb, "
                "made_account = $7, updated_at = now() WHERE tenant_id = $1 AND id = $2",
                self.tenant_id, user_id, account, given.user_name, given.external_id,
                dumps_str(given.attributes), made,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise ScimProblem(409, "The tenant has a user with this userName.", "uniqueness") from None
        if given.active:
            await self._activate(connection, user_id, account)
        elif row["active"]:
            await self._deactivate(connection, account)
        before = UserIn(row["user_name"], row["external_id"], row["active"], row["attributes"])
        await self._tell("scim_user.changed", user_id, before, given)
        return await self.user(user_id)

    async def delete_user(self, user_id: UUID) -> None:
        """Take a person out of the tenant; the account stays, as it may be another tenant's too.

        Raises:
            NotFound: The tenant has no such user.
            ScimProblem: They are the tenant's last administrator.
        """
        connection = await driver(self.session)
        async with self._keeping_an_administrator(connection):
            row = await self._user_row(connection, user_id, locked=True)
            await self._deactivate(connection, row["user_id"])
        await connection.execute(
            "DELETE FROM scim_users WHERE tenant_id = $1 AND id = $2", self.tenant_id, user_id
        )
        before = UserIn(row["user_name"], row["external_id"], row["active"], row["attributes"])
        await self._tell("scim_user.deleted", user_id, before, None)

    async def create_group(self, given: GroupIn) -> dict[str, Any]:
        """Make a group; one that is called as a role gives its members that role.

        Raises:
            ScimProblem: The tenant has a group of this name, a member is no user of the tenant, or its last
                administrator would be none any more.
        """
        connection = await driver(self.session)
        group_id = await connection.fetchval(
            "INSERT INTO scim_groups (tenant_id, id, display_name, external_id) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT DO NOTHING RETURNING id",
            self.tenant_id, new_id(), given.display_name, given.external_id,
        )  # fmt: skip
        if group_id is None:
            raise ScimProblem(409, "The tenant has a group with this displayName.", "uniqueness")
        async with self._keeping_an_administrator(connection):
            await self._set_members(connection, group_id, [], given.members, lost=None)
        await self._tell_of_group("scim_group.created", group_id, None, given)
        return await self.group(group_id)

    async def change_group(self, group_id: UUID, given: GroupIn) -> dict[str, Any]:
        """Make a group what the provider says; the roles of its members follow at once.

        Raises:
            NotFound: The tenant has no such group.
            ScimProblem: Another group has this name, a member is no user of the tenant, or the tenant's last
                administrator would be none any more.
        """
        connection = await driver(self.session)
        async with self._keeping_an_administrator(connection):
            return await self._change_group(connection, group_id, given)

    async def _change_group(
        self, connection: DriverConnection, group_id: UUID, given: GroupIn
    ) -> dict[str, Any]:
        row = await self._group_row(connection, group_id, locked=True)
        try:
            await connection.execute(
                "UPDATE scim_groups SET display_name = $3, external_id = $4, updated_at = now() "
                "WHERE tenant_id = $1 AND id = $2",
                self.tenant_id, group_id, given.display_name, given.external_id,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise ScimProblem(409, "The tenant has a group with this displayName.", "uniqueness") from None
        were = [UUID(one["value"]) for one in row["members"]]
        await self._set_members(connection, group_id, were, given.members, lost=row["display_name"])
        if row["display_name"] != given.display_name:
            for member in given.members:
                await self._follow_groups(connection, member, lost=row["display_name"])
        before = GroupIn(row["display_name"], row["external_id"], were)
        await self._tell_of_group("scim_group.changed", group_id, before, given)
        return await self.group(group_id)

    async def delete_group(self, group_id: UUID) -> None:
        """Delete a group; its members lose the role that it gave.

        Raises:
            NotFound: The tenant has no such group.
            ScimProblem: The tenant's last administrator would be none any more.
        """
        connection = await driver(self.session)
        async with self._keeping_an_administrator(connection):
            row = await self._group_row(connection, group_id, locked=True)
            were = [UUID(one["value"]) for one in row["members"]]
            await connection.execute(
                "DELETE FROM scim_groups WHERE tenant_id = $1 AND id = $2", self.tenant_id, group_id
            )
            for member in were:
                await self._follow_groups(connection, member, lost=row["display_name"])
        before = GroupIn(row["display_name"], row["external_id"], were)
        await self._tell_of_group("scim_group.deleted", group_id, before, None)

    @asynccontextmanager
    async def _keeping_an_administrator(self, connection: DriverConnection) -> AsyncIterator[None]:
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

    async def _user_row(
        self, connection: DriverConnection, user_id: UUID, *, locked: bool = False
    ) -> Mapping[str, Any]:
        if locked:
            await connection.execute(
                "SELECT FROM scim_users WHERE tenant_id = $1 AND id = $2 FOR UPDATE", self.tenant_id, user_id
            )
        row = await connection.fetchrow(f"{_USERS} AND s.id = $2", self.tenant_id, user_id)
        if row is None:
            raise NotFound("There is no such user.")
        return dict(row)

    async def _group_row(
        self, connection: DriverConnection, group_id: UUID, *, locked: bool = False
    ) -> Mapping[str, Any]:
        if locked:
            await connection.execute(
                "SELECT FROM scim_groups WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
                self.tenant_id,
                group_id,
            )
        row = await connection.fetchrow(f"{_GROUPS} AND g.id = $2", self.tenant_id, group_id)
        if row is None:
            raise NotFound("There is no such group.")
        return dict(row)

    async def _account(self, connection: DriverConnection, given: UserIn) -> tuple[UUID, bool]:
        """Return the account of an address, made without a password where there is none."""
        made = await connection.fetchval(
            "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, $3, '') "
            "ON CONFLICT (email) DO NOTHING RETURNING id",
            new_id(), given.user_name, given.name,
        )  # fmt: skip
        if made is not None:
            return made, True
        return await connection.fetchval("SELECT id FROM users WHERE email = $1", given.user_name), False

    async def _renamed(
        self, connection: DriverConnection, row: Mapping[str, Any], given: UserIn
    ) -> tuple[UUID, bool]:
        """Give the account its new address where it is the tenant's alone; else go over to that address's own.

        The answer is the same in both cases, so that no tenant learns which addresses have accounts elsewhere.
        """
        account = row["user_id"]
        if row["made_account"] and await self._is_alone(connection, account):
            moved = await connection.fetchval(
                "UPDATE users SET email = $2, name = $3 WHERE id = $1 "
                "AND NOT EXISTS (SELECT FROM users WHERE email = $2) RETURNING id",
                account, given.user_name, given.name,
            )  # fmt: skip
            if moved is not None:
                return account, True
        if row["active"]:
            await self._deactivate(connection, account)
        return await self._account(connection, given)

    async def _is_alone(self, connection: DriverConnection, account: UUID) -> bool:
        return bool(await connection.fetchval(_ALONE, self.tenant_id, account))

    async def _activate(self, connection: DriverConnection, user_id: UUID, account: UUID) -> None:
        role = await self._role(connection, user_id) or DEFAULT_ROLE
        added = await connection.fetchval(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3) "
            "ON CONFLICT DO NOTHING RETURNING user_id",
            self.tenant_id, account, role,
        )  # fmt: skip
        if added is not None:
            self.revoked.add(account)

    async def _deactivate(self, connection: DriverConnection, account: UUID) -> None:
        """End the membership, and the sessions that reach nothing else."""
        alone = await self._is_alone(connection, account)
        await connection.execute(
            "DELETE FROM memberships WHERE tenant_id = $1 AND user_id = $2", self.tenant_id, account
        )
        await connection.execute(
            "UPDATE refresh_sessions SET ended_at = now(), ended_because = 'deprovisioned' "
            "WHERE user_id = $2 AND ended_at IS NULL AND ($3 OR within_tenant = $1)",
            self.tenant_id, account, alone,
        )  # fmt: skip
        self.revoked.add(account)

    async def _set_members(
        self,
        connection: DriverConnection,
        group_id: UUID,
        were: Sequence[UUID],
        are: Sequence[UUID],
        *,
        lost: str | None,
    ) -> None:
        come, gone = set(are) - set(were), set(were) - set(are)
        if come:
            await connection.execute(_ADOPT, self.tenant_id)
            known = await connection.fetchval(
                "SELECT count(*) FROM scim_users WHERE tenant_id = $1 AND id = ANY($2)", self.tenant_id, list(come)
            )  # fmt: skip
            if known != len(come):
                raise ScimProblem(400, "A member is no user of this tenant.", "invalidValue")
            await connection.execute(
                "INSERT INTO scim_group_members (tenant_id, group_id, member_id) SELECT $1, $2, unnest($3::uuid[])",
                self.tenant_id, group_id, list(come),
            )  # fmt: skip
        if gone:
            await connection.execute(
                "DELETE FROM scim_group_members WHERE tenant_id = $1 AND group_id = $2 AND member_id = ANY($3)",
                self.tenant_id, group_id, list(gone),
            )  # fmt: skip
        for member in come:
            await self._follow_groups(connection, member, lost=None)
        for member in gone:
            await self._follow_groups(connection, member, lost=lost)

    async def _follow_groups(self, connection: DriverConnection, member: UUID, *, lost: str | None) -> None:
        """Give a member the role that their groups stand for; a role that no group gave is left as it is."""
        role = await self._role(connection, member)
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

    async def _role(self, connection: DriverConnection, member: UUID) -> str | None:
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

    async def _tell(self, action: str, user_id: UUID, before: UserIn | None, after: UserIn | None) -> None:
        await audit.record(
            self.session,
            self.who,
            action,
            tenant_id=self.tenant_id,
            target=("scim_user", user_id),
            before=None if before is None else _user_told(before),
            after=None if after is None else _user_told(after),
        )

    async def _tell_of_group(
        self, action: str, group_id: UUID, before: GroupIn | None, after: GroupIn | None
    ) -> None:
        await audit.record(
            self.session,
            self.who,
            action,
            tenant_id=self.tenant_id,
            target=("scim_group", group_id),
            before=None if before is None else _group_told(before),
            after=None if after is None else _group_told(after),
        )


def check_version(resource: Mapping[str, Any], wanted: str | None) -> None:
    """Refuse a change that was made of another version.

    Raises:
        ScimProblem: With 412, as ``If-Match`` asks for.
    """
    if wanted is not None and wanted != "*":
        versions = {one.strip() for one in wanted.split(",")}
        if resource["meta"]["version"] not in versions:
            raise ScimProblem(412, "The resource is another by now. Read it again and repeat.")


def _user_told(user: UserIn) -> dict[str, Any]:
    return {"active": user.active, "external_id": user.external_id}


def _group_told(group: GroupIn) -> dict[str, Any]:
    return {"display_name": group.display_name, "members": sorted(map(str, group.members))[:1_000]}
