"""What every reader of zip archives from outside needs: the errors of a bad one, and members that bounds hold for."""

import zipfile
import zlib
from typing import IO, Final

DAMAGED: Final = (zipfile.BadZipFile, zlib.error, EOFError, ValueError)
"""Raised where the bytes are not what they should be; ValueError for a name, a date or a place that cannot be."""

UNSUPPORTED: Final = (NotImplementedError, RuntimeError)
"""Raised where a member is not unpacked here: the first for its compression, the second for its password."""


def open_plain(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> IO[bytes]:
    """Open a member that is stored or deflated; what unpacks the others takes memory that no bound counts.

    Raises:
        NotImplementedError: It is packed in another way.
    """
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError(f"{member.filename!r} is not stored or deflated")
    return archive.open(member)
