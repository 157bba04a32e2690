"""How the console's tests look at a page: what axe finds on it, whether it fits, in every width and colour scheme."""

import asyncio
import re
from typing import Any

from playwright.async_api import Locator, Page, expect
from tests.cli.running import eventually
from tests.console.conftest import CONSOLE, Desk

HOSTILE = '<img src=x onerror="window.taken=1"><script>window.taken=1</script>{{7*7}}${window.taken=1}'
VIEWS = [(1440, "light"), (1440, "dark"), (1024, "dark"), (390, "dark"), (390, "light")]
HEIGHT = 844
LAID_OUT_SECONDS = 30
PAUSE_SECONDS = 0.02

_AXE = (CONSOLE / "node_modules" / "axe-core" / "axe.min.js").read_text()
_SERIOUS = """within => axe.run(within, {preload: false, resultTypes: ['violations']}).then(({violations}) => violations
  .filter(({impact}) => impact === 'serious' || impact === 'critical')
  .map(({id, nodes}) => [id, nodes.slice(0, 3).map(({html}) => html.slice(0, 200))]))"""
_FITS = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
_TOO_WIDE = """() => [...document.querySelectorAll('body *')]
  .filter(element => element.getBoundingClientRect().right > document.documentElement.clientWidth)
  .slice(0, 5).map(({outerHTML}) => outerHTML.slice(0, 200))"""
_STANDS = """scheme => document.documentElement.dataset.mantineColorScheme === scheme
  && new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"""


def row(desk: Desk, text: str) -> Locator:
    """Return the rows of a table that hold a text."""
    return desk.page.get_by_role("row").filter(has_text=text)


async def incident_of(desk: Desk, exception_id: str) -> str:
    """Return the id of the incident that an exception went to."""

    async def told() -> str | None:
        return (await desk.api.get(f"/exceptions/{exception_id}")).json()["incident_id"]

    return await eventually(told)


async def assert_accessible(page: Page) -> None:
    """Let axe look at the page; nothing that it finds may be serious."""
    found = await serious(page)
    assert found == [], found


async def assert_fits(page: Page) -> None:
    """Nothing may stick out of the page at its side, once it is laid out."""
    assert await sticking_out(page) == []


async def assert_good_in_every_view(page: Page) -> None:
    """Look at the page in every width and scheme; it must fit, and axe may find nothing serious."""
    assert await faults_in_every_view(page) == []


async def faults_in_every_view(page: Page, *, rest: str = "html") -> list[Any]:
    """Return what is wrong with the page, for one who resizes the window and changes the colours.

    Args:
        page: The page.
        rest: What axe looks at in every view but the first, which it looks at whole.
    """
    faults = []
    for width, scheme in VIEWS:
        await page.set_viewport_size({"width": width, "height": HEIGHT})
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        await until(page, _STANDS, scheme)
        within = "html" if (width, scheme) == VIEWS[0] else rest
        found = await sticking_out(page) + await serious(page, within)
        faults += [(width, scheme, *fault) for fault in found]
    return faults


async def serious(page: Page, within: str = "html") -> list[Any]:
    """Return what axe finds serious in a part of the page, with the address of the page."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(_AXE)
    return [(page.url, *found) for found in await page.evaluate(_SERIOUS, within)]


async def sticking_out(page: Page) -> list[Any]:
    """Return what sticks out of the page at its side, once it is laid out."""
    try:
        await until(page, _FITS)
    except TimeoutError:
        return [(page.url, "sticks out", await page.evaluate(_TOO_WIDE))]
    return []


async def until(page: Page, condition: str, given: Any = None) -> None:
    """Wait until something holds on the page, whose policy lets no waiting that evaluates text run inside it.

    Raises:
        TimeoutError: It does not come to hold.
    """
    async with asyncio.timeout(LAID_OUT_SECONDS):
        while not await page.evaluate(condition, given):
            await asyncio.sleep(PAUSE_SECONDS)


async def loaded(page: Page) -> None:
    """Wait until a screen shows what it is about."""
    await expect(page.locator("main h1").first).to_be_visible()
    await expect(page.get_by_label("Loading")).to_have_count(0)


async def screens_of(page: Page, parts: dict[str, str]) -> list[str]:
    """Return the address of every screen that the console's router knows.

    Args:
        page: A page of the console.
        parts: The value of each part of an address that differs from thing to thing.
    """
    paths: list[str] = await page.evaluate(
        "Object.values(__TSR_ROUTER__.routesById)"
        ".filter(({children, options}) => children === undefined && options.component !== undefined)"
        ".map(({fullPath}) => fullPath)"
    )
    unknown = {part for path in paths for part in re.findall(r"\$(\w+)", path)} - parts.keys()
    assert not unknown, f"make one of each of {unknown}, so that its screen is looked at"
    return [re.sub(r"\$(\w+)", lambda part: parts[part[1]], path) for path in paths]


async def go(page: Page, address: str) -> None:
    """Go to another screen of the page that is open, as a link does."""
    await page.evaluate("address => __TSR_ROUTER__.navigate({href: address})", address)
    await loaded(page)
