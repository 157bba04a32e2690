"""A running platform and a real Chromium that looks at its console."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, Request, async_playwright, expect
from tests.cli.running import Fettle
from tests.ports import free_port

CONSOLE = Path(__file__).resolve().parents[2] / "console"
PASSWORD = "several unrelated words"
TENANT = "Alder Clinic"
SLUG = "alder-clinic"
PATIENCE_MS = 60_000
# Some changes ask for a sign-in of the last ten minutes.
RECENT_SECONDS = 240
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Owner:
    """The owner's account after its first sign-in, and what the console showed on the way."""

    email: str
    url: str
    seen: list[str] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    good_until: float = 0

    async def session(self, client: httpx.AsyncClient) -> dict[str, str]:
        """Return the headers of a request in the tenant, of a sign-in over the API that is recent."""
        if monotonic() >= self.good_until:
            self.headers = await self._sign_in(client)
            self.good_until = monotonic() + RECENT_SECONDS
        return dict(self.headers)

    async def make_tenant(self, name: str, slug: str) -> None:
        """Make another tenant of the owner's over the API."""
        async with httpx.AsyncClient(base_url=f"{self.url}/api/v1", timeout=60) as client:
            headers = await self.session(client)
            del headers["X-Tenant-ID"]
            made = await client.post("/tenants", json={"name": name, "slug": slug}, headers=headers)
            assert made.status_code == 201, made.text

    async def _sign_in(self, client: httpx.AsyncClient) -> dict[str, str]:
        answer = await client.post(
            f"{self.url}/api/v1/auth/login", json={"email": self.email, "password": PASSWORD}
        )
        answer.raise_for_status()
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
        me = (await client.get(f"{self.url}/api/v1/me", headers=headers)).json()
        tenant = next(tenant for tenant in me["tenants"] if tenant["slug"] == SLUG)
        return {**headers, "X-Tenant-ID": tenant["id"]}


@dataclass
class Desk:
    """A page of the console, with all that went wrong on it."""

    page: Page
    url: str
    api: httpx.AsyncClient
    faults: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note what must never happen: errors of scripts, refusals of the page's policy, requests elsewhere."""
        self.page.on("pageerror", lambda error: self.faults.append(f"script error: {error}"))
        self.page.on("console", lambda message: self._heard(message.text))
        self.page.on("request", self._asked)

    async def open(self, path: str) -> None:
        """Open a page of the tenant, and wait until nothing on it will move for want of data."""
        await self.page.goto(f"{self.url}/t/{SLUG}/{path}")
        await self.settled()

    async def settled(self) -> None:
        """Wait until all that the page first shows is there: what is pressed while panels grow is missed."""
        await expect(self.page.locator("h1, [role=alert]").first).to_be_visible()
        await expect(self.page.locator(".mantine-Skeleton-root")).to_have_count(0)

    async def report(self, **exception: Any) -> str:
        """Report an exception through the API and return its id."""
        answer = await self.api.post("/exceptions", json=exception)
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    async def live(self) -> None:
        """Wait until the page is told what happens."""
        await expect(self.page.get_by_role("status").filter(has_text="Live")).to_be_visible()

    async def link_of_invitation(self, email: str, role: str) -> str:
        """Invite somebody and return the path of the link that was shown."""
        made = await self.api.post("/invitations", json={"email": email, "role": role})
        assert made.status_code == 201, made.text
        parts = urlsplit(made.json()["link"])
        return f"{parts.path}#{parts.fragment}"

    async def member(self, role: str) -> str:
        """Make a member of the tenant with the tests' password, and return their address."""
        email = f"{role}-{uuid4().hex[:8]}@example.org"
        token = (await self.link_of_invitation(email, role)).partition("token=")[2]
        joining = {"token": token, "name": role.title(), "password": PASSWORD}
        joined = await self.api.post("/auth/invitations/accept", json=joining)
        assert joined.status_code < 300, joined.text
        return email

    def _heard(self, text: str) -> None:
        if "Content Security Policy" in text:
            self.faults.append(text)

    def _asked(self, request: Request) -> None:
        parts = urlsplit(request.url)
        if parts.scheme not in {"blob", "data"} and parts.netloc != urlsplit(self.url).netloc:
            self.faults.append(f"asked another host: {request.url}")


@pytest.fixture(scope="session")
def provider_port() -> int:
    """Where the platform may find an OpenID provider."""
    return free_port()


@pytest_asyncio.fixture(scope="session")
async def running_platform(provider_port: int) -> AsyncIterator[Fettle]:
    """A platform that `fettle up` started on free ports, in a home of its own."""
    if not (CONSOLE / "dist" / "index.html").is_file():
        pytest.fail("The console is not built. Run `make setup` first.")
    with tempfile.TemporaryDirectory(prefix="fettle-test-") as folder:
        # Packs of the tests carry no signature.
        settings = {
            "FETTLE_PACKS_ALLOW_UNSIGNED": "true",
            "FETTLE_EGRESS_ALLOW": f"127.0.0.1:{provider_port}",
        }
        platform = Fettle(Path(folder), free_port(), settings=settings)
        await platform.up()
        yield platform
        await platform.down()


@pytest_asyncio.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Debian's Chromium."""
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.fail("There is no chromium. Run `make system-packages` first.")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=QUIET)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(scope="session")
async def owner(running_platform: Fettle, browser: Browser) -> Owner:
    """The owner, who signed in with the one-time password, chose another and created a tenant, all in the console."""
    ready = next(told for told in running_platform.told if told.get("event") == "ready")
    owner = Owner(ready["owner"], running_platform.url)
    context = await browser.new_context()
    page = await context.new_page()
    await page.goto(f"{owner.url}/t/{SLUG}/rules")
    await sign_in(page, owner.email, "not the password")
    owner.seen.append(await page.get_by_role("alert").inner_text())
    await sign_in(page, owner.email, ready["one_time_password"])
    await page.get_by_label("One-time password").fill(ready["one_time_password"])
    owner.seen.append(await page.locator("body").inner_text())
    await page.get_by_label("New password", exact=False).first.fill(PASSWORD)
    await page.get_by_label("once more").fill(PASSWORD)
    await page.get_by_role("button", name="Set the password").click()
    await expect(page.get_by_text(f"There is no tenant “{SLUG}” for you")).to_be_visible()
    await page.goto(f"{owner.url}/")
    await page.get_by_label("Name of the tenant").fill(TENANT)
    owner.seen.append(await page.locator("body").inner_text())
    await page.get_by_role("button", name="Create the tenant").click()
    await page.wait_for_url(f"**/t/{SLUG}/overview")
    await expect(page.get_by_text("Nothing is out of order")).to_be_visible()
    owner.seen.append(await page.locator("body").inner_text())
    await context.close()
    return owner


@pytest_asyncio.fixture
async def context(owner: Owner, browser: Browser) -> AsyncIterator[BrowserContext]:
    """A browser of its own whose person is signed in."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, reduced_motion="reduce")
    answer = await context.request.post(
        f"{owner.url}/api/v1/auth/login", data={"email": owner.email, "password": PASSWORD}
    )
    assert answer.ok
    yield context
    await context.close()


@pytest_asyncio.fixture
async def stranger(owner: Owner, browser: Browser) -> AsyncIterator[Page]:
    """A page of a browser in which nobody is signed in, at the name to which passkeys can belong."""
    context = await browser.new_context(
        viewport={"width": 1440, "height": 900},
        reduced_motion="reduce",
        base_url=owner.url.replace("127.0.0.1", "localhost"),
    )
    yield await context.new_page()
    await context.close()


@pytest_asyncio.fixture
async def desk(context: BrowserContext, owner: Owner) -> AsyncIterator[Desk]:
    """A page of the console of somebody who is signed in; at the end nothing may have gone wrong on it."""
    async with httpx.AsyncClient(base_url=f"{owner.url}/api/v1", timeout=60) as api:
        api.headers.update(await owner.session(api))
        desk = Desk(await context.new_page(), owner.url, api)
        desk.page.set_default_timeout(PATIENCE_MS)
        desk.watch()
        yield desk
        assert desk.faults == []


async def sign_in(page: Page, email: str, password: str) -> None:
    """Sign in as one does who has no second factor, or begin to."""
    await page.get_by_label("E-mail").fill(email)
    await page.get_by_role("textbox", name="Password").fill(password)
    await page.get_by_role("button", name="Sign in").click()
