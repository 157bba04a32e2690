"""Measures the planner that needs no model: how often it is right and how well it knows: `python -m bench.planner`."""

import asyncio
import json
from typing import Any

from fettle.healing.planner.confidence import CALIBRATED, PLAIN, calibration_error
from fettle.healing.planner.evaluating import evaluate
from fettle.healing.planner.labelled import Rehearsed, fitted_curve, read_cases, standings

MOST_ERROR = 0.15
LEAST_PRECISION = 0.7
LEAST_CASES = 120
LEAST_ABSTAINED = 0.5
DIFFICULT = ("ambiguous", "hostile", "nothing_fits")


def run(short: bool) -> dict[str, Any]:  # noqa: ARG001 - it takes a second in either form
    """Measure on the half of the labelled set to which the curve was not fitted.

    Args:
        short: It is as short in either form.

    Returns:
        `rows` (the reliability curve), `goals` (each with what was reached), `score` and `ok`.
    """
    cases = read_cases()
    fitted_to, held_out = cases[::2], cases[1::2]
    planner = Rehearsed(cases)
    score = asyncio.run(evaluate(planner, held_out)).document()
    plain = asyncio.run(evaluate(Rehearsed(cases, PLAIN), held_out)).document()
    curve = fitted_curve(standings(fitted_to, planner))
    points = [(CALIBRATED.at(one), true) for one, true in standings(held_out, planner)]
    precision = 1 - score["would_act_wrongly"] / max(1, score["would_act"])
    difficult = [case for case in held_out if case.kind in DIFFICULT]
    careful = asyncio.run(evaluate(planner, difficult)).document()["accuracy"]
    claimed, alone = score["calibration_error"], calibration_error(points)
    goals = [
        _goal("labelled incidents", len(cases), LEAST_CASES, len(cases) >= LEAST_CASES),
        _goal("calibration error, held out", claimed, MOST_ERROR, claimed <= MOST_ERROR),
        _goal("calibration error of the curve", round(alone, 4), MOST_ERROR, alone <= MOST_ERROR),
        _goal("left to a person where one has to look", careful, LEAST_ABSTAINED, careful >= LEAST_ABSTAINED),
        _goal("right where it would act", round(precision, 4), LEAST_PRECISION, precision >= LEAST_PRECISION),
        _goal("curve is the one that is shipped", float(curve == CALIBRATED), 1.0, curve == CALIBRATED),
    ]  # fmt: skip
    return {
        "tables": [_curve("of its claims, held out", score["reliability"])],
        "rows": score.pop("reliability"),
        "goals": goals,
        "score": score,
        "without_curve": plain["calibration_error"],
        "curve": [list(point) for point in zip(curve.claimed, curve.true, strict=True)],
        "ok": all(goal["met"] for goal in goals),
    }


def _curve(title: str, points: list[dict[str, Any]]) -> dict[str, Any]:
    rows = [[f"{one['claimed']:.0%}", f"{one['came_true']:.0%}", one["number"]] for one in points]
    return {"title": f"reliability {title}", "columns": ["claimed", "came true", "choices"], "rows": rows}


def _goal(name: str, reached: float, wanted: float, met: bool) -> dict[str, Any]:
    return {"goal": name, "reached": reached, "wanted": wanted, "met": met}


if __name__ == "__main__":
    print(json.dumps(run(short=False), indent=2))
