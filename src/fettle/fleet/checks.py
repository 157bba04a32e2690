"""The checks of a host: one list, and running one of them so that it neither hangs nor fails its caller."""

import asyncio
import dataclasses
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

from fettle.fleet import access_checks, system_checks
from fettle.fleet.observation import HostView, Observation, unknown
from fettle.fleet.sandbox import SANDBOX_CHECKS, Sandbox

TIMEOUT_SECONDS: Final = 60.0

_Subject = TypeVar("_Subject")

HOST_CHECKS: Final[Mapping[str, Callable[[HostView], Observation]]] = MappingProxyType(
    {
        "ssh_settings": access_checks.ssh_settings,
        "world_writable_files": access_checks.world_writable,
        "sensitive_files": access_checks.sensitive_files,
        "privileged_accounts": access_checks.privileged_accounts,
        "password_policy": access_checks.password_policy,
        "certificate_expiry": access_checks.certificate_expiry,
        "listening_services": access_checks.listening_services,
        "security_updates": system_checks.security_updates,
        "time_sync": system_checks.time_sync,
        "disk_space": system_checks.disk_space,
        "kernel_settings": system_checks.kernel_settings,
        "log_rotation": system_checks.log_rotation,
    }
)
"""Checks that only look, by check type."""


async def run_check(
    check_type: str,
    *,
    view: HostView | None = None,
    sandbox: Sandbox | None = None,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Observation:
    """Run a check in a thread and return what it saw; a check that fails or hangs is ``unknown``.

    Args:
        check_type: Which one.
        view: The host; None: this one.
        sandbox: The host's sandbox, for the checks that it owns.
        timeout_seconds: After so long the answer is ``unknown``.
    """
    if check_type in SANDBOX_CHECKS:
        if sandbox is None:
            return unknown("This host has no sandbox.")
        call = _bound(SANDBOX_CHECKS[check_type], sandbox)
    elif check_type in HOST_CHECKS:
        bounded = dataclasses.replace(view or HostView(), deadline=time.monotonic() + timeout_seconds)
        call = _bound(HOST_CHECKS[check_type], bounded)
    else:
        return unknown(f"This host has no check {check_type}.", check_type=check_type)
    try:
        return await asyncio.wait_for(asyncio.to_thread(call), timeout_seconds)
    except TimeoutError:
        return unknown(f"The check took longer than {timeout_seconds:.0f} seconds.", check_type=check_type)
    except Exception as error:  # noqa: BLE001 - a check's own fault must not stop the others
        return unknown(f"The check failed: {type(error).__name__}.", check_type=check_type)


def _bound(check: Callable[[_Subject], Observation], subject: _Subject) -> Callable[[], Observation]:
    return lambda: check(subject)
