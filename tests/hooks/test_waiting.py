"""Taken while the database is away: on the disk before the answer, once and in order when it is back."""

import asyncio
import contextlib
import os
from datetime import timedelta
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
from bench.environment import answers, free_port
from hypothesis import given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis
from tests.crash import parts
from tests.hooks.senders import sender

from fettle.central.embedded import start_postgres, start_redis
from fettle.identity.tenants import ensure_tenant
from fettle.incidents.hooks.deliveries import Delivery
from fettle.incidents.hooks.models import HookFigures, HookSource
from fettle.incidents.hooks.service import give_secret
from fettle.incidents.hooks.spool import Spool
from fettle.incidents.hooks.waiting import Waiting
from fettle.kernel import migrations
from fettle.kernel.clock import utcnow
from fettle.kernel.database import Database
from fettle.kernel.errors import Unavailable
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.settings import load_settings
from fettle.packs.service import ensure_shipped

OPTIONS = {"fsync": "off", "max_connections": "100"}


async def set_up(variables):
    """Return the address and the secret of a source that signs as Standard Webhooks say, and its tenant."""
    own = {name.removeprefix("FETTLE_").lower(): value for name, value in variables.items()}
    found = load_settings(**own)
    platform = Platform(found, await Database.connect(found), Redis.from_url(variables["FETTLE_REDIS_URL"]))
    try:
        await ensure_shipped(platform)
        tenant = await ensure_tenant(platform, "waits", "Waits")
        async with platform.database.tenant(tenant) as session:
            source = HookSource(
                id=new_id(), tenant_id=tenant, name="waits", origin="waits", kind="json", format="json",
                authentication="token", updated_by="system:test", mapping_version=0, keep_days=7, enabled=True,
            )  # fmt: skip
            session.add(source)
            await session.flush()
            session.add(HookFigures(tenant_id=tenant, source_id=source.id))
            secret = await give_secret(
                platform, session, source, given=None, overlap=timedelta(0), actor="system:test"
            )
    finally:
        await platform.close()
    return source.id, secret, tenant


async def until(wanted, seconds=30):
    async with asyncio.timeout(seconds):
        while not await wanted():
            await asyncio.sleep(0.05)


async def test_what_was_sent_while_the_database_was_away_arrives_exactly_once_and_in_order(tmp_path):
    """The database is stopped, the API is killed with what it took, and both come back."""
    (tmp_path / "logs").mkdir()
    postgres, redis, port = start_postgres(tmp_path, options=OPTIONS), start_redis(tmp_path), free_port()
    await migrations.upgrade(postgres.owner_url)
    variables = {
        "FETTLE_HOME": str(tmp_path), "FETTLE_PORT": str(port), "FETTLE_DATABASE_URL": postgres.owner_url,
        "FETTLE_DATABASE_APP_URL": postgres.app_url, "FETTLE_DATABASE_SYSTEM_URL": postgres.system_url,
        "FETTLE_REDIS_URL": redis.url,
    }  # fmt: skip
    source_id, secret, tenant = await set_up(variables)
    address, proof = f"/api/v1/hooks/{source_id}", {"authorization": f"Bearer {secret}"}

    async def begun():
        child = parts.start("api", variables, tmp_path / "logs" / "api.log", tmp_path)

        async def is_up():
            return answers(port)

        await until(is_up)
        return child

    child = await begun()
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            first = await client.post(address, headers=proof, json={"title": "0", "key": "k"})
            assert first.json()["status"] == "accepted", first.text
            postgres.kill()
            for number in range(1, 6):
                answer = await client.post(address, headers=proof, json={"title": str(number), "key": "k"})
                assert (answer.status_code, answer.json()["status"]) == (202, "waiting"), answer.text
            stranger = await client.post(
                address, headers={"authorization": "Bearer no"}, json={"title": "no"}
            )
            assert stranger.status_code == 403, "nothing is taken before it is proved"
            unknown = await client.post(f"/api/v1/hooks/{uuid4()}", headers=proof, json={"title": "no"})
            assert unknown.status_code in {403, 503}
            assert secret.encode() not in (tmp_path / "spool/hooks/records").read_bytes()
            assert b"title" not in (tmp_path / "spool/hooks/records").read_bytes()
        child.kill()
        await asyncio.to_thread(child.join)
        postgres = await asyncio.to_thread(start_postgres, tmp_path, options=OPTIONS)
        child = await begun()
        connection = await asyncpg.connect(postgres.superuser_url, database="fettle")

        async def titles():
            rows = await connection.fetch(
                "SELECT data -> 'exception' ->> 'summary' AS title, tenant_id FROM events "
                "WHERE type = 'exception.ingested' ORDER BY position"
            )
            assert {row["tenant_id"] for row in rows} <= {tenant}
            return [row["title"] for row in rows]

        async def all_there():
            return len(await titles()) >= 6 and (tmp_path / "spool/hooks/records").stat().st_size == 0

        await until(all_there)
        assert await titles() == ["0", "1", "2", "3", "4", "5"]
        accepted = await connection.fetchval(
            "SELECT accepted FROM hook_figures WHERE source_id = $1", source_id
        )
        assert accepted == 6
        await connection.close()
    finally:
        child.kill()
        child.join()
        redis.stop()
        with contextlib.suppress(ProcessLookupError):
            postgres.stop()


async def test_a_record_cut_in_half_is_cut_off_and_the_others_stay(tmp_path):
    spool = Spool(tmp_path / "s", most_bytes=1_000_000)
    await asyncio.gather(*(spool.add(bytes([number]) * 100) for number in range(5)))
    with (tmp_path / "s" / "records").open("ab") as file:
        file.write(
            b"FtL1\x00\x00\x00\x50\x00\x00\x00\x00half"
        )  # as a crash in the middle of a write leaves it
    other = Spool(tmp_path / "s", most_bytes=1_000_000)
    await other.add(b"after")
    with other.reading() as is_ours:
        assert is_ours
        found = other.read(100)
    assert [record for _, record in found] == [*(bytes([number]) * 100 for number in range(5)), b"after"]


async def test_two_processes_share_one_spool_and_one_of_them_reads(tmp_path):
    one, two = Spool(tmp_path / "s", most_bytes=1_000_000), Spool(tmp_path / "s", most_bytes=1_000_000)
    for number in range(10):
        await (one if number % 2 else two).add(str(number).encode())
    with one.reading() as is_ours, two.reading() as is_theirs:
        assert (is_ours, is_theirs) == (True, False)
        records = one.read(4)
        one.taken(records[-1][0])
    with two.reading() as is_ours:
        assert is_ours
        rest = two.read(100)
        assert [record for _, record in rest] == [str(number).encode() for number in range(4, 10)]
        two.taken(rest[-1][0])
    assert not one.is_waiting()
    await one.add(b"again")
    with two.reading():
        assert [record for _, record in two.read(9)] == [b"again"]


async def test_there_is_an_end_to_what_waits(tmp_path):
    spool = Spool(tmp_path / "s", most_bytes=1_000)
    await spool.add(b"x" * 600)
    with pytest.raises(Unavailable):
        await spool.add(b"y" * 600)
    await spool.add(b"z" * 300)
    assert (tmp_path / "s").stat().st_mode & 0o077 == 0
    assert (tmp_path / "s" / "records").stat().st_mode & 0o077 == 0


@settings(max_examples=25)
@given(
    steps=st.lists(
        st.one_of(st.binary(min_size=1, max_size=50), st.integers(1, 4), st.sampled_from(["tear", "new"])),
        max_size=30,
    )
)
def test_whatever_happens_each_record_is_read_in_order(steps, tmp_path_factory):
    """Added, read a few at a time, torn by crashes, by processes that come and go: none lost, none out of order."""
    folder = tmp_path_factory.mktemp("spool")
    spools = [Spool(folder, most_bytes=10_000_000) for _ in range(2)]
    added, read = [], []

    def take(most):
        with spools[0].reading() as is_ours:
            assert is_ours
            if records := spools[0].read(most):
                read.extend(record for _, record in records)
                spools[0].taken(records[-1][0])

    for turn, step in enumerate(steps):
        if isinstance(step, bytes):
            asyncio.run(spools[turn % 2].add(step))
            added.append(step)
        elif isinstance(step, int):
            take(step)
        elif step == "new":
            spools[turn % 2] = Spool(folder, most_bytes=10_000_000)
        elif (folder / "records").exists():
            with (folder / "records").open("ab") as file:
                file.write(os.urandom(7))
    take(1_000)
    assert read == added


async def test_what_cannot_be_read_or_taken_holds_up_nobody_behind_it(api):
    program = await sender(api, "json")
    waiting = Waiting(api.platform)

    def delivery(payload):
        return Delivery(
            id=new_id(), tenant_id=api.alder.id, source_id=UUID(program.id), received_at=utcnow(), key=None,
            headers={}, payload=payload, size=10, request_id=None,
        )  # fmt: skip

    for payload in ({"title": "one\x00"}, {"title": "two"}):
        await waiting.add(delivery(payload))
    assert await waiting.take_in() == 2
    assert not waiting.has_some()
    assert [one["summary"] for one in await program.exceptions()] == ["two"]
