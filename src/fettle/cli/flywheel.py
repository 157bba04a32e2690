"""``fettle flywheel``: what healed before, the rules that grow from it, and their stages, by the API."""

from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, facts, print_json, show, show_list, table

app = typer.Typer(no_args_is_help=True)

_PATTERNS = (
    "check_type",
    "platform",
    "total",
    "l1",
    "l2",
    "l3",
    "succeeded",
    "failed",
    "lower_bound",
    "promotion",
    "pattern",
)
_PROMOTIONS = ("rule_id", "state", "check_type", "choice", "successes", "healed", "failed", "id")
_CRITERIA = ("name", "wanted", "found", "met")

Rule = Annotated[str, typer.Argument(help="Id of the grown rule, such as L1-GROWN-..., or of its promotion.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the audit and in the rule's events.")]


@app.command()
def summary(
    days: Annotated[int, typer.Option(min=1, max=365, help="Up to today.")] = 30, as_json: AsJson = False
) -> None:
    """Show who decided over the last days, and what healing without a person saved."""
    found = Api.of_profile().get("/flywheel/summary", days=days)
    levels = ((one["day"], one["l1"], one["l2"], one["l3"], one["grown"]) for one in found["by_day"])
    told = {**found["saved"], **{f"rules {state}": n for state, n in found["states"].items()}}
    show(
        found,
        as_json=as_json,
        text=lambda: [facts(told), "", table(("day", "L1", "L2", "L3", "grown rules"), levels)],
    )


@app.command()
def patterns(
    text: Annotated[str | None, typer.Option("--text", "-q", help="In signature or title.")] = None,
    check_type: Annotated[str | None, typer.Option(help="Only this check type.")] = None,
    state: Annotated[str | None, typer.Option(help="Whose rule is in this stage.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List patterns and what became of them, those seen last first."""
    wanted = {"q": text, "check_type": check_type, "state": state}
    found = Api.of_profile().pages("/flywheel/patterns", limit=limit, **wanted)
    show_list(list(found), _PATTERNS, as_json=as_json)


@app.command()
def evidence(
    pattern: Annotated[str, typer.Argument(help="A pattern's signature.")], as_json: AsJson = False
) -> None:
    """Say what was tried for a pattern, and whether it may become a rule."""
    found = Api.of_profile().get(f"/flywheel/patterns/{pattern}")
    known = {name: value for name, value in found.items() if name != "choices"}
    parts: list[Any] = [facts(known)]
    for choice in found["choices"]:
        verdict = "may become a rule" if choice["eligible"] and choice["rule"] else "no rule yet"
        parts += ["", f"[bold]{choice['choice']}[/]: {verdict}. {choice['detail'] or ''}"]
        parts.append(table(_CRITERIA, ([one[name] for name in _CRITERIA] for one in choice["criteria"])))
    show(found, as_json=as_json, text=lambda: parts)


@app.command()
def rules(
    state: Annotated[str | None, typer.Option(help="Only this stage.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List the rules that grew from what healed, newest first."""
    found = Api.of_profile().pages("/flywheel/promotions", limit=limit, state=state)
    show_list(list(found), _PROMOTIONS, as_json=as_json)


@app.command("show")
def show_rule(rule: Rule, as_json: AsJson = False) -> None:
    """Show a grown rule with its evidence and its trial on the last 30 days."""
    api = Api.of_profile()
    found = api.get(f"/flywheel/promotions/{_find(api, rule)['id']}")
    show(found, as_json=as_json, text=facts(found))


@app.command()
def promote(rule: Rule, reason: Reason, as_json: AsJson = False) -> None:
    """Move a grown rule to its next stage: shadow, canary, full."""
    _move(rule, "promote", reason, as_json=as_json)


@app.command()
def retire(rule: Rule, reason: Reason, as_json: AsJson = False) -> None:
    """Retire a grown rule, or dismiss one that is only proposed; `restore` takes it back."""
    _move(rule, "retire", reason, as_json=as_json)


@app.command()
def restore(rule: Rule, reason: Reason, as_json: AsJson = False) -> None:
    """Take back that a grown rule was retired or dismissed."""
    _move(rule, "restore", reason, as_json=as_json)


@app.command()
def pool(as_json: AsJson = False) -> None:
    """List about what at least five tenants that agreed know together of the patterns that this one has met."""
    found = list(Api.of_profile().pages("/flywheel/pool", limit=1000))
    show_list(found, ("pattern", "choice", "tenants", "succeeded", "failed", "lower_bound"), as_json=as_json)


@app.command("bundle")
def fetch_bundle(
    to: Annotated[Path | None, typer.Option(help="Write it into this file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the signed rules as an appliance does: l1_rules.json."""
    found = Api.of_profile().get("/flywheel/l1_rules.json")
    if to is None:
        print_json(found)
        return
    import json  # noqa: PLC0415 - only this needs it

    written = to.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    show({"file": str(to), "characters": written}, as_json=as_json, text=f"{to}: {written} characters")


def _move(rule: str, move: str, reason: str, *, as_json: bool) -> None:
    api = Api.of_profile()
    found = _find(api, rule)
    answer = api.post(
        f"/flywheel/promotions/{found['id']}/{move}", {"reason": reason, "version": found["version"]}
    )
    show(answer, as_json=as_json, text=f"{found['rule_id']}: {found['state']} -> {answer['state']}")


def _find(api: Api, rule: str) -> dict[str, Any]:
    try:
        return dict(api.get(f"/flywheel/promotions/{UUID(rule)}"))
    except ValueError:
        pass
    for found in api.pages("/flywheel/promotions", limit=10_000):
        if found["rule_id"] == rule:
            return dict(found)
    raise CommandError(f"no grown rule {rule}; `fettle flywheel rules` lists them.", Exit.NOT_FOUND)
