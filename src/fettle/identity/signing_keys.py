"""The key pairs that sign access tokens: made once, sealed at rest, known to each process."""

import time
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc.jwk import OKPKey

from fettle.identity.tokens import key_id_of
from fettle.kernel.ids import new_id
from fettle.kernel.platform import Platform
from fettle.kernel.secrets import SecretBox

_CREATION_LOCK: Final = 0x66_74_6C_6B  # any number that no other advisory lock of ours has
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
        if self._private is None:
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
        if unknown and time.monotonic() - self._loaded_at > _LEAST_SECONDS_BETWEEN_LOADS:
            await self._load()
        return self._public

    async def _load(self) -> None:
        self._loaded_at = time.monotonic()
        async with self.platform.database.raw_system() as connection:
            rows = await connection.fetch(
                "SELECT id, public_key, sealed_private_key FROM token_keys "
                "WHERE retired_at IS NULL ORDER BY created_at DESC, id DESC"
            )
        self._public = {row["id"]: _public_key(row["id"], row["public_key"]) for row in rows}
        if rows:
            newest = rows[0]
            seed = SecretBox(self.platform.settings).decrypt(
                newest["sealed_private_key"], _bound_to(newest["id"])
            )
            self._private = _private_key(newest["id"], seed)

    async def _create_first(self) -> None:
        async with self.platform.database.raw_system() as connection, connection.transaction():
            # Two processes that start together must agree on one key.
            await connection.execute("SELECT pg_advisory_xact_lock($1)", _CREATION_LOCK)
            if await connection.fetchval("SELECT EXISTS (SELECT FROM token_keys WHERE retired_at IS NULL)"):
                return
            key_id = str(new_id())
            private = Ed25519PrivateKey.generate()
            sealed = SecretBox(self.platform.settings).encrypt(private.private_bytes_raw(), _bound_to(key_id))
            await connection.execute(
                "INSERT INTO token_keys (id, public_key, sealed_private_key) VALUES ($1, $2, $3)",
                key_id,
                private.public_key().public_bytes_raw(),
                sealed,
            )


def _bound_to(key_id: str) -> bytes:
    return f"token_keys:{key_id}".encode()


def _public_key(key_id: str, raw: bytes) -> OKPKey:
    return OKPKey.import_key(Ed25519PublicKey.from_public_bytes(raw), {"kid": key_id})


def _private_key(key_id: str, seed: bytes) -> OKPKey:
    return OKPKey.import_key(Ed25519PrivateKey.from_private_bytes(seed), {"kid": key_id})
