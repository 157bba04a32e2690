"""People other than the owner: one who comes through their organisation's provider, and one who may only look."""

import re
from pathlib import Path
from uuid import uuid4

import pytest_asyncio
from playwright.async_api import expect
from tests.console.conftest import PASSWORD, SLUG, sign_in
from tests.console.looking import go, incident_of, until
from tests.openid.running import CLIENT_ID, CLIENT_SECRET, openid_provider

PRESSING = Path(__file__).with_name("pressing.js")
LEAVES_ONESELF_OUT = {f"/t/{SLUG}/settings/security", f"/t/{SLUG}/settings/profile"}
"""What is about the viewer's own account is theirs to do, and may end the very session that looks."""


@pytest_asyncio.fixture
async def provider(owner, provider_port):
    """A provider that runs on loopback and knows this platform by the address that the browser uses."""
    callback = f"{owner.url.replace('127.0.0.1', 'localhost')}/api/v1/auth/oidc/callback"
    async with openid_provider(port=provider_port, redirect_uris=[callback]) as running:
        yield running


async def at_the_provider(page, provider, login):
    """Sign in at the provider, and let it tell us who one is."""
    await page.route(
        re.compile("^https:"), lambda route: route.abort()
    )  # its page wants letters from elsewhere
    await page.wait_for_url(f"{provider.issuer}/interaction/**")
    await page.locator("[name=login]").fill(login)
    await page.locator("[name=password]").fill("of no importance")
    await page.get_by_role("button", name="Sign-in").click()
    await page.get_by_role("button", name="Continue").click()


async def test_people_come_in_through_their_organisations_provider_with_the_role_that_it_gives(
    desk, stranger, browser, provider
):
    domain = f"{uuid4().hex[:8]}.example"
    declared = {
        "name": f"Sign-on of {domain}",
        "issuer": provider.issuer,
        "client_id": CLIENT_ID,
        "client_secret": CLIENT_SECRET,
        "role_mapping": {"keepers": "operator"},
        "email_domains": [domain],
    }
    made = await desk.api.post("/identity-providers", json=declared)
    assert made.status_code == 201, made.text
    for name, role in (("ann", "keepers"), ("nobody", "guests")):
        said = {"name": name.title(), "email": f"{name}@{domain}", "email_verified": True}
        await provider.knows(name, **said, realm_access={"roles": [role]})

    await stranger.goto(f"/t/{SLUG}/incidents?state=escalated")
    await stranger.get_by_label("E-mail").fill(f"ann@{domain}")
    await stranger.get_by_role("link", name=f"Sign in with {declared['name']}").click()
    await at_the_provider(stranger, provider, "ann")
    await stranger.wait_for_url(f"http://localhost:*/t/{SLUG}/incidents?state=escalated")
    await expect(stranger.get_by_role("heading", name="Incidents", exact=True)).to_be_visible()
    await expect(stranger.get_by_role("link", name="Policy", exact=True)).to_be_visible()
    await stranger.reload()
    await expect(stranger.get_by_role("status").filter(has_text="Live")).to_be_visible()
    await stranger.get_by_role("button", name="You", exact=True).click()
    await expect(stranger.get_by_role("menu")).to_contain_text(f"ann@{domain}")
    (member,) = (await desk.api.get("/users", params={"q": f"ann@{domain}"})).json()["items"]
    assert member["role"] == "operator"
    await stranger.get_by_role("menuitem", name="Sign out").click()
    await expect(stranger.get_by_role("button", name="Sign in", exact=True)).to_be_visible()

    other = await browser.new_context(base_url=stranger.url.partition("/t/")[0])
    refused = await other.new_page()
    await refused.goto(f"/t/{SLUG}/incidents")
    await refused.get_by_label("E-mail").fill(f"nobody@{domain}")
    await refused.get_by_role("link", name=f"Sign in with {declared['name']}").click()
    await at_the_provider(refused, provider, "nobody")
    await expect(refused.get_by_text("has given you no role here")).to_be_visible()
    assert not [one for one in await other.cookies() if one["name"] == "fettle_refresh"]
    await other.close()


PRESS = "address => pressing.pressEverything(address)"
OFFERED = "[...document.querySelectorAll('a[href]')].map(link => link.pathname)"
PATTERN = "path => __TSR_ROUTER__.matchRoutes(path, {}).at(-1).fullPath"
QUIET = "pressing.state.underWay === 0"


async def test_a_viewer_is_refused_nothing_of_all_that_they_are_shown(desk, stranger):
    exception = await desk.report(check_type="console_viewer", host="seen", summary="Only looked at")
    await incident_of(desk, exception)
    email = await desk.member("viewer")
    await stranger.add_init_script(path=PRESSING)
    await stranger.goto(f"/t/{SLUG}/overview")
    await sign_in(stranger, email, PASSWORD)
    await expect(stranger.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
    seen, waiting = set(), [f"/t/{SLUG}/overview"]
    while waiting:
        address = waiting.pop(0)
        pattern = await stranger.evaluate(PATTERN, address)
        if pattern in seen or not address.startswith(f"/t/{SLUG}/"):
            continue
        seen.add(pattern)
        await stranger.evaluate("address => { pressing.state.at = address; }", address)
        await go(stranger, address)
        waiting += await stranger.evaluate(OFFERED)
        while address not in LEAVES_ONESELF_OUT and not await stranger.evaluate(PRESS, address):
            await go(stranger, address)
        await until(stranger, QUIET)
    assert await stranger.evaluate("pressing.state.refused") == []
    pressed = await stranger.evaluate("[...pressing.state.pressed]")
    assert len(pressed) > 40, pressed
    assert {
        f"/t/$tenant/{path}" for path in ("incidents/$incidentId", "rules/$ruleId", "settings/roles")
    } <= seen
    assert not [path for path in seen if path.endswith("/new")]
