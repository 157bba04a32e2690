"""``fettle keys``: the master keys that seal secrets at rest, looked at and rotated."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Any, Final

import typer

from fettle.central.embedded import start_postgres
from fettle.central.processes import StartError
from fettle.cli.exits import CommandError, Exit
from fettle.cli.local import of_running, settings
from fettle.cli.output import AsJson, console, show, table
from fettle.kernel import key_rotation
from fettle.kernel.database import Database
from fettle.kernel.master_keys import new_master_key
from fettle.kernel.secrets import SecretBox, SecretUnreadable
from fettle.kernel.settings import Settings, SettingsError

app = typer.Typer(no_args_is_help=True)

_REST_SECONDS: Final = 60.0
"""A process may still be storing what it sealed by the key before, for so long."""


@app.command()
def new(as_json: AsJson = False) -> None:
    """Print a fresh master key, for where FETTLE_MASTER_KEY is set."""
    text = new_master_key().text
    show({"key": text}, as_json=as_json, text=text)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say which master keys there are and what each sealed; exit status 1 where one is missing."""

    async def look(database: Database, box: SecretBox) -> bool:
        counts = await key_rotation.sealed_by(database)
        missing = await key_rotation.check_keys(database, box)
        document = {
            "current": box.keys.current().id.hex(),
            "known": [key.id.hex() for key in box.keys.all()],
            "sealed": [asdict(one) for one in counts],
            "to_rotate": key_rotation.due(counts, box),
            "missing": missing,
        }
        roles = {key.id.hex(): "old" for key in box.keys.all()} | {document["current"]: "current"}
        rows = [
            (one.key_id, roles.get(one.key_id, "missing"), f"{one.table}.{one.column}", one.count)
            for one in counts
        ]
        show(document, as_json=as_json, text=table(("key", "is", "seals", "secrets"), rows))
        return missing is None

    if not _with_database(look):
        raise typer.Exit(Exit.FOUND_WRONG)


@app.command()
def rotate(as_json: AsJson = False) -> None:
    """Make a new master key and bring every stored secret under it; after an interruption, go on."""

    async def turn(database: Database, box: SecretBox) -> dict[str, Any]:
        _refuse_missing(await key_rotation.check_keys(database, box))
        begun = key_rotation.due(await key_rotation.sealed_by(database), box)
        if not begun:
            _begin(box)
        expected = key_rotation.due(await key_rotation.sealed_by(database), box)
        with _progress(expected, quiet=as_json) as told:
            moved = await key_rotation.rewrap_all(database, box, told)
        return {"current": box.keys.current().id.hex(), "rewrapped": moved, "resumed": bool(begun)}

    found = _with_database(turn)
    text = (
        f"{found['rewrapped']} secrets came under the master key {found['current']}. Backups from before need the "
        "old one, so keep it; `fettle keys forget` drops it here."
    )
    show(found, as_json=as_json, text=text)


@app.command()
def forget(as_json: AsJson = False) -> None:
    """Drop old master keys that seal nothing any more; backups from before still need them."""

    async def drop(database: Database, box: SecretBox) -> dict[str, Any]:
        file = box.keys.file
        if file is not None and time.time() - file.stat().st_mtime < _REST_SECONDS:
            raise CommandError("The keys were rotated just now. Repeat this in a minute.", Exit.REFUSED)
        used = {bytes.fromhex(one.key_id) for one in await key_rotation.sealed_by(database)}
        dropped = [key.id.hex() for key in box.keys.all()[1:] if key.id not in used]
        if dropped:
            box.keys.keep(list(used))
        return {"forgotten": dropped, "current": box.keys.current().id.hex()}

    found = _with_database(drop)
    show(found, as_json=as_json, text=f"{len(found['forgotten'])} old keys are forgotten.")


def _begin(box: SecretBox) -> None:
    """Begin with a new key where the file holds the keys; say what to do where settings do."""
    if box.keys.file is not None:
        box.keys.begin_with(new_master_key())
        return
    raise CommandError(
        "FETTLE_MASTER_KEY is set, so set it to a new key (`fettle keys new`), put the present one into "
        "FETTLE_OLD_MASTER_KEYS, restart, and run this again.",
        Exit.REFUSED,
    )


def _refuse_missing(missing: str | None) -> None:
    if missing is not None:
        raise CommandError(missing, Exit.BAD_SETTING)


def _with_database(work: Callable[[Database, SecretBox], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with _database() as (database, box):
            return await work(database, box)

    try:
        return asyncio.run(run())
    except SettingsError as error:
        raise CommandError(str(error), Exit.BAD_SETTING) from None
    except SecretUnreadable as error:
        raise CommandError(str(error), Exit.FOUND_WRONG) from None


@asynccontextmanager
async def _database() -> AsyncIterator[tuple[Database, SecretBox]]:
    chosen = settings()
    with _reachable(chosen) as reached:
        database = await Database.connect(reached)
        try:
            yield database, SecretBox(reached)
        finally:
            await database.close()


@contextmanager
def _reachable(chosen: Settings) -> Iterator[Settings]:
    """Yield settings with the address of the database that runs, or of one that is started for this."""
    running = of_running(chosen)
    if running is not None:
        yield running
        return
    try:
        with start_postgres(chosen.home):
            yield of_running(chosen) or chosen
    except StartError as error:
        raise CommandError(str(error), Exit.CANNOT_START) from None


@contextmanager
def _progress(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    if quiet:
        yield lambda _moved: None
        return
    from rich.progress import Progress  # noqa: PLC0415 - JSON does without it

    with Progress(console=console()) as shown:
        task = shown.add_task("secrets", total=total)
        yield lambda moved: shown.advance(task, moved)
