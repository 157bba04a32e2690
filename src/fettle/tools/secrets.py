"""References to secrets in a tool's input: where they stand, and what they stand for during a call."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, Protocol

from fettle.kernel.jsonio import escape_pointer

KEY: Final = "$secret"
NAME: Final = re.compile(r"[a-z][a-z0-9_.-]{0,99}")
"""What a secret may be called."""


class SecretReader(Protocol):
    """Reads a tenant's secrets by name."""

    async def read(self, name: str) -> str:
        """Return a secret's value.

        Raises:
            ToolError: The tenant has no secret of that name.
        """


def references(value: Any) -> dict[str, str]:
    """Return the references in a JSON value: JSON pointer to the name of the secret."""
    return dict(_references(value))


def _references(root: Any) -> Iterator[tuple[str, str]]:
    pending: list[tuple[Any, str]] = [(root, "")]
    while pending:
        value, pointer = pending.pop()
        if isinstance(value, Mapping):
            if KEY in value:
                yield pointer, str(value[KEY])
            pending.extend((child, f"{pointer}/{escape_pointer(str(key))}") for key, child in value.items())
        elif isinstance(value, list | tuple):
            pending.extend((child, f"{pointer}/{index}") for index, child in enumerate(value))


def malformed(value: Any) -> list[tuple[str, str]]:
    """Return the references that are not `{"$secret": "name"}` with a plain name, and what is right."""
    faults = []
    pending: list[tuple[Any, str]] = [(value, "")]
    while pending:
        current, pointer = pending.pop()
        if isinstance(current, Mapping):
            if KEY in current and not _is_reference(current):
                faults.append((pointer, f'a secret is named as {{"{KEY}": "name"}}, with nothing beside it'))
            pending.extend((child, f"{pointer}/{escape_pointer(str(key))}") for key, child in current.items())
        elif isinstance(current, list | tuple):
            pending.extend((child, f"{pointer}/{index}") for index, child in enumerate(current))
    return faults


def _is_reference(value: Mapping[str, Any]) -> bool:
    return len(value) == 1 and isinstance(value[KEY], str) and NAME.fullmatch(value[KEY]) is not None


def without_references(value: Any) -> tuple[Any, frozenset[str]]:
    """Return a value with a text in place of each reference, and the pointers of the references."""
    return _filled(value), frozenset(references(value))


def _filled(value: Any) -> Any:
    if isinstance(value, Mapping):
        if KEY in value:
            return ""
        return {key: _filled(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_filled(child) for child in value]
    return value


async def resolve(value: Any, reader: SecretReader) -> Any:
    """Return a copy of a value with each reference replaced by the secret; it must never be stored."""
    if isinstance(value, Mapping):
        if set(value) == {KEY}:
            return await reader.read(str(value[KEY]))
        return {key: await resolve(child, reader) for key, child in value.items()}
    if isinstance(value, list):
        return [await resolve(child, reader) for child in value]
    return value
