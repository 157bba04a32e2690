"""``fettle config``: every setting, its value and where the value comes from."""

import os
from typing import Any

import typer
from dotenv import dotenv_values
from pydantic import SecretStr

from fettle.cli.local import settings
from fettle.cli.output import AsJson, show, table
from fettle.kernel.settings import Settings

app = typer.Typer(no_args_is_help=True)

MASK = "********"


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
