"""The entry of the command ``fettle``: runs a command, and ends with its exit status."""

import sys

from fettle import __version__
from fettle.cli.exits import CommandError, Exit


def main() -> None:
    """Run the command line and end the process with its status."""
    if sys.argv[1:] in (["version"], ["--version"]):  # answered before anything is loaded
        print(f"fettle {__version__}")
        return
    from fettle.cli.commands import app  # noqa: PLC0415 - see above

    try:
        app(prog_name="fettle", standalone_mode=True)
    except CommandError as error:
        say_error(str(error), error.status)
        sys.exit(error.status)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:  # `fettle ... | head` has read enough
        sys.stderr.close()
        sys.exit(Exit.OK)
    except OSError as error:
        status = Exit.UNREACHABLE if isinstance(error, ConnectionError | TimeoutError) else Exit.FILE
        named = f"{error.filename}: " if error.filename else ""
        say_error(f"{named}{error.strerror or type(error).__name__}.", status)
        sys.exit(status)


def say_error(message: str, status: Exit) -> None:
    """Say an error in one line on standard error, as JSON where JSON was asked for."""
    if "--json" in sys.argv:
        import json  # noqa: PLC0415 - only an error needs it

        print(json.dumps({"error": message, "exit_status": int(status)}), file=sys.stderr)
    else:
        print(f"fettle: {message}", file=sys.stderr)


if __name__ == "__main__":
    main()
