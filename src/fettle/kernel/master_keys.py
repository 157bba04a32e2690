"""The installation's master keys: the one that seals now, and those that sealed before and still open."""

import base64
import binascii
import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fettle.kernel.settings import Settings, SettingsError

KEY_BYTES: Final = 32
KEY_ID_BYTES: Final = 8
FILE: Final = "master.key"

_CURRENT: Final = "FETTLE_MASTER_KEY"
_OLD: Final = "FETTLE_OLD_MASTER_KEYS"


@dataclass(frozen=True, slots=True)
class MasterKey:
    """One master key.

    Attributes:
        id: What stands in everything that it sealed.
    """

    raw: bytes = field(repr=False)
    id: bytes = field(init=False)
    cipher: AESGCM = field(init=False, repr=False)

    def __post_init__(self) -> None:
        digest = hashlib.sha256(b"fettle master key id\0" + self.raw).digest()
        object.__setattr__(self, "id", digest[:KEY_ID_BYTES])
        object.__setattr__(self, "cipher", AESGCM(self.raw))

    @property
    def text(self) -> str:
        """Return the key as settings and the file hold it."""
        return base64.b64encode(self.raw).decode()


def new_master_key() -> MasterKey:
    """Return a fresh key."""
    return MasterKey(secrets.token_bytes(KEY_BYTES))


class MasterKeys:
    """The keys of one installation, the current one first; a file is read again when it has changed.

    Args:
        settings: Whose ``master_key`` and ``old_master_keys`` they are, or else the lines of the file in the
            home folder, made at first use and readable by its owner alone.

    Raises:
        SettingsError: A key is not Base64 of 32 bytes.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._file = None if settings.master_key is not None else settings.home / FILE
        self._stamp: tuple[int, int, int] | None = None
        self._keys: Sequence[MasterKey] = ()
        self.all()

    @property
    def file(self) -> Path | None:
        """Return the file that holds the keys; None where settings hold them."""
        return self._file

    def current(self) -> MasterKey:
        """Return the key that seals now."""
        return self.all()[0]

    def by_id(self, key_id: bytes) -> MasterKey | None:
        """Return the key with an id."""
        return next((key for key in self.all() if key.id == key_id), None)

    def all(self) -> Sequence[MasterKey]:
        """Return every key that is known, the current one first."""
        if self._file is None:
            if not self._keys:
                self._keys = _from_settings(self._settings)
            return self._keys
        if not self._file.exists():
            _write(self._file, [new_master_key()], replace=False)
        found = self._file.stat()
        # Another process may have rotated the keys: what it sealed must open here, too.
        stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
        if stamp != self._stamp:
            self._keys = _from_file(self._file)
            self._stamp = stamp
        return self._keys

    def begin_with(self, key: MasterKey) -> None:
        """Put a new key before the others, in the file, whole or not at all.

        Raises:
            SettingsError: The keys are in no file but set by the operator.
        """
        if self._file is None:
            raise SettingsError(f"{_CURRENT}: the key is set there, so only you can change it.")
        _write(self._file, [key, *self.all()], replace=True)

    def keep(self, key_ids: Sequence[bytes]) -> None:
        """Leave only the current key and those with the ids in the file.

        Raises:
            SettingsError: The keys are in no file but set by the operator.
        """
        if self._file is None:
            raise SettingsError(f"{_OLD}: the keys are set there, so only you can take them out.")
        first, *old = self.all()
        _write(self._file, [first, *(key for key in old if key.id in key_ids)], replace=True)


def _from_settings(settings: Settings) -> list[MasterKey]:
    assert settings.master_key is not None
    old = settings.old_master_keys
    texts = [] if old is None else [part for part in old.get_secret_value().split(",") if part.strip()]
    current = _decoded(settings.master_key.get_secret_value(), _CURRENT)
    return [current, *(_decoded(text, _OLD) for text in texts)]


def _from_file(file: Path) -> list[MasterKey]:
    lines = [line for line in file.read_text("ascii", errors="replace").splitlines() if line.strip()]
    if not lines:
        raise SettingsError(f"{file}: the file of the master key is empty; put it back from your backup.")
    return [_decoded(line, str(file)) for line in lines]


def _decoded(text: str, where: str) -> MasterKey:
    with contextlib.suppress(binascii.Error, ValueError):
        raw = base64.b64decode(text.strip(), validate=True)
        if len(raw) == KEY_BYTES:
            return MasterKey(raw)
    raise SettingsError(f"{where}: the master key must be Base64 of {KEY_BYTES} bytes.")


def _write(file: Path, keys: Sequence[MasterKey], *, replace: bool) -> None:
    """Write the file whole or not at all; keep the other's where two processes make the first at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.writelines(f"{key.text}\n" for key in keys)
            stream.flush()
            if replace:
                _give_like(file, stream.fileno())
            os.fsync(stream.fileno())
        if replace:
            draft.replace(file)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
        folder = os.open(file.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        draft.unlink(missing_ok=True)


def _give_like(file: Path, descriptor: int) -> None:
    """Leave the file with whom it belongs to, where an administrator rotates another account's keys."""
    found = file.stat()
    if (found.st_uid, found.st_gid) != (os.getuid(), os.getgid()):
        os.fchown(descriptor, found.st_uid, found.st_gid)
