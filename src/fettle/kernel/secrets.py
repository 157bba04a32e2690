"""Envelope encryption of stored secrets: each under its own key, wrapped by the master key."""

import base64
import binascii
import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fettle.kernel.settings import Settings, SettingsError

_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_KEY_ID_BYTES: Final = 8
_WRAPPED_BYTES: Final = _NONCE_BYTES + _KEY_BYTES + _TAG_BYTES
_FORMAT: Final = b"\x01"
_HEAD_BYTES: Final = len(_FORMAT) + _KEY_ID_BYTES
_MASTER_KEY_FILE: Final = "master.key"


class SecretUnreadable(Exception):  # noqa: N818 - a verdict about what is stored
    """A stored secret was changed, moved to another place, or sealed under another master key."""


class SecretBox:
    """Seals and opens secrets under the installation's master key.

    Args:
        settings: Whose ``master_key`` is used, or else the file in the home folder, made at first use and
            readable by its owner alone.

    Raises:
        SettingsError: The master key is not Base64 of 32 bytes.
    """

    def __init__(self, settings: Settings) -> None:
        master = _master_key(settings)
        self._master = AESGCM(master)
        self._key_id = hashlib.sha256(b"fettle master key id\0" + master).digest()[:_KEY_ID_BYTES]

    def encrypt(self, secret: bytes, aad: bytes) -> bytes:
        """Seal a secret.

        Args:
            secret: The plain bytes.
            aad: What it belongs to, such as its table and id: it opens nowhere else.
        """
        key = secrets.token_bytes(_KEY_BYTES)
        head = _FORMAT + self._key_id
        wrap_nonce, nonce = secrets.token_bytes(_NONCE_BYTES), secrets.token_bytes(_NONCE_BYTES)
        wrapped = wrap_nonce + self._master.encrypt(wrap_nonce, key, head + aad)
        return head + wrapped + nonce + AESGCM(key).encrypt(nonce, secret, head + aad)

    def decrypt(self, sealed: bytes, aad: bytes) -> bytes:
        """Open a sealed secret.

        Raises:
            SecretUnreadable: It was changed, is not this one, or another master key sealed it.
        """
        head, rest = sealed[:_HEAD_BYTES], sealed[_HEAD_BYTES:]
        if len(rest) < _WRAPPED_BYTES + _NONCE_BYTES + _TAG_BYTES or head[:1] != _FORMAT:
            raise SecretUnreadable("this is not a sealed secret")
        if head[1:] != self._key_id:
            raise SecretUnreadable("another master key sealed this; set FETTLE_MASTER_KEY to that one")
        wrapped, body = rest[:_WRAPPED_BYTES], rest[_WRAPPED_BYTES:]
        try:
            key = self._master.decrypt(wrapped[:_NONCE_BYTES], wrapped[_NONCE_BYTES:], head + aad)
            return AESGCM(key).decrypt(body[:_NONCE_BYTES], body[_NONCE_BYTES:], head + aad)
        except InvalidTag:
            raise SecretUnreadable("the sealed secret was changed or belongs elsewhere") from None


def keyed_digest(settings: Settings, purpose: bytes, data: bytes) -> bytes:
    """Return 32 bytes that tell whether data is the same, and nothing of it to whoever lacks the master key.

    Args:
        settings: Whose master key it is, as for `SecretBox`.
        purpose: What the digests are for; those of two purposes cannot be compared.
        data: What to compare later.
    """
    key = hmac.digest(_master_key(settings), b"fettle digest\0" + purpose, "sha256")
    return hmac.digest(key, data, "sha256")


def _master_key(settings: Settings) -> bytes:
    if settings.master_key is not None:
        return _decode(settings.master_key.get_secret_value(), "FETTLE_MASTER_KEY")
    file = settings.home / _MASTER_KEY_FILE
    if not file.exists():
        _make(file)
    return _decode(file.read_text("ascii"), str(file))


def _decode(text: str, where: str) -> bytes:
    with contextlib.suppress(binascii.Error, ValueError):
        key = base64.b64decode(text.strip(), validate=True)
        if len(key) == _KEY_BYTES:
            return key
    raise SettingsError(f"{where}: the master key must be Base64 of {_KEY_BYTES} bytes.")


def _make(file: Path) -> None:
    """Make the key whole or not at all, and keep the other's where two processes make it at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(base64.b64encode(secrets.token_bytes(_KEY_BYTES)) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()
