"""The embedded servers: private, restricted roles, recovering from a kill, refusing a second instance."""

import contextlib
import os
import signal
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from fettle.central.embedded import postgres, socket_folder, start_postgres, start_redis
from fettle.central.embedded.home import last_line
from fettle.central.processes import StartError

FAST = {"fsync": "off"}


@pytest.fixture(scope="module")
def own_home():
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        yield Path(folder)


@pytest.fixture
def server(own_home):
    with start_postgres(own_home, options=FAST) as started:
        yield started


async def value(url: str, query: str):
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def test_no_role_of_ours_is_superuser_or_bypasses_row_security(server):
    rows = await value(
        server.app_url,
        "SELECT array_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname LIKE 'fettle%' "
        "AND NOT rolsuper AND NOT rolbypassrls AND NOT rolcreaterole AND rolcanlogin",
    )
    assert rows == ["fettle_app", "fettle_owner", "fettle_system"]


async def test_the_application_role_makes_no_tables(server):
    connection = await asyncpg.connect(server.app_url)
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await connection.execute("CREATE TABLE mine (id int)")
    await connection.close()


async def test_vectors_are_there(server):
    assert await value(server.app_url, "SELECT '[1,2]'::vector <-> '[1,3]'::vector") == 1.0


async def test_it_listens_on_no_network(server):
    assert await value(server.superuser_url, "SHOW listen_addresses") == ""


def test_nobody_else_reaches_the_socket_or_the_data(server):
    for folder in (server.socket_dir, server.home / "postgres"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_second_server_on_the_same_home_is_refused_in_one_line(server):
    with pytest.raises(StartError, match=r"another Fettle \(process \d+\) uses the database") as refused:
        start_postgres(server.home)
    assert "\n" not in str(refused.value)


async def test_what_was_committed_survives_a_kill(own_home):
    server = start_postgres(own_home)
    await value(server.owner_url, "CREATE TABLE IF NOT EXISTS kept AS SELECT 7 AS number")
    server.kill()
    with start_postgres(own_home) as again:
        assert await value(again.owner_url, "SELECT number FROM kept") == 7


async def test_a_note_of_a_process_id_that_is_somebody_elses_by_now_does_not_stop_it(own_home):
    start_postgres(own_home, options=FAST).stop()
    note = own_home / "postgres" / "postmaster.pid"
    note.write_text(f"{os.getpid()}\n{own_home}/postgres\n1\n5432\n\n\n\nready\n")
    with start_postgres(own_home, options=FAST) as server:
        assert await value(server.app_url, "SELECT 1") == 1


async def test_the_server_of_another_home_that_has_the_id_by_now_goes_on(own_home):
    """Ids are used again: a note that a killed server left may name the server of somebody else."""
    ours, theirs = own_home / "ours", own_home / "theirs"
    start_postgres(ours, options=FAST).stop()
    with start_postgres(theirs, options=FAST) as other:
        note = ours / "postgres" / "postmaster.pid"
        note.write_text(f"{other.process.pid}\n{ours}/postgres\n1\n5432\n\n\n\nready\n")
        with start_postgres(ours, options=FAST):
            assert await value(other.app_url, "SELECT 1") == 1
        assert other.process.poll() is None


def test_what_is_no_database_is_refused_and_left_alone():
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        kept = Path(folder) / "postgres" / "base" / "16384"
        kept.parent.mkdir(parents=True)
        kept.write_text("of a database whose PG_VERSION was lost")
        with pytest.raises(StartError, match="holds files but no database"):
            start_postgres(Path(folder), options=FAST)
        assert kept.read_text() == "of a database whose PG_VERSION was lost"


def test_a_first_start_that_is_killed_while_the_data_is_made_is_followed_by_one_that_works(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        home, spawn = Path(folder), postgres.spawn

        def killed(argv, **how):
            # The server that fills what the first has begun holds still, so that there is a half to be seen.
            process = spawn([*argv, "--set=post_auth_delay=2000"], **how)
            while process.poll() is None and not list(home.glob("postgres*/global/pg_control")):
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.005)
            os.killpg(process.pid, signal.SIGKILL)
            return process

        with monkeypatch.context() as patched:
            patched.setattr(postgres, "spawn", killed)
            with pytest.raises(StartError, match="could not be made"):
                start_postgres(home, options=FAST)
        with start_postgres(home, options=FAST) as server:
            assert server.process.poll() is None


def test_servers_end_when_their_parent_is_killed():
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        code = (
            "import sys; from pathlib import Path\n"
            "from fettle.central.embedded import start_postgres, start_redis\n"
            "home = Path(sys.argv[1]); pg = start_postgres(home); redis = start_redis(home)\n"
            "print(pg.process.pid, redis.process.pid, flush=True); sys.stdin.read()"
        )
        parent = subprocess.Popen(
            [sys.executable, "-c", code, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert parent.stdout is not None
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        parent.send_signal(signal.SIGKILL)
        parent.communicate()
        with start_postgres(Path(folder)), start_redis(Path(folder)):
            # Both locks were free and both sockets were taken over, so the former servers are gone.
            assert all(not Path(f"/proc/{pid}/exe").exists() for pid in pids[:1])


def test_a_home_with_a_long_path_has_its_sockets_in_a_short_folder(own_home):
    long = own_home / ("x" * 90)
    assert len(os.fsencode(socket_folder(long) / ".s.PGSQL.5432.lock")) <= 103
    assert socket_folder(long) == socket_folder(long)
    assert socket_folder(own_home) == own_home.resolve() / "run"


async def test_a_server_starts_below_a_long_path():
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        home = Path(folder) / ("x" * 90)
        with start_postgres(home, options=FAST) as server, start_redis(home) as redis:
            assert await value(server.app_url, "SELECT 1") == 1
            assert await Redis.from_url(redis.url).ping()


async def test_redis_keeps_what_it_holds_and_is_private(own_home):
    with start_redis(own_home) as server:
        client = Redis.from_url(server.url)
        await client.set("kept", "7")
        assert (await client.config_get("port"))["port"] == "0"
        await client.aclose()
    with start_redis(own_home) as server:
        client = Redis.from_url(server.url)
        assert await client.get("kept") == b"7"
        await client.aclose()


def test_a_home_that_cannot_be_made_says_so_in_one_line(own_home):
    blocked = own_home / "file"
    blocked.write_text("")
    with pytest.raises(StartError, match="cannot be used as FETTLE_HOME"):
        start_postgres(blocked / "home")


def test_why_a_server_did_not_start_is_its_own_word_and_not_that_of_one_that_dies(tmp_path):
    log = tmp_path / "postgres.log"
    log.write_text(
        "2026-11-21 18:28:49.461 UTC [9902] FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use\n"
        "2026-11-21 18:28:49.461 UTC [9902] LOG:  database system is shut down\n"
        "2026-11-21 18:28:49.463 UTC [9354] FATAL:  terminating connection due to unexpected postmaster exit\n"
    )
    assert "pre-existing shared memory block" in last_line(log, 0, 9902)
    assert "unexpected postmaster exit" in last_line(log, 0)
