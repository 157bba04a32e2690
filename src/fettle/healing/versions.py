"""Order of software versions as operations people mean it: `2.0.0-rc1 < 2.0.0 < 2.0.0-1 < 2.0.10`."""

import re
from typing import Any

MAX_LENGTH = 256

_FORM = re.compile(r"\A\s*[vV]?(?:([0-9]+):)?([0-9][0-9A-Za-z.\-_~]*)(?:\+[0-9A-Za-z.\-_~+]*)?\s*\Z")
# A single letter before a digit is a pre-release (1.0b2), alone it is a patch level (1.0.2b).
_CHUNK = re.compile(r"[0-9]+|[abcABC](?=[0-9])|[A-Za-z]+|[~\-]")
_BEFORE_RELEASE = {"dev": 0, "snapshot": 0, "alpha": 1, "beta": 2, "pre": 3, "preview": 3, "rc": 4}
_SHORT = {"a": "alpha", "b": "beta", "c": "rc"}

# Kinds of a chunk, in their order: before the release, its end, a packager's revision, letters, a number.
_PRE, _END, _REVISION, _LETTERS, _NUMBER = range(5)

VersionKey = tuple[tuple[Any, ...], ...]


def version_key(text: str) -> VersionKey | None:
    """Return a key that sorts as the version does, or None where the text is no version.

    A leading `v`, trailing zero parts and build metadata (`+...`) do not count; a Debian epoch (`1:`)
    does. Pre-release words (`dev`, `alpha`, `beta`, `pre`, `rc`) and `~` sort before the release;
    a revision (`-4ubuntu1`), other letters and further numbers after it, in this order.

    Args:
        text: A version such as `1.2.3`, `v2.0-rc1`, `1:2.4.6-4ubuntu1` or `10.0.19041.1234`.
    """
    if len(text) > MAX_LENGTH:
        return None
    form = _FORM.match(text)
    if form is None:
        return None
    kept: list[tuple[Any, ...]] = []
    revision = False
    parts = _CHUNK.findall(form[2])
    for part, following in zip(parts, [*parts[1:], ""], strict=True):
        if part == "-":
            revision = True
            continue
        chunk = _chunk(part, following)
        # 1.2 and 1.2.0 are one version, also before a suffix: zeros that end a run of numbers fall away.
        if chunk[0] != _NUMBER or revision:
            _drop_zeros(kept)
        if revision and chunk[0] != _PRE:
            kept.append((_REVISION,))
        revision = False
        kept.append(chunk)
    _drop_zeros(kept)
    return (_number(form[1] or "0"), *kept, (_END,))


def _drop_zeros(chunks: list[tuple[Any, ...]]) -> None:
    while chunks and chunks[-1] == (_NUMBER, 0, ""):
        chunks.pop()


def _chunk(part: str, following: str) -> tuple[Any, ...]:
    if part[0].isdigit():
        return _number(part)
    if part == "~":
        return (_PRE, -1)
    word = part.lower()
    if following[:1].isdigit():
        word = _SHORT.get(word, word)
    rank = _BEFORE_RELEASE.get(word)
    return (_LETTERS, word) if rank is None else (_PRE, rank)


def _number(digits: str) -> tuple[Any, ...]:
    # Compared as text of known length: no integer of an attacker's size is ever made.
    significant = digits.lstrip("0")
    return (_NUMBER, len(significant), significant)
