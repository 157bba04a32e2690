"""What is managed by the command line: sources, storms, rules over time, deputies, and the one switch."""

import asyncio
import json
import sys
from datetime import timedelta
from uuid import UUID, uuid4

from tests.healing.conftest import SPECS, Pipeline
from tests.muting.rows import insert_correlation, insert_storm_members
from tests.temporal.rules import ONCE, document

from fettle.healing.temporal import service
from fettle.healing.temporal.consumers import CONSUMERS
from fettle.kernel.clock import utcnow
from fettle.packs.service import ensure_shipped


async def fettle(api, *words, role="tenant_admin", given=None):
    """Run a command as a user does; returns its exit status and what it printed."""
    home = api.platform.settings.home
    environ = {"FETTLE_URL": api.url, "FETTLE_API_KEY": api.alder.keys[role], "FETTLE_HOME": str(home)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fettle.cli.main", *words, env={**environ, "PATH": "/usr/bin"},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, err = await process.communicate(given.encode() if given is not None else None)
    return process.returncode, out.decode() + err.decode()


async def found(api, *words, **more):
    status, told = await fettle(api, *words, "--json", **more)
    assert status == 0, told
    return json.loads(told)


async def test_a_source_is_set_up_given_a_new_secret_and_its_mapping_tried_on_what_was_received(api):
    name = f"cli-{uuid4().hex[:6]}"
    made = await found(api, "sources", "create", name, "--kind", "json", "--authentication", "token")
    proof = {"Authorization": f"Bearer {made['secret']}"}
    sent = await api.client.post(
        f"/api/v1/hooks/{made['id']}", headers=proof, json={"title": "press", "id": 1}
    )
    assert sent.status_code == 202, sent.text
    assert name in (await fettle(api, "sources", "list"))[1]
    [one] = (await found(api, "sources", "received", name))["items"]
    assert (one["outcome"], one["payload"]) == ("accepted", {"title": "press", "id": 1})
    own = json.dumps({"set": {"check_type": "own_check", "summary": "${{ upper(payload.title) }}"}})
    status, told = await fettle(api, "sources", "preview", name, "-", given=own)
    assert (status, "1 of 1 payloads would be read otherwise" in told, "PRESS" in told) == (0, True, True)
    fails = json.dumps({"set": {"check_type": "${{ payload.title.x.y }}"}})
    assert (await fettle(api, "sources", "preview", name, "-", given=fails))[0] == 1
    assert (await fettle(api, "sources", "mapping", name, "--put", "-", given=own))[0] == 0
    [read] = (await found(api, "sources", "try", name))["exceptions"]
    assert read["check_type"] == "own_check"
    assert (await fettle(api, "sources", "mapping", name, "--of-pack"))[0] == 0
    rotated = await found(api, "sources", "rotate", name, "--overlap-hours", "0")
    assert rotated["secret"] not in {None, made["secret"]}
    refused = await api.client.post(f"/api/v1/hooks/{made['id']}", headers=proof, json={"title": "late"})
    assert refused.status_code == 403
    status, told = await fettle(api, "sources", "show", name)
    assert (status, rotated["secret"] in told) == (0, False)
    assert (await found(api, "sources", "switch", name, "--off"))["enabled"] is False
    assert (await fettle(api, "sources", "delete", name, "--confirm", "other"))[0] == 6
    assert (await fettle(api, "sources", "delete", name, "--confirm", name))[0] == 0
    assert (await fettle(api, "sources", "show", name))[0] == 5
    assert (await fettle(api, "sources", "create", name, "--kind", "json", role="viewer"))[0] == 4


async def test_storms_are_listed_with_what_still_fires(api):
    await ensure_shipped(api.platform)
    host = f"storm-{uuid4().hex[:6]}"
    await Pipeline(api.platform, api.alder.id).report({"host": host})
    [incident] = (await api.client.get(f"/api/v1/incidents?host={host}", headers=api.alder.headers())).json()[
        "items"
    ]
    await insert_storm_members(api.platform.database, api.alder.id, UUID(incident["id"]), firing=3, over=2)
    listed = (await found(api, "storms", "list"))["items"]
    one = next(one for one in listed if one["number"] == incident["number"])
    assert (one["members"], one["firing"]) == (5, 3)
    assert str(one["number"]) in (await fettle(api, "storms", "list"))[1]
    narrowed = ["--state", "going_on", "-q", str(one["number"]), "--opened-after", "2020-01-01T00:00:00Z"]
    assert [row["id"] for row in (await found(api, "storms", "list", *narrowed))["items"]] == [one["id"]]
    assert (await found(api, "storms", "list", "--opened-before", "2020-01-01T00:00:00Z"))["items"] == []
    members = (await found(api, "storms", "show", str(incident["number"])))["items"]
    assert (len(members), sum(member["is_firing"] for member in members)) == (5, 3)
    assert (await _storms_of(api, api.birch))["items"] == []


async def _storms_of(api, tenant):
    return (await api.client.get("/api/v1/storms", headers=tenant.headers())).json()


async def test_groups_of_incidents_are_confirmed_and_dismissed(api):
    one, two = [
        await insert_correlation(api.platform.database, api.alder.id, f"cli {uuid4().hex}") for _ in range(2)
    ]
    waiting = {group["id"] for group in (await found(api, "correlations", "list"))["items"]}
    assert {one, two} <= waiting
    assert (await found(api, "correlations", "confirm", one))["state"] == "confirmed"
    assert (await found(api, "correlations", "dismiss", two))["state"] == "dismissed"
    left = {group["id"] for group in (await found(api, "correlations", "list"))["items"]}
    assert not {one, two} & left
    assert (await fettle(api, "correlations", "confirm", str(uuid4())))[0] == 5


async def test_a_deputy_is_set_by_address_listed_and_ended(api):
    headers = api.owner(api.alder)
    people = []
    for role in ("operator", "tenant_admin"):
        body = {"email": f"{uuid4().hex[:8]}@example.org", "name": f"Cli {role}", "role": role}
        made = await api.client.post("/api/v1/users", json=body, headers=headers)
        assert made.status_code == 201, made.text
        people.append(body["email"])
    until = (utcnow() + timedelta(days=7)).isoformat()
    words = ("deputies", "set", people[0], "--of", people[1], "--until", until, "--reason", "On leave.")
    made = await found(api, *words)
    [one] = [one for one in (await found(api, "deputies", "list"))["items"] if one["id"] == made["id"]]
    assert (one["to_name"], one["from_name"], one["is_active"]) == ("Cli operator", "Cli tenant_admin", True)
    assert (await fettle(api, "deputies", "end", made["id"]))[0] == 0
    assert made["id"] not in {one["id"] for one in (await found(api, "deputies", "list"))["items"]}
    status, told = await fettle(api, "deputies", "set", "no@example.org", "--until", until, "--reason", "x")
    assert (status, "no person no@example.org" in told) == (5, True)


async def test_a_rule_over_time_forgets_one_key_when_its_name_is_said_twice(api):
    rule_id, host = f"T-{uuid4().hex[:6].upper()}", f"over-time-{uuid4().hex[:6]}"
    pipeline = Pipeline(api.platform, api.alder.id, [*SPECS, *CONSUMERS])
    checks = [{"field": "host", "operator": "eq", "value": host}]
    async with api.platform.database.tenant(api.alder.id) as session:
        rule = document(ONCE, id=rule_id, conditions=checks)
        await service.RULES.create(session, api.alder.id, service.checked(rule), actor="user:test")
    await pipeline.report({"host": host})
    [key] = (await found(api, "temporal", "keys", rule_id, "-q", host))["items"]
    assert key["key"] == {"host": host}
    words = ("temporal", "forget", rule_id, key["id"])
    assert (await fettle(api, *words, "--confirm", "other"))[0] == 6
    assert (await fettle(api, *words, "--confirm", rule_id, role="viewer"))[0] == 4
    assert (await fettle(api, *words, "--confirm", rule_id))[0] == 0
    assert (await found(api, "temporal", "keys", rule_id))["items"] == []
    assert (await fettle(api, *words, "--confirm", rule_id))[0] == 5
