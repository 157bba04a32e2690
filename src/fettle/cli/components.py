"""``fettle components``: what of others this installation is made of, and which of it has known faults; no network."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from fettle.central.components.advisories import AdvisoriesError, Fault, Judged, judge
from fettle.central.components.cyclonedx import cyclonedx
from fettle.central.components.inventory import Component, installed_components
from fettle.central.postgres_fixes import missing_fixes
from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, print_json, show, table

if TYPE_CHECKING:
    from rich.table import Table

app = typer.Typer()

_FILES = (
    "Advisories in OSV's form: a file, a folder, or an archive such as osv.dev's all.zip of PyPI and of npm."
)


@app.command()
def components(
    advisories: Annotated[list[Path] | None, typer.Option(help=_FILES)] = None,
    as_cyclonedx: Annotated[
        bool, typer.Option("--cyclonedx", help="Print a CycloneDX 1.6 document (JSON).")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the components of this installation; with advisories, say which have known faults (exit status 1)."""
    found = installed_components()
    judged = _judged(found, advisories or [])
    own = _own_fault(found)
    if as_cyclonedx:
        print_json(cyclonedx(found, judged.faults if judged is not None else ()))
    else:
        show(
            {
                "items": [{**asdict(one), "url": one.url} for one in found],
                "missing_fixes": own,
                "advisories": _document(judged) if judged is not None else None,
            },
            as_json=as_json,
            text=lambda: _told(found, judged, own),
        )
    if judged is not None and (judged.faults or judged.unread):
        raise typer.Exit(Exit.FOUND_WRONG)


def _judged(found: list[Component], paths: list[Path]) -> Judged | None:
    if not paths:
        return None
    try:
        return judge(found, paths)
    except AdvisoriesError as error:
        raise CommandError(str(error), Exit.FILE) from None


def _own_fault(found: list[Component]) -> str | None:
    """Return what we know ourselves of the embedded database, about which OSV has no advisories."""
    version = next((one.version for one in found if one.name == "postgresql"), None)
    if version is None:
        return None
    first, _, second = version.partition(".")
    return missing_fixes(int(first) * 10_000 + int(second or 0))


def _document(judged: Judged) -> dict[str, Any]:
    return {
        "faults": [{**asdict(fault), "component": fault.component.url} for fault in judged.faults],
        "read": judged.read,
        "withdrawn": judged.withdrawn,
        "unread": judged.unread,
        "unread_shown": judged.unread_shown,
    }


def _told(found: list[Component], judged: Judged | None, own: str | None) -> "Iterator[str | Table]":
    if judged is None:
        rows = (
            (one.kind, one.name, one.version, one.licence, "run" if one.is_run else "build", one.locked)
            for one in found
        )
        yield table(("kind", "name", "version", "licence", "for", "lock"), rows)
    elif judged.faults:
        columns = ("state", "component", "version", "advisory", "severity", "mended in", "what")
        yield table(columns, (_row(fault) for fault in judged.faults))
    if own is not None:
        yield f"The embedded {own}"
    if judged is not None:
        yield _sum(judged)


def _row(fault: Fault) -> tuple[str, ...]:
    ids = ", ".join((fault.advisory, *fault.aliases))
    state, one = "unclear" if fault.is_unclear else "affected", fault.component
    return (state, one.name, one.version, ids, fault.severity, fault.mended_in, fault.summary)


def _sum(judged: Judged) -> str:
    read = ", ".join(f"{count} about {name}" for name, count in judged.read.items())
    lines = [f"Advisories: {read}; {judged.withdrawn} of them withdrawn."]
    lines += [
        f"None was about {name}, so nothing is said of its components."
        for name, count in judged.read.items()
        if not count
    ]
    if judged.unread:
        lines.append(f"{judged.unread} could not be read, such as {'; '.join(judged.unread_shown)}.")
    return escape("\n".join(lines))
