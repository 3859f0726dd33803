"""Text from models, pages, errors and files never acts on the terminal, and is never read as markup."""

from __future__ import annotations

import re

import pytest
from cli_project import Project
from hypothesis import given
from hypothesis import strategies as st

from guardflow.cli.output import clean, line
from guardflow.testing import FaultServer, Reply

EVIL = (
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x9b31m\r\b\x00\x7f\u202euser\u2066\ufeff\U000e0041[bold]x[/nope]\x85"
)
ACTS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\U000e0000-\U000e007f]"
)

CODE = f'''
"""A pipeline whose every text is hostile."""
from pydantic import BaseModel
from guardflow import Finding, Kind, Ladder, LLMStage, Model, degrade, guard, pipeline, reask, stage
from guardflow.prompts import inline_prompt

EVIL = {EVIL!r}


class Word(BaseModel):
    word: str


@guard
def is_good(answer: Word, ctx):
    yield Finding("bad " + EVIL, at=("word",), evidence=answer.word)


write = LLMStage("write", Word, Word, prompt=inline_prompt("{{{{ word | fenced }}}}", ["word"]),
                 model=Model("fast"), guards=[is_good.warn()])
strict = LLMStage("strict", Word, Word, prompt=inline_prompt("{{{{ word | fenced }}}}", ["word"]),
                  model=Model("fast"), guards=[is_good.reject()],
                  ladder=Ladder(reask(1, on=Kind.GUARD), otherwise=degrade()),
                  fallback=lambda word, findings: word)


@stage
async def fail(word: str) -> str:
    raise ValueError("broken " + EVIL + "\\nok: run forged")


@pipeline("says")
async def says(given: Word) -> str:
    return "said " + EVIL


@pipeline("gives")
async def gives(given: Word) -> Word:
    return Word(word=EVIL)


@pipeline("fails")
async def fails(given: Word) -> str:
    return await fail(given.word)


@pipeline("asks")
async def asks(given: Word) -> str:
    await write(given)
    return (await strict(given)).word
'''

PROMPT = (
    f"---\ndescription: evil \\x1b[31m [red]x[/nope]\ninputs: [word]\n---\n{{{{ word | fenced }}}} {EVIL}\n"
)


def harmless(*texts: str) -> None:
    for text in texts:
        assert not ACTS.search(text), repr(text)


@given(st.text())
def test_clean_text_has_no_character_that_acts(text: str) -> None:
    assert not ACTS.search(clean(text + EVIL + text))
    assert clean(clean(text)) == clean(text)


@given(st.text())
def test_a_line_is_one_line(text: str) -> None:
    assert len(line(text).splitlines()) <= 1


@given(st.text(alphabet=st.characters(exclude_categories=["C"])))
def test_ordinary_text_is_left_as_it_is(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize("pipeline", ["says", "gives", "fails"])
def test_results_and_errors(project: Project, pipeline: str) -> None:
    project.pipelines(CODE)
    ran = project("run", pipeline, "-i", "word=x", "--run-id", "r")
    harmless(ran.out, ran.err)
    assert "[bold]x[/nope]" in ran.out + ran.err
    for command in ("runs show r", "runs list", "runs watch r", "runs show r --json", "runs export r"):
        looked = project(*command.split())
        harmless(looked.out, looked.err)
        assert not any(shown.startswith("ok: run forged") for shown in looked.out.splitlines())


def test_findings_evidence_and_answers_of_models(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    project.pipelines(CODE)
    with FaultServer(Reply.json({"word": EVIL})) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        monkeypatch.setenv("GUARDFLOW_MODEL_FAST", "openai/gpt-5-mini")
        ran = project("run", "asks", "-i", f"word={EVIL}".replace("\0", ""), "--run-id", "r")
    assert ran.code == 1  # the guard rejects the fallback too
    harmless(ran.out, ran.err)
    shown = project("runs", "show", "r").out
    harmless(shown, project("runs", "export", "r").out, project("explain", "asks").out)
    assert "is_good: $.word bad red31muser[bold]x[/nope]" in shown


def test_names_of_the_project(project: Project) -> None:
    project.pipelines(CODE)
    for command in ("run", "explain"):
        ran = project(command, f"[red]{EVIL}".replace("\0", ""))
        assert ran.code == 2
        harmless(ran.out, ran.err)


def test_prompts(project: Project) -> None:
    (project.root / "prompts").mkdir()
    (project.root / "prompts" / "evil.md").write_text(PROMPT.replace("\0", ""), newline="")
    for command in (
        "prompts list",
        "prompts show evil",
        "prompts check",
        "prompts render evil -i word=\x1b[31mx",
    ):
        ran = project(*command.split(" "))
        assert ran.code == 0, ran
        harmless(ran.out, ran.err)
    assert "[red]x[/nope]" in project("prompts", "list").out
