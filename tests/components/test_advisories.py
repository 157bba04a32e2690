"""Advisories of others: which components they are about, and files that are hostile."""

import json
import zipfile
from pathlib import Path

import pytest

from fettle.central.components import advisories
from fettle.central.components.advisories import AdvisoriesError, judge
from fettle.central.components.inventory import Component

COMPONENTS = [
    Component("pypi", "some-package", "1.4.0"),
    Component("npm", "@scope/thing", "2.0.0"),
    Component("npm", "thing", "2.0.0"),
]


def advisory(number=1, ecosystem="PyPI", name="Some_Package", events=None, **more):
    affected = {
        "package": {"ecosystem": ecosystem, "name": name},
        "ranges": [{"type": "ECOSYSTEM", "events": events or [{"introduced": "0"}, {"fixed": "1.5.0"}]}],
    }
    return {"id": f"TEST-{number}", "modified": "2026-01-01T00:00:00Z", "affected": [affected], **more}


def written(folder, *documents):
    """Return an archive as osv.dev exports it."""
    path = folder / "all.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, document in enumerate(documents):
            text = document if isinstance(document, str) else json.dumps(document)
            archive.writestr(f"TEST-{number}.json", text)
    return path


def found(path):
    return [
        (fault.component.name, fault.advisory, fault.mended_in) for fault in judge(COMPONENTS, [path]).faults
    ]


def test_a_component_in_a_range_is_found_by_its_normal_name_with_what_mends_it(tmp_path):
    path = written(
        tmp_path, advisory(aliases=["CVE-2026-1"], summary="It falls over."), advisory(2, name="other")
    )
    judged = judge(COMPONENTS, [path])
    assert found(path) == [("some-package", "TEST-1", "1.5.0")]
    assert (judged.faults[0].aliases, judged.faults[0].summary) == (("CVE-2026-1",), "It falls over.")
    assert judged.read == {"PyPI": 2, "npm": 0}


def test_names_of_npm_are_taken_as_they_are(tmp_path):
    path = written(
        tmp_path,
        advisory(1, "npm", "@scope/thing", [{"introduced": "2.0.0"}]),
        advisory(2, "npm", "Thing", [{"introduced": "2.0.0"}]),
        advisory(3, "Debian:12", "thing", [{"introduced": "0"}]),
    )
    assert found(path) == [("@scope/thing", "TEST-1", "")]


def test_what_was_withdrawn_is_counted_and_nothing_else(tmp_path):
    judged = judge(COMPONENTS, [written(tmp_path, advisory(withdrawn="2026-02-01T00:00:00Z"))])
    assert (judged.faults, judged.withdrawn) == ([], 1)


def test_a_version_that_is_listed_counts_also_outside_of_ranges(tmp_path):
    listed = {"package": {"ecosystem": "PyPI", "name": "some-package"}, "versions": ["1.3", "1.4"]}
    path = written(tmp_path, {"id": "TEST-1", "affected": [listed, listed]})
    assert found(path) == [("some-package", "TEST-1", "")]


def test_commits_are_no_versions(tmp_path):
    ranges = [{"type": "GIT", "repo": "https://example.org", "events": [{"introduced": "0"}]}]
    one = {"package": {"ecosystem": "PyPI", "name": "some-package"}, "ranges": ranges}
    assert found(written(tmp_path, {"id": "TEST-1", "affected": [one]})) == []


def test_what_cannot_be_told_is_said_and_a_sure_one_wins(tmp_path):
    unclear = advisory(1, events=[{"introduced": "the beginning"}])
    sure = advisory(2, events=[{"introduced": "what?"}])
    sure["affected"].append(advisory()["affected"][0])
    judged = judge(COMPONENTS, [written(tmp_path, unclear, sure)])
    assert [(fault.advisory, fault.is_unclear) for fault in judged.faults] == [
        ("TEST-1", True),
        ("TEST-2", False),
    ]


def test_folders_and_single_files_are_read_like_archives(tmp_path):
    folder = tmp_path / "advisories" / "PyPI"
    folder.mkdir(parents=True)
    (folder / "TEST-1.json").write_text(json.dumps(advisory()))
    (folder / "README").write_text("none")
    assert (
        found(tmp_path / "advisories")
        == found(folder / "TEST-1.json")
        == [("some-package", "TEST-1", "1.5.0")]
    )


def test_what_is_no_advisory_is_counted_and_the_others_are_judged(tmp_path):
    deep = "[" * 100_000 + "]" * 100_000
    odd = [
        "{",
        "[]",
        deep,
        '{"id": 1}',
        '{"id": "x", "affected": 3}',
        "\ud800".encode("utf-8", "replace").decode(),
    ]
    judged = judge(COMPONENTS, [written(tmp_path, *odd, advisory(9))])
    assert (judged.unread, len(judged.unread_shown), len(judged.faults)) == (6, 5, 1)


def test_no_text_of_an_advisory_is_a_command_for_the_terminal(tmp_path):
    path = written(tmp_path, advisory(summary="\x1b[2Jgone\r\n" + "x" * 9_000, aliases=["\x1b]0;title\x07"]))
    fault = judge(COMPONENTS, [path]).faults[0]
    assert fault.summary.startswith("[2Jgone")
    assert len(fault.summary) <= 200
    assert all(text.isprintable() for text in (fault.summary, *fault.aliases))


@pytest.mark.parametrize("bound", ["MAX_ADVISORY_BYTES", "MAX_TOTAL_BYTES"])
def test_an_archive_that_unpacks_without_end_stops_at_the_bound(tmp_path, monkeypatch, bound):
    monkeypatch.setattr(advisories, bound, 100_000)
    path = written(
        tmp_path, *[advisory(number, summary="x" * 60_000) for number in range(3)], " " * 5_000_000
    )
    assert path.stat().st_size < 20_000
    with pytest.raises(AdvisoriesError, match="larger than 100000 bytes"):
        judge(COMPONENTS, [path])


def test_an_archive_of_too_many_entries_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(advisories, "MAX_ENTRIES", 10)
    with pytest.raises(AdvisoriesError, match="more than 10 advisories"):
        judge(COMPONENTS, [written(tmp_path, *[advisory(number) for number in range(11)])])


def test_a_directory_of_an_archive_that_is_larger_than_bounds_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(advisories, "MAX_DIRECTORY_BYTES", 100_000)
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(2_000):
            archive.writestr(f"{number}-{'x' * 60}.txt", b"")
    with pytest.raises(AdvisoriesError, match="its directory is larger than"):
        judge(COMPONENTS, [path])


def test_sizes_that_lie_change_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(advisories, "MAX_ADVISORY_BYTES", 100_000)
    path = written(tmp_path, " " * 5_000_000)
    size = (5_000_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(size, (10).to_bytes(4, "little")))
    with pytest.raises(AdvisoriesError):
        judge(COMPONENTS, [path])


def test_names_that_lead_elsewhere_write_nothing(tmp_path):
    path = tmp_path / "in" / "all.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../outside.json", json.dumps(advisory()))
        archive.writestr("/absolute.json", json.dumps(advisory(2)))
    assert len(found(path)) == 2
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


@pytest.mark.parametrize("kind", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_are_refused(tmp_path, kind):
    path = tmp_path / "all.zip"
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("TEST-1.json", json.dumps(advisory()))
    with pytest.raises(AdvisoriesError, match="is not stored or deflated"):
        judge(COMPONENTS, [path])


@pytest.mark.parametrize("content", [b"", b"PK", b"PK\x05\x06" + b"\xff" * 18, b"nothing of the kind" * 100])
def test_what_is_no_archive_is_said_in_one_line(tmp_path, content):
    path = tmp_path / "all.zip"
    path.write_bytes(content)
    with pytest.raises(AdvisoriesError, match="cannot be read as a zip archive") as refused:
        judge(COMPONENTS, [path])
    assert "\n" not in str(refused.value)


def test_an_archive_about_other_things_is_no_clean_bill(tmp_path):
    with pytest.raises(AdvisoriesError, match="no advisory about PyPI or npm"):
        judge(COMPONENTS, [written(tmp_path, advisory(1, "Go", "example.org/thing"))])


def test_a_file_that_is_not_there_is_an_error_of_the_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        judge(COMPONENTS, [Path(tmp_path, "none.zip")])
