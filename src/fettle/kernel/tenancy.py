"""Tenant isolation in the database: the declarative base, and the policies of each table as data definition."""

from typing import Final
from uuid import UUID

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

APP_ROLE: Final = "fettle_app"
"""The role that requests and consumers run as; row-level security binds it."""

SYSTEM_ROLE: Final = "fettle_system"
"""The role of the bus, sign-in and schedules; a policy of its own lets it see every tenant."""

TENANT_SETTING: Final = "fettle.tenant_id"

_BOUND_TENANT = f"(select nullif(current_setting('{TENANT_SETTING}', true), '')::uuid)"


class Base(DeclarativeBase):
    """Base of every table."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class TenantOwned:
    """Mixin of a table whose rows belong to one tenant each."""

    tenant_id: Mapped[UUID] = mapped_column()


def protect(
    table: str, *, app: str = "SELECT, INSERT, UPDATE, DELETE", column: str = "tenant_id"
) -> list[str]:
    """Return the statements that put a tenant's table under row-level security.

    The bound tenant is read in a sub-select, which PostgreSQL evaluates once for a statement and not
    once for a row. An unset setting is NULL, and NULL equals no tenant.

    Args:
        table: The table's name.
        app: Privileges of the application role.
        column: The column that names the tenant.
    """
    return [
        f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY",
        (
            f"CREATE POLICY tenant_isolation ON {table} TO {APP_ROLE} "
            f"USING ({column} = {_BOUND_TENANT}) WITH CHECK ({column} = {_BOUND_TENANT})"
        ),
        f"CREATE POLICY system_access ON {table} TO {SYSTEM_ROLE} USING (true) WITH CHECK (true)",
        f"GRANT {app} ON {table} TO {APP_ROLE}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {SYSTEM_ROLE}",
    ]


def grant_platform(table: str, *, app: str = "SELECT, INSERT, UPDATE, DELETE") -> list[str]:
    """Return the grants of a table that belongs to no tenant.

    Args:
        table: The table's name.
        app: Privileges of the application role; ``""`` for none.
    """
    grants = [f"GRANT SELECT, INSERT, UPDATE, DELETE ON {table} TO {SYSTEM_ROLE}"]
    if app:
        grants.append(f"GRANT {app} ON {table} TO {APP_ROLE}")
    return grants
