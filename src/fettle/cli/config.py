"""``fettle config``: every setting, its value and where the value comes from."""

import os
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer
from dotenv import dotenv_values
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from fettle.cli.local import settings
from fettle.cli.output import AsJson, print_json, show, table
from fettle.kernel.settings import Settings, default_home

app = typer.Typer(no_args_is_help=True)

MASK = "********"

_KINDS = {
    bool: "true or false",
    int: "number",
    float: "number",
    Path: "path",
    SecretStr: "secret",
    str: "text",
}


@app.callback()
def _group() -> None:
    """Show every setting and where it comes from."""


@app.command("show")
def show_settings(as_json: AsJson = False) -> None:
    """Print each setting with its source; secrets are masked."""
    chosen = settings()
    in_file = {name.upper() for name in dotenv_values(".env")}
    rows = [
        {
            "setting": _name(field),
            "value": _shown(getattr(chosen, field)),
            "source": _source(_name(field), in_file),
        }
        for field in Settings.model_fields
    ]
    show(
        {"items": rows},
        as_json=as_json,
        text=table(("setting", "value", "source"), (list(row.values()) for row in rows)),
    )


@app.command()
def page(as_json: AsJson = False) -> None:
    """Print the page ``docs/settings.md``, which is made from the settings themselves."""
    if as_json:
        print_json({"page": settings_page()})
    else:
        print(settings_page(), end="")


def settings_page() -> str:
    """Return ``docs/settings.md``."""
    lines = [
        "# Settings",
        "",
        "Made from `src/fettle/kernel/settings.py` by `fettle config page > docs/settings.md`, and held so by a test.",
        "",
        "Each is an environment variable, or a line of a file `.env` in the folder that Fettle is started in; the",
        "environment wins. `fettle config show` prints what holds and where it comes from. A value that cannot be",
        "used stops the start with one line that names it.",
        "",
        "| setting | kind | default | what it is |",
        "| --- | --- | --- | --- |",
    ]
    for name, field in Settings.model_fields.items():
        kind = _kind(field.annotation).replace("|", "\\|")
        lines.append(f"| `{_name(name)}` | {kind} | {_default(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _kind(annotation: Any) -> str:
    options = [option for option in get_args(annotation) if option is not type(None)]
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{option}`" for option in options)
    if get_origin(annotation) is list:
        return "list"
    if options:
        return _kind(options[0])
    return _KINDS.get(annotation, "text")


def _default(field: FieldInfo) -> str:
    if field.default_factory is default_home:
        return "the user's data folder"
    if field.default_factory is not None or field.default is None:
        return "unset"
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _name(field: str) -> str:
    return f"FETTLE_{field.upper()}"


def _source(name: str, in_file: set[str]) -> str:
    if name in {given.upper() for given in os.environ}:
        return "environment"
    return ".env" if name in in_file else "default"


def _shown(value: object) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    return value if value is None or isinstance(value, bool | int | float | str | list) else str(value)
