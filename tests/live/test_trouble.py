"""Live streams in trouble: a flood, Redis that dies and comes back, many readers, strangers that say nothing."""

import asyncio
import dataclasses
import json

import pytest
import websockets
from redis.asyncio import Redis
from tests.live.watching import code_of_end, opened, report, streaming, ws_url

from fettle.central import stream_hub as live
from fettle.central.embedded import start_redis
from fettle.central.stream_messages import LiveMessage, platform_status
from fettle.central.stream_publisher import WATCHED, Publisher, publish_live
from fettle.central.streams import Watch
from fettle.identity.access import authenticate_token
from fettle.kernel import events
from fettle.kernel.events import NewEvent
from fettle.kernel.horizon import settled_position
from fettle.kernel.ids import new_id

pytestmark = pytest.mark.usefixtures("api_at_work")


def positions_of(messages):
    return [m["position"] for m in messages if m["type"] != "platform_status"]


async def stored(api, tenant, first, last):
    async with api.platform.database.raw_tenant(tenant.id) as connection:
        rows = await connection.fetch(
            "SELECT position FROM events WHERE position BETWEEN $1 AND $2 AND type = ANY($3) ORDER BY 1",
            first, last, live.EVENT_TYPES,
        )  # fmt: skip
    return [row["position"] for row in rows]


async def append_things(api, tenant, count):
    """Commit live events of a tenant one by one, as fast as that goes."""
    for _ in range(count):
        event = NewEvent(
            stream_type="run", stream_id=new_id(), type="step.started", data={"title": "t"}, actor="system:test"
        )  # fmt: skip
        async with api.platform.database.tenant(tenant.id) as session:
            await events.append(session, tenant.id, [event])


async def test_readers_that_come_and_go_during_a_flood_see_each_event_once(api):
    """Several readers break off and resume at random while four writers commit to two tenants."""
    flood = 50

    async def read(tenant, writing, broken_after):
        seen, last = [], 0
        async with streaming(api, tenant.headers()) as stream:
            last = (await stream.next())["position"]
        begin = last
        writing.set()
        while sum(m["type"] == "action_status_update" for m in seen) < 2 * flood:
            async with streaming(api, tenant.headers(), after=last) as stream:
                for _ in range(broken_after):
                    seen.append(await stream.next())
                    last = max(last, stream.ids[-1])
                    assert last == stream.ids[-1], "an id went back"
                    if sum(m["type"] == "action_status_update" for m in seen) >= 2 * flood:
                        break
        found = positions_of(seen)
        assert found == await stored(api, tenant, begin + 1, found[-1])

    async def write(tenant, readers):
        for ready in readers:
            await ready.wait()
        await append_things(api, tenant, flood)

    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for tenant in (api.alder, api.birch):
            ready = [asyncio.Event() for _ in range(2)]
            for event, broken_after in zip(ready, (7, 60), strict=True):
                group.create_task(read(tenant, event, broken_after))
            for _ in range(2):
                group.create_task(write(tenant, ready))


async def test_how_far_the_store_can_be_read_is_told_while_it_never_stops_growing(api):
    hub = live.LiveHub(dataclasses.replace(api.platform, redis=None, parts={}))
    await hub.settled()
    async with asyncio.TaskGroup() as group:
        writing = [group.create_task(append_things(api, api.birch, 60)) for _ in range(4)]
        asked, last = 0, 0
        while not all(task.done() for task in writing):
            known, last = last, await hub.settled()
            assert last >= known
            asked += 1
    assert asked > 10


async def test_redis_dies_and_comes_back_and_no_message_is_lost_or_told_twice(api, tmp_path):
    with start_redis(tmp_path) as server:
        other = dataclasses.replace(api.platform, redis=Redis.from_url(server.url), parts={})
        hub, reader = live.LiveHub(other), live.Reader()
        publishing = asyncio.create_task(publish_live(other))
        found = []

        async def until(wanted):
            async with asyncio.timeout(60):
                while not any(wanted(json.loads(message.body)) for message in found):
                    found.extend(await reader.take(1))

        def told(status):
            return lambda m: m["type"] == "platform_status" and m["data"]["stream"] == status

        async with hub.reading(api.alder.id, reader) as begin:
            async with asyncio.timeout(60):
                while hub.status != "live":
                    await asyncio.sleep(0.02)
            await report(api, api.alder, "redis-there")
            await until(opened("redis-there-0"))
            server.process.kill()
            server.process.wait()
            await report(api, api.alder, "redis-gone")
            await until(opened("redis-gone-0"))
            await until(told("delayed"))
            server.lock.release()
            with start_redis(tmp_path):
                await until(lambda m: told("live")(m) and m["position"] > begin)
                await report(api, api.alder, "redis-back")
                await until(opened("redis-back-0"))
                publishing.cancel()
                await asyncio.wait({publishing})
                await hub.close()
        await other.redis.aclose()
    positions = [message.position for message in found if message.type != "platform_status"]
    assert positions == await stored(api, api.alder, begin + 1, positions[-1])


async def test_a_tenant_that_is_watched_again_is_subscribed_again(api, monkeypatch):
    """However soon a feed that was forgotten comes back, Redis sends to it, and nobody waits for a time to pass."""
    monkeypatch.setattr(live, "_LOOK_SECONDS", 0.05)
    hub = live.LiveHub(dataclasses.replace(api.platform, parts={}))
    for number in range(30):
        async with hub.reading(api.birch.id, live.Reader()):
            async with asyncio.timeout(60):
                while hub.status != "live":
                    await asyncio.sleep(0.01)
            if number:
                assert hub._feeds[api.birch.id].subscribed.is_set()
        await asyncio.sleep(number * 0.004)
    await hub.close()


async def test_whoever_comes_when_nobody_watched_is_told_what_follows(api, monkeypatch, tmp_path):
    """The publisher spares itself the work while nobody watches; who comes then need not wait for a look of the hub."""
    monkeypatch.setattr(live, "_LOOK_SECONDS", 600)
    with start_redis(tmp_path) as server:
        other = dataclasses.replace(api.platform, redis=Redis.from_url(server.url), parts={})
        hub = live.LiveHub(other)
        connection = await api.platform.database.listen(asyncio.Event())
        publisher = Publisher(other.redis, await settled_position(connection))

        async def watched(by):
            async with asyncio.timeout(60):
                while (await other.redis.pubsub_numsub(WATCHED))[0][1] != by:
                    await other.redis.publish(hub._own_channel, b"look at the feeds")
                    await asyncio.sleep(0.01)

        async def publish():
            while await publisher.publish_due(connection):
                pass

        async with asyncio.timeout(60):
            hub.start()
            while hub.status != "live":
                await asyncio.sleep(0.01)
            for _ in range(3):
                await append_things(api, api.alder, 2)
                await publish()
                assert not publisher.is_watched
                reader, found = live.Reader(), []
                async with hub.reading(api.alder.id, reader) as begin:
                    await watched(by=1)
                    await append_things(api, api.alder, 3)
                    while len(found) < 3:
                        await publish()
                        found += [
                            m.position for m in await reader.take(0.1) if m.type == "action_status_update"
                        ]
                assert publisher.is_watched
                assert found == await stored(api, api.alder, begin + 1, found[-1])
                await watched(by=0)
        await hub.close()
        await connection.close()
        await other.redis.aclose()


async def test_many_readers_of_several_tenants_each_get_their_own(api, monkeypatch):
    monkeypatch.setattr(live, "READERS_OF_ONE", 1_000)
    hub = live.LiveHub(dataclasses.replace(api.platform, parts={}))
    readers = {api.alder.id: [], api.birch.id: []}

    async def watch(tenant_id, ready, done):
        reader = live.Reader()
        async with hub.reading(tenant_id, reader):
            readers[tenant_id].append(reader)
            ready.release()
            await done.wait()

    ready, done = asyncio.Semaphore(0), asyncio.Event()
    async with asyncio.timeout(60), asyncio.TaskGroup() as group:
        for number in range(400):
            tenant = (api.alder, api.birch)[number % 2]
            group.create_task(watch(tenant.id, ready, done))
        for _ in range(400):
            await ready.acquire()
        await report(api, api.alder, "many-a", 5)
        await report(api, api.birch, "many-b", 5)
        for tenant_id, own in readers.items():
            for reader in own:
                seen = []
                host = "many-a" if tenant_id == api.alder.id else "many-b"
                while not any(opened(f"{host}-4")(m) for m in seen):
                    seen += [json.loads(message.body) for message in await reader.take(5)]
                assert {m["tenant_id"] for m in seen} == {str(tenant_id)}
        done.set()
    await hub.close()


async def test_a_message_about_the_stream_takes_no_reader_back(api):
    """A reader that another process told more keeps its place when this one says how the stream is."""
    token = api.alder.keys["viewer"]
    access = await authenticate_token(api.platform, token, None)
    watch = Watch(api.platform, access, token, None, None)
    message = platform_status(api.alder.id, 5, "delayed")
    assert watch._placed(message, 9).position == 9
    assert json.loads(watch._placed(message, 9).body)["position"] == 9
    assert watch._placed(message, 5) is message
    ordinary = LiveMessage(7, "incident_opened", b"{}")
    assert watch._placed(ordinary, 6) is ordinary


async def test_strangers_that_say_nothing_are_bounded(api, monkeypatch):
    monkeypatch.setattr(live, "GREETING", 2)
    async with websockets.connect(ws_url(api)) as one, websockets.connect(ws_url(api)):
        hub = live.live_hub(api.platform)
        async with asyncio.timeout(60):
            while hub._greeting < 2:
                await asyncio.sleep(0.01)
        async with websockets.connect(ws_url(api)) as third:
            assert await code_of_end(third) == 1013
        await one.send(json.dumps({"token": api.alder.keys["viewer"]}))
        async with asyncio.timeout(60):
            assert json.loads(await one.recv())["type"] == "platform_status"
        async with websockets.connect(ws_url(api)) as fourth:
            await fourth.send(json.dumps({"token": "ftl_nobody_knows"}))
            assert await code_of_end(fourth) == 4401
