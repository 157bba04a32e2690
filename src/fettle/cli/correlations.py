"""``fettle correlations``: groups of incidents that may belong together, confirmed or dismissed, by the API."""

from typing import Annotated, Any

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.incidents import find_incident
from fettle.cli.output import AsJson, show, table

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("id", "state", "rule", "in common", "incidents", "cause", "title")

Group = Annotated[str, typer.Argument(help="Id of the group.", show_default=False)]


@app.command("list")
def list_groups(
    state: Annotated[str | None, typer.Option(help="candidate, confirmed or dismissed.")] = "candidate",
    every: Annotated[bool, typer.Option("--all", help="Of every state.")] = False,
    incident: Annotated[
        str | None, typer.Option(help="Number or id of an incident; only its groups.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List groups, newest first; without more those that nobody has decided about."""
    api = Api.of_profile()
    about = find_incident(api, incident)["id"] if incident is not None else None
    wanted = {"state": None if every else state, "incident_id": about}
    items = list(api.pages("/correlations", limit=limit, **wanted))
    rows = (_row(one) for one in items)
    show({"items": items}, as_json=as_json, text=table(_COLUMNS, rows) if items else "none")


@app.command()
def confirm(group: Group, as_json: AsJson = False) -> None:
    """Confirm that incidents belong together; it links them."""
    _decide(group, "confirm", as_json=as_json)


@app.command()
def dismiss(group: Group, as_json: AsJson = False) -> None:
    """Say that incidents do not belong together; they are not proposed again."""
    _decide(group, "dismiss", as_json=as_json)


def _decide(group: str, verdict: str, *, as_json: bool) -> None:
    api = Api.of_profile()
    found = next((one for one in api.pages("/correlations") if one["id"] == group), None)
    if found is None:
        raise CommandError(
            f"There is no group {group}; `fettle correlations list` names them.", Exit.NOT_FOUND
        )
    done = api.post(f"/correlations/{group}/{verdict}", {"version": found["version"]})
    show(done, as_json=as_json, text=f"{_numbers(done)}: {done['state']}.")


def _row(group: dict[str, Any]) -> tuple[Any, ...]:
    cause = next((f"#{one['number']}" for one in group["members"] if one["id"] == group["cause_id"]), None)
    return (
        group["id"], group["state"], group["rule_id"], group["key"], _numbers(group), cause, group["title"],
    )  # fmt: skip


def _numbers(group: dict[str, Any]) -> str:
    return " ".join(f"#{one['number']}" for one in group["members"])
