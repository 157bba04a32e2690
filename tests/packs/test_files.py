"""Archives from outside: traversal, links, bombs and damage are refused before anything is believed."""

import contextlib
import gzip
import io
import os
import stat
import struct
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fettle.packs import files
from fettle.packs.files import MAX_FILE_BYTES, MAX_FILES, read_archive, read_folder
from fettle.packs.problems import PackInvalid

from .content import small_pack

HOSTILE_NAMES = [
    "../pack.yaml",
    "rules/../../evil.yaml",
    "/etc/cron.d/evil.yaml",
    "//host/share/x.yaml",
    "C:/windows/x.yaml",
    "C:x.yaml",
    "..\\..\\evil.yaml",
    "rules\\x.yaml",
    "rules/./x.yaml",
    "rules//x.yaml",
    ".hidden.yaml",
    "rules/.git/x.yaml",
    "a/b/c/d/e.yaml",
    "x" * 300 + ".yaml",
    "rules/x\n.yaml",
    "rules/\u202egnp.yaml",
    "-rf.yaml",
    "script.sh",
    "pack.yaml\x00.md",
]


def zipped(members: dict[str, bytes], *, attributes: int = 0, kind: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo("x")
            info.filename = info.orig_filename = name
            info.external_attr = attributes
            info.compress_type = kind
            archive.writestr(info, data)
    return out.getvalue()


def tarred(members: dict[str, bytes], *, mode: str = "w:gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode) as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def refused(data: bytes) -> str:
    with pytest.raises(PackInvalid) as raised:
        read_archive(data)
    return raised.value.problems[0].message


@pytest.mark.parametrize(
    "pack", [zipped, tarred, lambda members: tarred(members, mode="w")], ids=["zip", "tar.gz", "tar"]
)
@pytest.mark.parametrize("top", ["", "small-1.0.0/"])
def test_the_same_pack_comes_out_of_every_kind_of_archive(pack, top: str):
    members = small_pack()
    assert read_archive(pack({f"{top}{name}": data for name, data in members.items()})) == members


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_name_that_may_lead_outside_is_refused(name: str):
    if "\x00" not in name:
        assert refused(tarred({**small_pack(), name: b"a: 1\n"}))
    assert refused(zipped({**small_pack(), name: b"a: 1\n"}))


def test_nothing_is_ever_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for name in HOSTILE_NAMES:
        with pytest.raises(PackInvalid):
            read_archive(zipped({name: b"a: 1\n"}))
    read_archive(tarred(small_pack()))
    assert list(tmp_path.rglob("*")) == []
    assert not (tmp_path.parent / "evil.yaml").exists()


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_links_and_devices_in_a_tar_are_refused(kind: bytes):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("rules/x.yaml")
        info.type = kind
        info.linkname = "/etc/passwd"
        archive.addfile(info)
    assert refused(out.getvalue())


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_a_zip_are_refused(kind: int):
    assert "link" in refused(zipped({"rules/x.yaml": b"/etc/passwd"}, attributes=(kind | 0o777) << 16))


def test_a_zip_bomb_stops_at_the_bound_of_one_file():
    assert "larger than" in refused(zipped({**small_pack(), "rules/b.yaml": b"\0" * 200_000_000}))


def test_a_tar_bomb_stops_at_the_bound_of_one_file():
    # Compressed a thousandfold: 64 MB that would come out of 64 kB.
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as stream:
        info = tarfile.TarInfo("rules/b.yaml")
        info.size = 64_000_000
        stream.write(info.tobuf())
        stream.write(b"\0" * 64_000_000)
    assert "larger than" in refused(bomb.getvalue())


def test_a_tar_whose_header_alone_unpacks_without_end_is_cut_off():
    # A pax header of 300 MB: read by the library itself, before any member is seen.
    bomb = io.BytesIO()
    with gzip.GzipFile(fileobj=bomb, mode="wb") as stream:
        info = tarfile.TarInfo("x")
        info.type = tarfile.XHDTYPE
        info.size = 300_000_000
        stream.write(info.tobuf())
        for _ in range(300):
            stream.write(b"\0" * 1_000_000)
    assert "unpacks to more" in refused(bomb.getvalue())


def test_many_files_each_within_bounds_are_together_too_much(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "MAX_TOTAL_BYTES", 3 * MAX_FILE_BYTES)
    members = {f"rules/{number}.yaml": b"#" * MAX_FILE_BYTES for number in range(4)}
    assert "unpacked" in refused(zipped(members))


def test_a_zip_cannot_lie_about_its_sizes():
    data = bytearray(zipped({"rules/b.yaml": b"#" * (2 * MAX_FILE_BYTES)}))
    claimed = struct.pack("<I", 10)
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = claimed
    data[22:26] = claimed
    assert refused(bytes(data))


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused_before_they_are_unpacked(kind: int):
    assert "not stored or deflated" in refused(zipped(small_pack(), kind=kind))


def test_too_many_files_are_refused():
    assert "more than" in refused(zipped({f"rules/r{number}.yaml": b"" for number in range(MAX_FILES + 1)}))
    assert "more than" in refused(tarred({f"rules/r{number}.yaml": b"" for number in range(MAX_FILES + 1)}))


def test_a_name_that_stands_twice_is_refused():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for content in (b"a: 1\n", b"a: 2\n"):
            info = tarfile.TarInfo("rules/x.yaml")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    assert "twice" in refused(out.getvalue())


def test_an_archive_larger_than_is_taken_is_not_even_opened():
    assert "larger" in refused(b"PK" + b"\0" * files.MAX_ARCHIVE_BYTES)


@given(
    st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b", b"PK\x05\x06" + b"\0" * 18]), st.binary(max_size=400)
)
def test_any_bytes_are_an_archive_or_are_refused(start: bytes, data: bytes):
    with contextlib.suppress(PackInvalid):
        read_archive(start + data)


@given(st.data())
def test_a_damaged_archive_is_read_or_refused(data: st.DataObject):
    archive = bytearray(data.draw(st.sampled_from([zipped(small_pack()), tarred(small_pack())])))
    for _ in range(data.draw(st.integers(1, 8))):
        archive[data.draw(st.integers(0, len(archive) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(PackInvalid):
        read_archive(bytes(archive))


def test_a_folder_is_read_without_what_is_hidden(tmp_path: Path):
    for name, data in small_pack().items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "config").write_text("x")
    assert read_folder(tmp_path) == small_pack()


def test_a_link_in_a_folder_is_refused(tmp_path: Path):
    (tmp_path / "pack.yaml").symlink_to("/etc/passwd")
    with pytest.raises(PackInvalid, match="link"):
        read_folder(tmp_path)
    (tmp_path / "pack.yaml").unlink()
    os.mkfifo(tmp_path / "pack.yaml")
    with pytest.raises(PackInvalid, match="device"):
        read_folder(tmp_path)


def test_a_folder_that_is_not_there_says_so(tmp_path: Path):
    with pytest.raises(PackInvalid, match="no folder"):
        read_folder(tmp_path / "missing")
