"""How a report reads: nothing torn out of its context, nothing found and not shown, nothing said of what is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from research_lab import asked_for, check, model, numbered, research, well

from guardflow.testing import Scripted
from guardflow.values import Request
from pipelines.deep_research.words import torn

pytestmark = pytest.mark.anyio

QUOTE = "BUDGET means that the run's own budget is used up."


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("The run's own budget is used up.", QUOTE),
        ("the report is lost", "It is no reason to worry whether the report is lost or kept."),
        ("Der Damm bricht.", "Niemand glaubt, dass der Damm bricht."),
    ],
)
def test_a_clause_behind_that_is_not_what_the_quote_says(text: str, quote: str) -> None:
    assert torn(text, [quote])
    assert torn(text, [quote, "Nothing of the kind stands here."])
    assert not torn(text, [quote, text])  # another quote says it by itself


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("The run goes on.", "When the process is killed, the run goes on."),
        (QUOTE, QUOTE),
        ("Budget means the run's own budget is used up.", QUOTE),
        ("The dam is old.", "Nobody doubted that. The dam is old."),
        ("", QUOTE),
        ("...", QUOTE),
    ],
)
def test_a_clause_that_stands_by_itself_may_be_said(text: str, quote: str) -> None:
    assert not torn(text, [quote])


@given(st.text(), st.lists(st.text(), max_size=3))
def test_a_quote_is_never_torn_out_of_itself(text: str, others: list[str]) -> None:
    assert not torn(text, [*others, text])


async def test_a_torn_clause_is_replaced_by_its_quote(tmp_path: Path) -> None:
    pages = {
        "dam.md": "# Dam\n\nThe town of Brask denied that the Halden reservoir leaks water at the dam.\n"
    }

    def tearing(request: Request) -> object:
        if asked_for(request) == "write":
            return {"sentences": [{"text": "The Halden reservoir leaks water at the dam.", "facts": [1]}]}
        return well(request)

    run = await research(tmp_path, Scripted(tearing), pages=pages, question="Does the Halden reservoir leak?")
    text = check(tmp_path, run, pages)["report.md"].decode()
    assert "> The town of Brask denied that" in text
    assert "\nThe Halden reservoir leaks" not in text


async def test_every_footnote_is_referred_to(tmp_path: Path) -> None:
    pages = {
        f"{name}.md": f"# {name}\n\nThe Halden reservoir holds {kind} of its own, as {name} found there.\n"
        for name, kind in (
            ("Ada", "trout"),
            ("Bob", "perch"),
            ("Cyd", "crayfish and frogs"),
            ("Dov", "otters"),
            ("Eve", "many water lilies"),
        )
    }

    def terse(request: Request) -> object:
        match asked_for(request):
            case "plan":
                return {"questions": []}
            case "write":
                said = [{"text": text, "facts": [number]} for number, text in numbered(request).items()]
                return {"sentences": said[:3]}
            case _:
                return well(request)

    run = await research(
        tmp_path, Scripted(terse), pages=pages, question="What does the Halden reservoir hold?"
    )
    text = check(tmp_path, run, pages)["report.md"].decode()
    body, *_ = text.partition("\n[^1]:")
    noted = set(re.findall(r"^\[\^(\d+)\]:", text, re.MULTILINE))
    assert noted == set(re.findall(r"\[\^(\d+)\]", body))
    assert len(noted) > 3
    assert "## Also found" in text


async def test_a_report_speaks_of_written_sentences_only_where_it_has_some(tmp_path: Path) -> None:
    said = "Every written sentence passed a check"
    good = check(tmp_path / "a", await research(tmp_path / "a", model("good")))
    assert said in good["report.md"].decode()
    silent = check(tmp_path / "b", await research(tmp_path / "b", model("silent")))
    assert said not in silent["report.md"].decode()
    assert said not in silent["report.html"].decode()
    assert "- Choice of quotes: sentences were chosen" in silent["report.md"].decode()
