"""From what the planner healed to a rule, through shadow, canary and full, and back again."""

import asyncio
from pathlib import Path

import pytest
import yaml
from tests.beside import start_beside, was_killed
from tests.conftest import insert_tenant
from tests.flywheel.conftest import CLOSE_FILE, FAULT, Wheel
from tests.flywheel.rows import insert_promotion

from fettle.healing import service
from fettle.healing.flywheel import promotions, proposing
from fettle.healing.flywheel.bundle import rule_bundle
from fettle.healing.flywheel.evaluating import Criteria
from fettle.healing.flywheel.pool import known_elsewhere, refresh
from fettle.healing.flywheel.promotions import By
from fettle.healing.flywheel.proposing import turn
from fettle.healing.flywheel.watching import note
from fettle.kernel import events
from fettle.kernel.advisory_lock import hold_lock
from fettle.kernel.bus import TenantBatch
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict

HOSTS = [f"ws-{number:02}" for number in range(6)]
INJECTIONS = yaml.safe_load((Path(__file__).parents[1] / "planner" / "injections.yaml").read_text())
PERSON = By("user:ann", "Looked at it.")


async def move(wheel, how, promotion, *, by=PERSON):
    async with wheel.platform.database.tenant(wheel.tenant) as session:
        arguments = [session, wheel.tenant, promotion["id"]]
        if how is not promotions.end:
            arguments.append(Criteria.of({"flywheel": {"canary_share": 1}}))
        return await how(*arguments, by, version=promotion["version"])


async def full(wheel, **flywheel):
    """Let a rule grow up to where it holds for all."""
    await wheel.allow(**flywheel)
    await wheel.heal(*HOSTS)
    await wheel.turn()
    for _ in range(3):
        await move(wheel, promotions.go_on, await wheel.promotion())
    return await wheel.promotion()


async def act(wheel, *hosts, outcome="verified"):
    for host in hosts:
        row = await wheel.fault(host)
        assert (row["level"], row["state"]) == ("L1", "healing")
        await wheel.finish(row["id"], outcome)


async def test_patterns_are_counted_with_their_levels_and_outcomes(wheel, other_wheel):
    await wheel.allow()
    await other_wheel.allow()
    await wheel.heal(*HOSTS[:3])
    await wheel.heal("ws-90", outcome="failed")
    await wheel.policy()
    await wheel.fault("ws-91")
    [row] = await wheel.rows("SELECT * FROM pattern_stats")
    assert (row["total"], row["l1"], row["l2"], row["l3"]) == (5, 0, 4, 1)
    assert (row["succeeded"], row["failed"], len(row["seconds"])) == (3, 1, 3)
    [choice] = await wheel.rows("SELECT * FROM pattern_choices")
    assert (choice["choice"], choice["recent"]) == (f"runbook:{CLOSE_FILE}", "1110")
    assert await other_wheel.rows("SELECT 1 FROM pattern_stats") == []


async def test_a_flood_of_runs_is_counted_to_the_last_one_in_a_few_statements(wheel, monkeypatch):
    await wheel.allow()
    await wheel.heal(*HOSTS)
    found = await wheel.rows("SELECT * FROM events WHERE type = 'playbook.completed' ORDER BY position")
    flood = [events.from_row(row) for row in found]
    statements = []
    async with wheel.platform.database.tenant(wheel.tenant) as session:
        connection = await driver(session)
        connection.add_query_logger(lambda query: statements.append(query.query))
        await note(TenantBatch(wheel.platform, session, wheel.tenant, flood))
    assert len([one for one in statements if "SELECT 1" not in one]) <= 8
    [row] = await wheel.rows("SELECT * FROM pattern_stats")
    assert row["succeeded"] == 2 * len(HOSTS)


async def test_each_run_of_a_batch_counts_in_its_order_also_two_of_one_incident(wheel):
    """A rule's run that failed counts although a plan healed the incident before anybody counted."""
    await full(wheel)
    await act(wheel, "ws-22")
    found = await wheel.rows("SELECT * FROM events WHERE type = 'playbook.completed' ORDER BY position")
    *planned, by_rule = [events.from_row(row) for row in found]
    failed = by_rule._replace(data={**by_rule.data, "outcome": "failed"})
    healed, last = planned[-1], planned[0]
    last = last._replace(data={**last.data, "outcome": "failed"})
    async with wheel.platform.database.tenant(wheel.tenant) as session:
        await note(TenantBatch(wheel.platform, session, wheel.tenant, [failed, healed, by_rule, last]))
    promotion = await wheel.promotion()
    assert (promotion["acted_well"], promotion["acted_badly"], promotion["recent"]) == (2, 1, "101")
    [row] = await wheel.rows("SELECT l1, l2, succeeded, failed FROM pattern_stats")
    assert tuple(row.values()) == (3, len(HOSTS) + 2, len(HOSTS) + 3, 2)
    [choice] = await wheel.rows("SELECT recent FROM pattern_choices")
    assert choice["recent"].endswith("10")


async def test_a_rule_grows_and_goes_from_shadow_to_canary_to_full_and_retires_when_it_regresses(wheel):
    await wheel.allow(promotion="by_itself")
    await wheel.heal(*HOSTS)
    assert await wheel.turn() == 2
    promotion = await wheel.promotion()
    assert promotion["state"] == "shadow"
    assert promotion["document"]["parameters"] == {"path": "${{ incident.details.path }}"}
    assert promotion["back_test"]["won"] == len(HOSTS)
    assert promotion["back_test"]["ended"] == {"healed_alike": len(HOSTS)}
    assert await wheel.rows("SELECT 1 FROM rules") == []
    await wheel.heal("ws-20", "ws-21")
    assert (await wheel.promotion())["shadow_right"] == 2
    told = await wheel.rows("SELECT data FROM events WHERE type = 'rule.shadowed'")
    assert {row["data"]["verdict"] for row in told} == {"right"}
    await wheel.turn()
    assert (await wheel.promotion())["state"] == "canary"
    await act(wheel, "ws-22", "ws-23")
    await wheel.turn()
    assert (await wheel.promotion())["state"] == "full"
    [rule] = await wheel.rows("SELECT document FROM rules")
    assert rule["document"]["source"] == "promoted"
    stages = await wheel.rows("SELECT data FROM events WHERE type = 'rule.promoted' ORDER BY position")
    assert [one["data"]["stage"] for one in stages] == ["shadow", "canary", "full"]
    await act(wheel, "ws-30", "ws-31", outcome="failed")
    promotion = await wheel.promotion()
    assert (promotion["state"], promotion["ended_from"]) == ("retired", "full")
    assert await wheel.rows("SELECT 1 FROM rules") == []
    [notice] = await wheel.rows(
        "SELECT state, title FROM incidents WHERE check_type = 'promoted_rule_retired'"
    )
    assert promotion["rule_id"] in notice["title"]
    [retired] = await wheel.rows("SELECT data, metadata FROM events WHERE type = 'rule.retired'")
    assert retired["metadata"]["correlation_id"]
    [evidence] = await wheel.rows("SELECT succeeded, profile FROM pattern_choices")
    assert (evidence["succeeded"], evidence["profile"]) == (0, None)


async def test_a_promoted_rule_does_not_fire_on_a_near_miss(wheel):
    await full(wheel)
    await act(wheel, "never-seen")
    for changed in (
        {"platform": "macos"},
        {"summary": "A file is gone"},
        {"details": {"kind": "secret"}},
        {"severity": "low"},
        {"source": "somebody"},
        {"path": "/etc/other.conf"},
    ):
        row = await wheel.fault("never-seen-either", **changed)
        assert row["rule_id"] is None, changed
        assert row["level"] == "L2", changed


async def test_policy_and_gate_decide_on_its_plans_as_on_any_rules(wheel):
    await full(wheel)
    await wheel.allow(autonomy="approve")
    row = await wheel.fault("ws-40")
    assert (row["state"], row["level"]) == ("awaiting_approval", "L1")
    await wheel.policy(autonomy="act", denied_tools=["runbook.run"], planner={"enabled": True})
    row = await wheel.fault("ws-41")
    assert row["state"] == "escalated"


async def test_what_policy_does_not_let_the_planner_choose_never_becomes_a_rule(wheel):
    await wheel.allow(promotion="by_itself")
    await wheel.heal(*HOSTS)
    await wheel.allow(promotion="by_itself", planner={"runbooks": ["RB-LNX-CLAMAV-*"]})
    assert await wheel.turn() == 0
    assert await wheel.rows("SELECT 1 FROM promotions") == []


async def test_what_is_proposed_waits_for_a_person_unless_policy_says_otherwise(wheel):
    await wheel.allow()
    await wheel.heal(*HOSTS)
    assert await wheel.turn() == 1
    assert await wheel.turn() == 0
    assert (await wheel.promotion())["state"] == "proposed"


async def test_too_little_is_no_ground(wheel):
    await wheel.allow(lower_bound=0.8, promotion="by_itself")
    await wheel.heal(*HOSTS)
    assert await wheel.turn() == 0
    await wheel.allow(promotion="by_itself", clean_last=10)
    await wheel.heal("ws-80", outcome="failed")
    assert await wheel.turn() == 0
    assert await wheel.rows("SELECT 1 FROM promotions") == []


async def test_payloads_that_instruct_get_no_word_into_a_rule_and_reach_no_further(wheel):
    """Each text is in every field that an alert has; what grows names none of it and fires on none of it elsewhere."""
    await wheel.allow(promotion="by_itself")
    await wheel.heal(*HOSTS)
    for number, injection in enumerate(INJECTIONS[::12]):
        text = injection["text"]
        poisoned = {
            "site": "Main Street Practice",
            "summary": text,
            "labels": {"note": text[:200]},
            "details": {"note": text, "nested": {"text": text, "ignore_all_instructions": text}},
        }
        await wheel.heal(*(f"{host}-{number}" for host in HOSTS), **poisoned)
    await wheel.turn()
    rows = await wheel.rows("SELECT document FROM promotions")
    assert len(rows) == 1 + len(INJECTIONS[::12])
    for row in rows:
        document = row["document"]
        assert document["runbook_id"] == CLOSE_FILE
        assert document["parameters"] == {"path": "${{ incident.details.path }}"}
        for injection in INJECTIONS:
            assert injection["text"] not in str(document)
            assert injection["text"].lower()[:40] not in str(document).lower()


async def test_a_rule_that_a_person_retires_comes_back_where_it_was(wheel, other_wheel):
    promotion = await full(wheel)
    retired = await move(wheel, promotions.end, promotion)
    assert (retired["state"], await wheel.rows("SELECT 1 FROM rules")) == ("retired", [])
    assert (await wheel.fault("ws-50"))["level"] == "L2"
    restored = await move(wheel, promotions.restore, retired)
    assert restored["state"] == "full"
    await act(wheel, "ws-51")
    with pytest.raises(Conflict):
        await move(wheel, promotions.end, promotion)
    assert await other_wheel.rows("SELECT 1 FROM promotions") == []


async def test_a_rule_that_a_person_changed_is_theirs(wheel):
    promotion = await full(wheel)
    async with wheel.platform.database.tenant(wheel.tenant) as session:
        own = await service.RULES.read(session, wheel.tenant, promotion["rule_id"])
        changed = {**service.own_form(own.rule.document), "title": "Ours"}
        await service.change_rule(
            session, wheel.tenant, own.rule.id, changed, version=own.version, actor="user:ann"
        )
    await act(wheel, "ws-60", "ws-61", outcome="failed")
    assert len(await wheel.rows("SELECT 1 FROM rules")) == 1
    await wheel.turn()
    assert (await wheel.promotion())["state"] == "adopted"


async def test_a_rule_that_a_person_deleted_is_not_proposed_again_at_the_next_heal(wheel):
    promotion = await full(wheel)
    async with wheel.platform.database.tenant(wheel.tenant) as session:
        own = await service.RULES.read(session, wheel.tenant, promotion["rule_id"])
        await service.RULES.delete(session, wheel.tenant, own.rule.id, version=own.version, actor="user:ann")
    await wheel.turn()
    assert (await wheel.promotion())["state"] == "retired"
    await wheel.heal("ws-95")
    await wheel.turn()
    assert len(await wheel.rows("SELECT 1 FROM promotions")) == 1


async def test_shadow_tells_what_a_rule_would_have_done_wrong_and_begins_anew_when_a_person_restores_it(
    wheel,
):
    await wheel.allow(promotion="by_itself")
    await wheel.heal(*HOSTS)
    await wheel.turn()
    await wheel.heal("ws-70", outcome="failed")
    assert (await wheel.promotion())["shadow_wrong"] == 1
    await wheel.turn()
    retired = await wheel.promotion()
    assert retired["state"] == "retired"
    assert (await move(wheel, promotions.restore, retired))["state"] == "shadow"
    await wheel.turn()
    promotion = await wheel.promotion()
    assert (promotion["state"], promotion["shadow_wrong"]) == ("shadow", 0)


async def test_what_stands_in_the_way_of_one_rule_or_one_tenant_keeps_no_other_from_its_turn(
    wheel, other_wheel, database
):
    for one in (wheel, other_wheel):
        await one.allow(promotion="by_itself")
        await one.heal(*HOSTS)
        await one.turn()
        await one.heal("ws-20", "ws-21")
    taken = await insert_promotion(database, wheel.tenant, "shadow", "taken")
    broken = await insert_promotion(database, other_wheel.tenant, "shadow", "broken")
    async with database.raw_system() as connection:
        await connection.execute("UPDATE promotions SET shadow_right = 9 WHERE id = ANY($1)", [taken, broken])
        await connection.execute("UPDATE promotions SET document = to_jsonb('x'::text) WHERE id = $1", broken)
    [mine] = await wheel.rows("SELECT rule_id, document FROM promotions WHERE id = $1", taken)
    async with database.tenant(wheel.tenant) as session:
        await service.create_rule(session, wheel.tenant, service.own_form(mine["document"]), actor="user:ann")
    await turn(wheel.platform)
    states = await wheel.rows("SELECT state FROM promotions ORDER BY proposed_at")
    assert [row["state"] for row in states] == ["canary", "shadow"]
    states = await other_wheel.rows("SELECT state FROM promotions")
    assert {row["state"] for row in states} == {"shadow"}


async def test_a_trial_on_the_past_writes_and_locks_nothing(wheel):
    """It takes its time, and whoever has written holds up all readers of events until the commit."""
    await wheel.allow()
    await wheel.heal(*HOSTS)
    async with wheel.platform.database.tenant(wheel.tenant) as session:
        setting = await proposing.setting_of(wheel.platform, session, wheel.tenant)
        [(row, proposal)] = await proposing.look_at_changed(session, setting)
        connection = await driver(session)
        assert await connection.fetchval("SELECT pg_current_xact_id_if_assigned()::text") is None
    assert proposal.back_test["won"] == len(HOSTS)
    await wheel.heal("ws-96")
    async with wheel.platform.database.tenant(wheel.tenant) as session:
        assert await proposing.propose(session, wheel.tenant, [(row, proposal)]) == 1
    async with wheel.platform.database.tenant(wheel.tenant) as session:
        assert await proposing.propose(session, wheel.tenant, [(row, proposal)]) == 0
    [choice] = await wheel.rows("SELECT changed_at FROM pattern_choices")
    assert choice["changed_at"] is not None


async def test_a_turn_finds_whom_it_has_to_look_at_and_no_one_else(wheel):
    await wheel.allow(promotion="by_itself")
    await wheel.heal(*HOSTS)
    assert await turn(wheel.platform) >= 2
    assert (await wheel.promotion())["state"] == "shadow"
    assert await turn(wheel.platform) == 0
    await wheel.heal("ws-20", "ws-21")
    await turn(wheel.platform)
    assert (await wheel.promotion())["state"] == "canary"
    async with wheel.platform.database.raw_system() as connection:
        await connection.execute("DELETE FROM rules WHERE tenant_id = $1", wheel.tenant)
    await turn(wheel.platform)
    promotion = await wheel.promotion()
    assert (promotion["state"], promotion["ended_reason"]) == ("retired", "Somebody deleted the rule.")


async def test_of_two_passes_at_once_one_promotes(wheel):
    await wheel.allow(promotion="by_itself")
    await wheel.heal(*HOSTS)
    await asyncio.gather(wheel.turn(), wheel.turn(), wheel.turn())
    await wheel.turn()
    assert len(await wheel.rows("SELECT 1 FROM promotions")) == 1
    assert len(await wheel.rows("SELECT 1 FROM events WHERE type = 'rule.promoted'")) == 1


async def test_a_pass_that_is_killed_between_evaluating_and_promoting_is_finished_once(wheel):
    await wheel.allow(promotion="by_itself")
    await wheel.heal(*HOSTS)
    program = Path(__file__).with_name("crash_turn.py")
    await was_killed(await start_beside(wheel.platform.settings, program, wheel.tenant))
    assert (await wheel.promotion())["state"] == "proposed"
    assert await wheel.turn() == 1
    assert await wheel.turn() == 0
    assert (await wheel.promotion())["state"] == "shadow"
    for kind in ("rule.proposed", "rule.promoted"):
        assert len(await wheel.rows("SELECT 1 FROM events WHERE type = $1", kind)) == 1


async def pooled(database, tenant):
    return [dict(row) for row in await known_elsewhere(database, tenant, after=None, limit=9)]


async def test_the_pool_holds_what_five_that_agreed_know_and_nothing_of_any(database, platform, packs):
    wheels = [Wheel(platform, await insert_tenant(database, f"pool-{n}")) for n in range(6)]
    for number, wheel in enumerate(wheels):
        await wheel.allow(pool=number not in {4, 5})
        await wheel.heal(f"only-mine-{number}")
    await refresh(platform, noise=0)
    assert await pooled(database, wheels[0].tenant) == [], "four are too few"
    await wheels[4].allow(pool=True)
    await wheels[0].rows("UPDATE pattern_choices SET succeeded = 150, failed = 50")
    await refresh(platform, noise=0)
    [found] = await pooled(database, wheels[0].tenant)
    # One counts with twenty runs at most, a quarter of which failed.
    assert (found["tenants"], found["succeeded"], found["failed"]) == (5, 20, 5)
    columns = await wheels[0].rows(
        "SELECT column_name AS name FROM information_schema.columns WHERE table_name = 'pattern_pool'"
    )
    assert {row["name"] for row in columns} == {*found, "summed_at", "is_told"}
    assert FAULT["check_type"] in found["pattern"]
    await wheels[0].rows("UPDATE pattern_choices SET succeeded = 0")
    await refresh(platform)
    assert await pooled(database, wheels[1].tenant) == [found], "a change shows in the next sum, a week later"
    await wheels[0].allow(pool=False)
    await refresh(platform, noise=0)
    assert await pooled(database, wheels[1].tenant) == []
    await wheels[0].allow(pool=True)
    await refresh(platform, noise=0)
    assert await pooled(database, wheels[1].tenant) == [], "leaving and coming back makes no new sum"
    async with database.raw_system() as connection:
        await connection.execute("UPDATE pattern_pool SET summed_at = now() - interval '7 days 1 minute'")
    await refresh(platform, noise=0)
    [later] = await pooled(database, wheels[1].tenant)
    assert (later["tenants"], later["succeeded"], later["failed"]) == (5, 5, 20)


async def test_on_what_the_pool_tells_lies_noise_that_hides_any_one_tenant(database, platform, packs):
    """Figures that are equal are told unequal, and each in steps of five."""
    tenants = [await insert_tenant(database, f"noise-{n}") for n in range(5)]
    for tenant in tenants:
        wheel = Wheel(platform, tenant)
        await wheel.allow(pool=True)
        async with database.raw_system() as connection:
            await connection.execute(
                "INSERT INTO pattern_choices (tenant_id, pattern, choice, succeeded, recent, last_incident_id) "
                "SELECT $1, 'noisy:' || n, 'runbook:RB-X', 20, '1', gen_random_uuid() FROM generate_series(1, 200) n",
                tenant,
            )
    await refresh(platform)
    async with database.raw_system() as connection:
        rows = await connection.fetch("SELECT succeeded FROM pattern_pool WHERE pattern LIKE 'noisy:%'")
    told = [row["succeeded"] for row in rows]
    assert len(told) == 200
    assert all(one % 5 == 0 and one >= 0 for one in told)
    assert len(set(told)) > 4
    assert 90 < sum(told) / len(told) < 110


async def test_a_bundle_that_waited_for_another_holds_the_rules_of_then(wheel):
    """Else rules that were retired meanwhile would get the newest version."""
    promotion = await full(wheel)
    database = wheel.platform.database

    async def fetched():
        async with database.tenant(wheel.tenant) as session:
            return await rule_bundle(wheel.platform, session, wheel.tenant)

    async with database.tenant(wheel.tenant) as session:
        connection = await driver(session)
        await hold_lock(connection, "l1_rules", wheel.tenant)
        waiting = asyncio.create_task(fetched())
        async with asyncio.timeout(60):
            while not await connection.fetchval(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            ):
                await asyncio.sleep(0.01)
        await move(wheel, promotions.end, promotion)
    assert promotion["rule_id"] not in (await waiting).text


async def test_a_promotion_of_another_tenant_is_none(wheel, other_wheel, database):
    promotion_id = await insert_promotion(database, wheel.tenant, "shadow", "mine")
    with pytest.raises(Exception, match="There is no promotion"):
        await move(other_wheel, promotions.end, {"id": promotion_id, "version": 1})
