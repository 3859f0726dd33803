"""Votes on the command line: what they cost at worst, and what each ballot said, terminal escapes taken out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from cli_project import Project

from guardflow.testing import FaultServer, Reply

CODE = '''
"""A pipeline that votes."""
from pydantic import BaseModel
from guardflow import Ladder, LLMStage, Model, Vote, abstain, ahead_by, pipeline, wait
from guardflow.prompts import inline_prompt


class Text(BaseModel):
    text: str


PROMPT = inline_prompt("Write about {{ input | fenced }}", ["input"])
vote = LLMStage("vote", str, Text, prompt=PROMPT, ladder=Ladder(wait(1), otherwise=abstain()),
                model=Vote({Model("fast"): 1.0, Model("strong"): 1.5}, rule=ahead_by(2), max=5, split=Model("strong")))


@pipeline("votes")
async def votes(word: str) -> str:
    return (await vote(word)).text
'''


@pytest.fixture
def project(project: Project) -> Project:
    project.pipelines(CODE)
    return project


@pytest.fixture
def server(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultServer]:
    asked: Counter[Any] = Counter()

    def answer(body: Any) -> Reply:
        asked[body["model"]] += 1
        spoiled = body["model"] == "gpt-5" and asked["gpt-5"] == 1
        dissents = body["model"] == "gpt-5-mini" and asked["gpt-5-mini"] == 1
        return Reply.text("{oops") if spoiled else Reply.json({"text": "\x1b[31mred" if dissents else "fine"})

    with FaultServer(answer=answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("GUARDFLOW_MODEL_FAST", "openai/gpt-5-mini")
        monkeypatch.setenv("GUARDFLOW_MODEL_STRONG", "openai/gpt-5")
        yield server


@pytest.mark.usefixtures("server")
def test_explain_shows_the_panel_the_rule_and_the_worst_case(project: Project) -> None:
    shown = project("explain", "votes")
    assert shown.code == 0
    assert "ahead_by(2) among at most 5 ballots of openai/gpt-5-mini" in shown.out
    assert "ballot → wait → vote → abstain" in shown.out
    assert "ballot → vote → split → abstain" in shown.out
    (stage,) = project("explain", "votes", "--json").json["stages"]
    assert stage["vote"]["max"] == 5
    assert stage["vote"]["split"] == "openai/gpt-5"
    assert stage["worst_case"]["calls"] == 5 * 2 + 2 + 6 * 3  # ballots, tie-break, refused parameters


@pytest.mark.usefixtures("server")
def test_a_vote_is_shown_by_ballot_with_what_agreed_and_what_did_not(project: Project) -> None:
    ran = project("run", "votes", "--input", "-", "--run-id", "r", stdin='"hi"')
    assert ran.code == 0, ran.err
    assert ran.out == "fine\n"
    assert "agree" in ran.err
    shown = project("runs", "show", "r")
    assert "\x1b" not in shown.out
    assert "ballot 0 · openai/gpt-5-mini · sample 0 · accepted" in shown.out
    assert "ballot 1 · openai/gpt-5 · sample 0 · MALFORMED" in shown.out
    assert "1 spoiled" in shown.out
    assert "$.text" in shown.out
    assert "red" in shown.out
    (step,) = project("runs", "show", "r", "--json").json["steps"]
    assert step["agreement"]["spoiled"] == 1
    assert {a["ballot"] for a in step["attempts"]} == {0, 1, 2, 3, 4}
