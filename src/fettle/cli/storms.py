"""``fettle storms``: incidents that stand for many things at once, and what each stands for, by the API."""

from typing import Annotated

import typer

from fettle.cli.client import Api
from fettle.cli.incidents import find_incident
from fettle.cli.output import AsJson, show_list

app = typer.Typer(no_args_is_help=True)

_COLUMNS = (
    "number",
    "state",
    "check_type",
    "site",
    "members",
    "firing",
    "occurrences",
    "opened_at",
    "last_at",
)
_MEMBERS = ("host", "is_firing", "occurrences", "first_at", "last_at", "fingerprint")

Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


@app.command("list")
def list_storms(
    state: Annotated[str | None, typer.Option(help="going_on or over; else both.")] = None,
    text: Annotated[
        str | None, typer.Option("--text", "-q", help="In the check type or the site; or its number.")
    ] = None,
    opened_after: Annotated[str | None, typer.Option(help="From this moment on, RFC 3339.")] = None,
    opened_before: Annotated[str | None, typer.Option(help="Before this moment, RFC 3339.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List storms, newest first, with how much of each still fires."""
    found = Api.of_profile().pages(
        "/storms", limit=limit, state=state, q=text, opened_after=opened_after, opened_before=opened_before
    )
    show_list(list(found), _COLUMNS, as_json=as_json)


@app.command("show")
def show_storm(
    incident: Annotated[str, typer.Argument(help="Number or id of the storm's incident.")],
    limit: Limit = 200,
    as_json: AsJson = False,
) -> None:
    """List what a storm's incident stands for; nothing for any other incident."""
    api = Api.of_profile()
    found = api.pages(f"/incidents/{find_incident(api, incident)['id']}/storm", limit=limit)
    show_list(list(found), _MEMBERS, as_json=as_json)
