"""Incidents at work in real Chromium: choosing many, saved views, assigning, comments, links, merge, split."""

import asyncio
import re
from uuid import uuid4

import pytest
from playwright.async_api import expect
from tests.console.looking import HOSTILE, assert_accessible, assert_good_in_every_view, incident_of, row

PAUSE_SECONDS = 0.05


async def opened(desk, check_type, **fields):
    """Report something that goes to a person, and return its incident once it is there."""
    told = {
        "check_type": check_type,
        "host": f"host-{uuid4().hex[:8]}",
        "summary": f"Sum {uuid4().hex[:8]}",
        **fields,
    }
    incident_id = await incident_of(desk, await desk.report(**told))
    async with asyncio.timeout(60):
        while True:
            incident = (await desk.api.get(f"/incidents/{incident_id}")).json()
            if incident["state"] == "escalated":
                return {**incident, "told": told}
            await asyncio.sleep(PAUSE_SECONDS)


@pytest.fixture
def check_type():
    return f"work_{uuid4().hex[:8]}"


async def test_many_are_chosen_by_keyboard_closed_and_taken_back(desk, check_type):
    page = desk.page
    for _ in range(3):
        await opened(desk, check_type)
    await desk.open(f"incidents?check_type={check_type}")
    await expect(page.locator("a[data-id]")).to_have_count(3)
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("Shift+X")
    bar = page.get_by_role("toolbar")
    await expect(bar).to_contain_text("3 incidents chosen")
    await page.keyboard.press("Shift+E")
    dialog = page.get_by_role("dialog", name="Close 3 incidents")
    await expect(dialog).to_contain_text("evidence is sealed")
    await page.keyboard.type("Tidied up")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    progress = page.get_by_role("status", name="Progress of the command")
    await expect(progress).to_contain_text("3 incidents closed")
    await expect(bar).to_have_count(0)
    await expect(page.get_by_role("row").filter(has_text="Closed")).to_have_count(3)
    await assert_accessible(page)
    await progress.get_by_role("button", name="Undo").click()
    await expect(progress).to_contain_text("3 incidents back as before")
    await expect(page.get_by_role("row").filter(has_text="Needs a person")).to_have_count(3)


async def test_everything_that_fits_is_chosen_and_done_as_a_job_with_its_progress(desk, check_type):
    page = desk.page
    told = [{"check_type": check_type, "host": f"many-{n}", "summary": f"Many {n}"} for n in range(130)]
    for begin in range(0, len(told), 50):
        answer = await desk.api.post("/exceptions/batch", json={"items": told[begin : begin + 50]})
        assert answer.status_code == 202, answer.text

    async with asyncio.timeout(60):
        while (await desk.api.get(f"/incidents/count?check_type={check_type}&state=escalated")).json()[
            "count"
        ] < 130:
            await asyncio.sleep(PAUSE_SECONDS)
    await desk.open(f"incidents?check_type={check_type}&host=none")
    await desk.open(f"incidents?check_type={check_type}")
    await expect(page.get_by_role("status").filter(has_text="130 incidents")).to_be_visible()
    await page.locator("a[data-id]").first.wait_for()
    await page.get_by_role("checkbox", name="Choose all that are shown").check()
    whole = page.get_by_role("button", name="Choose all 130 that fit")
    if await whole.count():
        await whole.click()
        await expect(page.get_by_role("toolbar")).to_contain_text("All 130 that fit the filters are chosen")
    await page.get_by_role("toolbar").get_by_role("button", name="Resolve").click()
    await page.get_by_role("textbox", name="Reason").fill("All of them")
    await page.get_by_role("dialog").get_by_role("button", name="Resolve").click()
    progress = page.get_by_role("status", name="Progress of the command")
    await expect(progress).to_contain_text("130 incidents resolved")
    await progress.get_by_role("button", name="Undo").click()
    await expect(progress).to_contain_text("130 incidents back as before")


async def test_a_saved_view_is_an_address_and_may_be_what_the_list_opens_with(desk, check_type):
    page = desk.page
    incident = await opened(desk, check_type, severity="critical")
    await desk.open(f"incidents?check_type={check_type}&severity=critical")
    await page.get_by_role("button", name="Save view").click()
    name = f"Grave {uuid4().hex[:6]}"
    await page.get_by_role("textbox", name="Name").fill(name)
    await page.get_by_role("checkbox", name="Everybody of this tenant").check()
    await page.get_by_role("dialog").get_by_role("button", name="Save view").click()
    view = page.get_by_role("button", name=name, exact=True)
    await expect(view).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name=f"View “{name}”: change").click()
    await page.get_by_role("menuitem", name="Open the list with it").click()
    await page.get_by_role("button", name="All", exact=True).click()
    await page.get_by_role("button", name="Clear", exact=True).click()
    await expect(view).to_have_attribute("aria-pressed", "false")
    await desk.open("incidents")
    await page.wait_for_url(re.compile(f"check_type={check_type}"))
    await expect(row(desk, incident["host"])).to_be_visible()
    await assert_accessible(page)
    await page.get_by_role("button", name=f"View “{name}”: change").click()
    await page.get_by_role("menuitem", name="Rename").click()
    renamed = f"{name} and old"
    await page.get_by_role("dialog").get_by_role("textbox", name="Name").fill(renamed)
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    view = page.get_by_role("button", name=renamed, exact=True)
    await expect(view).to_have_attribute("aria-pressed", "true")

    await page.get_by_role("button", name="All", exact=True).click()
    await expect(page.get_by_role("button", name="Save into")).to_have_count(0)
    await page.get_by_role("button", name="Severity: 1").click()
    await page.get_by_role("checkbox", name="High").check()
    await page.keyboard.press("Escape")
    await row(desk, incident["host"]).get_by_role("link").click()
    await page.get_by_role("heading", name=incident["title"]).wait_for()
    await page.keyboard.press("u")
    await page.get_by_role("button", name=f"Save into “{renamed}”").click()
    await expect(page.get_by_text(f"View “{renamed}” is saved")).to_be_visible()
    await expect(view).to_have_attribute("aria-pressed", "true")
    await page.get_by_role("button", name="Clear", exact=True).click()
    await page.get_by_role("button", name="Settled").click()
    await expect(page.get_by_role("button", name="Save view")).to_have_count(0)
    await expect(page.get_by_role("button", name=f"Save into “{renamed}”")).to_be_visible()
    await view.click()
    await page.wait_for_url(f"**/incidents?severity=critical&severity=high&check_type={check_type}")

    await page.get_by_role("button", name=f"View “{renamed}”: change").click()
    await page.get_by_role("menuitem", name="Delete").click()
    await expect(view).to_have_count(0)


async def test_an_incident_is_taken_by_keyboard_and_filtered_by_who_has_it(desk, check_type):
    page = desk.page
    incident = await opened(desk, check_type)
    await opened(desk, check_type)
    await desk.open(f"incidents?check_type={check_type}")
    await expect(page.locator("a[data-id]")).to_have_count(2)
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("a")
    await expect(page.get_by_role("textbox", name="Find somebody")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(row(desk, incident["host"])).to_contain_text("You")
    await page.get_by_role("combobox", name="In hand").select_option("me")
    await page.wait_for_url(re.compile("assignee=me"))
    await expect(page.locator("a[data-id]")).to_have_count(1)
    # "g a" goes to the approvals and assigns nothing.
    await page.locator("a[data-id]").first.focus()
    await page.keyboard.type("ga")
    await page.wait_for_url(re.compile("/approvals"))
    await expect(page.get_by_role("dialog")).to_have_count(0)


async def test_a_conversation_with_hostile_words_is_shown_and_never_run(desk, check_type):
    page = desk.page
    incident = await opened(desk, check_type, details={"deep": {"er": [HOSTILE]}})
    await desk.open(f"incidents/{incident['id']}")
    secret = "ghp_" + uuid4().hex + "abcd"
    await page.get_by_role("textbox", name="Write a comment").fill(f"{HOSTILE} {secret}")
    await page.keyboard.press("Control+Enter")
    comments = page.get_by_role("list", name="Comments on this incident")
    await expect(comments).to_contain_text(HOSTILE[:30])
    assert secret not in await page.content()
    await comments.get_by_role("button", name="Edit").click()
    await comments.get_by_role("textbox", name="Edit").fill("In other words")
    await comments.get_by_role("button", name="Save").click()
    await expect(comments).to_contain_text("In other words")
    await expect(comments).to_contain_text("edited")
    await comments.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(comments).to_contain_text("This comment was deleted.")
    await page.get_by_role("button", name="People", exact=True).click()
    await expect(page.get_by_text("Comment deleted")).to_be_visible()
    assert await page.evaluate("window.taken") is None
    await assert_accessible(page)


async def test_somebody_is_named_in_a_comment_by_keyboard(desk, check_type):
    page = desk.page
    incident = await opened(desk, check_type)
    name = f"Ines {uuid4().hex[:6]}"
    person = {"email": f"{uuid4().hex[:8]}@example.org", "name": name, "role": "operator"}
    made = (await desk.api.post("/users", json=person)).json()
    await desk.open(f"incidents/{incident['id']}")
    field = page.get_by_role("textbox", name="Write a comment")
    await field.click()
    await page.keyboard.type(f"ann@example.org knows, or @{name[:8]}")
    named = page.get_by_role("option", name=name)
    await expect(named).to_have_attribute("aria-selected", "true")
    await assert_accessible(page)
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("option")).to_have_count(0)
    await field.fill("")
    await page.keyboard.type("Ask @ines")
    await expect(named).to_be_visible()
    while await named.get_attribute("aria-selected") != "true":
        await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(field).to_have_value(f"Ask @{name} ")
    await page.keyboard.type("about it")
    await page.keyboard.press("Control+Enter")
    comment = page.get_by_role("list", name="Comments on this incident").get_by_role("listitem")
    await expect(comment).to_contain_text(f"Ask @{name} about it")
    await expect(comment).to_contain_text(f"to {name}")
    (kept,) = (await desk.api.get(f"/incidents/{incident['id']}/comments")).json()["items"]
    assert kept["mentions"] == [made["id"]]


async def test_incidents_are_linked_merged_and_taken_apart(desk, check_type):
    page = desk.page
    one, other = await opened(desk, check_type, summary=HOSTILE), await opened(desk, check_type)
    await desk.open(f"incidents/{one['id']}")
    await page.get_by_role("button", name="Link", exact=True).click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_role("combobox", name="This incident").select_option("caused_by")
    await dialog.get_by_role("textbox", name="The other incident").fill(str(other["number"]))
    await dialog.get_by_role("button", name=f"#{other['number']}").click()
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Link", exact=True).click()
    await expect(page.get_by_text("caused by", exact=True)).to_be_visible()

    await page.get_by_role("button", name="Merge / Split").click()
    await page.get_by_role("menuitem", name="Merge…").click()
    await expect(dialog).to_contain_text("takes the graver of the two severities")
    await dialog.get_by_role("textbox", name="The other incident").fill(str(other["number"]))
    await dialog.get_by_role("button", name=f"#{other['number']}").click()
    await dialog.get_by_role("textbox", name="Reason").fill("The same cause")
    await dialog.get_by_role("button", name="Merge", exact=True).click()
    await expect(page.get_by_text(f"This incident was merged into #{other['number']}")).to_be_visible()
    await expect(page.get_by_role("button", name="Reopen")).to_have_count(0)
    await page.get_by_role("button", name="Merge / Split").click()
    await page.get_by_role("menuitem", name="Take the merge back").click()
    await dialog.get_by_role("textbox", name="Reason").fill("It was not")
    await dialog.get_by_role("button", name="Take the merge back").click()
    await expect(page.get_by_text(f"This incident was merged into #{other['number']}")).to_have_count(0)
    await expect(page.get_by_role("button", name="Resolve")).to_be_visible()
    assert await page.evaluate("window.taken") is None


async def test_a_report_is_split_off_into_an_incident_of_its_own(desk, check_type):
    page = desk.page
    incident = await opened(desk, check_type)
    await desk.report(**incident["told"])
    await desk.open(f"incidents/{incident['id']}")
    await expect(page.get_by_text("2 occurrences")).to_be_visible()
    await page.get_by_role("button", name="Merge / Split").click()
    await page.get_by_role("menuitem", name="Split…").click()
    dialog = page.get_by_role("dialog")
    boxes = dialog.get_by_role("checkbox")
    await expect(boxes).to_have_count(2)
    await boxes.first.check()
    await expect(dialog).to_contain_text("A new incident opens with the 1 chosen report")
    await boxes.last.check()
    await expect(dialog).to_contain_text("At least one report must stay.")
    await boxes.last.uncheck()
    name = f"Split off {uuid4().hex[:6]}"
    await dialog.get_by_role("textbox", name="What the new incident is called").fill(name)
    await dialog.get_by_role("textbox", name="Reason").fill("Another cause")
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Split", exact=True).click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    await expect(page.get_by_text("Another cause").first).to_be_visible()


async def test_who_decided_on_an_old_look_is_told_what_changed(desk, check_type):
    page = desk.page
    incident = await opened(desk, check_type)
    await desk.open(f"incidents/{incident['id']}")
    await page.get_by_role("button", name="Close", exact=True).click()
    await page.get_by_role("textbox", name="Reason").fill("Nothing to see")
    await page.route("**/api/v1/incidents/*", lambda route: route.abort())
    assert (
        await desk.api.post(f"/incidents/{incident['id']}/resolve", json={"reason": "Faster"})
    ).status_code == 202
    await page.get_by_role("dialog").get_by_role("button", name="Close", exact=True).last.click()
    await expect(page.get_by_role("alert")).to_contain_text("incident.resolved by")
    await page.unroute("**/api/v1/incidents/*")


async def test_the_screens_fit_with_words_that_never_end_and_print_without_their_buttons(desk, check_type):
    page = desk.page
    incident = await opened(desk, check_type, summary="x" * 300, labels={"room": "y" * 200})
    await desk.open(f"incidents?check_type={check_type}")
    await page.get_by_role("checkbox", name=f"Choose incident {incident['number']}").check()
    await expect(page.get_by_role("toolbar")).to_be_visible()
    await assert_good_in_every_view(page)
    await desk.open(f"incidents/{incident['id']}")
    await expect(page.get_by_role("textbox", name="Write a comment")).to_be_visible()
    await assert_good_in_every_view(page)
    await page.emulate_media(media="print")
    await expect(page.get_by_role("textbox", name="Write a comment")).to_be_hidden()
    await expect(page.get_by_role("button", name="Resolve")).to_be_hidden()
