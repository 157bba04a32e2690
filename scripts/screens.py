"""Makes the screens of the README from a running demo: a platform in a temporary home, its console in Chromium."""
# ruff: noqa: INP001, T201 - a script, not a module of the product; it says what it made

import argparse
import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Final

import httpx
from playwright.async_api import Page, async_playwright

SCREENS: Final = Path(__file__).resolve().parents[1] / "docs" / "screens"
LARGEST_BYTES: Final = 200_000
PATIENCE_SECONDS: Final = 180
PASSWORD: Final = "several unrelated words"  # noqa: S105 - of a platform that is gone a minute later
TENANT: Final = "demo"
HOST: Final = "front-desk-3"
RULE: Final = "DEMO-FIREWALL"

PLAYBOOK: Final = "PB-DEMO-SERVICE"
PLAYBOOK_YAML: Final = f"""\
id: {PLAYBOOK}
title: Bring a service back, and ask before it is restarted
description: Looks first; a person decides about the restart; the check says whether it helped.
steps:
  - id: look
    title: Check what runs
    tool: check.run
    with: {{host: "${{{{ incident.host }}}}", check_type: "${{{{ incident.check_type }}}}"}}
  - id: ask
    title: May it be restarted?
    approve: {{reason: "The service does not answer. Restart it?", by: [operator]}}
  - id: restart
    title: Restart the service
    tool: runbook.run
    with: {{host: "${{{{ incident.host }}}}", runbook_id: RB-LNX-SERVICE-001, parameters: {{service: nginx}}}}
verify:
  tool: check.run
  with: {{host: "${{{{ incident.host }}}}", check_type: "${{{{ incident.check_type }}}}"}}
"""

REPORTED: Final = (
    ("firewall_status", "windows", "front-desk-1", "high", "The firewall of the public profile is off"),
    ("antivirus_definitions", "windows", "front-desk-2", "medium", "Definitions are nine days old"),
    ("disk_encryption", "macos", "surgery-4", "critical", "The system volume is not encrypted"),
    ("backup_age", "linux", "archive", "high", "The last backup is 52 hours old"),
    ("tls_certificate", "network", "gateway", "medium", "The certificate ends in six days"),
    ("firewall_status", "windows", "front-desk-4", "high", "The firewall of the private profile is off"),
)
"""What other hosts of the demo's tenant have to tell: check, platform, host, severity and summary."""


async def main(folder: Path) -> None:
    """Make every screen.

    Args:
        folder: Where they are written.
    """
    with tempfile.TemporaryDirectory(prefix="fettle-screens-") as home:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("FETTLE_")},
            "FETTLE_HOME": home,
            "FETTLE_PORT": str(_free_port()),
        }
        async with _platform(environment) as ready, _demo(environment):
            await _make(ready, folder)


async def _make(ready: Mapping[str, Any], folder: Path) -> None:
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("There is no chromium. Run `make system-packages` first.")
    async with (
        async_playwright() as playwright,
        httpx.AsyncClient(base_url=f"{ready['url']}/api/v1") as api,
    ):
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = await browser.new_context(
            viewport={"width": 1440, "height": 900}, color_scheme="light", reduced_motion="reduce"
        )
        page = await context.new_page()
        await _sign_in(page, ready)
        await _prepare(api, ready["owner"])
        healed = await _until(api, "/incidents", {"state": "resolved", "host": HOST, "limit": "1"})
        await _until(api, "/approvals", {"state": "pending"})
        at = f"{ready['url']}/t/{TENANT}"
        screens = {
            "overview": f"{at}/overview",
            "incident": f"{at}/incidents/{healed['id']}",
            "approvals": f"{at}/approvals",
            "rule": f"{at}/rules/{RULE}?tab=dryRun",
            "playbook": f"{at}/playbooks/{PLAYBOOK}",
            "audit": f"{at}/audit",
        }
        for name, address in screens.items():
            await page.goto(address)
            await page.get_by_role("heading", level=1).first.wait_for()
            if name == "rule":
                await page.get_by_role("button", name="Try it on the last 30 days").click()
                await page.get_by_role("table").first.wait_for()
            await page.wait_for_timeout(2_500)
            await _take(page, folder / f"{name}.png")
        await browser.close()


async def _take(page: Page, file: Path) -> None:
    picture = await page.screenshot(path=file)
    print(f"{file.name}: {len(picture) / 1000:.0f} kB")
    if len(picture) > LARGEST_BYTES:
        raise SystemExit(f"{file} has more than {LARGEST_BYTES / 1000:.0f} kB; show less on it.")


async def _sign_in(page: Page, ready: Mapping[str, Any]) -> None:
    """Sign in as the owner, with another password from then on."""
    await page.goto(f"{ready['url']}/")
    await page.get_by_label("E-mail").fill(ready["owner"])
    await page.get_by_role("textbox", name="Password").fill(ready["one_time_password"])
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_label("One-time password").fill(ready["one_time_password"])
    await page.get_by_label("New password", exact=False).first.fill(PASSWORD)
    await page.get_by_label("once more").fill(PASSWORD)
    await page.get_by_role("button", name="Set the password").click()
    await page.wait_for_url("**/t/**")


async def _prepare(api: httpx.AsyncClient, owner: str) -> None:
    """Sign the client in, report what other hosts have to tell, and write a rule of the tenant's own."""
    answer = await api.post("/auth/login", json={"email": owner, "password": PASSWORD})
    answer.raise_for_status()
    api.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    me = (await api.get("/me")).raise_for_status().json()
    api.headers["X-Tenant-ID"] = next(one["id"] for one in me["tenants"] if one["slug"] == TENANT)
    for check_type, platform, host, severity, summary in REPORTED:
        told = {
            "check_type": check_type,
            "platform": platform,
            "host": host,
            "severity": severity,
            "summary": summary,
        }
        (await api.post("/exceptions", json=told)).raise_for_status()
    rule = {
        "id": RULE,
        "title": "Firewalls of the front desk go to a person",
        "priority": 1,
        "conditions": [{"field": "check_type", "operator": "eq", "value": "firewall_status"}],
        "action": "escalate",
        "reason": "The front desk's firewalls are managed by the network team.",
    }
    await _until(api, "/incidents", {"host": REPORTED[-1][2], "state": "awaiting_approval"})
    (await api.post("/rules", json=rule)).raise_for_status()
    (await api.post("/playbooks", json={"yaml": PLAYBOOK_YAML})).raise_for_status()
    key = {"name": "alertmanager", "scopes": ["exceptions:write"]}
    (await api.post("/api-keys", json=key)).raise_for_status()


async def _until(api: httpx.AsyncClient, path: str, query: Mapping[str, str]) -> dict[str, Any]:
    """Read a list until there is something in it, and return the first of it."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            answer = (await api.get(path, params=dict(query))).raise_for_status().json()
            if answer["items"]:
                return dict(answer["items"][0])
            await asyncio.sleep(0.5)


@contextlib.asynccontextmanager
async def _platform(environment: Mapping[str, str]) -> AsyncIterator[dict[str, Any]]:
    """Start the platform, and yield what it says when it is ready."""
    async with _running(environment, "up", "--json") as process, asyncio.timeout(PATIENCE_SECONDS * 2):
        assert process.stdout is not None
        async for line in process.stdout:
            told = json.loads(line)
            if told.get("event") == "ready":
                break
        else:
            raise SystemExit("The platform did not start.")
        yield told


@contextlib.asynccontextmanager
async def _demo(environment: Mapping[str, str]) -> AsyncIterator[None]:
    """Run the demo, quickly, and wait until its tenant is there."""
    arguments = ("demo", "host", "--name", HOST, "--interval", "1", "--break-every", "4", "--json")
    async with _running(environment, *arguments) as process:
        assert process.stdout is not None
        await process.stdout.readline()
        rest = asyncio.create_task(process.stdout.read())
        yield
    await rest


@contextlib.asynccontextmanager
async def _running(
    environment: Mapping[str, str], *arguments: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "fettle.cli.main", *arguments,
        env=dict(environment), stdout=asyncio.subprocess.PIPE, limit=1 << 24,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=SCREENS, help="Where the pictures go.")
    chosen = parser.parse_args().folder
    chosen.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(chosen))
