"""Connections to the database's server: what arrays are made of is asked once, and who is away is asked by one."""

import asyncio
import tempfile
import time
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from fettle.central.embedded import start_postgres
from fettle.kernel.clock import utcnow
from fettle.kernel.connecting import Connector

FAST = {"fsync": "off"}


@pytest.fixture
def own_home():
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        yield Path(folder)


async def test_what_arrays_are_made_of_is_not_asked_at_each_connection(platform, monkeypatch):
    url = platform.settings.database_app_url.get_secret_value()
    await (await Connector().connect(url)).close()
    asked = []
    ask = asyncpg.Connection._introspect_types

    async def counted(self, oids, timeout):
        asked.append(set(oids))
        return await ask(self, oids, timeout)

    monkeypatch.setattr(asyncpg.Connection, "_introspect_types", counted)
    connection = await Connector().connect(url)
    try:
        for name, value in (
            ("uuid", uuid4()),
            ("timestamptz", utcnow()),
            ("int4", 1),
            ("int8", 2**40),
            ("bool", True),
        ):
            for values in ([value], [value, None, value], []):
                assert await connection.fetchval(f"SELECT $1::{name}[]", values) == values
        assert asked == []
        assert await connection.fetchval("SELECT '[1,2]'::vector <-> $1::vector", "[1,3]") == 1.0
        assert len(asked) == 1, "a type of an extension has another number in each database"
    finally:
        await connection.close()


async def test_a_server_that_is_away_is_asked_by_one_for_all_and_found_by_all_when_it_is_back(
    own_home, monkeypatch
):
    server = start_postgres(own_home, options=FAST)
    attempts, connect = [], asyncpg.connect

    async def counted(*arguments, **options):
        attempts.append(time.monotonic())
        return await connect(*arguments, **options)

    monkeypatch.setattr(asyncpg, "connect", counted)
    connector, refused = Connector(), []

    async def use():
        while True:
            try:
                connection = await connector.connect(server.app_url)
            except OSError as error:
                refused.append(error)
            else:
                assert await connection.fetchval("SELECT 1") == 1
                await connection.close()
                return

    await use()
    server.kill()
    with pytest.raises(OSError, match=r"\w"):
        await connector.connect(server.app_url)
    attempts.clear()
    users = [asyncio.create_task(use()) for _ in range(30)]
    began = time.monotonic()
    while len(refused) < 100:
        await asyncio.sleep(0.01)
    assert len(attempts) <= (time.monotonic() - began) / 0.1 + 1
    server = await asyncio.to_thread(start_postgres, own_home, options=FAST)
    with server:
        await asyncio.wait_for(asyncio.gather(*users), 60)


async def test_who_is_refused_for_another_reason_hears_it_and_stands_in_nobodys_way(own_home):
    server = start_postgres(own_home, options=FAST)
    connector = Connector()
    server.kill()
    with pytest.raises(OSError, match=r"\w"):
        await connector.connect(server.app_url)
    with start_postgres(own_home, options=FAST) as server:
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await connector.connect(server.app_url.replace("/fettle?", "/nowhere?"))
        connection = await connector.connect(server.app_url)
        assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
