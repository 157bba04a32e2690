"""What a person may do where: memberships of tenants, roles at partners and the tenants' own roles, put together."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import asyncpg

from fettle.identity.permissions import role_permissions

GRANTS: Final = """
SELECT ARRAY[m.tenant_id] AS tenants, NULL::uuid AS partner_id, m.role, r.permissions
FROM memberships m LEFT JOIN custom_roles r ON r.tenant_id = m.tenant_id AND r.name = m.role
WHERE m.user_id = u.id
UNION ALL
SELECT ARRAY(SELECT t.id FROM tenants t WHERE t.partner_id = p.partner_id ORDER BY t.id), p.partner_id, p.role, NULL
FROM partner_members p WHERE p.user_id = u.id
"""
"""One row for each membership and each partner of a user, to be joined laterally to ``users AS u``."""


@dataclass(frozen=True, slots=True)
class Grants:
    """What a person may do.

    Attributes:
        rights: Permissions by tenant; of a tenant reached in two ways, both.
        partners: Role by partner.
        custom_roles: The tenants' own roles among them, as ``<tenant>/<name>``.
    """

    rights: Mapping[UUID, frozenset[str]]
    partners: Mapping[UUID, str]
    custom_roles: frozenset[str]

    def within(self, tenant_id: UUID) -> "Grants":
        """Return what is left of them in one tenant."""
        own = {role for role in self.custom_roles if role.startswith(f"{tenant_id}/")}
        rights = {tenant: held for tenant, held in self.rights.items() if tenant == tenant_id}
        return Grants(rights, {}, frozenset(own))


def grants_of(rows: Iterable[asyncpg.Record]) -> Grants:
    """Put the rows of `GRANTS` together.

    Args:
        rows: With ``tenants``, which is None where there is no grant at all.
    """
    rights: dict[UUID, frozenset[str]] = {}
    partners: dict[UUID, str] = {}
    custom: set[str] = set()
    for row in rows:
        if row["tenants"] is None:
            continue
        permissions = role_permissions(row["role"], row["permissions"])
        if row["partner_id"] is not None:
            partners[row["partner_id"]] = row["role"]
        if row["permissions"] is not None:
            custom.add(f"{row['tenants'][0]}/{row['role']}")
        for tenant in row["tenants"]:
            rights[tenant] = rights.get(tenant, frozenset()) | permissions
    return Grants(rights, partners, frozenset(custom))
