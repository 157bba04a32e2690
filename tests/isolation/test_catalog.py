"""No row of another tenant: by PostgreSQL's own catalog, by rows in every table, and with each policy broken."""

import asyncio
import re
from uuid import UUID, uuid4

import asyncpg
import pytest
import pytest_asyncio
from sqlalchemy import text
from tests.isolation.catalog import APP, PLATFORM_TABLES, faults, tenant_tables

from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id

ALDER, BIRCH = new_id(), new_id()

_VALUES = {
    "timestamptz": utcnow,
    "date": lambda: utcnow().date(),
    "uuid": uuid4,
    "text": lambda: str(uuid4().int),  # which is JSON too, as some columns must be
    "jsonb": lambda: "{}",
    "bytea": lambda: uuid4().bytes * 2,
    "int2": lambda: 1,
    "int4": lambda: 1,
    "int8": lambda: uuid4().int % 2**62,
    "float4": lambda: 1.0,
    "float8": lambda: 1.0,
    "numeric": lambda: 1,
    "bool": lambda: True,
    "_text": lambda: ["x"],
    "_uuid": lambda: [uuid4()],
}


@pytest_asyncio.fixture(scope="module")
async def superuser(postgres, settings, database):
    """The one role that may break policies; whatever a test breaks is rolled back."""
    connection = await asyncpg.connect(postgres.dsn("postgres", settings.home.name))
    yield connection
    await connection.close()


@pytest_asyncio.fixture
async def scratch(superuser):
    """A transaction that is rolled back."""
    transaction = superuser.transaction()
    await transaction.start()
    yield superuser
    await transaction.rollback()


async def put_rows(connection, table, column):
    """Put one row of each tenant into a table, whatever its checks and references ask for."""
    await connection.execute("SET LOCAL session_replication_role = replica")
    for check in await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'", table
    ):
        await connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{check["conname"]}"')
    for tenant in (ALDER, BIRCH):
        await insert(connection, table, column, tenant)


async def insert(connection, table, column, tenant):
    """Insert a row with a value for every column that must have one."""
    columns = await connection.fetch(
        "SELECT a.attname AS name, t.typname AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull "
        "AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''",
        table,
    )
    row = {c["name"]: _value(c["type"]) for c in columns} | {column: tenant}
    names = ", ".join(row)
    places = ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values())


def _value(kind):
    return _VALUES[kind]()


async def become(connection, tenant: UUID | None):
    await connection.execute(f"SET LOCAL ROLE {APP}")
    if tenant is not None:
        await connection.execute("SELECT set_config('fettle.tenant_id', $1, true)", str(tenant))


async def seen(connection, table, column) -> set[UUID]:
    return {row[0] for row in await connection.fetch(f"SELECT {column} FROM {table}")} & {ALDER, BIRCH}


async def all_tables(connection):
    return sorted((await tenant_tables(connection)).items())


async def test_the_catalog_has_no_fault(superuser):
    assert "\n".join(await faults(superuser)) == ""


async def test_the_walk_finds_the_tables_that_there_are(superuser):
    found = await tenant_tables(superuser)
    assert {"tenants", "events", "incidents", "memberships", "api_keys", "audit_records"} <= found.keys()
    assert not found.keys() & PLATFORM_TABLES


async def test_in_every_table_a_tenant_sees_and_changes_its_own_rows_alone(superuser):
    for table, column in await all_tables(superuser):
        transaction = superuser.transaction()
        await transaction.start()
        try:
            await put_rows(superuser, table, column)
            await become(superuser, None)
            assert await seen(superuser, table, column) == set(), (
                f"{table} shows rows to nobody in particular"
            )
            for setting in ("", " ", "%", str(uuid4())):
                await superuser.execute("SAVEPOINT s")
                try:
                    await superuser.execute("SELECT set_config('fettle.tenant_id', $1, true)", setting)
                    assert await seen(superuser, table, column) == set(), (table, setting)
                except asyncpg.InvalidTextRepresentationError:
                    pass  # what is no UUID is refused outright
                await superuser.execute("ROLLBACK TO s")
            await become(superuser, BIRCH)
            assert await seen(superuser, table, column) == {BIRCH}, table
            await _cannot_touch_alder(superuser, table, column)
        finally:
            await transaction.rollback()


async def _cannot_touch_alder(connection, table, column):
    attempts = (
        f"UPDATE {table} SET {column} = {column} WHERE {column} = '{ALDER}'",
        f"UPDATE {table} SET {column} = '{ALDER}' WHERE {column} = '{BIRCH}'",
        f"DELETE FROM {table} WHERE {column} = '{ALDER}'",
    )
    for attempt in attempts:
        await connection.execute("SAVEPOINT a")
        try:
            done = await connection.execute(attempt)
        except asyncpg.InsufficientPrivilegeError:
            done = "refused 0"
        assert done.endswith(" 0"), f"{attempt}: {done}"
        await connection.execute("ROLLBACK TO a")
    await connection.execute("SAVEPOINT a")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await insert(connection, table, column, ALDER)
    await connection.execute("ROLLBACK TO a")


BREAKS = {
    "disabled": "ALTER TABLE {t} DISABLE ROW LEVEL SECURITY",
    "not forced": "ALTER TABLE {t} NO FORCE ROW LEVEL SECURITY",
    "dropped": "DROP POLICY tenant_isolation ON {t}",
    "open": "ALTER POLICY tenant_isolation ON {t} USING (true)",
    "open to write": "ALTER POLICY tenant_isolation ON {t} WITH CHECK (true)",
    "for everybody": "ALTER POLICY tenant_isolation ON {t} TO PUBLIC",
    "read for each row": (
        "ALTER POLICY tenant_isolation ON {t} USING "
        "({c} = nullif(current_setting('fettle.tenant_id', true), '')::uuid)"
    ),
    "open when unset": (
        "ALTER POLICY tenant_isolation ON {t} USING "
        "({c} = (SELECT coalesce(nullif(current_setting('fettle.tenant_id', true), '')::uuid, {c})))"
    ),
    "a second policy": "CREATE POLICY also ON {t} TO fettle_app USING (true)",
    "owned by the application": "ALTER TABLE {t} OWNER TO fettle_app",
    "may be truncated": "GRANT TRUNCATE ON {t} TO fettle_app",
}


@pytest.mark.parametrize("how", BREAKS)
async def test_a_broken_policy_of_any_table_is_noticed(superuser, how):
    whole = await faults(superuser)
    tables = await all_tables(superuser)
    transaction = superuser.transaction()
    await transaction.start()
    try:
        # All of them at once: the walk over the catalog is the same, and each must be named for itself.
        for table, column in tables:
            await superuser.execute(BREAKS[how].format(t=table, c=column))
        broken = set(await faults(superuser)) - set(whole)
    finally:
        await transaction.rollback()
    named = {word for fault in broken for word in re.findall(r"\w+", fault)}
    assert [table for table, _ in tables if table not in named] == []
    assert len(broken) >= len(tables)
    assert await faults(superuser) == whole


@pytest.mark.parametrize("how", ["disabled", "open", "open when unset", "a second policy"])
async def test_a_broken_policy_lets_rows_out_so_the_row_test_can_fail(superuser, how):
    for table, column in await all_tables(superuser):
        transaction = superuser.transaction()
        await transaction.start()
        try:
            await put_rows(superuser, table, column)
            await superuser.execute(BREAKS[how].format(t=table, c=column))
            await become(superuser, None)
            assert await seen(superuser, table, column) == {ALDER, BIRCH}, (table, how)
        finally:
            await transaction.rollback()


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER ROLE fettle_app BYPASSRLS",
        "ALTER ROLE fettle_app SUPERUSER",
        "ALTER ROLE fettle_app CREATEROLE",
        "GRANT fettle_system TO fettle_app",
        "GRANT fettle_owner TO fettle_app",
        "GRANT CREATE ON SCHEMA public TO fettle_app",
        "CREATE VIEW leak AS SELECT * FROM incidents",
        "CREATE MATERIALIZED VIEW leak AS SELECT * FROM incidents",
        "CREATE FUNCTION leak() RETURNS bigint SECURITY DEFINER LANGUAGE sql AS 'SELECT count(*) FROM incidents'",
        "CREATE TABLE forgotten (id uuid, tenant_id uuid)",
        "CREATE TABLE forgotten (id uuid, customer uuid)",
        "GRANT UPDATE ON audit_records TO fettle_app",
        "GRANT DELETE ON audit_records TO fettle_system",
        "GRANT DELETE ON events TO fettle_app",
        "GRANT SELECT ON api_keys TO fettle_app",
        "GRANT EXECUTE ON FUNCTION erase_audit_records(uuid, integer) TO fettle_app",
        "GRANT EXECUTE ON FUNCTION forget_audit_records(uuid, timestamptz, integer) TO fettle_app",
        "ALTER FUNCTION forget_audit_records(uuid, timestamptz, integer) RESET search_path",
        "GRANT SELECT ON incidents TO PUBLIC",
        "CREATE UNIQUE INDEX oracle ON incidents (title)",
    ],
)
async def test_every_other_way_out_is_noticed(scratch, statement):
    before = await faults(scratch)
    await scratch.execute(statement)
    assert set(await faults(scratch)) - set(before)


async def test_people_are_seen_by_the_tenants_that_they_belong_to(scratch):
    person, stranger = uuid4(), uuid4()
    for user, tenant in ((person, ALDER), (stranger, BIRCH)):
        await scratch.execute("SET LOCAL session_replication_role = replica")
        await scratch.execute(
            "INSERT INTO users (id, email, name, password_hash) VALUES ($1, $2, 'x', 'x')", user, user.hex
        )
        await scratch.execute(
            "INSERT INTO memberships (tenant_id, user_id, role) VALUES ($1, $2, 'viewer')", tenant, user
        )
    await become(scratch, ALDER)
    assert [row["id"] for row in await scratch.fetch("SELECT id FROM users")] == [person]
    await become(scratch, uuid4())
    assert await scratch.fetch("SELECT id FROM users") == []


async def bound(connection) -> str:
    return await connection.fetchval("SELECT coalesce(current_setting('fettle.tenant_id', true), '')")


async def test_a_bound_tenant_does_not_survive_on_a_pooled_connection(database, tenant):
    for _ in range(3):
        async with database.raw_tenant(tenant) as connection:
            assert await bound(connection) == str(tenant)
        with pytest.raises(ZeroDivisionError):
            async with database.raw_tenant(tenant):
                raise ZeroDivisionError
        async with database.tenant(tenant) as session:
            assert await session.scalar(text("SELECT count(*) FROM tenants")) == 1
        async with database.unbound() as session:
            assert await session.scalar(text("SELECT count(*) FROM tenants")) == 0
        for _ in range(12):
            async with database.raw_app() as connection:
                assert await bound(connection) == ""
                assert await connection.fetchval("SELECT count(*) FROM tenants") == 0


async def test_a_cancelled_request_leaves_no_tenant_behind(database, tenant):
    async def work():
        async with database.raw_tenant(tenant) as connection:
            await connection.execute("SELECT pg_sleep(30)")

    for _ in range(5):
        task = asyncio.create_task(work())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for _ in range(12):
        async with database.raw_app() as connection:
            assert await bound(connection) == ""


async def test_two_tenants_at_once_never_see_each_other(database, tenant, other_tenant):
    async def look(mine):
        async with database.tenant(mine) as session:
            return set((await session.scalars(text("SELECT id FROM tenants"))).all())

    for mine, found in zip(
        [tenant, other_tenant] * 50,
        await asyncio.gather(*(look(t) for t in [tenant, other_tenant] * 50)),
        strict=True,
    ):
        assert found == {mine}
