"""What local commands stand on: the settings, and the database and Redis of an installation that runs here."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from fettle.cli.exits import CommandError, Exit
from fettle.kernel.settings import Settings, SettingsError, load_settings

if TYPE_CHECKING:
    from fettle.kernel.platform import Platform


def settings() -> Settings:
    """Read the settings.

    Raises:
        CommandError: A setting has a value that cannot be used.
    """
    try:
        return load_settings()
    except SettingsError as error:
        raise CommandError(str(error), Exit.BAD_SETTING) from None


def quiet_logs(chosen: Settings) -> None:
    """Log warnings alone, on standard error: what a command tells goes to standard output, undisturbed."""
    from fettle.kernel.logging import configure_logging  # noqa: PLC0415 - most commands log nothing

    configure_logging(chosen.model_copy(update={"log_level": "warning"}))


def of_running(chosen: Settings) -> Settings | None:
    """Return the settings with the addresses of the embedded parts that run, or None when they do not."""
    from fettle.central.embedded import running_parts  # noqa: PLC0415 - most commands do without it

    return running_parts(chosen)


def on_platform(work: "Callable[[Platform], Awaitable[Any]]") -> Any:
    """Do something with the parts of the installation that runs on this machine, as whoever runs it.

    Raises:
        CommandError: It does not run, or refuses.
    """
    from fettle.central.opening import opened_platform  # noqa: PLC0415 - most commands do without it
    from fettle.kernel.errors import Conflict, Invalid, NotFound  # noqa: PLC0415 - as above

    running = of_running(settings())
    if running is None:
        raise CommandError("The platform does not run; start it with `fettle up`.", Exit.UNREACHABLE)

    async def run() -> Any:
        async with opened_platform(running) as platform:
            return await work(platform)

    try:
        return asyncio.run(run())
    except SettingsError as error:
        raise CommandError(str(error), Exit.BAD_SETTING) from None
    except NotFound as error:
        raise CommandError(error.detail, Exit.NOT_FOUND) from None
    except (Conflict, Invalid) as error:
        raise CommandError(error.detail, Exit.REFUSED) from None
