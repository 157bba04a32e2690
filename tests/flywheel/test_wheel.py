"""From what the planner healed to a rule, through shadow, canary and full, and back again."""

HOSTS = [f"ws-{number:02}" for number in range(6)]


async def test_patterns_are_counted_with_their_levels_and_outcomes(wheel):
    await wheel.allow()
    await wheel.heal(*HOSTS[:3])
    await wheel.heal("ws-90", outcome="failed")
    [row] = await wheel.rows("SELECT * FROM pattern_stats")
    assert (row["total"], row["l1"], row["l2"], row["l3"]) == (4, 0, 4, 0)
    assert (row["succeeded"], row["failed"], len(row["seconds"])) == (3, 1, 3)
    [choice] = await wheel.rows("SELECT * FROM pattern_choices")
    assert (choice["choice"], choice["recent"]) == ("runbook:RB-LNX-CLOSE-FILE-001", "1110")


async def test_a_rule_grows_and_goes_from_shadow_to_canary_to_full(wheel):
    await wheel.allow(promotion="by_itself")
    await wheel.heal(*HOSTS)
    assert await wheel.turn() == 2
    promotion = await wheel.promotion()
    assert promotion["state"] == "shadow"
    assert promotion["document"]["parameters"] == {"path": "${{ incident.details.path }}"}
    assert await wheel.rows("SELECT 1 FROM rules") == []
    await wheel.heal("ws-20", "ws-21")
    assert (await wheel.promotion())["shadow_right"] == 2
    await wheel.turn()
    assert (await wheel.promotion())["state"] == "canary"
    row = await wheel.fault("ws-22")
    assert (row["level"], row["state"]) == ("L1", "healing")
    await wheel.finish(row["id"])
    row = await wheel.fault("ws-23")
    await wheel.finish(row["id"])
    await wheel.turn()
    assert (await wheel.promotion())["state"] == "full"
    [rule] = await wheel.rows("SELECT document FROM rules")
    assert rule["document"]["source"] == "promoted"
    stages = await wheel.rows("SELECT data FROM events WHERE type = 'rule.promoted' ORDER BY position")
    assert [one["data"]["stage"] for one in stages] == ["shadow", "canary", "full"]
    for host in ("ws-30", "ws-31"):
        row = await wheel.fault(host)
        await wheel.finish(row["id"], "failed")
    assert (await wheel.promotion())["state"] == "retired"
    assert await wheel.rows("SELECT 1 FROM rules") == []
    notice = await wheel.rows("SELECT state FROM incidents WHERE check_type = 'promoted_rule_retired'")
    assert len(notice) == 1
