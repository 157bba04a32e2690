"""Turns text into a vector by hashing its words and their pieces: small, deterministic, without a model; pure."""

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Any, Final
from uuid import UUID

from fettle.healing.planner.persons import AMBIGUOUS, known_words
from fettle.healing.signature import template

SIZE: Final = 256
_WORD: Final = re.compile(r"[a-z0-9]+")
_MOST_CHARACTERS: Final = 4_000
_MOST_LEAVES: Final = 60
_PIECE: Final = 3
_PIECE_WEIGHT: Final = 0.3
_VECTOR_SHARE: Final = 0.8
_HIGH_BIT: Final = 0x8000
_PARTICULARS: Final = ("host", "hostname", "site", "user", "username")


@lru_cache(maxsize=1_024)
def embed(text: str) -> tuple[float, ...]:
    """Return the vector of a text, of length one, or of zeros where it has no word."""
    weights: Counter[str] = Counter()
    for word in _WORD.findall(text.lower()[:_MOST_CHARACTERS]):
        weights[word] += 1
    vector = [0.0] * SIZE
    for word, count in weights.items():
        weight = 1.0 + math.log(count)
        _add(vector, word, weight)
        for piece in _pieces(word):
            _add(vector, piece, weight * _PIECE_WEIGHT)
    length = math.sqrt(sum(value * value for value in vector))
    return tuple(value / length for value in vector) if length else tuple(vector)


def similarity(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine of two vectors of length one."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(_WORD.findall(text.lower()[:_MOST_CHARACTERS]))


def likeness(cosine: float, one: Collection[str], other: Collection[str]) -> float:
    """Return how alike two texts are, from 0 to 1, by their vectors' cosine and the words that they share."""
    overlap = len(set(one) & set(other)) / max(1, len(set(one) | set(other)))
    return max(0.0, min(1.0, _VECTOR_SHARE * cosine + (1 - _VECTOR_SHARE) * overlap))


def sealed(text: str, tenant_id: UUID) -> str:
    """Return the words of a text, without their order, for keeping: one that is not known as a number made of it.

    Equal words stay equal within a tenant, so that texts can be compared; nobody reads a name there.
    """
    known = known_words()
    return " ".join(
        sorted(
            word
            if word.isdecimal() or (word in known and word not in AMBIGUOUS)
            else _number_of(word, tenant_id)
            for word in words(text)
        )
    )


def literal(vector: Sequence[float]) -> str:
    """Return a vector as PostgreSQL reads it."""
    return f"[{','.join(f'{value:.6f}' for value in vector)}]"


def gist(incident: Mapping[str, Any]) -> str:
    """Return an incident in words, without its particulars: what is alike in two incidents of one kind."""
    names = tuple(
        str(value).lower()
        for name in _PARTICULARS
        for value in (incident.get(name), (incident.get("details") or {}).get(name))
        if isinstance(value, str) and value
    )
    parts = [str(incident.get("check_type") or "").replace("_", " "), str(incident.get("platform") or "")]
    parts += [template(str(incident.get(name) or ""), names) for name in ("title", "summary")]
    for name, value in list(_leaves(incident.get("details") or {}))[:_MOST_LEAVES]:
        parts.append(f"{name.replace('_', ' ')} {template(value, names)}")
    return " ".join(part for part in parts if part)[:_MOST_CHARACTERS]


def _leaves(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, child in value.items():
            if str(key) not in _PARTICULARS:
                yield from _leaves(child, str(key))
    elif isinstance(value, list | tuple):
        for child in value:
            yield from _leaves(child, name)
    elif isinstance(value, str | int | float):
        yield name, str(value)


def _number_of(word: str, tenant_id: UUID) -> str:
    return f"x{blake2b(word.encode(), digest_size=6, key=tenant_id.bytes).hexdigest()}"


def _pieces(word: str) -> Iterator[str]:
    marked = f"<{word}>"
    for start in range(len(marked) - _PIECE + 1):
        yield marked[start : start + _PIECE]


def _add(vector: list[float], feature: str, weight: float) -> None:
    place, sign = _slot(feature)
    vector[place] += sign * weight


@lru_cache(maxsize=65_536)
def _slot(feature: str) -> tuple[int, float]:
    digest = int.from_bytes(blake2b(feature.encode(), digest_size=4).digest(), "big")
    return (digest >> 16) % SIZE, 1.0 if digest & _HIGH_BIT else -1.0
