"""``fettle bench``: runs each benchmark in a process of its own and says which part is the limit."""

import contextlib
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, print_json, show, table

if TYPE_CHECKING:
    from rich.progress import TaskID

app = typer.Typer()

_ROOT = Path(__file__).resolve().parents[3]
_RUN = re.compile(r"^(async )?def run\(", re.MULTILINE)
_MEASURED = "measured:"
_CALL = f"""
import asyncio, importlib, inspect, json, sys
found = importlib.import_module(sys.argv[1]).run(short=sys.argv[2] == "short")
print("\\n{_MEASURED}" + json.dumps(asyncio.run(found) if inspect.isawaitable(found) else found, default=str))
"""
_SHORT_SECONDS = 900.0
_FULL_SECONDS = 4 * 3600.0
_NOT_OF_THE_MACHINE = frozenset({"month", "planner"})
"""What judges decisions: it comes out the same on every machine, so no machine is limited by it."""


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Benchmarks; else every one.")] = None,
    full: Annotated[bool, typer.Option("--full", help="The long form; results go to bench/results.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure this machine: each part against its floor in the same run, and which part is the limit.

    The short form of all takes some minutes; what is being measured is told on standard error.
    """
    known = benchmarks(_ROOT)
    chosen = names or known
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise CommandError(
            f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}.", Exit.NOT_FOUND
        )
    from rich.console import Console  # noqa: PLC0415 - only this command shows progress
    from rich.progress import Progress  # noqa: PLC0415 - as above

    results = []
    screen = Console(stderr=True)
    with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task: TaskID = progress.add_task("measuring", total=len(chosen))
        for name in chosen:
            progress.update(task, description=f"measuring {name}")
            patience_seconds = _FULL_SECONDS if full else _SHORT_SECONDS
            results.append(measure(_ROOT, name, short=not full, patience_seconds=patience_seconds))
            progress.advance(task)
    document = {
        "ok": all(result["ok"] for result in results),
        "limit": _limit(results),
        "machine": {
            "processors": os.cpu_count(),
            "python": platform.python_version(),
            "system": platform.platform(terse=True),
        },
        "results": results,
    }
    if full:
        _keep(document)
    if as_json:
        print_json(document)
    else:
        show(None, as_json=False, text=lambda: _shown(document))
    if not document["ok"]:
        raise typer.Exit(Exit.FOUND_WRONG)


def benchmarks(root: Path) -> list[str]:
    """Return the modules of a checkout's ``bench`` folder that have a ``run``.

    Raises:
        CommandError: There is no such folder.
    """
    folder = root / "bench"
    if not folder.is_dir():
        raise CommandError(
            "the benchmarks are in the checkout's folder bench, which is not here.", Exit.NOT_FOUND
        )
    return sorted(path.stem for path in folder.glob("*.py") if _RUN.search(path.read_text(encoding="utf-8")))


def measure(root: Path, name: str, *, short: bool, patience_seconds: float) -> dict[str, Any]:
    """Run one benchmark in a process of its own; one that fails or never ends is a result, too.

    Args:
        root: The checkout.
        name: A module of its ``bench`` folder.
        short: Whether seconds are enough.
        patience_seconds: After which it is given up.

    Returns:
        What its ``run`` returned, with ``benchmark``, ``seconds``, ``goals`` and ``ok``; and ``error`` where it failed.
    """
    began = time.monotonic()
    # A group of its own, so that nothing that it started is left where it is given up.
    with subprocess.Popen(  # noqa: S603 - our own interpreter and our own modules
        [sys.executable, "-c", _CALL, f"bench.{name}", "short" if short else "full"],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as running:
        try:
            out, _ = running.communicate(timeout=patience_seconds)
        except subprocess.TimeoutExpired:
            _end(running)
            return _failed(name, f"given up after {patience_seconds:.0f} s", time.monotonic() - began)
        except BaseException:  # Ctrl-C, too: the terminal does not reach a group of its own
            _end(running)
            raise
    seconds = time.monotonic() - began
    last = next((line for line in reversed(out.splitlines()) if line.startswith(_MEASURED)), None)
    if running.returncode != 0 or last is None:
        return _failed(name, f"ended with status {running.returncode}; see above", seconds)
    result: dict[str, Any] = {**json.loads(last.removeprefix(_MEASURED)), "benchmark": name}
    result["seconds"] = round(seconds, 1)
    if "goals" not in result:
        result["goals"] = [_goal(row) for row in result["rows"] if "goal" in row]
    result.setdefault("ok", all(goal["met"] for goal in result["goals"]))
    return result


def _failed(name: str, error: str, seconds: float) -> dict[str, Any]:
    return {"benchmark": name, "ok": False, "seconds": round(seconds, 1), "goals": [], "error": error}


def _end(running: "subprocess.Popen[str]") -> None:
    """End a benchmark and what it started: politely first, so that its servers stop and its folder goes."""
    for number, seconds in ((signal.SIGINT, 15.0), (signal.SIGKILL, 15.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(running.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.communicate(timeout=seconds)
            return


def _goal(row: dict[str, Any]) -> dict[str, Any]:
    """Return a line that holds its figure against a floor of the same run as a goal: the ratio."""
    return {
        "goal": f"{row['name']}, ratio to the floor",
        "reached": row["ratio"],
        "wanted": row["goal"],
        "met": row["met"],
    }


def _limit(results: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the goal with the least to spare: the part that this machine would be mended at first."""
    goals = [
        {**goal, "benchmark": result["benchmark"], "margin": round(_margin(goal), 2)}
        for result in results
        for goal in result["goals"]
        if goal["reached"] is not None and result["benchmark"] not in _NOT_OF_THE_MACHINE
    ]
    return min(goals, key=lambda goal: goal["margin"], default=None)


def _margin(goal: dict[str, Any]) -> float:
    """Return how much better than wanted a goal was reached, whichever way is better; 1 is just so."""
    reached, wanted = float(goal["reached"]), float(goal["wanted"])
    higher_is_better = goal["met"] == (reached >= wanted)
    return reached / wanted if higher_is_better else wanted / max(reached, 1e-9)


def _shown(document: dict[str, Any]) -> list[Any]:
    rows = [
        (
            result["benchmark"],
            goal["goal"],
            goal["reached"],
            goal["wanted"],
            "pass" if goal["met"] else "fail",
        )
        for result in document["results"]
        for goal in result["goals"]
    ]
    rows += [
        (result["benchmark"], result["error"], None, None, "fail")
        for result in document["results"]
        if "error" in result
    ]
    parts: list[Any] = [table(("benchmark", "goal", "reached", "wanted", "met"), rows)]
    parts += [
        table(found["columns"], found["rows"], title=f"\n{result['benchmark']}: {found['title']}")
        for result in document["results"]
        for found in result.get("tables", ())
    ]
    if (limit := document["limit"]) is not None:
        parts.append(
            f"\nThe limit of this machine: {limit['benchmark']}, {limit['goal']} ({limit['margin']} of wanted)."
        )
    return parts


def _keep(document: dict[str, Any]) -> None:
    folder = _ROOT / "bench" / "results"
    folder.mkdir(exist_ok=True)
    file = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(document, indent=1, default=str), encoding="utf-8")
