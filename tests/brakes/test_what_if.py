"""What would have happened at each level of autonomy, as it was recorded."""

from tests.brakes.test_approvals import approve, waiting

from fettle.healing.autonomy import LEVELS
from fettle.healing.brakes import what_if
from fettle.healing.brakes.what_if import Group, add_up
from fettle.kernel.clock import utcnow


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
