"""``fettle platform``: the switch that stops all healing in every tenant; for whoever runs the installation."""

from typing import Annotated, Any

import typer

from fettle.cli.local import on_platform
from fettle.cli.output import AsJson, facts, show
from fettle.healing.brakes import stops
from fettle.identity.audit import Who
from fettle.kernel.platform import Platform

app = typer.Typer(no_args_is_help=True)

_WHO = Who("system:cli")

Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]


@app.command("show")
def show_platform(as_json: AsJson = False) -> None:
    """Show whether healing is stopped everywhere, by whom and why, and in how many tenants by their own switch."""

    async def look(platform: Platform) -> dict[str, Any]:
        return await stops.overall(platform)

    found = on_platform(look)
    stop = found["stop"] or {"stopped_at": None, "stopped_by": None, "reason": None}
    told = {"everywhere": "stopped" if found["stop"] else "not stopped", **stop, "tenants": found["tenants"]}
    show(found, as_json=as_json, text=lambda: [facts(told)])


@app.command()
def stop(reason: Reason, as_json: AsJson = False) -> None:
    """Stop all that acts by itself in every tenant, within a second and mid-playbook; people take over."""

    async def press(platform: Platform) -> dict[str, Any]:
        return {"id": str(await stops.press_everywhere(platform, reason, who=_WHO)), "status": "accepted"}

    show(on_platform(press), as_json=as_json, text="stopped everywhere; `fettle platform resume` lifts it")


@app.command()
def resume(reason: Reason, as_json: AsJson = False) -> None:
    """Lift the switch of the whole installation; a tenant's own stays as it is."""

    async def lift(platform: Platform) -> dict[str, Any]:
        return {"id": str(await stops.lift_everywhere(platform, reason, who=_WHO)), "status": "accepted"}

    show(on_platform(lift), as_json=as_json, text="lifted; what is decided from now on may act again")
