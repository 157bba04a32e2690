"""``fettle planner``: tries the planner's providers on incidents of which the answer is known."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from fettle.cli.exits import CommandError, Exit
from fettle.cli.local import quiet_logs, settings
from fettle.cli.output import AsJson, show, table
from fettle.kernel.settings import Settings, SettingsError

app = typer.Typer(no_args_is_help=True)


@app.callback()
def planner() -> None:
    """Try the planner's providers."""


@app.command("eval")
def evaluate(
    provider: Annotated[
        list[str] | None,
        typer.Option(help="An entry of FETTLE_PLANNER_CHAIN, or part of one; all of the chain without it."),
    ] = None,
    pack: Annotated[
        list[str] | None, typer.Option(help="A pack whose labelled incidents are replayed; all without it.")
    ] = None,
    prose: Annotated[
        str, typer.Option(help="withheld or masked: what becomes of free text, as a policy says it.")
    ] = "withheld",
    as_json: AsJson = False,
) -> None:
    """Replay labelled incidents against the configured providers, and say side by side how each does.

    The set ships with Fettle, below packs/evaluation. What leaves is masked as an incident's would be, goes only to
    endpoints that FETTLE_PLANNER_ALLOW lists, and costs what the model costs. `retrieval` is given the other
    incidents of the set as its memories, never the one that it is asked about nor any of its pattern.
    """
    from fettle.healing.planner.evaluating import table as rows_of  # noqa: PLC0415 - only this command needs it
    from fettle.healing.planner.masking import PROSE  # noqa: PLC0415 - as above

    if prose not in PROSE:
        raise CommandError(f"--prose is {' or '.join(PROSE)}.", Exit.USAGE)
    chosen = settings()
    quiet_logs(chosen)
    scores = asyncio.run(_scores(chosen, provider or [], pack or [], prose))
    columns = ("", *(str(score["provider"]) for score in scores))
    rows = [[label, *values] for label, values in rows_of(scores)]
    show({"providers": scores}, as_json=as_json, text=lambda: [table(columns, rows)])


async def _scores(
    chosen: Settings, wanted: Sequence[str], packs: Sequence[str], prose: str
) -> list[dict[str, Any]]:
    from fettle.healing.planner.endpoints import read_chain  # noqa: PLC0415 - as above
    from fettle.healing.planner.evaluating import evaluate as replay  # noqa: PLC0415 - as above
    from fettle.healing.planner.labelled import Rehearsed, read_cases, vocabulary  # noqa: PLC0415 - as above
    from fettle.healing.planner.wires import egress_to_models, provider_of  # noqa: PLC0415 - as above
    from fettle.packs.problems import PackInvalid  # noqa: PLC0415 - as above

    try:
        chain = read_chain(chosen)
        cases = read_cases(packs)
    except SettingsError as error:
        raise CommandError(str(error), Exit.BAD_SETTING) from None
    except PackInvalid as error:
        raise CommandError("\n".join(str(problem) for problem in error.problems), Exit.USAGE) from None
    entries = [entry for entry in chain if not wanted or any(part in entry.name for part in wanted)]
    if not entries:
        known = ", ".join(entry.name for entry in chain) or "none"
        raise CommandError(
            f"no provider of the chain is meant by {', '.join(wanted)}; it has: {known}.", Exit.USAGE
        )
    egress = egress_to_models(chosen)
    known_words = vocabulary()
    scores = []
    for entry in entries:
        provider = provider_of(entry, egress, chosen) or Rehearsed(cases)
        score = await replay(provider, cases, prose=prose, vocabulary=known_words)
        scores.append(score.document())
    return scores
