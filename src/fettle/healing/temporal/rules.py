"""Rules over time as they are written, read into what the machines of their kinds take; pure."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from fettle.healing.conditions import ConditionError, Group, leaves, lookup, parse_conditions
from fettle.healing.rules import RuleError

KINDS: Final = ("count", "sequence", "missing", "absence", "once", "accumulate")
SEVERITIES: Final = ("info", "low", "medium", "high", "critical")

MOST_WITHIN_SECONDS: Final = 604_800
MOST_TIMES: Final = 100
MOST_STEPS: Final = 5
MOST_BY: Final = 5
MOST_EXPECTED: Final = 1_000
MOST_KEYS: Final = 100_000
DEFAULT_KEYS: Final = 10_000
DEFAULT_LATE_SECONDS: Final = 60
MOST_THRESHOLD: Final = 1_000_000_000_000
MILLIONTHS: Final = 1_000_000

FIRING: Final = "firing"

_ID_CHARACTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_COMMON: Final = frozenset(
    (
        *("id", "title", "description", "kind", "enabled", "by", "raises", "most_keys", "source", "tests"),
        *("pack_id", "pack_version"),
    )
)
_OF_KIND: Final[Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "count": (("conditions", "times", "within_seconds"), ("quiet_seconds",)),
    "sequence": (("steps", "within_seconds"), ("quiet_seconds",)),
    "missing": (("conditions", "awaits", "within_seconds"), ("quiet_seconds", "late_seconds")),
    "absence": (("conditions", "within_seconds"), ("late_seconds", "expected")),
    "once": (("conditions", "within_seconds"), ()),
    "accumulate": (("conditions", "field", "threshold"), ("within_seconds", "quiet_seconds")),
}
"""What each kind needs, and what it may have besides."""

_TELLS_APART: Final = (
    "kind",
    "by",
    "conditions",
    "steps",
    "awaits",
    "times",
    "within_seconds",
    "field",
    "threshold",
)


class TemporalRuleError(RuleError):
    """A rule over time that cannot be used."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """Conditions that an exception meets or not, and how often in a row that is wanted.

    Attributes:
        conditions: All must hold.
        times: How many exceptions.
        sees_all: Whether word that all is well counts too, and not only what is out of order.
    """

    conditions: Group
    times: int = 1
    sees_all: bool = False

    def holds(self, exception: Mapping[str, Any]) -> bool:
        """Say whether an exception meets them."""
        if not self.sees_all and exception.get("status", FIRING) != FIRING:
            return False
        return self.conditions.holds(exception)


@dataclass(frozen=True, slots=True)
class TemporalRule:
    """One rule over time.

    Attributes:
        id: Unique in its set.
        kind: One of `KINDS`.
        enabled: Whether it sees anything.
        by: Dotted paths of the fields whose values make the key; none: one key for all.
        matchers: One, or those of a sequence in order, or what begins and what is awaited.
        within: The window, in milliseconds; None for a sum that has none.
        quiet: For how long after it fired nothing counts, in milliseconds.
        late: How long one waits for what comes late before something is missing, in milliseconds.
        path: Of the field that is added up.
        threshold: At which a sum fires, in millionths.
        most_keys: How many keys are remembered at once.
        expected: Keys that are looked for though nothing was ever seen of them: a value for each of `by`.
        raises: The check type, and maybe severity and summary, of the exception that it raises.
        source: Who wrote it: builtin, pack or tenant.
        stamp: Tells what is remembered by this rule from what another version of it remembered.
        document: The rule as it was given.
    """

    id: str
    kind: str
    enabled: bool
    by: tuple[tuple[str, ...], ...]
    matchers: tuple[Matcher, ...]
    within: int | None
    quiet: int
    late: int
    path: tuple[str, ...]
    threshold: int
    most_keys: int
    expected: tuple[tuple[Any, ...], ...]
    raises: Mapping[str, str]
    source: str
    stamp: str
    document: Mapping[str, Any]

    @classmethod
    def parse(cls, document: Any, *, place: str = "?") -> "TemporalRule":
        """Read a rule.

        Args:
            document: The parsed YAML or JSON.
            place: What names the rule in an error as long as its id is not known.

        Raises:
            TemporalRuleError: Naming the rule, the place in it, and what would be right.
        """
        if not isinstance(document, Mapping):
            raise TemporalRuleError(place, "", "must be an object with id, kind, conditions and raises")
        rule_id = document.get("id")
        if not isinstance(rule_id, str) or not 0 < len(rule_id) <= 100 or not set(rule_id) <= _ID_CHARACTERS:  # noqa: PLR2004 - as of every id
            raise TemporalRuleError(
                place, "id", "must be a name such as T-LOGON-001: letters, digits, dot, hyphen, underscore"
            )
        return _Reader(rule_id, document).read()

    @property
    def title(self) -> str:
        """What people call it."""
        return str(self.document.get("title") or self.id)

    @property
    def is_timed(self) -> bool:
        """Whether it waits for a time at which something has not come."""
        return self.kind in ("missing", "absence")

    @property
    def length(self) -> int:
        """How many exceptions a whole sequence has."""
        return sum(matcher.times for matcher in self.matchers)

    def mark(self, exception: Mapping[str, Any]) -> int:
        """Return which of the matchers an exception meets, a bit for each."""
        return sum(1 << place for place, matcher in enumerate(self.matchers) if matcher.holds(exception))

    def amount(self, exception: Mapping[str, Any]) -> int | None:
        """Return what an exception adds to the sum, in millionths; None for what is no amount."""
        value = lookup(exception, self.path) if self.path else None
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        if not math.isfinite(value) or not 0 <= value <= MOST_THRESHOLD:
            return None
        return in_millionths(value)


def in_millionths(value: float) -> int:
    """Return an amount in millionths, as people write it in decimals."""
    return int((Decimal(repr(value)) * MILLIONTHS).to_integral_value())


class _Reader:
    """Reads one rule."""

    def __init__(self, rule_id: str, document: Mapping[str, Any]) -> None:
        self._rule_id = rule_id
        self._document = document

    def read(self) -> TemporalRule:
        kind = self._choice("kind", KINDS)
        self._check_fields(kind)
        by = self._by()
        within = self._seconds("within_seconds", None)
        quiet = within if kind in ("count", "sequence") else 0
        return TemporalRule(
            id=self._rule_id,
            kind=kind,
            enabled=self._truth("enabled", default=True),
            by=by,
            matchers=self._matchers(kind),
            within=within,
            quiet=self._seconds("quiet_seconds", quiet, least=0) or 0,
            late=self._seconds("late_seconds", DEFAULT_LATE_SECONDS * 1000, least=0) or 0,
            path=self._path("field", self._document["field"]) if kind == "accumulate" else (),
            threshold=self._threshold() if kind == "accumulate" else 0,
            most_keys=self._integer("most_keys", DEFAULT_KEYS, 1, MOST_KEYS),
            expected=self._expected(by),
            raises=self._raises(),
            source=self._choice("source", ("builtin", "pack", "tenant"), "tenant"),
            stamp=self._stamp(),
            document=dict(self._document),
        )

    def _check_fields(self, kind: str) -> None:
        needed, allowed = _OF_KIND[kind]
        for name in needed:
            if self._document.get(name) is None:
                raise self._wrong(name, f"is needed by a rule of the kind {kind}")
        for name in self._document:
            if name not in _COMMON and name not in needed and name not in allowed:
                raise self._wrong(str(name), f"is not known to a rule of the kind {kind}; remove it")

    def _matchers(self, kind: str) -> tuple[Matcher, ...]:
        if kind == "sequence":
            return self._steps()
        times = self._integer("times", 1, 2, MOST_TIMES) if kind == "count" else 1
        first = self._matcher("conditions", self._document["conditions"], times, sees_all=kind == "absence")
        if kind != "missing":
            return (first,)
        return first, self._matcher("awaits", self._document["awaits"], 1, sees_all=True)

    def _steps(self) -> tuple[Matcher, ...]:
        steps = self._document["steps"]
        if not isinstance(steps, list | tuple) or not 2 <= len(steps) <= MOST_STEPS:  # noqa: PLR2004 - A then B
            raise self._wrong("steps", f"must be a list of two to {MOST_STEPS} steps")
        found = []
        for index, step in enumerate(steps):
            path = f"steps[{index}]"
            if not isinstance(step, Mapping) or not {"conditions"} <= set(step) <= {"conditions", "times"}:
                raise self._wrong(path, "must have conditions, and may have times")
            times = self._whole(f"{path}.times", step.get("times", 1), 1, MOST_TIMES)
            found.append(self._matcher(f"{path}.conditions", step["conditions"], times))
        if sum(matcher.times for matcher in found) > MOST_TIMES:
            raise self._wrong("steps", f"must come to at most {MOST_TIMES} exceptions in all")
        return tuple(found)

    def _matcher(self, path: str, raw: Any, times: int, *, sees_all: bool = False) -> Matcher:
        if not raw:
            raise self._wrong(path, "must have at least one condition")
        try:
            conditions = parse_conditions(raw, path)
        except ConditionError as error:
            raise self._wrong(error.path, error.detail) from error
        names_status = any(leaf.field == "status" for _, leaf in leaves(conditions))
        return Matcher(conditions, times, sees_all or names_status)

    def _by(self) -> tuple[tuple[str, ...], ...]:
        raw = self._document.get("by", [])
        if not isinstance(raw, list | tuple) or len(raw) > MOST_BY:
            raise self._wrong("by", f"must be a list of at most {MOST_BY} fields, such as host")
        paths = tuple(self._path(f"by[{index}]", name) for index, name in enumerate(raw))
        if len(set(paths)) != len(paths):
            raise self._wrong("by", "names a field twice; name it once")
        return paths

    def _path(self, place: str, raw: Any) -> tuple[str, ...]:
        if not isinstance(raw, str) or not 0 < len(raw) <= 256 or not all(raw.split(".")):  # noqa: PLR2004 - as in conditions
            raise self._wrong(place, "must be a dotted path such as host or labels.service")
        return tuple(raw.split("."))

    def _expected(self, by: Sequence[tuple[str, ...]]) -> tuple[tuple[Any, ...], ...]:
        raw = self._document.get("expected", ())
        if not isinstance(raw, list | tuple) or len(raw) > MOST_EXPECTED:
            raise self._wrong("expected", f"must be a list of at most {MOST_EXPECTED} keys")
        names = [".".join(path) for path in by]
        if raw and not names:
            raise self._wrong("expected", "needs a field in `by` that tells one key from another")
        found = []
        for index, key in enumerate(raw):
            if not isinstance(key, Mapping) or set(key) != set(names):
                raise self._wrong(f"expected[{index}]", f"must say {', '.join(names)}, and nothing else")
            if not all(isinstance(value, str) and value for value in key.values()):
                raise self._wrong(f"expected[{index}]", "must say a text for each field")
            found.append(tuple(key[name] for name in names))
        return tuple(found)

    def _raises(self) -> Mapping[str, str]:
        raw = self._document.get("raises")
        if not isinstance(raw, Mapping) or not {"check_type"} <= set(raw) <= {
            "check_type",
            "severity",
            "summary",
        }:
            raise self._wrong("raises", "must name a check_type, and may name severity and summary")
        for name, most in (("check_type", 100), ("summary", 500)):
            value = raw.get(name, "-")
            if not isinstance(value, str) or not 0 < len(value) <= most:
                raise self._wrong(f"raises.{name}", f"must be a text of at most {most} characters")
        if not set(raw["check_type"]) <= _ID_CHARACTERS:
            raise self._wrong("raises.check_type", "must be a check's name, such as logon_guessed")
        if raw.get("severity", "info") not in SEVERITIES:
            raise self._wrong("raises.severity", f"must be one of {', '.join(SEVERITIES)}")
        return {str(name): str(value) for name, value in raw.items()}

    def _threshold(self) -> int:
        value = self._document["threshold"]
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= MOST_THRESHOLD or in_millionths(value) < 1:
            raise self._wrong("threshold", f"must be a number above 0 and at most {MOST_THRESHOLD}")
        return in_millionths(value)

    def _seconds(self, name: str, default: int | None, *, least: int = 1) -> int | None:
        value = self._document.get(name)
        return default if value is None else self._whole(name, value, least, MOST_WITHIN_SECONDS) * 1000

    def _integer(self, name: str, default: int, least: int, most: int) -> int:
        value = self._document.get(name)
        return default if value is None else self._whole(name, value, least, most)

    def _whole(self, path: str, value: Any, least: int, most: int) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise self._wrong(path, f"must be a whole number from {least} to {most}")
        return value

    def _truth(self, name: str, *, default: bool) -> bool:
        value = self._document.get(name)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(name, "must be true or false")
        return value

    def _choice(self, name: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self._document.get(name, default)
        if value not in choices:
            raise self._wrong(name, f"must be one of {', '.join(choices)}")
        return str(value)

    def _stamp(self) -> str:
        said = {name: self._document[name] for name in _TELLS_APART if name in self._document}
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

    def _wrong(self, path: str, detail: str) -> TemporalRuleError:
        return TemporalRuleError(self._rule_id, path, detail)
