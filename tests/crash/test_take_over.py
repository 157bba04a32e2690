"""Promise P7: a dead worker's part passes on within its lease and a second, and a poison message blocks nobody."""

import asyncio
import random
from datetime import timedelta

from tests.crash.chaos import at_rest
from tests.crash.sending import Ledger, Sender
from tests.crash.stack import LEASE_SECONDS, WORKERS, stack

from fettle.kernel import events
from fettle.kernel.events import NewEvent
from fettle.kernel.ids import new_id

_HOLDERS = """
SELECT owner, count(*) AS lanes FROM consumer_lanes
WHERE consumer_group = 'incidents.intake' AND owner IS NOT NULL GROUP BY owner
"""

_LEASES = """
SELECT clock_timestamp() AS at, max(lease_until) AS until FROM consumer_lanes
WHERE consumer_group = 'incidents.intake' AND owner IS NOT NULL
"""

_MEMBERS = """
SELECT m.owner, m.seen_at, (
  SELECT count(*) FROM consumer_lanes l WHERE l.consumer_group = m.consumer_group AND l.owner = m.owner
) AS lanes FROM consumer_members m WHERE m.consumer_group = 'incidents.intake'
"""

# Who lives says so four times in each lease of a second, more slowly where the machine is busy, as all is then.
# A second has four of these beats; the others are for the look at the lanes, which may wait behind a batch.
_WITHIN_BEATS = 4 + 8


def exceptions(count, name):
    return [
        {"check_type": "crash_safe", "host": f"{name}-{number}", "platform": "linux"}
        for number in range(count)
    ]


async def until(platform, query, wanted, *arguments):
    async with asyncio.timeout(60):
        while True:
            async with platform.database.raw_system() as connection:
                if wanted(await connection.fetch(query, *arguments)):
                    return
            await asyncio.sleep(0.02)


async def test_a_killed_worker_is_taken_over_within_its_lease_and_a_second(tmp_path):
    async with stack(tmp_path / "home", tenants=1) as here, here.platform() as platform:
        [(tenant_id, key)] = here.keys.items()
        await until(platform, _HOLDERS, lambda rows: [row["lanes"] for row in rows] == [8, 8])
        await here.kill(WORKERS[0], back_after=3600)
        async with platform.database.raw_system() as connection:
            leases = await connection.fetchrow(_LEASES)
        assert leases["until"] <= leases["at"] + timedelta(seconds=LEASE_SECONDS)
        ledger = Ledger()
        await Sender(ledger, here.port, tenant_id, key, random.Random(1)).report(exceptions(200, "orphan"))
        seen = set()

        def taken_over(rows):
            seen.update((row["owner"], row["seen_at"]) for row in rows)
            return [row["lanes"] for row in rows if row["lanes"]] == [events.LANES]

        await until(platform, _MEMBERS, taken_over)
        assert await at_rest(platform)
        async with platform.database.raw_system() as connection:
            [survivor] = await connection.fetch(_HOLDERS)
            incidents = await connection.fetchval("SELECT count(*) FROM incidents WHERE state = 'resolved'")
        assert (survivor["lanes"], incidents) == (events.LANES, 200)
        beats = [at for owner, at in seen if owner == survivor["owner"] and at > leases["until"]]
        assert len(beats) <= _WITHIN_BEATS


async def test_a_poison_message_blocks_nobody(tmp_path):
    async with stack(tmp_path / "home", tenants=2) as here, here.platform() as platform:
        ledger = Ledger()
        for tenant_id in here.keys:
            poison = NewEvent(
                stream_type="exception", stream_id=new_id(), type="exception.ingested",
                data={"exception": "this is none"}, actor="system:test",
            )  # fmt: skip
            async with platform.database.tenant(tenant_id) as session:
                await events.append(session, tenant_id, [poison])
        for tenant_id, key in here.keys.items():
            sender = Sender(ledger, here.port, tenant_id, key, random.Random(1))
            await sender.report(exceptions(100, "healthy"))
        healed = "SELECT count(*) FROM incidents WHERE state = 'resolved' AND tenant_id = $1"
        for tenant_id in here.keys:
            await until(platform, healed, lambda rows: rows[0]["count"] == 100, tenant_id)
        async with platform.database.raw_system() as connection:
            parked = await connection.fetch("SELECT consumer_group, type, state FROM parked_events")
    assert [tuple(row) for row in parked] == [("incidents.intake", "exception.ingested", "waiting")] * 2
