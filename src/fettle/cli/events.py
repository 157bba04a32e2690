"""``fettle events``: the event store and its consumers, by the API."""

from typing import Annotated

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, console, print_json, show, show_list, table

app = typer.Typer(no_args_is_help=True)

_DEAD = ("id", "consumer_group", "type", "attempts", "last_error", "parked_at")
_LAG = ("group", "events", "seconds", "waiting", "dead")


@app.command()
def tail(as_json: AsJson = False) -> None:
    """Follow events live until Ctrl-C."""
    screen = console()
    for event in Api.of_profile().stream("/events/stream"):
        if as_json:
            print_json({"id": event.id, "type": event.type, "message": event.data})
        else:
            screen.print(f"{event.id or '-'} {event.type}", event.data)


@app.command("list")
def list_events(
    kind: Annotated[
        str | None, typer.Option("--type", help="Only this type, such as incident.opened.")
    ] = None,
    after: Annotated[int | None, typer.Option(min=0, help="Only later than this position.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List stored events, the oldest first."""
    found = list(Api.of_profile().pages("/events", limit=limit, type=kind, after=after))
    rows = (
        (event["position"], event["occurred_at"], event["type"], event["metadata"]["actor"])
        for event in found
    )
    text = table(("position", "at", "type", "by"), rows) if found else "none"
    show({"items": found}, as_json=as_json, text=text)


@app.command("dead-letters")
def dead_letters(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50, as_json: AsJson = False
) -> None:
    """List events that a consumer gave up on."""
    items = list(Api.of_profile().pages("/events/dead-letters", limit=limit))
    show_list(items, _DEAD, as_json=as_json)


@app.command()
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of dead letters.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every dead letter.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put dead letters back into their consumers' queues."""
    if every == bool(ids):
        raise CommandError("name the dead letters to put back, or give --all.", Exit.USAGE)
    api = Api.of_profile()
    chosen = [item["id"] for item in api.pages("/events/dead-letters")] if every else list(ids or [])
    screen = console()
    from rich.progress import track  # noqa: PLC0415 - a short replay shows none

    for letter in track(chosen, "replaying", console=screen, disable=not screen.is_terminal, transient=True):
        api.post(f"/events/dead-letters/{letter}/replay", {})
    show({"replayed": chosen}, as_json=as_json, text=f"{len(chosen)} put back")


@app.command()
def lag(as_json: AsJson = False) -> None:
    """Say how far each consumer is behind."""
    answer = Api.of_profile().get("/events/lag")
    rows = ([group.get(name) for name in _LAG] for group in answer["groups"])
    show(answer, as_json=as_json, text=table(_LAG, rows))
