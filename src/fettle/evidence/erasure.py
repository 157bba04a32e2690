"""The signed statement that a tenant was erased: which, when and how much, and nothing of what it was; pure."""

import base64
import binascii
from collections.abc import Iterable, Mapping
from typing import Any, Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fettle.evidence.canonical import NotCanonicalError, canonical
from fettle.evidence.signing import Signer, key_id_of

FORMAT: Final = "fettle.erasure/1"
_PREFIX: Final = b"fettle.erasure/1\n"


def make_record(body: Mapping[str, Any], signer: Signer) -> dict[str, Any]:
    """Return the statement, signed.

    Args:
        body: What it says; it must name no person.
        signer: The installation's key.
    """
    said = {"format": FORMAT, **body, "key_id": signer.key_id}
    return {**said, "signature": signer.sign(_PREFIX + canonical(said))}


def record_holds(record: Mapping[str, Any], public_keys: Iterable[str]) -> bool:
    """Say whether one of the keys signed a statement, whatever it is given.

    Args:
        record: The statement.
        public_keys: Ed25519 public keys in base64 that are trusted.
    """
    said = {name: value for name, value in record.items() if name != "signature"}
    for text in public_keys:
        try:
            raw = base64.b64decode(text, validate=True)
            signature = base64.b64decode(str(record.get("signature")), validate=True)
            if said.get("format") == FORMAT and key_id_of(raw) == said.get("key_id"):
                Ed25519PublicKey.from_public_bytes(raw).verify(signature, _PREFIX + canonical(said))
                return True
        except (binascii.Error, ValueError, InvalidSignature, NotCanonicalError):
            continue
    return False
