"""Canonical JSON (RFC 8785) and the hashes that the chain is made of."""

import hashlib
from typing import Any, Final

import orjson
import rfc8785

BUNDLE_PREFIX: Final = b"fettle.evidence.bundle/1\n"
"""Keeps a bundle's hash from being mistaken for the hash of anything else."""

CONTENT_PREFIX: Final = b"fettle.evidence.content/1\n"

_SAFE_INTEGER: Final = 2**53 - 1
_DEEPEST: Final = 100


class NotCanonicalError(ValueError):
    """The value has no canonical form: not I-JSON (RFC 7493), or nested too deeply."""


def canonical(value: Any) -> bytes:
    """Return the canonical form of a JSON value (RFC 8785).

    A value of ASCII keys and no fractions, which nearly every value is, has the same form by a plain
    sorted serialisation, many times faster; a test holds both equal.

    Raises:
        NotCanonicalError: An integer is beyond 2^53, a number is no number, a text holds a lone
            surrogate, a key is no text, or it is nested more than 100 levels deep.
    """
    try:
        if _is_plain(value, 0):
            return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, orjson.JSONEncodeError, UnicodeError, TypeError) as error:
        raise NotCanonicalError(str(error)) from None


def content_hash(content: Any) -> str:
    """Return the hash of a bundle's content, in hex.

    Raises:
        NotCanonicalError: The content has no canonical form.
    """
    return hashlib.sha256(CONTENT_PREFIX + canonical(content)).hexdigest()


def link_hash(link: dict[str, Any]) -> bytes:
    """Return the hash of a bundle's link: all of the bundle but its content and its proof.

    Raises:
        NotCanonicalError: The link has no canonical form.
    """
    return hashlib.sha256(BUNDLE_PREFIX + canonical(link)).digest()


def _is_plain(value: Any, depth: int) -> bool:
    if depth > _DEEPEST:
        raise NotCanonicalError(f"nested more than {_DEEPEST} levels deep")
    if isinstance(value, dict):
        return all(
            isinstance(key, str) and key.isascii() and _is_plain(item, depth + 1)
            for key, item in value.items()
        )
    if isinstance(value, list | tuple):
        return all(_is_plain(item, depth + 1) for item in value)
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return True
    return isinstance(value, int) and -_SAFE_INTEGER <= value <= _SAFE_INTEGER
