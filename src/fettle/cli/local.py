"""What local commands stand on: the settings, and the database and Redis of an installation that runs here."""

from fettle.cli.exits import CommandError, Exit
from fettle.kernel.settings import Settings, SettingsError, load_settings


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
