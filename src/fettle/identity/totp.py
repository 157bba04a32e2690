"""Time-based one-time passwords (RFC 6238), and recovery codes, without any I/O."""

import hashlib
import hmac
import re
import secrets
from datetime import datetime
from typing import Final
from uuid import UUID

import pyotp

STEP_SECONDS: Final = 30
TOLERATED_STEPS: Final = 1
"""A clock may be so many steps off, before or behind."""

RECOVERY_CODES: Final = 10

_CODE: Final = re.compile(r"[0-9]{6}", re.ASCII)
_ALPHABET: Final = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS: Final = 4
_GROUP_CHARS: Final = 4
_RECOVERY_CODE: Final = re.compile(rf"[{_ALPHABET}]{{{_GROUPS * _GROUP_CHARS}}}", re.ASCII)


def new_secret() -> str:
    """Return a secret of 160 random bits, as authenticator apps take it."""
    return pyotp.random_base32(32)


def enrolment_uri(secret: str, account: str) -> str:
    """Return the ``otpauth://`` address that the QR code shows."""
    return pyotp.TOTP(secret).provisioning_uri(name=account, issuer_name="Fettle")


def step_of(code: str, secret: str, now: datetime) -> int | None:
    """Return the time step that a code belongs to, None where it is not good now.

    Every tolerated step is computed and compared in constant time, so that the work tells nothing.

    Args:
        code: What was typed.
        secret: The shared secret.
        now: The present moment.
    """
    typed = re.sub(r"\s", "", code)
    if _CODE.fullmatch(typed) is None:
        return None
    present = int(now.timestamp()) // STEP_SECONDS
    totp = pyotp.TOTP(secret)
    found = None
    for step in range(present - TOLERATED_STEPS, present + TOLERATED_STEPS + 1):
        if hmac.compare_digest(totp.generate_otp(step), typed):
            found = step
    return found


def new_recovery_codes() -> list[str]:
    """Return fresh recovery codes, of 79 random bits each."""
    return [_new_recovery_code() for _ in range(RECOVERY_CODES)]


def recovery_code_hash(user_id: UUID, code: str) -> bytes | None:
    """Return what is stored of a recovery code, None where the text is none.

    Args:
        user_id: Whose code it is; another person's same code has another hash.
        code: What was typed, with or without its hyphens, in either case.
    """
    typed = re.sub(r"[\s-]", "", code).lower()
    if _RECOVERY_CODE.fullmatch(typed) is None:
        return None
    return hashlib.sha256(b"recovery code\0" + user_id.bytes + typed.encode()).digest()


def _new_recovery_code() -> str:
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP_CHARS)) for _ in range(_GROUPS))
