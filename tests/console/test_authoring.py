"""What people write and decide, in real Chromium: approvals, rules, playbooks, tools, packs and the policy."""

import json
import re
from uuid import uuid4

import pytest_asyncio
from playwright.async_api import expect
from tests.cli.running import eventually
from tests.console.looking import HOSTILE, assert_accessible, incident_of, row
from tests.packs.content import small_pack

from fettle.cli.packs import pack_archive

ACT = {
    "id": "console-test",
    "version": "1.0.0",
    "schema_version": 1,
    "title": "Of the console's tests",
    "autonomy": "approve",
    "approvals": {"by": ["tenant_admin", "operator"], "expires_seconds": 3600},
    "trust_gate": {"on_unknown": "pass"},
}


@pytest_asyncio.fixture(autouse=True)
async def policy(desk):
    """A policy of its own for each test, so that none stands on what another left."""
    answer = await desk.api.put("/policy", json={"policy": ACT})
    assert answer.status_code == 202, answer.text


async def waiting(desk, **exception):
    """Report something that a shipped rule wants to heal, and return its approval."""
    reported = await desk.report(check_type="sandbox_process", platform="linux", **exception)
    incident = await incident_of(desk, reported)

    async def asked():
        answer = await desk.api.get("/approvals", params={"state": "pending", "incident_id": incident})
        return next(iter(answer.json()["items"]), None)

    return await eventually(asked)


async def type_into_editor(page, label, text):
    """Replace what stands in a YAML editor, by keyboard."""
    editor = page.get_by_role("textbox", name=label)
    await editor.click()
    await page.keyboard.press("Control+a")
    await page.keyboard.insert_text(text)


async def test_an_approval_is_found_read_and_decided_by_keyboard(desk):
    page = desk.page
    first = await waiting(desk, host=f"host-{uuid4()}", summary=f"Stopped {HOSTILE}")
    await desk.open("approvals")
    card = page.locator("section").filter(has_text=f"#{first['incident_number']} ")
    await expect(card.get_by_text("What would be done, in this order")).to_be_visible()
    await expect(card.get_by_text(re.compile(r"left$"))).to_be_visible()
    await expect(card.get_by_text(first["plan_hash"][:12])).to_be_visible()
    assert await page.evaluate("window.taken") is None
    await assert_accessible(page)
    await desk.open(f"approvals?id={first['id']}")
    await expect(page.locator("[aria-current=true]")).to_be_visible()
    await page.keyboard.press("a")
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("exactly this plan")
    await page.keyboard.type("Looked at it")
    await dialog.get_by_role("button", name="Approve").press("Enter")
    await expect(dialog).to_have_count(0)
    decided = (await desk.api.get(f"/approvals/{first['id']}")).json()
    assert (decided["state"], decided["decision_reason"]) == ("approved", "Looked at it")
    second = await waiting(desk, host=f"host-{uuid4()}", summary="Stopped again")
    await desk.open(f"approvals?id={second['id']}")
    await expect(page.locator("[aria-current=true]")).to_be_visible()
    await page.keyboard.press("x")
    await expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_focused()
    await page.keyboard.type("Not now")
    await page.get_by_role("dialog").get_by_role("button", name="Reject").press("Enter")
    await expect(page.get_by_text("Decided by")).to_contain_text("Not now")
    await desk.open("approvals?state=rejected")
    await expect(page.get_by_text("Not now").first).to_be_visible()


async def test_a_rule_is_written_as_form_and_yaml_tried_saved_switched_and_restored(desk):
    page = desk.page
    host = f"host-{uuid4()}"
    await desk.report(check_type="console_rule", host=host, summary="For the dry-run", severity="low")
    await desk.open("rules/new")
    rule_id = f"OWN-{uuid4().hex[:8].upper()}"
    await page.get_by_role("textbox", name="Id", exact=True).fill(rule_id)
    await page.get_by_role("textbox", name="Title", exact=True).fill("Of the console")
    condition = page.get_by_role("group", name="Conditions 1")
    await condition.get_by_label("Value").fill("console_rule")
    await page.keyboard.press("Escape")
    await assert_accessible(page)
    await page.get_by_text("YAML", exact=True).click()
    editor = page.get_by_role("textbox", name="YAML")
    await expect(editor).to_contain_text("console_rule")
    await expect(editor).to_contain_text(rule_id)
    source = (
        f"id: {rule_id}\ntitle: By hand\npriority: 3\nconditions:\n"
        "  - {field: check_type, operator: equals, value: console_rule}\naction: escalate\n"
    )
    await type_into_editor(page, "YAML", source)
    await page.get_by_role("button", name="Create").click()
    await expect(page.get_by_text("Line 5:")).to_be_visible()
    await type_into_editor(page, "YAML", source.replace("equals", "eq"))
    await page.get_by_text("Form", exact=True).click()
    await expect(page.get_by_role("textbox", name="Title", exact=True)).to_have_value("By hand")

    await page.get_by_role("tab", name="Dry-run").click()
    await page.get_by_role("button", name="Try it on the last 30 days").click()
    await expect(page.get_by_role("status").filter(has_text="Its conditions hold for")).to_be_visible()
    await expect(row(desk, "For the dry-run").first).to_contain_text("this rule")
    await assert_accessible(page)
    await page.get_by_role("tab", name="Explain").click()
    await page.get_by_role("textbox", name="or an incident as JSON").fill('{"check_type": "console_rule"}')
    await page.get_by_role("button", name="Explain").click()
    await expect(page.get_by_text(f"{rule_id} wins.")).to_be_visible()

    await page.get_by_role("tab", name="Edit").click()
    await page.get_by_role("button", name="Create").click()
    await page.wait_for_url(f"**/rules/{rule_id}*")
    await page.get_by_role("textbox", name="Priority").fill("7")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Saved as version 2")).to_be_visible()
    await desk.open(f"rules/{rule_id}?tab=history")
    await page.get_by_role("button", name="Restore version 1").click()
    await expect(page.get_by_text("Version 3")).to_be_visible()
    assert (await desk.api.get(f"/rules/{rule_id}")).json()["priority"] == 3

    await desk.open(f"rules?q={rule_id}")
    switch = page.get_by_role("switch", name=f"{rule_id} enabled")
    await switch.press("Space")
    await expect(switch).not_to_be_checked()
    await page.get_by_role("button", name="Undo").click()
    await expect(switch).to_be_checked()
    await assert_accessible(page)


async def test_a_playbook_is_drawn_written_with_its_faults_tried_and_run(desk):
    page = desk.page
    await desk.open("playbooks/new")
    name = f"PB-{uuid4().hex[:8].upper()}"
    source = (
        f"id: {name}\ntitle: Of the console\nparameters:\n  note: {{type: string, default: none}}\n"
        "steps:\n  - id: nothing\n    title: Do nothing\n    tool: noopp\n    with: {echo: '${{ params.note }}'}\n"
    )
    await type_into_editor(page, "YAML", source)
    await expect(page.get_by_text("Line 8:")).to_be_visible()
    await expect(page.get_by_role("button", name="Create")).to_be_disabled()
    await type_into_editor(page, "YAML", source.replace("noopp", "noop"))
    await page.get_by_role("tab", name="Dry-run").click()
    await page.get_by_role("textbox", name="Note").fill("said here")
    await page.get_by_role("button", name="Dry-run").click()
    await expect(row(desk, "nothing")).to_contain_text("said here")
    await page.get_by_role("tab", name="YAML").click()
    await page.get_by_role("button", name="Create").click()
    await page.wait_for_url(f"**/playbooks/{name}*")
    await page.get_by_role("tab", name="Graph").click()
    await expect(page.get_by_role("img", name=re.compile("Do nothing, noop"))).to_be_visible()
    await assert_accessible(page)

    incident = await incident_of(
        desk, await desk.report(check_type="console_by_hand", host=f"host-{uuid4()}")
    )

    async def escalated():
        return (await desk.api.get(f"/incidents/{incident}")).json()["state"] == "escalated"

    await eventually(escalated)
    await page.get_by_role("button", name="Run it").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("textbox", name="Incident").fill(incident)
    await dialog.get_by_role("textbox", name="Reason").fill("As agreed")
    await dialog.get_by_role("button", name="Run it").click()
    await expect(dialog.get_by_text("It waits for an approval")).to_be_visible()
    await dialog.get_by_role("link", name="Show the approval").click()
    await page.get_by_role("button", name="Approve").click()
    await page.keyboard.type("Go")
    await page.get_by_role("dialog").get_by_role("button", name="Approve").click()
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await desk.open(f"playbooks/{name}?tab=runs")
    await expect(page.get_by_text("by-hand").first).to_be_visible()
    await page.get_by_text("Steps", exact=True).first.click()
    await expect(page.get_by_role("listitem").filter(has_text="Do nothing")).to_contain_text("noop")


async def test_a_tool_is_tried_with_a_form_of_its_schema_and_a_secret_never_shown(desk):
    page = desk.page
    await desk.open("tools/wait")
    await page.get_by_role("button", name="Dry-run").click()
    await expect(
        page.get_by_role("alert").or_(page.get_by_role("status").filter(has_text="Dry-run"))
    ).to_be_visible()
    await desk.open("tools/noop")
    await page.get_by_role("textbox", name="Echo").fill('{"deep": {"down": [1, 2]}}')
    await page.get_by_role("button", name="Call it").click()
    await expect(page.get_by_role("dialog")).to_contain_text("nothing undoes it")
    await page.get_by_role("dialog").get_by_role("button", name="Call it").click()
    await expect(page.get_by_text("down", exact=True)).to_be_visible()
    await assert_accessible(page)
    await desk.open("tools")
    secret, value = f"token-{uuid4().hex[:6]}", f"canary-{uuid4().hex}"
    await page.get_by_role("button", name="Set a secret").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("textbox", name="Name").fill(secret)
    await dialog.get_by_role("textbox", name="Value").fill(value)
    await dialog.get_by_role("button", name="Set a secret").click()
    await expect(row(desk, secret)).to_be_visible()
    assert value not in await page.content()
    switch = page.get_by_role("switch", name="noop enabled")
    await switch.press("Space")
    await expect(switch).not_to_be_checked()
    await page.get_by_role("button", name="Undo").click()
    await expect(switch).to_be_checked()
    await assert_accessible(page)


async def install(desk, name, version, title, cases=""):
    """Install a version of a small pack."""
    files = small_pack(name=name, version=version, title=title, rule=f"L1-{name.upper()}")
    if cases:
        files["tests.yaml"] = cases.encode()
    answer = await desk.api.post(
        "/packs", content=pack_archive(files), headers={"Content-Type": "application/gzip"}
    )
    assert answer.status_code == 202, answer.text


async def test_a_pack_is_compared_tested_activated_and_rolled_back(desk):
    page = desk.page
    name = f"console-{uuid4().hex[:6]}"
    check = name.replace("-", "_") + "_check"
    good = (
        f"- name: a person is told\n  given: {{check_type: {check}, host: h}}\n"
        f"  expect: {{rule: L1-{name.upper()}}}\n"
    )
    await install(desk, name, "1.0.0", "First of its kind", good)
    await install(
        desk, name, "1.1.0", "Second of its kind", good.replace("rule:", "incident: {severity: high}, rule:")
    )
    await desk.open("packs")
    await page.get_by_role("link", name=re.compile("of its kind")).click()
    await page.get_by_role("button", name="Activate 1.0.0").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("From now on every decision")
    await dialog.get_by_role("button", name="Activate").click()
    await expect(row(desk, "1.0.0")).to_contain_text("active")

    async def holds():
        return (await desk.api.get(f"/rules/L1-{name.upper()}")).status_code == 200

    await eventually(holds)

    await page.get_by_role("tab", name="Tests").click()
    await page.get_by_role("button", name="Run the tests").click()
    await expect(page.get_by_text("All 1 case passed")).to_be_visible()
    await page.get_by_role("tab", name="Differences").click()
    await page.get_by_text("The pack itself").click()
    await expect(row(desk, "/title")).to_contain_text("Second of its kind")
    await assert_accessible(page)

    await page.get_by_role("tab", name="Versions").click()
    await page.get_by_role("button", name="Activate 1.1.0").click()
    await expect(dialog).to_contain_text("The pack itself")
    await dialog.get_by_role("button", name="Activate").click()
    await expect(row(desk, "1.1.0")).to_contain_text("active")
    await page.get_by_role("tab", name="Tests").click()
    await page.get_by_role("button", name="Run the tests").click()
    await expect(page.get_by_text("1 of 1 case failed")).to_be_visible()
    await page.get_by_role("button", name="Roll back").click()
    await expect(dialog).to_contain_text("goes back to what held before")
    await dialog.get_by_role("button", name="Roll back").click()
    await page.get_by_role("tab", name="Versions").click()
    await expect(row(desk, "1.0.0")).to_contain_text("active")
    await page.get_by_role("tab", name="History").click()
    await expect(page.get_by_role("listitem").first).to_contain_text("rolled back")
    shown = (await desk.api.get(f"/packs/{name}")).json()
    assert shown["active_version"] == "1.0.0"
    assert (await desk.api.post(f"/packs/{name}/deactivate")).status_code == 202


async def test_a_policy_is_changed_in_a_form_previewed_saved_and_restored(desk):
    page = desk.page
    await waiting(desk, host=f"host-{uuid4()}", summary="For the preview")
    await desk.open("policy")
    await page.get_by_label("Autonomy").first.click()
    await page.get_by_role("option", name="Observe").click()
    await page.get_by_role("button", name="Add to Contacts").click()
    await page.get_by_role("textbox", name="Name").last.fill("On call")
    await expect(page.get_by_text("Not saved yet")).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("button", name="Save the policy").click()
    await expect(page.get_by_role("alert").first).to_contain_text("'channel' is missing")
    await page.get_by_text("YAML", exact=True).click()
    await expect(page.get_by_text(re.compile(r"^Line \d+:")).first).to_be_visible()
    text = "".join(f"{name}: {json.dumps(value)}\n" for name, value in {**ACT, "autonomy": "observe"}.items())
    await type_into_editor(page, "YAML", text)
    await page.get_by_role("tab", name="Effect").click()
    await page.get_by_role("button", name="Show the effect").click()
    await expect(page.get_by_text("would have gone otherwise")).to_be_visible()
    await expect(row(desk, "only observes").first).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("tab", name="Edit").click()
    await page.get_by_role("button", name="Save the policy").click()
    await expect(page.get_by_text("The policy holds within a second")).to_be_visible()
    assert (await desk.api.get("/policy")).json()["policy"]["autonomy"] == "observe"
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Undone")).to_be_visible()
    assert (await desk.api.get("/policy")).json()["policy"]["autonomy"] == "approve"
    await page.get_by_role("tab", name="History").click()
    await page.get_by_text("What it changed").first.click()
    await expect(row(desk, "/autonomy").first).to_contain_text("observe")
