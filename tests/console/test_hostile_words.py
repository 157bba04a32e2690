"""Every field that people and programs may write, filled with script, and every screen opened: nothing of it runs."""

import asyncio
from uuid import uuid4

import httpx
from playwright.async_api import expect
from tests.cli.running import eventually

TAG = '<img src=x onerror="window.taken=1">'
HOSTILE = f"{TAG}<script>window.taken=1</script>" + "{{7*7}}${window.taken=1}"
LINK = "javascript:window.taken=1"


async def done(desk, method, path, body, statuses=(200, 201, 202, 204)):
    answer = await desk.api.request(method, path, json=body)
    assert answer.status_code in statuses, (path, answer.text)
    return answer.json() if answer.content else {}


async def write_everywhere(desk):
    """Store the script in every field that takes free text, and return the screens that show one thing."""
    tail = uuid4().hex[:8]
    said = {"check_type": "hostile_words", "host": f"{tail}{TAG}", "summary": HOSTILE, "site": HOSTILE,
            "source": TAG, "labels": {TAG: HOSTILE, "link": LINK}, "details": {TAG: [HOSTILE, LINK]}}  # fmt: skip
    ids = [await desk.report(**{**said, "host": f"{n}{said['host']}"}) for n in range(2)]

    async def incident(exception_id):
        async def told():
            return (await desk.api.get(f"/exceptions/{exception_id}")).json()["incident_id"]

        return await eventually(told)

    one, other = [await incident(exception_id) for exception_id in ids]
    path = f"/incidents/{one}"
    await done(desk, "POST", f"{path}/comments", {"body": f"{HOSTILE}\n[x]({LINK})\n<a href='{LINK}'>x</a>"})
    await done(desk, "POST", f"{path}/links", {"kind": "relates_to", "incident_id": other})
    await done(desk, "POST", "/incidents/views", {"name": TAG, "query": f"q={TAG}", "shared": True})
    rule = {"id": f"L1-HOSTILE-{tail.upper()}", "title": HOSTILE, "action": "escalate", "reason": HOSTILE,
            "conditions": [{"field": "host", "operator": "eq", "value": HOSTILE}]}  # fmt: skip
    await done(desk, "POST", "/rules", rule)
    playbook = f"PB-HOSTILE-{tail.upper()}"
    steps = f"steps:\n  - id: look\n    title: '{TAG}'\n    tool: noop\n"
    text = f"id: {playbook}\ntitle: '{TAG}'\ndescription: '{TAG}'\n{steps}"
    await done(desk, "POST", "/playbooks", {"yaml": text})
    await done(desk, "POST", "/api-keys", {"name": HOSTILE[:100], "scopes": ["incidents:read"]})
    await done(
        desk, "POST", "/roles", {"name": f"hostile-{tail}", "description": TAG, "permissions": ["rules:read"]}
    )
    await done(desk, "POST", "/invitations", {"email": f"{tail}@example.org", "name": TAG, "role": "viewer"})
    person = {"email": f"p{tail}@example.org", "name": TAG, "role": "viewer"}
    await done(desk, "POST", "/users", person)
    await done(desk, "PUT", f"/secrets/hostile-{tail}", {"value": HOSTILE})
    provider = {"name": TAG, "issuer": "https://sign-on.example", "client_id": TAG}
    await done(desk, "POST", "/identity-providers", provider)
    await done(desk, "PATCH", "/me", {"name": TAG})
    now = (await desk.api.get("/policy")).json()
    policy = {**now["policy"], "title": TAG}
    await done(desk, "PUT", "/policy", {"policy": policy, "expected_version": now["version"]})
    await done(desk, "POST", f"{path}/resolve", {"reason": HOSTILE})
    return one, rule["id"], playbook


async def test_nothing_that_is_stored_runs_on_any_screen(desk, running_platform):
    """The desk's own watch fails the test when the page's policy had to refuse anything."""
    incident, rule, playbook = await write_everywhere(desk)
    async with httpx.AsyncClient() as client:
        agent = {"User-Agent": HOSTILE.replace("\n", " ")}
        body = {"email": HOSTILE[:60] + "@example.org", "password": "wrong and long enough"}
        await client.post(f"{desk.url}/api/v1/auth/login", json=body, headers=agent)
    screens = {
        "overview": None,
        "incidents?check_type=hostile_words": TAG,
        f"incidents/{incident}": TAG,
        "approvals": None,
        "rules": TAG,
        f"rules/{rule}": "onerror",
        "playbooks": TAG,
        f"playbooks/{playbook}": "onerror",
        "tools": None,
        "packs": None,
        "policy": "onerror",
        "evidence": None,
        "audit": None,
        "events": None,
        "health": None,
        **{f"settings/{name}": None for name in ("profile", "security", "sign-on", "provisioning", "tenants", "data")},
        "settings/users": TAG,
        "settings/roles": TAG,
        "settings/keys": TAG,
        f"incidents?q={TAG}&host={TAG}": None,
    }  # fmt: skip
    for screen, shown in screens.items():
        await desk.open(screen)
        await expect(desk.page.locator("main h1").first).to_be_visible()
        await expect(desk.page.get_by_label("Loading")).to_have_count(0)
        if shown is not None:
            await expect(
                desk.page.get_by_text(shown).or_(desk.page.locator("[value*=onerror]")).first
            ).to_be_attached()
        await asyncio.sleep(0)
        assert await desk.page.evaluate("window.taken") is None, screen
        assert await desk.page.locator("main img[src=x], main script").count() == 0, screen
        assert await desk.page.locator("a[href^='javascript:' i]").count() == 0, screen
    assert desk.faults == []
    await done(desk, "PATCH", "/me", {"name": "Owner"})
