"""The way in and the settings in real Chromium: invitation, second factors, passkeys, sessions, people, roles, keys."""

import re
from uuid import uuid4

import httpx
import pyotp
from playwright.async_api import expect
from tests.console.conftest import PASSWORD, PATIENCE_MS, SLUG, TENANT, sign_in
from tests.console.looking import assert_accessible, assert_good_in_every_view

from fettle.kernel.clock import utcnow

NEW_PASSWORD = "quite another set of words"


async def join(desk, stranger, email, role="tenant_admin"):
    """Make an account by an invitation and sign in with it, all in the console."""
    await stranger.goto(await desk.link_of_invitation(email, role))
    await stranger.get_by_label("Your name").fill("Ann Example")
    await stranger.get_by_label("New password", exact=False).first.fill(PASSWORD)
    await stranger.get_by_label("once more").fill(PASSWORD)
    await stranger.get_by_role("button", name="Accept the invitation").click()
    await expect(stranger.get_by_role("heading", name=f"You belong to {TENANT}")).to_be_visible()
    await stranger.goto(f"/t/{SLUG}/settings/security")
    await sign_in(stranger, email, PASSWORD)
    await expect(stranger.get_by_role("heading", name="Security", exact=True)).to_be_visible()


async def sign_out(page):
    await page.get_by_role("button", name="You", exact=True).click()
    await page.get_by_role("menuitem", name="Sign out").click()
    await expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


async def turn_on_app(page):
    """Set up an authenticator app and return its secret and the recovery codes."""
    await page.get_by_role("button", name="Set up an authenticator app").click()
    dialog = page.get_by_role("dialog")
    await expect(dialog.get_by_role("img", name="QR code for the authenticator app")).to_be_visible()
    await assert_accessible(page)
    secret = (await dialog.locator("code").first.inner_text()).replace(" ", "")
    await dialog.get_by_label("Code that the app shows now").fill("000000")
    await dialog.get_by_role("button", name="Turn it on").click()
    await expect(dialog.get_by_label("Code that the app shows now")).to_have_value("")
    await dialog.get_by_label("Code that the app shows now").fill(pyotp.TOTP(secret).now())
    await dialog.get_by_role("button", name="Turn it on").click()
    codes = page.get_by_role("list", name="Recovery codes").get_by_role("listitem")
    await expect(codes).to_have_count(10)
    shown = await codes.all_inner_texts()
    await assert_accessible(page)
    async with page.expect_download() as started:
        await page.get_by_role("button", name="Download").click()
    kept = (await (await started.value).path()).read_text()
    assert all(code in kept for code in shown)
    await page.get_by_role("button", name="I have kept them").click()
    await expect(page.get_by_role("button", name="Remove the app")).to_be_visible()
    return secret, shown


async def test_an_invitation_becomes_an_account_whose_second_factor_is_asked_for(desk, stranger):
    email = f"ann-{uuid4().hex[:8]}@example.org"
    await join(desk, stranger, email)
    assert "token" not in stranger.url
    secret, codes = await turn_on_app(stranger)
    await sign_out(stranger)
    await sign_in(stranger, email, PASSWORD)
    await expect(stranger.get_by_role("heading", name="Second step")).to_be_visible()
    await assert_good_in_every_view(stranger)  # the last of them is as narrow as a telephone
    await stranger.get_by_label("Code of the app").fill("000000")
    await expect(stranger.get_by_role("alert")).to_contain_text("That was not right")
    await stranger.get_by_role("button", name="Use a recovery code instead").click()
    await stranger.get_by_label("Recovery code").fill(codes[0])
    await stranger.get_by_role("button", name="Go on").click()
    await expect(stranger.get_by_role("heading", name="Security", exact=True)).to_be_visible()
    await expect(stranger.get_by_text("9 recovery codes are left.")).to_be_visible()
    await sign_out(stranger)
    await sign_in(stranger, email, PASSWORD)
    # The code that turned the app on is spent, so the next one is shown; platforms allow one step of drift.
    await stranger.get_by_label("Code of the app").fill(pyotp.TOTP(secret).at(utcnow(), 1))
    await expect(stranger.get_by_role("heading", name="Security", exact=True)).to_be_visible()


async def test_a_passkey_is_added_and_signs_in_alone(desk, stranger):
    email = f"kay-{uuid4().hex[:8]}@example.org"
    devtools = await stranger.context.new_cdp_session(stranger)
    await devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})
    await join(desk, stranger, email)
    await stranger.get_by_role("button", name="Add a passkey").click()
    await stranger.get_by_label("Name of the passkey").fill("Laptop")
    await stranger.get_by_role("button", name="Go on").click()
    await expect(stranger.get_by_role("list", name="Recovery codes")).to_be_visible()
    await stranger.get_by_role("button", name="I have kept them").click()
    await expect(stranger.get_by_role("button", name="Rename “Laptop”")).to_be_visible()
    await assert_accessible(stranger)
    await sign_out(stranger)
    await stranger.get_by_role("button", name="Use a passkey").click()
    await expect(stranger.get_by_role("heading", name="Security", exact=True)).to_be_visible()
    await sign_out(stranger)
    await sign_in(stranger, email, PASSWORD)
    await expect(stranger.get_by_role("heading", name="Second step")).to_be_visible()
    await stranger.get_by_role("button", name="Use a passkey", exact=True).click()
    await expect(stranger.get_by_role("heading", name="Security", exact=True)).to_be_visible()


async def test_a_session_that_is_ended_elsewhere_comes_back_to_the_same_page(desk, stranger, owner):
    email = f"eve-{uuid4().hex[:8]}@example.org"
    await join(desk, stranger, email)
    async with httpx.AsyncClient(base_url=f"{owner.url}/api/v1", timeout=60) as other:
        answer = await other.post("/auth/login", json={"email": email, "password": PASSWORD})
        other.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        await stranger.reload()
        ended = stranger.get_by_role("button", name=re.compile("End the session of"))
        await expect(ended.first).to_be_visible()
        await stranger.goto(f"/t/{SLUG}/audit?action=session.started")
        await expect(stranger.get_by_role("heading", name="Audit")).to_be_visible()
        assert (await other.post("/me/sessions/end-others")).json()["ended"] >= 1
    await expect(stranger.get_by_role("heading", name="Sign in")).to_be_visible(timeout=2 * PATIENCE_MS)
    await expect(stranger.get_by_text("Your session has ended")).to_be_visible()
    await sign_in(stranger, email, PASSWORD)
    await expect(stranger.get_by_role("heading", name="Audit")).to_be_visible()
    assert stranger.url.endswith("/audit?action=session.started")


async def test_a_tenant_that_asks_for_a_second_factor_offers_to_set_one_up(desk, stranger, owner):
    await owner.make_tenant("Cedar Labs", f"cedar-{uuid4().hex[:6]}")
    cedar = (await desk.api.get("/tenants", params={"q": "Cedar Labs"})).json()["items"][0]
    there = {"X-Tenant-ID": cedar["id"]}
    email = f"max-{uuid4().hex[:8]}@example.org"
    made = await desk.api.post(
        "/users", json={"email": email, "name": "Max", "role": "viewer"}, headers=there
    )
    assert made.status_code == 201, made.text
    policy = {"require_mfa": True, "session_hours": None, "allowed_sign_in": ["password", "passkey"]}
    set_to = await desk.api.put(f"/tenants/{cedar['id']}/security", json=policy, headers=there)
    assert set_to.status_code == 200, set_to.text
    first = made.json()["one_time_password"]
    await stranger.goto(f"/t/{cedar['slug']}/overview")
    await sign_in(stranger, email, first)
    await expect(stranger.get_by_label("One-time password")).to_be_visible()
    await assert_good_in_every_view(stranger)
    await stranger.get_by_label("One-time password").fill(first)
    await stranger.get_by_label("New password", exact=False).first.fill(NEW_PASSWORD)
    await stranger.get_by_label("once more").fill(NEW_PASSWORD)
    await stranger.get_by_role("button", name="Set the password").click()
    await expect(stranger.get_by_role("heading", name="This tenant asks for a second factor")).to_be_visible()
    await assert_accessible(stranger)
    await stranger.get_by_role("button", name="Set up an authenticator app").click()
    dialog = stranger.get_by_role("dialog")
    secret = (await dialog.locator("code").first.inner_text()).replace(" ", "")
    await dialog.get_by_label("Code that the app shows now").fill(pyotp.TOTP(secret).now())
    await dialog.get_by_role("button", name="Turn it on").click()
    await stranger.get_by_role("button", name="I have kept them").click()
    await expect(stranger.get_by_role("heading", name="Overview", exact=True)).to_be_visible()


async def test_people_are_invited_and_get_a_role_of_the_tenants_own(desk):
    page = desk.page
    role = f"night-{uuid4().hex[:6]}"
    await desk.open("settings/roles")
    await page.get_by_role("button", name="Make a role").click()
    await page.get_by_role("textbox", name="Name").fill(role)
    await page.get_by_role("checkbox", name="incidents:read").check()
    await page.get_by_role("checkbox", name="incidents:write").check()
    await assert_accessible(page)
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_role("button", name=f"Edit “{role}”")).to_be_visible()
    email = f"bob-{uuid4().hex[:8]}@example.org"
    await desk.open("settings/users")
    await page.get_by_role("button", name="Invite somebody").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("E-mail").fill(email)
    await dialog.get_by_label("Role").select_option(role)
    await dialog.get_by_role("button", name="Invite somebody").click()
    await expect(dialog).to_contain_text("Nothing was mailed")
    assert "/invitation#token=" in await dialog.locator("pre").inner_text()
    await assert_accessible(page)
    await page.keyboard.press("Escape")
    waiting = page.get_by_role("row").filter(has_text=email)
    await expect(waiting).to_be_visible()
    await waiting.get_by_role("button", name="Withdraw").click()
    await page.get_by_role("dialog").get_by_role("button", name="Withdraw").click()
    await expect(waiting).to_have_count(0)
    await desk.open("settings/roles")
    await page.get_by_role("button", name=f"Delete “{role}”").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(page.get_by_role("button", name=f"Edit “{role}”")).to_have_count(0)


async def test_people_of_a_partner_are_invited_given_a_role_and_taken_out(desk):
    page = desk.page
    slug = f"north-{uuid4().hex[:8]}"
    made = await desk.api.post("/partners", json={"name": slug, "slug": slug})
    assert made.status_code == 201, made.text
    email = f"cleo-{uuid4().hex[:8]}@example.org"
    person = {"email": email, "name": "Cleo", "role": "viewer"}
    answer = await desk.api.post(f"/partners/{made.json()['id']}/members", json=person)
    assert answer.status_code == 201, answer.text
    await desk.open("settings/tenants")
    partner = page.get_by_role("listitem").filter(has_text=slug)
    await partner.get_by_text("Its people").click()
    await partner.get_by_role("button", name=f"Invite somebody to {slug}").click()
    dialog = page.get_by_role("dialog")
    invited = f"dan-{uuid4().hex[:8]}@example.org"
    await dialog.get_by_label("E-mail").fill(invited)
    await dialog.get_by_label("Role").select_option("operator")
    await dialog.get_by_role("button", name="Invite somebody").click()
    await expect(dialog).to_contain_text("Nothing was mailed")
    await page.keyboard.press("Escape")
    await expect(partner.get_by_role("row").filter(has_text=invited)).to_be_visible()
    await assert_accessible(page)
    await partner.get_by_role("combobox", name="Role of Cleo").select_option("analyst")
    await expect(page.get_by_text("Cleo is Analyst now")).to_be_visible()
    await partner.get_by_role("button", name="Remove Cleo").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    await expect(partner.get_by_role("button", name="Remove Cleo")).to_have_count(0)
    email = f"mo-{uuid4().hex[:8]}@example.org"
    joined = await desk.api.post("/users", json={"email": email, "name": "Mo", "role": "viewer"})
    assert joined.status_code == 201, joined.text
    await page.get_by_role("searchbox", name="Name or e-mail").fill(email)
    await page.get_by_role("button", name=f"Remove second factors of {email}").click()
    await page.get_by_role("dialog").get_by_role("button", name="Remove second factors").click()
    await expect(page.get_by_text(f"{email} has no second factor any more")).to_be_visible()
    await desk.open("settings/users")
    await page.get_by_role("searchbox", name="Name or e-mail").fill(email)
    await page.get_by_role("button", name="Remove second factors of Mo").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("The phone was stolen.")
    await assert_accessible(page)
    await dialog.get_by_role("button", name="Remove second factors").click()
    await expect(page.get_by_text("Mo has no second factor any more")).to_be_visible()
    await desk.open("settings/data")
    await expect(page.get_by_text("No tenant was erased.")).to_be_visible()
    await expect(page.get_by_text("Who may: Partner admin, Tenant admin").first).to_be_visible()
    await page.get_by_role("button", name="Export everything").click()
    await expect(page.get_by_role("button", name="Download")).to_be_visible()
    await assert_accessible(page)


async def test_a_key_is_rotated_and_the_old_secret_lives_on_for_a_while(desk):
    page = desk.page
    name = f"rotated {uuid4().hex[:6]}"
    made = (await desk.api.post("/api-keys", json={"name": name, "scopes": ["exceptions:write"]})).json()
    await desk.open("settings/keys")
    await page.get_by_role("button", name=f"Rotate “{name}”").click()
    await page.get_by_role("dialog").get_by_role("button", name="Rotate").click()
    fresh = (await page.get_by_role("dialog").locator("pre").first.inner_text()).strip()
    assert fresh.startswith("ftl_")
    assert fresh != made["secret"]
    await page.get_by_role("button", name="I have kept it").click()
    await expect(page.get_by_role("row").filter(has_text=name)).to_contain_text(
        "the secret before works until"
    )
    for secret in (made["secret"], fresh):
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {secret}"}, timeout=60) as sender:
            sent = {"check_type": "console_rotation", "summary": "sent"}
            assert (await sender.post(f"{desk.url}/api/v1/exceptions", json=sent)).status_code == 202


async def test_faults_stand_at_the_field_and_say_what_to_do(desk):
    page = desk.page
    await desk.open("settings/tenants")
    await page.get_by_role("button", name="Make a tenant").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Name", exact=False).first.fill("Twice")
    await dialog.get_by_label("Short name").fill("Not A Slug")
    await dialog.get_by_role("button", name="Save").click()
    await expect(dialog.get_by_role("alert")).to_contain_text("/slug")
    await expect(dialog.get_by_label("Short name")).to_have_attribute("aria-invalid", "true")
    await assert_accessible(page)


async def test_pages_before_the_sign_in_are_accessible_and_fit(stranger):
    for path in ("/", "/forgot-password", "/reset-password#token=gone", "/invitation#token=gone"):
        await stranger.goto("about:blank")
        await stranger.goto(path)
        await expect(stranger.get_by_role("heading").first).to_be_visible()
        await expect(stranger.get_by_label("Loading")).to_have_count(0)
        await assert_good_in_every_view(stranger)
        assert "gone" not in stranger.url
    await stranger.goto("/forgot-password")
    await stranger.get_by_label("E-mail").fill("nobody@example.org")
    await stranger.get_by_role("button", name="Send the link").click()
    await expect(stranger.get_by_text("If there is an account for nobody@example.org")).to_be_visible()
