"""Keys that sign evidence, and what is signed besides bundles: checkpoints and the handing over to a new key; pure."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from fettle.evidence.canonical import NotCanonicalError, canonical

_CHECKPOINT_PREFIX: Final = b"fettle.evidence.checkpoint/1\n"
_ROLLOVER_PREFIX: Final = b"fettle.evidence.rollover/1\n"

PublicKeys = Mapping[str, str] | Iterable[str] | str
"""Ed25519 public keys in base64: by key id, or the keys alone, or the one key."""


@dataclass(slots=True)
class Signer:
    """A key pair that seals."""

    private_key: Ed25519PrivateKey
    public_key: str = field(init=False)
    key_id: str = field(init=False)

    def __post_init__(self) -> None:
        raw = self.private_key.public_key().public_bytes_raw()
        self.public_key = base64.b64encode(raw).decode()
        self.key_id = key_id_of(raw)

    def sign(self, message: bytes) -> str:
        """Return the signature in base64."""
        return base64.b64encode(self.private_key.sign(message)).decode()


def key_id_of(public_key: bytes) -> str:
    """Return a public key's id: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def make_checkpoint(tenant_id: str, size: int, head: str, at: str, signer: Signer) -> dict[str, Any]:
    """Return a signed statement of how long a chain is and what it ends in.

    Args:
        tenant_id: Whose chain.
        size: Bundles in it.
        head: The last one's hash, `GENESIS` for none.
        at: RFC 3339.
        signer: The key that signs.
    """
    body = {"tenant_id": tenant_id, "size": size, "head": head, "at": at, "key_id": signer.key_id}
    return {**body, "signature": signer.sign(_CHECKPOINT_PREFIX + canonical(body))}


def read_checkpoint(checkpoint: object, keys: Mapping[str, Ed25519PublicKey]) -> dict[str, Any] | None:
    """Return what a checkpoint says, None for one that is malformed or not signed by one of the keys."""
    fields = _checked(checkpoint, ("tenant_id", "size", "head", "at"), keys, _CHECKPOINT_PREFIX)
    if fields is None or not isinstance(fields["size"], int) or not isinstance(fields["head"], str):
        return None
    return fields


def make_rollover(new_public_key: str, at: str, signer: Signer) -> dict[str, Any]:
    """Return the statement by which the old key hands over to a new one."""
    body = {"public_key": new_public_key, "at": at, "key_id": signer.key_id}
    return {**body, "signature": signer.sign(_ROLLOVER_PREFIX + canonical(body))}


def trusted_keys(anchors: PublicKeys, rollovers: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return the anchors and every key that they handed over to, in one or several steps.

    Statements that do not hold are passed over: they add no trust.
    """
    trusted = {
        key_id: base64.b64encode(key.public_bytes_raw()).decode()
        for key_id, key in keys_by_id(anchors).items()
    }
    pending = list(rollovers)
    while True:
        keys = keys_by_id(trusted)
        added = {}
        for statement in pending:
            fields = _checked(statement, ("public_key", "at"), keys, _ROLLOVER_PREFIX)
            raw = _decoded(fields["public_key"]) if fields else None
            if raw is not None and len(raw) == 32 and key_id_of(raw) not in trusted:  # noqa: PLR2004 - RFC 8032
                added[key_id_of(raw)] = base64.b64encode(raw).decode()
        if not added:
            return trusted
        trusted.update(added)


def signs(key: Ed25519PublicKey, signature: str, message: bytes) -> bool:
    """Say whether a signature in base64 is that of a key over a message."""
    raw = _decoded(signature)
    if raw is None:
        return False
    try:
        key.verify(raw, message)
    except InvalidSignature:
        return False
    return True


def keys_by_id(public_keys: PublicKeys) -> dict[str, Ed25519PublicKey]:
    """Return the keys by id; what is no key is left out."""
    given: Any = public_keys.values() if isinstance(public_keys, Mapping) else public_keys
    texts = [given] if isinstance(given, str) else given  # one key is a list of one, not of its letters
    found = {}
    for text in texts if isinstance(texts, Iterable) else ():
        raw = _decoded(text)
        if raw is not None and len(raw) == 32:  # noqa: PLR2004 - RFC 8032
            found[key_id_of(raw)] = Ed25519PublicKey.from_public_bytes(raw)
    return found


def _checked(
    statement: object, fields: Sequence[str], keys: Mapping[str, Ed25519PublicKey], prefix: bytes
) -> dict[str, Any] | None:
    if not isinstance(statement, Mapping) or set(statement) != {*fields, "key_id", "signature"}:
        return None
    body = {name: statement[name] for name in (*fields, "key_id")}
    key = keys.get(body["key_id"]) if isinstance(body["key_id"], str) else None
    signature = statement["signature"]
    if key is None or not isinstance(signature, str):
        return None
    try:
        message = prefix + canonical(body)
    except NotCanonicalError:
        return None
    return body if signs(key, signature, message) else None


def _decoded(text: object) -> bytes | None:
    """Decode base64 that is written in the one way there is: twins would make one signature many."""
    if not isinstance(text, str):
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None
