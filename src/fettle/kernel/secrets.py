"""Envelope encryption of stored secrets: each under a key of its own, which the master key wraps."""

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fettle.kernel.master_keys import KEY_BYTES, KEY_ID_BYTES, MasterKey, MasterKeys
from fettle.kernel.settings import Settings

_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_WRAPPED_BYTES: Final = _NONCE_BYTES + KEY_BYTES + _TAG_BYTES

FORMAT: Final = b"\x02"
"""What is sealed now: the secret's key is wrapped by itself, so that another master key can wrap it anew."""

BOUND_FORMAT: Final = b"\x01"
"""What was sealed first: the master key's id is part of everything, so a rotation seals it anew as a whole."""

HEAD_BYTES: Final = len(FORMAT) + KEY_ID_BYTES


class SecretUnreadable(Exception):  # noqa: N818 - a verdict about what is stored
    """A stored secret was changed, moved to another place, or sealed under another master key."""


class SecretBox:
    """Seals and opens secrets under the installation's master keys.

    Args:
        settings: Whose master keys are used, as `MasterKeys` reads them.

    Raises:
        SettingsError: A master key is not Base64 of 32 bytes.
    """

    def __init__(self, settings: Settings) -> None:
        self.keys = MasterKeys(settings)

    def encrypt(self, secret: bytes, aad: bytes) -> bytes:
        """Seal a secret.

        Args:
            secret: The plain bytes.
            aad: What it belongs to, such as its table and id: it opens nowhere else.
        """
        key = secrets.token_bytes(KEY_BYTES)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _wrapped(key, self.keys.current()) + nonce + AESGCM(key).encrypt(nonce, secret, FORMAT + aad)

    def decrypt(self, sealed: bytes, aad: bytes) -> bytes:
        """Open a sealed secret.

        Raises:
            SecretUnreadable: It was changed, is not this one, or a master key that is not known sealed it.
        """
        master = self._master_of(sealed)
        wrapped, body = sealed[HEAD_BYTES:][:_WRAPPED_BYTES], sealed[HEAD_BYTES + _WRAPPED_BYTES :]
        head = sealed[:HEAD_BYTES]
        is_bound = sealed.startswith(BOUND_FORMAT)
        bound = head + aad if is_bound else FORMAT + aad
        try:
            key = master.cipher.decrypt(
                wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], bound if is_bound else head
            )
            return AESGCM(key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], bound)
        except InvalidTag:
            raise SecretUnreadable("the sealed secret was changed or belongs elsewhere") from None

    def rewrap(self, sealed: bytes) -> bytes:
        """Return a sealed secret with its key wrapped by the current master key; the secret stays closed.

        Raises:
            SecretUnreadable: It was changed, a master key that is not known sealed it, or it is of the first
                format, which only `decrypt` and `encrypt` bring over.
        """
        master = self._master_of(sealed)
        if sealed.startswith(BOUND_FORMAT):
            raise SecretUnreadable("it is of the first format and must be sealed anew")
        head, wrapped = sealed[:HEAD_BYTES], sealed[HEAD_BYTES:][:_WRAPPED_BYTES]
        try:
            key = master.cipher.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], head)
        except InvalidTag:
            raise SecretUnreadable("the sealed secret was changed") from None
        return _wrapped(key, self.keys.current()) + sealed[HEAD_BYTES + _WRAPPED_BYTES :]

    def _master_of(self, sealed: bytes) -> MasterKey:
        known_form = sealed[:1] in {FORMAT, BOUND_FORMAT}
        if not known_form or len(sealed) < HEAD_BYTES + _WRAPPED_BYTES + _NONCE_BYTES + _TAG_BYTES:
            raise SecretUnreadable("this is not a sealed secret")
        master = self.keys.by_id(sealed[1:HEAD_BYTES])
        if master is None:
            raise SecretUnreadable(
                f"another master key sealed this ({sealed[1:HEAD_BYTES].hex()}); "
                "set FETTLE_MASTER_KEY to that one, or add it to FETTLE_OLD_MASTER_KEYS"
            )
        return master


def keyed_digest(settings: Settings, purpose: bytes, data: bytes) -> bytes:
    """Return 32 bytes that tell whether data is the same, and nothing of it to whoever lacks the master key.

    The oldest master key makes them, so that they stay the same while keys are rotated; they become others
    when that key is forgotten, so only what is short-lived may be compared by them.

    Args:
        settings: Whose master key it is, as for `SecretBox`.
        purpose: What the digests are for; those of two purposes cannot be compared.
        data: What to compare later.
    """
    key = hmac.digest(MasterKeys(settings).all()[-1].raw, b"fettle digest\0" + purpose, "sha256")
    return hmac.digest(key, data, "sha256")


def _wrapped(key: bytes, master: MasterKey) -> bytes:
    head = FORMAT + master.id
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return head + nonce + master.cipher.encrypt(nonce, key, head)
