"""``fettle incidents``: what is out of order, by the API."""

import time
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from fettle.cli.client import Api, StreamedEvent
from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, console, facts, print_json, show, show_list, table

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("number", "severity", "state", "level", "check_type", "host", "occurrences", "title")
_FACTS = (
    "number", "title", "state", "severity", "level", "check_type", "host", "site", "platform", "occurrences",
    "pack_id", "rule_id", "opened_at", "last_seen_at", "resolved_at", "closed_at", "resolution", "details",
    "id", "run_id", "bundle_id",
)  # fmt: skip
_WATCHED = ("event", "number", "severity", "state", "check_type", "host", "title", "stream")
_RECONNECT_SECONDS = 2.0

Incident = Annotated[str, typer.Argument(help="Number or id of the incident.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the timeline.")]


@app.command("list")
def list_incidents(
    state: Annotated[str | None, typer.Option(help="Only this state.")] = None,
    severity: Annotated[str | None, typer.Option(help="Only this severity.")] = None,
    check_type: Annotated[str | None, typer.Option(help="Only this check type.")] = None,
    host: Annotated[str | None, typer.Option(help="Only this host.")] = None,
    text: Annotated[str | None, typer.Option("--text", "-q", help="Words to look for.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List incidents, the newest first."""
    wanted = {"state": state, "severity": severity, "check_type": check_type, "host": host, "q": text}
    show_list(list(Api.of_profile().pages("/incidents", limit=limit, **wanted)), _COLUMNS, as_json=as_json)


@app.command("show")
def show_incident(incident: Incident, as_json: AsJson = False) -> None:
    """Show an incident and its timeline."""
    api = Api.of_profile()
    found = find_incident(api, incident)
    found["timeline"] = list(api.pages(f"/incidents/{found['id']}/timeline"))
    steps = ((event["occurred_at"], event["type"], event["metadata"]["actor"]) for event in found["timeline"])
    known = {name: found.get(name) for name in _FACTS if found.get(name) is not None}
    known["gate"] = ((found.get("decision") or {}).get("gate") or {}).get("verdict", "-")
    show(found, as_json=as_json, text=lambda: [facts(known), "", table(("at", "event", "by"), steps)])


@app.command()
def close(incident: Incident, reason: Reason, as_json: AsJson = False) -> None:
    """Close an incident; what is out of order again later opens a new one."""
    _command(incident, "close", reason, as_json=as_json)


@app.command()
def resolve(incident: Incident, reason: Reason, as_json: AsJson = False) -> None:
    """Say that what was out of order is in order again."""
    _command(incident, "resolve", reason, as_json=as_json)


@app.command()
def reopen(incident: Incident, reason: Reason, as_json: AsJson = False) -> None:
    """Take a resolved or closed incident up again; it goes to a person."""
    _command(incident, "reopen", reason, as_json=as_json)


@app.command()
def export(
    file: Annotated[Path | None, typer.Option("--file", "-o", help="Where to; else standard output.")] = None,
    export_format: Annotated[str, typer.Option("--format", help="csv or json.")] = "csv",
    as_json: AsJson = False,
) -> None:
    """Export incidents as CSV or JSON."""
    wanted = "json" if as_json else export_format
    with Api.of_profile().download("/incidents/export", format=wanted) as answer:
        if file is None:
            for text in answer.iter_text():
                print(text, end="")
            return
        from rich.progress import Progress  # noqa: PLC0415 - only a long export shows it

        screen = console()
        with (
            file.open("wb") as out,
            Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress,
        ):
            task = progress.add_task("exporting", total=int(answer.headers.get("content-length", 0)) or None)
            for part in answer.iter_bytes():
                out.write(part)
                progress.advance(task, len(part))
    written = file.stat().st_size
    show({"file": str(file), "bytes": written}, as_json=as_json, text=f"{file}: {written} bytes")


@app.command()
def watch(as_json: AsJson = False) -> None:
    """Watch incidents live until Ctrl-C."""
    api, last_id = Api.of_profile(), None
    screen = console()
    while True:
        try:
            for event in api.stream("/events/stream", last_event_id=last_id):
                last_id = event.id or last_id
                if as_json:
                    print_json({"id": event.id, "type": event.type, "message": event.data})
                else:
                    screen.print(_line(event))
        except CommandError as error:
            if error.status is not Exit.UNREACHABLE:
                raise
            screen.print(f"[yellow]{error}[/]")
        time.sleep(_RECONNECT_SECONDS)


def _line(event: StreamedEvent) -> str:
    from rich.markup import escape  # noqa: PLC0415 - JSON does without it

    message: dict[str, Any] = event.data if isinstance(event.data, dict) else {"data": event.data}
    inner = message.get("data")
    data: dict[str, Any] = inner if isinstance(inner, dict) else {}
    known = {**(data.get("incident") or {}), **data}
    words = [str(known[name]) for name in _WATCHED if known.get(name) is not None]
    kind = escape(str(message.get("type", event.type)))
    return f"[dim]{message.get('occurred_at', '')}[/] [bold]{kind}[/] {escape(' '.join(words))}"


def _command(incident: str, word: str, reason: str, *, as_json: bool) -> None:
    api = Api.of_profile()
    answer = api.post(f"/incidents/{find_incident(api, incident)['id']}/{word}", {"reason": reason})
    show(answer, as_json=as_json, text="accepted")


def find_incident(api: Api, incident: str) -> dict[str, Any]:
    """Return an incident by its number or its id.

    Raises:
        CommandError: It is neither, there is none, or the platform cannot be reached.
    """
    wanted = incident if not incident.isdigit() else _id_of(api, int(incident))
    try:
        UUID(wanted)
    except ValueError:
        raise CommandError(f"{incident} is neither a number nor an id of an incident.", Exit.USAGE) from None
    found: dict[str, Any] = api.get(f"/incidents/{wanted}")
    return found


def _id_of(api: Api, number: int) -> str:
    for item in api.pages("/incidents"):
        if item["number"] == number:
            return str(item["id"])
        if item["number"] < number:  # they come in the order of their numbers, the highest first
            break
    raise CommandError(f"there is no incident {number}.", Exit.NOT_FOUND)
