"""The audit in the evidence chain: each record once, found changed or missing offline, and gone without a break."""

import asyncio
import contextlib
import json
import subprocess
from datetime import timedelta

import asyncpg
import pytest
from tests.cli.running import COMMAND

from fettle.evidence import audit_sealing, service
from fettle.evidence.audit_records import compare
from fettle.evidence.export import verify_export
from fettle.identity import audit, audit_search
from fettle.identity.audit import Who
from fettle.identity.audit_retention import forget_old_audit
from fettle.identity.audit_search import AuditFilter
from fettle.kernel.bus import run_consumers
from fettle.kernel.bus_groups import wait_until_idle
from fettle.packs.policies import put_policy
from fettle.packs.service import PackCache
from fettle.packs.shipped import shipped_policy

GROUP = "evidence.audit"
ANN = Who("user:ann", "192.0.2.7")


@pytest.fixture
async def sealing(platform):
    """The consumer that seals audit records, running."""
    task = asyncio.create_task(run_consumers(platform, [audit_sealing.CONSUMER]))
    yield lambda: wait_until_idle(platform, [GROUP], timeout=timedelta(seconds=60))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def changed(platform, tenant, count, **values):
    async with platform.database.tenant(tenant) as session:
        for number in range(count):
            was = {"enabled": True, "fraction": 0.1, "big": 2**60, "none": None}
            now = {"enabled": False, **values}
            target = ("rule", f"R-{number}")
            await audit.record(
                session, ANN, "rule.updated", tenant_id=tenant, target=target, before=was, after=now
            )


async def exported(platform, tenant, folder):
    """Return the chain's file, its bundles, and the audit's records."""
    file = folder / "chain.jsonl"
    file.write_bytes(b"".join([piece async for piece in service.export_lines(platform, tenant)]))
    rows = audit_search.records(platform, tenant, AuditFilter())
    lines = [json.loads(line) async for line in audit_search.lines(rows)]
    return file, [json.loads(line) for line in file.read_bytes().splitlines()[1:]], lines


async def test_each_record_is_sealed_once_and_a_changed_one_is_found_offline(
    platform, tenant, other_tenant, sealing, tmp_path
):
    await changed(platform, tenant, 5)
    await changed(platform, other_tenant, 2)
    assert await sealing()
    await changed(platform, tenant, 3)
    assert await sealing()
    file, bundles, records = await exported(platform, tenant, tmp_path)
    assert verify_export(file).report.ok
    sealed = [entry["id"] for bundle in bundles for entry in bundle["content"]["records"]]
    assert sorted(sealed) == sorted(record["id"] for record in records)
    assert len(set(sealed)) == 8
    report = compare(bundles, records)
    assert (report.ok, report.held, report.absent) == (True, 8, 0)
    records[2]["after"]["enabled"] = True
    report = compare(bundles, records[1:])
    assert (report.changed, report.held, report.absent) == ([records[2]["id"]], 6, 1)


async def test_the_command_holds_an_audit_export_against_the_chain(platform, tenant, sealing, tmp_path):
    await changed(platform, tenant, 2)
    assert await sealing()
    file, _, records = await exported(platform, tenant, tmp_path)
    export = tmp_path / "audit.jsonl"

    async def verified(*lines):
        export.write_text("".join(json.dumps(line) + "\n" for line in lines))
        process = await asyncio.create_subprocess_exec(
            *COMMAND, "evidence", "verify", str(file), "--audit", str(export), stdout=subprocess.PIPE
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    status, told = await verified(*records)
    assert (status, "2 audit records are what was sealed" in told) == (0, True)
    status, told = await verified(records[0], {**records[1], "actor": "user:nobody"})
    assert (status, f"CHANGED: audit record {records[1]['id']}" in told) == (1, True)


async def test_a_consumer_that_dies_before_its_commit_seals_nothing_twice(platform, tenant, sealing):
    await changed(platform, tenant, 1)
    assert await sealing()
    async with platform.database.raw_system() as connection:
        position = await connection.fetchval(
            "SELECT max(position) FROM events WHERE tenant_id = $1 AND type = 'audit.recorded'", tenant
        )
        await connection.execute(
            "UPDATE consumer_lanes SET position = 0 WHERE consumer_group = $1 AND position >= $2",
            GROUP,
            position,
        )
    await changed(platform, tenant, 1)
    assert await sealing()
    async with platform.database.raw_system() as connection:
        counted = await connection.fetchrow(
            "SELECT (SELECT count(*) FROM audit_seals WHERE tenant_id = $1) AS seals, "
            "(SELECT count(*) FROM evidence_bundles WHERE tenant_id = $1) AS bundles",
            tenant,
        )
    assert tuple(counted) == (2, 2)


@pytest.mark.parametrize("role", ["raw_app", "raw_system"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_records SET actor = 'nobody'",
        "DELETE FROM audit_records",
        "TRUNCATE audit_records",
        "ALTER TABLE audit_records DISABLE TRIGGER ALL",
    ],
)
async def test_no_role_of_the_platform_changes_the_audit(platform, role, statement):
    async with getattr(platform.database, role)() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(statement)


async def test_not_even_the_owner_changes_a_record(platform, tenant, postgres):
    await changed(platform, tenant, 1)
    owner = await asyncpg.connect(postgres.dsn("fettle_owner", platform.settings.home.name))
    try:
        for statement in ("UPDATE audit_records SET actor = 'nobody'", "TRUNCATE audit_records"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.execute(statement)
    finally:
        await owner.close()


async def test_what_is_forgotten_was_sealed_and_is_old_and_the_chain_still_holds(
    platform, tenant, other_tenant, sealing, postgres, tmp_path
):
    await changed(platform, tenant, 3)
    await changed(platform, other_tenant, 1)
    assert await sealing()
    await age(platform, postgres, days=400)
    await changed(platform, tenant, 1)  # fresh
    assert await sealing()
    forget = "SELECT forget_audit_records($1, now(), 1000)"
    async with platform.database.raw_system() as connection:
        assert await connection.fetchval(forget, tenant) == 3
        assert await connection.fetchval(forget, tenant) == 0
    async with platform.database.raw_app() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.fetchval(forget, tenant)
    file, bundles, records = await exported(platform, tenant, tmp_path)
    assert verify_export(file).report.ok
    report = compare(bundles, records)
    assert (report.ok, report.held, report.absent) == (True, 1, 3)
    assert len((await exported(platform, other_tenant, tmp_path))[2]) == 1


async def test_the_policy_says_how_long_the_audit_is_kept(platform, tenant, other_tenant, sealing, postgres):
    for owner in (tenant, other_tenant):
        await changed(platform, owner, 2)
    assert await sealing()
    await age(platform, postgres, days=100)
    policy = {**shipped_policy("default"), "retention": {"audit_days": 90}}
    async with platform.database.tenant(tenant) as session:
        await put_policy(session, tenant, policy, actor="user:ann")
    platform.parts["packs.cache"] = PackCache()
    assert await forget_old_audit(platform) == 2
    assert await forget_old_audit(platform) == 0
    async with platform.database.raw_system() as connection:
        left = await connection.fetch(
            "SELECT tenant_id, action FROM audit_records WHERE tenant_id = ANY($1)", [tenant, other_tenant]
        )
    assert {row["action"] for row in left if row["tenant_id"] == tenant} == {"audit.forgotten"}
    assert [row["action"] for row in left if row["tenant_id"] == other_tenant] == ["rule.updated"] * 2


async def test_what_is_not_sealed_is_not_forgotten(platform, tenant, postgres):
    await changed(platform, tenant, 2)
    await age(platform, postgres, days=400)
    async with platform.database.raw_system() as connection:
        assert await connection.fetchval("SELECT forget_audit_records($1, now(), 1000)", tenant) == 0


async def age(platform, postgres, *, days):
    """Move every record back in time, as only a superuser can."""
    superuser = await asyncpg.connect(postgres.dsn("postgres", platform.settings.home.name))
    await superuser.execute("SET session_replication_role = replica")
    await superuser.execute(f"UPDATE audit_records SET occurred_at = occurred_at - interval '{days} days'")
    await superuser.close()
