"""What a provider's claims take away at once never takes a tenant's last administrator."""

import asyncio

import pytest
from sqlalchemy import select
from tests.crosswise import somebody_waits

from fettle.identity.audit import Who
from fettle.identity.models import User
from fettle.identity.models_sign_in import IdentityProvider
from fettle.identity.sign_on import _keep_membership
from fettle.kernel.database import driver
from fettle.kernel.ids import new_id


@pytest.fixture
def demote(platform, tenant):
    """Let a provider say that somebody is a viewer from now on, within a transaction."""
    provider = IdentityProvider(id=new_id(), tenant_id=tenant)

    async def say(session, user_id):
        user = (await session.scalars(select(User).where(User.id == user_id))).one()
        await _keep_membership(session, provider, user, "viewer", Who("system:sign-on"))

    return say


@pytest.fixture
async def administrators(platform, tenant):
    ids = [new_id(), new_id()]
    async with platform.database.raw_system() as connection:
        for user_id in ids:
            await connection.execute(
                "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'A', 'x')",
                user_id, f"{user_id}@example.org",
            )  # fmt: skip
            await connection.execute(
                "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, 'tenant_admin')",
                tenant,
                user_id,
            )
    return ids


async def roles_of(platform, tenant):
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch("SELECT role FROM memberships WHERE tenant_id = $1", tenant)
    return sorted(row["role"] for row in rows)


async def test_two_administrators_whom_claims_demote_at_once_leave_one(
    platform, tenant, demote, administrators
):
    first, second = administrators

    async def other():
        async with platform.database.system() as session:
            await demote(session, second)

    async with platform.database.system() as session:
        await demote(session, first)
        waiting = asyncio.create_task(other())
        await somebody_waits(await driver(session), waiting)
    await waiting
    assert await roles_of(platform, tenant) == ["tenant_admin", "viewer"]


async def test_who_is_disabled_is_no_other_administrator(platform, tenant, demote, administrators):
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE users SET disabled_at = now() WHERE id = $1", administrators[0])
    async with platform.database.system() as session:
        await demote(session, administrators[1])
    assert await roles_of(platform, tenant) == ["tenant_admin", "tenant_admin"]
