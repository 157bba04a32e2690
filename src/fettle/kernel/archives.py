"""What every reader of zip archives from outside needs: the errors of a bad one, and members that bounds hold for."""

import zipfile
import zlib
from typing import IO, Final

DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, ValueError)
"""Raised where the bytes are not what they should be; ValueError for a name, a date or a place that cannot be."""


class UnsupportedMemberError(RuntimeError):
    """A member is packed in a way that is not unpacked here."""


UNSUPPORTED: Final = RuntimeError
"""Raised where a member is not unpacked here: the class above for its compression, a bare one for its password."""


def open_plain(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """Open a member that is stored or deflated; what unpacks the others takes memory that no bound counts.

    Raises:
        UnsupportedMemberError: It is packed in another way.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsupportedMemberError(f"{member.filename!r} is not stored or deflated")
    return archive.open(member)
