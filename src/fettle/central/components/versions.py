"""How versions follow each other, by PEP 440 on PyPI and by semver on npm, and which lie in an advisory's range."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from packaging.version import InvalidVersion, Version

Event = Mapping[str, str]
"""One of ``introduced``, ``fixed``, ``last_affected`` and ``limit``, with its version."""

_SEMANTIC: Final = re.compile(
    r"[v=]?([0-9]{1,18})(?:\.([0-9]{1,18}))?(?:\.([0-9]{1,18}))?"
    r"(?:-([0-9A-Za-z-]+(?:\.[0-9A-Za-z-]+)*))?(?:\+[0-9A-Za-z.-]+)?",
    re.ASCII,
)
_LONGEST: Final = 200
_FROM_THE_BEGINNING: Final = "0"
_NO_LIMIT: Final = "*"
# Of events at one version: what ends there ends before another begins, and what is last there has begun.
_ORDER: Final = {"fixed": 0, "introduced": 1, "last_affected": 2}


class UnclearVersionError(Exception):
    """A version is not written as its ecosystem writes them, so that nobody can say what is before it."""


def python_order(text: str) -> Any:
    """Return what orders a version of PyPI.

    Raises:
        UnclearVersionError: It is none.
    """
    try:
        return Version(_short(text))
    except InvalidVersion:
        raise UnclearVersionError(text[:_LONGEST]) from None


def semantic_order(text: str) -> Any:
    """Return what orders a version of npm; what is built alike is the same, and a part that is left out is 0.

    Raises:
        UnclearVersionError: It is none.
    """
    found = _SEMANTIC.fullmatch(_short(text))
    if found is None:
        raise UnclearVersionError(text[:_LONGEST])
    numbers = tuple(int(number or 0) for number in found.groups()[:3])
    # A version without a suffix comes after all that have one; numbers come before words.
    suffix = [_identifier(one) for one in found[4].split(".")] if found[4] else []
    return numbers, not suffix, suffix


ORDERS: Final[Mapping[str, Callable[[str], Any]]] = {"PyPI": python_order, "npm": semantic_order}


def is_in_range(version: str, events: Sequence[Event], order: Callable[[str], Any]) -> bool:
    """Say whether a version is affected, as the OSV schema evaluates a range.

    Args:
        version: Of the component.
        events: In any order.
        order: One of `ORDERS`.

    Raises:
        UnclearVersionError: The version or one of the events is none of the ecosystem.
    """
    own = order(version)
    limits = [event["limit"] for event in events if "limit" in event]
    if limits and not any(limit == _NO_LIMIT or own < order(limit) for limit in limits):
        return False
    is_affected = False
    for kind, text in _sorted(events, order):
        if kind == "introduced" and (text == _FROM_THE_BEGINNING or own >= order(text)):
            is_affected = True
        elif (kind == "fixed" and own >= order(text)) or (kind == "last_affected" and own > order(text)):
            is_affected = False
    return is_affected


def is_listed(version: str, listed: Sequence[str], order: Callable[[str], Any]) -> bool:
    """Say whether a version is one of those that an advisory lists one by one."""
    if version in listed:
        return True
    own = order(version)
    for text in listed:
        try:
            if order(text) == own:
                return True
        except UnclearVersionError:
            continue
    return False


def first_fix(version: str, events: Sequence[Event], order: Callable[[str], Any]) -> str:
    """Return the first version after this one that is mended, empty where there is none."""
    own = order(version)
    after = [event["fixed"] for event in events if "fixed" in event and order(event["fixed"]) > own]
    return min(after, key=order, default="")


def _sorted(events: Sequence[Event], order: Callable[[str], Any]) -> list[tuple[str, str]]:
    flat = [(kind, text) for event in events for kind, text in event.items() if kind in _ORDER]
    begins = [one for one in flat if one == ("introduced", _FROM_THE_BEGINNING)]
    rest = [one for one in flat if one != ("introduced", _FROM_THE_BEGINNING)]
    return [*begins, *sorted(rest, key=lambda one: (order(one[1]), _ORDER[one[0]]))]


def _identifier(text: str) -> tuple[int, int, str]:
    return (0, int(text), "") if text.isdecimal() and len(text) <= 18 else (1, 0, text)  # noqa: PLR2004 - as above


def _short(text: str) -> str:
    if len(text) > _LONGEST:
        raise UnclearVersionError(text[:_LONGEST])
    return text.strip()
