"""Passwords: argon2id off the event loop, the same work for unknown accounts, and what a new one must be."""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Final

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from fettle.kernel.errors import FieldError, Invalid
from fettle.kernel.platform import Platform

MIN_CHARS: Final = 12
MAX_CHARS: Final = 128
_LEAST_DISTINCT_CHARS: Final = 5
_AT_ONCE: Final = 4
_ONE_TIME_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
"""Without the letters and digits that are mistaken for one another when read from a terminal."""


class Passwords:
    """Hashes and checks passwords; one for each process.

    Args:
        time_cost: Passes of argon2id.
        memory_kib: What each computation holds. With the passes, OWASP's recommendation with more memory: about
            50 ms on one core.

    Attributes:
        checks: How many times a hash was computed to check a password, for metrics and for the test that
            an unknown account costs what a known one does.
    """

    def __init__(self, *, time_cost: int = 2, memory_kib: int = 46 * 1024) -> None:
        self._hasher = PasswordHash(
            [Argon2Hasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)]
        )
        self._nobody = self._hasher.hash(secrets.token_urlsafe(32))
        # A flood of sign-ins must wait and not exhaust memory.
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self.checks = 0

    async def hash(self, password: str) -> str:
        """Return the argon2id hash of a password, in its own self-describing form."""
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def check(self, password: str, stored_hash: str | None) -> bool:
        """Tell whether a password is right.

        Args:
            password: What was typed.
            stored_hash: The account's hash; None for no such account, which does the same work and is False.
        """
        async with self._turns:
            self.checks += 1
            right = await asyncio.to_thread(self._verify, password, stored_hash or self._nobody)
        return right and stored_hash is not None

    def _verify(self, password: str, stored_hash: str) -> bool:
        try:
            return self._hasher.verify(password, stored_hash)
        except PwdlibError:
            return False


PART: Final = "identity.passwords"


def passwords(platform: Platform) -> Passwords:
    """Return the process's password hasher."""
    found = platform.parts.get(PART)
    if not isinstance(found, Passwords):
        found = platform.parts[PART] = Passwords()
    return found


def normal_email(email: str) -> str:
    """Return an address in the one form in which it is stored and compared."""
    return email.strip().lower()


def new_one_time_password() -> str:
    """Return a random password of 98 bits that can be read from a terminal and typed."""
    groups = ("".join(secrets.choice(_ONE_TIME_ALPHABET) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def refuse_weak(password: str, *, pointer: str, not_like: Sequence[str] = ()) -> None:
    """Refuse a new password that would not last.

    Args:
        password: The wish.
        pointer: Where it stands in the input.
        not_like: Words that it must not be, such as the old password and the address.

    Raises:
        Invalid: With what to do.
    """
    fault = None
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        fault = f"must have {MIN_CHARS} to {MAX_CHARS} characters"
    elif len(set(password)) < _LEAST_DISTINCT_CHARS:
        fault = f"must have at least {_LEAST_DISTINCT_CHARS} different characters"
    elif password.casefold() in {word.casefold() for word in not_like}:
        fault = "must be neither the present password nor the address"
    if fault is not None:
        raise Invalid(
            f"The new password {fault}. Choose another, a few unrelated words for example.",
            errors=[FieldError(pointer, fault)],
        )
