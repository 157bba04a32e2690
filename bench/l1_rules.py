"""Measures L1 decisions against a naive loop, zen-engine and Drools: `python -m bench.l1_rules`."""

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, perf_counter_ns
from typing import Any

from bench.l1_engines import ENGINES, Decide
from bench.l1_workload import Workload, deep, wide

SIZES = (92, 1_000, 10_000)
WORKLOADS = {"wide": wide, "deep": deep}
PEERS = ("zen-engine", "drools_jpy")
DEEP_TIMES_NAIVE = {92: 3, 1_000: 20, 10_000: 50}
TIMES_PEER = 5
WIDE_TIMES_COST = 2
PEER_SECONDS = 90
_TURNS = 5


def run(short: bool) -> dict[str, Any]:
    """Measure every engine on both workloads.

    Args:
        short: Whether a few seconds must do: the peers are then left out, the goals against them too.

    Returns:
        `rows` (one for each workload, size and engine), `goals` (each with what was reached) and `ok`.
    """
    seconds = 0.15 if short else 1.0
    rows: list[dict[str, Any]] = []
    for name, make in WORKLOADS.items():
        for size in SIZES:
            workload = make(size)
            winners = _winners(ENGINES["naive"](workload.rules), workload)
            rows += measure(("naive", "fettle"), workload, winners, seconds)
            if not short:
                rows += [_in_a_process_of_its_own(engine, name, size) for engine in PEERS]
    for row in rows:
        floor = _rate(rows, row["workload"], row["rules"], "naive")
        row["times_naive"] = (
            round(row["decisions_per_second"] / floor, 2) if "error" not in row and floor else None
        )
    goals = [_wide_goal(seconds), *_goals(rows)]
    return {
        "benchmark": "l1_rules",
        "rows": rows,
        "goals": goals,
        "ok": all(goal["met"] for goal in goals) and all(row.get("agrees", True) for row in rows),
    }


def measure(
    engines: Sequence[str], workload: Workload, winners: list[str | None], seconds: float
) -> list[dict[str, Any]]:
    """Measure engines in turns; their winners must be those of the naive loop."""
    rows: list[dict[str, Any]] = []
    deciders: list[Decide] = []
    for engine in engines:
        began = perf_counter()
        decide = ENGINES[engine](workload.rules)
        compiled = perf_counter() - began
        agrees = [decide(incident) for incident in workload.incidents[: len(winners)]] == winners
        deciders.append(decide)
        rows.append(
            {
                "workload": workload.name,
                "rules": len(workload.rules),
                "engine": engine,
                "compile_seconds": round(compiled, 3),
                "agrees": agrees,
            }
        )
    gc.collect()
    best = [0.0] * len(deciders)
    # Other work shares the machine: the turns meet the same disturbances, and the undisturbed one counts.
    for _ in range(_TURNS):
        for index, decide in enumerate(deciders):
            best[index] = max(best[index], _throughput(decide, workload.incidents, seconds / _TURNS))
    for row, decide, rate in zip(rows, deciders, best, strict=True):
        times = sorted(_latencies(decide, workload.incidents, seconds))
        row["decisions_per_second"] = round(rate)
        row["p50_us"] = round(times[len(times) // 2] / 1_000, 2)
        row["p99_us"] = round(times[len(times) * 99 // 100] / 1_000, 2)
    return rows


def _winners(decide: Decide, workload: Workload) -> list[str | None]:
    return [decide(incident) for incident in workload.incidents[:300]]


def _throughput(decide: Decide, incidents: list[dict[str, Any]], seconds: float) -> float:
    done, elapsed, chunk, start = 0, 0.0, 20, 0
    while elapsed < seconds:
        part = [incidents[(start + step) % len(incidents)] for step in range(chunk)]
        began = perf_counter()
        for incident in part:
            decide(incident)
        took = perf_counter() - began
        elapsed += took
        done += chunk
        start += chunk
        if took < seconds / 50:
            chunk = min(chunk * 2, len(incidents))
    return done / elapsed


def _latencies(decide: Decide, incidents: list[dict[str, Any]], seconds: float) -> list[int]:
    times: list[int] = []
    until = perf_counter() + seconds
    while perf_counter() < until or len(times) < 100:
        for incident in incidents[len(times) % len(incidents) :][:50]:
            began = perf_counter_ns()
            decide(incident)
            times.append(perf_counter_ns() - began)
    return times


def _in_a_process_of_its_own(engine: str, name: str, size: int) -> dict[str, Any]:
    """Measure a peer where it can neither slow nor break anything else."""
    command = [sys.executable, "-m", "bench.l1_rules", "--one", engine, name, str(size)]
    failure = {"workload": name, "rules": size, "engine": engine}
    try:
        done = subprocess.run(
            command,
            cwd=Path(__file__).parent.parent,
            env=_environment(),
            capture_output=True,
            text=True,
            timeout=PEER_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return {**failure, "error": f"gave no answer within {PEER_SECONDS} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        reasons = [line for line in done.stderr.strip().splitlines() if line] or [
            f"exit code {done.returncode}"
        ]
        return {**failure, "error": reasons[-1][:200]}
    row: dict[str, Any] = json.loads(lines[-1])
    return row


def _environment() -> dict[str, str]:
    environment = dict(os.environ)
    java = shutil.which("java")
    if java:
        environment.setdefault("JAVA_HOME", str(Path(java).resolve().parent.parent))
    return environment


def _one(engine: str, name: str, size: int) -> None:
    workload = WORKLOADS[name](size)
    [row] = measure([engine], workload, _winners(ENGINES["naive"](workload.rules), workload), 1.0)
    print(json.dumps(row), flush=True)
    os._exit(0)  # a virtual machine of a peer need not be asked


def _rate(rows: list[dict[str, Any]], workload: str, size: int, engine: str) -> float:
    wanted = (workload, size, engine)
    return next(
        (
            float(row["decisions_per_second"])
            for row in rows
            if (row["workload"], row["rules"], row["engine"]) == wanted and "error" not in row
        ),
        0.0,
    )


def _wide_goal(seconds: float) -> dict[str, Any]:
    """Measure the two ends of the wide workload in turns, so that both meet the same machine."""
    ends = [wide(SIZES[0]), wide(SIZES[-1])]
    deciders = [ENGINES["fettle"](workload.rules) for workload in ends]
    gc.collect()
    best = [0.0, 0.0]
    for _ in range(2 * _TURNS):
        for index, (decide, workload) in enumerate(zip(deciders, ends, strict=True)):
            best[index] = max(best[index], _throughput(decide, workload.incidents, seconds / _TURNS))
    cost = best[0] / best[1]
    name = f"wide: cost at {SIZES[-1]} rules / at {SIZES[0]}"
    return _goal(name, cost, WIDE_TIMES_COST, met=cost <= WIDE_TIMES_COST)


def _goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    goals = []
    for size, wanted in DEEP_TIMES_NAIVE.items():
        times = _rate(rows, "deep", size, "fettle") / _rate(rows, "deep", size, "naive")
        goals.append(_goal(f"deep, {size} rules: times naive", times, wanted, met=times >= wanted))
        for name in WORKLOADS:
            best = max(_rate(rows, name, size, peer) for peer in PEERS)
            if best:
                ahead = _rate(rows, name, size, "fettle") / best
                goals.append(
                    _goal(
                        f"{name}, {size} rules: times best peer", ahead, TIMES_PEER, met=ahead >= TIMES_PEER
                    )
                )
    return goals


def _goal(name: str, reached: float, wanted: float, *, met: bool) -> dict[str, Any]:
    return {"goal": name, "reached": round(reached, 2), "wanted": wanted, "met": met}


def _print(result: dict[str, Any]) -> None:
    print(
        f"{'workload':9}{'rules':>7}  {'engine':12}{'per second':>12}"
        f"{'p50 us':>10}{'p99 us':>10}{'x naive':>9}  agrees"
    )
    for row in result["rows"]:
        start = f"{row['workload']:9}{row['rules']:>7}  {row['engine']:12}"
        if "error" in row:
            print(f"{start}  failed: {row['error']}")
            continue
        print(
            f"{start}{row['decisions_per_second']:>12,}{row['p50_us']:>10}{row['p99_us']:>10}"
            f"{row['times_naive']:>9}  {'yes' if row['agrees'] else 'NO'}"
        )
    print()
    for goal in result["goals"]:
        met = "met   " if goal["met"] else "MISSED"
        print(f"{met}  {goal['goal']}: {goal['reached']} (goal {goal['wanted']})")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of the table")
    parser.add_argument("--short", action="store_true", help="a few seconds, without the peers")
    parser.add_argument("--one", nargs=3, metavar=("ENGINE", "WORKLOAD", "SIZE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        engine, name, size = arguments.one
        _one(engine, name, int(size))
    result = run(short=arguments.short)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        _print(result)
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
