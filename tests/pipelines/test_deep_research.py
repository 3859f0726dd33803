"""Deep research from question to files: valid with every model, honest about what is missing, the same after a crash."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import anyio
import pytest
from research_lab import (
    AS_OF,
    ATTACKS,
    CANARY,
    EVIL,
    MODELS,
    PAGES,
    QUESTION,
    Pages,
    asked_for,
    check,
    execute,
    model,
    numbered,
    research,
    serving,
    well,
)

from guardflow import Budget, UsageError, WebFetcher
from guardflow.testing import ForkServer, Scripted, run_and_kill
from guardflow.values import Request
from pipelines.deep_research import ResearchRequest, research_files

pytestmark = pytest.mark.anyio

LAB = str(Path(__file__).parent / "research_lab.py")


@pytest.fixture(scope="module")
def forks() -> Iterator[ForkServer]:
    with ForkServer(("guardflow.runtime", "guardflow.store.dbos.engine", LAB), timeout=60) as server:
        yield server


async def test_a_good_model_gives_a_report_whose_every_sentence_leads_to_its_quote(tmp_path: Path) -> None:
    run = await research(tmp_path, model("good"))
    files = check(tmp_path, run)
    report = run.unwrap()
    assert run.status == "ok"
    assert report.degraded == ()
    assert {use.stage for use in report.models} == {"plan", "extract", "write"}
    assert any(sentence.kind == "written" for section in report.sections for sentence in section.sentences)
    text = files["report.md"].decode()
    assert "42 metres deep" in text
    assert "irrigation" in text
    assert "bread" not in text.lower()


@pytest.mark.parametrize("character", MODELS)
@pytest.mark.parametrize("profile", ["quick", "standard"])
async def test_the_report_is_valid_whatever_the_model_says(
    tmp_path: Path, character: str, profile: str
) -> None:
    run = await research(tmp_path, model(character), profile=profile)
    check(tmp_path, run)
    report = run.unwrap()
    assert report.facts
    if character in ("refusing", "failing", "silent", "cut off"):
        assert run.status == "degraded"
        assert any("42 metres" in fact.quote for fact in report.facts)
        assert {part.stage for part in report.degraded} >= {"plan", "extract", "write"}
        assert all(fact.chosen_by == "words" for fact in report.facts)
        assert all(s.kind == "quoted" for section in report.sections for s in section.sentences)
        assert report.models == ()


@pytest.mark.parametrize("character", ["good", "obedient"])
@pytest.mark.parametrize("profile", ["quick", "standard", "deep"])
async def test_nothing_that_a_page_orders_reaches_an_artefact(
    tmp_path: Path, character: str, profile: str
) -> None:
    pages = {**PAGES, **ATTACKS}
    scripted = model(character)
    run = await research(tmp_path, scripted, pages=pages, profile=profile)
    check(tmp_path, run, pages)
    report = run.unwrap()
    assert report.facts
    assert report.set_aside >= 3
    shown = " ".join(message.content for request in scripted.requests for message in request.messages)
    assert "warden" not in shown or "]8;;" not in shown


async def test_attacks_alone_give_a_report_too(tmp_path: Path) -> None:
    run = await research(tmp_path, model("obedient"), pages=ATTACKS)
    check(tmp_path, run, ATTACKS)


async def test_redirects_of_given_pages_and_errors_name_no_address(tmp_path: Path) -> None:
    urls = ("https://pages.example/a", "https://pages.example/gone")
    fetcher = Pages({urls[0]: "The Halden reservoir is 42 metres deep at the dam, says the warden. " * 3})
    run = await research(tmp_path, model("good"), pages={}, resources=[fetcher], urls=urls)
    report = run.unwrap()
    assert [source.uri for source in report.sources] == [urls[0]]
    assert [(one.uri, one.reason) for one in report.unread] == [(urls[1], "it could not be fetched")]
    for content in research_files(run).values():
        assert EVIL not in content.decode()


async def test_a_given_page_without_a_fetcher_is_a_typed_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Fetcher"):
        await research(tmp_path, model("good"), urls=("https://pages.example/a",))


async def test_near_copies_count_once(tmp_path: Path) -> None:
    run = await research(tmp_path, model("good"))
    report = run.unwrap()
    stored = next(fact for fact in report.facts if "rammed earth" in fact.quote)
    assert stored.state == "single"
    source = report.source(stored.sources[0])
    assert len(source.also_at) == 1
    assert {source.uri, *source.also_at} == {"pages/halden.md", "pages/copy.md"}


async def test_contradicting_values_are_shown_side_by_side(tmp_path: Path) -> None:
    run = await research(tmp_path, model("good"))
    files = check(tmp_path, run)
    report = run.unwrap()
    assert len(report.disagreements) == 1
    quotes = {report.fact(number).quote for number in report.disagreements[0].facts}
    assert quotes == {
        "The Halden reservoir is 42 metres deep at the dam.",
        "The Halden reservoir is 38 metres deep at the dam.",
    }
    for name in ("report.md", "report.html"):
        assert "Where sources disagree" in files[name].decode()


@pytest.mark.parametrize("character", MODELS)
async def test_a_question_the_sources_cannot_answer_is_told_and_not_guessed(
    tmp_path: Path, character: str
) -> None:
    question = "Who won the chess championship of Reykjavik in 1972?"
    run = await research(tmp_path, model(character), question=question)
    files = check(tmp_path, run)
    report = run.unwrap()
    assert [gap.question for gap in report.gaps][:1] == [question]
    assert not [s for s in report.sections if s.sub_question == 0]
    text = files["report.md"].decode()
    assert "Not answered" in text
    assert "384400" not in text


async def test_an_empty_corpus_gives_an_honest_report(tmp_path: Path) -> None:
    run = await research(tmp_path, model("good"), pages={})
    files = check(tmp_path, run, {})
    assert "No source holds the words of this question" in files["report.md"].decode()
    assert "that were read" not in files["report.md"].decode()
    assert run.unwrap().facts == ()


async def test_a_question_in_another_language_than_the_corpus_is_not_guessed_at(tmp_path: Path) -> None:
    run = await research(tmp_path, model("garbage"), question="Welche Fische gibt es in der Nordsee?")
    check(tmp_path, run)
    assert run.unwrap().gaps


async def test_a_search_phrase_in_the_language_of_the_corpus_finds_its_answer(tmp_path: Path) -> None:
    def bilingual(request: Request) -> object:
        if asked_for(request) == "queries":
            return {"queries": ["Halden reservoir depth metres deep"]}
        return {"questions": []} if asked_for(request) == "plan" else well(request)

    question = "Wie tief ist der Stausee?"
    run = await research(tmp_path, Scripted(bilingual), question=question, profile="standard")
    check(tmp_path, run)
    assert any("42 metres" in fact.quote for fact in run.unwrap().facts)


@pytest.mark.parametrize("question", ["", "   \n", "?!", "x" * 100_000, "Why? " * 20_000])
def test_no_question_and_an_endless_one_are_refused_with_a_hint(question: str) -> None:
    with pytest.raises(UsageError) as raised:
        ResearchRequest(question=question, as_of=AS_OF)
    assert raised.value.hint
    assert len(str(raised.value)) < 400


async def test_a_question_with_markup_and_links_is_shown_as_text(tmp_path: Path) -> None:
    question = "How deep is <b>Halden</b> reservoir ![x](https://own.example/a) \x1b[31m=1+1?"
    run = await research(tmp_path, model("good"), question=question)
    files = check(tmp_path, run)
    assert "<b>" not in files["report.html"].decode().replace("<body>", "")
    assert "](" not in files["report.md"].decode()
    assert "https://own" not in files["report.md"].decode()


async def test_without_seconds_no_model_is_asked_and_the_report_still_comes(tmp_path: Path) -> None:
    scripted = model("good")
    run = await research(tmp_path, scripted, budget=Budget(calls=0))
    check(tmp_path, run)
    assert scripted.count == 0
    assert run.unwrap().facts
    assert {part.reason for part in run.unwrap().degraded} == {
        "the rest of the budget is kept for what follows"
    }


async def test_a_slow_model_leaves_time_for_the_report(tmp_path: Path) -> None:
    slow = Scripted(well, delay=0.25)
    run = await research(tmp_path, slow, budget=Budget(seconds=1.0))
    check(tmp_path, run)
    assert run.unwrap().facts
    # Six requests in a row do not fit: what was cut off, or never begun for want of time, is named in the report.
    assert run.unwrap().degraded


async def test_a_small_budget_of_calls_keeps_a_share_for_writing(tmp_path: Path) -> None:
    scripted = model("good")
    run = await research(tmp_path, scripted, budget=Budget(calls=9))
    check(tmp_path, run)
    stages = [asked_for(request) for request in scripted.requests]
    assert "write" in stages
    assert len(stages) <= 9


async def test_a_model_that_cannot_be_read_is_not_asked_for_every_passage(tmp_path: Path) -> None:
    pages = {
        f"{i}.md": PAGES["halden.md"].replace("42", str(i)).replace("1931", f"19{i}") for i in range(10, 40)
    }
    scripted = model("silent")
    run = await research(tmp_path, scripted, pages=pages, budget=Budget(calls=100))
    check(tmp_path, run, pages)
    asked = [asked_for(request) for request in scripted.requests]
    assert asked.count("extract") == 6  # one wave of three, on the fast and on the strong model


async def test_a_sentence_that_says_more_than_its_quotes_is_replaced_by_them(tmp_path: Path) -> None:
    def inventive(request: Request) -> object:
        if asked_for(request) == "write":
            lines = numbered(request)
            first, text = next(iter(lines.items()))
            more = [
                {"text": text.replace("42", "47"), "facts": [first]},
                {
                    "text": f"{text[:-1]} according to unnamed royal engineers from Norway and Spain.",
                    "facts": [first],
                },
                {
                    "text": text.replace(" is ", " is not ").replace(" stores ", " never stores "),
                    "facts": [first],
                },
            ]
            return {"sentences": more}
        return well(request)

    run = await research(tmp_path, Scripted(inventive))
    files = check(tmp_path, run)
    text = files["report.md"].decode()
    for lie in ("47 metres", "royal engineers", "never stores", "is not 42"):
        assert lie not in text
    assert any(part.stage == "write" for part in run.unwrap().degraded)


@pytest.mark.parametrize(("verdict", "written"), [("supported", True), ("partial", False), ("no", False)])
async def test_a_judge_decides_what_the_words_leave_open(
    tmp_path: Path, verdict: str, *, written: bool
) -> None:
    def embellishing(request: Request) -> object:
        match asked_for(request):
            case "write":
                lines = numbered(request).items()
                said = [{"text": f"{t[:-1]}, as locals gladly confirm.", "facts": [n]} for n, t in lines]
                return {"sentences": said}
            case "support":
                return {"verdict": verdict}
            case _:
                return well(request)

    run = await research(tmp_path, Scripted(embellishing), profile="standard")
    files = check(tmp_path, run)
    assert ("locals" in files["report.md"].decode()) is written
    quick = await research(tmp_path / "quick", Scripted(embellishing))
    assert "locals" not in check(tmp_path / "quick", quick)["report.md"].decode()


async def test_a_contested_fact_stands_in_its_section_even_if_the_writer_left_it_out(tmp_path: Path) -> None:
    def selective(request: Request) -> object:
        if asked_for(request) == "write":
            lines = {n: t for n, t in numbered(request).items() if "38" not in t}
            return {"sentences": [{"text": f"{t[:-1]}, it is said.", "facts": [n]} for n, t in lines.items()]}
        return well(request)

    report = (await research(tmp_path, Scripted(selective))).unwrap()
    other = next(fact for fact in report.facts if "38" in fact.quote)
    assert other.id in {n for section in report.sections for s in section.sentences for n in s.facts}


async def test_a_given_page_is_fetched_read_and_quoted(tmp_path: Path) -> None:
    with serving({"/dam": ATTACKS["hidden.html"]}) as port:
        url = f"http://127.0.0.1:{port}/dam"
        async with WebFetcher(allow=[f"127.0.0.1:{port}"]) as fetcher:
            run = await research(
                tmp_path,
                model("obedient"),
                pages={},
                question="Which fish live in the Halden reservoir?",
                resources=[fetcher],
                urls=(url, f"http://127.0.0.1:{port}/gone"),
            )
    report = run.unwrap()
    assert [source.uri for source in report.sources] == [url]
    assert [one.uri for one in report.unread] == [f"http://127.0.0.1:{port}/gone"]
    assert any("Trout and perch" in fact.quote for fact in report.facts)
    for content in research_files(run).values():
        assert CANARY not in content.decode()
        assert EVIL not in content.decode()


async def test_the_manifest_alone_holds_what_a_run_cost(tmp_path: Path) -> None:
    run = await research(tmp_path, model("good"))
    files = check(tmp_path, run)
    manifest = json.loads(files["manifest.json"])
    assert manifest["run_id"] == "r-1"
    assert manifest["attempts"]["count"] == manifest["spend"]["calls"] > 3
    assert manifest["attempts"]["by_kind"] == {"accepted": manifest["attempts"]["count"]}
    assert set(manifest["files"]) == set(files) - {"manifest.json"}
    for name in manifest["files"]:
        assert b"r-1" not in files[name]


async def test_a_run_that_was_interrupted_gives_the_same_bytes(tmp_path: Path) -> None:
    whole = check(tmp_path / "a", await research(tmp_path / "a", model("good"), database=None))

    reached = anyio.Event()

    async def interrupted(request: Request) -> object:
        if asked_for(request) == "write":
            reached.set()
            await anyio.sleep_forever()
        return well(request)

    async with anyio.create_task_group() as group:
        group.start_soon(partial(research, tmp_path / "b", Scripted(interrupted), database=None))
        await reached.wait()
        group.cancel_scope.cancel()
    again = model("good")
    resumed = check(tmp_path / "b", await research(tmp_path / "b", again, database=None))
    assert {asked_for(request) for request in again.requests} == {"write"}
    assert resumed["report.md"] == whole["report.md"]
    assert resumed["evidence.jsonl"] == whole["evidence.jsonl"]
    assert resumed["report.html"] == whole["report.html"]


def test_a_run_that_was_killed_gives_the_same_bytes(tmp_path: Path, forks: ForkServer) -> None:
    whole = forks.run(f"{LAB}:execute", {"folder": str(tmp_path / "whole")}).returned()
    for point in ("call.after:1", "call.after:3", "step.done:4", "call.before:6"):
        folder = tmp_path / point.replace(":", "-")
        run_and_kill(forks, f"{LAB}:execute", {"folder": str(folder)}, at=point)
        assert forks.run(f"{LAB}:execute", {"folder": str(folder)}).returned() == whole


def test_what_the_lab_calls_an_attack_is_one() -> None:
    assert all(CANARY in text or EVIL in text for text in ATTACKS.values())
    assert QUESTION
    assert execute
