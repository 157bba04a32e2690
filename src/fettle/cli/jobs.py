"""``fettle jobs``: long work that was asked for, by the API."""

from typing import Annotated

import typer

from fettle.cli.client import Api
from fettle.cli.output import AsJson, facts, show, show_list

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("id", "name", "state", "progress", "created_at", "finished_at", "error")


@app.command("list")
def list_jobs(
    state: Annotated[str | None, typer.Option(help="Only this state.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List long work, the newest first."""
    show_list(list(Api.of_profile().pages("/jobs", limit=limit, state=state)), _COLUMNS, as_json=as_json)


@app.command("show")
def show_job(
    job: Annotated[str, typer.Argument(help="Id of the job.", show_default=False)], as_json: AsJson = False
) -> None:
    """Show how far a job is, and what it came to."""
    found = Api.of_profile().get(f"/jobs/{job}")
    show(found, as_json=as_json, text=facts({k: v for k, v in found.items() if v is not None}))
