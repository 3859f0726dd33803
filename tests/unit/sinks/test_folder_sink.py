"""The folder sink: whole files or none, nothing of others touched, errors that say what to do."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from guardflow import SinkError, write_folder
from guardflow.sinks import folder as sink

FILES = {
    "report.md": b"# One\n",
    "manifest.json": json.dumps({"run_id": "r-1"}).encode(),
    "data/a.csv": b"a,b\r\n",
}


def test_files_are_written_and_named(tmp_path: Path) -> None:
    written = write_folder(tmp_path / "new" / "out", FILES, run_id="r-1")
    assert {str(path.relative_to(tmp_path / "new" / "out")): path.read_bytes() for path in written} == FILES
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == [
        "data",
        "manifest.json",
        "report.md",
    ]


def test_the_same_files_again_are_left_alone(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES)
    os.utime(tmp_path / "report.md", (1, 1))
    write_folder(tmp_path, FILES)
    assert (tmp_path / "report.md").stat().st_mtime == 1


def test_the_same_run_may_replace_its_files_and_another_may_not(tmp_path: Path) -> None:
    write_folder(tmp_path, FILES, run_id="r-1")
    newer = {**FILES, "report.md": b"# Two\n"}
    with pytest.raises(SinkError, match=r"report\.md.*not from this run"):
        write_folder(tmp_path, newer, run_id="r-2")
    assert (tmp_path / "report.md").read_bytes() == b"# One\n"
    write_folder(tmp_path, newer, run_id="r-1")
    assert (tmp_path / "report.md").read_bytes() == b"# Two\n"


def test_files_of_others_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "report.md").write_text("mine")
    with pytest.raises(SinkError) as raised:
        write_folder(tmp_path, FILES, run_id="r-1")
    assert raised.value.hint
    assert [path.name for path in tmp_path.iterdir()] == ["report.md"]
    assert (tmp_path / "report.md").read_text() == "mine"


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"run_id": 7}', b"\xff\xfe"])
def test_a_manifest_that_names_no_run_belongs_to_somebody_else(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(SinkError, match=r"manifest\.json"):
        write_folder(tmp_path, FILES, run_id="r-1")


def test_links_are_not_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(FILES["report.md"])
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.md").symlink_to(elsewhere)
    with pytest.raises(SinkError):
        write_folder(out, FILES)


@pytest.mark.parametrize("name", ["", "/etc/x", "../x", "a/../../x", "a\\b", "c:x", "a\0b"])
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(SinkError, match="cannot name a file"):
        write_folder(tmp_path / "out", {name: b""})
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_a_file_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(SinkError, match="cannot be written") as raised:
        write_folder(tmp_path / "out", FILES)
    assert raised.value.hint


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_failing_disk_keeps_the_old_file_and_leaves_nothing_lying_about(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    write_folder(tmp_path, FILES, run_id="r-1")

    def fails(descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(sink.os, "fsync", fails)  # root may write anywhere: the disk itself has to fail
    with pytest.raises(SinkError, match=os.strerror(code)) as raised:
        write_folder(tmp_path, {**FILES, "report.md": b"# Two\n"}, run_id="r-1")
    assert "run is kept" in raised.value.hint or "nothing of it is lost" in raised.value.hint
    assert (tmp_path / "report.md").read_bytes() == b"# One\n"
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_manifest_is_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    replace = Path.replace

    def noted(self: Path, target: Path) -> Path:
        order.append(target.name)
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", noted)
    write_folder(tmp_path, {**FILES, "z.txt": b""})
    assert order == ["a.csv", "report.md", "z.txt", "manifest.json"]
