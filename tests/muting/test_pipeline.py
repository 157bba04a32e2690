"""What is muted keeps still, what still fires is released when that ends, and nothing else changes; on the database."""

import asyncio
from datetime import timedelta

from tests.muting.conftest import HOUR

from fettle.healing.muting import releasing
from fettle.kernel.clock import utcnow

MINUTE = timedelta(minutes=1)
OF_A_SITE_THAT_IS_DOWN = {
    "source": [{"name": "check_type", "op": "=", "value": "site_down"}],
    "target": [{"name": "check_type", "op": "!=", "value": "site_down"}],
    "equal": ["site"],
}


async def test_a_silenced_incident_keeps_still_and_is_decided_when_it_ends(muting, other):
    await muting.policy()
    await other.policy()
    silence = await muting.silence(("host", "=~", "ws-.*"), title="Moving")
    await muting.report({"host": "ws-01"}, {"host": "db-01"})
    await other.report({"host": "ws-01"})
    assert await muting.states() == {"ws-01": "suppressed", "db-01": "healing"}
    assert await other.states() == {"ws-01": "healing"}
    [told] = await muting.told("incident.suppressed")
    assert (told["data"]["reason"], told["data"]["by"], told["data"]["title"]) == (
        "silenced",
        str(silence),
        "Moving",
    )
    await muting.look()
    assert (await muting.states())["ws-01"] == "suppressed"
    await muting.end(silence)
    await muting.look()
    assert (await muting.states())["ws-01"] == "healing"
    assert [one["data"]["was"] for one in await muting.told("incident.released")] == ["silenced"]
    assert await muting.rows("SELECT * FROM muted_incidents") == []


async def test_only_what_still_fires_is_released(muting):
    await muting.policy()
    window = await muting.window("suppress")
    await muting.report({"host": "a"}, {"host": "b"})
    await muting.report({"host": "a", "status": "resolved"})
    await muting.end(window)
    await muting.look()
    assert await muting.states() == {"a": "closed", "b": "healing"}
    assert len(await muting.told("incident.released")) == 1


async def test_overlapping_windows_release_at_the_end_of_the_last(muting):
    await muting.policy()
    short = await muting.window("suppress", ends_in=MINUTE)
    long = await muting.window("suppress", ("host", "=", "a"), ends_in=HOUR)
    await muting.report({"host": "a"}, {"host": "b"})
    until = {row["host"]: row["until"] for row in await muting.rows(
        "SELECT host, until FROM muted_incidents JOIN incidents i ON i.id = incident_id")}  # fmt: skip
    assert until["a"] - until["b"] > timedelta(minutes=58)
    await muting.end(short)
    await muting.look()
    assert await muting.states() == {"a": "suppressed", "b": "healing"}
    assert (await muting.told("incident.suppressed"))[-1]["data"]["by"] == str(long)
    await muting.end(long)
    await muting.look()
    assert await muting.states() == {"a": "healing", "b": "healing"}


async def test_what_waited_for_a_person_waits_for_them_again(muting):
    await muting.report(
        {"check_type": "nobody_knows_this", "host": "a"}, {"check_type": "nor_this", "host": "b"}
    )
    silence = await muting.silence(("check_type", "=", "nobody_knows_this"))
    assert await muting.states() == {"a": "suppressed", "b": "escalated"}
    await muting.end(silence)
    await muting.look()
    assert await muting.states() == {"a": "escalated", "b": "escalated"}
    assert len(await muting.told("incident.escalated")) == 2, "nobody escalates it a second time"


async def test_while_all_is_held_nothing_acts_and_a_person_is_still_asked(muting):
    await muting.policy()
    hold = await muting.window("hold", title="Freeze")
    await muting.report({"host": "a"}, {"check_type": "nobody_knows_this", "host": "b"})
    assert await muting.states() == {"a": "suppressed", "b": "escalated"}
    assert await muting.told("plan.approved") == []
    [told] = await muting.told("incident.suppressed")
    assert (told["data"]["reason"], told["data"]["title"]) == ("held", "Freeze")
    await muting.look()
    assert (await muting.states())["a"] == "suppressed"
    await muting.end(hold)
    await muting.look()
    assert (await muting.states())["a"] == "healing"


async def test_a_policys_windows_and_silences_are_applied(muting):
    always = {"weekdays": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"], "from": "00:00", "to": "00:00"}
    window = {
        **always,
        "title": "Always",
        "timezone": "Europe/Berlin",
        "sites": ["Hall"],
        "effect": "suppress",
    }
    until = (utcnow() + HOUR).isoformat(timespec="seconds").replace("+00:00", "Z")
    silence = {"reason": "Moving", "until": until, "hosts": ["ws-*"]}
    await muting.policy(maintenance_windows=[window], silences=[silence])
    muting.platform.parts.pop("packs.cache", None)
    await muting.heard()
    await muting.report({"host": "ws-01"}, {"host": "db", "site": "Hall"}, {"host": "free"})
    assert await muting.states() == {"ws-01": "suppressed", "db": "suppressed", "free": "healing"}
    reasons = [one["data"]["reason"] for one in await muting.told("incident.suppressed")]
    assert sorted(reasons) == ["maintenance", "silenced"]
    await muting.policy()
    muting.platform.parts.pop("packs.cache", None)
    await muting.look()
    assert set((await muting.states()).values()) == {"healing"}


async def test_a_site_that_is_down_mutes_its_hosts_until_it_is_up(muting):
    await muting.policy()
    await muting.set("inhibition", **OF_A_SITE_THAT_IS_DOWN)
    await muting.report({"host": "before", "site": "Hall"})
    await muting.report({"check_type": "site_down", "host": "gate", "site": "Hall"})
    await muting.report({"host": "a", "site": "Hall"}, {"host": "b", "site": "Barn"})
    assert await muting.states() == {
        "before": "healing",
        "gate": "escalated",
        "a": "suppressed",
        "b": "healing",
    }
    [told] = await muting.told("incident.suppressed")
    [gate] = await muting.rows("SELECT id FROM incidents WHERE host = 'gate'")
    assert (told["data"]["reason"], told["data"]["source_incident"]) == ("inhibited", str(gate["id"]))
    await muting.report({"check_type": "site_down", "host": "gate", "site": "Hall", "status": "resolved"})
    [set_] = await muting.rows("SELECT due_at <= now() AS due FROM mute_sets")
    assert set_["due"], "what ends is looked at soon"
    await muting.look()
    assert (await muting.states())["a"] == "healing"


async def test_what_hangs_on_a_service_that_is_down_keeps_still(muting):
    await muting.policy()
    await muting.set(
        "dependency",
        dependents=[{"kind": "host", "name": "web-*"}],
        on={"kind": "service", "name": "storage"},
        down=[{"name": "severity", "op": "=", "value": "critical"}],
    )
    down = {
        "check_type": "nobody_knows_this",
        "host": "san",
        "labels": {"service": "storage"},
        "severity": "critical",
    }
    await muting.report(down)
    await muting.report({"host": "web-1"}, {"host": "db-1"})
    assert await muting.states() == {"san": "escalated", "web-1": "suppressed", "db-1": "healing"}


async def test_of_two_that_mute_each_other_one_is_told_whatever_comes_and_goes(muting):
    for host, site in (("a", "B"), ("b", "A")):
        await muting.set(
            "dependency",
            dependents=[{"kind": "host", "name": host}],
            on={"kind": "site", "name": site},
            down=[{"name": "check_type", "op": "=", "value": "nobody_knows_this"}],
        )
    first = {"check_type": "nobody_knows_this", "host": "a", "site": "A", "severity": "high"}
    second = {"check_type": "nobody_knows_this", "host": "b", "site": "B", "severity": "critical"}
    await muting.report(first)
    await muting.look()
    assert await muting.states() == {"a": "escalated"}
    await muting.report(second)
    await muting.look()
    assert await muting.states() == {"a": "suppressed", "b": "escalated"}, "the more severe"
    silence = await muting.silence(("host", "=", "b"))
    assert await muting.states() == {"a": "escalated", "b": "suppressed"}
    await muting.end(silence)
    await muting.look()
    assert await muting.states() == {"a": "suppressed", "b": "escalated"}
    await muting.report({**second, "status": "resolved"})
    await muting.look()
    assert await muting.states() == {"a": "escalated", "b": "closed"}


async def test_the_source_that_is_written_down_is_one_that_fires(muting):
    await muting.policy()
    await muting.set("inhibition", **OF_A_SITE_THAT_IS_DOWN)
    gates = [{"check_type": "site_down", "host": f"gate-{number}", "site": "Hall"} for number in range(2)]
    await muting.report(*gates)
    await muting.report({"host": "a", "site": "Hall"})
    ids = {row["host"]: row["id"] for row in await muting.rows("SELECT id, host FROM incidents")}
    [kept] = await muting.rows("SELECT source_id FROM muted_incidents")
    over = next(gate for gate in gates if ids[gate["host"]] == kept["source_id"])
    await muting.report({**over, "status": "resolved"})
    await muting.look()
    [kept] = await muting.rows("SELECT source_id FROM muted_incidents")
    assert kept["source_id"] == next(ids[gate["host"]] for gate in gates if gate is not over)
    assert len(await muting.told("incident.suppressed")) == 1, "it keeps still for the same reason"


async def test_many_are_released_once_though_two_look_at_once(muting):
    await muting.policy()
    window = await muting.window("suppress")
    await muting.report(*({"host": f"h{number}"} for number in range(120)))
    await muting.end(window)
    muting.platform.parts.pop("healing.mutes", None)
    await asyncio.gather(*(releasing.look_at_due(muting.platform) for _ in range(3)))
    await muting.settle()
    assert set((await muting.states()).values()) == {"healing"}
    assert len(await muting.told("incident.released")) == 120
    assert len(await muting.told("plan.approved")) == 120
