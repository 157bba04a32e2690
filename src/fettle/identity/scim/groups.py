"""A tenant's groups as its provider keeps them: one that is called as a role gives its members that role."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.identity.scim.directory import Collection
from fettle.identity.scim.errors import ScimProblem
from fettle.identity.scim.resources import GroupIn, group_in, group_out
from fettle.kernel.database import DriverConnection
from fettle.kernel.errors import NotFound
from fettle.kernel.ids import new_id

_MOST_TOLD: Final = 1_000
_GROUPS: Final = """
SELECT g.id, g.display_name, g.external_id, g.created_at, g.updated_at,
       coalesce((SELECT jsonb_agg(jsonb_build_object('value', s.id::text, 'display', s.user_name) ORDER BY s.id)
                 FROM scim_group_members gm JOIN scim_users s ON s.tenant_id = gm.tenant_id AND s.id = gm.member_id
                 WHERE gm.tenant_id = g.tenant_id AND gm.group_id = g.id), '[]') AS members
FROM scim_groups g WHERE g.tenant_id = $1
"""


class Groups(Collection[GroupIn]):
    """The tenant's groups."""

    def read(self, body: Mapping[str, Any]) -> GroupIn:
        """Read a Group."""
        return group_in(body)

    def as_changed(self, resource: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return a group with its members, even where it has none."""
        return {"members": [], **resource}

    async def listed(self, equal: tuple[str, str] | None = None) -> list[dict[str, Any]]:
        """Return groups, by id; those with one attribute where an index can find them."""
        connection = await self._directory.connection()
        condition = {"displayname": "lower(g.display_name) = lower($2)", "externalid": "g.external_id = $2"}
        known = condition.get(equal[0]) if equal is not None else None
        if equal is not None and known is not None:
            rows = await connection.fetch(f"{_GROUPS} AND {known} ORDER BY g.id", self._tenant_id, equal[1])
        else:
            rows = await connection.fetch(f"{_GROUPS} ORDER BY g.id", self._tenant_id)
        return [group_out(dict(row)) for row in rows]

    async def one(self, group_id: UUID) -> dict[str, Any]:
        """Return one group.

        Raises:
            NotFound: The tenant has no such group.
        """
        connection = await self._directory.connection()
        return group_out(await self._row(connection, group_id))

    async def create(self, given: GroupIn) -> dict[str, Any]:
        """Make a group; one that is called as a role gives its members that role.

        Raises:
            ScimProblem: The tenant has a group of this name, a member is no user of the tenant, or its last
                administrator would be none any more.
        """
        connection = await self._directory.connection()
        group_id = await connection.fetchval(
            "INSERT INTO scim_groups (tenant_id, id, display_name, external_id) VALUES ($1, $2, $3, $4) "
            "ON CONFLICT DO NOTHING RETURNING id",
            self._tenant_id, new_id(), given.display_name, given.external_id,
        )  # fmt: skip
        if group_id is None:
            raise ScimProblem(409, "The tenant has a group with this displayName.", "uniqueness")
        async with self._directory.keeping_an_administrator(connection):
            await self._set_members(connection, group_id, [], given.members, lost=None)
        await self._tell("scim_group.created", group_id, after=given)
        return await self.one(group_id)

    async def change(self, group_id: UUID, given: GroupIn) -> dict[str, Any]:
        """Make a group what the provider says; the roles of its members follow at once.

        Raises:
            NotFound: The tenant has no such group.
            ScimProblem: Another group has this name, a member is no user of the tenant, or the tenant's last
                administrator would be none any more.
        """
        connection = await self._directory.connection()
        async with self._directory.keeping_an_administrator(connection):
            return await self._change(connection, group_id, given)

    async def _change(self, connection: DriverConnection, group_id: UUID, given: GroupIn) -> dict[str, Any]:
        row = await self._row(connection, group_id, locked=True)
        try:
            await connection.execute(
                "UPDATE scim_groups SET display_name = $3, external_id = $4, updated_at = now() "
                "WHERE tenant_id = $1 AND id = $2",
                self._tenant_id, group_id, given.display_name, given.external_id,
            )  # fmt: skip
        except asyncpg.UniqueViolationError:
            raise ScimProblem(409, "The tenant has a group with this displayName.", "uniqueness") from None
        were = [UUID(one["value"]) for one in row["members"]]
        await self._set_members(connection, group_id, were, given.members, lost=row["display_name"])
        if row["display_name"] != given.display_name:
            for member in given.members:
                await self._directory.follow_groups(connection, member, lost=row["display_name"])
        before = GroupIn(row["display_name"], row["external_id"], were)
        await self._tell("scim_group.changed", group_id, before=before, after=given)
        return await self.one(group_id)

    async def delete(self, group_id: UUID) -> None:
        """Delete a group; its members lose the role that it gave.

        Raises:
            NotFound: The tenant has no such group.
            ScimProblem: The tenant's last administrator would be none any more.
        """
        connection = await self._directory.connection()
        async with self._directory.keeping_an_administrator(connection):
            row = await self._row(connection, group_id, locked=True)
            were = [UUID(one["value"]) for one in row["members"]]
            await connection.execute(
                "DELETE FROM scim_groups WHERE tenant_id = $1 AND id = $2", self._tenant_id, group_id
            )
            for member in were:
                await self._directory.follow_groups(connection, member, lost=row["display_name"])
        before = GroupIn(row["display_name"], row["external_id"], were)
        await self._tell("scim_group.deleted", group_id, before=before)

    async def _row(
        self, connection: DriverConnection, group_id: UUID, *, locked: bool = False
    ) -> Mapping[str, Any]:
        if locked:
            await connection.execute(
                "SELECT FROM scim_groups WHERE tenant_id = $1 AND id = $2 FOR UPDATE",
                self._tenant_id,
                group_id,
            )
        row = await connection.fetchrow(f"{_GROUPS} AND g.id = $2", self._tenant_id, group_id)
        if row is None:
            raise NotFound("There is no such group.")
        return dict(row)

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
            await self._directory.adopt(connection)
            known = await connection.fetchval(
                "SELECT count(*) FROM scim_users WHERE tenant_id = $1 AND id = ANY($2)", self._tenant_id, list(come)
            )  # fmt: skip
            if known != len(come):
                raise ScimProblem(400, "A member is no user of this tenant.", "invalidValue")
            await connection.execute(
                "INSERT INTO scim_group_members (tenant_id, group_id, member_id) SELECT $1, $2, unnest($3::uuid[])",
                self._tenant_id, group_id, list(come),
            )  # fmt: skip
        if gone:
            await connection.execute(
                "DELETE FROM scim_group_members WHERE tenant_id = $1 AND group_id = $2 AND member_id = ANY($3)",
                self._tenant_id, group_id, list(gone),
            )  # fmt: skip
        for member in come:
            await self._directory.follow_groups(connection, member, lost=None)
        for member in gone:
            await self._directory.follow_groups(connection, member, lost=lost)

    async def _tell(self, action: str, group_id: UUID, **was: GroupIn) -> None:
        told = {
            when: {
                "display_name": group.display_name,
                "members": sorted(map(str, group.members))[:_MOST_TOLD],
            }
            for when, group in was.items()
        }
        await self._directory.tell(action, group_id, **told)
