"""What a user gets wrong: exit code 2 (or 1), nothing on stdout, what happened and what to do, and no traceback."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from cli_project import Project, Ran

CODE = '''
"""Pipelines of code alone."""
import asyncio
from pydantic import BaseModel
from guardflow import LLMStage, Model, pipeline, stage
from guardflow.prompts import inline_prompt


class Word(BaseModel):
    word: str


@stage
async def shout(word: str) -> str:
    return word.upper()


@stage
async def slow(word: str) -> str:
    await asyncio.sleep(6000)
    return word


@pipeline("loud")
async def loud(given: Word) -> str:
    return await shout(given.word)


@pipeline("slowly")
async def slowly(given: Word) -> str:
    return await slow(await shout(given.word))


asks = LLMStage("asks", Word, Word, prompt=inline_prompt("{{ word | fenced }}", ["word"]), model=Model("fast"))


@pipeline("asking")
async def asking(given: Word) -> str:
    return (await asks(given)).word
'''


@pytest.fixture
def code(project: Project) -> Project:
    project.pipelines(CODE)
    return project


def refused(ran: Ran, exit_code: int, *said: str) -> None:
    assert (ran.code, ran.out) == (exit_code, ""), ran
    assert "Traceback" not in ran.err
    for part in said:
        assert part in ran.err, ran.err
    assert "  try: " in ran.err or "Usage: " in ran.err, ran.err


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("run luod -i word=x", "did you mean 'loud'?"),
        ("run loud", "Field required"),
        ("run loud -i word", "NAME=VALUE"),
        ("run loud -i word=x --input -", "both --set and --input"),
        ("run loud --input missing.json", "No such file"),
        ("run loud --input .", "cannot be read"),
        ("run loud --input bad.json", "is not JSON"),
        ("run loud --input bytes.json", "is not UTF-8"),
        ("run loud --input deep.json", "is not JSON"),
        ("run loud --input -", "stdin is not JSON"),
        ("run loud -i word=x --cache maybe", "use, off, refresh, only"),
        ("run loud -i word=x --budget-usd nan", "usd=nan"),
        ("run loud -i word=x --json --events", "both --json and --events"),
        ("run loud -i word=x --run-id a/b", "cannot be a run id"),
        ("run loud -i word=x -m fasst=openai/x", "did you mean 'fast'?"),
        ("run asking -i word=x -m nonsense/x", "no provider is called 'nonsense'"),
        ("run asking -i word=x -m openai/gpt-5-mini", "OPENAI_API_KEY is not set"),
        ("explain luod", "did you mean 'loud'?"),
        ("prompts show nope", "there is no prompt 'nope'"),
        ("prompts render examples/plan", "needs the input 'text'"),
        ("runs list --status fine", "--status is one of"),
        ("runs answer r stage", "exactly one of"),
        ("runs answer r stage --retry --skip", "exactly one of"),
        ("runs fork r", "--from"),
        ("cache prune", "--older-than, --max-bytes"),
        ("completion tcsh", "bash, zsh, fish"),
    ],
)
def test_wrong_usage_is_2(code: Project, command: str, said: str) -> None:
    (code.root / "bad.json").write_text("{")
    (code.root / "bytes.json").write_bytes(b"\xff\xfe")
    (code.root / "deep.json").write_text("[" * 100_000)
    refused(code(*command.split()), 2, said)


def test_a_database_url_that_names_none_is_2(code: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDFLOW_DATABASE_URL", "nonsense://x")
    refused(code("run", "loud", "-i", "word=x"), 2, "names no database")


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("runs show nope", "there is no run 'nope'"),
        ("runs resume nope", "there is no run 'nope'"),
        ("runs cancel nope", "there is no run 'nope'"),
        ("runs signal nope name", "there is no run 'nope'"),
        ("runs export nope", "there is no run 'nope'"),
        ("runs watch nope", "there is no run 'nope'"),
        ("runs answer r nope --retry", "waits for an answer"),
        ("runs fork r --from nope", "it has 'shout'"),
    ],
)
def test_what_is_not_there_is_1(code: Project, command: str, said: str) -> None:
    code("run", "loud", "-i", "word=x", "--run-id", "r")
    refused(code(*command.split()), 1, said)


def test_a_value_that_is_not_json(code: Project) -> None:
    code("run", "loud", "-i", "word=x", "--run-id", "r")
    refused(code("runs", "answer", "r", "shout", "--value", "{bad"), 2, "--value is not JSON")


@pytest.mark.parametrize("command", ["runs show r", "runs cancel r", "runs resume r", "runs fork r --from x"])
def test_a_project_without_runs_says_what_to_do_and_makes_no_database(code: Project, command: str) -> None:
    refused(code(*command.split()), 1, "run a pipeline first")
    assert not (code.root / ".guardflow").exists()


def test_a_list_of_no_runs_is_empty_and_says_how_to_start_one(project: Project) -> None:
    listed = project("runs", "list")
    assert (listed.code, listed.out) == (0, "")
    assert "guardflow run PIPELINE" in listed.err
    assert project("runs", "list", "--json").json["runs"] == []


def test_a_module_that_cannot_be_imported_is_named(project: Project) -> None:
    project.pipelines("raise RuntimeError('this \x1b[31m module')")
    ran = project("run", "loud", "-i", "word=x")
    refused(ran, 2, "'pipelines.lab'", "RuntimeError: this  module")
    assert "\x1b" not in ran.err


def test_a_state_folder_that_cannot_be_made(code: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    (code.root / "file").write_text("")
    monkeypatch.setenv("GUARDFLOW_HOME", str(code.root / "file" / "home"))
    refused(code("run", "loud", "-i", "word=x"), 2, "cannot be made")


def test_a_database_that_does_not_answer(code: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as deaf:  # bound, so that nobody else gets the port, and not listening
        deaf.bind(("127.0.0.1", 0))
        url = f"postgresql://someone:s3cr3t-word@127.0.0.1:{deaf.getsockname()[1]}/x"
        monkeypatch.setenv("GUARDFLOW_DATABASE_URL", url)
        for command in ("run loud -i word=x", "runs list", "runs show r", "doctor", "config show"):
            ran = code(*command.split())
            assert "s3cr3t-word" not in ran.out + ran.err
            assert "Traceback" not in ran.err
            assert ran.code == {"doctor": 2, "config show": 0}.get(command, 1), command


def test_a_run_that_another_process_executes_is_left_alone_but_can_be_looked_at(code: Project) -> None:
    other = code.spawn("run", "slowly", "-i", "word=x", "--run-id", "r")
    try:
        assert other.stderr is not None
        assert "shout" in other.stderr.readline()
        refused(code("run", "slowly", "-i", "word=x", "--run-id", "r"), 1, "'r'")
        refused(code("runs", "resume", "r"), 1, "'r'")
        assert code("run", "loud", "-i", "word=y").out == "Y\n"
        assert "running" in code("runs", "list").out
        assert "… slowly r running" in code("runs", "show", "r").out
        assert code("runs", "cancel", "r").code == 0
        assert code.finish(other).code == 1
    finally:
        other.kill()
    assert code("runs", "show", "r", "--json").json["status"] == "cancelled"


def test_settings_that_do_not_fit(project: Project, tmp_path: Path) -> None:
    (project.root / "guardflow.toml").write_text("budget_used = 1\n")
    for command in ("config show", "runs list", "prompts list"):
        refused(project(*command.split()), 2, "budget_us")
    looked = project("doctor")
    assert looked.code == 2
    assert "✗ settings" in looked.out
