"""Taking an acknowledgement back, and hours in which it is quiet: the clock goes on where and when it should."""

from datetime import timedelta

import pytest

from fettle.healing.escalation import acting
from fettle.incidents.commands import By
from fettle.kernel.clock import utcnow
from fettle.kernel.errors import Conflict, NotFound
from fettle.kernel.events import read_stream


async def told(rig, *, waits=3600, **more):
    """Let an incident be told by its first of two steps; returns it and somebody who works there."""
    ada = await rig.person("Ada")
    first, second = await rig.channel("webhook"), await rig.channel("slack")
    await rig.policy(([{"channel_id": first}], waits), ([{"channel_id": second}], waits), **more)
    incident = await rig.incident()
    await rig.send()
    return incident, By(f"user:{ada}", ada)


async def act(rig, what, tenant=None):
    async with rig.platform.database.tenant(tenant or rig.tenant) as session:
        await what(session)


async def test_what_was_taken_by_mistake_is_put_back_and_the_next_step_follows_after_its_wait(rig):
    incident, by = await told(rig)
    await act(rig, lambda s: acting.acknowledge(s, rig.tenant, by, incident, is_taken=True))
    for _ in range(2):
        await act(rig, lambda s: acting.take_back(s, rig.tenant, by, incident))
    clock = await rig.clock(incident)
    assert (clock["state"], clock["acknowledged_by"], clock["position"]) == ("active", None, 1)
    assert timedelta(seconds=3500) < clock["due_at"] - utcnow() <= timedelta(seconds=3600)
    await rig.send()
    # Nobody had heard yet that it was taken, so nobody hears that it was.
    assert [body["type"] for body in rig.world.of("webhook")] == ["escalation.firing"]
    await rig.hurry()
    await rig.send()
    assert len(rig.world.of("slack")) == 1
    async with rig.platform.database.tenant(rig.tenant) as session:
        types = [event.type for event in await read_stream(session, rig.tenant, "incident", incident)]
    assert types[-3:] == ["incident.acknowledged", "incident.assigned", "incident.unacknowledged"]


async def test_after_the_last_step_nothing_is_due_when_it_is_put_back(rig):
    incident, by = await told(rig)
    for _ in range(2):
        await rig.hurry()
        await rig.send()
    await act(rig, lambda s: acting.acknowledge(s, rig.tenant, by, incident, is_taken=False))
    await act(rig, lambda s: acting.take_back(s, rig.tenant, by, incident))
    clock = await rig.clock(incident)
    assert (clock["state"], clock["due_at"]) == ("exhausted", None)


async def test_what_is_over_or_somebody_elses_is_not_put_back(rig, other_tenant):
    incident, by = await told(rig)
    with pytest.raises(NotFound):
        await act(rig, lambda s: acting.take_back(s, other_tenant, by, incident), other_tenant)
    await rig.resolve(incident)
    with pytest.raises(Conflict):
        await act(rig, lambda s: acting.take_back(s, rig.tenant, by, incident))


async def test_some_severities_wait_until_it_is_no_longer_quiet_and_others_do_not(rig):
    begins = (utcnow() - timedelta(hours=1)).strftime("%H:%M")
    ends = (utcnow() + timedelta(hours=3)).strftime("%H:%M")
    quiet = {
        "days": list(range(7)),
        "begins": begins,
        "ends": ends,
        "time_zone": "UTC",
        "severities": ["low"],
    }
    await rig.policy(([{"channel_id": await rig.channel("webhook")}], 60), quiet_hours=[quiet])
    low, high = await rig.incident("Low", severity="low"), await rig.incident("High", severity="high")
    await rig.send()
    assert [body["data"]["incident"]["id"] for body in rig.world.of("webhook")] == [str(high)]
    waits = (await rig.clock(low))["due_at"] - utcnow()
    assert timedelta(hours=2, minutes=58) < waits <= timedelta(hours=3, minutes=1)
    await rig.hurry()
    await rig.send()
    assert str(low) in {body["data"]["incident"]["id"] for body in rig.world.of("webhook")}
