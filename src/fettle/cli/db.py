"""``fettle db``: the schema, brought up or down by its owner; an embedded database is started for it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from fettle.central.embedded import start_postgres
from fettle.central.processes import StartError
from fettle.cli.exits import CommandError, Exit
from fettle.cli.local import of_running, settings
from fettle.cli.output import AsJson, show
from fettle.kernel import migrations

app = typer.Typer(no_args_is_help=True)


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="A revision; head is the newest.")] = "head",
    as_json: AsJson = False,
) -> None:
    """Bring the schema up; what is there already stays as it is."""
    with _owner_url() as url:
        asyncio.run(migrations.upgrade(url, revision))
        _tell(url, as_json=as_json)


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help="A revision; base leaves nothing.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take the schema back to a revision. Data of what it removes is lost."""
    if not yes:
        typer.confirm(f"Take the schema back to {revision}? Data of what it removes is lost", abort=True)
    with _owner_url() as url:
        asyncio.run(migrations.downgrade(url, revision))
        _tell(url, as_json=as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say where the schema is; exit status 1 when it is not at the newest revision."""
    with _owner_url() as url:
        if not _tell(url, as_json=as_json):
            raise typer.Exit(Exit.FOUND_WRONG)


def _tell(url: str, *, as_json: bool) -> bool:
    found = asyncio.run(migrations.status(url))
    current = found.current == found.newest
    shown = f"schema {found.current or 'empty'}" + ("" if current else f", the newest is {found.newest}")
    show({"current": found.current, "newest": found.newest}, as_json=as_json, text=shown)
    return current


@contextmanager
def _owner_url() -> Iterator[str]:
    chosen = settings()
    running = of_running(chosen)
    if running is not None and running.database_url is not None:
        yield running.database_url.get_secret_value()
        return
    try:
        with start_postgres(chosen.home) as server:
            yield server.owner_url
    except StartError as error:
        raise CommandError(str(error), Exit.CANNOT_START) from None
