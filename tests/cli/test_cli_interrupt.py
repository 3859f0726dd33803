"""Ctrl-C: the first stops a run so that it can go on and pays nothing twice, the second ends the process."""

from __future__ import annotations

import signal
import subprocess
import time

import pytest
from cli_project import WAIT, Project

from guardflow.testing import FaultServer, Reply

CODE = '''
"""A paid stage, then one that takes long the first time."""
import asyncio
import time
from pathlib import Path
from pydantic import BaseModel
from guardflow import LLMStage, Model, pipeline, stage
from guardflow.prompts import inline_prompt


class Word(BaseModel):
    word: str


write = LLMStage("write", Word, Word, prompt=inline_prompt("{{ word | fenced }}", ["word"]), model=Model("fast"))


@stage
async def linger(word: str) -> str:
    if not Path("started").exists():
        Path("started").touch()
        await asyncio.sleep(6000)
    return word


@stage
def hang(word: str) -> str:
    Path("started").touch()
    time.sleep(6000)  # far longer than a test waits for the end
    return word


@pipeline("paid")
async def paid(given: Word) -> str:
    return await linger((await write(given)).word)


@pipeline("hangs")
async def hangs(given: Word) -> str:
    return await hang(given.word)
'''


@pytest.fixture
def lab(project: Project) -> Project:
    project.pipelines(CODE)
    return project


def until_started(project: Project, process: subprocess.Popen[str]) -> None:
    ends = time.monotonic() + WAIT
    while not (project.root / "started").exists():
        assert process.poll() is None, project.finish(process)
        assert time.monotonic() < ends
        time.sleep(0.02)


def test_the_first_leaves_a_run_that_goes_on_and_pays_nothing_twice(
    lab: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FaultServer(Reply.json({"word": "paid for"})) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("GUARDFLOW_MODEL_FAST", "openai/gpt-5-mini")
        process = lab.spawn("run", "paid", "-i", "word=x", "--run-id", "r", "--cache", "off")
        until_started(lab, process)
        process.send_signal(signal.SIGINT)
        stopped = lab.finish(process)
        assert (stopped.code, stopped.out) == (130, "")
        assert "Go on with: guardflow runs resume r" in stopped.err
        assert "Traceback" not in stopped.err
        assert "unfinished" in lab("runs", "list").out
        assert "go on with: guardflow runs resume r" in lab("runs", "show", "r").out
        assert lab("runs", "resume", "r").out == "paid for\n"
        assert server.count == 1


def test_the_second_ends_a_process_whose_thread_hangs(lab: Project) -> None:
    process = lab.spawn("run", "hangs", "-i", "word=x", "--run-id", "r")
    until_started(lab, process)
    process.send_signal(signal.SIGTERM)  # stops like Ctrl-C
    assert process.stderr is not None
    while "stopping; Ctrl-C again ends at once" not in process.stderr.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    ended = lab.finish(process)
    assert ended.code == 130
    assert "Traceback" not in ended.err
    assert "interrupted" in ended.err


def test_the_first_does_not_wait_for_a_thread_that_hangs(lab: Project) -> None:
    process = lab.spawn("run", "hangs", "-i", "word=x", "--run-id", "r")
    until_started(lab, process)
    process.send_signal(signal.SIGINT)
    ended = lab.finish(process)
    assert ended.code == 130
    assert "Go on with: guardflow runs resume r" in ended.err


def test_a_reader_that_goes_away_is_no_crash(lab: Project) -> None:
    process = lab.spawn("prompts", "list")
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    process.wait(timeout=WAIT)
