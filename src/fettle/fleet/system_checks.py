"""Checks of a host's own upkeep: updates, time, disk, kernel, logs."""

import ctypes
import os
import re
import time
from collections.abc import Callable
from typing import Final

from fettle.fleet.observation import HostView, Observation, failed, passed, unknown

_MOST_LISTED: Final = 25
_LEAST_FREE_SHARE: Final = 0.10
_LARGEST_LOG_BYTES: Final = 500_000_000
_STALE_LISTS_DAYS: Final = 14
_STALE_ROTATION_DAYS: Final = 8
_DAY_SECONDS: Final = 86_400

_TIME_ERROR: Final = 5
"""What adjtimex(2) answers when the kernel's clock is not synchronised."""

_VOLUMES: Final = ("/", "/var", "/var/log", "/home", "/boot", "/srv")

_KERNEL_WANTED: Final[dict[str, Callable[[int], bool]]] = {
    "kernel.randomize_va_space": lambda value: value == 2,  # noqa: PLR2004 - the kernel's own scale
    "kernel.kptr_restrict": lambda value: value >= 1,
    "kernel.dmesg_restrict": lambda value: value == 1,
    "kernel.yama.ptrace_scope": lambda value: value >= 1,
    "fs.protected_hardlinks": lambda value: value == 1,
    "fs.protected_symlinks": lambda value: value == 1,
    "fs.suid_dumpable": lambda value: value != 1,
    "net.ipv4.tcp_syncookies": lambda value: value >= 1,
    "net.ipv4.conf.all.accept_source_route": lambda value: value == 0,
    "net.ipv4.conf.all.accept_redirects": lambda value: value == 0,
}


def security_updates(view: HostView) -> Observation:
    """No security update waits to be installed, by what the package manager knows already."""
    if view.path("/var/lib/dpkg/status").exists():
        return _apt_updates(view)
    listed = view.report(["dnf", "--quiet", "--cacheonly", "updateinfo", "list", "--security"])
    if listed is None:
        return unknown("No package manager that we can ask without root was found.")
    waiting = sorted({line.split()[-1] for line in listed.splitlines() if line.strip()})
    return _updates(waiting)


def time_sync(view: HostView) -> Observation:
    """The clock is synchronised with others."""
    for source, ask in (("kernel", _kernel_clock), ("timedatectl", _timedatectl), ("chrony", _chrony)):
        synchronised = ask(view)
        if synchronised is True:
            return passed("The clock is synchronised.", source=source)
        if synchronised is False:
            return failed("The clock is not synchronised.", source=source)
    return unknown("Nothing on this host says whether its clock is synchronised.")


def disk_space(view: HostView) -> Observation:
    """Each volume has a tenth of its space and of its inodes free."""
    shares: dict[str, tuple[float, float]] = {}
    seen = set()
    for name in _VOLUMES:
        path = view.path(name)
        try:
            device, space = path.stat().st_dev, os.statvfs(path)
        except OSError:
            continue
        if device in seen or not space.f_blocks:
            continue
        seen.add(device)
        free = space.f_bavail / space.f_blocks
        inodes = space.f_favail / space.f_files if space.f_files else 1.0
        shares[name] = (round(free, 3), round(inodes, 3))
    if not shares:
        return unknown("No volume could be looked at.")
    full = [name for name, both in shares.items() if min(both) < _LEAST_FREE_SHARE]
    volumes = [{"volume": n, "free_share": space, "free_inodes_share": i} for n, (space, i) in shares.items()]
    if full:
        return failed(f"Less than a tenth is free on {', '.join(full)}.", volumes=volumes)
    return passed("Every volume has a tenth or more of its space free.", volumes=volumes)


def kernel_settings(view: HostView) -> Observation:
    """The kernel's own protections are on."""
    wrong, read = {}, 0
    for name, good in _KERNEL_WANTED.items():
        value = view.kernel_value(name)
        if value is None or not value.lstrip("-").isdigit():
            continue
        read += 1
        if not good(int(value)):
            wrong[name] = int(value)
    if not read:
        return unknown("The kernel's settings could not be read.")
    if wrong:
        return failed(f"The kernel's protections are off: {', '.join(wrong)}.", wrong=wrong, read=read)
    return passed(f"All {read} kernel protections that this host has are on.", read=read)


def log_rotation(view: HostView) -> Observation:
    """Logs are rotated, and none has grown beyond bounds."""
    large = [
        {"path": view.shown(path), "bytes": entry.st_size}
        for path, entry in view.walk("/var/log")
        if entry.st_size > _LARGEST_LOG_BYTES and "journal" not in path.parts
    ]
    if large:
        return failed("A log has outgrown 500 MB: nothing rotates it.", logs=large[:_MOST_LISTED])
    journal = view.path("/run/systemd/journal").exists()
    configured = view.text("/etc/logrotate.conf") is not None
    if not configured and not journal:
        return failed("Nothing rotates this host's logs.", logrotate=False, journal=False)
    state = view.path("/var/lib/logrotate/status")
    age_days = (time.time() - state.stat().st_mtime) / _DAY_SECONDS if state.exists() else None
    if configured and age_days is not None and age_days > _STALE_ROTATION_DAYS:
        return failed(
            f"Logs were last rotated {age_days:.0f} days ago.", logrotate=True, age_days=round(age_days, 1)
        )
    return passed("Logs are rotated.", logrotate=configured, journal=journal)


def _apt_updates(view: HostView) -> Observation:
    lists = view.path("/var/lib/apt/lists")
    indexes = list(lists.glob("*_Packages*")) if lists.is_dir() else []
    if not indexes:
        return unknown("This host has no package lists; `apt-get update` fetches them.")
    age_days = (time.time() - max(path.stat().st_mtime for path in indexes)) / _DAY_SECONDS
    simulated = view.report(
        ["apt-get", "--simulate", "--quiet=2", "-o", "Debug::NoLocking=true", "upgrade"], timeout_seconds=45
    )
    if simulated is None:
        return unknown("apt-get could not say what it would upgrade.")
    waiting = [
        line.split()[1]
        for line in simulated.splitlines()
        if line.startswith("Inst ") and re.search(r"-security|Debian-Security", line)
    ]
    if not waiting and age_days > _STALE_LISTS_DAYS:
        return unknown(f"The package lists are {age_days:.0f} days old.", lists_age_days=round(age_days, 1))
    return _updates(waiting, lists_age_days=round(age_days, 1))


def _updates(waiting: list[str], **observed: float) -> Observation:
    if waiting:
        return failed(
            f"{len(waiting)} security updates wait to be installed.",
            packages=sorted(waiting)[:_MOST_LISTED],
            count=len(waiting),
            **observed,
        )
    return passed("No security update waits.", count=0, **observed)


def _kernel_clock(view: HostView) -> bool | None:
    """Ask the kernel itself; reading its clock's state needs no privilege."""
    if view.root != HostView().root:
        return None
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except AttributeError:
        return None
    # struct timex begins with modes, and modes 0 reads and changes nothing.
    buffer = (ctypes.c_long * 64)()
    state = int(adjtimex(ctypes.byref(buffer)))
    return None if state < 0 else state != _TIME_ERROR


def _timedatectl(view: HostView) -> bool | None:
    said = view.report(["timedatectl", "show", "--property=NTPSynchronized", "--value"])
    return {"yes": True, "no": False}.get(said.strip()) if said is not None else None


def _chrony(view: HostView) -> bool | None:
    said = view.report(["chronyc", "-n", "tracking"])
    leap = re.search(r"Leap status\s*:\s*(.+)", said) if said is not None else None
    return leap[1].strip() == "Normal" if leap else None
