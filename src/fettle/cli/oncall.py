"""``fettle oncall``: who is on call, whom a policy would tell, and what was told, by the API."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.incidents import find_incident
from fettle.cli.naming import named
from fettle.cli.output import AsJson, show, show_list, table

app = typer.Typer(no_args_is_help=True)

Schedule = Annotated[str, typer.Argument(help="Name or id of the schedule.")]
Incident = Annotated[str, typer.Argument(help="Number or id of the incident.")]

_MESSAGES = ("created_at", "kind", "state", "channel", "to", "attempts", "error")


@app.command()
def now(as_json: AsJson = False) -> None:
    """Say who is on call now, by every schedule."""
    answer = Api.of_profile().get("/escalation/on-call")
    rows = ((one["schedule"], _name(one["person"]), one["until"] or "-") for one in answer["items"])
    show(answer, as_json=as_json, text=table(("schedule", "on call", "until"), rows))


@app.command()
def preview(
    schedule: Schedule,
    days: Annotated[int, typer.Option(min=1, max=93, help="How far ahead.")] = 28,
    as_json: AsJson = False,
) -> None:
    """Show who is on call when, and where nobody is; exit status 1 when there is a gap."""
    api = Api.of_profile()
    answer = api.get(f"/escalation/schedules/{_schedule(api, schedule)['id']}/preview", days=days)
    rows = ((one["begins"], one["ends"], _name(one["person"])) for one in answer["items"])
    show(answer, as_json=as_json, text=table(("from", "to", "on call"), rows))
    if answer["gaps"]:
        raise typer.Exit(Exit.FOUND_WRONG)


@app.command()
def export(
    schedule: Schedule,
    file: Annotated[Path, typer.Option("--file", "-o", help="Where to.")] = Path("on-call.ics"),
    as_json: AsJson = False,
) -> None:
    """Write the next 90 days of a schedule as iCalendar."""
    api = Api.of_profile()
    found = _schedule(api, schedule)["id"]
    with api.download(f"/escalation/schedules/{found}/calendar.ics") as answer:
        written = file.write_bytes(answer.read())
    show({"file": str(file), "bytes": written}, as_json=as_json, text=f"{file}: {written} bytes")


@app.command("import")
def take(
    schedule: Schedule,
    file: Annotated[Path, typer.Argument(help="A calendar, such as on-call.ics.")],
    as_json: AsJson = False,
) -> None:
    """Take a calendar in: its shifts become the stand-ins from now on."""
    api = Api.of_profile()
    found = _schedule(api, schedule)
    try:
        body = {"ics": file.read_text(encoding="utf-8"), "version": found["version"]}
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no text, so it is no calendar.", Exit.USAGE) from None
    answer = api.post(f"/escalation/schedules/{found['id']}/calendar", body)
    left = [f"left out, for nobody is called so: {name}" for name in answer["unknown"]]
    show(answer, as_json=as_json, text=lambda: [f"{answer['taken']} shifts taken in", *left])


@app.command("try")
def try_policies(
    severity: Annotated[str, typer.Option(help="Of the incident.")] = "high",
    check_type: Annotated[str | None, typer.Option(help="Of the incident.")] = None,
    site: Annotated[str | None, typer.Option(help="Of the incident.")] = None,
    at: Annotated[str | None, typer.Option(help="When, such as 2026-11-21T22:00:00Z; else now.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show whom the tenant's policies would tell of an incident, and when; nothing is sent."""
    body = {"severity": severity, "check_type": check_type, "site": site, "at": at}
    answer = Api.of_profile().post("/escalation/policies/try", body)
    rows = (
        (one["at"], "in the end" if one["step"] < 0 else f"step {one['step'] + 1}", _told(one["told"]))
        for one in answer["items"]
    )
    held = f"By {answer['policy']}." if answer["policy"] else "No policy fits: nobody is told by one."
    show(answer, as_json=as_json, text=lambda: [held, table(("at", "step", "tells"), rows)])


@app.command()
def messages(
    state: Annotated[str | None, typer.Option(help="queued, sending, delivered, failed or skipped.")] = None,
    incident: Annotated[str | None, typer.Option(help="Number or id of an incident.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what people were told, the newest first: by what, to whom, how often tried, and why not."""
    api = Api.of_profile()
    about = find_incident(api, incident)["id"] if incident else None
    items = list(api.pages("/escalation/deliveries", limit=limit, state=state, incident_id=about))
    for one in items:
        one["to"] = _name(one["person"]) if one["recipient"] else "the channel's own"
    show_list(items, _MESSAGES, as_json=as_json)


@app.command("test")
def try_channel(
    channel: Annotated[str, typer.Argument(help="Name or id of the channel.")], as_json: AsJson = False
) -> None:
    """Send a message that says that it is a test."""
    api = Api.of_profile()
    found = named(api, "/escalation/channels", channel, "channel")
    answer = api.post(f"/escalation/channels/{found['id']}/test", {})
    show(answer, as_json=as_json, text="It is on its way; fettle oncall messages says what came of it.")


@app.command()
def ack(
    incident: Incident,
    take_it: Annotated[bool, typer.Option("--take/--no-take", help="Also become its assignee.")] = True,
    undo: Annotated[bool, typer.Option("--undo", help="Take an acknowledgement back.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say that you have an incident in hand: nobody else is told."""
    api = Api.of_profile()
    path = f"/incidents/{find_incident(api, incident)['id']}"
    answer = (
        api.post(f"{path}/unacknowledge", {}) if undo else api.post(f"{path}/acknowledge", {"take": take_it})
    )
    show(answer, as_json=as_json, text="The clock goes on." if undo else "Acknowledged.")


@app.command()
def overdue(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    every: Annotated[bool, typer.Option("--all", help="Also what has moved since.")] = False,
    as_json: AsJson = False,
) -> None:
    """List what should have gone on by now and did not; exit status 1 when something hangs."""
    wanted = {} if every else {"hanging": "true"}
    items = list(Api.of_profile().pages("/overdue", limit=limit, **wanted))
    show_list(items, ("kind", "state", "due_at", "moved_at", "next_event", "subject_id"), as_json=as_json)
    if any(one["moved_at"] is None for one in items):
        raise typer.Exit(Exit.FOUND_WRONG)


def _schedule(api: Api, wanted: str) -> dict[str, Any]:
    return named(api, "/escalation/schedules", wanted, "schedule")


def _name(person: dict[str, Any] | None) -> str:
    return "nobody" if person is None else person["name"] or "somebody who left"


def _told(told: list[dict[str, Any]]) -> str:
    return "; ".join(
        " ".join(
            part
            for part in (
                _name(one["person"]) + ":" if one["person"] else "",
                one["channel"] or "?",
                one["why_not"],
            )
            if part
        )
        for one in told
    )
