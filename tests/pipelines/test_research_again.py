"""Asked again over the same corpus: what was answered before is not paid again, and what was not, is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
from research_lab import AS_OF, PAGES, QUESTION, asked_for, clients, corpus_of, numbered, well

from guardflow import RunResult, Runtime
from guardflow.settings import load_settings
from guardflow.testing import Scripted
from guardflow.values import Request
from pipelines.deep_research import Report, ResearchRequest, deep_research, research_files

pytestmark = pytest.mark.anyio

DEPTH = "How deep is the Halden reservoir?"
SECOND = "How deep is the Halden reservoir, and which town finished building it?"


def planning(request: Request) -> object:
    """A good model that splits both questions, and finds the depth in each of them."""
    shown = request.messages[1].content
    if asked_for(request) == "plan":
        other = "Which town finished" if "town" in shown else "How does water enter"
        return {"questions": [DEPTH, f"{other} the reservoir?"]}
    if asked_for(request) == "extract" and "water enter" in shown:
        return {"ids": [number for number, text in numbered(request).items() if "water" in text]}
    return well(request)


async def ask(
    folder: Path,
    scripted: Scripted,
    *,
    question: str = QUESTION,
    profile: str = "quick",
    pages: dict[str, str] = PAGES,  # type: ignore[assignment]  # a Mapping that is only read
) -> RunResult[Report]:
    """A new run in the project of ``folder``, as the command line makes one: with the cache."""
    request = ResearchRequest(question=question, as_of=AS_OF, profile=profile)  # type: ignore[arg-type]  # one of its words
    settings = load_settings(folder, home=folder / "state")
    with corpus_of(folder, pages) as corpus:
        async with Runtime(settings=settings, resources=[corpus], models=clients(scripted)) as rt:
            return await rt.run(deep_research, request, cache="use")


def cached(run: RunResult[Report]) -> list[str]:
    """The stages of the answers that came out of the cache."""
    return [a.start.stage for a in run.attempts if a.end is not None and a.end.cached]


def same_files(one: RunResult[Report], other: RunResult[Report]) -> bool:
    first, second = research_files(one), research_files(other)
    return all(first[name] == second[name] for name in first if name != "manifest.json")


@pytest.mark.parametrize("profile", ["quick", "standard"])
async def test_the_same_question_in_a_new_run_pays_nothing_and_gives_the_same_report(
    tmp_path: Path, profile: str
) -> None:
    first = await ask(tmp_path, Scripted(planning), profile=profile)
    again = Scripted(planning)
    second = await ask(tmp_path, again, profile=profile)
    assert again.count == 0
    assert len(cached(second)) == len(second.attempts) == len(first.attempts) > 5
    assert (second.spend.nano_usd, second.spend.tokens, second.spend.calls) == (0, 0, 0)
    assert second.run_id != first.run_id
    assert same_files(first, second)


async def test_a_page_that_has_nothing_to_do_with_the_question_costs_no_new_answer(tmp_path: Path) -> None:
    first = await ask(tmp_path, Scripted(planning))
    again = Scripted(planning)
    more = {**PAGES, "cheese.md": "# Cheese\n\nGoat cheese ripens for a year. Nobody hurries it along.\n"}
    second = await ask(tmp_path, again, pages=more)
    assert again.count == 0
    was, is_now = first.unwrap(), second.unwrap()
    assert is_now.model_copy(update={"documents_read": was.documents_read}) == was


@pytest.mark.parametrize("profile", ["quick", "standard"])
async def test_another_question_takes_from_the_cache_what_does_not_depend_on_it(
    tmp_path: Path, profile: str
) -> None:
    await ask(tmp_path, Scripted(planning), profile=profile)
    model = Scripted(planning)
    second = await ask(tmp_path, model, question=SECOND, profile=profile)
    asked = [asked_for(request) for request in model.requests]
    about_depth = [request for request in model.requests if f"\n{DEPTH}\n" in request.messages[1].content]
    assert "extract" in asked  # for the question itself
    assert "extract" not in [asked_for(request) for request in about_depth]
    assert cached(second).count("extract") >= 2
    assert len(model.requests) + len(cached(second)) == len(second.attempts)


async def test_only_answers_that_were_rejected_are_asked_again(tmp_path: Path) -> None:
    def careless(request: Request) -> object:
        lines = numbered(request)
        if asked_for(request) == "extract" and "sonar" in request.messages[1].content:
            return {"ids": [len(lines) + 7]}
        return planning(request)

    first = Scripted(careless)
    await ask(tmp_path, first)
    rejected = [r for r in first.requests if asked_for(r) == "extract" and "sonar" in r.messages[1].content]
    again = Scripted(careless)
    await ask(tmp_path, again)
    assert again.count == len(rejected) > 0
    assert {request.hash for request in again.requests} == {request.hash for request in rejected}
