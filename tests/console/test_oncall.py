"""On call in real Chromium: a channel and its test, a schedule, a policy that is tried, an incident that is taken."""

from uuid import uuid4

from playwright.async_api import expect
from tests.cli.running import eventually
from tests.console.looking import assert_accessible, incident_of


async def test_from_a_channel_to_an_incident_that_somebody_has_in_hand(desk):
    tail = uuid4().hex[:8]
    await make_channel(desk, tail)
    await make_schedule(desk, tail)
    await make_policy(desk, tail)
    await take_and_put_back(desk, tail)
    assert desk.faults == []


async def make_channel(desk, tail):
    page = desk.page
    await desk.open("channels")
    await page.get_by_role("button", name="Add a channel").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Kind").select_option("webhook")
    await expect(dialog).to_contain_text("Standard Webhooks")
    await dialog.get_by_label("Name").fill(f"Room {tail}")
    await dialog.get_by_label("Address").fill("https://127.0.0.1:1/nobody")
    await dialog.get_by_label("Signing secret").fill("whsec_" + "QUFB" * 10)
    await dialog.get_by_role("button", name="Save").click()
    test = page.get_by_role("dialog", name=f"Send a test by Room {tail}")
    await test.get_by_role("button", name="Send a test").click()
    await expect(test.get_by_role("status")).to_contain_text("The test was not taken")
    await assert_accessible(page)
    await test.get_by_role("link", name="See it in the message log").click()
    await page.get_by_role("row").filter(has_text=f"Room {tail}").get_by_role("button").click()
    await expect(page.get_by_text("This is only a test of the channel.")).to_be_visible()
    await expect(page.get_by_text("whsec_")).to_have_count(0)


async def make_schedule(desk, tail):
    page = desk.page
    worker = {"email": f"{tail}@example.org", "name": f"Worker {tail}", "role": "operator"}
    assert (await desk.api.post("/users", json=worker)).status_code in {201, 202}
    await desk.open("on-call/new")
    await page.get_by_role("textbox", name="Name", exact=True).fill(f"Rota {tail}")
    await page.get_by_label("Time zone").fill("Europe/Berlin")
    await (
        page.get_by_role("textbox", name="People in turn")
        .or_(page.get_by_role("combobox", name="People in turn"))
        .fill(tail)
    )
    await page.get_by_role("option", name=f"Worker {tail}").click()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Show the next four weeks").click()
    await expect(page.get_by_text("Times of the plot are in Europe/Berlin")).to_be_visible()
    await page.get_by_role("button", name="Add a schedule").click()
    await expect(page.get_by_role("heading", name=f"Rota {tail}")).to_be_visible()
    await assert_accessible(page)


async def make_policy(desk, tail):
    page = desk.page
    await desk.open("escalation-policies")
    await page.get_by_role("button", name="Add a policy").click()
    await page.get_by_role("textbox", name="Name", exact=True).fill(f"Policy {tail}")
    await page.get_by_label("Check types").first.fill(f"oncall_{tail}")
    await page.keyboard.press("Enter")
    await page.get_by_role("group", name="Step 1").get_by_role("button", name="Tell one more").click()
    await page.get_by_role("button", name="Try it").click()
    await expect(page.get_by_text("No policy fits such an incident")).to_be_visible()
    await page.get_by_label("Check type", exact=True).fill(f"oncall_{tail}")
    await page.get_by_role("button", name="Try it").click()
    await expect(page.get_by_text(f"By Policy {tail}")).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("row").filter(has_text=f"Policy {tail}")).to_be_visible()


async def take_and_put_back(desk, tail):
    page = desk.page
    incident = await incident_of(desk, await desk.report(check_type=f"oncall_{tail}", host=f"host-{tail}"))

    async def clock():
        return (await desk.api.get(f"/incidents/{incident}/escalation")).json()["escalation"]

    await eventually(clock)
    await desk.open(f"incidents/{incident}")
    await page.get_by_role("button", name="Take it").click()
    await expect(page.get_by_text("Somebody has it", exact=True)).to_be_visible()
    assert (await clock())["state"] == "acknowledged"
    await page.get_by_role("button", name="Undo").click()
    await expect(page.get_by_role("button", name="Take it")).to_be_visible()
    assert (await clock())["state"] in {"active", "exhausted"}
    await assert_accessible(page)
