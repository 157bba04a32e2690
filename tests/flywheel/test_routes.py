"""The flywheel over HTTP: what is shown, who may move what, and the rules that an appliance fetches."""

import asyncio
import base64

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from tests.flywheel.conftest import Wheel
from tests.flywheel.rows import insert_promotion

from fettle.evidence.canonical import canonical
from fettle.packs.service import ensure_shipped

HOSTS = [f"ws-{number:02}" for number in range(6)]


@pytest_asyncio.fixture(scope="module")
async def shipped(api):
    await ensure_shipped(api.platform)
    return api


@pytest.fixture
def call(shipped):
    async def ask(method, path, *, role="tenant_admin", tenant=None, headers=None, **options):
        whole = {**(tenant or shipped.alder).headers(role), **(headers or {})}
        return await shipped.client.request(method, f"/api/v1/flywheel/{path}", headers=whole, **options)

    return ask


async def test_a_person_sees_the_evidence_promotes_and_takes_back(shipped, call):
    wheel = Wheel(shipped.platform, shipped.alder.id)
    await wheel.allow()
    await wheel.heal(*HOSTS)
    [pattern] = (await call("GET", "patterns", params={"q": "A file is OPEN"})).json()["items"]
    assert (pattern["l2"], pattern["succeeded"]) == (6, 6)
    shown = (await call("GET", f"patterns/{pattern['pattern']}")).json()
    [choice] = shown["choices"]
    assert choice["eligible"]
    assert choice["rule"]["parameters"] == {"path": "${{ incident.details.path }}"}
    await wheel.turn()
    [item] = (await call("GET", "promotions", params={"state": "proposed"})).json()["items"]
    path = f"promotions/{item['id']}"
    detail = (await call("GET", path)).json()
    assert detail["objection"] is None
    assert detail["back_test"]["won"] == 6
    move = {"reason": "Looked at it.", "version": 1}
    assert (await call("POST", f"{path}/promote", json=move, role="operator")).status_code == 403
    assert (await call("POST", f"{path}/promote", json=move, tenant=shipped.birch)).status_code == 404
    answers = await asyncio.gather(*(call("POST", f"{path}/promote", json=move) for _ in range(3)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409]
    retired = (await call("POST", f"{path}/retire", json={**move, "version": 2})).json()
    assert retired["state"] == "retired"
    restored = (await call("POST", f"{path}/restore", json={**move, "version": 3})).json()
    assert restored["state"] == "shadow"
    summary = (await call("GET", "summary")).json()
    assert summary["states"] == {"shadow": 1}
    assert sum(day["l2"] for day in summary["by_day"]) == 6
    assert summary["saved"]["currency"] == "USD"
    assert (await call("GET", "patterns", tenant=shipped.birch)).json()["items"] == []
    assert (await call("GET", "pool")).json() == {"shares": False, "items": [], "next_cursor": None}


async def test_patterns_come_page_by_page(shipped, call):
    wheel = Wheel(shipped.platform, shipped.alder.id)
    for number in range(3):
        await wheel.fault(f"page-{number}", summary=f"{'x' * (number + 1)} is odd")
    seen, cursor = [], None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = (await call("GET", "patterns", params={"limit": 1, **more})).json()
        seen += [item["pattern"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    everything = (await call("GET", "patterns", params={"limit": 200})).json()["items"]
    assert seen == [item["pattern"] for item in everything]


async def test_an_appliance_fetches_signed_rules_and_only_once_each(shipped, call):
    first = await call("GET", "l1_rules.json", role="agent")
    assert first.status_code == 200
    bundle = first.json()
    assert "builtin" not in {rule.get("source") for rule in bundle["rules"]}
    known = await call("GET", "l1_rules.json", role="agent", headers={"If-None-Match": first.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert (await call("GET", "l1_rules.json", role="viewer")).status_code == 403
    headers = shipped.alder.headers()
    keys = (await shipped.client.get("/api/v1/evidence/keys", headers=headers)).json()["keys"]
    signature = bundle.pop("signature")
    [key] = [one for one in keys if one["key_id"] == signature["key_id"]]
    public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key["public_key"]))
    public.verify(base64.b64decode(signature["value"]), b"fettle.l1_rules/1\n" + canonical(bundle))
    # A built-in rule that the tenant replaced is served, and a rule that has grown; each change is a new version.
    rules = (await shipped.client.get("/api/v1/rules?limit=200", headers=headers)).json()["items"]
    builtin = next(rule for rule in rules if rule["source"] == "builtin")
    turned = {"enabled": False, "version": None}
    answer = await shipped.client.patch(f"/api/v1/rules/{builtin['id']}", headers=headers, json=turned)
    assert answer.status_code == 202, answer.text
    grown = await insert_promotion(shipped.platform.database, shipped.alder.id, "shadow", "appliance")
    move = {"reason": "tried", "version": 1}
    assert (await call("POST", f"promotions/{grown}/promote", json=move)).status_code == 202
    second = await call(
        "GET", "l1_rules.json", role="agent", headers={"If-None-Match": first.headers["etag"]}
    )
    assert second.status_code == 200
    assert second.json()["version"] > bundle["version"]
    assert {rule["source"] for rule in second.json()["rules"]} >= {"tenant", "promoted"}
    assert builtin["id"] in {rule["id"] for rule in second.json()["rules"]}
    assert (await call("GET", "l1_rules.json", role="agent")).content == second.content
    other = (await call("GET", "l1_rules.json", role="agent", tenant=shipped.birch)).json()
    assert grown not in str(other)
    assert other["tenant_id"] == str(shipped.birch.id)
