"""``fettle runs``: what playbooks do and did, by the API."""

from typing import Annotated

import typer

from fettle.cli.client import Api
from fettle.cli.output import AsJson, facts, show, show_list, table

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("id", "state", "outcome", "playbook_id", "created_at", "finished_at", "incident_id")
_STEP_COLUMNS = ("path", "phase", "tool", "state", "attempt", "started_at", "ended_at")

Run = Annotated[str, typer.Argument(help="Id of the run.", show_default=False)]


@app.command("list")
def list_runs(
    incident: Annotated[str | None, typer.Option(help="Id of an incident; only its runs.")] = None,
    state: Annotated[str | None, typer.Option(help="Only this state.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only this outcome.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List runs, the newest first."""
    wanted = {"incident_id": incident, "state": state, "outcome": outcome}
    show_list(list(Api.of_profile().pages("/runs", limit=limit, **wanted)), _COLUMNS, as_json=as_json)


@app.command("show")
def show_run(run: Run, as_json: AsJson = False) -> None:
    """Show a run and its steps."""
    found = Api.of_profile().get(f"/runs/{run}")
    known = {name: value for name, value in found.items() if name != "steps" and value is not None}
    steps = ([step.get(name) for name in _STEP_COLUMNS] for step in found["steps"])
    show(found, as_json=as_json, text=lambda: [facts(known), "", table(_STEP_COLUMNS, steps)])


@app.command()
def cancel(
    run: Run,
    reason: Annotated[str, typer.Option(help="Why; it stands in the timeline.")],
    as_json: AsJson = False,
) -> None:
    """Stop a run before its next step; what it did is undone as its playbook says, and a person takes over."""
    answer = Api.of_profile().post(f"/runs/{run}/cancel", {"reason": reason})
    show(answer, as_json=as_json, text="accepted; the step that is under way comes to its end first")
