"""``fettle bench``: runs each benchmark in a process of its own and says which part is the limit."""

import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fettle.cli.exits import CommandError, Exit
from fettle.cli.output import AsJson, console, print_json, show, table

if TYPE_CHECKING:
    from rich.progress import TaskID

app = typer.Typer()

_ROOT = Path(__file__).resolve().parents[3]
_RUN = re.compile(r"^(async )?def run\(", re.MULTILINE)
_CALL = """
import asyncio, importlib, inspect, json, sys
found = importlib.import_module(sys.argv[1]).run(short=sys.argv[2] == "short")
print("\\n" + json.dumps(asyncio.run(found) if inspect.isawaitable(found) else found, default=str))
"""


@app.command()
def bench(
    names: Annotated[list[str] | None, typer.Argument(help="Benchmarks; else every one.")] = None,
    full: Annotated[bool, typer.Option("--full", help="The long form; results go to bench/results.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure this machine: each part against its floor in the same run, and which part is the limit."""
    known = _benchmarks()
    chosen = names or known
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise CommandError(
            f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}.", Exit.NOT_FOUND
        )
    from rich.progress import Progress  # noqa: PLC0415 - only this command shows it

    results = []
    with Progress(console=console(), transient=True, disable=as_json) as progress:
        task: TaskID = progress.add_task("measuring", total=len(chosen))
        for name in chosen:
            progress.update(task, description=f"measuring {name}")
            results.append(_measure(name, short=not full))
            progress.advance(task)
    document = {
        "ok": all(result.get("ok") for result in results),
        "limit": _limit(results),
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


def _benchmarks() -> list[str]:
    """Return the modules of the checkout's ``bench`` folder that have a ``run``."""
    folder = _ROOT / "bench"
    if not folder.is_dir():
        raise CommandError(
            "the benchmarks are in the checkout's folder bench, which is not here.", Exit.NOT_FOUND
        )
    return sorted(path.stem for path in folder.glob("*.py") if _RUN.search(path.read_text(encoding="utf-8")))


def _measure(name: str, *, short: bool) -> dict[str, Any]:
    done = subprocess.run(  # noqa: S603 - our own interpreter and our own modules
        [sys.executable, "-c", _CALL, f"bench.{name}", "short" if short else "full"],
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = done.stdout.strip().splitlines()
    if done.returncode != 0 or not lines:
        return {"benchmark": name, "ok": False, "goals": [], "error": f"ended with status {done.returncode}"}
    result: dict[str, Any] = json.loads(lines[-1])
    if "goals" not in result:
        result["goals"] = [_goal(row) for row in result["rows"] if "goal" in row]
        result["ok"] = all(goal["met"] for goal in result["goals"])
    return result


def _goal(row: dict[str, Any]) -> dict[str, Any]:
    """Return a line that holds its figure against a floor of the same run as a goal: the ratio."""
    return {
        "goal": f"{row['name']}, ratio to the floor",
        "reached": row["ratio"],
        "wanted": row["goal"],
        "met": row["met"],
    }


def _limit(results: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return the goal with the least to spare: what to mend first."""
    goals = [
        {"benchmark": result["benchmark"], **goal, "margin": round(_margin(goal), 2)}
        for result in results
        for goal in result.get("goals", [])
        if goal["reached"] is not None
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
        for goal in result.get("goals", [])
    ]
    rows += [
        (result["benchmark"], result["error"], None, None, "fail")
        for result in document["results"]
        if "error" in result
    ]
    parts: list[Any] = [table(("benchmark", "goal", "reached", "wanted", "met"), rows)]
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
