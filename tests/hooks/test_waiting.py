"""Taken while the database is away: on the disk before the answer, once and in order when it is back."""

import asyncio
import contextlib
import dataclasses
from collections import Counter
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from bench.environment import answers
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from tests.crash import parts
from tests.examples import examples
from tests.hooks.senders import sender
from tests.ports import free_port

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
SENT = 120


async def set_up(variables, slug):
    """Return the address and the secret of a source that signs as Standard Webhooks say, and its tenant."""
    own = {name.removeprefix("FETTLE_").lower(): value for name, value in variables.items()}
    found = load_settings(**own)
    platform = Platform(found, await Database.connect(found), Redis.from_url(variables["FETTLE_REDIS_URL"]))
    try:
        await ensure_shipped(platform)
        tenant = await ensure_tenant(platform, slug, slug.title())
        async with platform.database.tenant(tenant) as session:
            source = HookSource(
                id=new_id(), tenant_id=tenant, name=slug, origin=slug, kind="json", format="json",
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


async def until(wanted, seconds=60):
    async with asyncio.timeout(seconds):
        while not await wanted():
            await asyncio.sleep(0.05)


@dataclasses.dataclass
class Place:
    """A machine with a database of its own, on which the process that receives is started and killed."""

    home: Path
    port: int
    postgres: object
    variables: dict[str, str]
    child: object = None

    async def begin(self):
        self.child = parts.start("api", self.variables, self.home / "logs" / "api.log", self.home)

        async def is_up():
            return answers(self.port)

        await until(is_up)

    async def kill(self):
        if self.child is not None:
            self.child.kill()
            await asyncio.to_thread(self.child.join)
            self.child = None

    async def bring_back_the_database(self):
        self.postgres = await asyncio.to_thread(start_postgres, self.home, options=OPTIONS)

    def client(self):
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=30)

    async def ingested(self, tenant):
        """Return the summaries of what was ingested for a tenant, in order."""
        connection = await asyncpg.connect(self.postgres.superuser_url, database="fettle")
        try:
            rows = await connection.fetch(
                "SELECT data -> 'exception' ->> 'summary' AS title FROM events "
                "WHERE type = 'exception.ingested' AND tenant_id = $1 ORDER BY position",
                tenant,
            )
        finally:
            await connection.close()
        return [row["title"] for row in rows]


@pytest_asyncio.fixture(scope="module")
async def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("place")
    (home / "logs").mkdir()
    postgres, redis, port = start_postgres(home, options=OPTIONS), start_redis(home), free_port()
    await migrations.upgrade(postgres.owner_url)
    variables = {
        "FETTLE_HOME": str(home), "FETTLE_PORT": str(port), "FETTLE_DATABASE_URL": postgres.owner_url,
        "FETTLE_DATABASE_APP_URL": postgres.app_url, "FETTLE_DATABASE_SYSTEM_URL": postgres.system_url,
        "FETTLE_REDIS_URL": redis.url,
    }  # fmt: skip
    found = Place(home, port, postgres, variables)
    try:
        yield found
    finally:
        await found.kill()
        redis.stop()
        with contextlib.suppress(ProcessLookupError):
            found.postgres.stop()


async def test_what_was_sent_while_the_database_was_away_arrives_exactly_once_and_in_order(place):
    """The database is stopped, the API is killed with what it took, and both come back."""
    source_id, secret, tenant = await set_up(place.variables, "waits")
    address, proof = f"/api/v1/hooks/{source_id}", {"authorization": f"Bearer {secret}"}
    spooled = place.home / "spool/hooks/records"
    await place.begin()
    async with place.client() as client:
        first = await client.post(address, headers=proof, json={"title": "0", "key": "k"})
        assert first.json()["status"] == "accepted", first.text
        place.postgres.kill()
        for number in range(1, 6):
            answer = await client.post(address, headers=proof, json={"title": str(number), "key": "k"})
            assert (answer.status_code, answer.json()["status"]) == (202, "waiting"), answer.text
        stranger = await client.post(address, headers={"authorization": "Bearer no"}, json={"title": "no"})
        assert stranger.status_code == 403, "nothing is taken before it is proved"
        unknown = await client.post(f"/api/v1/hooks/{uuid4()}", headers=proof, json={"title": "no"})
        assert unknown.status_code in {403, 503}
        figures = (await client.get("/metrics")).text
        for line in (
            'fettle_hooks_answered_total{outcome="accepted"} 1.0',
            'fettle_hooks_answered_total{outcome="waiting"} 5.0',
            'fettle_hooks_refused_total{reason="unproven"} 1.0',
            'fettle_hook_delay_seconds_count{waited="no"} 1.0',
            f"fettle_hooks_waiting_bytes {float(spooled.stat().st_size)}",
        ):
            assert f"\n{line}\n" in figures, line
        assert str(tenant) not in figures
        assert secret.encode() not in spooled.read_bytes()
        assert b"title" not in spooled.read_bytes()
    await place.kill()
    await place.bring_back_the_database()
    await place.begin()

    async def all_there():
        return len(await place.ingested(tenant)) >= 6 and spooled.stat().st_size == 0

    await until(all_there)
    assert await place.ingested(tenant) == ["0", "1", "2", "3", "4", "5"]
    async with place.client() as client:
        figures = (await client.get("/metrics")).text
    assert '\nfettle_hooks_taken_in_total{outcome="accepted"} 5.0\n' in figures
    assert "\nfettle_hooks_waiting_bytes 0.0\n" in figures
    connection = await asyncpg.connect(place.postgres.superuser_url, database="fettle")
    accepted = await connection.fetchval("SELECT accepted FROM hook_figures WHERE source_id = $1", source_id)
    await connection.close()
    await place.kill()
    assert accepted == 6


async def test_a_receiver_that_is_killed_in_the_middle_of_deliveries_loses_none_and_takes_none_twice(place):
    """Senders come again with the same key until they are answered; what was answered is there, and all is once."""
    source_id, secret, tenant = await set_up(place.variables, "killed")
    address, proof = f"/api/v1/hooks/{source_id}", {"authorization": f"Bearer {secret}"}
    answered, wanted, tries = set(), [f"{number:03d}" for number in range(SENT)], Counter()
    enough, targets = asyncio.Event(), [SENT // 4, SENT // 2]
    await place.begin()
    async with place.client() as client:

        async def send(title):
            headers = {**proof, "idempotency-key": f"sent-{title}"}
            while title not in answered:
                tries[title] += 1
                try:
                    answer = await client.post(address, headers=headers, json={"title": title, "key": title})
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
                    continue
                assert answer.status_code == 202, answer.text
                answered.add(title)
                if targets and len(answered) >= targets[0]:
                    enough.set()

        sending = asyncio.gather(*(send(title) for title in wanted))
        while targets:
            await asyncio.wait_for(enough.wait(), 60)
            await place.kill()
            held = set(answered)
            assert held <= set(await place.ingested(tenant)), "what was answered is durable"
            targets.pop(0)
            enough.clear()
            await place.begin()
        await asyncio.wait_for(sending, 60)
    assert Counter(await place.ingested(tenant)) == Counter(wanted)
    assert max(tries.values()) > 1, "nothing was under way when it was killed"
    await place.kill()


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


@examples(25)
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
                file.write(b"torn by")
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
