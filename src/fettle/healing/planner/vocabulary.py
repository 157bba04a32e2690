"""The words of a tenant's packs: a model may see them, for whoever wrote a pack wrote them for every tenant; pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from weakref import WeakKeyDictionary

from fettle.packs.active import ActivePacks, PackSet

_WORDS: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_SECTIONS: Final = ("exception_types", "runbooks", "playbooks")
_TOLD: Final = (
    "check_type", "aliases", "id", "title", "description", "category", "platforms", "parameters", "controls",
)  # fmt: skip
_SHORTEST: Final = 3

_OF_SETS: Final[WeakKeyDictionary[PackSet, frozenset[str]]] = WeakKeyDictionary()


def vocabulary_of(packs: ActivePacks) -> frozenset[str]:
    """Return the words with which the packs name checks and remedies, in lower case.

    Args:
        packs: The tenant's; those with the same packs share one vocabulary.
    """
    known = _OF_SETS.get(packs.packs)
    if known is None:
        known = _OF_SETS[packs.packs] = frozenset(
            word.lower()
            for pack in packs.packs.packs
            for section in _SECTIONS
            for item in pack.section(section)
            for name in _TOLD
            for text in _texts(item.get(name))
            for word in _WORDS.findall(text)
            if len(word) >= _SHORTEST
        )
    return known


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, child in value.items():
            yield str(name)
            yield from _texts(child)
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _texts(child)
