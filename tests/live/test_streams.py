"""What people watch live: complete, in order, their tenant's own, and ended when their right to it ends."""

import asyncio
import dataclasses
import json
import socket

import pytest
import uvicorn
import websockets
from tests.live.watching import code_of_end, heard, opened, report, streaming, ws_url

from fettle.central import stream_hub as live
from fettle.central import streams as live_streams
from fettle.central.stream_messages import LiveMessage, Publication
from fettle.central.streams import Watch
from fettle.identity.access import authenticate_token
from fettle.kernel import events
from fettle.kernel.events import NewEvent
from fettle.kernel.http.serving import server_config
from fettle.kernel.http.stack import wrap
from fettle.kernel.ids import new_id

pytestmark = pytest.mark.usefixtures("api_at_work")


async def test_an_incident_is_seen_as_it_opens_with_what_a_list_shows_of_it(api):
    async with streaming(api, api.alder.headers()) as stream:
        await report(api, api.alder, "seen")
        message = await stream.until(opened("seen-0"))
    assert message["tenant_id"] == str(api.alder.id)
    assert message["data"]["incident"]["number"] >= 1
    positions = [m["position"] for m in stream.messages if m["type"] != "platform_status"]
    assert positions == sorted(set(positions))


async def test_another_tenants_messages_never_come(api):
    async with streaming(api, api.alder.headers()) as alder, streaming(api, api.birch.headers()) as birch:
        await report(api, api.birch, "theirs", 3)
        await report(api, api.alder, "ours")
        await birch.until(opened("theirs-2"))
        await alder.until(opened("ours-0"))
    assert {m["tenant_id"] for m in alder.messages} == {str(api.alder.id)}
    assert {m["tenant_id"] for m in birch.messages} == {str(api.birch.id)}
    async with streaming(api, api.alder.headers(), after=0) as replayed:
        await replayed.until(opened("ours-0"))
    assert {m["tenant_id"] for m in replayed.messages} == {str(api.alder.id)}


async def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(api):
    hosts = [f"r{n}" for n in range(12)]

    async def write():
        for host in hosts:
            await report(api, api.alder, host, 5)
            await asyncio.sleep(0.02)

    async with streaming(api, api.alder.headers()) as stream:
        first = await report(api, api.alder, "before")
        assert first
        last = (await stream.until(opened("before-0")))["position"]
    seen = []

    def all_opened():
        return len({m["data"]["incident"]["host"] for m in seen if m["type"] == "incident_opened"}) == 60

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        while not all_opened():
            async with streaming(api, api.alder.headers(), after=last) as stream:
                for _ in range(25):
                    seen.append(await stream.next())
                    last = seen[-1]["position"]
                    if all_opened():
                        break
    positions = [m["position"] for m in seen if m["type"] != "platform_status"]
    assert positions == sorted(set(positions))
    async with api.platform.database.raw_tenant(api.alder.id) as connection:
        stored = await connection.fetch(
            "SELECT position FROM events WHERE position >= $1 AND position <= $2 AND type = ANY($3) ORDER BY 1",
            positions[0], positions[-1], live.EVENT_TYPES,
        )  # fmt: skip
    assert positions == [row["position"] for row in stored]


async def test_who_saw_nothing_yet_can_resume_from_where_the_stream_began(api):
    async with streaming(api, api.alder.headers()) as stream:
        began = await stream.until(lambda m: m["type"] == "platform_status")
    assert stream.ids[0] == began["position"]
    await report(api, api.alder, "between")
    async with streaming(api, api.alder.headers(), after=began["position"]) as stream:
        await stream.until(opened("between-0"))


async def test_a_position_that_this_store_never_reached_begins_now(api):
    async with streaming(api, api.alder.headers(), after=2**62) as stream:
        await report(api, api.alder, "restored")
        await stream.until(opened("restored-0"))


async def test_a_long_absence_is_told_page_by_page_while_more_comes(api, monkeypatch):
    monkeypatch.setattr(live, "_PAGE", 7)
    await report(api, api.birch, "long", 40)
    await api.settle()
    seen = []
    async with streaming(api, api.birch.headers(), after=0) as stream:
        await report(api, api.birch, "more", 10)
        while len(seen) < 50:
            message = await stream.next()
            if message["type"] == "incident_opened" and message["data"]["incident"]["host"][:4] in {
                "long",
                "more",
            }:
                seen.append(message)
    positions = [m["position"] for m in stream.messages if m["type"] != "platform_status"]
    assert positions == sorted(set(positions))
    hosts = [m["data"]["incident"]["host"].partition("-")[0] for m in seen]
    assert (hosts.count("long"), hosts.count("more")) == (40, 10)


async def test_a_broken_connection_to_redis_costs_no_message(api):
    async with streaming(api, api.alder.headers()) as stream:
        for n in range(4):
            await api.platform.redis.client_kill_filter(_type="pubsub")
            await report(api, api.alder, f"broken{n}", 3)
        for n in range(4):
            await stream.until(opened(f"broken{n}-2"))
    positions = [m["position"] for m in stream.messages if m["type"] != "platform_status"]
    assert positions == sorted(set(positions))
    opened_hosts = [m["data"]["incident"]["host"] for m in stream.messages if m["type"] == "incident_opened"]
    assert sorted(opened_hosts) == sorted(f"broken{n}-{k}" for n in range(4) for k in range(3))


async def test_without_redis_the_stream_goes_on(api):
    alone = dataclasses.replace(api.platform, redis=None, parts={})
    hub, reader = live.LiveHub(alone), live.Reader()
    async with hub.reading(api.alder.id, reader):
        await report(api, api.alder, "by-looking")
        found = []
        async with asyncio.timeout(60):
            while not any(opened("by-looking-0")(message) for message in found):
                found += [json.loads(message.body) for message in await reader.take(5)]
    assert hub.status == "delayed"
    await hub.close()


async def test_a_publication_that_does_not_follow_on_is_completed_from_the_store(api):
    await report(api, api.alder, "gap", 3)
    await api.settle()
    hub, reader = live.LiveHub(dataclasses.replace(api.platform, redis=None, parts={})), live.Reader()
    until = await hub.settled()
    feed = live.Feed(api.alder.id, 0, {reader})
    strange = LiveMessage(until + 5, "incident_opened", b"{}")
    await hub._deliver(feed, Publication(until, until + 5, [strange]))
    taken = await reader.take(1)
    assert taken[-1] == strange
    async with api.platform.database.raw_tenant(api.alder.id) as connection:
        stored = await connection.fetch(
            "SELECT position FROM events WHERE position <= $1 AND type = ANY($2) ORDER BY 1",
            until,
            live.EVENT_TYPES,
        )
    assert [message.position for message in taken[:-1]] == [row["position"] for row in stored]
    await hub._deliver(feed, Publication(0, until + 5, taken))
    assert await reader.take(0.01) == []


def test_a_publication_is_read_as_it_was_written():
    told = Publication(3, 9, [LiveMessage(4, "incident_opened", b'{"a":"\\n"}'), LiveMessage(9, "x", b"{}")])
    assert Publication.unpack(told.pack()) == told
    for strange in (b"", b"{}", b"[]", b'{"after":1,"upto":2,"told":[[1,"x"]]}', b"\xff"):
        with pytest.raises(ValueError):
            Publication.unpack(strange)


async def test_a_reader_that_does_not_keep_up_is_let_go_and_the_others_are_not(api):
    slow, quick = live.Reader(), live.Reader()
    feed = live.Feed(api.alder.id, 0, {slow, quick})
    for position in range(1, live.QUEUE_MESSAGES + 2):
        feed.offer([LiveMessage(position, "x", b"{}")], position)
        assert len(await quick.take(1)) == 1
    assert (slow.overtaken, slow.ended.is_set()) == (True, True)
    assert not quick.ended.is_set()
    large = live.Reader()
    large.offer([LiveMessage(1, "x", bytes(live.QUEUE_BYTES + 1))])
    assert large.overtaken


async def test_a_connection_that_takes_nothing_is_closed_and_others_go_on(api, monkeypatch):
    monkeypatch.setattr(live_streams, "SEND_SECONDS", 0.5)
    await report(api, api.alder, "flood", 1000)
    await report(api, api.alder, "flood", 1000)
    await api.settle()
    loop = asyncio.get_running_loop()
    key = api.alder.keys["viewer"]
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.setblocking(False)
    address, port = api.url.removeprefix("http://").split(":")
    await loop.sock_connect(deaf, (address, int(port)))
    head = "GET /api/v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nLast-Event-ID: 0\r\n"
    await loop.sock_sendall(deaf, f"{head}Authorization: Bearer {key}\r\n\r\n".encode())
    hub = live.live_hub(api.platform)
    async with streaming(api, api.alder.headers()) as stream:
        async with asyncio.timeout(60):
            while len(hub._readers) < 2:
                await stream.next()
            while len(hub._readers) == 2:
                await report(api, api.alder, "meanwhile")
                await stream.next()
        await report(api, api.alder, "after-the-flood")
        await stream.until(opened("after-the-flood-0"))
    deaf.close()


async def test_nobody_opens_streams_without_end(api, monkeypatch):
    monkeypatch.setattr(live, "READERS_OF_ONE", 2)
    headers = api.alder.headers()
    async with streaming(api, headers), streaming(api, headers), streaming(api, api.birch.headers()):
        refused = await api.client.get("/api/v1/events/stream", headers=headers)
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "10"
        async with websockets.connect(ws_url(api)) as connection:
            await connection.send(json.dumps({"token": api.alder.keys["tenant_admin"]}))
            assert await code_of_end(connection) == 4429
        monkeypatch.setattr(live, "READERS", 3)
        full = await api.client.get("/api/v1/events/stream", headers=api.alder.headers("viewer"))
        assert full.status_code == 503
    async with streaming(api, headers):
        pass


async def test_streams_end_when_the_process_closes_them(api):
    async with websockets.connect(ws_url(api)) as connection, streaming(api, api.alder.headers()) as stream:
        await connection.send(json.dumps({"token": api.alder.keys["viewer"]}))
        await heard(connection, lambda m: m["type"] == "platform_status")
        await stream.until(lambda m: m["type"] == "platform_status")
        await live.live_hub(api.platform).close()
        assert await code_of_end(connection) == 1001
        with pytest.raises(EOFError):
            await stream.until(lambda _: False)
    async with streaming(api, api.alder.headers()) as stream:
        await report(api, api.alder, "again")
        await stream.until(opened("again-0"))


@pytest.mark.parametrize("value", ["-1", "x", "1.5", "9" * 40, "١٢"])
async def test_a_position_that_is_none_is_refused(api, value):
    headers = {**api.alder.headers(), "Last-Event-ID": value.encode()}
    answer = await api.client.get("/api/v1/events/stream", headers=headers)
    assert answer.status_code == 422


async def test_without_a_credential_or_the_permission_there_is_no_stream(api):
    assert (await api.client.get("/api/v1/events/stream")).status_code == 401
    refused = await api.client.get("/api/v1/events/stream", headers=api.alder.headers("agent"))
    assert refused.status_code == 403


async def test_a_stream_ends_when_its_key_is_revoked(api, monkeypatch):
    monkeypatch.setattr(live_streams, "RECHECK_SECONDS", 0.3)
    made = await api.client.post(
        "/api/v1/api-keys",
        json={"name": "to be revoked", "scopes": ["incidents:read"]},
        headers=api.owner(api.alder),
    )
    key = made.json()
    async with streaming(api, {"Authorization": f"Bearer {key['secret']}"}) as stream:
        gone = await api.client.delete(f"/api/v1/api-keys/{key['id']}", headers=api.owner(api.alder))
        assert gone.status_code in {200, 202, 204}
        with pytest.raises(EOFError):
            await stream.until(lambda _: False)


async def test_a_server_that_is_stopped_does_not_wait_for_its_readers(api):
    token = api.alder.keys["viewer"]
    access = await authenticate_token(api.platform, token, None)

    async def stream(scope, receive, send):
        await live_streams.EventStream(Watch(api.platform, access, token, None, None))(scope, receive, send)

    listener = socket.create_server(("127.0.0.1", 0))
    config = server_config(wrap(stream, api.platform), api.platform.settings, lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    elsewhere = dataclasses.replace(api, url=f"http://127.0.0.1:{listener.getsockname()[1]}")
    async with streaming(elsewhere, api.alder.headers()):
        server.should_exit = True
        async with asyncio.timeout(60):
            await serving
    listener.close()


async def test_the_newest_events_can_come_first_page_by_page(api):
    for name in ("first", "second"):
        await report(api, api.alder, name)
    await api.settle()
    headers = api.alder.headers()
    oldest = await every_event(api, headers)
    first = (await api.client.get("/api/v1/events?order=newest&limit=2", headers=headers)).json()
    second = (
        await api.client.get(
            f"/api/v1/events?order=newest&limit=2&cursor={first['next_cursor']}", headers=headers
        )
    ).json()
    wanted = [item["position"] for item in oldest][::-1][:4]
    assert [item["position"] for item in first["items"] + second["items"]] == wanted
    assert (await api.client.get("/api/v1/events?order=odd", headers=headers)).status_code == 422


async def every_event(api, headers):
    found, cursor = [], ""
    while cursor is not None:
        page = (await api.client.get(f"/api/v1/events?limit=200{cursor}", headers=headers)).json()
        found += page["items"]
        cursor = page["next_cursor"] and f"&cursor={page['next_cursor']}"
    return found


async def test_events_dead_letters_and_lag_are_the_tenants_own(api):
    await report(api, api.alder, "listed")
    await api.settle()
    mine = (
        await api.client.get("/api/v1/events?type=incident.opened&limit=200", headers=api.alder.headers())
    ).json()
    assert {item["tenant_id"] for item in mine["items"]} == {str(api.alder.id)}
    one = mine["items"][0]
    stream = f"/api/v1/events?stream_type=incident&stream_id={one['stream']['id']}"
    whole = (await api.client.get(stream, headers=api.alder.headers())).json()["items"]
    assert whole[0]["version"] == 1
    assert (await api.client.get(stream, headers=api.birch.headers())).json()["items"] == []
    alone = await api.client.get(
        f"/api/v1/events?stream_id={one['stream']['id']}", headers=api.alder.headers()
    )
    assert alone.status_code == 422
    assert (await api.client.get("/api/v1/events/lag", headers=api.alder.headers())).json()["groups"]
    letter = new_id()
    async with api.platform.database.tenant(api.alder.id) as session:
        await events.append(
            session, api.alder.id,
            [NewEvent(stream_type="thing", stream_id=letter, type="thing.happened", data={}, actor="system:test")],
        )  # fmt: skip
    async with api.platform.database.raw_tenant(api.alder.id) as connection:
        await connection.execute(
            "INSERT INTO parked_events (id, tenant_id, consumer_group, position, lane, stream_id, type, state) "
            "SELECT $1, tenant_id, 'test.group', position, lane, stream_id, type, 'dead' FROM events "
            "WHERE stream_id = $1",
            letter,
        )
    listed = await api.client.get("/api/v1/events/dead-letters", headers=api.alder.headers())
    assert [item["id"] for item in listed.json()["items"]] == [str(letter)]
    assert (await api.client.get("/api/v1/events/dead-letters", headers=api.birch.headers())).json()[
        "items"
    ] == []
    path = f"/api/v1/events/dead-letters/{letter}/replay"
    assert (await api.client.post(path, headers=api.birch.headers())).status_code == 404
    assert (await api.client.post(path, headers=api.alder.headers("viewer"))).status_code == 403
    assert (await api.client.post(path, headers=api.alder.headers())).status_code == 202
