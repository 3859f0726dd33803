"""The shell completes pipelines, runs and prompts: by bash's own protocol, without running anything of the project."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from cli_project import CHECKOUT, PROGRAM, Project

from guardflow import Runtime
from guardflow.settings import load_settings
from guardflow.testing import Scripted
from pipelines.examples.triage import FAST, Route, Ticket, triage

LAB = """
from guardflow import pipeline

raise SystemExit("completion imported the project")


@pipeline("lab")
async def lab(text: str) -> str:
    return text


@pipeline(
    "lab-too",
)
async def lab_too(text: str) -> str:
    return text
"""


class Bash:
    """A bash with the completion script, in a project's folder."""

    def __init__(self, bin: Path, root: Path) -> None:
        bin.mkdir()
        program = bin / "guardflow"
        program.write_text(
            f'#!/bin/sh\nPYTHONPATH="{CHECKOUT}" exec "{sys.executable}" -c "{PROGRAM}" "$@"\n'
        )
        program.chmod(0o755)
        self._bin, self._root = bin, root

    def __call__(self, line: str, **variables: str) -> list[str]:
        """What bash offers where ``line`` ends. Nothing may be said beside it."""
        words = line.split(" ")
        asked = (
            f"source <(guardflow completion bash); COMP_WORDS=({line}{' ' + chr(39) * 2 if not words[-1] else ''}); "
            f'COMP_CWORD={len(words) - 1}; "$(complete -p guardflow | sed "s/.*-F \\([^ ]*\\).*/\\1/")" guardflow; '
            'printf "%s\\n" "${COMPREPLY[@]}"'
        )
        ran = subprocess.run(
            ["bash", "-c", asked],
            cwd=self._root,
            env={**os.environ, "PATH": f"{self._bin}:{os.environ['PATH']}", **variables},
            capture_output=True,
            text=True,
            check=True,
        )
        assert ran.stderr == ""
        return ran.stdout.split()


@pytest.fixture
def bash(project: Project, tmp_path: Path) -> Bash:
    return Bash(tmp_path / "bin", project.root)


@pytest.fixture
def two_runs(project: Project) -> None:
    """Runs ``first`` and ``second`` in the project's database."""

    async def main() -> None:
        said = Scripted(Route(queue="billing", because="bill"))
        async with Runtime(settings=load_settings(project.root), models={FAST: said}) as rt:
            for run_id in ("first", "second"):
                assert (await rt.run(triage, Ticket(subject="x", text="bill"), run_id=run_id)).ok

    anyio.run(main)


def test_pipelines_of_the_project_and_of_the_bundle_are_offered_and_none_is_imported(
    bash: Bash, project: Project
) -> None:
    project.pipelines(LAB)
    assert bash("guardflow run ") == ["deep-research", "invoices", "lab", "lab-too", "qa", "triage"]
    assert bash("guardflow explain lab-") == ["lab-too"]


def test_runs_are_offered_newest_first(bash: Bash, two_runs: None) -> None:
    assert bash("guardflow runs show ") == ["second", "first"]
    assert bash("guardflow runs resume fi") == ["first"]
    assert bash("guardflow run triage --run-id s") == ["second"]


def test_prompts_are_offered(bash: Bash, project: Project) -> None:
    (project.root / "prompts").mkdir(exist_ok=True)
    (project.root / "prompts" / "mine.md").write_text("not even a prompt {{")
    offered = bash("guardflow prompts show ")
    assert "mine" in offered
    assert "examples/route" in offered


def test_where_there_are_no_runs_nothing_is_offered_and_nothing_is_made(bash: Bash, project: Project) -> None:
    before = sorted(project.root.rglob("*"))
    assert bash("guardflow runs show ") == []
    assert sorted(project.root.rglob("*")) == before


@pytest.mark.parametrize(
    "line", ["guardflow runs show x", "guardflow prompts show zz", "guardflow nosuch x", "guardflow run zz"]
)
def test_whatever_is_wrong_completion_is_silent(bash: Bash, project: Project, line: str) -> None:
    (project.root / "guardflow.toml").write_text("this is = not [ toml")
    (project.root / ".guardflow").mkdir(exist_ok=True)
    (project.root / ".guardflow" / "guardflow.db").write_text("no database")
    (project.root / "pipelines").mkdir(exist_ok=True)
    (project.root / "pipelines" / "bad.py").write_bytes(b"\xff\xfe(((")
    assert bash(line) == []


def test_a_server_is_not_asked(bash: Bash) -> None:
    """It would have to be waited for; nothing listens there."""
    assert bash("guardflow runs show ", GUARDFLOW_DATABASE_URL="postgresql://127.0.0.1:9/nothing") == []


def test_completing_loads_no_database_and_no_model_library() -> None:
    code = (
        "import sys; from guardflow.cli.completing import pipeline_names, prompt_names, run_ids; "
        "run_ids(''), pipeline_names(''), prompt_names(''); "
        "print([m for m in ('sqlalchemy', 'litellm', 'dbos', 'pipelines') if m in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
