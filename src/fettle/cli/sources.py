"""``fettle sources``: programs that send webhooks, their secrets, what they sent and how it is read, by the API."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.naming import named
from fettle.cli.output import AsJson, facts, show, show_list, table

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("name", "kind", "enabled", "secrets", "accepted", "passed_over", "refused", "received_at", "id")
_FACTS = (
    "name", "kind", "title", "authentication", "enabled", "address", "topic", "secrets", "secret_changed_at",
    "is_own_mapping", "mapping_version", "accepted", "passed_over", "repeated", "refused", "received_at",
    "accepted_at", "refused_at", "refusal", "held", "keep_days", "id",
)  # fmt: skip
_PAYLOADS = ("received_at", "outcome", "size", "reason", "id")

Source = Annotated[str, typer.Argument(help="Name or id of the source.", show_default=False)]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]


@app.command("list")
def list_sources(
    q: Annotated[str | None, typer.Option(help="Part of the name.")] = None,
    kind: Annotated[str | None, typer.Option(help="Of this kind only.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List sources, oldest first, with what came of what was sent to them."""
    show_list(
        list(Api.of_profile().pages("/hook-sources", limit=limit, q=q, kind=kind)), _COLUMNS, as_json=as_json
    )


@app.command()
def kinds(as_json: AsJson = False) -> None:
    """List the programs that the active packs can read."""
    items = Api.of_profile().get("/hook-sources/kinds")["items"]
    show_list(items, ("id", "title", "authentication", "pack_id"), as_json=as_json)


@app.command("show")
def show_source(source: Source, as_json: AsJson = False) -> None:
    """Show a source, and why something was refused last."""
    found = _find(Api.of_profile(), source)
    show(found, as_json=as_json, text=lambda: [facts({name: found[name] for name in _FACTS})])


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it.", show_default=False)],
    kind: Annotated[str, typer.Option(help="One of `fettle sources kinds`.")],
    authentication: Annotated[
        str | None, typer.Option(help="How it proves itself; without it the kind's usual way.")
    ] = None,
    topic: Annotated[str | None, typer.Option(help="The topic's ARN, for Amazon SNS.")] = None,
    keep_days: Annotated[
        int, typer.Option(min=0, max=90, help="For how long payloads are kept; 0: not at all.")
    ] = 7,
    as_json: AsJson = False,
) -> None:
    """Set up a source; its secret is printed here alone."""
    api = Api.of_profile()
    body = {"name": name, "kind": kind, "keep_days": keep_days}
    body |= {k: v for k, v in (("authentication", authentication), ("topic", topic)) if v is not None}
    made = api.post("/hook-sources", body)
    known = next((one for one in api.get("/hook-sources/kinds")["items"] if one["id"] == kind), None)
    steps = [
        f"{number}. {step.replace('{url}', made['url']).replace('{secret}', made['secret'] or 'its secret')}"
        for number, step in enumerate(known["setup"] if known else (), 1)
    ]
    show(made, as_json=as_json, text=lambda: [facts(_issued(made)), "", *steps])


@app.command()
def rotate(
    source: Source,
    overlap_hours: Annotated[
        int, typer.Option(min=0, max=720, help="For how long the secret before holds as well.")
    ] = 24,
    secret_file: Annotated[
        Path | None, typer.Option(help="A file with the secret, where the sender makes it; - reads it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give a source a new secret, printed here alone; the one before holds until the overlap ends."""
    api = Api.of_profile()
    body: dict[str, Any] = {"overlap_hours": overlap_hours}
    if secret_file is not None:
        body["secret"] = _text_of(secret_file).strip()
    made = api.post(f"/hook-sources/{_find(api, source)['id']}/secret", body)
    show(made, as_json=as_json, text=lambda: [facts(_issued(made))])


@app.command()
def switch(
    source: Source,
    on: Annotated[bool, typer.Option("--on/--off", help="Whether anything is taken from it.")],
    as_json: AsJson = False,
) -> None:
    """Switch a source off, or on again; what a source that is off sends is refused."""
    api = Api.of_profile()
    found = _find(api, source)
    body = {"enabled": on, "version": found["version"]}
    made = api.patch(f"/hook-sources/{found['id']}", body)
    show(made, as_json=as_json, text=f"{made['name']} is {'on' if made['enabled'] else 'off'}.")


@app.command()
def delete(
    source: Source,
    confirm: Annotated[str, typer.Option(help="The name once more.")] = "",
    as_json: AsJson = False,
) -> None:
    """Delete a source with its secrets and what it received; incidents that it opened stay."""
    api = Api.of_profile()
    found = _find(api, source)
    if not confirm and not as_json:
        confirm = typer.prompt(f"Whatever {found['name']} sends will be refused. Type its name to go on")
    if confirm != found["name"]:
        raise CommandError(f"Nothing was deleted: --confirm is not {found['name']}.", Exit.REFUSED)
    api.delete(f"/hook-sources/{found['id']}")
    show({"id": found["id"], "deleted": True}, as_json=as_json, text=f"{found['name']} is gone.")


@app.command()
def received(
    source: Source,
    outcome: Annotated[str | None, typer.Option(help="accepted, passed_over or refused.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """List what a source sent last, newest first; with --json the redacted payloads, too."""
    api = Api.of_profile()
    found = api.pages(f"/hook-sources/{_find(api, source)['id']}/payloads", limit=limit, outcome=outcome)
    show_list(list(found), _PAYLOADS, as_json=as_json)


@app.command()
def mapping(
    source: Source,
    put: Annotated[
        Path | None, typer.Option(help="A file with a mapping as JSON, to hold from now on; - reads it.")
    ] = None,
    of_pack: Annotated[bool, typer.Option("--of-pack", help="Go back to the pack's own.")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the mapping that holds, as JSON, or give the source another; preview it first."""
    api = Api.of_profile()
    path = f"/hook-sources/{_find(api, source)['id']}/mapping"
    held = api.get(path)
    if put is None and not of_pack:
        show(held, as_json=as_json, text=json.dumps(held["mapping"] or held["of_pack"], indent=2))
        return
    document = None if of_pack or put is None else _document(put)
    made = api.put(path, {"mapping": document, "mapping_version": held["mapping_version"]})
    told = "its own mapping" if made["mapping"] is not None else "the pack's mapping"
    show(made, as_json=as_json, text=f"From now on {told} holds; version {made['mapping_version']}.")


@app.command()
def preview(
    source: Source,
    file: Annotated[
        Path | None,
        typer.Argument(help="A file with a mapping as JSON; - reads it; without it the pack's own."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a mapping would have made of what was received; status 1 where it fails. Nothing is changed."""
    api = Api.of_profile()
    body = {"mapping": _document(file) if file is not None else None}
    seen = api.post(f"/hook-sources/{_find(api, source)['id']}/mapping/preview", body)
    said = f"{seen['changed']} of {len(seen['items'])} payloads would be read otherwise, {seen['failing']} not at all."
    rows = [row for item in seen["items"] for row in _differences(item)]
    columns = ("received", "where", "before", "after")
    show(seen, as_json=as_json, text=lambda: [said, *([table(columns, rows)] if rows else [])])
    if seen["failing"]:
        raise typer.Exit(Exit.FOUND_WRONG)


@app.command("try")
def try_source(
    source: Source,
    file: Annotated[
        Path | None,
        typer.Argument(help="A file with a payload as JSON; - reads it; without it the kind's example."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what would come of a payload; nothing is opened. Status 1 where it cannot be read."""
    api = Api.of_profile()
    body = {"payload": _document(file)} if file is not None else {}
    seen = api.post(f"/hook-sources/{_find(api, source)['id']}/test", body)
    said = seen["error"] or json.dumps(seen["exceptions"], indent=2, ensure_ascii=False)
    show(seen, as_json=as_json, text=said)
    if seen["error"] is not None:
        raise typer.Exit(Exit.FOUND_WRONG)


def _find(api: Api, wanted: str) -> dict[str, Any]:
    return named(api, "/hook-sources", wanted, "source")


def _issued(made: dict[str, Any]) -> dict[str, Any]:
    """Return what whoever sets up the sender needs, and nothing besides."""
    told = {
        "name": made["name"],
        "id": made["id"],
        "url": made["url"],
        "proves itself by": made["authentication"],
    }
    return told | ({"secret": made["secret"]} if made["secret"] is not None else {})


def _differences(item: dict[str, Any]) -> list[tuple[Any, ...]]:
    if item["error_after"] is not None:
        return [(item["received_at"], "", item["error_before"], item["error_after"])]
    return [(item["received_at"], one["pointer"], one["before"], one["after"]) for one in item["changes"]]


def _text_of(file: Path) -> str:
    if str(file) == "-":
        return typer.get_text_stream("stdin").read()
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", Exit.FILE) from None
    except UnicodeDecodeError:
        raise CommandError(f"{file} is no text.", Exit.USAGE) from None


def _document(file: Path) -> Any:
    try:
        return json.loads(_text_of(file))
    except ValueError as error:
        raise CommandError(f"{file} is no JSON: {error}", Exit.USAGE) from None
