"""Sealed secrets open where they belong, unchanged, under the key that sealed them, and nowhere else."""

import base64
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.kernel.secrets import SecretBox, SecretUnreadable
from fettle.kernel.settings import SettingsError, load_settings

KEY = base64.b64encode(bytes(range(32))).decode()
BOX = SecretBox(load_settings(master_key=KEY))


@given(st.binary(max_size=300), st.binary(max_size=50))
def test_what_is_sealed_opens_again(secret, aad):
    sealed = BOX.encrypt(secret, aad)
    assert BOX.decrypt(sealed, aad) == secret
    assert len(secret) < 8 or secret not in sealed


def test_it_opens_nowhere_else():
    with pytest.raises(SecretUnreadable):
        BOX.decrypt(BOX.encrypt(b"s", b"row:1"), b"row:2")


def test_every_changed_byte_is_noticed():
    sealed = BOX.encrypt(b"secret", b"row:1")
    for index in range(len(sealed)):
        changed = bytearray(sealed)
        changed[index] ^= 1
        with pytest.raises(SecretUnreadable):
            BOX.decrypt(bytes(changed), b"row:1")
    for length in range(len(sealed)):
        with pytest.raises(SecretUnreadable):
            BOX.decrypt(sealed[:length], b"row:1")


def test_another_master_key_is_named_as_the_reason():
    other = SecretBox(load_settings(master_key=base64.b64encode(bytes(32)).decode()))
    with pytest.raises(SecretUnreadable, match="another master key"):
        other.decrypt(BOX.encrypt(b"s", b""), b"")


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(bytes(31)).decode(), "é" * 44])
def test_a_master_key_of_another_form_stops_the_start(key):
    with pytest.raises(SettingsError, match="FETTLE_MASTER_KEY"):
        SecretBox(load_settings(master_key=key))


def test_the_file_is_made_once_and_readable_by_its_owner_alone(tmp_path):
    settings = load_settings(home=tmp_path / "home")
    sealed = SecretBox(settings).encrypt(b"s", b"")
    assert SecretBox(settings).decrypt(sealed, b"") == b"s"
    assert [file.name for file in (tmp_path / "home").iterdir()] == ["master.key"]
    assert stat.S_IMODE((tmp_path / "home" / "master.key").stat().st_mode) == 0o600
