"""What people call by its name and the API by its id."""

from typing import Any

from fettle.cli.client import Api
from fettle.cli.exits import CommandError, Exit

_MOST_NAMED = 10


def named(
    api: Api, path: str, wanted: str, noun: str, *, fields: tuple[str, ...] = ("id", "name")
) -> dict[str, Any]:
    """Find the one of a list that is called so.

    Args:
        api: Where the list is.
        path: The list.
        wanted: What the caller wrote.
        noun: What one of them is called in an error.
        fields: What one may be called by; the last is named in an error.

    Raises:
        CommandError: None is called so.
    """
    known = []
    for one in api.pages(path):
        if any(wanted == one[field] for field in fields):
            return one
        known.append(str(one[fields[-1]]))
    few = ", ".join(known[:_MOST_NAMED]) or "none"
    raise CommandError(f"There is no {noun} {wanted}. There are: {few}.", Exit.NOT_FOUND)
