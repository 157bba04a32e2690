"""Sources in real Chromium: one is added, its secret shown once, what it sent is read otherwise, and that is undone."""

from uuid import uuid4

import httpx
from playwright.async_api import expect
from tests.console.looking import assert_accessible


async def test_a_source_from_its_first_step_to_a_mapping_that_is_undone(desk):
    page, name = desk.page, f"plant-{uuid4().hex[:8]}"
    await desk.open("sources")
    await page.get_by_role("button", name="Add a source").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("combobox", name="Program").click()
    await page.get_by_role("option", name="Any program that sends JSON").click()
    await dialog.get_by_label("Name").fill(name)
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Add a source").click()
    await expect(dialog.get_by_text("This is shown once")).to_be_visible()
    secret = await dialog.locator("pre").first.inner_text()
    address = await dialog.locator("pre").nth(1).inner_text()
    assert secret.startswith("ftl_src_")
    await dialog.get_by_role("button", name="I have put it in").click()
    proof = {"Authorization": f"Bearer {secret}"}
    async with httpx.AsyncClient(timeout=60) as program:
        sent = await program.post(address, headers=proof, json={"title": "The press stands still", "id": 7})
        assert sent.json()["status"] == "accepted", sent.text
        stranger = await program.post(address, headers={"Authorization": "Bearer no"}, json={})
        assert stranger.status_code == 403
    await page.reload()
    await page.get_by_role("link", name=name).click()
    await page.get_by_role("button", name="Try it").click()
    await expect(page.get_by_text("1 exception would come of it")).to_be_visible()
    await expect(page.get_by_text("Its token is not one of the source's")).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("tab", name="Received").click()
    await expect(page.get_by_role("row").filter(has_text="Accepted")).to_be_visible()
    await page.get_by_role("tab", name="Mapping").click()
    editor = page.get_by_role("textbox", name="Mapping")
    await editor.fill('set:\n  check_type: own_check\n  summary: "${{ upper(payload.title) }}"\n')
    await page.get_by_role("button", name="Preview on what was received").click()
    await expect(page.get_by_text("1 of 1 payload would be read otherwise")).to_be_visible()
    await expect(page.get_by_text("THE PRESS STANDS STILL").first).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("A mapping of this source's own holds")).to_be_visible()
    await page.get_by_role("button", name="Undo the last change").click()
    await expect(page.get_by_text("The pack's mapping holds.")).to_be_visible()
    assert desk.faults == []
