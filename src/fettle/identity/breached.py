"""Whether a password was in a breach, by the operator's own copy of a list: nothing of it leaves this machine."""

import asyncio
import hashlib
from pathlib import Path
from typing import Final

import structlog

from fettle.kernel.errors import FieldError, Invalid, Unavailable
from fettle.kernel.platform import Platform

_DIGITS: Final = 40
"""Of SHA-1 in hexadecimal, in which such lists are published."""

log = structlog.get_logger("fettle.passwords")


async def refuse_breached(platform: Platform, password: str, *, pointer: str) -> None:
    """Refuse a new password that is known from a breach; without a list, none is.

    Args:
        platform: Its setting ``breached_passwords`` names the list.
        password: The wish.
        pointer: Where it stands in the input.

    Raises:
        Invalid: With what to do.
        Unavailable: The list cannot be read.
    """
    path = platform.settings.breached_passwords
    if path is None:
        return
    try:
        is_known = await asyncio.to_thread(lists, path, password)
    except OSError as error:
        log.warning("identity.breached_passwords_unreadable", path=str(path), error=error.strerror)
        raise Unavailable(
            "New passwords cannot be checked just now. Tell who runs this installation: the file that "
            "FETTLE_BREACHED_PASSWORDS names cannot be read."
        ) from error
    if is_known:
        fault = "is known from a breach, so it is among the first that an attacker tries"
        raise Invalid(
            f"The new password {fault}. Choose another, a few unrelated words for example.",
            errors=[FieldError(pointer, fault)],
        )


def lists(path: Path, password: str) -> bool:
    """Say whether a list holds a password.

    Args:
        path: Lines of ``<SHA-1 in hexadecimal>[:<count>]`` in the order of the hashes, as Have I Been Pwned
            publishes them (https://haveibeenpwned.com/Passwords). A few dozen lines of it are read, however long it is.
        password: The password.

    Raises:
        OSError: The file cannot be read.
    """
    # The form of the lists; it protects nothing here, for what is looked up is not stored.
    wanted = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper().encode()
    with path.open("rb") as file:
        low, high = 0, file.seek(0, 2)
        while low < high:
            middle = (low + high) // 2
            file.seek(middle)
            if middle:
                file.readline()
            line = file.readline()
            if line and line[:_DIGITS].upper() < wanted:
                low = middle + 1
            else:
                high = middle
        file.seek(low)
        if low:
            file.readline()
        return file.readline()[:_DIGITS].upper() == wanted
