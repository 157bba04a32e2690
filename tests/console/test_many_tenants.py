"""Whoever has more tenants than are told at once finds each by its name, and pages through all of them."""

import asyncpg
import pytest_asyncio
from playwright.async_api import expect
from tests.console.conftest import SLUG
from tests.console.looking import assert_accessible

from fettle.central.embedded import postgres_url, socket_folder
from fettle.identity.own_tenants import FIRST
from fettle.kernel.ids import new_id

MANY = FIRST + 30


@pytest_asyncio.fixture(loop_scope="session")
async def many_tenants(owner, running_platform):
    """So many tenants that the first page of them is not all; they are gone for the tests that follow."""
    rows = [(new_id(), f"Yew Practice {number:03}", f"yew-practice-{number:03}") for number in range(MANY)]
    connection = await asyncpg.connect(postgres_url(socket_folder(running_platform.home), "postgres"))
    try:
        await connection.executemany("INSERT INTO tenants (id, name, slug) VALUES ($1, $2, $3)", rows)
        yield
        await connection.execute("DELETE FROM tenants WHERE id = ANY($1)", [row[0] for row in rows])
    finally:
        await connection.close()


async def test_of_more_tenants_than_are_told_at_once_each_is_found_and_all_can_be_paged_through(
    desk, many_tenants
):
    page = desk.page
    await desk.open("overview")
    await page.get_by_role("button", name="Switch").click()
    options, search = page.get_by_role("option"), page.get_by_role("combobox", name="Tenants")
    more = options.filter(has_text="More tenants")
    await expect(more).to_be_visible()
    await assert_accessible(page)
    shown = await options.count()
    assert shown < MANY
    await search.press("End")
    await expect(page.get_by_role("option", selected=True)).to_contain_text("More tenants")
    await search.press("Enter")
    await expect(options.nth(shown)).to_be_visible()
    last = f"Yew Practice {MANY - 1:03}"
    await search.fill(last.lower())
    await expect(options).to_have_count(1)
    await expect(options).to_contain_text(last)
    await search.fill("yew practice of nobody")
    await expect(page.get_by_text("No tenant of yours is called so.")).to_be_visible()
    await search.fill(last[-3:])
    await expect(options).to_have_count(1)
    await search.press("Enter")
    await page.wait_for_url(f"**/t/yew-practice-{MANY - 1:03}/overview")
    await expect(page.get_by_role("button", name="Switch")).to_contain_text(last)
    await desk.open("overview")
    await expect(page).to_have_url(f"{desk.url}/t/{SLUG}/overview")
