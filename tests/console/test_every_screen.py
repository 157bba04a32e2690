"""Every screen that the router knows, all that it shows filled with script: nothing runs, it fits, axe is content."""

from uuid import uuid4

import httpx
from playwright.async_api import expect
from tests.console.conftest import SLUG
from tests.console.looking import faults_in_every_view, go, incident_of, loaded, screens_of

TAG = '<img src=x onerror="window.taken=1">'
HOSTILE = f"{TAG}<script>window.taken=1</script>" + "{{7*7}}${window.taken=1}"
LINK = "javascript:window.taken=1"
FIELDS = ("summary", "host", "site", "source", "labels", "details")


async def done(desk, method, path, body, statuses=(200, 201, 202, 204)):
    answer = await desk.api.request(method, path, json=body)
    assert answer.status_code in statuses, (path, answer.text)
    return answer.json() if answer.content else {}


async def write_everywhere(desk):
    """Store the script in every field that takes free text; return what makes the address of each kind of thing."""
    tail = uuid4().hex[:8]
    said = {name: f"of-{name} {HOSTILE}" for name in FIELDS}
    said |= {"check_type": "hostile_words", "labels": {TAG: said["labels"], "link": LINK},
             "details": {TAG: [said["details"], LINK]}}  # fmt: skip
    ids = [await desk.report(**{**said, "host": f"{said['host']} {tail}{n}"}) for n in range(2)]
    one, other = [await incident_of(desk, exception_id) for exception_id in ids]
    path = f"/incidents/{one}"
    await done(desk, "POST", f"{path}/comments", {"body": f"{HOSTILE}\n[x]({LINK})\n<a href='{LINK}'>x</a>"})
    await done(desk, "POST", f"{path}/links", {"kind": "relates_to", "incident_id": other})
    await done(desk, "POST", "/incidents/views", {"name": TAG, "query": f"q={TAG}", "shared": True})
    rule = {"id": f"L1-HOSTILE-{tail.upper()}", "title": HOSTILE, "action": "escalate", "reason": HOSTILE,
            "conditions": [{"field": "host", "operator": "eq", "value": HOSTILE}]}  # fmt: skip
    await done(desk, "POST", "/rules", rule)
    over_time = {"id": f"T-HOSTILE-{tail.upper()}", "title": TAG, "kind": "once", "by": ["host"], "within_seconds": 60,
                 "conditions": [{"field": "check_type", "operator": "eq", "value": HOSTILE}],
                 "raises": {"check_type": "found", "summary": TAG}}  # fmt: skip
    await done(desk, "POST", "/temporal-rules", over_time)
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
    rota = {"name": TAG, "time_zone": "UTC", "layers": []}
    schedule = await done(desk, "POST", "/escalation/schedules", rota)
    await done(desk, "POST", "/escalation/channels", {"name": TAG, "settings": {"kind": "email"}})
    source = await done(desk, "POST", "/hook-sources", {"name": TAG, "kind": "json"})
    nowhere = [{"name": "host", "op": "=", "value": f"nowhere {TAG}"}]
    mute = {"kind": "silence", "title": TAG, "matchers": nowhere, "ends_at": "2099-01-01T00:00:00Z"}
    await done(desk, "POST", "/mutes", {"mute": mute})
    now = (await desk.api.get("/policy")).json()
    policy = {**now["policy"], "title": TAG}
    await done(desk, "PUT", "/policy", {"policy": policy, "expected_version": now["version"]})
    await done(desk, "POST", f"{path}/resolve", {"reason": HOSTILE})
    await refused_sign_in(desk)
    return {"tenant": SLUG, "incidentId": one, "ruleId": rule["id"], "temporalRuleId": over_time["id"],
            "playbookId": playbook, "toolName": "noop",
            "packId": "compliance-it", "scheduleId": schedule["id"], "sourceId": source["id"]}  # fmt: skip


async def refused_sign_in(desk):
    """Leave the script in the audit, too, as somebody who is not even signed in."""
    async with httpx.AsyncClient(timeout=60) as client:
        agent = {"User-Agent": HOSTILE.replace("\n", " ")}
        body = {"email": HOSTILE[:60] + "@example.org", "password": "wrong and long enough"}
        await client.post(f"{desk.url}/api/v1/auth/login", json=body, headers=agent)


SHOWN = {
    "incidents": TAG,
    "incidents/{incidentId}": TAG,
    "rules": TAG,
    "rules/{ruleId}": "onerror",
    "temporal-rules": TAG,
    "temporal-rules/{temporalRuleId}": "onerror",
    "playbooks": TAG,
    "playbooks/{playbookId}": "onerror",
    "policy": "onerror",
    "settings/users": TAG,
    "settings/roles": TAG,
    "settings/keys": TAG,
}
"""Screens that must show the words, or the test would prove nothing."""

OTHER_ADDRESSES = [
    f"incidents?q={TAG}&host={TAG}",
    "events?view=dead-letters",
    "events?view=readers",
    "rules/{ruleId}?as=yaml",
    "temporal-rules/{temporalRuleId}?as=yaml",
    "approvals?state=rejected",
]
"""Screens that are another with other parameters."""


async def assert_nothing_ran(page):
    """The desk's own watch fails the test, too, when the page's policy had to refuse anything."""
    assert await page.evaluate("window.taken") is None, page.url
    assert await page.locator("main img[src=x], main script").count() == 0, page.url
    assert await page.locator("a[href^='javascript:' i]").count() == 0, page.url


async def test_on_every_screen_nothing_that_is_stored_runs_all_fits_and_axe_is_content(desk):
    page = desk.page
    parts = await write_everywhere(desk)
    await desk.open("overview")
    await loaded(page)
    addresses = await screens_of(page, parts)
    base = f"/t/{SLUG}"
    addresses += [f"{base}/{address.format(**parts)}" for address in OTHER_ADDRESSES]
    shown = {f"{base}/{path.format(**parts)}": text for path, text in SHOWN.items()}
    assert shown.keys() <= set(addresses)
    faults = await faults_in_every_view(page)
    for address in addresses:
        await go(page, address)
        if address in shown:
            text = page.get_by_text(shown[address]).or_(page.locator("[value*=onerror]"))
            await expect(text.first).to_be_attached()
        # The frame around the screens was looked at with the first of them.
        faults += await faults_in_every_view(page, rest="main")
        await assert_nothing_ran(page)
    assert not faults, "\n".join(str(fault) for fault in faults)
    await done(desk, "PATCH", "/me", {"name": "Owner"})


async def test_what_a_sender_says_in_any_field_is_shown_and_never_run(desk):
    said = {name: f"of-{name} {HOSTILE}" for name in FIELDS}
    said |= {"labels": {"a": said["labels"], HOSTILE[:100]: "b"}, "details": {"a": said["details"]}}
    exception = await desk.report(check_type="console_hostile", **said)
    await desk.open(f"incidents/{await incident_of(desk, exception)}")
    await loaded(desk.page)
    for name in FIELDS:
        await expect(desk.page.locator("main").get_by_text(f"of-{name} {TAG}").first).to_be_visible()
    await assert_nothing_ran(desk.page)
