"""The demo: this machine as a host of a demo tenant, watched by real checks, with a sandbox that is broken."""

import asyncio
import itertools
import platform as machine
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from fettle.fleet.checks import HOST_CHECKS, run_check
from fettle.fleet.observation import Observation
from fettle.fleet.sandbox import SANDBOX_CHECKS, Sandbox
from fettle.fleet.service import SANDBOXES, declare_host
from fettle.identity.api_keys import create_api_key
from fettle.identity.audit import Who
from fettle.identity.authentication import Access
from fettle.identity.permissions import KEY_SCOPES
from fettle.identity.tenants import ensure_tenant
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.platform import Platform
from fettle.packs.policies import current_policy, put_policy
from fettle.packs.service import shipped_policy

TENANT: Final = ("demo", "Demo")
"""Slug and name of the demo's tenant."""

_HOST_CHECK_SECONDS: Final = 60.0
_REPEAT_SECONDS: Final = 60.0
_SYSTEMS: Final = {"Linux": "linux", "Darwin": "macos"}

Report = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Sends one exception to the API."""


@dataclass(frozen=True, slots=True)
class DemoHost:
    """What the demo watches."""

    tenant_id: UUID
    name: str
    system: str
    sandbox: Sandbox


@dataclass(slots=True)
class WatchedCheck:
    """One check and what was last seen of it.

    Attributes:
        broken: What the demo broke, until the check passes again.
    """

    check_type: str
    every_seconds: float
    observation: Observation | None = None
    changed_at: float = 0.0
    broken: str | None = None
    _looked_at: float = float("-inf")
    _reported_at: float = float("-inf")

    def due(self, now: float) -> bool:
        """Say whether it is time to look again."""
        return now - self._looked_at >= self.every_seconds

    def saw(self, observation: Observation, now: float) -> str | None:
        """Note what was seen, and return the status to report: ``firing``, ``resolved`` or None."""
        before = self.observation.result if self.observation is not None else None
        self.observation, self._looked_at = observation, now
        if observation.result != before:
            self.changed_at = now
        if observation.result == "pass":
            self.broken = None
            self._reported_at = float("-inf")
            # What the platform healed it has verified itself; only what somebody else mended is news.
            return "resolved" if before == "fail" and self.check_type in HOST_CHECKS else None
        if observation.result == "fail" and now - self._reported_at >= _REPEAT_SECONDS:
            self._reported_at = now
            return "firing"
        return None


@dataclass(slots=True)
class HostWatch:
    """Runs the checks of the demo's host again and again, reports drift, and breaks the sandbox in turn.

    Args:
        host: What is watched.
        report: How an exception is reported.
        interval_seconds: Between two looks at the sandbox.
        break_every_seconds: Between two breaks.
    """

    host: DemoHost
    report: Report
    interval_seconds: float
    break_every_seconds: float
    checks: dict[str, WatchedCheck] = field(init=False)
    reported: int = 0
    breaks: int = 0
    _turn: "itertools.cycle[str]" = field(init=False)
    _break_at: float = 0.0

    def __post_init__(self) -> None:
        self.checks = {
            **{name: WatchedCheck(name, self.interval_seconds) for name in SANDBOX_CHECKS},
            **{name: WatchedCheck(name, _HOST_CHECK_SECONDS) for name in HOST_CHECKS},
        }
        self._turn = itertools.cycle(SANDBOX_CHECKS)
        self._break_at = time.monotonic() + self.interval_seconds

    async def look(self) -> None:
        """Run the checks that are due and report what changed."""
        self.host.sandbox.watch()
        due = [check for check in self.checks.values() if check.due(time.monotonic())]
        seen = await asyncio.gather(
            *(run_check(check.check_type, sandbox=self.host.sandbox) for check in due)
        )
        for check, observation in zip(due, seen, strict=True):
            status = check.saw(observation, time.monotonic())
            if status is not None:
                await self.report(self._exception(check.check_type, observation, status))
                self.reported += 1

    def break_next(self) -> WatchedCheck | None:
        """Break the next part of the sandbox that is in order, when it is time; return its check."""
        if time.monotonic() < self._break_at:
            return None
        for _ in SANDBOX_CHECKS:
            check = self.checks[next(self._turn)]
            if check.observation is not None and check.observation.result == "pass":
                check.broken = self.host.sandbox.break_(check.check_type)
                self.breaks += 1
                self._break_at = time.monotonic() + self.break_every_seconds
                return check
        return None

    def _exception(self, check_type: str, observation: Observation, status: str) -> dict[str, Any]:
        return {
            "check_type": check_type,
            "host": self.host.name,
            "platform": self.host.system,
            "source": "fettle-demo",
            "summary": observation.message,
            "status": status,
            "occurred_at": rfc3339(utcnow()),
            "details": dict(observation.observed),
        }


async def prepare_demo(platform: Platform, name: str) -> DemoHost:
    """Make sure of the demo's tenant and its policy, of the host and its sandbox.

    Args:
        platform: Of the installation on this machine.
        name: What the host is called.
    """
    slug, title = TENANT
    tenant_id = await ensure_tenant(platform, slug, title)
    sandbox = Sandbox((platform.settings.home / SANDBOXES / slug).resolve())
    await asyncio.to_thread(sandbox.make)
    system = _SYSTEMS.get(machine.system(), "linux")
    async with platform.database.tenant(tenant_id) as session:
        if await current_policy(session, tenant_id) is None:
            await put_policy(session, tenant_id, shipped_policy("demo"), actor="system:demo")
        await declare_host(
            session,
            tenant_id,
            name=name,
            platform=system,
            executor="local",
            sandbox_root=Path(sandbox.root),
            settings=platform.settings,
            actor="system:demo",
        )
    return DemoHost(tenant_id, name, system, sandbox)


async def make_demo_key(platform: Platform, tenant_id: UUID) -> str:
    """Make an API key of the demo's tenant and return its text, which is nowhere else."""
    access = Access(None, None, "system:demo", tenant_id, KEY_SCOPES)
    scopes = sorted(KEY_SCOPES - {"keys:write", "users:write"})
    async with platform.database.tenant(tenant_id) as session:
        issued = await create_api_key(
            session, access, Who(access.actor), name="fettle demo", scopes=scopes, expires_at=None
        )
    return issued.text
