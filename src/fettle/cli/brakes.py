"""``fettle brakes``: what stands in the way of what heals by itself, by the API."""

from typing import Annotated

import typer

from fettle.cli.client import Api
from fettle.cli.output import AsJson, facts, show, show_list

app = typer.Typer(no_args_is_help=True)

_FLAPS = (
    "id",
    "check_type",
    "host",
    "site",
    "flaps",
    "since",
    "cleared_at",
    "cleared_by_name",
    "clear_reason",
)
_BREAKERS = ("kind", "key", "state", "failures", "open_until", "reason", "changed_by_name", "changed_at")
_HELD = ("run_id", "incident_number", "playbook_id", "host", "reason", "until", "detail")
_STOPS = ("stopped_at", "stopped_by_name", "reason", "lifted_at", "lifted_by_name", "lift_reason")

Reason = Annotated[str, typer.Option(help="Why; it stands in the audit.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
Kind = Annotated[str, typer.Argument(help="tool, host, playbook or tenant.", show_default=False)]
Key = Annotated[str, typer.Argument(help="Which one; nothing for the tenant.")]


@app.command("show")
def show_brakes(as_json: AsJson = False) -> None:
    """Show whether healing is stopped, and how much flaps, is broken or is held."""
    found = Api.of_profile().get("/brakes")
    show(found, as_json=as_json, text=lambda: [facts(_summary(found))])


@app.command()
def stop(reason: Reason, as_json: AsJson = False) -> None:
    """Stop all that acts by itself in the tenant, within a second and mid-playbook; people take over."""
    answer = Api.of_profile().post("/brakes/stop", {"reason": reason})
    show(
        answer, as_json=as_json, text="stopped; nothing begins any more, and `fettle brakes resume` lifts it"
    )


@app.command()
def resume(reason: Reason, as_json: AsJson = False) -> None:
    """Lift the tenant's stop switch; what went to a person meanwhile stays with them."""
    answer = Api.of_profile().post("/brakes/resume", {"reason": reason})
    show(answer, as_json=as_json, text="lifted; what is decided from now on may act again")


@app.command()
def stops(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List when the stop switch was pressed and lifted, by whom and why."""
    show_list(list(Api.of_profile().pages("/brakes/stops", limit=limit)), _STOPS, as_json=as_json)


@app.command()
def flaps(
    state: Annotated[str | None, typer.Option(help="suppressed or cleared.")] = None,
    q: Annotated[str | None, typer.Option(help="Part of the check, host or site.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List checks that are left to a person because they flap."""
    found = Api.of_profile().pages("/brakes/flaps", limit=limit, state=state, q=q)
    show_list(list(found), _FLAPS, as_json=as_json)


@app.command()
def clear(
    suppression: Annotated[str, typer.Argument(help="Id of the suppression.", show_default=False)],
    reason: Reason,
    as_json: AsJson = False,
) -> None:
    """Let a check that flapped be healed again; its incidents that rested are decided anew."""
    answer = Api.of_profile().post(f"/brakes/flaps/{suppression}/clear", {"reason": reason})
    show(answer, as_json=as_json, text="cleared; its flaps are counted from zero")


@app.command()
def breakers(
    state: Annotated[str | None, typer.Option(help="closed, open or half_open.")] = None,
    kind: Annotated[str | None, typer.Option(help="tool, host, playbook or tenant.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List circuit breakers that ever counted a failure; any other is closed."""
    found = Api.of_profile().pages("/brakes/breakers", limit=limit, state=state, kind=kind)
    show_list(list(found), _BREAKERS, as_json=as_json)


@app.command("open")
def open_breaker(
    kind: Kind,
    reason: Reason,
    key: Key = "",
    seconds: Annotated[int | None, typer.Option(help="For how long; without it until it is reset.")] = None,
    as_json: AsJson = False,
) -> None:
    """Open a circuit breaker by hand."""
    body = {"kind": kind, "key": key, "reason": reason, "seconds": seconds}
    answer = Api.of_profile().post("/brakes/breakers/open", body)
    show(answer, as_json=as_json, text="open; plans that need it go to a person")


@app.command()
def reset(kind: Kind, reason: Reason, key: Key = "", as_json: AsJson = False) -> None:
    """Close a circuit breaker and forget the failures that it counted."""
    body = {"kind": kind, "key": key, "reason": reason}
    answer = Api.of_profile().post("/brakes/breakers/reset", body)
    show(answer, as_json=as_json, text="closed; it counts from zero")


@app.command()
def held(limit: Limit = 50, as_json: AsJson = False) -> None:
    """List runs that a limit holds, why, and when each is looked at again."""
    show_list(list(Api.of_profile().pages("/brakes/held", limit=limit)), _HELD, as_json=as_json)


@app.command("what-if")
def what_if(as_json: AsJson = False) -> None:
    """Show what each level of autonomy would have done in the last 30 days."""
    found = Api.of_profile().get("/autonomy/what-if")
    show(found, as_json=as_json, text=lambda: [facts(_levels(found))])


def _summary(found: dict[str, object]) -> dict[str, object]:
    told: dict[str, object] = {}
    for name in ("platform", "tenant"):
        switch = found[name]
        told[f"{name} stop"] = (
            f"pressed by {switch['stopped_by_name'] or switch['stopped_by']} since {switch['stopped_at']}: "
            f"{switch['reason']}"
            if isinstance(switch, dict)
            else "not pressed"
        )
    return told | {name: found[name] for name in ("flapping", "breakers", "held")}


def _levels(found: dict[str, object]) -> dict[str, object]:
    def line(counts: object) -> str:
        shown = counts.items() if isinstance(counts, dict) else ()
        return ", ".join(f"{count} {effect}" for effect, count in shown if count) or "nothing"

    levels, raised = found["levels"], found["raised"]
    told: dict[str, object] = {"now": line(found["now"])}
    if isinstance(levels, dict):
        told |= {f"at {level}": line(counts) for level, counts in levels.items()}
    if isinstance(raised, dict):
        told["raised to act"] = (
            f"{raised['acting']} more would have acted at once; of those that people ran, "
            f"{raised['healed']} healed and {raised['failed']} failed"
        )
    return told
