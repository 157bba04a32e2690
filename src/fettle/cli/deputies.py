"""``fettle deputies``: who may decide approvals in whose place, and until when, by the API."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from fettle.cli.client import Api
from fettle.cli.naming import named
from fettle.cli.output import AsJson, show, table

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("id", "of", "deputy", "from", "to", "holds", "reason")
_PERSON = "E-mail address or id of a person."


@app.command("list")
def list_deputies(
    every: Annotated[bool, typer.Option("--all", help="Also those that are over.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List deputies that hold or will, newest first."""
    wanted = {} if every else {"active": "true"}
    items = list(Api.of_profile().pages("/delegations", limit=limit, **wanted))
    rows = (
        (
            one["id"], one["from_name"] or one["from_user"], one["to_name"] or one["to_user"],
            one["begins_at"], one["ended_at"] or one["ends_at"], "yes" if one["is_active"] else "no", one["reason"],
        )
        for one in items
    )  # fmt: skip
    show({"items": items}, as_json=as_json, text=table(_COLUMNS, rows) if items else "none")


@app.command("set")
def set_deputy(
    deputy: Annotated[str, typer.Argument(help=_PERSON, show_default=False)],
    until: Annotated[str, typer.Option(help="Such as 2026-12-15T00:00:00Z; at most 90 days.")],
    reason: Annotated[str, typer.Option(help="Why; people read it.")],
    of: Annotated[str | None, typer.Option(help=f"In whose place. {_PERSON} Without it one's own.")] = None,
    begins: Annotated[
        str | None, typer.Option("--from", help="Such as 2026-12-01T00:00:00Z; else now.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Let somebody decide approvals in another's place for a time."""
    api = Api.of_profile()
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    body: dict[str, Any] = {
        "to_user": _person(api, deputy), "begins_at": begins or now, "ends_at": until, "reason": reason,
    }  # fmt: skip
    if of is not None:
        body["from_user"] = _person(api, of)
    made = api.post("/delegations", body)
    show(
        made, as_json=as_json, text=f"Set, until {until}; `fettle deputies end {made['id']}` ends it before."
    )


@app.command()
def end(
    delegation: Annotated[str, typer.Argument(help="Id, as the list names it.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """End it before its time."""
    done = Api.of_profile().post(f"/delegations/{delegation}/end", {})
    show(done, as_json=as_json, text="Ended.")


def _person(api: Api, wanted: str) -> str:
    return str(named(api, "/users", wanted, "person", fields=("id", "email"))["id"])
