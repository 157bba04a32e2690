"""The installation's key pairs that seal evidence: private halves encrypted at rest, handed over by statement."""

from typing import Any, Final

import asyncpg
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from fettle.evidence.signing import Signer, make_rollover
from fettle.kernel.clock import rfc3339, utcnow
from fettle.kernel.database import DriverConnection
from fettle.kernel.jsonio import dumps_str
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretBox

_PART: Final = "evidence.signer"
_LOCK: Final = 0x66_74_6C_65  # any number that no other advisory lock of ours has

_NEWEST = "SELECT id, sealed_private_key FROM evidence_keys ORDER BY created_at DESC, id DESC LIMIT 1"


async def signer(platform: Platform) -> Signer:
    """Return the key that seals now; makes the installation's first where there is none."""
    async with platform.database.raw_system() as connection:
        newest = await connection.fetchrow(_NEWEST)
        if newest is None:
            async with connection.transaction():
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                if await connection.fetchrow(_NEWEST) is None:
                    await _store(platform, connection, Signer(Ed25519PrivateKey.generate()), None)
            newest = await connection.fetchrow(_NEWEST)
    assert newest is not None
    return _opened(platform, newest)


async def rotate(platform: Platform) -> str:
    """Make a new key, have the old one vouch for it, seal with it from now on; returns its id."""
    await signer(platform)
    async with platform.database.raw_system() as connection, connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        row = await connection.fetchrow(_NEWEST)
        assert row is not None
        made = Signer(Ed25519PrivateKey.generate())
        statement = make_rollover(made.public_key, rfc3339(utcnow()), _opened(platform, row))
        await _store(platform, connection, made, statement)
    return made.key_id


async def public_keys(platform: Platform) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the public keys, oldest first, and the statements by which each handed over to the next."""
    await signer(platform)
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "SELECT id, public_key, rollover, created_at FROM evidence_keys ORDER BY created_at, id"
        )
    keys = [
        {"key_id": row["id"], "public_key": row["public_key"], "created_at": rfc3339(row["created_at"])}
        for row in rows
    ]
    return keys, [row["rollover"] for row in rows if row["rollover"] is not None]


def _opened(platform: Platform, row: asyncpg.Record) -> Signer:
    """Decrypt a key pair, once for each process."""
    known = platform.parts.get(_PART)
    if isinstance(known, Signer) and known.key_id == row["id"]:
        return known
    seed = SecretBox(platform.settings).decrypt(row["sealed_private_key"], _bound_to(row["id"]))
    found = Signer(Ed25519PrivateKey.from_private_bytes(seed))
    platform.parts[_PART] = found
    return found


async def _store(
    platform: Platform, connection: DriverConnection, made: Signer, statement: dict[str, Any] | None
) -> None:
    sealed = SecretBox(platform.settings).encrypt(
        made.private_key.private_bytes_raw(), _bound_to(made.key_id)
    )
    # A clock that was set back must not put it before the key that vouched for it.
    await connection.execute(
        "INSERT INTO evidence_keys (id, public_key, sealed_private_key, rollover, created_at) "
        "SELECT $1, $2, $3, $4::jsonb, greatest(clock_timestamp(), max(created_at) + interval '1 microsecond') "
        "FROM evidence_keys",
        made.key_id,
        made.public_key,
        sealed,
        None if statement is None else dumps_str(statement),
    )


def _bound_to(key_id: str) -> bytes:
    return f"evidence-key:{key_id}".encode()
