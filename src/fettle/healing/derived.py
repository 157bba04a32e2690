"""Fields that a rule may look at and no incident carries: its pattern, and digests of its texts; pure.

`pattern_signature` is the incident's pattern. `digest_of.<field>` stands for the text of a field, so that a rule
can hold for one text alone without repeating what somebody wrote into an alert.
"""

from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any, Final

from fettle.healing.conditions import Group, Leaf, leaves, lookup
from fettle.healing.signature import pattern_signature

PATTERN: Final = "pattern_signature"
DIGESTS: Final = "digest_of"

_PREFIX: Final = f"{DIGESTS}."
_CHECK_TYPE: Final = "check_type"


class DerivedFields:
    """What a set of rules needs to have derived, and for which check types."""

    __slots__ = ("_check_types", "_paths")

    def __init__(self, check_types: frozenset[str] | None, paths: tuple[tuple[str, ...], ...]) -> None:
        self._check_types = check_types
        self._paths = paths

    @classmethod
    def of(cls, conditions: Iterable[Group]) -> "DerivedFields | None":
        """Return what these conditions need, None for nothing."""
        check_types: set[str] | None = set()
        paths: set[tuple[str, ...]] = set()
        found = False
        for group in conditions:
            fields = {leaf.field for _, leaf in leaves(group)}
            if not any(field == PATTERN or field.startswith(_PREFIX) for field in fields):
                continue
            found = True
            paths.update(
                tuple(field.removeprefix(_PREFIX).split(".")) for field in fields if field.startswith(_PREFIX)
            )
            wanted = check_types_of(group)
            check_types = None if wanted is None or check_types is None else check_types | wanted
        if not found:
            return None
        return cls(None if check_types is None else frozenset(check_types), tuple(sorted(paths)))

    def complete(self, incident: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the incident with what is derived from it; the one given stays as it is."""
        check_type = incident.get(_CHECK_TYPE)
        if self._check_types is not None and (
            not isinstance(check_type, str) or check_type not in self._check_types
        ):
            return incident
        whole = dict(incident)
        whole.setdefault(PATTERN, pattern_signature(incident))
        if self._paths:
            whole.setdefault(DIGESTS, _digests(incident, self._paths))
        return whole


def digest_of(text: str) -> str:
    """Return what stands for a text and for no other."""
    return sha256(text.encode("utf-8", "replace")).hexdigest()[:16]


def _digests(incident: Mapping[str, Any], paths: Iterable[tuple[str, ...]]) -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for path in paths:
        text = lookup(incident, path)
        if isinstance(text, str):
            node = whole
            for name in path[:-1]:
                node = node.setdefault(name, {})
                if not isinstance(node, dict):
                    break
            else:
                node[path[-1]] = digest_of(text)
    return whole


def check_types_of(group: Group) -> set[str] | None:
    """Return the check types that conditions admit, None where they say nothing of them."""
    if group.quantifier != "all":
        return None
    for member in group.members:
        if isinstance(member, Leaf) and member.field == _CHECK_TYPE:
            values = member.value if member.operator == "in" else [member.value]
            if member.operator in {"eq", "in"} and all(isinstance(value, str) for value in values):
                return set(values)
    return None
