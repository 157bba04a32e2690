"""``fettle temporal``: rules over time, by the API; a file's rules are tried on their own histories without it."""

from pathlib import Path
from typing import Annotated, Any, Final

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, facts, show, show_list, table

app = typer.Typer(no_args_is_help=True)

_COLUMNS: Final = ("id", "kind", "enabled", "source", "keys", "fired", "title")
_FIRED: Final = ("fired_at", "at", "key", "is_over", "count", "incident_id")

_KEYS: Final = ("id", "key", "remembered", "total", "last_at", "due_at", "is_told")

RuleName = Annotated[str, typer.Argument(help="Id of the rule over time.")]


@app.command("list")
def list_rules(
    kind: Annotated[
        str | None, typer.Option(help="count, sequence, missing, absence, once or accumulate.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 200,
    as_json: AsJson = False,
) -> None:
    """List the rules over time of the tenant, with how much they remember and how often they fired."""
    items = list(Api.of_profile().pages("/temporal-rules", limit=limit, kind=kind))
    for item in items:
        item |= {name: item["figures"][name] for name in ("keys", "fired")}
    show_list(items, _COLUMNS, as_json=as_json)


@app.command("show")
def show_rule(rule: RuleName, as_json: AsJson = False) -> None:
    """Show one rule over time, what it remembers, and what it found last."""
    api = Api.of_profile()
    found = api.get(f"/temporal-rules/{rule}")
    found["live"] = list(api.pages(f"/temporal-rules/{rule}/keys", limit=20))
    found["firings"] = list(api.pages(f"/temporal-rules/{rule}/firings", limit=20))
    known = {**found["rule"], **found["figures"], "source": found["source"], "version": found["version"]}
    live = (
        (one["key"], one["remembered"], one["total"], one["last_at"], one["due_at"], one["is_told"])
        for one in found["live"]
    )
    fired = ([one[name] for name in _FIRED] for one in found["firings"])
    show(
        found,
        as_json=as_json,
        text=lambda: [
            facts(known),
            "",
            table(("key", "remembered", "sum", "last", "due", "told"), live),
            "",
            table(_FIRED, fired),
        ],
    )


@app.command()
def keys(
    rule: RuleName,
    text: Annotated[str | None, typer.Option("--text", "-q", help="Part of the key.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List what a rule over time remembers now, key by key."""
    found = Api.of_profile().pages(f"/temporal-rules/{rule}/keys", limit=limit, q=text)
    show_list(list(found), _KEYS, as_json=as_json)


@app.command()
def forget(
    rule: RuleName,
    key: Annotated[str, typer.Argument(help="Id of the key, as `fettle temporal keys` says it.")],
    confirm: Annotated[str, typer.Option(help="The rule's id once more.")] = "",
    as_json: AsJson = False,
) -> None:
    """Let a rule over time forget one key, as if nothing had come of it; what it found stays."""
    if not confirm and not as_json:
        confirm = typer.prompt(f"{rule} will count this key anew. Type the rule's id to go on")
    if confirm != rule:
        raise CommandError(f"Nothing was forgotten: --confirm is not {rule}.", Exit.REFUSED)
    Api.of_profile().delete(f"/temporal-rules/{rule}/keys/{key}")
    show({"id": key, "forgotten": True}, as_json=as_json, text=f"{rule} has forgotten it.")


@app.command("test")
def play(
    file: Annotated[Path, typer.Argument(help="A YAML file of rules over time with tests, as in a pack.")],
    pack: Annotated[
        list[Path] | None, typer.Option(help="Folders of packs in whose words the rules are written.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Play the histories that stand in a file of rules over time; asks no server."""
    from fettle.healing.temporal.rules import TemporalRule, TemporalRuleError  # noqa: PLC0415 - only this command
    from fettle.packs.active import ActivePacks  # noqa: PLC0415 - as above
    from fettle.packs.loading import load_folder  # noqa: PLC0415 - as above
    from fettle.packs.problems import PackInvalid  # noqa: PLC0415 - as above
    from fettle.packs.testing import run_history_cases  # noqa: PLC0415 - as above

    rules = _rules_of(file)
    try:
        active = ActivePacks.of([load_folder(folder) for folder in pack or ()])
        for number, rule in enumerate(rules):
            TemporalRule.parse(rule, place=f"number {number + 1}")
    except (TemporalRuleError, PackInvalid) as error:
        raise CommandError(f"{file}: {error}", Exit.USAGE) from None
    cases = [case for rule in rules for case in run_history_cases(rule, active)]
    document = {
        "passed": bool(cases) and all(case.passed for case in cases),
        "cases": [case.document() for case in cases],
    }
    rows = (("pass" if case.passed else "fail", case.name, "; ".join(case.failures)) for case in cases)
    show(document, as_json=as_json, text=table(("", "case", "what differs"), rows))
    if not document["passed"]:
        raise typer.Exit(Exit.FOUND_WRONG)


@app.command("dry-run")
def dry_run(
    rule: Annotated[str, typer.Argument(help="Id of a rule over time, or a file with one as YAML or JSON.")],
    as_json: AsJson = False,
) -> None:
    """Try a rule over time on the exceptions of the last 30 days; changes nothing."""
    api = Api.of_profile()
    document = _one_of(Path(rule)) if Path(rule).is_file() else api.get(f"/temporal-rules/{rule}")["rule"]
    document.pop("tests", None)
    answer = api.post("/temporal-rules/dry-run", {"rule": document})
    rows = ((one["at"], one["key"], one["is_over"], one["count"]) for one in answer["firings"])
    known = {name: value for name, value in answer.items() if name not in {"firings", "by_day"}}
    show(
        answer,
        as_json=as_json,
        text=lambda: [facts(known), "", table(("at", "key", "is over", "exceptions"), rows)],
    )


def _one_of(file: Path) -> dict[str, Any]:
    rules = _rules_of(file)
    if len(rules) != 1:
        raise CommandError(f"{file} holds {len(rules)} rules; try one at a time.", Exit.USAGE)
    return rules[0]


def _rules_of(file: Path) -> list[dict[str, Any]]:
    import yaml  # noqa: PLC0415 - most commands do without it

    try:
        value = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}", Exit.NOT_FOUND) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise CommandError(f"{file} is no YAML: {error}", Exit.USAGE) from None
    rules = value if isinstance(value, list) else [value]
    if not all(isinstance(rule, dict) for rule in rules):
        raise CommandError(f"{file} holds no rule over time.", Exit.USAGE)
    return rules
