"""What mutes, over HTTP: set, previewed, changed, ended early, undone, looked back on; and nobody else sees it."""

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio
from tests.crosswise import somebody_waits
from tests.healing.conftest import Pipeline

from fettle.healing.muting import service
from fettle.incidents.commands import By
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import driver
from fettle.kernel.errors import Conflict
from fettle.packs.service import ensure_shipped

HOUR = timedelta(hours=1)


@pytest_asyncio.fixture(scope="module")
async def shipped(api):
    await ensure_shipped(api.platform)
    return api


@pytest.fixture
def call(shipped):
    async def ask(method, path, *, role="operator", tenant=None, **options):
        headers = (tenant or shipped.alder).headers(role)
        return await shipped.client.request(method, f"/api/v1/{path}", headers=headers, **options)

    return ask


def silence(**more):
    matchers = [{"name": "host", "op": "=~", "value": "ws-.*"}]
    ends = rfc3339(utcnow() + HOUR)
    return {"kind": "silence", "title": "Moving", "matchers": matchers, "ends_at": ends, **more}


async def test_a_silences_life(call, shipped):
    pipeline = Pipeline(shipped.platform, shipped.alder.id)
    await pipeline.report({"host": "ws-01"}, {"host": "db-01"})
    seen = (await call("POST", "mutes/preview", json={"mute": silence()}, role="viewer")).json()
    assert (seen["matched"], [one["host"] for one in seen["items"]]) == (1, ["ws-01"])
    assert (await call("POST", "mutes", json={"mute": silence()}, role="viewer")).status_code == 403
    made = await call("POST", "mutes", json={"mute": silence(title="Moving 555-12-3456")})
    assert made.status_code == 201, made.text
    mute = made.json()
    assert (mute["state"], mute["holds"], mute["version"], mute["origin"]) == ("active", True, 1, "tenant")
    assert "555-12-3456" not in mute["title"]
    path = f"mutes/{mute['id']}"
    later = silence(title="Still moving", ends_at=rfc3339(utcnow() + 2 * HOUR))
    changed = (await call("PUT", path, json={"mute": later, "version": 1})).json()
    assert (changed["version"], changed["title"]) == (2, "Still moving")
    assert (await call("PUT", path, json={"mute": later, "version": 1})).status_code == 409
    ended = (await call("POST", f"{path}/end", json={"version": 2})).json()
    assert (ended["state"], ended["holds"]) == ("ended", False)
    assert (await call("POST", f"{path}/end", json={"version": 3})).status_code == 409
    assert mute["id"] not in {one["id"] for one in (await call("GET", "mutes?state=active")).json()["items"]}
    undone = (await call("POST", f"{path}/undo", json={"version": 3})).json()
    assert (undone["state"], undone["title"], undone["version"]) == ("active", "Still moving", 4)
    history = (await call("GET", f"{path}/history")).json()["items"]
    assert [one["did"] for one in history] == ["restored", "ended", "changed", "created"]
    assert all(one["by"].startswith("key:") for one in history)
    assert (await call("GET", path, tenant=shipped.birch)).status_code == 404
    assert (await call("POST", f"{path}/end", json={"version": 4}, tenant=shipped.birch)).status_code == 404
    assert (await call("GET", "mutes?kind=silence&q=moving", tenant=shipped.birch)).json()["items"] == []


async def test_the_last_change_is_undone_however_many_there_were_and_all_are_shown_newest_first(call):
    made = (await call("POST", "mutes", json={"mute": silence()})).json()
    for version, title in enumerate(("One", "Two", "Three"), 1):
        changed = await call(
            "PUT", f"mutes/{made['id']}", json={"mute": silence(title=title), "version": version}
        )
        assert changed.status_code == 200, changed.text
    undone = (await call("POST", f"mutes/{made['id']}/undo", json={"version": 4})).json()
    assert undone["title"] == "Two"
    shown, cursor = [], None
    while not shown or cursor:
        asked = {"limit": 2, **({"cursor": cursor} if cursor else {})}
        page = (await call("GET", f"mutes/{made['id']}/history", params=asked)).json()
        assert len(page["items"]) <= 2
        shown += page["items"]
        cursor = page["next_cursor"]
    assert [one["version"] for one in shown] == [5, 4, 3, 2, 1]
    assert shown[0]["after"]["title"] == "Two"


async def test_of_two_who_set_the_last_one_that_there_is_room_for_one_is_refused(shipped, monkeypatch):
    alder = shipped.alder.id
    async with shipped.platform.database.tenant(alder) as session:
        held = await (await driver(session)).fetchval(
            "SELECT count(*) FROM mutes WHERE ends_at IS NULL OR ends_at > now()"
        )
    monkeypatch.setattr(service, "MOST", held + 1)

    async def add(session):
        document = {**silence(), "recurrence": None}
        await service.create(session, alder, By("user:test"), "silence", document)

    async def add_later():
        async with shipped.platform.database.tenant(alder) as session:
            await add(session)

    async with shipped.platform.database.tenant(alder) as session:
        await add(session)
        second = asyncio.create_task(add_later())
        await somebody_waits(await driver(session), second)
    with pytest.raises(Conflict, match="are set already"):
        await second


@pytest.mark.parametrize(
    "wrong",
    [
        silence(matchers=[{"name": "host", "op": "=~", "value": ".*"}]),
        silence(matchers=[{"name": "host", "op": "=~", "value": "a)|(b("}]),
        silence(matchers=[]),
        silence(ends_at=None),
        silence(ends_at="2020-01-01T00:00:00Z"),
        {"kind": "window", "title": "Never", "effect": "suppress", "recurrence": {
            "weekdays": ["mon"], "from": "01:00", "to": "02:00", "timezone": "Mars/Crater"}},
        {"kind": "dependency", "title": "All", "dependents": [{"kind": "host", "name": "a"}],
         "on": {"kind": "site", "name": "*"}, "down": [{"name": "severity", "value": "critical"}]},
    ],
)  # fmt: skip
async def test_what_would_mute_everything_or_nothing_is_refused(call, wrong):
    answer = await call("POST", "mutes", json={"mute": wrong})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"]


async def test_the_calendar_shows_what_recurs_and_what_the_policy_says(call, shipped):
    recurrence = {"weekdays": ["sat", "sun"], "from": "22:00", "to": "04:00", "timezone": "Europe/Berlin"}
    window = {"kind": "window", "title": "Night", "effect": "hold", "recurrence": recurrence}
    made = await call("POST", "mutes", json={"mute": window})
    assert made.status_code == 201, made.text
    spans = (await call("GET", "mutes/calendar")).json()["items"]
    nights = [one for one in spans if one["title"] == "Night"]
    assert 4 <= len(nights) <= 5
    assert [one["begins"] for one in spans] == sorted(one["begins"] for one in spans)
    assert (await call("GET", "mutes/declared")).json()["items"] == []


async def test_an_inhibition_and_a_dependency_are_previewed(call, shipped):
    pipeline = Pipeline(shipped.platform, shipped.birch.id)
    await pipeline.report(
        {"check_type": "site_down", "host": "gate", "site": "Hall"},
        {"host": "ws", "site": "Hall"},
        {"host": "far"},
    )
    rule = {"kind": "inhibition", "title": "Site down", "equal": ["site"],
            "source": [{"name": "check_type", "value": "site_down"}],
            "target": [{"name": "check_type", "op": "!=", "value": "site_down"}]}  # fmt: skip
    seen = (await call("POST", "mutes/preview", json={"mute": rule}, tenant=shipped.birch)).json()
    assert [one["host"] for one in seen["items"]] == ["ws"]
    hangs = {"kind": "dependency", "title": "On gate", "dependents": [{"kind": "host", "name": "f*"}],
             "on": {"kind": "host", "name": "gate"},
             "down": [{"name": "check_type", "value": "site_down"}]}  # fmt: skip
    seen = (await call("POST", "mutes/preview", json={"mute": hangs}, tenant=shipped.birch)).json()
    assert [one["host"] for one in seen["items"]] == ["far"]
    for one in (rule, hangs):
        assert (await call("POST", "mutes", json={"mute": one}, tenant=shipped.birch)).status_code == 201


async def test_an_incident_says_why_nobody_was_told(call, shipped):
    pipeline = Pipeline(shipped.platform, shipped.alder.id)
    await pipeline.report({"check_type": "nobody_knows_this", "host": "explained"})
    [row] = await pipeline.rows("SELECT id FROM incidents WHERE host = 'explained'")
    why = (await call("GET", f"incidents/{row['id']}/explain", role="viewer")).json()
    assert (why["verdict"], why["reasons"][0]["code"]) == ("nobody_to_tell", "no_policy")
    quiet = silence(matchers=[{"name": "host", "op": "=", "value": "explained"}])
    mute = (await call("POST", "mutes", json={"mute": quiet})).json()
    why = (await call("GET", f"incidents/{row['id']}/explain")).json()
    assert (why["verdict"], why["reasons"][0]["mute_id"]) == ("muted", mute["id"])
    assert why["next_at"] == mute["document"]["ends_at"]
    assert (await call("GET", f"incidents/{row['id']}/explain", tenant=shipped.birch)).status_code == 404
