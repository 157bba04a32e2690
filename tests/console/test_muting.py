"""Silences and windows in real Chromium: set from an incident, previewed, ended early, undone; a window each week."""

from uuid import uuid4

from playwright.async_api import expect
from tests.console.looking import assert_accessible, incident_of


async def test_from_an_incident_to_a_silence_that_ends_early(desk):
    page, tail = desk.page, uuid4().hex[:8]
    incident = await incident_of(desk, await desk.report(check_type=f"muting_{tail}", host=f"host-{tail}"))
    await desk.open(f"incidents/{incident}")
    await page.get_by_role("button", name="Silence this").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_label("What it covers")).to_have_value(
        f"check_type=muting_{tail}\nhost=host-{tail}"
    )
    await dialog.get_by_label("Why").fill(f"New disk {tail}")
    await dialog.get_by_role("button", name="Show what it would mute now").click()
    await expect(dialog.get_by_role("status")).to_contain_text("1 of")
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Set it").click()
    await expect(page.get_by_text(f"It is silenced: New disk {tail}.")).to_be_visible()
    await desk.open("silences")
    row = page.get_by_role("row").filter(has=page.get_by_role("button", name=f"End now: New disk {tail}"))
    await expect(row).to_contain_text("Holds now")
    await assert_accessible(page)
    await row.get_by_role("button", name=f"End now: New disk {tail}").click()
    await page.get_by_role("dialog").get_by_role("button", name="End now").click()
    await expect(page.get_by_text(f"New disk {tail} is over")).to_be_visible()
    await page.get_by_role("button", name="Undo").click()
    await expect(row).to_contain_text("Holds now")
    await add_window(page, tail)
    assert desk.faults == []


async def add_window(page, tail):
    await page.get_by_role("button", name="Add", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("What it is").select_option("window")
    await dialog.get_by_label("Title").fill(f"Night {tail}")
    await dialog.get_by_label("What it covers").fill(f"site=nowhere-{tail}")
    weekly, days = dialog.get_by_role("switch", name="Every week"), dialog.get_by_role("group")
    # The input of a switch lies unseen over its words, so what is pressed there is that.
    await dialog.get_by_text("Every week", exact=True).click(force=True)
    await expect(weekly).to_be_checked()
    await expect(days.get_by_label("Sat")).to_be_checked()
    await weekly.press("Space")
    await expect(days).to_have_count(0)
    await weekly.press("Space")
    await days.get_by_label("Sun").press("Space")
    await dialog.get_by_role("button", name="Set it").click()
    await expect(dialog).to_have_count(0)
    calendar = page.get_by_role("table").filter(has=page.get_by_role("columnheader", name="Effect"))
    nights = calendar.get_by_role("row").filter(has_text=f"Night {tail}")
    # Two weeks hold two Saturdays and two Sundays.
    await expect(nights.nth(3)).to_contain_text("Incidents wait")
