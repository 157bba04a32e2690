"""``fettle demo``: watches this machine as a host of a demo tenant, and breaks a sandbox that is then healed."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any
from uuid import uuid4

import typer

from fettle.central.opening import opened_platform
from fettle.central.own_port import own_url
from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.local import of_running, quiet_logs, settings
from fettle.cli.output import AsJson, console, print_json, table
from fettle.cli.profile import load_profile, save_profile
from fettle.fleet.demo import DemoHost, HostWatch, WatchedCheck, make_demo_key, prepare_demo
from fettle.kernel.settings import Settings

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("check", "result", "incident", "state", "what was seen")


@app.callback()
def _group() -> None:
    """Watch this machine as a host of a demo tenant, and heal a sandbox."""


@app.command()
def host(
    name: Annotated[str | None, typer.Option(help="What this host is called; else its own name.")] = None,
    interval: Annotated[float, typer.Option(min=0.2, help="Seconds between two looks.")] = 3.0,
    break_every: Annotated[float, typer.Option(min=1, help="Seconds between two breaks.")] = 20.0,
    rounds: Annotated[int | None, typer.Option(min=1, help="Stop after so many looks.")] = None,
    as_json: AsJson = False,
) -> None:
    """Watch this machine with read-only checks, and break a sandbox that the platform heals; Ctrl-C stops it."""
    chosen = settings()
    quiet_logs(chosen)
    running = of_running(chosen)
    if running is None:
        raise CommandError(f"no Fettle runs on {chosen.home}; start it with `fettle up`.", Exit.UNREACHABLE)
    demo_host, api = asyncio.run(_prepare(running, name or socket.gethostname()))
    try:
        asyncio.run(_watch(demo_host, api, interval, break_every, rounds, as_json=as_json))
    finally:
        demo_host.sandbox.stop_process()


async def _prepare(running: Settings, name: str) -> tuple[DemoHost, Api]:
    """Make sure of the tenant, the host, the sandbox, and of a key that works."""
    async with opened_platform(running) as platform:
        demo_host = await prepare_demo(platform, name)
        profile = load_profile(running.home, own_url(running))
        if profile.api_key is not None:
            api = Api(profile.url, profile.api_key, running)
            with contextlib.suppress(CommandError):
                tenants = await asyncio.to_thread(api.get, "/hosts")
                if any(item["name"] == name for item in tenants["items"]):
                    return demo_host, api
        key = await make_demo_key(platform, demo_host.tenant_id)
    save_profile(running.home, url=profile.url, api_key=key)
    return demo_host, Api(profile.url, key, running)


async def _watch(
    demo_host: DemoHost, api: Api, interval: float, break_every: float, rounds: int | None, *, as_json: bool
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def report(exception: Mapping[str, Any]) -> None:
        await asyncio.to_thread(api.post, "/exceptions", exception, idempotency_key=str(uuid4()))
        if as_json:
            print_json({"event": "reported", **exception})

    watch = HostWatch(demo_host, report, interval, break_every)
    done, told = 0, dict[str, str]()
    with _screen(as_json=as_json) as live:
        while not stop.is_set() and (rounds is None or done < rounds):
            await watch.look()
            incidents = await asyncio.to_thread(_incidents, api, demo_host.name)
            broken = watch.break_next()
            if as_json:
                print_json(_document(watch, incidents, broken))
            elif live is not None:
                live.update(_table(watch, incidents, api.url), refresh=True)
            else:
                told = _tell_changes(watch, incidents, told)
            done += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), interval)


@contextlib.contextmanager
def _screen(*, as_json: bool) -> "Iterator[Live | None]":
    screen = console()
    if as_json or not screen.is_terminal:
        yield None
        return
    from rich.live import Live  # noqa: PLC0415 - JSON does without it

    with Live(console=screen, auto_refresh=False, transient=False) as live:
        yield live


def _tell_changes(
    watch: HostWatch, incidents: Mapping[str, Mapping[str, Any]], told: Mapping[str, str]
) -> dict[str, str]:
    """Print a line for each check of which there is something new; a file or a pipe is no moving table."""
    lines = {}
    for name, check in watch.checks.items():
        incident, seen = incidents.get(name, {}), check.observation
        about = f"incident {incident['number']} {incident['state']}" if incident else "no incident"
        lines[name] = f"{name}: {seen.result if seen else 'not looked at'}, {about}"
        if lines[name] != told.get(name):
            print(lines[name], flush=True)
    return lines


def _incidents(api: Api, name: str) -> dict[str, dict[str, Any]]:
    """Return the newest incident of each check of the host."""
    found: dict[str, dict[str, Any]] = {}
    for item in api.pages("/incidents", limit=100, host=name):
        found.setdefault(item["check_type"], item)
    return found


def _document(
    watch: HostWatch, incidents: Mapping[str, Mapping[str, Any]], broken: WatchedCheck | None
) -> dict[str, Any]:
    return {
        "event": "round",
        "broke": {"check_type": broken.check_type, "what": broken.broken} if broken is not None else None,
        "reported": watch.reported,
        "breaks": watch.breaks,
        "checks": {
            name: {
                "result": check.observation.result if check.observation is not None else None,
                "incident": incidents.get(name, {}).get("number"),
                "state": incidents.get(name, {}).get("state"),
            }
            for name, check in watch.checks.items()
        },
    }


def _table(watch: HostWatch, incidents: Mapping[str, Mapping[str, Any]], url: str) -> "RenderableType":
    rows = []
    for name, check in watch.checks.items():
        incident = incidents.get(name, {})
        seen = check.observation
        said = (check.broken and f"broken by the demo: {check.broken}") or (seen.message if seen else "")
        rows.append(
            (name, seen.result if seen else None, incident.get("number"), incident.get("state"), said)
        )
    title = (
        f"{watch.host.name}: {watch.breaks} broken, {watch.reported} reported. Live at {url}; Ctrl-C stops."
    )
    return table(_COLUMNS, rows, title=title)
