"""Scheduled work goes from tenant to tenant: what breaks at one keeps nobody from the next."""

from datetime import timedelta

import pytest
import structlog

from fettle.healing.muting import correlations, releasing
from fettle.identity import audit_retention, data_erasure
from fettle.identity.audit import Who
from fettle.incidents import tasks
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict
from fettle.kernel.ids import new_id
from fettle.kernel.per_tenant import contain_failure


@pytest.fixture
def broken(monkeypatch, tenant, other_tenant):
    """Let something break for one tenant; returns whom it was done for."""

    def breaks(module, name):
        done, whole = [], getattr(module, name)

        async def half(platform, of, *arguments):
            tenant_id = getattr(of, "tenant_id", of)
            if tenant_id == tenant:
                raise ValueError("what is stored of this tenant cannot be read")
            if tenant_id == other_tenant:
                done.append(tenant_id)
            return await whole(platform, of, *arguments)

        monkeypatch.setattr(module, name, half)
        return done

    return breaks


async def resolved(connection, tenant_id, ago):
    await connection.execute(
        "INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, fingerprint, labels, "
        "details, occurrences, opened_at, last_seen_at, resolved_at, version) VALUES "
        "($1, $2, 1, 'x', 'resolved', 'low', 'x', $4, '{}', '{}', 1, $3, $3, $3, 1)",
        new_id(), tenant_id, utcnow() - ago, str(tenant_id),
    )  # fmt: skip


async def test_who_is_due_to_be_looked_at_is(platform, tenant, other_tenant, broken):
    async with platform.database.raw_system() as connection:
        for tenant_id, ago in ((tenant, 2), (other_tenant, 1)):
            due = utcnow() - timedelta(hours=ago)
            await connection.execute(
                "INSERT INTO mute_sets (tenant_id, due_at) VALUES ($1, $2)", tenant_id, due
            )
    done = broken(releasing, "look_at_tenant")
    await releasing.look_at_due(platform)
    assert done == [other_tenant]


@pytest.mark.parametrize(
    ("work", "module", "name", "ago"),
    [
        (correlations.correlate_recent, correlations, "rules_of", timedelta(0)),
        (tasks.close_quiet, tasks, "_close", timedelta(days=400)),
    ],
)
async def test_what_was_resolved_is_gone_through(
    platform, tenant, other_tenant, broken, work, module, name, ago
):
    async with platform.database.raw_system() as connection:
        for tenant_id in (tenant, other_tenant):
            await resolved(connection, tenant_id, ago)
    done = broken(module, name)
    await work(platform)
    assert done == [other_tenant]


async def test_what_is_old_in_the_audit_is_forgotten(platform, other_tenant, broken):
    done = broken(audit_retention, "active_packs")
    await audit_retention.forget_old_audit(platform)
    assert done == [other_tenant]


async def test_who_is_to_be_erased_is(platform, tenant, other_tenant, broken):
    for tenant_id in (tenant, other_tenant):
        async with platform.database.raw_system() as connection:
            slug = await connection.fetchval("SELECT slug FROM tenants WHERE id = $1", tenant_id)
        await data_erasure.begin(platform, tenant_id, Who("user:ann"), confirm=slug)
    done = broken(data_erasure, "erase")
    assert await data_erasure.continue_erasures(platform) == 1
    assert done == [other_tenant]


async def test_a_database_that_is_away_is_away_for_everybody(tenant):
    async def lost():
        raise ConnectionRefusedError

    with pytest.raises(ConnectionRefusedError):
        await contain_failure(tenant, "test", lost())


async def test_a_decision_of_somebody_at_this_moment_is_no_failure(tenant):
    async def decided():
        raise Conflict("Somebody closed it.")

    with structlog.testing.capture_logs() as logged:
        assert await contain_failure(tenant, "test", decided(), overtaken=Conflict) == 0
        assert await contain_failure(tenant, "test", decided()) == 0
    assert [one["log_level"] for one in logged] == ["info", "error"]
