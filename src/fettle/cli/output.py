"""What commands print: JSON for programs, tables and colours for people."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

_PIPE_COLUMNS = 200

_STYLES = {
    "critical": "bold red",
    "high": "red",
    "medium": "yellow",
    "resolved": "green",
    "closed": "dim",
    "escalated": "magenta",
    "healing": "cyan",
    "pass": "green",
    "fail": "red",
    "unknown": "yellow",
    "ok": "green",
    "warning": "yellow",
    "wrong": "red",
}


def show(
    document: object, *, as_json: bool, text: "str | Table | Callable[[], Iterable[str | Table]]"
) -> None:
    """Print a document as JSON, or as people read it.

    Args:
        document: What a program gets.
        as_json: Whether a program asked.
        text: What a person gets: a line, a table, or what makes several of them.
    """
    if as_json:
        print_json(document)
    elif isinstance(text, str):
        print(text)
    else:
        screen = console()
        for part in text() if callable(text) else [text]:
            screen.print(part)


def show_list(items: Sequence[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a list as JSON, or as a table with a line for each item."""
    rows = ([item.get(name) for name in columns] for item in items)
    show({"items": items}, as_json=as_json, text=table(columns, rows) if items else "none")


def print_json(document: object) -> None:
    """Print one JSON document on a line of its own."""
    print(json.dumps(document, default=str, ensure_ascii=False), flush=True)


def console() -> "Console":
    """Return where people read."""
    from rich.console import Console  # noqa: PLC0415 - JSON does without it

    # A pipe has no width of its own, and eighty columns cut what `grep` looks for.
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else _PIPE_COLUMNS
    return Console(highlight=False, soft_wrap=False, width=width)


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str | None = None) -> "Table":
    """Return a table; words of states and severities get their colour."""
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    made = Table(*columns, title=title, box=None, header_style="bold", title_justify="left")
    for row in rows:
        made.add_row(*(_cell(value, escape) for value in row))
    return made


def facts(pairs: Mapping[str, Any]) -> "Table":
    """Return names and values, one pair a line."""
    from rich.markup import escape  # noqa: PLC0415 - as above
    from rich.table import Table  # noqa: PLC0415 - as above

    made = Table(box=None, show_header=False)
    for name, value in pairs.items():
        made.add_row(f"[bold]{escape(name)}[/]", _cell(value, escape))
    return made


def _cell(value: Any, escape: Callable[[str], str]) -> str:
    if value is None:
        return "[dim]-[/]"
    if isinstance(value, dict | list):
        return escape(json.dumps(value, default=str, ensure_ascii=False))
    text = escape(str(value))
    style = _STYLES.get(str(value))
    return f"[{style}]{text}[/]" if style else text
