"""What past incidents say of a new one: the choice that healed the likes of it, and how sure that is; pure."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Final

ALIKE: Final = 0.3
"""Memories less alike than this say nothing."""

LIKELY: Final = 0.5
"""A choice that is less likely than this the one that is asked for is not proposed: most such are another fault's."""

LEAST_KNOWN: Final = 30
"""Outcomes of a provider's choices before its claims are corrected by them."""

_Z: Final = 1.28
_MOST_COUNTED: Final = 25.0
_CLOSE: Final = 0.85
_DOUBT: Final = 0.8
_MOST_AHEAD: Final = 0.3


@dataclass(frozen=True, slots=True)
class Memory:
    """What a choice came to on one pattern.

    Attributes:
        likeness: To the new incident, from 0 to 1.
        key: What was chosen.
        succeeded: How often the check passed afterwards.
        failed: How often it did not.
        memory_id: Which memory it is.
    """

    likeness: float
    key: str
    succeeded: int
    failed: int
    memory_id: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What memories say of one choice.

    Attributes:
        fit: How likely it is what such an incident needs, whether or not it heals.
        confidence: That it is, and heals.
    """

    key: str
    fit: float
    confidence: float
    likeness: float
    succeeded: int
    failed: int


@dataclass(frozen=True, slots=True)
class Curve:
    """A map from what was claimed to what came true, rising and in straight pieces.

    Attributes:
        claimed: Rising.
        true: What came true at each of them; never falling.
    """

    claimed: Sequence[float]
    true: Sequence[float]

    def at(self, claimed: float) -> float:
        """Return what a claim is worth."""
        right = bisect_right(self.claimed, claimed)
        if right == 0:
            return self.true[0]
        if right == len(self.claimed):
            return self.true[-1]
        left = right - 1
        share = (claimed - self.claimed[left]) / (self.claimed[right] - self.claimed[left])
        return self.true[left] + share * (self.true[right] - self.true[left])


PLAIN: Final = Curve((0.0, 1.0), (0.0, 1.0))

CALIBRATED: Final = Curve(
    (0.343, 0.387, 0.425, 0.472, 0.519, 0.59, 0.683, 0.87), (0.0, 0.25, 0.455, 0.5, 0.75, 0.8, 0.833, 0.895)
)
"""How often the choice whose incidents are the likest is the right one, by `standing`: fitted by isotonic regression
to every second incident of the labelled set (`make bench` prints it, and how it does on the others)."""


def judge(memories: Sequence[Memory], *, curve: Curve = CALIBRATED) -> list[Verdict]:
    """Return what memories say of each choice, the best first; nothing where none is alike.

    Two things have to be so: it is what an incident like this one needs, which the curve tells from likeness, and
    it heals, which the lower bound of its successes tells. A choice is worth both at once, and less where another
    did nearly as well on what is as much alike: then nobody can say which.

    Args:
        memories: Of the same tenant.
        curve: What `standing` is worth.
    """
    by_key: dict[str, list[Memory]] = {}
    for memory in memories:
        if memory.likeness >= ALIKE:
            by_key.setdefault(memory.key, []).append(memory)
    likeness = {key: max(memory.likeness for memory in found) for key, found in by_key.items()}
    fit = {
        key: curve.at(
            standing(
                likeness[key], max((other for name, other in likeness.items() if name != key), default=0.0)
            )
        )
        for key in by_key
    }
    worth = {key: fit[key] * _healing(found) for key, found in by_key.items()}
    verdicts = []
    for key in sorted(by_key, key=lambda name: (-worth[name], name)):
        others = max((other for name, other in worth.items() if name != key), default=0.0)
        doubt = _DOUBT if others and others >= worth[key] * _CLOSE else 1.0
        verdicts.append(
            Verdict(
                key,
                fit[key],
                round(min(0.99, max(0.0, worth[key] * doubt)), 4),
                likeness[key],
                sum(memory.succeeded for memory in by_key[key]),
                sum(memory.failed for memory in by_key[key]),
            )
        )
    return verdicts


def standing(likeness: float, others: float) -> float:
    """Return how clearly a choice is the one that is asked for: how alike, and how far ahead of the others.

    Args:
        likeness: Of the likest incident that it healed.
        others: The same of the likest that anything else healed.
    """
    return likeness + max(0.0, min(_MOST_AHEAD, likeness - others))


def lower_bound(succeeded: float, failed: float, z: float = _Z) -> float:
    """Return Wilson's lower bound of a share of successes."""
    total = succeeded + failed
    if total <= 0:
        return 0.0
    share = succeeded / total
    spread = z * math.sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, (share + z * z / (2 * total) - spread) / (1 + z * z / total))


def fit_curve(claims: Sequence[tuple[float, bool]]) -> Curve:
    """Return the rising curve that fits claims best (pool adjacent violators)."""
    if not claims:
        return PLAIN
    blocks: list[list[float]] = []  # sum of claims, sum of truths, number
    # Equal claims are one point; in a row they would look as if truth rose with a claim that does not.
    for claimed, alike in groupby(sorted(claims), key=itemgetter(0)):
        came_true = [true for _, true in alike]
        blocks.append([claimed * len(came_true), float(sum(came_true)), float(len(came_true))])
        while len(blocks) > 1 and blocks[-2][1] / blocks[-2][2] >= blocks[-1][1] / blocks[-1][2]:
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    points = {total / number: true / number for total, true, number in blocks}
    return Curve(tuple(points), tuple(points.values()))


def corrected(claimed: float, known: Sequence[tuple[float, bool]]) -> float:
    """Return what a claim is worth by what came true of earlier ones: never more than was claimed.

    A curve over few outcomes says little, so that nothing is changed before there are `LEAST_KNOWN`. One that
    came true more often than was claimed does not raise a claim: what is sure enough to act stays the provider's
    to say, and ours to doubt.

    Args:
        claimed: From 0 to 1.
        known: Earlier claims and whether they came true.
    """
    if len(known) < LEAST_KNOWN:
        return claimed
    # Two outcomes that nobody saw, one of each, at either end: no curve says 0 or 1 for certain.
    ends = [(0.0, False), (0.0, True), (1.0, False), (1.0, True)]
    return round(min(claimed, fit_curve([*known, *ends]).at(claimed)), 4)


def reliability(claims: Sequence[tuple[float, bool]], bins: int = 10) -> list[tuple[float, float, int]]:
    """Return, for each part of the scale that holds claims, their mean, the share that came true, and their number."""
    points = []
    for number in range(bins):
        inside = [(claimed, true) for claimed, true in claims if min(bins - 1, int(claimed * bins)) == number]
        if inside:
            mean = sum(claimed for claimed, _ in inside) / len(inside)
            points.append((mean, sum(true for _, true in inside) / len(inside), len(inside)))
    return points


def calibration_error(claims: Sequence[tuple[float, bool]], bins: int = 10) -> float:
    """Return the expected calibration error: how far claims and truth lie apart, weighted by their number."""
    return sum(abs(mean - share) * number for mean, share, number in reliability(claims, bins)) / max(
        1, len(claims)
    )


def _healing(memories: Sequence[Memory]) -> float:
    succeeded = failed = 0.0
    for memory in memories:
        most = _MOST_COUNTED / max(_MOST_COUNTED, memory.succeeded + memory.failed)
        succeeded += memory.likeness * memory.succeeded * most
        # What failed once on something half alike is a warning in full.
        failed += memory.failed * most
    return lower_bound(succeeded, failed)
