"""What would have happened at each level of autonomy, as it was recorded."""

import json
from datetime import timedelta

from tests.brakes.test_approvals import approve, waiting

from fettle.healing.autonomy import LEVELS
from fettle.healing.brakes import what_if
from fettle.healing.brakes.what_if import Group, add_up
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver
from fettle.kernel.ids import least_id


async def found(scene):
    async with scene.session() as session:
        return await what_if.what_if(session, scene.tenant, utcnow())


async def incidents(scene, **asked):
    asked = {"level": "act", "effect": None, "changed": False, "before": None, "limit": 50, **asked}
    async with scene.session() as session:
        return await what_if.listed(session, scene.tenant, utcnow(), **asked)


async def test_each_decision_records_what_every_level_would_have_done(scene, other_scene):
    await scene.begin(autonomy="approve")
    await scene.report({"host": "a"})
    row = await waiting(scene)
    [proposed] = await scene.told("plan.proposed")
    assert proposed["data"]["would"] == {
        "observe": "recorded", "suggest": "suggested", "approve": "asked", "act": "acted",
    }  # fmt: skip
    await approve(scene, row, "user:ann", role="tenant_admin")
    await scene.settle()
    await scene.report({"host": "b"}, {"check_type": "nobody_knows_this"})
    told = await found(scene)
    assert (told.considered, told.unproposed, told.truncated) == (2, 1, False)
    assert told.now == {"asked": 2}
    assert {level: dict(told.levels[level]) for level in LEVELS}["act"] == {"acted": 2}
    assert (told.raised.acting, told.raised.healed, told.raised.failed) == (2, 1, 0)
    [(name, count, raised)] = told.by_playbook
    assert (name, count, raised.acting) == ((None, "PB-DEMO"), 2, 2)
    rows = await incidents(scene, changed=True)
    assert [(one["now"], one["would"], one["outcome"]) for one in rows] == [
        ("asked", "acted", None),
        ("asked", "acted", "verified"),
    ]
    assert await incidents(scene, effect="refused") == []
    assert await incidents(scene, level="approve", changed=True) == []
    assert (await found(other_scene)).considered == 0
    assert await incidents(other_scene) == []


async def test_a_pack_has_an_autonomy_of_its_own(scene):
    await scene.begin(
        autonomy="act",
        overrides=[{"match": {"packs": ["compliance-it"]}, "autonomy": "observe"}],
    )
    await scene.report({"host": "a"}, {"check_type": "sandbox_process", "host": "b", "platform": "linux"})
    states = await scene.rows("SELECT pack_id, state FROM incidents ORDER BY number")
    assert [(row["pack_id"], row["state"]) for row in states] == [
        (None, "resolved"),
        ("compliance-it", "escalated"),
    ]
    told = await found(scene)
    assert told.now == {"acted": 1, "recorded": 1}
    assert told.raised.acting == 1


def test_what_acted_already_is_not_raised_and_what_no_level_changes_is_not_counted():
    would = {"observe": "recorded", "suggest": "suggested", "approve": "asked", "act": "acted"}
    refused = dict.fromkeys(LEVELS, "refused")
    told = add_up(
        [
            Group("p", "P", "act", would, "verified", 5),
            Group("p", "P", "suggest", would, "failed", 3),
            Group("p", "Q", "approve", refused, None, 2),
            Group(None, None, None, None, None, 7),
        ]
    )
    assert (told.considered, told.unproposed) == (10, 7)
    assert (told.raised.acting, told.raised.healed, told.raised.failed) == (3, 0, 3)
    assert told.levels["observe"] == {"recorded": 8, "refused": 2}
    assert [name for name, _, _ in told.by_playbook] == [("p", "P"), ("p", "Q")]


MANY = """
INSERT INTO incidents (id, tenant_id, number, title, state, severity, check_type, fingerprint, labels, details,
                       occurrences, opened_at, last_seen_at, version, decision)
SELECT overlay(gen_random_uuid()::text PLACING left($2::text, 18) FROM 1 FOR 18)::uuid, $1, 1000000 + $5 + n, 'x',
       'closed', 'low', 'x', $5 || ':' || n, '{}', '{}', 1, $3, $3, 1,
       '{"autonomy": "approve", "would": {"approve": "asked", "act": "acted"}}'
FROM generate_series(1, $4::int) n
"""


async def read_by(scene, query, *arguments):
    """Return the most rows of incidents that a step of a plan read."""
    async with scene.session() as session:
        connection = await driver(session)
        found = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {query}", *arguments)
    plan = json.loads(found) if isinstance(found, str) else found
    return max(
        node["Actual Rows"] * node["Actual Loops"] + node.get("Rows Removed by Filter", 0)
        for node in nodes_of(plan[0]["Plan"])
        if node.get("Relation Name") == "incidents"
    )


def nodes_of(plan):
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes_of(inner)


async def test_of_100000_incidents_no_more_are_read_than_are_counted(scene):
    """Old ones are not read at all, and of many new ones the newest, also where a filter fits none."""
    now = utcnow()
    since = now - timedelta(days=what_if.DAYS)
    async with scene.session() as session:
        connection = await driver(session)
        for number, (days, count) in enumerate(((90, 70_000), (2, 30_000))):
            moment = now - timedelta(days=days)
            await connection.execute(
                MANY, scene.tenant, str(least_id(moment)), moment, count, number * 100_000
            )
    async with scene.platform.database.raw_system() as connection:
        await connection.execute("ANALYZE incidents")
    least = least_id(since - timedelta(days=1))
    assert await read_by(scene, what_if._RECENT, scene.tenant, since, least) <= what_if.MOST_INCIDENTS + 1
    oldest = (await scene.rows(what_if._OLDEST, scene.tenant, least))[0]["id"]
    asked = (scene.tenant, since, "act", "refused", False, None, 50, oldest)
    assert await read_by(scene, what_if._LISTED, *asked) <= what_if.MOST_INCIDENTS + 2
    told = await found(scene)
    assert (told.considered, told.truncated) == (what_if.MOST_INCIDENTS + 1, True)
    assert len(await incidents(scene, effect="acted")) == 50
