"""``fettle rules``: what decides at L1, by the API."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, facts, show, table

app = typer.Typer(no_args_is_help=True)

_COLUMNS = ("id", "source", "enabled", "priority", "action", "title")


@app.command("list")
def list_rules(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 1000, as_json: AsJson = False
) -> None:
    """List the rules of the tenant, of packs and its own."""
    items = list(Api.of_profile().pages("/rules", limit=limit))
    show(
        {"items": items},
        as_json=as_json,
        text=table(_COLUMNS, ([item.get(name) for name in _COLUMNS] for item in items)),
    )


@app.command("show")
def show_rule(rule: Annotated[str, typer.Argument(help="Id of the rule.")], as_json: AsJson = False) -> None:
    """Show one rule."""
    found = Api.of_profile().get(f"/rules/{rule}")
    show(found, as_json=as_json, text=facts(found))


@app.command()
def explain(
    incident: Annotated[str, typer.Argument(help="A file with an incident as JSON; - reads standard input.")],
    as_json: AsJson = False,
) -> None:
    """Say which rule would decide an incident, and why the others would not."""
    answer = Api.of_profile().post("/rules/explain", {"incident": _document(incident)})
    rows = ((item["rule_id"], item["priority"], item["matched"], item["reason"]) for item in answer["items"])
    said = f"[bold]{answer['winner'] or 'no rule'}[/] decides, of {answer['considered']} rules.\n"
    show(answer, as_json=as_json, text=lambda: [said, table(("rule", "priority", "matched", "why"), rows)])


@app.command("dry-run")
def dry_run(
    rule: Annotated[str, typer.Argument(help="Id of a rule, or a file with one as JSON or YAML.")],
    as_json: AsJson = False,
) -> None:
    """Try a rule against the incidents of the last 30 days."""
    api = Api.of_profile()
    if Path(rule).is_file() or rule == "-":
        answer = api.post("/rules/dry-run", {"rule": _document(rule)})
    else:
        answer = api.post(f"/rules/{rule}/dry-run", {})
    show(answer, as_json=as_json, text=facts(answer))


def _document(name: str) -> Any:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{name}: {error.strerror}", Exit.NOT_FOUND) from None
    if name.endswith((".yaml", ".yml")):
        import yaml  # noqa: PLC0415 - JSON does without it

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise CommandError(f"{name} is no YAML: {error}", Exit.USAGE) from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandError(f"{name} is no JSON: {error}", Exit.USAGE) from None
