"""Brakes in real Chromium: healing is stopped and a banner says so, a breaker is opened and reset, what-if is shown."""

from uuid import uuid4

from playwright.async_api import expect
from tests.console.looking import assert_accessible


async def give_reason(page, button, reason):
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill(reason)
    await dialog.get_by_role("button", name=button).click()
    await expect(dialog).to_have_count(0)


async def test_stop_say_why_and_let_it_heal_again(desk):
    page, tail = desk.page, uuid4().hex[:8]
    await desk.open("brakes")
    await page.get_by_role("button", name="Stop healing").click()
    await assert_accessible(page)
    await give_reason(page, "Stop healing", f"Wrong change {tail}")
    banner = page.get_by_role("status").filter(has_text="Healing is stopped.")
    await expect(banner).to_contain_text(f"Wrong change {tail}")
    await desk.open("overview")
    await expect(banner).to_be_visible()
    await banner.get_by_role("link").click()
    await page.get_by_role("button", name="Let it heal again").click()
    await give_reason(page, "Let it heal again", "Mended")
    await expect(banner).to_have_count(0)
    await expect(page.get_by_role("row").filter(has_text=f"Wrong change {tail}")).to_contain_text("Mended")

    await page.get_by_role("tab", name="Breakers").click()
    await page.get_by_role("button", name="Open a breaker").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name").fill(f"PB-{tail}")
    await dialog.get_by_label("Reason").fill("Looked at it")
    await dialog.get_by_role("button", name="Open a breaker").click()
    row = page.get_by_role("row").filter(has_text=f"PB-{tail}")
    await expect(row).to_contain_text("Open")
    await assert_accessible(page)
    await row.get_by_role("button", name=f"Reset PB-{tail}").click()
    await give_reason(page, "Reset", "Well again")
    await expect(row).to_contain_text("Closed")

    for tab in ("Flapping", "Held", "Deputies", "What if"):
        await page.get_by_role("tab", name=tab).click()
        await expect(page.get_by_role("tabpanel")).not_to_be_empty()
        await assert_accessible(page)
    assert desk.faults == []
