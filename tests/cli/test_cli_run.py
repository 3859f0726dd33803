"""Runs from the command line: the result on stdout, progress on stderr, the status as exit code."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

import pytest
from cli_project import Project

from guardflow.cli.options import cache_mode
from guardflow.settings import load_settings
from guardflow.testing import FaultServer, Reply

CODE = '''
"""Pipelines of code alone."""
import asyncio
from pydantic import BaseModel
from guardflow import StageEnded, fan_out, pipeline, stage


class Word(BaseModel):
    word: str
    times: int = 1


@stage
async def shout(word: str) -> str:
    return word.upper()


@stage
async def fail(word: str) -> str:
    raise ValueError(f"cannot do {word}")


@pipeline("loud")
async def loud(given: Word) -> str:
    return " ".join(await fan_out(shout, [given.word] * given.times))


@pipeline("child")
async def child(given: Word) -> str:
    return await shout(given.word)


@pipeline("nested")
async def nested(given: Word) -> list[str]:
    return await fan_out(child, [given] * given.times)


@pipeline("fails")
async def fails(given: Word) -> str:
    return await fail(await shout(given.word))
'''

MODELS = '''
"""Pipelines that ask a model."""
from pydantic import BaseModel
from guardflow import Finding, Kind, Ladder, LLMStage, Model, degrade, guard, park, pipeline, reask
from guardflow.prompts import inline_prompt


class Word(BaseModel):
    word: str


class Text(BaseModel):
    text: str


@guard
def is_good(answer: Text, ctx):
    if "bad" in answer.text:
        yield Finding("this is bad", at=("text",), evidence=answer.text)


PROMPT = inline_prompt("Write about {{ word | fenced }}", ["word"])
write = LLMStage("write", Word, Text, prompt=PROMPT, model=Model("fast"), guards=[is_good.reject()],
                 ladder=Ladder(reask(1, on=Kind.GUARD), otherwise=degrade()),
                 fallback=lambda word, findings: Text(text=word.word))
asks = LLMStage("asks", Word, Text, prompt=PROMPT, model=Model("fast"), guards=[is_good.reject()],
                ladder=Ladder(otherwise=park()))


@pipeline("writes")
async def writes(word: Word) -> str:
    return (await write(word)).text


strict = LLMStage("strict", Word, Text, prompt=PROMPT, model=Model("fast"), ladder=Ladder())


@pipeline("twice")
async def twice(word: Word) -> str:
    return (await strict(word)).text + (await strict(Word(word="second"))).text


@pipeline("parks")
async def parks(word: Word) -> str:
    return (await write(Word(word="fine"))).text + (await asks(word)).text
'''


def text(answer: str) -> Reply:
    return Reply.json({"text": answer})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    with FaultServer(text("fine")) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("GUARDFLOW_MODEL_FAST", "openai/gpt-5-mini")
        yield server


@pytest.fixture
def code(project: Project) -> Project:
    project.pipelines(CODE)
    return project


def test_stdout_is_the_result_and_stderr_the_rest(code: Project) -> None:
    ran = code("run", "loud", "-i", "word=hi", "-i", "times=2", "--run-id", "r")
    assert (ran.code, ran.out) == (0, "HI HI\n")
    assert "✓ shout · 2/2" in ran.err
    assert "ok: run r · 0 calls" in ran.err


def test_what_looks_like_a_number_is_text_where_text_is_wanted(code: Project) -> None:
    assert code("run", "loud", "-i", "word=42", "-i", "times=2").out == "42 42\n"
    assert code("run", "loud", "-i", "word=true").out == "TRUE\n"


def test_the_input_can_be_a_file_or_stdin(code: Project) -> None:
    (code.root / "in.json").write_text('{"word": "file"}')
    assert code("run", "loud", "--input", "in.json").out == "FILE\n"
    assert code("run", "loud", "--input", "-", stdin='{"word": "pipe"}').out == "PIPE\n"


def test_json_is_one_document_and_nothing_else(code: Project) -> None:
    ran = code("run", "loud", "-i", "word=hi", "--json", "--run-id", "r")
    assert ran.json["schema_version"] == 1
    assert (ran.json["status"], ran.json["output"], ran.json["run_id"]) == ("ok", "HI", "r")
    assert "shout" not in ran.err


def test_events_are_lines_of_json_and_the_last_is_the_result(code: Project) -> None:
    ran = code("run", "nested", "-i", "word=hi", "-i", "times=2", "--events", "--run-id", "r")
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert {event["schema_version"] for event in events} == {1}
    assert events[-1]["event"] == "Result"
    assert events[-1]["output"] == ["HI", "HI"]
    assert {e["run_id"] for e in events if e["event"] == "StageFinished"} >= {"r-1-0", "r-1-1"}


def test_a_failed_run_is_1_and_says_what_failed(code: Project) -> None:
    ran = code("run", "fails", "-i", "word=hi", "--run-id", "r")
    assert (ran.code, ran.out) == (1, "")
    assert "cannot do HI" in ran.err
    assert "Traceback" not in ran.err
    shown = code("runs", "show", "r")
    assert "✓ shout" in shown.out
    assert "go on with: guardflow runs resume r" in shown.out


def test_the_same_run_id_gives_the_result_again_and_another_input_is_refused(code: Project) -> None:
    assert code("run", "loud", "-i", "word=hi", "--run-id", "r").code == 0
    assert code("run", "loud", "-i", "word=hi", "--run-id", "r").out == "HI\n"
    refused = code("run", "loud", "-i", "word=ho", "--run-id", "r")
    assert (refused.code, refused.out) == (1, "")
    assert "exists with another input" in refused.err


def test_runs_can_be_listed_shown_exported_forked_and_pruned(code: Project) -> None:
    code("run", "nested", "-i", "word=hi", "-i", "times=2", "--run-id", "r")
    assert "nested" in code("runs", "list").out
    listed = code("runs", "list", "--json").json
    assert [run["run_id"] for run in listed["runs"]] == ["r"]
    shown = code("runs", "show", "r").out
    assert shown.index("1. ✓ child") < shown.index("child r-1-0 ok") < shown.index("child r-1-1 ok")
    assert code("runs", "show", "r", "--json").json["children"][1]["output"]["value"] == "HI"
    assert code("runs", "export", "r", "--out", "r.json").out == ""
    assert json.loads((code.root / "r.json").read_text())["schema_version"] == 1
    copy = code("runs", "fork", "r", "--from", "child", "--run-id", "copy")
    assert (copy.out, copy.code) == ("copy\n", 0)
    assert code("runs", "resume", "copy").out == code("runs", "resume", "r").out
    assert "pruned" in code("runs", "prune", "--older-than", "0").err
    assert code("runs", "list", "--json").json["runs"] == []


def test_long_fan_outs_are_counted_not_listed(code: Project) -> None:
    code("run", "loud", "-i", "word=hi", "-i", "times=300", "--run-id", "r")
    shown = code("runs", "show", "r").out
    assert "shout · 300 ok" in shown
    assert len(shown.splitlines()) < 5


def test_looking_never_imports_the_project(code: Project) -> None:
    code("run", "loud", "-i", "word=hi", "--run-id", "r")
    code.pipelines("open('imported', 'w').close()\n" + CODE)
    for command in (
        "runs list",
        "runs show r",
        "runs export r",
        "runs watch r",
        "cache stats",
        "config show",
    ):
        assert code(*command.split()).code == 0
    assert not (code.root / "imported").exists()
    assert code("explain", "loud").code == 0
    assert (code.root / "imported").exists()


def test_degraded_is_0_with_a_warning_and_the_findings_are_shown(
    project: Project, server: FaultServer
) -> None:
    project.pipelines(MODELS)
    server.script(text("bad one"), text("bad two"))
    ran = project("run", "writes", "-i", "word=w", "--run-id", "r")
    assert (ran.code, ran.out) == (0, "w\n")
    assert "warning: these parts are degraded: write" in ran.err
    shown = project("runs", "show", "r").out
    assert "is_good: $.text this is bad — got 'bad one'" in shown
    assert "reask · openai/gpt-5-mini · GUARD" in shown
    assert project("run", "writes", "-i", "word=w", "--run-id", "r").code == 0
    assert server.count == 2


def test_a_parked_run_is_6_and_goes_on_with_the_answer(project: Project, server: FaultServer) -> None:
    project.pipelines(MODELS)
    server.script(text("fine"), text("bad"))
    parked = project("run", "parks", "-i", "word=w", "--run-id", "r")
    assert (parked.code, parked.out) == (6, "")
    assert "guardflow runs answer r asks --value JSON | --retry | --skip" in parked.err
    assert "guardflow runs answer r asks" in project("runs", "show", "r").out
    assert project("runs", "watch", "r").code == 6
    again = project("runs", "answer", "r", "asks", "--value", '{"text": "still bad"}')
    assert again.code == 6
    assert project("runs", "answer", "r", "asks", "--value", '{"text": "!"}').out == "fine!\n"
    assert server.count == 2


def test_a_reached_budget_is_5_and_a_higher_one_resumes(project: Project, server: FaultServer) -> None:
    project.pipelines(MODELS)
    stopped = project("run", "twice", "-i", "word=w", "--run-id", "r", "--budget-calls", "1")
    assert (stopped.code, stopped.out) == (5, "")
    assert "guardflow runs resume r --budget-usd N | --budget-calls N" in stopped.err
    assert "guardflow runs resume r" in project("runs", "show", "r").out
    assert project("runs", "resume", "r", "--budget-calls", "2").out == "finefine\n"
    assert server.count == 2


def test_an_answer_from_the_cache_is_shown_as_such(project: Project, server: FaultServer) -> None:
    project.pipelines(MODELS)
    project("run", "writes", "-i", "word=w", "--run-id", "first")
    ran = project("run", "writes", "-i", "word=w", "--run-id", "second")
    assert "· 1 cached" in ran.err
    assert "accepted · cached" in project("runs", "show", "second").out
    assert server.count == 1
    assert project("cache", "stats", "--json").json["entries"] == 1
    assert "pruned 1 answers" in project("cache", "prune", "--max-bytes", "0").err


def test_a_database_of_a_newer_version_is_refused_with_a_hint(code: Project) -> None:
    code("run", "loud", "-i", "word=hi", "--run-id", "r")
    database = next((code.root / ".guardflow").glob("*.db"))
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE gf_meta SET value = '99' WHERE key = 'schema_version'")
    for command in ("run loud -i word=hi", "runs list", "runs show r", "runs resume r", "cache stats"):
        refused = code(*command.split())
        assert (refused.code, refused.out) == (1, ""), command
        assert "newer" in refused.err
        assert "  try: " in refused.err


def test_the_projects_cache_mode_holds_unless_another_is_given(
    code: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GUARDFLOW_CACHE", "only")
    assert json.loads(code("config", "show", "--json").out)["settings"]["cache"]["value"] == "only"
    assert cache_mode(load_settings(code.root), None) == "only"
    assert cache_mode(load_settings(code.root), "off") == "off"
    monkeypatch.delenv("GUARDFLOW_CACHE")
    assert cache_mode(load_settings(code.root), None) == "use"
