"""A tenant's people as its provider keeps them: memberships follow, accounts stay."""

import contextlib
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.identity.scim.directory import DEFAULT_ROLE, Collection
from fettle.identity.scim.errors import ScimProblem
from fettle.identity.scim.resources import UserIn, user_in, user_out
from fettle.kernel.database import DriverConnection
from fettle.kernel.errors import NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str

_USERS: Final = """
SELECT s.id, s.user_id, s.user_name, s.external_id, s.attributes, s.made_account, s.created_at, s.updated_at,
       m.role, m.user_id IS NOT NULL AS active,
       coalesce((SELECT jsonb_agg(jsonb_build_object('value', g.id::text, 'display', g.display_name) ORDER BY g.id)
                 FROM scim_group_members gm JOIN scim_groups g ON g.tenant_id = gm.tenant_id AND g.id = gm.group_id
                 WHERE gm.tenant_id = s.tenant_id AND gm.member_id = s.id), '[]') AS groups
FROM scim_users s LEFT JOIN memberships m ON m.tenant_id = s.tenant_id AND m.user_id = s.user_id
WHERE s.tenant_id = $1
"""

# An account belongs to the tenant alone, so that the tenant's provider may rename it and end its sessions.
_ALONE: Final = """
SELECT NOT u.is_platform_admin
  AND NOT EXISTS (SELECT FROM memberships m WHERE m.user_id = u.id AND m.tenant_id <> $1)
  AND NOT EXISTS (SELECT FROM partner_members p WHERE p.user_id = u.id)
FROM users u WHERE u.id = $2 FOR UPDATE OF u
"""


class Users(Collection[UserIn]):
    """The tenant's people."""

    def read(self, body: Mapping[str, Any]) -> UserIn:
        """Read a User."""
        return user_in(body)

    async def listed(self, equal: tuple[str, str] | None = None) -> list[dict[str, Any]]:
        """Return users, by id; those with one attribute where an index can find them."""
        connection = await self._directory.connection()
        await self._directory.adopt(connection)
        condition = {"username": "s.user_name = lower($2)", "externalid": "s.external_id = $2"}
        known = condition.get(equal[0]) if equal is not None else None
        if equal is not None and known is not None:
            rows = await connection.fetch(f"{_USERS} AND {known} ORDER BY s.id", self._tenant_id, equal[1])
        else:
            rows = await connection.fetch(f"{_USERS} ORDER BY s.id", self._tenant_id)
        return [user_out(dict(row)) for row in rows]

    async def one(self, user_id: UUID) -> dict[str, Any]:
        """Return one user.

        Raises:
            NotFound: The tenant has no such user.
        """
        connection = await self._directory.connection()
        await self._directory.adopt(connection)
        return user_out(await self._row(connection, user_id))

    async def create(self, given: UserIn) -> dict[str, Any]:
        """Bring a person into the tenant, with a new account where the address has none.

        Raises:
            ScimProblem: The tenant has this person already.
        """
        connection = await self._directory.connection()
        await self._directory.adopt(connection)
        account, made = await self._account(connection, given)
        row = await connection.fetchrow(
            "INSERT INTO scim_users (tenant_id, id, user_id, user_name, external_id, attributes, made_account) "
            "VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7) ON CONFLICT DO NOTHING RETURNING id",
            self._tenant_id, new_id(), account, given.user_name, given.external_id, dumps_str(given.attributes), made,
        )  # fmt: skip
        if row is None:
            raise ScimProblem(409, "The tenant has a user with this userName.", "uniqueness")
        if given.active:
            await self._activate(connection, row["id"], account)
        await self._tell("scim_user.created", row["id"], after=given)
        return await self.one(row["id"])

    async def change(self, user_id: UUID, given: UserIn) -> dict[str, Any]:
        """Make a user what the provider says.

        Raises:
            NotFound: The tenant has no such user.
            ScimProblem: Another user of the tenant has the userName, or this is its last administrator.
        """
        connection = await self._directory.connection()
        async with self._directory.keeping_an_administrator(connection):
            return await self._change(connection, user_id, given)

    async def _change(self, connection: DriverConnection, user_id: UUID, given: UserIn) -> dict[str, Any]:
        row = await self._row(connection, user_id, locked=True)
        account, made = row["user_id"], row["made_account"]
        if given.user_name != row["user_name"]:
            account, made = await self._renamed(connection, row, given)
        elif made and await self._is_alone(connection, account):
            await connection.execute("UPDATE users SET name = $2 WHERE id = $1", account, given.name)
        try:
            await connection.execute(
                "UPDATE scim_users SET user_id = $3, user_name = $4, external_id = $5, attributes = $6::text::jsonb, "
                "made_account = $7, updated_at = now() WHERE tenant_id = $1 AND id = $2",
                self._tenant_id, user_id, account, given.user_name, given.external_id,
                dumps_str(given.attributes), made,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise ScimProblem(409, "The tenant has a user with this userName.", "uniqueness") from None
        if given.active:
            await self._activate(connection, user_id, account)
        elif row["active"]:
            await self._deactivate(connection, account)
        before = UserIn(row["user_name"], row["external_id"], row["active"], row["attributes"])
        await self._tell("scim_user.changed", user_id, before=before, after=given)
        return await self.one(user_id)

    async def delete(self, user_id: UUID) -> None:
        """Take a person out of the tenant; the account stays, as it may be another tenant's too.

        Raises:
            NotFound: The tenant has no such user.
            ScimProblem: They are the tenant's last administrator.
        """
        connection = await self._directory.connection()
        async with self._directory.keeping_an_administrator(connection):
            row = await self._row(connection, user_id, locked=True)
            await self._deactivate(connection, row["user_id"])
        await connection.execute(
            "DELETE FROM scim_users WHERE tenant_id = $1 AND id = $2", self._tenant_id, user_id
        )
        before = UserIn(row["user_name"], row["external_id"], row["active"], row["attributes"])
        await self._tell("scim_user.deleted", user_id, before=before)

    async def _row(
        self, connection: DriverConnection, user_id: UUID, *, locked: bool = False
    ) -> Mapping[str, Any]:
        if locked:
            await connection.execute(
                "SELECT FROM scim_users WHERE tenant_id = $1 AND id = $2 FOR UPDATE", self._tenant_id, user_id
            )
        row = await connection.fetchrow(f"{_USERS} AND s.id = $2", self._tenant_id, user_id)
        if row is None:
            raise NotFound("There is no such user.")
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
            # Two who take the same address at once both find it free; the second waits here, and is refused.
            with contextlib.suppress(asyncpg.UniqueViolationError):
                async with connection.transaction():
                    await connection.execute(
                        "UPDATE users SET email = $2, name = $3 WHERE id = $1",
                        account, given.user_name, given.name,
                    )  # fmt: skip
                return account, True
        if row["active"]:
            await self._deactivate(connection, account)
        return await self._account(connection, given)

    async def _is_alone(self, connection: DriverConnection, account: UUID) -> bool:
        return bool(await connection.fetchval(_ALONE, self._tenant_id, account))

    async def _activate(self, connection: DriverConnection, user_id: UUID, account: UUID) -> None:
        role = await self._directory.role(connection, user_id) or DEFAULT_ROLE
        added = await connection.fetchval(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, $3) "
            "ON CONFLICT DO NOTHING RETURNING user_id",
            self._tenant_id, account, role,
        )  # fmt: skip
        if added is not None:
            self._directory.revoked.add(account)

    async def _deactivate(self, connection: DriverConnection, account: UUID) -> None:
        """End the membership, and the sessions that reach nothing else."""
        alone = await self._is_alone(connection, account)
        await connection.execute(
            "DELETE FROM memberships WHERE tenant_id = $1 AND user_id = $2", self._tenant_id, account
        )
        await connection.execute(
            "UPDATE refresh_sessions SET ended_at = now(), ended_because = 'deprovisioned' "
            "WHERE user_id = $2 AND ended_at IS NULL AND ($3 OR within_tenant = $1)",
            self._tenant_id, account, alone,
        )  # fmt: skip
        self._directory.revoked.add(account)

    async def _tell(self, action: str, user_id: UUID, **was: UserIn) -> None:
        told = {when: {"active": user.active, "external_id": user.external_id} for when, user in was.items()}
        await self._directory.tell(action, user_id, **told)
