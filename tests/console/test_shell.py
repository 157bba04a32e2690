"""The console's frame in real Chromium: palette, tenants, zone, focus, print; audit, events and health."""

import re

import asyncpg
import pytest_asyncio
from playwright.async_api import expect
from tests.console.conftest import SLUG
from tests.console.looking import assert_accessible, incident_of

from fettle.central.embedded import postgres_url, socket_folder
from fettle.kernel.ids import new_id

OTHER_TENANT = "Birch Dental"
OTHER_SLUG = "birch-dental"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def other_tenant(owner):
    """A second tenant of the owner's."""
    await owner.make_tenant(OTHER_TENANT, OTHER_SLUG)


async def test_the_palette_reaches_screens_incidents_tenants_and_actions_by_keyboard(desk, other_tenant):
    page = desk.page
    exception = await desk.report(
        check_type="console_palette", host="palette-host", summary="Quincunx gone astray"
    )
    incident_id = await incident_of(desk, exception)
    await desk.open("overview")
    await expect(page.locator("main h1")).to_be_visible()
    await page.keyboard.press("Control+k")
    palette = page.get_by_role("combobox", name="Go to")
    await palette.fill("appro")
    await expect(page.get_by_role("option", selected=True)).to_contain_text("Approvals")
    await assert_accessible(page)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/approvals")
    await page.keyboard.press("Control+k")
    await palette.fill("quincunx")
    await expect(page.get_by_role("option", name=re.compile("Quincunx"))).to_be_visible()
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/incidents/{incident_id}")
    number = (await desk.api.get(f"/incidents/{incident_id}")).json()["number"]
    for typed in (f"#{number}", str(number)):
        await desk.open("overview")
        await expect(page.locator("main h1")).to_be_visible()
        await page.keyboard.press("Control+k")
        await palette.fill(typed)
        await expect(page.get_by_role("option").filter(has_text=f"#{number} Quincunx")).to_be_visible()
        await page.get_by_role("option").filter(has_text=f"#{number} Quincunx").click()
        await page.wait_for_url(f"**/incidents/{incident_id}")
    await page.keyboard.press("Control+k")
    await palette.fill("dark colours")
    await page.keyboard.press("Enter")
    await expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", "dark")
    await page.keyboard.press("Control+k")
    await palette.fill("birch")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/t/{OTHER_SLUG}/overview")
    await expect(page.get_by_role("button", name=re.compile(OTHER_TENANT))).to_be_visible()
    await expect(page.locator("main h1")).to_be_visible()
    await page.keyboard.press("Control+k")
    await palette.fill("nothing is called so at all")
    await expect(page.get_by_text("Nothing is called so.")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(palette).to_have_count(0)


async def test_two_tenants_stand_side_by_side_and_see_nothing_of_each_other(desk, context, other_tenant):
    left, right = desk.page, await context.new_page()
    for page, slug in ((left, SLUG), (right, OTHER_SLUG)):
        await page.goto(f"{desk.url}/t/{slug}/incidents")
        await expect(page.get_by_role("status").filter(has_text="Live")).to_be_visible()
    await desk.report(check_type="console_beside", host="beside", summary="Only of the left one")
    await expect(left.get_by_role("row").filter(has_text="Only of the left one")).to_be_visible()
    await expect(right.get_by_text("Only of the left one")).to_have_count(0)
    await right.reload()
    await expect(right.locator("main h1")).to_be_visible()
    await expect(right.get_by_role("button", name=re.compile(OTHER_TENANT))).to_be_visible()
    await expect(right.get_by_text("Only of the left one")).to_have_count(0)
    await left.goto(f"{desk.url}/t/{SLUG}/overview")
    beside = left.get_by_role("row").filter(has_text=OTHER_TENANT)
    await expect(beside).to_contain_text("nothing open")
    await assert_accessible(left)


async def test_a_tenant_is_found_by_name_and_the_last_ones_stand_first(desk, other_tenant):
    page = desk.page
    for slug in (OTHER_SLUG, SLUG):
        await page.goto(f"{desk.url}/t/{slug}/overview")
        await expect(page.locator("main h1")).to_be_visible()
    await page.get_by_role("button", name="Switch").click()
    await expect(page.get_by_role("option").first).to_contain_text(OTHER_TENANT)
    await assert_accessible(page)
    await page.get_by_role("combobox", name="Tenants").fill("dental")
    await expect(page.get_by_role("option")).to_have_count(1)
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/t/{OTHER_SLUG}/overview")


async def test_another_time_zone_holds_everywhere_and_after_a_reload(desk):
    page = desk.page
    await desk.open("settings/appearance")
    zone = page.get_by_role("combobox", name="Time zone").or_(page.get_by_role("textbox", name="Time zone"))
    await zone.click()
    await zone.fill("Tokyo")
    await page.get_by_role("option", name="Asia/Tokyo").click()
    await expect(page.get_by_text("Asia/Tokyo (UTC+09:00)")).to_be_visible()
    await page.reload()
    await expect(page.get_by_text("Asia/Tokyo (UTC+09:00)")).to_be_visible()
    await page.get_by_text("Narrow", exact=True).click()
    await expect(page.locator("html")).to_have_attribute("data-density", "compact")


async def test_a_new_page_takes_the_focus_and_is_read_out(desk):
    page = desk.page
    await desk.open("overview")
    await expect(page.locator("main h1")).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.get_by_role("link", name="Evidence", exact=True).click()
    await expect(page.get_by_role("heading", name="Evidence", exact=True)).to_be_visible()
    await expect(page.locator("main")).to_be_focused()
    await expect(page).to_have_title("Evidence · Fettle")
    await expect(page.get_by_role("status").filter(has_text="Evidence · Fettle")).to_have_count(1)


async def test_being_offline_is_said_across_the_page(desk, context):
    page = desk.page
    await desk.open("overview")
    await desk.live()
    await context.set_offline(True)
    await expect(page.get_by_text("This browser is offline.")).to_be_visible()
    await assert_accessible(page)
    await context.set_offline(False)
    await expect(page.get_by_text("This browser is offline.")).to_have_count(0)


async def test_paper_gets_the_content_without_the_frame(desk):
    page = desk.page
    await desk.open("settings/roles")
    await expect(page.get_by_role("heading", name="Who may do what")).to_be_visible()
    await page.emulate_media(media="print")
    await expect(page.get_by_role("navigation").first).to_be_hidden()
    await expect(page.get_by_role("banner")).to_be_hidden()
    await expect(page.get_by_role("heading", name="Who may do what")).to_be_visible()


async def test_a_screen_that_fails_leaves_the_others_alone(desk):
    page = desk.page

    async def broken(route):
        await route.fulfill(status=200, content_type="application/json", body='{"groups": "none"}')

    await page.route("**/api/v1/events/lag", broken)
    await desk.open("events?view=readers")
    await expect(page.get_by_role("alert")).to_be_visible()
    await page.get_by_role("link", name="Evidence", exact=True).click()
    await expect(page.get_by_role("heading", name="Evidence", exact=True)).to_be_visible()


async def test_the_audit_is_searched_by_address_and_shows_before_and_after(desk):
    page = desk.page
    made = await desk.api.post("/api-keys", json={"name": "audited", "scopes": ["exceptions:write"]})
    key = made.json()
    await desk.api.patch(f"/api-keys/{key['id']}", json={"name": "audited twice"})
    await desk.open(f"audit?target_id={key['id']}")
    rows = page.locator("tbody tr")
    await expect(rows).to_have_count(2)
    await rows.first.get_by_role("button").click()
    await expect(page.locator("del").first).to_contain_text("audited")
    await expect(page.locator("ins").first).to_contain_text("audited twice")
    await assert_accessible(page)
    await page.get_by_role("searchbox", name="Action").fill("api_key.created")
    await page.wait_for_url("**/audit?action=api_key.created&target_id=*")
    await expect(rows).to_have_count(1)
    await page.get_by_role("button", name="Export").click()
    async with page.expect_download() as started:
        await page.get_by_role("menuitem", name="As CSV").click()
    text = (await (await started.value).path()).read_text()
    assert key["id"] in text
    assert "api_key.changed" not in text
    await page.get_by_role("link", name=key["id"]).click()
    await expect(rows).to_have_count(2)
    await page.get_by_role("button", name="Change how long").click()
    await page.get_by_role("radio", name="for some time").check()
    await assert_accessible(page)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Records are kept for 400 days, then deleted.")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_text("Records are kept for good.")).to_be_visible()


async def test_events_grow_are_held_and_open_as_a_tree(desk):
    page = desk.page
    await desk.open("events?type=exception.ingested")
    await desk.live()
    await expect(page.get_by_text("New events appear as they are stored.")).to_be_visible()
    await desk.report(check_type="console_events", host="events-host", summary="Seen in the stream")
    first = page.locator("tbody tr").first
    await first.get_by_role("button", name="Open").click()
    await expect(page.get_by_text("Held: nothing moves while you read.")).to_be_visible()
    await expect(page.get_by_role("group", name="exception.ingested")).to_contain_text("summary")
    await assert_accessible(page)


async def plant_dead_letter(desk, home):
    """Put an event aside as a reader does that cannot handle it; the event is one that no reader minds."""
    await desk.report(check_type="console_dead", host="dead-host", summary="It is put aside")
    connection = await asyncpg.connect(postgres_url(socket_folder(home), "fettle_system"))
    try:
        return await connection.fetchval(
            "INSERT INTO parked_events (id, tenant_id, consumer_group, position, lane, stream_id, type, state, "
            "attempts, last_error) SELECT $1, tenant_id, 'test.reader', position, lane, stream_id, type, 'dead', 5, $2 "
            "FROM events WHERE type = 'exception.ingested' ORDER BY position DESC LIMIT 1 RETURNING id",
            new_id(), "the <b>file</b> is gone",
        )  # fmt: skip
    finally:
        await connection.close()


async def test_a_dead_letter_is_given_back_after_a_confirmation(desk, running_platform):
    page = desk.page
    await plant_dead_letter(desk, running_platform.home)
    await desk.open("events?view=dead-letters")
    await expect(page.get_by_text("the <b>file</b> is gone")).to_be_visible()
    await page.get_by_role("button", name="Give back exception.ingested").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_contain_text("cannot be undone")
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Give back").click()
    await expect(page.get_by_text("No event is lost on the way")).to_be_visible()
