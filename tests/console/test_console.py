"""The console in real Chromium against a real platform: signing in, watching, deciding, by mouse and by keyboard."""

import asyncio
import json
import subprocess
from uuid import uuid4

import httpx
from playwright.async_api import expect
from tests.cli.running import PATIENCE_SECONDS, eventually
from tests.console.conftest import CONSOLE, PASSWORD, SLUG
from tests.console.looking import assert_accessible, incident_of, row


async def test_a_one_time_password_opens_nothing_but_the_choice_of_another(owner):
    refused, change, home, overview = owner.seen
    assert "You are not signed in" in refused
    assert "Request" in refused
    assert "Choose your own password" in change
    assert "Rules" not in change
    assert "fettle demo host" in home
    assert "fettle demo host" in overview
    assert "/api/v1/exceptions" in overview


async def test_signing_out_ends_it_in_every_tab_and_signing_in_comes_back_to_the_same_page(desk, context):
    await desk.open("rules")
    other = await context.new_page()
    await other.goto(f"{desk.url}/t/{SLUG}/evidence")
    await expect(other.get_by_role("heading", name="Evidence", exact=True)).to_be_visible()
    await desk.page.get_by_role("button", name="You").click()
    await desk.page.get_by_role("menuitem", name="Sign out").click()
    for page in (desk.page, other):
        await expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    await desk.page.reload()
    await desk.page.get_by_label("E-mail").fill("owner@localhost")
    await desk.page.get_by_role("textbox", name="Password").fill(PASSWORD)
    await desk.page.keyboard.press("Enter")
    await expect(desk.page.get_by_role("heading", name="Rules", exact=True)).to_be_visible()


async def test_tabs_that_start_together_do_not_take_each_others_session_for_a_theft(desk, context):
    pages = [desk.page, *[await context.new_page() for _ in range(3)]]
    for _ in range(2):
        await asyncio.gather(*(page.goto(f"{desk.url}/t/{SLUG}/rules") for page in pages))
        for page in pages:
            await expect(page.get_by_role("heading", name="Rules", exact=True)).to_be_visible()


async def test_reloads_in_quick_succession_in_two_tabs_leave_one_signed_in(desk, context):
    """Most of these pages go while their token is exchanged: the browser must hold the answer all the same."""
    exchanged = []
    context.on("request", lambda sent: exchanged.append(sent) if sent.url.endswith("/auth/refresh") else None)
    pages = [desk.page, await context.new_page()]
    before = {cookie["name"]: cookie["value"] for cookie in await context.cookies()}

    async def impatient(page):
        for _ in range(4):
            async with page.expect_request("**/api/v1/auth/refresh"):
                await page.goto(f"{desk.url}/t/{SLUG}/rules", wait_until="commit")

    await asyncio.gather(*(impatient(page) for page in pages))
    for page in pages:
        await expect(page.get_by_role("heading", name="Rules", exact=True)).to_be_visible()
    assert len(exchanged) >= 8
    after = {cookie["name"]: cookie["value"] for cookie in await context.cookies()}
    assert all(before[name] != after[name] for name in ("fettle_refresh", "fettle_rotation"))
    await desk.page.reload()
    await expect(desk.page.get_by_role("heading", name="Rules", exact=True)).to_be_visible()


async def test_the_access_token_is_nowhere_that_a_script_could_look_later(desk, context):
    await desk.open("overview")
    await desk.live()
    stored = await desk.page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert "eyJ" not in stored
    assert "refresh" not in stored
    cookies = await context.cookies()
    assert [(c["httpOnly"], c["sameSite"]) for c in cookies if c["name"] == "fettle_refresh"] == [
        (True, "Strict")
    ]


async def test_an_api_key_is_shown_once_and_works_until_it_is_revoked(desk):
    page = desk.page
    await desk.open("settings/keys")
    await page.get_by_role("button", name="Make a key").click()
    name = f"sender {uuid4()}"
    await page.get_by_role("textbox", name="Name").fill(name)
    await page.get_by_role("dialog").get_by_role("button", name="Make a key").click()
    secret = (await page.get_by_role("dialog").locator("pre").first.inner_text()).strip()
    assert secret.startswith("ftl_")
    async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=60) as sender:
        sent = {"check_type": "console_key", "summary": "sent with a key of the console"}
        assert (await sender.post(f"{desk.url}/api/v1/exceptions", json=sent)).status_code == 202
        await page.get_by_role("button", name="I have kept it").click()
        await expect(row(desk, name)).to_be_visible()
        assert secret not in await page.content()
        await page.get_by_role("button", name=f"Revoke “{name}”").click()
        await page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
        await expect(row(desk, name)).to_have_count(0)
        assert (await sender.post(f"{desk.url}/api/v1/exceptions", json=sent)).status_code == 401


async def test_an_incident_appears_by_itself_and_the_keys_go_on_from_the_row_that_one_was_at(desk):
    page = desk.page
    await desk.open("incidents")
    await desk.live()
    host = f"host-{uuid4()}"
    await desk.report(check_type="console_keyboard", host=f"host-{uuid4()}", summary="It was there before")
    await expect(row(desk, "It was there before").first).to_be_visible()
    await desk.report(
        check_type="console_keyboard", host=host, summary="It appears by itself", severity="high"
    )
    await expect(row(desk, host)).to_be_visible()
    await expect(row(desk, host)).to_contain_text("Needs a person")

    await page.keyboard.press("?")
    await expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await page.keyboard.press("j")
    focused = page.locator("a[data-id]:focus")
    await expect(focused).to_have_count(1)
    first = await focused.get_attribute("data-id")
    await page.keyboard.press("j")
    await page.keyboard.press("k")
    await expect(focused).to_have_attribute("data-id", str(first))
    await page.keyboard.press("/")
    await page.keyboard.type(f'"{host}"')
    await expect(page.get_by_role("row")).to_have_count(2)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("row").nth(2)).to_be_visible()
    # The row that one was at is still the one, and the keys go on from it.
    await page.keyboard.press("j")
    await expect(focused).to_have_count(1)
    await expect(focused).not_to_have_attribute("data-id", str(first))
    await page.keyboard.press("k")
    await expect(focused).to_have_attribute("data-id", str(first))
    await page.keyboard.press("Enter")
    heading = page.get_by_role("heading", name="It appears by itself")
    await expect(heading).to_be_visible()
    await page.keyboard.press("u")
    await expect(page.locator("[data-current] a[data-id]")).to_have_attribute("data-id", str(first))
    await page.keyboard.press("Enter")
    await expect(heading).to_be_visible()


async def test_an_incident_is_resolved_by_keyboard_and_its_evidence_comes_by_itself(desk):
    page = desk.page
    exception = await desk.report(check_type="console_keyboard", summary="Nobody's rule", severity="high")
    await desk.open(f"incidents/{await incident_of(desk, exception)}")
    await desk.live()
    await expect(page.get_by_text("No rule matches; a person decides.").first).to_be_visible()
    await page.get_by_role("button", name="Resolve").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("textbox", name="Reason")).to_be_focused()
    await page.keyboard.type("Mended by hand")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Reopen")).to_be_visible()
    await expect(page.get_by_text("Resolved: Mended by hand")).to_be_visible()
    await expect(page.get_by_text("Evidence sealed").first).to_be_visible()
    await page.keyboard.press("g")
    await page.keyboard.press("o")
    await page.wait_for_url("**/overview")


async def test_what_is_being_read_does_not_move_when_news_come(desk):
    page = desk.page
    await desk.report(check_type="console_still", host=f"host-{uuid4()}", summary="It was there before")
    await desk.open("incidents?check_type=console_still")
    await desk.live()
    first = page.locator("a[data-id]").first
    await expect(first).to_be_visible()
    await first.hover()
    reading = await first.get_attribute("data-id")
    place = await first.bounding_box()
    id_ = await desk.report(
        check_type="console_still", host=f"host-{uuid4()}", summary="It comes while one reads"
    )
    await expect(page.get_by_role("button", name="Show 1 new incident")).to_be_visible()
    assert await first.get_attribute("data-id") == reading
    assert await first.bounding_box() == place
    await page.get_by_role("button", name="Show 1 new incident").click()
    await expect(page.locator(f"a[data-id='{await incident_of(desk, id_)}']")).to_be_visible()


async def test_filters_stand_in_the_address(desk):
    page = desk.page
    await desk.open("incidents")
    await page.get_by_role("button", name="Severity").click()
    await page.get_by_role("checkbox", name="Critical").check()
    await page.get_by_role("checkbox", name="High").check()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Settled").click()
    await page.wait_for_url("**/incidents?state=resolved&state=closed&severity=critical&severity=high")
    await page.reload()
    await expect(page.get_by_role("button", name="Severity: 2")).to_be_visible()
    await expect(page.get_by_role("button", name="Settled")).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("searchbox", name="Host").fill("no-such-host")
    await expect(page.get_by_text("No incident fits these filters")).to_be_visible()


async def test_exports_come_as_files(desk):
    page = desk.page
    await desk.report(check_type="console_export", summary="In the export", host=f"host-{uuid4()}")
    await desk.open("incidents?check_type=console_export")
    await expect(page.locator("a[data-id]").first).to_be_visible()
    for label, name in (("As CSV", "incidents.csv"), ("As JSON", "incidents.json")):
        await page.get_by_role("button", name="Export").click()
        async with page.expect_download() as started:
            await page.get_by_role("menuitem", name=label).click()
        file = await started.value
        assert file.suggested_filename == name
        assert "In the export" in (await file.path()).read_text()


async def test_the_console_says_when_it_is_cut_off_and_catches_up(desk, context):
    page = desk.page
    host = f"host-{uuid4()}"
    await desk.open(f"incidents?host={host}")
    await desk.live()
    await context.set_offline(True)
    await expect(page.locator("[role=status][data-state=offline]")).to_be_visible()
    await expect(page.get_by_text("This browser is offline.")).to_be_visible()
    await desk.report(check_type="console_offline", host=host, summary="While it was cut off")
    await context.set_offline(False)
    await desk.live()
    await expect(row(desk, "While it was cut off")).to_be_visible()


async def test_what_is_not_there_is_said_with_what_to_do(desk):
    missing = uuid4()
    await desk.open(f"incidents/{missing}")
    alert = desk.page.get_by_role("alert")
    await expect(alert).to_contain_text(f"There is no incident {missing}.")
    await expect(alert).to_contain_text("check the tenant at the top")
    await expect(alert).to_contain_text("Request")
    await desk.page.goto(f"{desk.url}/t/no-such-tenant/overview")
    await expect(desk.page.get_by_text("There is no tenant “no-such-tenant” for you")).to_be_visible()


async def test_a_break_of_the_demo_host_is_seen_healing_with_its_proof(desk, running_platform):
    page = desk.page
    demo = asyncio.create_task(running_platform.demo(rounds=6))

    async def demo_tenant():
        tenants = (await desk.api.get("/tenants")).json()["items"]
        return "demo" in [tenant["slug"] for tenant in tenants]

    await eventually(demo_tenant)
    await page.goto(f"{desk.url}/")
    await page.get_by_role("button", name="Switch").click()
    await page.get_by_role("option", name="Demo").click()
    await page.get_by_role("link", name="Incidents", exact=True).click()
    healed = page.get_by_role("row").filter(has_text="service/app.conf").filter(has_text="Resolved")
    await expect(healed).to_be_visible(timeout=PATIENCE_SECONDS * 1000)
    await healed.get_by_role("link").click()
    steps = page.locator("section").filter(has=page.get_by_role("heading", name="What was done"))
    await expect(steps).to_contain_text("runbook.run")
    await expect(steps).to_contain_text("Verified")
    await steps.locator("summary").first.click()
    await expect(steps.get_by_label("Input").first).to_contain_text("RB-DEMO-CONFIG-MODE")
    why = page.locator("section").filter(has=page.get_by_role("heading", name="Why it was decided so"))
    await expect(why).to_contain_text("L1-DEMO-CONFIG-MODE-001")
    await expect(why).to_contain_text("holds")
    proof = page.locator("section").filter(has=page.get_by_role("heading", name="Evidence", exact=True))
    await expect(proof).to_contain_text("Signature")
    waiting = page.get_by_role("navigation").get_by_label("waiting")
    await expect(waiting).to_be_visible()
    await assert_accessible(page)
    status, _, err = await demo
    assert status == 0, err


async def test_a_plan_that_waits_is_approved_once_with_a_reason(desk):
    await desk.page.goto(f"{desk.url}/t/demo/approvals")
    page = desk.page
    card = page.locator("section").filter(has=page.get_by_role("button", name="Reject")).first
    await expect(card).to_be_visible()
    await assert_accessible(page)
    title = await card.get_by_role("link").first.inner_text()
    await card.get_by_role("button", name="Reject").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("button", name="Reject")).to_be_disabled()
    await assert_accessible(page)
    await dialog.get_by_role("textbox", name="Reason").fill("Not on this machine")
    await dialog.get_by_role("button", name="Reject").click()
    await expect(dialog).to_have_count(0)
    decided = page.locator("section").filter(has=page.get_by_role("link", name=title))
    await expect(decided.get_by_role("button", name="Reject")).to_have_count(0)
    await desk.page.goto(f"{desk.url}/t/demo/approvals?state=rejected")
    await expect(decided.first).to_contain_text("Not on this machine")


async def test_the_page_may_load_nothing_from_elsewhere_and_run_no_inline_script(desk):
    answer = await desk.page.goto(f"{desk.url}/t/{SLUG}/overview")
    policy = dict(
        part.strip().split(" ", 1)
        for part in answer.headers["content-security-policy"].split(";")
        if " " in part.strip()
    )
    assert policy["script-src"] == "'self'"
    assert policy["default-src"] == "'self'"
    assert policy["connect-src"] == "'self'"


async def test_the_types_of_the_console_are_those_of_the_platform(running_platform, tmp_path):
    made = tmp_path / "schema.ts"
    process = await asyncio.create_subprocess_exec(
        "node", "scripts/api-types.mjs", running_platform.url, str(made), cwd=CONSOLE, stderr=subprocess.PIPE
    )
    _, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert made.read_text() == (CONSOLE / "src" / "api" / "schema.ts").read_text(), (
        "The API's words changed. Run `npm run api:types -- <address>` in console/ and mend what tsc says."
    )


async def test_one_hundred_thousand_rows_would_be_asked_for_page_by_page(desk):
    page = desk.page
    asked = []
    page.on(
        "request", lambda request: asked.append(request.url) if "/api/v1/incidents?" in request.url else None
    )
    host = f"host-{uuid4()}"
    items = [
        # At one site so many at once would be a storm, which is one incident.
        {
            "check_type": "console_many",
            "host": f"{host}-{n}",
            "summary": f"Row {n}",
            "site": f"{host}-{n % 2}",
        }
        for n in range(260)
    ]
    answer = await desk.api.post("/exceptions/batch", json={"items": items})
    assert answer.status_code == 202
    for accepted in json.loads(answer.text)["items"][-1:]:
        await incident_of(desk, accepted["id"])
    await desk.open("incidents?check_type=console_many")
    await expect(page.locator("a[data-id]").first).to_be_visible()
    assert await page.locator("a[data-id]").count() < 60
    # Most who open a list look at its first screen, and every change of a filter opens another list: the next
    # page is asked for when somebody scrolls, some screens before they would come to its rows.
    await expect(page.get_by_role("status").filter(has_text="260 incidents")).to_be_visible()
    assert len(asked) == 1
    scroller = page.locator("[role=table] > [role=presentation]")
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await page.get_by_text("That is all").count():
            await scroller.evaluate("element => element.scrollTo(0, element.scrollHeight)")
            await asyncio.sleep(0.05)
    await expect(page.get_by_text("That is all: 260 incidents")).to_be_visible()
    assert await page.locator("a[data-id]").count() < 60
    # 100 rows, then 160: none was asked for twice.
    assert ["cursor=" in url for url in asked] == [False, True]
