"""What comes over time, in real Chromium: a rule written by its form, a key that it forgets; a storm in its list."""

import asyncio
from uuid import uuid4

from playwright.async_api import expect
from tests.console.looking import assert_accessible


async def test_a_rule_over_time_is_written_by_its_form_and_forgets_a_key(desk):
    page, tail = desk.page, uuid4().hex[:6]
    await desk.open("temporal-rules/new")
    await page.get_by_label("Id", exact=False).first.fill(f"T-FORM-{tail.upper()}")
    await page.get_by_label("Title").fill(f"Lone sign-in {tail}")
    counted = page.get_by_role("group", name="What is counted")
    await counted.get_by_label("Value").fill(f"logon_{tail}")
    await page.get_by_label("Within (seconds)").fill("3600")
    await expect(page.get_by_text("1 h", exact=True)).to_be_visible()
    await page.get_by_role("combobox", name="Kind").click()
    await page.get_by_role("option", name="A, then B").click()
    first = page.get_by_role("group", name="Step 1")
    await expect(first.get_by_label("Value")).to_have_value(f"logon_{tail}")
    await expect(page.get_by_label("How many")).to_have_count(0)
    await page.get_by_role("combobox", name="Kind").click()
    await page.get_by_role("option", name="N within a window").click()
    await expect(counted.get_by_label("Value")).to_have_value(f"logon_{tail}")
    await page.get_by_role("button", name="Create", exact=True).click()
    reported = page.get_by_role("group", name="What it reports")
    await expect(reported.get_by_label("Check type")).to_have_attribute("aria-invalid", "true")
    await assert_accessible(page)
    await reported.get_by_label("Check type").fill(f"lone_{tail}")
    await page.get_by_text("YAML", exact=True).click()
    editor = page.get_by_role("textbox", name="YAML")
    await expect(editor).to_contain_text("within_seconds: 3600")
    await page.get_by_text("Form", exact=True).click()
    await expect(page.get_by_label("Within (seconds)")).to_have_value("3600")
    await page.get_by_role("button", name="Create", exact=True).click()
    await expect(page.get_by_role("tab", name="Live")).to_be_visible()
    await desk.report(check_type=f"logon_{tail}", host=f"pc-{tail}")
    await page.get_by_role("tab", name="Live").click()
    await page.get_by_role("button", name=f"Forget host pc-{tail}").click()
    await page.get_by_role("dialog").get_by_role("button", name="Forget").click()
    await expect(page.get_by_text(f"host pc-{tail} is forgotten")).to_be_visible()
    await expect(page.get_by_text("It remembers nothing now")).to_be_visible()
    assert desk.faults == []


async def test_a_storm_stands_in_the_list_with_what_it_stands_for(desk):
    page, tail = desk.page, uuid4().hex[:6]
    now = (await desk.api.get("/policy")).json()
    stormy = {**now["policy"], "storm": {"incidents": 1, "window_seconds": 3600}}
    put = await desk.api.put("/policy", json={"policy": stormy, "expected_version": now["version"]})
    assert put.status_code in {200, 202}, put.text
    try:
        await until_there_is_a_storm(desk, f"gust_{tail}")
    finally:
        held = (await desk.api.get("/policy")).json()["version"]
        back = await desk.api.put("/policy", json={"policy": now["policy"], "expected_version": held})
        assert back.status_code in {200, 202}, back.text
    await desk.open("storms")
    await page.get_by_label("Check type, site or number").fill(f"GUST_{tail}")
    await page.get_by_label("State").select_option("going_on")
    row = page.get_by_role("row").filter(has_text=f"gust_{tail}")
    await expect(row).to_have_count(1)
    await assert_accessible(page)
    await row.get_by_role("button", name="Show what is in storm").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("table", name="Exceptions per minute")).to_be_attached()
    await expect(dialog.get_by_role("cell", name=f"gust-{tail}-").first).to_be_visible()
    await assert_accessible(page)
    await page.keyboard.press("Escape")
    await page.get_by_label("State").select_option("over")
    await expect(page.get_by_text("No storm fits")).to_be_visible()
    assert desk.faults == []


async def until_there_is_a_storm(desk, check_type):
    """Report of one host after the other until the policy has been read anew and the rest becomes one."""
    async with asyncio.timeout(60):
        number = 0
        while not (await desk.api.get("/storms", params={"q": check_type})).json()["items"]:
            number += 1
            host = f"{check_type.replace('_', '-')}-{number}"
            await desk.report(check_type=check_type, host=host, site="Hall")
