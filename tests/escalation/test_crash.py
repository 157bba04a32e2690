"""A sender is killed between a message and its record: none is lost, and none is twice where keys tell."""

import asyncio
from pathlib import Path

import pytest
from tests.beside import PATIENCE_SECONDS, start_beside, was_killed

_INCIDENTS = 12


async def start_sender(rig, kill_after):
    settings = rig.platform.settings
    return await start_beside(
        settings,
        Path(__file__).with_name("crash_sender.py"),
        kill_after,
        FETTLE_EGRESS_ALLOW=",".join(settings.egress_allow),
        FETTLE_LEASE_SECONDS="1",
    )


@pytest.mark.parametrize("kill_after", [1, 9])
async def test_a_killed_sender_loses_no_message_and_keys_make_the_second_one_nothing(rig, kill_after):
    webhook, pagerduty = await rig.channel("webhook"), await rig.channel("pagerduty")
    await rig.policy(([{"channel_id": webhook}, {"channel_id": pagerduty}], 3600))
    incidents = [await rig.incident() for _ in range(_INCIDENTS)]
    first = await start_sender(rig, kill_after)
    await was_killed(first)
    assert rig.world.knocks
    for incident in incidents[:4]:
        await rig.resolve(incident)
    second = await start_sender(rig, 0)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await rig.rows(
                "SELECT 1 FROM escalation_deliveries WHERE tenant_id = $1 AND state IN ('queued', 'sending') "
                "UNION ALL SELECT 1 FROM escalations WHERE tenant_id = $1 AND due_at <= now()",
                rig.tenant,
            ):
                await asyncio.sleep(0.05)
    finally:
        second.terminate()
        await second.wait()
    fired = {
        one["data"]["escalation_key"] for one in rig.world.of("webhook") if one["type"] == "escalation.firing"
    }
    over = {
        one["data"]["escalation_key"]
        for one in rig.world.of("webhook")
        if one["type"] == "escalation.resolved"
    }
    for incident in incidents[4:]:
        assert f"fettle-{(await rig.clock(incident))['id']}" in fired
    # Of what was under way when the process ended nobody knows whether it arrived: it is told to be over, too.
    assert over >= {f"fettle-{(await rig.clock(one))['id']}" for one in incidents[:4]} & fired
    messages = {(one["type"], one["data"]["escalation_key"]) for one in rig.world.of("webhook")}
    assert len(rig.world.webhook_ids) == len(messages)
    assert set(rig.world.pagerduty) == {one["dedup_key"] for one in rig.world.of("pagerduty")}
    assert len(rig.world.pagerduty) >= _INCIDENTS - 4
