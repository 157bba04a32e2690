"""Canonical JSON (RFC 8785) and the hashes that the chain is made of."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

import orjson
import re2  # type: ignore[import-untyped]  # google-re2 ships no types
import rfc8785

BUNDLE_PREFIX: Final = b"fettle.evidence.bundle/1\n"
"""Keeps a bundle's hash from being mistaken for the hash of anything else."""

CONTENT_PREFIX: Final = b"fettle.evidence.content/1\n"

_SIMPLE: Final = frozenset({str, int, bool, type(None)})
_FRACTION: Final = re2.compile(rb'(?:":|[\[,]|^)-?\d+[.eE]')
"""Matches wherever a compact serialisation holds a fraction, and now and then inside of a text."""

_PLAIN_FROM, _PLAIN_TO = 1e-3, 1e15
_EXACT: Final = (
    orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_STRICT_INTEGER
)
_SORTED: Final = _EXACT | orjson.OPT_SORT_KEYS


class NotCanonicalError(ValueError):
    """The value has no canonical form: not I-JSON (RFC 7493), or nested too deeply."""


def canonical(value: Any) -> bytes:
    """Return the canonical form of a JSON value (RFC 8785).

    Nearly every value has the same form by a plain sorted serialisation, many times faster. Only keys
    beyond ASCII, which sort by UTF-16, and unusual fractions need more; a test holds the results equal to
    those of the slow library.

    Raises:
        NotCanonicalError: An integer is beyond 2^53, a number is no number, a text holds a lone
            surrogate, a key is no text, it is nested too deeply, or something in it is not JSON.
    """
    try:
        text = orjson.dumps(value, option=_SORTED)
        if b"null" in text and not _has_no_odd_number(value):  # not a number is told as null
            return orjson.dumps(_arranged(value), option=_EXACT)
        return _canonical_text(text, value)
    except (rfc8785.CanonicalizationError, orjson.JSONEncodeError, UnicodeError, TypeError) as error:
        raise NotCanonicalError(str(error)) from None


def canonical_of_parsed(value: Any) -> bytes:
    """Return the canonical form of a value that was read from JSON, where every number is one; else as `canonical`.

    Raises:
        NotCanonicalError: As `canonical` does.
    """
    try:
        return _canonical_text(orjson.dumps(value, option=_SORTED), value)
    except (rfc8785.CanonicalizationError, orjson.JSONEncodeError, UnicodeError, TypeError) as error:
        raise NotCanonicalError(str(error)) from None


def _canonical_text(text: bytes, value: Any) -> bytes:
    has_no_odd_number = _FRACTION.search(text) is None or _has_no_odd_number(value)
    if has_no_odd_number and (text.isascii() or _has_plain_keys(value)):
        return text
    return orjson.dumps(_arranged(value), option=_EXACT)


def content_hash(text: bytes) -> str:
    """Return the hash, in hex, of the canonical form of a bundle's content."""
    return hashlib.sha256(CONTENT_PREFIX + text).hexdigest()


def with_content(members: Mapping[str, Any], text: bytes) -> bytes:
    """Return the canonical form of a bundle, whose content's canonical form is known already.

    Args:
        members: All of the bundle but its content: ASCII keys, texts and small integers.
        text: The canonical form of the content.
    """
    return orjson.dumps({**members, "content": orjson.Fragment(text)}, option=_SORTED)


def content_matches(content: Any, expected: str) -> bool:
    """Say whether a content is the one whose hash is given.

    No two JSON values share a sorted serialisation, so where the hash of that is the one expected, nothing
    was changed and the canonical form need not be looked for. Only a number that is none would pass for
    null; content is sealed without nulls, so whoever has one is looked at closely.

    Raises:
        NotCanonicalError: The content has no canonical form.
    """
    try:
        text = orjson.dumps(content, option=_SORTED)
    except orjson.JSONEncodeError as error:
        raise NotCanonicalError(str(error)) from None
    if b"null" not in text and content_hash(text) == expected:
        return True
    return content_hash(canonical(content)) == expected


def link_hash(link: dict[str, Any]) -> bytes:
    """Return the hash of a bundle's link: all of the bundle but its content and its proof.

    Args:
        link: Of texts and one integer, so that its sorted serialisation is canonical.

    Raises:
        NotCanonicalError: The link has no canonical form.
    """
    try:
        return hashlib.sha256(BUNDLE_PREFIX + orjson.dumps(link, option=_SORTED)).digest()
    except orjson.JSONEncodeError as error:
        raise NotCanonicalError(str(error)) from None


def _has_no_odd_number(value: Any) -> bool:
    """Say whether every fraction is written alike by everyone; whole containers are passed by their types."""
    pending: list[Any] = [(value,)]
    for items in pending:
        if _SIMPLE.issuperset(map(type, items)):
            continue
        for item in items:
            kind = type(item)
            if kind is dict:
                pending.append(item.values())
            elif kind is list or kind is tuple:
                pending.append(item)
            elif kind not in _SIMPLE and not _is_plain_fraction(item):
                return False
    return True


def _is_plain_fraction(item: Any) -> bool:
    return isinstance(item, float) and _PLAIN_FROM <= abs(item) < _PLAIN_TO and not item.is_integer()


def _has_plain_keys(value: Any) -> bool:
    if isinstance(value, dict):
        return "".join(value).isascii() and all(map(_has_plain_keys, value.values()))
    return not isinstance(value, list | tuple) or all(map(_has_plain_keys, value))


def _arranged(value: Any) -> Any:
    """Return a value whose plain serialisation is canonical; its depth is known to be bounded."""
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda entry: entry[0].encode("utf-16-be"))
        return {key: _arranged(item) for key, item in ordered}
    if isinstance(value, list | tuple):
        return [_arranged(item) for item in value]
    if isinstance(value, str | bool) or value is None:
        return value
    if isinstance(value, int | float):
        return orjson.Fragment(rfc8785.dumps(value))
    raise NotCanonicalError(f"{type(value).__name__} is not JSON")
