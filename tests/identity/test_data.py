"""A tenant's data leaves whole and without secrets, and is gone for good when it is erased; its neighbour's stays."""

import hashlib
import io
import json
import zipfile
from uuid import uuid4

import pytest
from sqlalchemy import text
from tests.identity.api_keys import key_headers
from tests.isolation.catalog import tenant_tables

from fettle.evidence import keys
from fettle.evidence.erasure import record_holds
from fettle.evidence.export import verify_export
from fettle.identity import audit, data_erasure, data_export
from fettle.identity.audit import Who
from fettle.identity.data_export import KEPT, forget_exports
from fettle.identity.tasks import JOBS, SCHEDULE
from fettle.kernel.jobs import run_job
from fettle.tools.vault import bound_to, box

SECRET = f"planted-{uuid4().hex}"
SPECS = {spec.name: spec for spec in JOBS}


@pytest.fixture
async def filled(platform, tenant, other_tenant, make_person):
    """Two tenants with people, programs, secrets and an audit; returns the people."""
    both = await make_person({tenant: "operator", other_tenant: "operator"})
    alone = await make_person({tenant: "viewer"})
    neighbour = await make_person({other_tenant: "viewer"})
    for owner in (tenant, other_tenant):
        async with platform.database.tenant(owner) as session:
            await audit.record(
                session, Who("user:ann", "192.0.2.7"), "thing.done", tenant_id=owner, target=("thing", owner)
            )
            await session.execute(
                text(
                    "INSERT INTO tenant_secrets (tenant_id, name, sealed, updated_by) VALUES (:t, 's', :v, 'ann')"
                ),
                {"t": owner, "v": box(platform).encrypt(SECRET.encode(), bound_to(owner, "s"))},
            )
    return both, alone, neighbour


async def everything(platform, tenant):
    """Return every row of a tenant as text."""
    async with platform.database.raw_system() as connection:
        return {
            table: sorted(
                row[0]
                for row in await connection.fetch(
                    f"SELECT t::text FROM {table} t WHERE {column} = $1", tenant
                )
            )
            for table, column in (await tenant_tables(connection)).items()
        }


async def run_export(platform, tenant):
    """Do the one export that waits."""
    async with platform.database.raw_system() as connection:
        job = await connection.fetchval(
            "SELECT id FROM jobs WHERE tenant_id = $1 AND name = 'identity.export_tenant' AND state = 'queued'",
            tenant,
        )
    return await run_job(platform, tenant, job, SPECS)


async def exported(client, platform, tenant, headers):
    asked = await client.post(f"/api/v1/tenants/{tenant}/export", headers=headers)
    assert asked.status_code == 202, asked.text
    path = f"/api/v1/exports/{asked.json()['id']}"
    assert (await client.get(f"{path}/download", headers=headers)).status_code == 409
    assert await run_export(platform, tenant)
    shown = (await client.get(path, headers=headers)).json()
    assert shown["state"] == "ready", shown
    answer = await client.get(f"{path}/download", headers=headers)
    assert hashlib.sha256(answer.content).hexdigest() == shown["sha256"]
    assert answer.headers["content-length"] == str(shown["size_bytes"])
    name = f"export-{asked.json()['id']}.zip"
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}"'
    return path, zipfile.ZipFile(io.BytesIO(answer.content))


async def test_everything_of_one_tenant_leaves_with_hashes_and_without_secrets(
    client, platform, tenant, other_tenant, filled, tmp_path
):
    headers = await key_headers(platform, tenant)
    path, archive = await exported(client, platform, tenant, headers)
    manifest = json.loads(archive.read("manifest.json"))
    assert {file["name"] for file in manifest["files"]} == set(archive.namelist()) - {"manifest.json"}
    for file in manifest["files"]:
        content = archive.read(file["name"])
        assert hashlib.sha256(content).hexdigest() == file["sha256"]
        assert content.count(b"\n") == file["lines"]
        assert str(other_tenant).encode() not in content
        for line in content.splitlines():
            json.loads(line)
    async with platform.database.raw_system() as connection:
        tables = await tenant_tables(connection)
    named = {name[7:-6] for name in archive.namelist() if name.startswith("tables/")}
    assert set(tables) - named == set(manifest["left_out"])
    whole = b"".join(archive.read(name) for name in archive.namelist())
    for canary in (
        SECRET.encode(),
        headers["Authorization"].encode()[-30:],
        b"secret_hash",
        b"sealed",
        b"argon2",
    ):
        assert canary not in whole
    people = archive.read("people.jsonl").decode()
    both, alone, neighbour = filled
    assert both.email in people
    assert alone.email in people
    assert neighbour.email not in people
    (tmp_path / "e.jsonl").write_bytes(archive.read("evidence.jsonl"))
    assert verify_export(tmp_path / "e.jsonl").report.ok
    stranger = await key_headers(platform, other_tenant)
    for suffix in ("", "/download"):
        assert (await client.get(f"{path}{suffix}", headers=stranger)).status_code == 404
    assert (await client.post(f"/api/v1/tenants/{tenant}/export", headers=stranger)).status_code == 404


async def test_an_export_tells_how_far_it_is_and_that_it_failed(client, platform, tenant, monkeypatch):
    headers = await key_headers(platform, tenant)
    asked = await client.post(f"/api/v1/tenants/{tenant}/export", headers=headers)
    path, seen = f"/api/v1/exports/{asked.json()['id']}", []

    async def shown():
        one = (await client.get(path, headers=headers)).json()
        assert one in (await client.get("/api/v1/exports", headers=headers)).json()["items"]
        return one["state"], one["progress"]

    assert await shown() == ("queued", 0)
    rows = data_export._rows

    async def looked_at(connection, table, columns, tenant_id):
        seen.append(await shown())
        async for piece in rows(connection, table, columns, tenant_id):
            yield piece

    monkeypatch.setattr(data_export, "_rows", looked_at)
    await run_export(platform, tenant)
    assert {state for state, _ in seen} == {"queued"}
    assert [progress for _, progress in seen] == sorted({progress for _, progress in seen})
    assert 0.9 < seen[-1][1] < 1
    assert await shown() == ("ready", 1)

    async def broken(*_arguments):
        raise ConnectionError
        yield b""

    monkeypatch.setattr(data_export, "_rows", broken)
    asked = await client.post(f"/api/v1/tenants/{tenant}/export", headers=headers)
    path = f"/api/v1/exports/{asked.json()['id']}"
    await run_export(platform, tenant)
    assert (await shown())[0] == "failed"
    refused = await client.get(f"{path}/download", headers=headers)
    assert (refused.status_code, "ask for another" in refused.json()["detail"]) == (409, True)


async def test_an_export_is_forgotten_when_its_time_is_over(client, platform, tenant):
    headers = await key_headers(platform, tenant)
    path, _ = await exported(client, platform, tenant, headers)
    async with platform.database.raw_system() as connection:
        await connection.execute("UPDATE data_exports SET expires_at = expires_at - $1::interval", KEPT)
    await forget_exports(platform)
    assert (await client.get(path, headers=headers)).status_code == 404
    async with platform.database.raw_system() as connection:
        left = await connection.fetchval(
            "SELECT count(*) FROM data_export_parts WHERE tenant_id = $1", tenant
        )
    assert left == 0


async def slug_of(platform, tenant):
    async with platform.database.raw_system() as connection:
        return await connection.fetchval("SELECT slug FROM tenants WHERE id = $1", tenant)


async def test_an_erased_tenant_is_gone_from_every_table_and_its_neighbour_is_untouched(
    client, platform, tenant, other_tenant, filled, make_person, bearer
):
    both, alone, neighbour = filled
    key, before = await key_headers(platform, tenant), await everything(platform, other_tenant)
    admin = await make_person({tenant: "tenant_admin"})
    headers = await bearer(admin)
    slug = await slug_of(platform, tenant)
    refused = await client.post(f"/api/v1/tenants/{tenant}/erase", headers=headers, json={"confirm": "other"})
    assert refused.status_code == 422
    asked = await client.post(f"/api/v1/tenants/{tenant}/erase", headers=headers, json={"confirm": slug})
    assert asked.status_code == 202, asked.text
    for shut_out in (key, headers):
        answer = await client.get("/api/v1/users", headers=shut_out)
        assert answer.status_code in {401, 403, 404}
    assert await data_erasure.continue_erasures(platform) == 1
    assert {table: rows for table, rows in (await everything(platform, tenant)).items() if rows} == {}
    after = await everything(platform, other_tenant)
    assert {table for table in before if before[table] != after[table]} == set()
    async with platform.database.raw_system() as connection:
        left = {row["id"] for row in await connection.fetch("SELECT id FROM users")}
        erasures = await connection.fetchrow(
            "SELECT record, accounts FROM tenant_erasures WHERE erased_tenant = $1", tenant
        )
    assert both.id in left
    assert neighbour.id in left
    assert alone.id not in left
    assert admin.id not in left
    assert erasures["accounts"] == []
    record = erasures["record"]
    public = [key["public_key"] for key in (await keys.public_keys(platform))[0]]
    assert record_holds(record, public)
    assert not record_holds({**record, "accounts": 0}, public)
    assert not record_holds(record, [])
    assert record["rows"]["audit_records"] >= 1
    assert record["accounts"] == 2
    told = json.dumps(record)
    for personal in (slug, alone.email, str(alone.id), str(admin.id), "192.0.2.7"):
        assert personal not in told
    assert await data_erasure.continue_erasures(platform) == 0


async def test_an_interrupted_erasure_goes_on_and_counts_every_row_once(
    platform, tenant, filled, monkeypatch
):
    counted = {table: len(rows) for table, rows in (await everything(platform, tenant)).items()}
    erasure = await data_erasure.begin(
        platform, tenant, Who("user:ann"), confirm=await slug_of(platform, tenant)
    )
    whole, calls = data_erasure._delete_batch, []

    async def die(connection, erasure, table):
        gone = await whole(connection, erasure, table)
        calls.append(gone)
        if sum(calls) == 2:
            raise ConnectionError
        return gone

    monkeypatch.setattr(data_erasure, "_BATCH", 1)
    monkeypatch.setattr(data_erasure, "_delete_batch", die)
    with pytest.raises(ConnectionError):
        await data_erasure.erase(platform, erasure)
    [far] = [one for one in await data_erasure.list_erasures(platform) if one["id"] == erasure.id]
    assert far["completed_at"] is None
    assert sum(far["deleted"].values()) == 2 < sum(counted.values())
    monkeypatch.setattr(data_erasure, "_delete_batch", whole)
    record = await data_erasure.erase(platform, erasure)
    assert record["rows"]["audit_records"] == counted["audit_records"]
    assert record["rows"]["events"] == counted["events"]
    assert {"identity.continue_erasures", "identity.sweep_erased"} <= {entry.name for entry in SCHEDULE}


async def test_the_audit_tells_of_an_erasure_in_the_very_transaction_that_begins_and_ends_it(
    platform, tenant
):
    async def written_together(action):
        async with platform.database.raw_system() as connection:
            return await connection.fetchval(
                "SELECT e.xmin = a.xmin FROM tenant_erasures e "
                "JOIN audit_records a ON a.target_id = e.erased_tenant::text "
                "WHERE e.erased_tenant = $1 AND a.action = $2",
                tenant, action,
            )  # fmt: skip

    async with platform.database.raw_system() as connection:
        slug = await connection.fetchval("SELECT slug FROM tenants WHERE id = $1", tenant)
    erasure = await data_erasure.begin(platform, tenant, Who("user:ann"), confirm=slug)
    assert await written_together("tenant.erasure_requested")
    await data_erasure.erase(platform, erasure)
    assert await written_together("tenant.erased")


async def test_what_a_late_consumer_writes_is_swept(platform, tenant, filled):
    erasure = await data_erasure.begin(
        platform, tenant, Who("user:ann"), confirm=await slug_of(platform, tenant)
    )
    await data_erasure.erase(platform, erasure)
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO idempotency_keys (tenant_id, scope, key_hash, body_hash, status, response) "
            "VALUES ($1, 's', '\\x00', '\\x00', 200, 'null')",
            tenant,
        )
    await data_erasure.sweep(platform)
    assert not any((await everything(platform, tenant)).values())


async def test_nobody_but_its_administrator_erases_a_tenant_and_only_just_signed_in(
    client, platform, tenant, other_tenant, make_person, bearer
):
    slug = await slug_of(platform, tenant)
    path, body = f"/api/v1/tenants/{tenant}/erase", {"confirm": slug}
    operator = await bearer(await make_person({tenant: "operator"}))
    stranger = await bearer(await make_person({other_tenant: "tenant_admin"}))
    program = await key_headers(platform, tenant)
    statuses = [
        (await client.post(path, headers=headers, json=body)).status_code
        for headers in (operator, stranger, program)
    ]
    assert statuses == [403, 404, 403]
    admin = await make_person({tenant: "tenant_admin"})
    headers = await bearer(admin)
    async with platform.database.raw_system() as connection:
        await connection.execute(
            "UPDATE refresh_sessions SET authenticated_at = now() - interval '11 minutes' WHERE user_id = $1",
            admin.id,
        )
    stale = await client.post(path, headers=headers, json=body)
    assert stale.json()["type"] == "urn:fettle:problem:recent-sign-in-required"
    assert (await client.get("/api/v1/erasures", headers=headers)).status_code == 403
    assert await slug_of(platform, tenant) == slug
