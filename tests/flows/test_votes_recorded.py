"""Votes in runs: every ballot is a row, a resume sends none of them again, and budgets, caches and rounds hold."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import anyio
import pytest
from vote_lab import FAST, QUICK, STRONG, Answer, by_ballot, is_good, say, voting

from guardflow import (
    Budget,
    Finding,
    GuardContext,
    Ladder,
    LLMStage,
    Runtime,
    Vote,
    abstain,
    ahead_by,
    degrade,
    fan_out,
    guard,
    majority,
    pipeline,
    unanimous,
    wait,
)
from guardflow.flow.agreement_json import agreement_from, agreement_json
from guardflow.flow.pipeline import Pipeline
from guardflow.flow.places import ballot_of
from guardflow.runtime.inspection import read_run, report_json
from guardflow.settings import Settings
from guardflow.testing import FaultServer, Reply, Scripted
from guardflow.values import Model, Price

pytestmark = pytest.mark.anyio


def flow(stage: LLMStage[str, Answer]) -> Pipeline[str, Answer]:
    @pipeline("votes")
    async def votes(word: str) -> Answer:
        return await stage(word)

    return votes


def many(stage: LLMStage[str, Answer]) -> Pipeline[int, list[str]]:
    @pipeline("many")
    async def many(count: int) -> list[str]:
        return [a.text for a in await fan_out(stage, [f"q{n}" for n in range(count)], limit=4)]

    return many


def runtime(database: str | None, settings: Settings, models: Any) -> Runtime:
    return Runtime(database, settings=settings, models=models)


async def test_every_ballot_is_a_row_and_the_result_carries_the_agreement(
    database: str | None, settings: Settings
) -> None:
    model = by_ballot(["a", "b", "a", "a"])
    async with runtime(database, settings, {FAST: model}) as rt:
        result = await rt.run(flow(voting(Vote(FAST))), "q", run_id="r")
        again = await rt.run(flow(voting(Vote(FAST))), "q", run_id="r")
    assert result.unwrap() == again.unwrap() == say("a")
    assert sorted(ballot_of(a.start) or 0 for a in result.attempts) == [0, 1, 2, 3]
    assert result.agreement["vote"].share == 0.75
    assert again.agreement == result.agreement
    assert result.spend.calls == model.count == 4


async def test_a_run_that_was_stopped_sends_only_the_ballots_that_were_in_flight(
    durable: str | None, settings: Settings
) -> None:
    first = by_ballot(["a", "b", "a", "a"], delays={2: 600})
    stage = voting(Vote(FAST))
    async with runtime(durable, settings, {FAST: first}) as rt:
        running = asyncio.create_task(rt.run(flow(stage), "q", run_id="r"))
        with anyio.fail_after(60):
            while sum(a.end is not None for a in await rt.services.ledger.attempts("r")) < 3:
                await anyio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
    second = by_ballot(["z", "z", "a", "z"])
    async with runtime(durable, settings, {FAST: second}) as rt:
        result = await rt.run(flow(stage), "q", run_id="r")
    assert result.unwrap() == say("a")
    assert [r.sample for r in second.requests] == [2]


async def test_a_ballot_that_was_cancelled_because_others_decided_is_not_sent_again_on_resume(
    durable: str | None, settings: Settings
) -> None:
    """The vote was decided, and its tie-break was in flight when the run stopped."""
    fast = by_ballot(["a", "b", "c"], delays={2: 600})
    stage = voting(Vote(FAST, rule=unanimous(3), split=STRONG))
    slow = Scripted(say("s"), delay=600)
    async with runtime(durable, settings, {FAST: fast, STRONG: slow}) as rt:
        running = asyncio.create_task(rt.run(flow(stage), "q", run_id="r"))
        with anyio.fail_after(60):
            while not slow.count:
                await anyio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
    assert fast.count == 3
    again, strong = Scripted(say("z")), Scripted(say("s"))
    async with runtime(durable, settings, {FAST: again, STRONG: strong}) as rt:
        result = await rt.run(flow(stage), "q", run_id="r")
    assert result.unwrap() == say("s")
    assert again.count == 0
    assert [a.start.role for a in result.attempts] == ["answer"] * 3 + ["split"] * 2
    assert strong.requests[0].messages == slow.requests[0].messages  # the candidates in the same order
    assert result.agreement["vote"].decided == "split"


async def test_a_fan_out_of_votes_keeps_each_items_ballots_and_agreement_apart(
    database: str | None, settings: Settings
) -> None:
    def answer(request: Any) -> Answer:
        text = request.messages[-1].content
        odd = "q3" in text and request.sample == 1
        return say("b" if odd else next(f"a{n}" for n in range(6) if f"q{n}" in text))

    model = Scripted(answer)
    async with runtime(database, settings, {FAST: model}) as rt:
        result = await rt.run(many(voting(Vote(FAST))), 6, run_id="r")
    assert result.unwrap() == [f"a{n}" for n in range(6)]
    rows = Counter(a.start.key.item for a in result.attempts)
    assert rows == {n: 4 if n == 3 else 2 for n in range(6)}
    assert result.agreement["vote"].share == 0.75  # the least sure item


async def test_equal_questions_about_different_ballots_are_different_attempts(settings: Settings) -> None:
    @guard(asks=1)
    async def judged(answer: Answer, ctx: GuardContext[str]) -> AsyncIterator[Finding]:
        if (await ctx.ask(STRONG, "Is it good?", Answer, answer=answer.text)).text != "good":
            yield Finding("the judge says no")

    models = {FAST: by_ballot(["a", "a"]), STRONG: Scripted(say("good"))}
    async with runtime("memory", settings, models) as rt:
        result = await rt.run(flow(voting(Vote(FAST), guards=[judged.reject()])), "q")
    assert {ballot_of(a.start) for a in result.attempts if a.start.role == "guard"} == {0, 1}


async def test_what_is_stored_about_a_vote_is_shown(settings: Settings) -> None:
    model = by_ballot(["a", "b", "a", "a"])
    async with runtime(None, settings, {FAST: model}) as rt:
        await rt.run(flow(voting(Vote(FAST))), "q", run_id="r")
    shown = json.loads(json.dumps(report_json(await read_run(settings, "r"))))
    (step,) = shown["steps"]
    assert step["agreement"]["share"] == 0.75
    assert step["agreement"]["fields"]["$.text"]["dissent"] == [["b", 1.0, [1]]]
    assert [(a["ballot"], a["sample"]) for a in step["attempts"]] == [(n, n) for n in range(4)]


# --- budgets ----------------------------------------------------------------------------------------------------


async def test_when_the_budget_refuses_ballots_those_that_are_in_decide_if_they_can(
    settings: Settings,
) -> None:
    async with runtime("memory", settings, {FAST: by_ballot(["a", "a", "a", "a", "a"])}) as rt:
        stage = voting(Vote(FAST, rule=majority(5)))
        ended = await rt.run(flow(stage), "q", run_id="r", budget=Budget(calls=2))
        assert (ended.status, ended.spend.calls) == ("over_budget", 2)
    model = by_ballot(["a", "b", "a", "a"])
    async with runtime("memory", settings, {FAST: model}) as rt:
        ended = await rt.run(flow(voting(Vote(FAST))), "q", run_id="r", budget=Budget(calls=3))
        assert ended.status == "over_budget"
        assert ended.spend.calls == 3
        decided = await rt.run(flow(voting(Vote(FAST))), "q", run_id="s", budget=Budget(calls=4))
        assert decided.unwrap() == say("a")


async def test_ballots_beyond_the_one_that_was_refused_count_too(settings: Settings) -> None:
    third = Model("third")
    panel = {FAST: 1.0, replace(STRONG, max_tokens=100_000): 0.5, third: 2.0}
    models = {FAST: Scripted(say("a")), STRONG: Scripted(say("a")), third: Scripted(say("a"))}
    async with runtime("memory", settings, models) as rt:
        stage = voting(Vote(panel, rule=ahead_by(2), family_discount=1.0))
        result = await rt.run(flow(stage), "q", budget=Budget(tokens=10_000))
    assert result.unwrap() == say("a")
    assert [model.count for model in models.values()] == [1, 0, 1]


async def test_a_ballot_waits_for_what_another_has_reserved_before_the_budget_counts_as_spent(
    settings: Settings,
) -> None:
    model = by_ballot(["a", "a", "a"], delays=dict.fromkeys(range(3), 0.02))
    stage = voting(Vote(FAST, rule=majority(3)), max_tokens=500)
    async with runtime("memory", settings, {FAST: model}) as rt:
        result = await rt.run(flow(stage), "q", budget=Budget(tokens=1000))
    assert result.unwrap() == say("a")
    assert model.max_in_flight == 1


async def test_a_spent_budget_reaches_the_fallback(settings: Settings) -> None:
    stage = voting(Vote(FAST), ladder=Ladder(otherwise=degrade()), fallback=lambda q, f: say("plain"))
    async with runtime("memory", settings, {FAST: by_ballot(["a", "b", "a", "a"])}) as rt:
        result = await rt.run(flow(stage), "q", budget=Budget(calls=1))
    assert (result.status, result.output) == ("degraded", say("plain"))
    assert result.spend.calls == 1


# --- the response cache -----------------------------------------------------------------------------------------


async def test_each_ballot_has_a_key_of_its_own_and_equal_votes_pay_once(
    database: str | None, settings: Settings
) -> None:
    model = by_ballot(["a", "b", "a", "a"], delays=dict.fromkeys(range(4), 0.01))
    stage = voting(Vote(FAST))

    @pipeline("twice")
    async def twice(word: str) -> list[str]:
        return [a.text for a in await fan_out(stage, [word] * 3, limit=3)]

    async with runtime(database, settings, {FAST: model}) as rt:
        with anyio.fail_after(60):
            result = await rt.run(twice, "q", run_id="r", cache="use")
        later = await rt.run(flow(stage), "q", run_id="s", cache="use")
    assert result.unwrap() == ["a", "a", "a"]
    assert later.unwrap() == say("a")
    assert sorted(r.sample for r in model.requests) == [0, 1, 2, 3]
    assert later.spend.calls == 0


# --- rounds -----------------------------------------------------------------------------------------------------


async def test_ballots_of_an_ended_vote_are_checked_again_for_free_when_its_guards_change(
    database: str | None, settings: Settings
) -> None:
    first = by_ballot(["bad", "bad", "bad", "bad", "bad", "bad", "bad"])
    async with runtime(database, settings, {FAST: first}) as rt:
        ended = await rt.run(flow(voting(Vote(FAST), guards=[is_good.reject()])), "q", run_id="r")
        assert ended.status == "abstained"
        sent = first.count
        mended = await rt.run(flow(voting(Vote(FAST), guards=[is_good.warn()])), "q", run_id="r")
    assert mended.unwrap() == say("bad")
    assert first.count == sent
    assert mended.agreement["vote"].ballots == 2


async def test_a_vote_that_ended_is_held_anew_when_nothing_has_changed(
    database: str | None, settings: Settings
) -> None:
    stage = voting(Vote(FAST, rule=unanimous(2), max=2))
    model = Scripted(say("a"), say("b"), say("c"), say("c"))
    async with runtime(database, settings, {FAST: model}) as rt:
        assert (await rt.run(flow(stage), "q", run_id="r")).status == "abstained"
        assert (await rt.run(flow(stage), "q", run_id="r")).unwrap() == say("c")
    assert model.count == 4


# --- on the wire ------------------------------------------------------------------------------------------------


async def test_a_vote_on_the_wire_sends_what_it_needs_and_counts_every_request(settings: Settings) -> None:
    said: Counter[float | None] = Counter()

    def answer(body: Any) -> Reply:
        said[body.get("temperature")] += 1
        if sum(said.values()) == 2:
            return Reply.rate_limited(retry_after=0)
        return Reply.json({"text": "a", "size": 1})

    with FaultServer(answer=answer) as server:
        own = Model("openai/own", api_base=server.base_url, price=Price(1.0, 4.0), max_tokens=50)
        stage = voting(Vote(own, rule=ahead_by(2)), ladder=Ladder(wait(2, **QUICK), otherwise=abstain()))
        async with Runtime("memory", settings=settings) as rt:
            result = await rt.run(flow(stage), "q")
        assert result.unwrap() == say("a", 1)
        assert server.count == result.spend.calls == 3
    assert said[0.7] >= 1


def test_an_agreement_is_read_back_as_it_was_stored_and_old_envelopes_have_none() -> None:
    agreement = agreement_from({
        "share": 0.5, "entropy": 1.0, "ballots": 4, "spoiled": 1, "decided": "split",
        "fields": {"$.a": {"share": 0.5, "entropy": 1.0, "dissent": [[{"x": None}, 1.5, [0, 2]]]}},
    })  # fmt: skip
    assert agreement is not None
    assert agreement_from(json.loads(json.dumps(agreement_json(agreement)))) == agreement
    assert agreement_from(None) is None
