"""``fettle up``: the whole platform on this machine, until Ctrl-C."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from fettle.central.processes import StartError
from fettle.central.supervisor import Ready, Supervisor
from fettle.cli.exits import CommandError, Exit
from fettle.cli.local import quiet_logs, settings
from fettle.cli.output import AsJson, console, print_json
from fettle.cli.profile import save_profile
from fettle.kernel.settings import SettingsError

if TYPE_CHECKING:
    from rich.status import Status

app = typer.Typer()


@app.command()
def up(as_json: AsJson = False) -> None:
    """Start the platform on this machine and keep it up; Ctrl-C stops it.

    PostgreSQL and Redis are started where FETTLE_DATABASE_URL and FETTLE_REDIS_URL are not set. All data is
    in FETTLE_HOME.
    """
    chosen = settings()
    quiet_logs(chosen)
    telling: JsonProgress | ScreenProgress = JsonProgress() if as_json else ScreenProgress()
    supervisor = Supervisor(chosen, telling)
    try:
        with supervisor.running() as ready:
            save_profile(chosen.home, url=ready.url)
            telling.ready(ready)
            supervisor.watch()
            telling.step("Stopping")
    except StartError as error:
        raise CommandError(str(error), Exit.CANNOT_START) from None
    except SettingsError as error:
        raise CommandError(str(error), Exit.BAD_SETTING) from None
    finally:
        telling.end()


class JsonProgress:
    """Tells a program what happens, a JSON document a line."""

    def step(self, text: str) -> None:
        """Say what is being done now."""
        print_json({"event": "step", "text": text})

    def note(self, text: str) -> None:
        """Say something that stays to be read."""
        print_json({"event": "note", "text": text})

    def ready(self, ready: Ready) -> None:
        """Say that it serves."""
        print_json(
            {
                "event": "ready",
                "url": ready.url,
                "owner": ready.owner_email,
                "one_time_password": ready.one_time_password,
            }
        )

    def end(self) -> None:
        """Nothing is left on the screen."""


class ScreenProgress:
    """Tells a person: a line that moves while something is done, and a mark when it is."""

    def __init__(self) -> None:
        self._screen = console()
        self._moving: Status | None = None
        self._doing: str | None = None

    def step(self, text: str) -> None:
        """Say what is being done now; what was done before gets its mark."""
        self._settle()
        self._doing = text
        if self._screen.is_terminal:
            self._moving = self._screen.status(f"{text} ...")
            self._moving.start()

    def note(self, text: str) -> None:
        """Say something that stays to be read."""
        self._screen.print(f"[yellow]![/] {text}", soft_wrap=True)

    def ready(self, ready: Ready) -> None:
        """Say where it is, and the owner's password when it was made just now."""
        self._settle()
        self._screen.print(f"\n[bold green]Fettle is ready:[/] {ready.url}\n")
        if ready.one_time_password is not None:
            self._screen.print(f"  Sign in as  [bold]{ready.owner_email}[/]")
            self._screen.print("  Password    ", end="")
            self._screen.print(ready.one_time_password, style="bold", markup=False)
            self._screen.print("  It is shown this once, and you choose another when you sign in.\n")
        self._screen.print(f"[dim]Ctrl-C stops it. In a second terminal: {escape(_command())} demo host[/]")

    def end(self) -> None:
        """Leave the screen as it is."""
        self._settle()

    def _settle(self) -> None:
        if self._moving is not None:
            self._moving.stop()
            self._moving = None
        if self._doing is not None:
            self._screen.print(f"[green]✓[/] {self._doing}")
            self._doing = None


def _command() -> str:
    """Return how one calls us in another terminal of the same folder: by name only where the name leads to us."""
    called = Path(sys.argv[0])
    if called.name != "fettle" or shutil.which("fettle") == str(called.resolve()):
        return "fettle"
    return str(called)
