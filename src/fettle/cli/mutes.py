"""``fettle mutes``: what keeps still, by the API: silences, maintenance windows, inhibition, dependencies."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.incidents import find_incident
from fettle.cli.output import AsJson, facts, show, show_list, table

app = typer.Typer(no_args_is_help=True)

_COLUMNS: Final = ("id", "kind", "state", "holds", "changes_at", "muted", "title")
_MATCHER: Final = re.compile(r'^\s*([A-Za-z_][A-Za-z0-9_.:/-]*)\s*(=~|!~|!=|=)\s*"?(.*?)"?\s*$')
_SPAN: Final = re.compile(r"^(\d{1,4})([mhdw])$")
_MOST_CHANGES: Final = 50
_UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}

Mute = Annotated[str, typer.Argument(help="Id of what is set.")]


@app.command("list")
def list_mutes(
    kind: Annotated[str | None, typer.Option(help="silence, window, inhibition or dependency.")] = None,
    state: Annotated[str | None, typer.Option(help="active, pending or ended.")] = "active",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List what is set, and what the policy and the packs say."""
    api = Api.of_profile()
    found = list(api.pages("/mutes", limit=limit, kind=kind, state=state))
    declared = [one for one in api.get("/mutes/declared")["items"] if kind in {None, one["kind"]}]
    show_list([*found, *declared], _COLUMNS, as_json=as_json)


@app.command("show")
def show_mute(mute: Mute, as_json: AsJson = False) -> None:
    """Show one, and who changed it last."""
    api = Api.of_profile()
    found = api.get(f"/mutes/{mute}")
    found["history"] = list(api.pages(f"/mutes/{mute}/history", limit=_MOST_CHANGES))
    steps = ((one["at"], one["did"], one["by_name"] or one["by"]) for one in found["history"])
    known = {name: value for name, value in found.items() if name not in {"history", "document"}}
    known |= found["document"]
    show(found, as_json=as_json, text=lambda: [facts(known), "", table(("at", "did", "by"), steps)])


@app.command()
def silence(
    reason: Annotated[str, typer.Option(help="Why; people read it.")],
    lasts: Annotated[str, typer.Option("--for", help="How long, such as 30m, 2h, 3d.")] = "2h",
    matcher: Annotated[
        list[str] | None, typer.Option("--matcher", "-m", help='Such as host=~"ws-.*"; all must hold.')
    ] = None,
    incident: Annotated[str | None, typer.Option(help="What this incident's check and host report.")] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only show what it would mute.")] = False,
    as_json: AsJson = False,
) -> None:
    """Silence what fits for a while: it keeps still, and nobody is told."""
    api = Api.of_profile()
    matchers = [_matcher(text) for text in matcher or ()]
    found = find_incident(api, incident) if incident is not None else None
    if found is not None:
        matchers += [
            {"name": name, "op": "=", "value": found[name]}
            for name in ("check_type", "host", "site")
            if found.get(name)
        ]
    if not matchers:
        raise CommandError("Say what to silence: --matcher or --incident.", Exit.USAGE)
    ends_at = (datetime.now(UTC) + _span(lasts)).isoformat(timespec="seconds").replace("+00:00", "Z")
    mute = {"kind": "silence", "title": reason, "matchers": matchers, "ends_at": ends_at}
    if found is not None:
        mute["incident_id"] = found["id"]
    _set(api, mute, preview=preview, as_json=as_json)


@app.command("set")
def set_mute(
    file: Annotated[Path, typer.Argument(help="A file with a mute as JSON, as POST /api/v1/mutes takes it.")],
    preview: Annotated[bool, typer.Option("--preview", help="Only show what it would mute.")] = False,
    as_json: AsJson = False,
) -> None:
    """Set a window, an inhibition, a dependency or a recurring silence."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", Exit.NOT_FOUND) from None
    except ValueError as error:
        raise CommandError(f"{file} is no JSON: {error}", Exit.USAGE) from None
    _set(Api.of_profile(), document, preview=preview, as_json=as_json)


@app.command()
def end(mute: Mute, as_json: AsJson = False) -> None:
    """End it now; what it muted and still fires is released."""
    _command(mute, "end", as_json=as_json)


@app.command()
def undo(mute: Mute, as_json: AsJson = False) -> None:
    """Undo its last change."""
    _command(mute, "undo", as_json=as_json)


@app.command()
def calendar(
    days: Annotated[int, typer.Option(min=1, max=31, help="From now on.")] = 14, as_json: AsJson = False
) -> None:
    """Show when silences and windows hold."""
    answer = Api.of_profile().get(f"/mutes/calendar?days={days}")
    columns = ("begins", "ends", "effect", "origin", "title", "covers")
    rows = ([one[name] for name in columns] for one in answer["items"])
    show(answer, as_json=as_json, text=lambda: [table(columns, rows)])


@app.command()
def explain(
    incident: Annotated[str, typer.Argument(help="Number or id of the incident.")], as_json: AsJson = False
) -> None:
    """Say why somebody was told of an incident or was not, and when the next message is due."""
    api = Api.of_profile()
    answer = api.get(f"/incidents/{find_incident(api, incident)['id']}/explain")
    rows = [("incident", answer["verdict"], one["text"], one["at"]) for one in answer["reasons"]]
    rows += [
        (f"{message['kind']} by {message['channel_kind']}", message["verdict"], one["text"], one["at"])
        for message in answer["messages"]
        for one in message["reasons"]
    ]
    show(answer, as_json=as_json, text=lambda: [table(("of", "verdict", "why", "at"), rows)])


def _set(api: Api, mute: dict[str, Any], *, preview: bool, as_json: bool) -> None:
    if preview:
        seen = api.post("/mutes/preview", {"mute": mute})
        columns = ("number", "severity", "state", "check_type", "host", "title")
        rows = ([one[name] for name in columns] for one in seen["items"])
        said = f"{seen['matched']} of {seen['looked_at']} incidents that are not over."
        show(seen, as_json=as_json, text=lambda: [said, table(columns, rows)])
        return
    made = api.post("/mutes", {"mute": mute})
    show(made, as_json=as_json, text=f"{made['kind']} {made['id']} is set; version {made['version']}.")


def _command(mute: str, what: str, *, as_json: bool) -> None:
    api = Api.of_profile()
    version = api.get(f"/mutes/{mute}")["version"]
    done = api.post(f"/mutes/{mute}/{what}", {"version": version})
    show(done, as_json=as_json, text=f"{done['kind']} {done['id']} is {done['state']}.")


def _matcher(text: str) -> dict[str, str]:
    found = _MATCHER.match(text)
    if found is None:
        raise CommandError(f'{text}: write a matcher as name="value", with =, !=, =~ or !~.', Exit.USAGE)
    return {"name": found[1], "op": found[2], "value": found[3]}


def _span(text: str) -> timedelta:
    found = _SPAN.match(text)
    if found is None:
        raise CommandError(f"{text}: write a time as 30m, 2h, 3d or 1w.", Exit.USAGE)
    return timedelta(**{_UNITS[found[2]]: int(found[1])})
