"""The master key is rotated under everything that is sealed, whatever interrupts it, and nothing is lost."""

import asyncio
import base64
import json
import os
import stat
import subprocess

import asyncpg
import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from tests.cli.running import COMMAND

from fettle.kernel import key_rotation
from fettle.kernel.clock import utcnow
from fettle.kernel.ids import new_id
from fettle.kernel.master_keys import FILE, MasterKeys, new_master_key
from fettle.kernel.secrets import SecretBox, SecretUnreadable, keyed_digest
from fettle.kernel.settings import load_settings

NOT_SEALED = {
    "api_keys.old_secret_hash",
    "api_keys.secret_hash",
    "hook_receipts.key",
    "idempotency_keys.body_hash",
    "idempotency_keys.key_hash",
    "login_attempts.subject",
    "oncall_feeds.digest",
    "refresh_tokens.token_hash",
    "token_keys.public_key",
}
"""Columns of bytes that hold hashes and what is public: whoever adds one of neither names it ``sealed...``."""

_OTHERS = ("_hash", "public_key", "credential_id", "challenge", "data")


@pytest.fixture
async def filled(postgres, database, settings, tenant):
    """Every sealed column with rows in it, sealed under the settings' first key; returns the plain texts."""
    box, plain = SecretBox(settings), {}
    superuser = await asyncpg.connect(postgres.dsn("postgres", settings.home.name))
    await superuser.execute("SET session_replication_role = replica")
    for table, column in [tuple(row) for row in await superuser.fetch(key_rotation.SEALED_COLUMNS)]:
        await superuser.execute(f"DELETE FROM {table}")
        for number in range(3):
            secret = f"{table}.{column} {number}".encode()
            place = await _insert(superuser, table, column, box.encrypt(secret, secret), tenant)
            plain[table, column, place] = secret
    yield plain
    await superuser.close()


async def _insert(connection, table, column, sealed, tenant):
    """Insert a row with a value wherever one must be, and return the place of the sealed one."""
    columns = await connection.fetch(
        "SELECT a.attname AS name, t.typname AS type FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid "
        "WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull "
        "AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''",
        table,
    )
    made = {
        "uuid": new_id, "text": lambda: new_id().hex, "bytea": lambda: os.urandom(32), "_text": lambda: ["x"],
        "timestamptz": utcnow, "jsonb": lambda: "{}", "int4": lambda: 1, "int8": lambda: 1,
        "bool": lambda: True,
    }  # fmt: skip
    row = {c["name"]: made[c["type"]]() for c in columns} | {column: sealed}
    if "tenant_id" in row:
        row["tenant_id"] = tenant
    for check in await connection.fetch(
        "SELECT conname FROM pg_constraint WHERE conrelid = $1::regclass AND contype = 'c'", table
    ):
        await connection.execute(f'ALTER TABLE {table} DROP CONSTRAINT "{check["conname"]}"')
    names, places = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    await connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values())
    return sealed[-16:]  # the end of the body, which no rotation changes


async def opened(database, settings, plain):
    """Open everything and return what it says and which key sealed it."""
    box, found, keys = SecretBox(settings), {}, set()
    async with database.raw_system() as connection:
        for table, column in {(t, c) for t, c, _ in plain}:
            for row in await connection.fetch(f"SELECT {column} AS sealed FROM {table}"):
                place = (table, column, row["sealed"][-16:])
                found[place] = box.decrypt(row["sealed"], plain[place])
                keys.add(row["sealed"][:9])
    return found, keys


async def test_every_column_of_bytes_is_sealed_or_known_not_to_be(database):
    async with database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid "
            "WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 "
            "AND NOT a.attisdropped AND a.atttypid = 'bytea'::regtype"
        )
        sealed = {".".join(row) for row in await connection.fetch(key_rotation.SEALED_COLUMNS)}
    names = {row["name"] for row in rows}
    assert {
        "tenant_secrets.sealed",
        "token_keys.sealed_private_key",
        "evidence_keys.sealed_private_key",
    } <= sealed
    unknown = {n for n in names - sealed - NOT_SEALED if not n.endswith(_OTHERS)}
    assert unknown == set()


async def test_everything_sealed_comes_under_the_new_key_and_opens(database, settings, filled):
    keys = MasterKeys(settings)
    old = keys.current()
    keys.begin_with(new_master_key())
    box = SecretBox(settings)
    assert box.keys.current() != old
    moved = await key_rotation.rewrap_all(database, box, lambda _n: None)
    assert moved == len(filled)
    found, heads = await opened(database, settings, filled)
    assert found == filled
    assert heads == {b"\x02" + box.keys.current().id}
    assert key_rotation.due(await key_rotation.sealed_by(database), box) == 0
    keys.keep([])
    assert (await opened(database, settings, filled))[0] == filled


async def test_an_interrupted_rotation_goes_on_and_all_opens_in_between(
    database, settings, filled, monkeypatch
):
    monkeypatch.setattr(key_rotation, "_BATCH", 2)
    MasterKeys(settings).begin_with(new_master_key())
    box, batches = SecretBox(settings), []

    def die(moved):
        batches.append(moved)
        if len(batches) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await key_rotation.rewrap_all(database, box, die)
    found, heads = await opened(database, settings, filled)
    assert found == filled
    assert len(heads) == 2
    again = await key_rotation.rewrap_all(database, SecretBox(settings), lambda _n: None)
    assert again == len(filled) - sum(batches)
    found, heads = await opened(database, settings, filled)
    assert (found, len(heads)) == (filled, 1)


async def test_two_rotations_at_once_and_a_writer_lose_nothing(database, settings, filled, tenant):
    MasterKeys(settings).begin_with(new_master_key())
    writer = SecretBox(settings)

    async def write():
        for number in range(20):
            async with database.raw_system() as connection:
                await connection.execute(
                    "INSERT INTO tenant_secrets (tenant_id, name, sealed, updated_by) VALUES ($1, $2, $3, 'x')",
                    tenant,
                    f"w{number}",
                    writer.encrypt(b"w", b"w"),
                )

    await asyncio.gather(
        write(),
        *(key_rotation.rewrap_all(database, SecretBox(settings), lambda _n: None) for _ in range(2)),
    )
    box = SecretBox(settings)
    assert key_rotation.due(await key_rotation.sealed_by(database), box) == 0


async def test_what_the_first_format_sealed_is_sealed_anew(database, settings, tenant):
    keys = MasterKeys(settings)
    aad = f"tenant_secrets:{tenant}:legacy".encode()
    head = b"\x01" + keys.current().id
    key, nonce = os.urandom(32), os.urandom(12)
    wrapped = nonce + keys.current().cipher.encrypt(nonce, key, head + aad)
    sealed = head + wrapped + nonce + AESGCM(key).encrypt(nonce, b"old secret", head + aad)
    assert SecretBox(settings).decrypt(sealed, aad) == b"old secret"
    async with database.raw_system() as connection:
        await connection.execute(
            "INSERT INTO tenant_secrets (tenant_id, name, sealed, updated_by) VALUES ($1, 'legacy', $2, 'x')",
            tenant,
            sealed,
        )
    keys.begin_with(new_master_key())
    await key_rotation.rewrap_all(database, SecretBox(settings), lambda _n: None)
    async with database.raw_system() as connection:
        fresh = await connection.fetchval(
            "SELECT sealed FROM tenant_secrets WHERE tenant_id = $1 AND name = 'legacy'", tenant
        )
    assert fresh[:9] == b"\x02" + MasterKeys(settings).current().id
    assert SecretBox(settings).decrypt(fresh, aad) == b"old secret"


async def test_a_missing_key_is_named_in_one_line_and_nothing_is_touched(database, settings, filled):
    other = settings.model_copy(update={"home": settings.home / "elsewhere"})
    box = SecretBox(other)
    line = await key_rotation.check_keys(database, box)
    assert line is not None
    assert MasterKeys(settings).current().id.hex() in line
    assert "\n" not in line
    with pytest.raises(SecretUnreadable, match="another master key"):
        await key_rotation.rewrap_all(database, box, lambda _n: None)
    assert (await opened(database, settings, filled))[0] == filled


def test_keys_of_settings_open_what_the_old_one_sealed():
    first, second = new_master_key(), new_master_key()
    sealed = SecretBox(load_settings(master_key=first.text)).encrypt(b"s", b"a")
    both = load_settings(master_key=second.text, old_master_keys=f" {first.text} ,")
    box = SecretBox(both)
    assert box.decrypt(sealed, b"a") == b"s"
    fresh = box.rewrap(sealed)
    assert SecretBox(load_settings(master_key=second.text)).decrypt(fresh, b"a") == b"s"
    with pytest.raises(SecretUnreadable):
        box.decrypt(fresh, b"b")
    alone = load_settings(master_key=first.text)
    assert keyed_digest(both, b"p", b"d") == keyed_digest(alone, b"p", b"d")


def test_a_process_that_runs_sees_the_new_key_without_a_restart(tmp_path):
    settings = load_settings(home=tmp_path)
    running = SecretBox(settings)
    old = running.encrypt(b"s", b"a")
    MasterKeys(settings).begin_with(new_master_key())
    fresh = SecretBox(settings).encrypt(b"t", b"a")
    assert running.decrypt(fresh, b"a") == b"t"
    assert running.decrypt(old, b"a") == b"s"
    assert running.encrypt(b"u", b"a")[:9] == fresh[:9]
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert sorted(file.name for file in tmp_path.iterdir()) == [FILE]


def test_an_emptied_key_file_is_not_taken_for_a_new_installation(tmp_path):
    (tmp_path / FILE).write_text("\n")
    with pytest.raises(Exception, match="put it back"):
        MasterKeys(load_settings(home=tmp_path))


def test_a_key_is_32_bytes_of_base64_and_not_shown():
    key = new_master_key()
    assert len(base64.b64decode(key.text)) == 32
    assert key.text not in repr(key)


async def test_the_commands_rotate_tell_and_forget(database, settings, filled):
    env = {
        name: value.get_secret_value()
        for name, value in {
            "FETTLE_DATABASE_URL": settings.database_url,
            "FETTLE_DATABASE_APP_URL": settings.database_app_url,
            "FETTLE_DATABASE_SYSTEM_URL": settings.database_system_url,
        }.items()
    } | {"FETTLE_HOME": str(settings.home)}

    async def fettle(*arguments, **more):
        process = await asyncio.create_subprocess_exec(
            *COMMAND, *arguments, "--json", env={**os.environ, **env, **more}, cwd=settings.home,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert out or err
        return process.returncode, json.loads((out or err).splitlines()[-1])

    before = MasterKeys(settings).current().id.hex()
    status, rotated = await fettle("keys", "rotate")
    assert (status, rotated["rewrapped"], rotated["resumed"]) == (0, len(filled), False)
    assert (await opened(database, settings, filled))[0] == filled
    status, told = await fettle("keys", "status")
    assert (status, told["to_rotate"], told["current"]) == (0, 0, rotated["current"])
    assert before in told["known"]
    assert (await fettle("keys", "forget"))[0] == 6
    os.utime(settings.home / FILE, (0, 0))
    status, forgotten = await fettle("keys", "forget")
    assert (status, before in forgotten["forgotten"]) == (0, True)
    status, refused = await fettle("keys", "rotate", FETTLE_MASTER_KEY=new_master_key().text)
    assert status == 8
    assert "sealed by the master key" in refused["error"]
