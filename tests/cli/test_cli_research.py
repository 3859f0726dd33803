"""``guardflow research`` as people use and misuse it: its folder, its languages, what stops it half way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import research_script
from cli_project import CHECKOUT, WAIT, Project

from guardflow.testing import FaultServer, Reply

QUESTION = "How many connections does the pool hold?"
UNINTERRUPTED = f"{Path(__file__).with_name('ctrl_c_program.py')} '{{}}'"
"""The command line in a process that asks no provider, so that it need not import what talks to one."""
PAGES = {
    "pool.md": "# The pool\n\nThe pool holds ten connections by default. Under load, the pool grows to twenty.\n",
    "fish.md": "# Fish\n\nTrout live in the cold water of the mountains, far from every town and road.\n",
}


def obliging(body: dict[str, object]) -> Reply:
    return Reply.json(research_script.obliging(str(body["messages"])))


@pytest.fixture
def server(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    folder = project.root / "docs"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text)
    with FaultServer(answer=obliging) as started:
        monkeypatch.setenv("OPENAI_BASE_URL", started.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        for role in ("FAST", "STRONG", "JUDGE"):
            monkeypatch.setenv(f"GUARDFLOW_MODEL_{role}", "openai/gpt-4o-mini")
        yield started


def asked(question: str = QUESTION, *more: str) -> tuple[str, ...]:
    return (
        "research",
        question,
        "--corpus",
        "docs",
        "--as-of",
        "2026-02-03",
        *more,
    )  # today ends at midnight


def test_resuming_prints_and_writes_the_same_report_again_for_nothing(
    project: Project, server: FaultServer
) -> None:
    first = project(*asked(QUESTION, "--run-id", "r"))
    assert first.code == 0, first
    assert "The pool holds ten connections by default." in first.out
    paid = server.count
    (project.root / "research" / "r" / "report.md").unlink()
    again = project("runs", "resume", "r")
    assert (again.code, again.out, server.count) == (0, first.out, paid)
    assert (project.root / "research" / "r" / "report.md").read_text() == first.out
    elsewhere = project("runs", "resume", "r", "--out", "elsewhere")
    assert (elsewhere.code, elsewhere.out) == (0, first.out)
    assert sorted(os.listdir("elsewhere")) == sorted(os.listdir("research/r"))


def test_a_folder_that_cannot_take_a_report_is_refused_before_anything_is_spent(
    project: Project, server: FaultServer
) -> None:
    Path("file").touch()
    Path("other").mkdir()
    Path("other/report.md").write_text("mine")
    for out, said in (
        ("file", "is a file"),
        ("file/below", "is a file"),
        ("other", "holds a report already"),
    ):
        refused = project(*asked(QUESTION, "--out", out))
        assert (refused.code, refused.out) == (2, ""), refused
        assert said in refused.err
        assert "--out" in refused.err
    assert server.count == 0
    assert Path("other/report.md").read_text() == "mine"


@pytest.mark.skipif(
    not Path("/proc/self").is_dir(), reason="needs a file system that refuses new files to root"
)
def test_a_file_system_that_takes_no_files_is_refused_too(project: Project, server: FaultServer) -> None:
    refused = project(*asked(QUESTION, "--out", "/proc/guardflow/report"))
    assert (refused.code, refused.out, server.count) == (2, "", 0)
    assert "cannot be written" in refused.err


def test_a_folder_that_fails_meanwhile_loses_no_report(project: Project, server: FaultServer) -> None:
    def in_the_way(body: dict[str, object]) -> Reply:
        Path("out").touch()
        return obliging(body)

    server.script(answer=in_the_way)
    failed = project(*asked(QUESTION, "--run-id", "r", "--out", "out"))
    assert failed.code == 1
    assert "The pool holds ten connections" in failed.out
    assert "guardflow runs resume r --out FOLDER" in failed.err
    paid = server.count
    saved = project("runs", "resume", "r", "--out", "saved")
    assert (saved.code, saved.out, server.count) == (0, failed.out, paid)
    assert Path("saved/report.md").read_text() == failed.out


def test_a_question_in_another_language_is_told_and_not_guessed(
    project: Project, server: FaultServer
) -> None:
    for question in ("プールには接続がいくつありますか？", "كم عدد الاتصالات في المجمع؟"):
        ran = project(*asked(question))
        assert ran.code == 0
        assert "No source holds the words of this question" in ran.out
        assert "connections" not in ran.out
        assert "could be read" not in ran.out


def test_a_short_document_of_a_language_without_spaces_is_read(project: Project, server: FaultServer) -> None:
    Path("docs/dam.md").write_text(
        "# 貯水池\n\n貯水池の深さは四十二メートルです。水は夏に使われます。\n", "utf-8"
    )
    assert "四十二メートル" in project(*asked("貯水池の深さは？")).out


def test_files_that_cannot_be_read_are_told_and_the_rest_is_used(
    project: Project, server: FaultServer
) -> None:
    docs = project.root / "docs"
    (docs / "gone.md").symlink_to("nowhere")
    (docs / "loop").symlink_to(".")
    os.mkfifo(docs / "pipe.md")
    (docs / "noise.md").write_bytes(bytes(range(256)) * 40)
    (docs / "empty.txt").touch()
    with (docs / "huge.txt").open("wb") as file:
        file.truncate(500 * 2**20)
    ran = project(*asked())
    assert ran.code == 0
    assert "The pool holds ten connections" in ran.out
    for name in ("gone.md", "loop", "pipe.md", "noise.md", "empty.txt", "huge.txt"):
        assert f"skipped 'docs/{name}'" in ran.err


def test_a_folder_without_documents_is_told(project: Project, server: FaultServer) -> None:
    Path("empty").mkdir()
    ran = project("research", QUESTION, "--corpus", "empty")
    assert ran.code == 0
    assert "nothing to read in" in ran.err
    assert "so this report answers nothing" in ran.out


def test_closed_and_full_streams_give_no_traceback_and_keep_the_report(
    project: Project, server: FaultServer
) -> None:
    program = f'exec {sys.executable} {UNINTERRUPTED} research "$0" --corpus docs --run-id r'
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    for streams, code in (("<&- >&- 2>&-", 0), (">/dev/full", 1)):
        ran = subprocess.run(
            ["sh", "-c", f"{program} {streams}", QUESTION],
            env=environment,
            capture_output=True,
            text=True,
            timeout=WAIT,
            check=False,
        )
        assert ran.returncode == code, ran
        assert "Traceback" not in ran.stderr
        assert "The pool holds ten" in Path("research/r/report.md").read_text()
    assert "stdout cannot be written" in ran.stderr


def test_ctrl_c_names_the_folder_and_resuming_gives_the_same_report(
    project: Project, server: FaultServer
) -> None:
    whole = project(*asked(QUESTION, "--cache", "off"))
    server.reset()
    server.script(
        answer=lambda body: obliging(body).but(delay=0.0 if "You plan" in str(body["messages"]) else 30)
    )
    process = project.spawn(*asked(QUESTION, "--cache", "off", "--run-id", "r", "--out", "my report"))
    while server.count < 2:
        assert process.poll() is None, project.finish(process)
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stopped = project.finish(process)
    assert (stopped.code, stopped.out) == (130, "")
    assert "guardflow runs resume r --out 'my report'" in stopped.err
    server.script(answer=obliging)
    resumed = project("runs", "resume", "r", "--out", "my report")
    assert (resumed.code, resumed.out) == (0, whole.out)
    assert Path("my report/report.md").read_text() == whole.out


def test_a_wrong_key_is_no_degraded_report(project: Project, server: FaultServer) -> None:
    server.script(Reply.status(401))
    refused = project(*asked(QUESTION, "--run-id", "r"))
    assert (refused.code, refused.out, server.count) == (1, "", 1)
    assert "openai refuses the key in OPENAI_API_KEY; put a valid one there" in refused.err
    assert "sk-test" not in refused.err
    assert "go on with: guardflow runs resume r" in refused.err
    assert not Path("research").exists()
    server.script(answer=obliging)
    resumed = project("runs", "resume", "r")
    assert resumed.code == 0, resumed
    assert "The pool holds ten connections by default." in resumed.out


def test_a_model_that_is_not_there_is_no_degraded_report(project: Project, server: FaultServer) -> None:
    server.script(Reply.status(404))
    refused = project(*asked())
    assert (refused.code, refused.out, server.count) == (1, "", 1)
    assert "check the model's name and api_base" in refused.err


def test_a_model_that_cannot_be_reached_at_all_is_no_degraded_report(
    project: Project, server: FaultServer
) -> None:
    address, port = server.base_url, server.port
    server.close()
    failed = project(*asked(QUESTION, "--run-id", "r", "--out", "my report"))
    assert (failed.code, failed.out) == (1, ""), failed
    assert f"openai cannot be reached at {address} (OPENAI_BASE_URL)" in failed.err
    assert "go on with: guardflow runs resume r --out 'my report'" in failed.err
    assert not Path("my report").exists()
    with FaultServer(answer=obliging, port=port):
        resumed = project("runs", "resume", "r", "--out", "my report")
    assert resumed.code == 0, resumed
    assert "The pool holds ten connections by default." in resumed.out
    assert Path("my report/report.md").read_text() == resumed.out


def test_a_model_that_is_lost_half_way_is_told_and_the_words_choose(
    project: Project, server: FaultServer
) -> None:
    server.script(
        answer=lambda body: obliging(body) if "You plan" in str(body["messages"]) else Reply.dropped()
    )
    ran = project(*asked(QUESTION, "--run-id", "r"))
    assert ran.code == 0, ran
    assert "the model could not be reached" in ran.out
    assert "> The pool holds ten connections by default." in ran.out
    assert ran.err.splitlines()[-3].startswith("degraded: run r")
    assert "warning: these parts are degraded: extract, queries, write" in ran.err
    assert (
        server.count <= 1 + 2 * 4 * 2
    )  # of the two stages that found out, one each was sent on an old connection
    shown = project("runs", "show", "r")
    assert "extract: the model could not be reached" in " ".join(shown.out.split())
