"""kill -9 while a folder is written: whoever looks finds the old files, the new ones, or no manifest."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from guardflow import SinkError, write_folder
from guardflow.testing import ForkServer, enumerate_points, run_and_kill

HERE = str(Path(__file__))
DELIVER = f"{HERE}:deliver"
NAMES = ["evidence.jsonl", "report.md"]


def version_of(word: str) -> dict[str, bytes]:
    """A run's files, the larger than any buffer, and a manifest that holds their hashes."""
    files = {name: f"{word} {name}\n".encode() * 9_000 for name in NAMES}
    hashes = {name: sha256(content).hexdigest() for name, content in files.items()}
    return {**files, "manifest.json": json.dumps({"run_id": "r-1", "files": hashes}).encode()}


def deliver(job: Mapping[str, str]) -> None:
    write_folder(job["folder"], version_of(job["word"]), run_id="r-1")


def shown(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer(("guardflow.sinks.folder", HERE)) as server:
        yield server


@pytest.mark.parametrize("over", ["nothing", "an older version"])
def test_a_folder_with_a_manifest_is_complete_wherever_its_writer_was_killed(
    tmp_path: Path, forks: ForkServer, over: str
) -> None:
    old, new = version_of("old"), version_of("new")

    def folder_for(name: str) -> Path:
        folder = tmp_path / name
        if over != "nothing":
            write_folder(folder, old, run_id="r-1")
        return folder

    job = {"folder": str(folder_for("whole")), "word": "new"}
    points = enumerate_points(forks, DELIVER, job)
    assert [point.name for point in points].count("deliver.write") == len(new)
    assert len(points) == 3 * len(new)
    for point in points:
        folder = folder_for(str(point).replace(":", "-"))
        run_and_kill(forks, DELIVER, {"folder": str(folder), "word": "new"}, at=point)
        left = shown(folder)
        if "manifest.json" in left:
            assert left in (old, new), point
        for name, content in left.items():
            assert content in (old[name], new[name]), point
        write_folder(folder, new, run_id="r-1")
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == new, point


def test_what_a_dead_writer_left_is_removed_and_nothing_else_with_a_dot(tmp_path: Path) -> None:
    for name in (".report.md.0123456789ab", ".other.md.0123456789ab", ".report.md.swp"):
        (tmp_path / name).write_text("half")
    write_folder(tmp_path, version_of("new"), run_id="r-1")
    hidden = sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("."))
    assert hidden == [".other.md.0123456789ab", ".report.md.swp"]


def test_a_folder_whose_writer_died_still_belongs_to_its_run(tmp_path: Path, forks: ForkServer) -> None:
    write_folder(tmp_path, version_of("old"), run_id="r-1")
    job = {"folder": str(tmp_path), "word": "new"}
    run_and_kill(forks, DELIVER, job, at="deliver.after:1")
    assert "manifest.json" not in shown(tmp_path)
    with pytest.raises(SinkError, match="not from this run"):
        write_folder(tmp_path, version_of("third"), run_id="r-2")
    write_folder(tmp_path, version_of("third"), run_id="r-1")
    assert shown(tmp_path) == version_of("third")
