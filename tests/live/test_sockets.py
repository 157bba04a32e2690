"""The same over a WebSocket: first message or protocol, whose it is, and when it is closed."""

import json

import pytest
import websockets
from tests.live.watching import code_of_end, heard, opened, report, ws_url

from fettle.central import streams as live_streams

pytestmark = pytest.mark.usefixtures("api_at_work")


async def test_a_socket_tells_the_same_by_first_message_and_by_protocol(api):
    key = api.alder.keys["viewer"]
    async with websockets.connect(ws_url(api)) as one, websockets.connect(
        ws_url(api), subprotocols=[f"fettle.bearer.{key}"]
    ) as other:  # fmt: skip
        await one.send(json.dumps({"token": key}))
        for connection in (one, other):
            await heard(connection, lambda m: m["type"] == "platform_status")
        await report(api, api.alder, "socket")
        assert await heard(one, opened("socket-0")) == await heard(other, opened("socket-0"))


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"token": "ftl_nobody_knows"}, 4401),
        ({"token": 7}, 4400),
        ({}, 4400),
        ("no json", 4400),
        ("[" * 100, 4400),
    ],
)
async def test_a_socket_without_a_good_token_is_closed(api, first, code):
    async with websockets.connect(ws_url(api)) as connection:
        await connection.send(first if isinstance(first, str) else json.dumps(first))
        assert await code_of_end(connection) == code


async def test_a_socket_of_another_tenant_or_without_the_permission_is_closed(api):
    for hello in (
        {"token": api.alder.keys["viewer"], "tenant_id": str(api.birch.id)},
        {"token": api.alder.keys["agent"]},
    ):
        async with websockets.connect(ws_url(api)) as connection:
            await connection.send(json.dumps(hello))
            assert await code_of_end(connection) in {4403, 4400}


async def test_a_token_in_the_address_is_not_taken_unless_the_operator_says_so(api, monkeypatch):
    monkeypatch.setattr(live_streams, "_FIRST_MESSAGE_SECONDS", 0.5)
    async with websockets.connect(ws_url(api, f"?token={api.alder.keys['viewer']}")) as connection:
        assert await code_of_end(connection) == 4401


async def test_where_the_operator_says_so_the_token_may_stand_in_the_address(api, monkeypatch):
    allowing = api.platform.settings.model_copy(update={"ws_query_token": True})
    monkeypatch.setattr(api.platform, "settings", allowing)
    query = f"?token={api.alder.keys['viewer']}&tenant_id={api.alder.id}"
    async with websockets.connect(ws_url(api, query)) as connection:
        await heard(connection, lambda m: m["type"] == "platform_status")


async def test_a_socket_is_closed_when_its_key_is_revoked(api, monkeypatch):
    monkeypatch.setattr(live_streams, "RECHECK_SECONDS", 0.3)
    body = {"name": "of a socket", "scopes": ["incidents:read"]}
    key = (await api.client.post("/api/v1/api-keys", json=body, headers=api.owner(api.alder))).json()
    async with websockets.connect(ws_url(api)) as connection:
        await connection.send(json.dumps({"token": key["secret"]}))
        await heard(connection, lambda m: m["type"] == "platform_status")
        await api.client.delete(f"/api/v1/api-keys/{key['id']}", headers=api.owner(api.alder))
        assert await code_of_end(connection) == 4401


@pytest.mark.parametrize(
    "origin", ["null", "https://evil.example", "http://localhost.evil.example", "http://127.0.0.1:1"]
)
async def test_a_page_of_another_origin_cannot_open_a_socket(api, origin):
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(ws_url(api), origin=origin)
