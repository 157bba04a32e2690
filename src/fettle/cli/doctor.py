"""``fettle doctor``: what is wrong with this installation, and how to mend it."""

import asyncio
from dataclasses import asdict

import typer

from fettle.central.diagnosis import Finding, diagnose
from fettle.cli.exits import Exit
from fettle.cli.local import settings
from fettle.cli.output import AsJson, print_json, show, table
from fettle.kernel.settings import Settings

app = typer.Typer()


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look at every part of this installation; exit status 1 when something is wrong."""
    found = asyncio.run(_all(settings()))
    wrong = any(finding.state == "wrong" for finding in found)
    if as_json:
        print_json({"ok": not wrong, "findings": [asdict(finding) for finding in found]})
    else:
        rows = ((finding.part, finding.state, finding.seen, finding.mend) for finding in found)
        show(None, as_json=False, text=table(("part", "state", "seen", "mend"), rows))
    if wrong:
        raise typer.Exit(Exit.FOUND_WRONG)


async def _all(chosen: Settings) -> list[Finding]:
    return [finding async for finding in diagnose(chosen)]
