"""A pack's digest, and the Ed25519 signature that says who vouches for it."""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from fettle.packs.files import SIGNATURE_FILE, PackFiles
from fettle.packs.problems import PackInvalid, refuse

ALGORITHM: Final = "ed25519"
_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64


def pack_digest(files: PackFiles) -> str:
    """Return the SHA-256, in hex, over the paths and contents of a pack's files, without its signature."""
    whole = hashlib.sha256(b"fettle-pack-v1\n")
    for name in sorted(files):
        if name != SIGNATURE_FILE:
            whole.update(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n".encode())
    return whole.hexdigest()


def key_id(public_key: Ed25519PublicKey) -> str:
    """Return the short name of a key: the first 16 hex digits of its SHA-256."""
    raw = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def parse_public_key(text: str) -> Ed25519PublicKey:
    """Return the key that a setting names: base64 of its 32 bytes.

    Raises:
        ValueError: It is not such a key.
    """
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("a trusted key is base64 of the 32 bytes of an Ed25519 public key") from None
    if len(raw) != _KEY_BYTES:
        raise ValueError("a trusted key is base64 of the 32 bytes of an Ed25519 public key")
    return Ed25519PublicKey.from_public_bytes(raw)


def public_text(key: Ed25519PublicKey) -> str:
    """Return a key as a setting names it."""
    return base64.b64encode(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).decode()


def read_private_key(pem: bytes) -> Ed25519PrivateKey:
    """Return the private key of a PEM file without a password.

    Raises:
        ValueError: It is no Ed25519 private key.
    """
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("this is no PEM private key without a password") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("this is no Ed25519 key; make one with `openssl genpkey -algorithm ed25519`")  # noqa: TRY004 - one kind of error for the caller
    return key


def sign(pack_id: str, version: str, digest: str, private_key: Ed25519PrivateKey) -> bytes:
    """Return the content of a pack's signature file."""
    document = {
        "algorithm": ALGORITHM,
        "key_id": key_id(private_key.public_key()),
        "digest": digest,
        "signature": base64.b64encode(private_key.sign(_signed_bytes(pack_id, version, digest))).decode(),
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def verify(
    files: PackFiles, pack_id: str, version: str, trusted: Iterable[Ed25519PublicKey]
) -> dict[str, Any]:
    """Check a pack's signature file and return it.

    The key is looked up among the trusted ones; what the file says of itself is never believed.

    Raises:
        PackInvalid: There is no signature, no trusted key made it, or the files are not the signed ones.
    """
    data = files.get(SIGNATURE_FILE)
    if data is None:
        raise refuse("", "The pack is not signed.", "Sign it with `fettle packs sign`, then pack it again.")
    document = _parse(data)
    digest = pack_digest(files)
    if document["digest"] != digest:
        raise _bad(
            "The files are not the ones that were signed.", "Sign the pack again after the last change."
        )
    key = {key_id(candidate): candidate for candidate in trusted}.get(document["key_id"])
    if key is None:
        raise _bad(
            f"The key {document['key_id']} is not trusted here.",
            "Have the operator add its public key to FETTLE_PACKS_TRUSTED_KEYS.",
        )
    try:
        key.verify(base64.b64decode(document["signature"]), _signed_bytes(pack_id, version, digest))
    except InvalidSignature:
        raise _bad("The signature is wrong.", "Sign the pack again with the key that it names.") from None
    return document


def _signed_bytes(pack_id: str, version: str, digest: str) -> bytes:
    return f"fettle-pack-signature-v1\n{pack_id}\n{version}\n{digest}\n".encode()


def _parse(data: bytes) -> dict[str, Any]:
    try:
        document = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise _bad("The file is not JSON.", "Sign the pack again.") from None
    if not isinstance(document, Mapping) or document.get("algorithm") != ALGORITHM:
        raise _bad("The file names another algorithm than ed25519.", "Sign the pack again.")
    fields = {name: document.get(name) for name in ("algorithm", "key_id", "digest", "signature")}
    if not all(isinstance(value, str) for value in fields.values()) or not _is_signature(fields["signature"]):
        raise _bad("The file lacks key_id, digest or signature.", "Sign the pack again.")
    return fields


def _is_signature(text: Any) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _SIGNATURE_BYTES
    except ValueError:
        return False


def _bad(message: str, fix: str) -> PackInvalid:
    return refuse(SIGNATURE_FILE, message, fix)
