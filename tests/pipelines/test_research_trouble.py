"""Deep research in trouble: models that hang, that cannot be reached, that are lost half way. Always what can be had."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from research_lab import AS_OF, PAGES, Pages, asked_for, check, clients, corpus_of, model, research, well

from guardflow import Budget, Fetched, Kind, Runtime
from guardflow.settings import load_settings
from guardflow.testing import Scripted
from guardflow.values import Request
from pipelines.deep_research import ResearchRequest, deep_research
from pipelines.deep_research.extract import extract
from pipelines.deep_research.plan import plan, queries
from pipelines.deep_research.write import support, write

pytestmark = pytest.mark.anyio

SECONDS = 10.0
"""Of a run whose model hangs: what the words alone do takes a hundredth of the share that is left for it."""


def hanging(*stages: str) -> Scripted:
    """A good model that never answers these stages."""

    async def answer(request: Request) -> object:
        if asked_for(request) in stages:
            await anyio.sleep_forever()
        return well(request)

    return Scripted(answer)


def losing(*stages: str, kind: Kind = Kind.CONNECTION) -> Scripted:
    """A good model whose answers to these stages are lost on the way."""

    def answer(request: Request) -> object:
        return kind if asked_for(request) in stages else well(request)

    return Scripted(answer)


def count(scripted: Scripted, stage: str) -> int:
    return [asked_for(request) for request in scripted.requests].count(stage)


@pytest.mark.parametrize("profile", ["quick", "standard"])
async def test_a_model_that_hangs_everywhere_still_leaves_a_report_of_quotes(
    tmp_path: Path, profile: str
) -> None:
    scripted = hanging("plan", "queries", "extract", "write", "support")
    run = await research(tmp_path, scripted, profile=profile, budget=Budget(seconds=SECONDS))
    check(tmp_path, run)
    report = run.unwrap()
    assert run.status == "degraded"
    assert any("42 metres" in fact.quote for fact in report.facts)
    assert report.models == ()
    assert report.unread == ()
    assert {"plan", "extract", "write"} <= {part.stage for part in report.degraded} <= {*run.degraded}


async def test_a_plan_that_hangs_takes_its_share_and_no_more(tmp_path: Path) -> None:
    run = await research(tmp_path, hanging("plan"), budget=Budget(seconds=3 * SECONDS))
    check(tmp_path, run)
    report = run.unwrap()
    assert {part.stage for part in report.degraded} == {"plan"}
    assert {part.reason for part in report.degraded} == {"its share of the budget was used up"}
    assert {use.stage for use in report.models} == {"extract", "write"}


async def test_pages_that_hang_keep_no_document_at_hand_from_being_read(tmp_path: Path) -> None:
    class Hanging(Pages):
        async def fetch(self, url: str, /) -> Fetched:
            await anyio.sleep_forever()
            return await super().fetch(url)

    urls = [f"https://slow.example/{i}" for i in range(20)]
    run = await research(
        tmp_path, model("good"), urls=urls, resources=[Hanging({})], budget=Budget(seconds=SECONDS / 2)
    )
    report = run.unwrap()
    assert any("42 metres" in fact.quote for fact in report.facts)
    assert [one.uri for one in report.unread] == urls


def test_what_comes_later_leaves_less_time_so_that_nothing_before_it_can_use_up_its_own() -> None:
    for profile in ("quick", "standard", "deep"):
        order = [plan, queries, extract, write]
        reserves = [stages[profile].time_reserve for stages in order]
        assert reserves == sorted(reserves, reverse=True)
        assert reserves[0] >= 0.5
        assert min(*reserves, support[profile].time_reserve) > 0


@pytest.mark.parametrize("profile", ["quick", "standard"])
async def test_a_model_that_cannot_be_reached_from_the_first_request_on_ends_the_run(
    tmp_path: Path, profile: str
) -> None:
    down = Scripted(Kind.CONNECTION)
    request = ResearchRequest(question="How deep is it?", as_of=AS_OF, profile=profile)  # type: ignore[arg-type]  # one of its words
    settings = load_settings(tmp_path, home=tmp_path / "state")
    with corpus_of(tmp_path, PAGES) as corpus:
        async with Runtime(settings=settings, resources=[corpus], models=clients(down)) as rt:
            run = await rt.run(deep_research, request, run_id="r-1")
        assert (run.status, run.output, down.count) == ("failed", None, 2)
        assert "CONNECTION" in run.message
        again = model("good")
        async with Runtime(
            settings=settings, resources=[corpus], models=clients(again), pipelines=[deep_research]
        ) as rt:
            resumed = await rt.resume("r-1")
    assert resumed.status == "ok"
    assert count(again, "plan") == 1
    assert resumed.unwrap().facts


async def test_one_lost_connection_at_the_start_is_tried_again(tmp_path: Path) -> None:
    run = await research(tmp_path, Scripted(Kind.CONNECTION, *[well] * 40))
    assert run.status == "ok"


@pytest.mark.parametrize("kind", [Kind.CONNECTION, Kind.OVERLOADED, Kind.TIMEOUT])
async def test_a_model_that_is_lost_half_way_is_not_waited_for_by_every_stage(
    tmp_path: Path, kind: Kind
) -> None:
    scripted = losing("extract", "queries", "write", "support", kind=kind)
    run = await research(tmp_path, scripted, profile="standard")
    check(tmp_path, run)
    report = run.unwrap()
    assert run.status == "degraded"
    assert any("42 metres" in fact.quote for fact in report.facts)
    assert {use.stage for use in report.models} == {"plan"}
    assert count(scripted, "extract") <= 4  # a single input, and its waits
    assert count(scripted, "write") == count(scripted, "support") == 0
    reasons = {part.reason for part in report.degraded if part.stage in ("extract", "write")}
    assert "the rest of the budget is kept for what follows" not in reasons


async def test_a_model_that_is_back_is_asked_as_before(tmp_path: Path) -> None:
    scripted = losing("queries")
    run = await research(tmp_path, scripted, profile="standard")
    check(tmp_path, run)
    report = run.unwrap()
    assert {part.stage for part in report.degraded} == {"queries"}
    assert {use.stage for use in report.models} >= {"extract", "write"}
    assert all(fact.chosen_by == "model" for fact in report.facts)


def down_for(stages: tuple[str, ...]) -> Callable[[], Scripted]:
    return lambda: losing(*stages, kind=Kind.OVERLOADED)


@pytest.mark.parametrize("stages", [("plan",), ("extract",), ("write",)])
async def test_status_and_report_agree(tmp_path: Path, stages: tuple[str, ...]) -> None:
    run = await research(tmp_path, down_for(stages)())
    assert run.status == "degraded"
    assert {part.stage for part in run.unwrap().degraded} <= set(run.degraded)
    assert stages[0] in run.degraded


async def test_a_part_that_no_fallback_made_degrades_the_run_too(tmp_path: Path) -> None:
    run = await research(tmp_path, model("good"), budget=Budget(calls=1))
    report = run.unwrap()
    assert run.status == "degraded"
    assert {part.stage for part in report.degraded} == set(run.degraded)
    assert "the rest of the budget is kept for what follows" in run.message
