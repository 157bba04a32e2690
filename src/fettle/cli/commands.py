"""The commands of ``fettle``: one list, from which each is imported when it is called."""

import sys
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

COMMANDS: Final[dict[str, tuple[str, str]]] = {
    # name: (where its Typer application is, what it is for)
    "up": ("fettle.cli.up:app", "Start the platform on this machine; Ctrl-C stops it."),
    "demo": ("fettle.cli.demo:app", "Watch this machine as a host of a demo tenant, and heal a sandbox."),
    "incidents": ("fettle.cli.incidents:app", "List, show, close, reopen, export and watch incidents."),
    "runs": ("fettle.cli.runs:app", "List, show and stop runs of playbooks."),
    "rules": ("fettle.cli.rules:app", "List, show, explain and try L1 rules."),
    "temporal": ("fettle.cli.temporal:app", "List, show, test and try rules over time."),
    "flywheel": (
        "fettle.cli.flywheel:app",
        "Show what healed before, and promote the rules that grow from it.",
    ),
    "mutes": ("fettle.cli.mutes:app", "Set silences and windows, and say why nobody was told."),
    "oncall": ("fettle.cli.oncall:app", "Say who is on call, whom a policy would tell, and what was told."),
    "deputies": ("fettle.cli.deputies:app", "Say who may decide approvals in whose place."),
    "storms": ("fettle.cli.storms:app", "List what stands for many things at once."),
    "correlations": ("fettle.cli.correlations:app", "Confirm or dismiss that incidents belong together."),
    "sources": ("fettle.cli.sources:app", "Set up what sends webhooks, and try how it is read."),
    "planner": (
        "fettle.cli.planner:app",
        "Try the planner's providers on incidents of which the answer is known.",
    ),
    "brakes": ("fettle.cli.brakes:app", "Stop healing, clear what flaps, move breakers, see what is held."),
    "packs": ("fettle.cli.packs:app", "Validate, test, compare, install and activate packs."),
    "evidence": ("fettle.cli.evidence:app", "Export evidence and verify it offline."),
    "events": ("fettle.cli.events:app", "Follow events, see lag, replay dead letters."),
    "jobs": ("fettle.cli.jobs:app", "List and show long work."),
    "platform": ("fettle.cli.platform:app", "Stop all healing in every tenant, and lift it again."),
    "db": ("fettle.cli.db:app", "Bring the database's schema up or down."),
    "tenants": ("fettle.cli.tenants:app", "Export everything of a tenant, or erase it."),
    "keys": ("fettle.cli.keys:app", "Rotate the master key that seals secrets at rest."),
    "config": ("fettle.cli.config:app", "Show every setting and where it comes from."),
    "doctor": ("fettle.cli.doctor:app", "Say what is wrong with this installation and how to mend it."),
    "components": (
        "fettle.cli.components:app",
        "List what this installation is made of, and its known faults.",
    ),
    "bench": ("fettle.cli.bench:app", "Measure this machine and say which part is the limit."),
    "version": ("fettle.cli.version:app", "Print the version."),
}


class LazyCommands(TyperGroup):
    """Commands that are imported when they are called, not when they are listed."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - the signature is typer's
        """Return the names in the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command; while help is listed, a stand-in with its one line is enough."""
        if cmd_name not in COMMANDS:
            return None
        place, purpose = COMMANDS[cmd_name]
        if ctx.invoked_subcommand is None and not ctx.resilient_parsing and _only_help(sys.argv[1:]):
            chosen = _stand_in(purpose)
        else:
            module, _, attribute = place.partition(":")
            chosen = getattr(import_module(module), attribute)
        chosen._add_completion = False  # noqa: SLF001 - typer has it only as an argument of the root
        command = typer.main.get_command(chosen)
        command.name = cmd_name
        command.help = command.help or purpose
        return command


app = typer.Typer(
    cls=LazyCommands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Fettle heals what is out of order, and proves what it did.",
)


@app.callback()
def _root() -> None:
    """Fettle heals what is out of order, and proves what it did."""


def _only_help(arguments: list[str]) -> bool:
    return not arguments or all(argument in {"-h", "--help"} for argument in arguments)


def _stand_in(purpose: str) -> typer.Typer:
    stand_in = typer.Typer(help=purpose)
    stand_in.command(help=purpose)(lambda: None)
    return stand_in
