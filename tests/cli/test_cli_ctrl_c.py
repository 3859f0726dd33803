"""Ctrl-C at chosen moments of ``guardflow research``: exit code 130, no traceback, and a way back if there is one.

The process gives itself the signal (`ctrl_c_program.py`), so that no test guesses how long something takes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_project import CHECKOUT, WAIT, Project
from research_script import obliging

from guardflow.models.routing import override_clients
from guardflow.testing import ForkServer, Scripted

PROGRAM = Path(__file__).with_name("ctrl_c_program.py")
DAY = ("--as-of", "2026-02-03")  # not today, which ends at midnight
QUESTION = ("research", "How many connections does the pool hold?", "--corpus", "docs", "--run-id", "r", *DAY)
FILES = ("report.md", "evidence.jsonl")


@pytest.fixture
def lab(project: Project) -> Iterator[Project]:
    """A project with documents and without providers."""
    (project.root / "docs").mkdir()
    (project.root / "docs" / "pool.md").write_text(
        "# The pool\n\nThe pool holds ten connections by default. Under load, the pool grows to twenty.\n"
    )
    model = Scripted(lambda request: obliging(str([message.content for message in request.messages])))
    token = override_clients.set({"*": model})
    yield project
    override_clients.reset(token)


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    """A process that has imported all a run needs, so that an interrupted one costs little."""
    loaded = (
        "guardflow.cli.app",
        "guardflow.cli.research",
        "guardflow.runtime",
        "guardflow.store.dbos.engine",
    )
    with ForkServer((*loaded, "guardflow.sources.corpus", str(PROGRAM)), timeout=WAIT) as started:
        yield started


def interrupted(server: ForkServer, **when: Any) -> str:
    """What a process says that is interrupted there; it ends with 130, and without a report."""
    ended = server.run(f"{PROGRAM}:main", when, *QUESTION, cwd=os.getcwd())
    assert ended.code == 130, (when, ended)
    assert "Traceback" not in ended.output, ended.output
    assert "The pool holds" not in ended.output
    last = ended.output.splitlines()[-1]
    assert last.startswith("interrupted"), ended.output
    return last


def report() -> dict[str, bytes]:
    return {name: Path("research/r", name).read_bytes() for name in FILES}


@pytest.mark.parametrize("module", ["guardflow.cli.research", "guardflow.runtime", "dbos"])
def test_while_it_starts_one_line_says_it(lab: Project, module: str) -> None:
    ended = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps({"import": module}), *QUESTION],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(PROGRAM.parent)])},
        capture_output=True,
        text=True,
        timeout=WAIT,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.splitlines()[-1].startswith("interrupted")
    assert "Traceback" not in ended.stderr
    assert "resume" not in ended.stderr
    assert lab("runs", "show", "r").code != 0


def test_a_run_that_is_not_stored_is_not_promised(lab: Project, server: ForkServer) -> None:
    said = interrupted(server, at="run.create.before:1")
    stored = lab("runs", "show", "r").code == 0
    assert ("before the run began" in said) is not stored
    assert ("runs resume r" in said) is stored


@pytest.mark.parametrize(
    "when",
    [
        {"at": "run.create.after:1"},
        {"at": "ledger.finish.after:1"},
        {"at": "step.done:1"},
        {"call": 1, "sort": "SIGTERM"},
        {"call": 2, "signals": 2},
        {"at": "deliver.write:1"},
    ],
    ids=lambda when: " ".join(map(str, when.values())),
)
def test_a_stored_run_goes_on_with_the_same_report(
    lab: Project, server: ForkServer, when: dict[str, Any]
) -> None:
    whole = lab(*QUESTION)
    assert whole.code == 0, whole
    assert "The pool holds ten connections" in whole.out
    expected = report()
    for folder in (".guardflow", "research"):
        shutil.rmtree(folder)
    assert "go on with: guardflow runs resume r" in interrupted(server, **when).replace("Go", "go")
    resumed = lab("runs", "resume", "r")
    assert (resumed.code, resumed.out) == (0, whole.out)
    assert report() == expected
