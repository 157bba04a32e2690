"""A signature vouches for exactly these files, by a key that the operator trusts."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from fettle.packs.files import SIGNATURE_FILE
from fettle.packs.problems import PackInvalid
from fettle.packs.signing import (
    pack_digest,
    parse_public_key,
    public_text,
    read_private_key,
    sign,
    verify,
)

from .content import small_pack

KEY = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
OTHER = Ed25519PrivateKey.from_private_bytes(b"\x02" * 32)


def signed(key: Ed25519PrivateKey = KEY) -> dict[str, bytes]:
    files = small_pack()
    files[SIGNATURE_FILE] = sign("small", "1.0.0", pack_digest(files), key)
    return files


def refused(files: dict[str, bytes], *, version: str = "1.0.0", trusted=(KEY,)) -> str:
    with pytest.raises(PackInvalid) as raised:
        verify(files, "small", version, [key.public_key() for key in trusted])
    return raised.value.problems[0].message


def test_a_signature_of_a_trusted_key_holds():
    document = verify(signed(), "small", "1.0.0", [OTHER.public_key(), KEY.public_key()])
    assert document["digest"] == pack_digest(small_pack())


def test_the_digest_tells_names_and_contents_apart():
    base = small_pack()
    assert pack_digest(dict(reversed(base.items()))) == pack_digest(base)
    assert pack_digest({**base, SIGNATURE_FILE: b"{}"}) == pack_digest(base)
    moved = {name.replace("rules.yaml", "rules/x.yaml"): data for name, data in base.items()}
    assert pack_digest(moved) != pack_digest(base)
    # What one file loses another gains: the border between them counts.
    assert pack_digest({"a": b"xy", "b": b""}) != pack_digest({"a": b"x", "b": b"y"})


@pytest.mark.parametrize("name", ["pack.yaml", "rules.yaml", "new.md"])
def test_a_changed_or_added_file_is_noticed(name: str):
    files = signed()
    files[name] = files.get(name, b"") + b"\n"
    assert "not the ones" in refused(files)


def test_a_removed_file_is_noticed():
    files = signed()
    del files["rules.yaml"]
    assert "not the ones" in refused(files)


def test_an_unknown_key_is_refused_even_when_its_signature_is_right():
    assert "not trusted" in refused(signed(OTHER))
    assert "not trusted" in refused(signed(), trusted=())


def test_a_signature_holds_for_its_version_alone():
    assert "signature is wrong" in refused(signed(), version="1.0.1")


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "none"},
        {"algorithm": "hs256"},
        {"signature": ""},
        {"signature": base64.b64encode(b"\0" * 64).decode()},
        {"signature": "x" * 88},
        {"signature": None},
        {"key_id": None},
        {"digest": "0" * 64},
    ],
)
def test_a_forged_signature_file_is_refused(change: dict[str, str | None]):
    files = signed()
    files[SIGNATURE_FILE] = json.dumps({**json.loads(files[SIGNATURE_FILE]), **change}).encode()
    assert refused(files)


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"{", b'{"algorithm": "ed25519"}', b"\xff"])
def test_what_is_no_signature_file_is_refused(content: bytes):
    assert refused({**small_pack(), SIGNATURE_FILE: content})


def test_an_unsigned_pack_is_refused():
    assert "not signed" in refused(small_pack())


@pytest.mark.parametrize("text", ["", "x", "AAAA", base64.b64encode(b"x" * 31).decode(), "é" * 44])
def test_what_is_no_public_key_is_refused(text: str):
    with pytest.raises(ValueError, match="32 bytes"):
        parse_public_key(text)


def test_keys_survive_their_texts():
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    assert public_text(read_private_key(pem).public_key()) == public_text(KEY.public_key())
    assert parse_public_key(public_text(KEY.public_key())) == KEY.public_key()


def test_a_private_key_of_another_kind_is_refused():
    pem = X25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    for content in (pem, b"", b"-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----\n"):
        with pytest.raises(ValueError, match="key"):
            read_private_key(content)
