"""Which PostgreSQL lacks fixes that matter here: told at the start of an embedded one, and by `fettle doctor`."""

from typing import Final

PATCHED: Final = 180_006
"""The first PostgreSQL 18 with the fixes, as `server_version_num` writes it."""

_FIRST: Final = 180_000


def missing_fixes(version_num: int) -> str | None:
    """Say what a server misses, None where it misses nothing that we know of.

    Args:
        version_num: The server's `server_version_num`.
    """
    if not _FIRST <= version_num < PATCHED:
        return None
    return f"PostgreSQL {_shown(version_num)} misses the fixes of {_shown(PATCHED)} (CVE-2026-14680, CVE-2026-16239)."


def _shown(version_num: int) -> str:
    return f"{version_num // 10_000}.{version_num % 10_000}"
