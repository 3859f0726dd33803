"""``runs export --cassette``: from a run in a real database to a file that tests play, and what refuses to become one."""

from __future__ import annotations

import importlib
import json
import sys

import anyio
import pytest
from cli_project import Project

from guardflow import Runtime
from guardflow.settings import load_settings
from guardflow.testing import Cassette, Scripted, replaying

LAB = """
from pydantic import BaseModel

from guardflow import LLMStage, Model, pipeline
from guardflow.prompts import inline_prompt


class Said(BaseModel):
    text: str


say = LLMStage(
    "say", str, Said, prompt=inline_prompt("Say it:\\n{{ input | fenced }}", ("input",)), model=Model("fast")
)


@pipeline("lab")
async def lab(text: str) -> str:
    return (await say(text)).text
"""


@pytest.fixture
def recorded(project: Project) -> Project:
    """A project with one run of its pipeline, ``r``."""
    project.pipelines(LAB)
    sys.path.insert(0, str(project.root))
    scripted = Scripted("{oops", {"text": "hello"})
    assert (
        anyio.run(_say_hi, Runtime(settings=load_settings(project.root), models={"fast": scripted}))
        == "hello"
    )
    return project


async def _say_hi(runtime: Runtime) -> str:
    lab = importlib.import_module("pipelines.lab").lab
    async with runtime as rt:
        return (await rt.run(lab, "hi", run_id="r")).unwrap()


def test_a_run_becomes_a_cassette_that_a_test_plays(recorded: Project) -> None:
    ran = recorded("runs", "export", "r", "--cassette", "tests/cassettes/lab.json")
    assert ran.code == 0, ran.err
    assert ran.out == ""
    assert "wrote tests/cassettes/lab.json: 2 answers to 2 requests, no prompts" in ran.err
    assert "may be private" in ran.err
    document = json.loads((recorded.root / "tests/cassettes/lab.json").read_text())
    assert [(c["stage"], c["rung"], c["model"]) for c in document["calls"]] == [
        ("say", "start", "fast"),
        ("say", "reask", "fast"),
    ]
    assert "Say it" not in json.dumps(document)

    with replaying(Cassette.load("tests/cassettes/lab.json"), unused="fail"):
        assert anyio.run(_say_hi, Runtime("memory")) == "hello"
    again = recorded("runs", "export", "r", "--cassette", "tests/cassettes/lab.json")
    assert again.code == 0


def test_what_cannot_become_a_cassette_is_refused(recorded: Project) -> None:
    both = recorded("runs", "export", "r", "--cassette", "a.json", "--out", "b.json")
    assert both.code == 2
    assert "not both" in both.err
    (recorded.root / "notes.md").write_text("mine")
    other = recorded("runs", "export", "r", "--cassette", "notes.md")
    assert other.code == 2
    assert "is no cassette that could be replaced" in other.err
    assert (recorded.root / "notes.md").read_text() == "mine"
    nobody = recorded("runs", "export", "nobody", "--cassette", "a.json")
    assert nobody.code == 1
    assert "there is no run 'nobody'" in nobody.err
    assert not (recorded.root / "a.json").exists()


def test_an_empty_project_has_nothing_to_record_and_gets_no_database(project: Project) -> None:
    assert project("runs", "export", "r", "--cassette", "a.json").code == 1
    assert not (project.root / ".guardflow").exists()
