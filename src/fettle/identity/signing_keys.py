"""The key pairs that sign access tokens: made, superseded, retired; sealed at rest, known to each process."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from fettle.identity import audit
from fettle.identity.audit import Who
from fettle.identity.tokens import ACCESS_LIFETIME, ALGORITHM, key_id_of
from fettle.kernel.database import DriverConnection, driver
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretBox

KEYS_CHANGED: Final = "token-keys"
"""Published like a revocation: every process reads the keys anew, and knows no caller any more."""

KNOWN_SECONDS: Final = 60.0
"""A process that has heard nothing signs and verifies by the keys that it knows for so long."""

VERIFIES_FOR: Final = ACCESS_LIFETIME + timedelta(seconds=2 * KNOWN_SECONDS)
"""A superseded key verifies until the last token that any process can have signed by it has expired."""

_LOCK: Final = 0x66_74_6C_6B  # any number that no other advisory lock of ours has
_LEAST_SECONDS_BETWEEN_LOADS: Final = 1.0


@dataclass(slots=True)
class SigningKeys:
    """This process's view of the keys; another process's new key is found when a token names it."""

    platform: Platform
    _public: dict[str, OKPKey] = field(default_factory=dict)
    _private: OKPKey | None = None
    _loaded_at: float = float("-inf")

    async def private(self) -> OKPKey:
        """Return the key to sign with, and make the installation's first where there is none."""
        if self._private is None or self._is_old():
            await self._load()
        if self._private is None:
            await self._create_first()
            await self._load()
        if self._private is None:
            raise RuntimeError("no key to sign access tokens with could be stored")
        return self._private

    async def public_for(self, token: str) -> dict[str, OKPKey]:
        """Return the public keys by id, looked up again where the token names an unknown one.

        Args:
            token: An access token, unchecked.

        Raises:
            TokenRefused: It is not even of the form of one.
        """
        unknown = key_id_of(token) not in self._public
        # Bounded, so that a flood of invented key ids does not become a flood of queries.
        if self._is_old() or (unknown and self._age() > _LEAST_SECONDS_BETWEEN_LOADS):
            await self._load()
        return self._public

    async def public(self) -> Mapping[str, OKPKey]:
        """Return every public key that verifies, by id."""
        await self.private()
        return self._public

    def forget(self) -> None:
        """Read the keys anew before they are used again."""
        self._loaded_at = float("-inf")

    def _age(self) -> float:
        return time.monotonic() - self._loaded_at

    def _is_old(self) -> bool:
        return self._age() > KNOWN_SECONDS

    async def _load(self) -> None:
        self._loaded_at = time.monotonic()
        async with self.platform.database.raw_system() as connection:
            rows = await connection.fetch(
                "SELECT id, public_key, sealed_private_key FROM token_keys "
                "WHERE retired_at IS NULL ORDER BY superseded_at IS NULL DESC, created_at DESC, id DESC"
            )
        self._public = {row["id"]: _public_key(row["id"], row["public_key"]) for row in rows}
        self._private = None
        if rows:
            newest = rows[0]
            seed = SecretBox(self.platform.settings).decrypt(
                newest["sealed_private_key"], _bound_to(newest["id"])
            )
            self._private = _private_key(newest["id"], seed)

    async def _create_first(self) -> None:
        async with self.platform.database.raw_system() as connection, connection.transaction():
            # Two processes that start together must agree on one key.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
            if not await connection.fetchval(
                "SELECT EXISTS (SELECT FROM token_keys WHERE retired_at IS NULL)"
            ):
                await _insert(self.platform, connection)


async def rotate(platform: Platform, who: Who) -> str:
    """Let a new key sign from now on; those before it verify until their tokens have expired.

    Revoke `KEYS_CHANGED` afterwards, so that every process signs by it at once.

    Returns:
        The new key's id.
    """
    async with platform.database.system() as session:
        connection = await _alone(session)
        await connection.execute("UPDATE token_keys SET superseded_at = now() WHERE superseded_at IS NULL")
        key_id = await _insert(platform, connection)
        await audit.record(session, who, "token_key.rotated", tenant_id=None, target=("token_key", key_id))
    return key_id


async def replace_all(platform: Platform, who: Who) -> str:
    """Let a new key sign and no other verify any more, because one may be known to somebody else.

    Revoke `KEYS_CHANGED` afterwards. Everybody goes on with their refresh token.

    Returns:
        The new key's id.
    """
    async with platform.database.system() as session:
        connection = await _alone(session)
        await connection.execute(
            "UPDATE token_keys SET superseded_at = coalesce(superseded_at, now()), retired_at = now(), "
            "sealed_private_key = NULL WHERE retired_at IS NULL"
        )
        key_id = await _insert(platform, connection)
        await audit.record(session, who, "token_key.replaced", tenant_id=None, target=("token_key", key_id))
    return key_id


async def retire_due(platform: Platform) -> int:
    """Retire the superseded keys whose last token has expired, without their private halves.

    Returns:
        How many there were.
    """
    async with platform.database.raw_system() as connection:
        rows = await connection.fetch(
            "UPDATE token_keys SET retired_at = now(), sealed_private_key = NULL "
            "WHERE retired_at IS NULL AND superseded_at < now() - $1::interval RETURNING id",
            VERIFIES_FOR,
        )
    return len(rows)


async def is_due(platform: Platform) -> bool:
    """Tell whether the key that signs is older than the settings want it."""
    async with platform.database.raw_system() as connection:
        return bool(
            await connection.fetchval(
                "SELECT max(created_at) < now() - make_interval(days => $1) FROM token_keys "
                "WHERE superseded_at IS NULL",
                platform.settings.token_key_days,
            )
        )


def jwks(keys: Mapping[str, OKPKey]) -> list[dict[str, Any]]:
    """Return public keys as a JSON Web Key Set has them (RFC 7517), and nothing of the private halves."""
    return [
        {
            "kty": "OKP",
            "crv": "Ed25519",
            "x": key.as_dict(private=False)["x"],
            "kid": key_id,
            "use": "sig",
            "alg": ALGORITHM,
        }
        for key_id, key in keys.items()
    ]


async def _alone(session: AsyncSession) -> DriverConnection:
    """Begin the session's transaction by waiting for whoever else changes the keys."""
    await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    return await driver(session)


async def _insert(platform: Platform, connection: DriverConnection) -> str:
    key_id = str(new_id())
    private = Ed25519PrivateKey.generate()
    sealed = SecretBox(platform.settings).encrypt(private.private_bytes_raw(), _bound_to(key_id))
    # Not the transaction's begin: of two rotations that waited for one lock, the second made the newer key.
    await connection.execute(
        "INSERT INTO token_keys (id, public_key, sealed_private_key, created_at) "
        "VALUES ($1, $2, $3, clock_timestamp())",
        key_id,
        private.public_key().public_bytes_raw(),
        sealed,
    )
    return key_id


def _bound_to(key_id: str) -> bytes:
    return f"token_keys:{key_id}".encode()


def _public_key(key_id: str, raw: bytes) -> OKPKey:
    return OKPKey.import_key(Ed25519PublicKey.from_public_bytes(raw), {"kid": key_id})


def _private_key(key_id: str, seed: bytes) -> OKPKey:
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed), {"kid": key_id})
