"""Rules over time by HTTP: written, switched, restored and tried, and what they remember and found."""

import pytest
from tests.temporal.rules import CHECK, COUNT, EVERY_KIND, document

PATH = "/api/v1/temporal-rules"


async def send(api, method, path="", body=None, tenant=None, **more):
    headers = (tenant or api.alder).headers()
    return await api.client.request(method, f"{PATH}{path}", headers=headers, json=body, **more)


@pytest.mark.parametrize("like", EVERY_KIND, ids=lambda like: like["kind"])
async def test_every_kind_is_written_as_it_was_sent_and_can_be_tried(api, like):
    rule = document(like, id=f"T-{like['kind'].upper()}")
    tried = await send(api, "POST", "/dry-run", {"rule": rule})
    assert tried.status_code == 200, tried.text
    assert tried.json()["fired"] == 0
    answer = await send(api, "POST", body=rule)
    assert answer.status_code == 202, answer.text
    shown = (await send(api, "GET", f"/{rule['id']}")).json()
    assert {name: shown["rule"][name] for name in like} == like
    assert (shown["kind"], shown["source"], shown["version"]) == (like["kind"], "tenant", 1)


async def test_a_rule_is_changed_switched_deleted_and_restored_by_the_version_that_was_read(api):
    rule = document(COUNT, id="T-LIFE")
    await send(api, "POST", body=rule)
    assert (await send(api, "POST", body=rule)).status_code == 409
    changed = await send(api, "PUT", "/T-LIFE", {**rule, "title": "Otherwise", "version": 1})
    assert changed.json()["version"] == 2
    assert (await send(api, "PUT", "/T-LIFE", {**rule, "version": 1})).status_code == 409
    turned = await send(api, "PATCH", "/T-LIFE", {"enabled": False, "version": 2})
    assert turned.json()["version"] == 3
    assert (await send(api, "DELETE", "/T-LIFE", params={"version": 3})).status_code == 202
    assert (await send(api, "GET", "/T-LIFE")).status_code == 404
    back = await send(api, "POST", "/T-LIFE/restore", {"to": 2, "version": None})
    assert back.json()["version"] == 5
    history = (await send(api, "GET", "/T-LIFE/history")).json()["items"]
    assert [one["version"] for one in history] == [5, 4, 3, 2, 1]
    assert history[1]["rule"] is None
    assert [one["pointer"] for one in history[2]["changes"]] == ["/enabled"]


async def test_a_packs_rule_is_switched_off_by_one_of_the_tenants_own_and_on_again(api):
    packed = (await send(api, "GET", "/T-APPLIANCE-SILENT")).json()
    assert (packed["pack_id"], packed["version"], packed["enabled"]) == ("compliance-it", None, True)
    off = await send(api, "PATCH", "/T-APPLIANCE-SILENT", {"enabled": False, "version": None})
    shown = (await send(api, "GET", "/T-APPLIANCE-SILENT")).json()
    assert (shown["enabled"], shown["version"]) == (False, off.json()["version"])
    body = {"enabled": True, "version": off.json()["version"]}
    assert (await send(api, "PATCH", "/T-APPLIANCE-SILENT", body)).status_code == 202
    assert (await send(api, "GET", "/T-APPLIANCE-SILENT")).json()["version"] is None


WRONG = {
    "/times": {"times": None},
    "/steps": {"steps": [{"conditions": CHECK}, {"conditions": CHECK}]},
    "/by": {"by": ["host", "host"]},
    "/conditions/0/value": {"conditions": [{"field": "check_type", "operator": "regex", "value": "("}]},
    "/expected": {"kind": "absence", "times": None, "by": [], "expected": [{"host": "h"}]},
    "/expected/0": {"kind": "absence", "times": None, "expected": [{"site": "h"}]},
    "/field": {"kind": "accumulate", "times": None, "threshold": 1, "field": "a..b"},
    "/id": {"id": "schema"},
}


@pytest.mark.parametrize("pointer", WRONG)
async def test_what_cannot_be_used_is_refused_by_its_place(api, pointer):
    rule = {**document(COUNT, id="T-WRONG"), **WRONG[pointer]}
    answer = await send(api, "POST", body=rule)
    assert answer.status_code == 422, answer.text
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    assert (await send(api, "GET", "/T-WRONG")).status_code == 404


async def test_lists_are_searched_and_paged(api):
    for number in range(3):
        await send(api, "POST", body=document(COUNT, id=f"T-PAGE-{number}"))
    first = (await send(api, "GET", params={"q": "t-page", "limit": 2})).json()
    rest = (await send(api, "GET", params={"q": "t-page", "cursor": first["next_cursor"]})).json()
    assert [one["id"] for one in first["items"] + rest["items"]] == ["T-PAGE-0", "T-PAGE-1", "T-PAGE-2"]
    assert rest["next_cursor"] is None
    kinds = (await send(api, "GET", params={"kind": "absence"})).json()["items"]
    assert {one["kind"] for one in kinds} == {"absence"}


async def test_what_a_rule_remembers_and_found_is_shown_and_what_it_would_have_found_is_the_same(api_at_work):
    api = api_at_work
    rule = document(
        COUNT, id="T-SEEN", conditions=[{"field": "check_type", "operator": "eq", "value": "seen"}]
    )
    await send(api, "POST", body=rule)
    for host in ("h1", "h1", "h1", "h2"):
        body = {"check_type": "seen", "host": host}
        answer = await api.client.post("/api/v1/exceptions", headers=api.alder.headers(), json=body)
        assert answer.status_code == 202
    await api.settle()
    [firing] = (await send(api, "GET", "/T-SEEN/firings")).json()["items"]
    assert (firing["key"], firing["count"]) == ({"host": "h1"}, 3)
    assert firing["incident_id"] is not None
    assert len(firing["led_by"]) == 1
    keys = (await send(api, "GET", "/T-SEEN/keys")).json()["items"]
    assert {one["key"]["host"]: one["remembered"] for one in keys} == {"h1": 0, "h2": 1}
    assert [one["key"]["host"] for one in (await send(api, "GET", "/T-SEEN/keys?q=h2")).json()["items"]] == [
        "h2"
    ]
    memory = (await send(api, "GET", "/memory")).json()
    assert memory["keys"] == 2
    assert memory["bytes"] == sum(one["bytes"] for one in keys)
    tried = (await send(api, "POST", "/dry-run", {"rule": rule})).json()
    [would] = tried["firings"]
    assert would["exception_ids"] == firing["exception_ids"]
    assert (tried["fired"], tried["keys"], tried["outcomes"]) == (1, 2, {"counted": 4})


async def test_nothing_of_another_tenant_is_seen_or_touched(api):
    await send(api, "POST", body=document(COUNT, id="T-MINE"))
    for path in ("/T-MINE", "/T-MINE/keys", "/T-MINE/firings", "/T-MINE/history"):
        assert (await send(api, "GET", path, tenant=api.birch)).status_code == 404
    gone = await send(api, "DELETE", "/T-MINE", tenant=api.birch, params={"version": 1})
    assert gone.status_code == 404


async def see(api, *hosts, **more):
    for host in hosts:
        body = {"check_type": "seen_to_forget", "host": host, **more}
        answer = await api.client.post("/api/v1/exceptions", headers=api.alder.headers(), json=body)
        assert answer.status_code == 202
    await api.settle()


async def ids_of(api, rule_id):
    items = (await send(api, "GET", f"/{rule_id}/keys")).json()["items"]
    return {one["key"]["host"]: one["id"] for one in items}


async def test_who_may_write_rules_lets_one_forget_a_single_key_and_that_is_in_the_audit(api_at_work):
    api = api_at_work
    looks = [{"field": "check_type", "operator": "eq", "value": "seen_to_forget"}]
    await send(api, "POST", body=document(COUNT, id="T-FORGETS", conditions=looks))
    await see(api, "h1", "h1", "h2")
    ids = await ids_of(api, "T-FORGETS")
    path = f"/T-FORGETS/keys/{ids['h1']}"
    assert (await send(api, "DELETE", path, tenant=api.birch)).status_code == 404
    viewer = api.alder.headers("viewer")
    assert (await api.client.delete(f"{PATH}{path}", headers=viewer)).status_code == 403
    assert await ids_of(api, "T-FORGETS") == ids
    assert (await send(api, "DELETE", path)).status_code == 204
    assert (await send(api, "DELETE", path)).status_code == 404
    assert await ids_of(api, "T-FORGETS") == {"h2": ids["h2"]}
    figures = (await send(api, "GET", "/T-FORGETS")).json()["figures"]
    assert figures["keys"] == 1
    shown = (await send(api, "GET", "/T-FORGETS/keys")).json()["items"]
    assert figures["bytes"] == sum(one["bytes"] for one in shown)
    await see(api, "h1", "h2", "h2")
    found = (await send(api, "GET", "/T-FORGETS/firings")).json()["items"]
    assert [one["key"] for one in found] == [{"host": "h2"}], (
        "the third of h1 was the first since it was forgotten"
    )
    asked = {"action": "temporal_rule.key_forgotten"}
    audited = await api.client.get("/api/v1/audit", params=asked, headers=api.alder.headers("auditor"))
    [entry] = audited.json()["items"]
    assert entry["target_id"] == "T-FORGETS"
    assert {"host": "h1"} in [change["before"] for change in entry["changes"]] or "h1" in str(
        entry["changes"]
    )
