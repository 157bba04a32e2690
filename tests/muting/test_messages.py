"""Who is told while things are muted; and over random histories, that it is over goes where that it fires went."""

import random
from collections import Counter

import pytest
from tests.escalation.conftest import rig, world  # noqa: F401 - fixtures
from tests.muting.conftest import Muting

from fettle.healing.muting import releasing
from fettle.healing.muting.explanations import explain_incident
from fettle.kernel.clock import utcnow
from fettle.kernel.database import driver


@pytest.fixture
def muting(rig):  # noqa: F811 - the fixture
    rig.platform.parts.pop("healing.mutes", None)
    return Muting(rig.platform, rig.tenant)


async def explain(rig, incident):  # noqa: F811 - the fixture
    async with rig.platform.database.tenant(rig.tenant) as session:
        return await explain_incident(rig.platform, session, rig.tenant, incident)


async def look(rig, muting):  # noqa: F811 - the fixture
    rig.platform.parts.pop("healing.mutes", None)
    await muting.rows(
        "UPDATE mute_sets SET due_at = now() WHERE tenant_id = $1 RETURNING tenant_id", rig.tenant
    )
    await releasing.look_at_due(rig.platform)


async def test_nobody_is_told_of_what_is_silenced_until_it_ends(rig, muting):  # noqa: F811 - the fixture
    hook = await rig.channel("webhook")
    await rig.policy(([{"channel_id": hook}], 60))
    silence = await muting.silence(("check_type", "=", "firewall_status"), title="Moving")
    incident = await rig.incident()
    await rig.send()
    assert rig.world.of("webhook") == []
    why = await explain(rig, incident)
    assert (why.verdict, why.reasons[0].mute_id) == ("muted", str(silence))
    await muting.end(silence)
    await look(rig, muting)
    await rig.send()
    assert len(rig.world.of("webhook")) == 1
    why = await explain(rig, incident)
    assert (why.verdict, [one.verdict for one in why.messages]) == ("told", ["sent"])
    assert why.next_at is None or why.next_at > utcnow()


async def test_what_was_told_before_a_silence_hears_that_it_is_over_and_nothing_else_does(rig, muting):  # noqa: F811 - the fixture of that name
    hook = await rig.channel("webhook")
    await rig.policy(([{"channel_id": hook}], 0))
    told = await rig.incident("Told")
    await rig.send()
    await muting.silence(("check_type", "=", "firewall_status"))
    quiet = await rig.incident("Quiet")
    await rig.resolve(told)
    await rig.resolve(quiet)
    await rig.send()
    assert [one["kind"] for one in await rig.log(told)] == ["firing", "resolved"]
    assert await rig.log(quiet) == []
    why = await explain(rig, quiet)
    assert (why.verdict, "nobody was told" in why.reasons[0].text) == ("over", True)


async def test_a_message_that_waits_for_its_channel_keeps_waiting_while_it_is_silenced(rig, muting):  # noqa: F811 - the fixture of that name
    hook = await rig.channel("webhook")
    await rig.policy(([{"channel_id": hook}], 600))
    incident = await rig.incident()
    rig.world.fail("webhook", (503, {}, b""))
    await rig.sender.run_once()
    silence = await muting.silence(("check_type", "=", "firewall_status"))
    for _ in range(9):
        await rig.retry()
        await rig.sender.run_once()
    [message] = await rig.log(incident)
    assert (message["state"], message["attempts"], message["error_code"]) == ("queued", 1, "muted")
    [why] = (await explain(rig, incident)).messages
    assert (why.verdict, why.reasons[-1].code) == ("waiting", "muted")
    await muting.end(silence)
    await look(rig, muting)
    await rig.send()
    assert [one["state"] for one in await rig.log(incident)] == ["delivered"]


async def test_a_storm_is_told_while_only_the_incident_that_leads_it_is_silenced(rig, muting):  # noqa: F811 - the fixture of that name
    hook = await rig.channel("webhook")
    storm = {"threshold": 0, "window_seconds": 300, "update_seconds": 1}
    await rig.policy(([{"channel_id": hook}], 600), storm=storm)
    first = await rig.incident("Leads")
    second = await rig.incident("Joins")
    await rows_of(rig, "UPDATE incidents SET site = 'Hall' WHERE id = $1", first)
    await muting.silence(("site", "=", "Hall"))
    await rig.send()
    assert len(rig.world.of("webhook")) == 1
    why = await explain(rig, second)
    assert why.reasons[0].code == "grouped"


async def rows_of(rig, query, *arguments):  # noqa: F811 - the fixture
    async with rig.platform.database.tenant(rig.tenant) as session:
        connection = await driver(session)
        return await connection.fetch(query, *arguments)


class History:
    """What happens to a tenant, in any order."""

    def __init__(self, rig, muting, seed):  # noqa: F811 - the fixture
        self.rig, self.muting = rig, muting
        self.chance = random.Random(seed)
        self.firing, self.mutes = [], []

    async def fire(self):
        self.firing.append(await self.rig.incident(severity=self.chance.choice(["high", "low"])))

    async def resolve(self):
        if self.firing:
            await self.rig.resolve(self.firing.pop(self.chance.randrange(len(self.firing))))

    async def silence(self):
        severity = ("severity", "=", self.chance.choice(["high", "low"]))
        self.mutes.append(await self.muting.silence(severity))

    async def window(self):
        self.mutes.append(await self.muting.window("suppress", ("severity", "!=", "low")))

    async def unmute(self):
        if self.mutes:
            await self.muting.end(self.mutes.pop(self.chance.randrange(len(self.mutes))))
            await look(self.rig, self.muting)

    async def hurry(self):
        await self.rig.hurry()

    async def fail(self):
        self.rig.world.fail("webhook", (503, {}, b""))

    async def end(self):
        """Let everything be over, and everything be sent that is to be sent."""
        while self.firing:
            await self.resolve()
        for _ in range(8):
            await self.rig.retry()
            await self.rig.send()


@pytest.mark.parametrize("seed", range(6))
async def test_over_is_told_if_and_only_if_firing_was(rig, muting, seed):  # noqa: F811 - the fixture
    history = History(rig, muting, seed)
    storm = {"threshold": history.chance.choice([1, 2, 100]), "window_seconds": 300, "update_seconds": 1}
    hooks = [await rig.channel("webhook"), await rig.channel("teams")]
    await rig.policy(([{"channel_id": hooks[0]}], 30), ([{"channel_id": hooks[1]}], 30), storm=storm)
    steps = ["fire", "fire", "resolve", "silence", "window", "unmute", "unmute", "hurry", "fail"]
    for _ in range(14):
        await getattr(history, history.chance.choice(steps))()
        if history.chance.random() < 0.7:
            await rig.send()
    await history.end()
    said = Counter()
    for row in await rig.rows(
        "SELECT escalation_id, lane, kind, state FROM escalation_deliveries WHERE tenant_id = $1", rig.tenant
    ):
        assert row["state"] in {"delivered", "skipped", "failed"}, "nothing waits for ever"
        if row["state"] == "delivered":
            said[row["escalation_id"], row["lane"], row["kind"]] += 1
    for place in {(escalation, lane) for escalation, lane, _ in said}:
        assert said[*place, "firing"] >= 1
        assert said[*place, "resolved"] == 1
    await look(rig, muting)
    assert await rig.rows("SELECT * FROM muted_incidents WHERE tenant_id = $1", rig.tenant) == []
