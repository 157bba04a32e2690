"""Erases a tenant: every row of it in every table, a batch at a time, and leaves a signed statement of that."""

import hashlib
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import Any, Final
from uuid import UUID

import asyncpg

from fettle.evidence import keys
from fettle.evidence.chain import GENESIS
from fettle.evidence.erasure import make_record
from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.authentication import authenticator
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import DriverConnection, driver
from fettle.kernel.errors import FieldError, Invalid, NotFound
from fettle.kernel.ids import new_id
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.per_tenant import contain_failure
from fettle.kernel.platform import Platform

_BATCH: Final = 5_000
_LOCK: Final = 0x66_74_65_72  # any number that no other advisory lock of ours has
_AUDIT: Final = "audit_records"
_LAST: Final = frozenset({"evidence_chains"})
"""Kept until the end: the statement names where the chain stood."""

_TABLES: Final = """
SELECT c.relname AS name FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'tenant_id'
  AND NOT a.attisdropped AND NOT c.relispartition
"""
_REFERENCES: Final = """
SELECT f.conrelid::regclass::text AS source, f.confrelid::regclass::text AS target, a.attname AS source_column,
       array_length(f.conkey, 1) AS width
FROM pg_constraint f JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = f.conkey[1]
WHERE f.contype = 'f' AND f.connamespace = 'public'::regnamespace AND f.conrelid <> f.confrelid
"""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure that was asked for."""

    id: UUID
    tenant_id: UUID


async def begin(platform: Platform, tenant_id: UUID, who: Who, *, confirm: str) -> Erasure:
    """Shut a tenant's people and programs out, and have it erased; a second call goes on with the first.

    Args:
        platform: The process's parts.
        tenant_id: The tenant.
        who: Whose wish it is.
        confirm: The tenant's slug, typed by whoever wishes it.

    Raises:
        NotFound: There is no such tenant.
        Invalid: The slug is another.
    """
    async with platform.database.system() as session:
        connection = await driver(session)
        slug = await connection.fetchval("SELECT slug FROM tenants WHERE id = $1 FOR UPDATE", tenant_id)
        if slug is None:
            raise NotFound("There is no such tenant.")
        if confirm != slug:
            raise Invalid(
                "Nothing was erased: confirm with the tenant's slug.",
                errors=[FieldError("/confirm", "is not the tenant's slug")],
            )
        known = await connection.fetchval(
            "SELECT id FROM tenant_erasures WHERE erased_tenant = $1", tenant_id
        )
        if known is not None:
            return Erasure(known, tenant_id)
        members = await connection.fetch(
            "DELETE FROM memberships WHERE tenant_id = $1 RETURNING user_id", tenant_id
        )
        accounts = {row["user_id"] for row in members} | {
            row["user_id"]
            for row in await connection.fetch(
                "SELECT user_id FROM scim_users WHERE tenant_id = $1", tenant_id
            )
        }
        programs = await connection.fetch(
            "UPDATE api_keys SET revoked_at = now() WHERE tenant_id = $1 AND revoked_at IS NULL RETURNING id",
            tenant_id,
        )
        erasure = Erasure(new_id(), tenant_id)
        await connection.execute(
            "INSERT INTO tenant_erasures (id, erased_tenant, accounts) VALUES ($1, $2, $3)",
            erasure.id, tenant_id, list(accounts),
        )  # fmt: skip
        await audit.record(
            session, who, "tenant.erasure_requested", tenant_id=None, target=("tenant", tenant_id)
        )
    subjects = [f"user:{account}" for account in accounts] + [f"key:{row['id']}" for row in programs]
    if subjects:
        await authenticator(platform).revoke(*subjects)
    return erasure


async def continue_erasures(platform: Platform) -> int:
    """Go on with every erasure that is not complete, as after a crash; returns how many became complete."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT id, erased_tenant FROM tenant_erasures WHERE completed_at IS NULL ORDER BY requested_at"
        )
    completed = 0
    for row in rows:
        erasure = Erasure(row["id"], row["erased_tenant"])
        completed += await contain_failure(
            erasure.tenant_id, "identity.continue_erasures", _completed(platform, erasure)
        )
    return completed


async def _completed(platform: Platform, erasure: Erasure) -> int:
    return int(await erase(platform, erasure) is not None)


async def erase(platform: Platform, erasure: Erasure) -> dict[str, Any] | None:
    """Erase what is left of a tenant and return the signed statement; None where somebody else is at it."""
    signer = await keys.signer(platform)
    async with platform.database.raw_system() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
            return None
        try:
            for table in await _in_order(connection):
                if table not in _LAST:
                    while await _delete_batch(connection, erasure, table):
                        pass
            async with platform.database.system() as session:
                record = await _finish(await driver(session), erasure, signer)
                await audit.record(
                    session, Who("system:erasure"), "tenant.erased", tenant_id=None,
                    target=("tenant", erasure.tenant_id), after={"erasure_id": str(erasure.id)},
                )  # fmt: skip
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
    return record


async def sweep(platform: Platform) -> None:
    """Delete what a consumer that was under way wrote for a tenant after it was erased."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT id, erased_tenant FROM tenant_erasures WHERE completed_at > now() - interval '1 day'"
        )
        for row in rows:
            for table in await _in_order(connection):
                if table != _AUDIT:
                    await connection.execute(
                        f'DELETE FROM "{table}" WHERE tenant_id = $1',  # noqa: S608 - a name of the catalog
                        row["erased_tenant"],
                    )


async def list_erasures(platform: Platform) -> list[dict[str, Any]]:
    """Return every erasure, newest first, with its statement where it is complete."""
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT id, erased_tenant AS tenant_id, requested_at, completed_at, deleted, record FROM tenant_erasures "
            "ORDER BY id DESC LIMIT 1000"
        )
    return [dict(row) for row in rows]


async def _delete_batch(connection: DriverConnection, erasure: Erasure, table: str) -> int:
    """Delete some rows and count them, in one transaction."""
    async with connection.transaction():
        if table == _AUDIT:
            gone = await connection.fetchval("SELECT erase_audit_records($1, $2)", erasure.tenant_id, _BATCH)
        else:
            done = await connection.execute(
                f'DELETE FROM "{table}" WHERE ctid = ANY(ARRAY('  # noqa: S608 - a name of the catalog
                f'SELECT ctid FROM "{table}" WHERE tenant_id = $1 LIMIT {_BATCH}))',
                erasure.tenant_id,
            )
            gone = int(done.rpartition(" ")[2])
        if gone:
            await connection.execute(
                "UPDATE tenant_erasures SET deleted = "
                "jsonb_set(deleted, ARRAY[$2], to_jsonb(coalesce((deleted ->> $2)::bigint, 0) + $3::bigint)) "
                "WHERE id = $1",
                erasure.id, table, gone,
            )  # fmt: skip
    return int(gone)


async def _finish(connection: DriverConnection, erasure: Erasure, signer: Any) -> dict[str, Any]:
    """Delete the last rows, the tenant and the accounts that were its alone, and sign that it was done.

    The tenant's row is locked, so nobody adds to what refers to it meanwhile.
    """
    tenant_id = erasure.tenant_id
    slug = await connection.fetchval("SELECT slug FROM tenants WHERE id = $1 FOR UPDATE", tenant_id)
    chain = await connection.fetchrow(
        "SELECT size, head FROM evidence_chains WHERE tenant_id = $1", tenant_id
    )
    tables = await _in_order(connection)
    for table in tables:
        if table == _AUDIT:
            await connection.execute("SELECT erase_audit_records($1, 1000000)", tenant_id)
        else:
            await connection.execute(f'DELETE FROM "{table}" WHERE tenant_id = $1', tenant_id)  # noqa: S608 - as above
    for reference in await connection.fetch(_REFERENCES):
        if reference["target"] == "tenants" and reference["source"] not in tables:
            await connection.execute(
                f'DELETE FROM {reference["source"]} WHERE "{reference["source_column"]}" = $1',  # noqa: S608 - as above
                tenant_id,
            )
    await connection.execute("DELETE FROM tenants WHERE id = $1", tenant_id)
    row = await connection.fetchrow(
        "SELECT accounts, deleted, requested_at FROM tenant_erasures WHERE id = $1 FOR UPDATE", erasure.id
    )
    assert row is not None
    accounts = sum([await _erase_account(connection, account) for account in row["accounts"]])
    now = utcnow()
    record = make_record(
        {
            "tenant_id": str(tenant_id),
            "slug_sha256": hashlib.sha256((slug or "").encode()).hexdigest(),
            "requested_at": rfc3339(row["requested_at"]),
            "completed_at": rfc3339(now),
            "rows": dict(sorted(row["deleted"].items())),
            "accounts": accounts,
            "evidence_size": chain["size"] if chain else 0,
            "evidence_head": chain["head"] if chain else GENESIS,
        },
        signer,
    )
    await connection.execute(
        "UPDATE tenant_erasures SET completed_at = $2, accounts = '{}', record = $3::text::jsonb WHERE id = $1",
        erasure.id, now, dumps_str(record),
    )  # fmt: skip
    return record


async def _erase_account(connection: DriverConnection, account: UUID) -> bool:
    """Erase an account that belongs nowhere else; returns whether it was one."""
    alone = await connection.fetchval(
        "SELECT NOT is_platform_admin AND NOT EXISTS (SELECT FROM memberships m WHERE m.user_id = u.id) "
        "AND NOT EXISTS (SELECT FROM partner_members p WHERE p.user_id = u.id) FROM users u WHERE u.id = $1 FOR UPDATE",
        account,
    )
    if not alone:
        return False
    try:
        async with connection.transaction():
            for reference in await connection.fetch(_REFERENCES):
                if reference["target"] == "users" and reference["width"] == 1:
                    await connection.execute(
                        f'DELETE FROM {reference["source"]} WHERE "{reference["source_column"]}" = $1',  # noqa: S608 - names of the catalog
                        account,
                    )
            await connection.execute("DELETE FROM users WHERE id = $1", account)
    except asyncpg.ForeignKeyViolationError:
        # Something elsewhere refers to it: what is left names nobody.
        await connection.execute(
            "UPDATE users SET email = 'erased-' || id || '@invalid', name = 'erased', password_hash = '', "
            "disabled_at = coalesce(disabled_at, now()) WHERE id = $1",
            account,
        )
    return True


async def _in_order(connection: DriverConnection) -> list[str]:
    """Return the tenants' tables, each before those that it refers to."""
    tables = {row["name"] for row in await connection.fetch(_TABLES)}
    order: TopologicalSorter[str] = TopologicalSorter({table: set() for table in tables})
    for reference in await connection.fetch(_REFERENCES):
        if reference["source"] in tables and reference["target"] in tables:
            order.add(reference["target"], reference["source"])
    return list(order.static_order())
