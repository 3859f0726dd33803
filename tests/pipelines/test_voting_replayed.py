"""Votes, hedges and held-back requests are played again: the same outcome, at once, whoever is cut off when."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from test_voting_examples import BILLING, INVENTED, PAPER, RIGHT, TECHNICAL, TICKET, but

from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    NotRecorded,
    Price,
    RunResult,
    Runtime,
    Vote,
    abstain,
    guard,
    meaning,
    pipeline,
    reask,
    switch,
    unanimous,
    wait,
)
from guardflow.flow.pipeline import Pipeline
from guardflow.models.limits import Policy, Storm
from guardflow.prompts import inline_prompt
from guardflow.settings import Settings, load_settings
from guardflow.testing import Cassette, FaultServer, Reply, Scripted, replaying
from guardflow.testing.recording import tape_of_run
from guardflow.values import Request
from pipelines.examples import invoices as example
from pipelines.examples import triage as tickets
from pipelines.examples.invoices import Batch, Document, Invoice, invoices
from pipelines.examples.triage import triage

pytestmark = pytest.mark.anyio

FAST, STRONG = Model("fast"), Model("strong")
PROMPT = inline_prompt("{{ input | fenced }}", ["input"])
AT_ONCE = 120.0
"""Seconds: far less than a cut-off request is held open for, and enough for a slow machine."""


class Answer(BaseModel):
    text: str


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_database")
    else:
        yield "memory" if request.param == "memory" else None


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(tmp_path, home=tmp_path / "state")


def flow(stage: LLMStage[str, Answer]) -> Pipeline[str, Answer]:
    @pipeline("replayed")
    async def replayed(word: str) -> Answer:
        return await stage(word)

    return replayed


def voting(vote: Vote, **options: Any) -> LLMStage[str, Answer]:
    options = {"ladder": Ladder(wait(2), otherwise=abstain()), **options}
    return LLMStage("vote", str, Answer, prompt=PROMPT, model=vote, **options)


def by_sample(said: Mapping[int, list[Any]], delays: Mapping[int, float] | None = None) -> Scripted:
    """What each sample says, one thing after the other, some so many seconds after the others were asked."""
    left = {sample: iter(answers) for sample, answers in said.items()}
    delayed, asked = delays or {}, set[int]()

    async def answer(request: Request) -> Any:
        reply = next(left[request.sample])
        asked.add(request.sample)
        if request.sample in delayed:
            with anyio.fail_after(AT_ONCE):
                while not asked >= said.keys() - delayed.keys():
                    await anyio.sleep(0.005)
            await anyio.sleep(delayed[request.sample])
        return Answer(text=reply) if isinstance(reply, str) and reply.isalpha() else reply

    return Scripted(answer)


async def played(made: Pipeline[Any, Any], input: object, cassette: Cassette, **more: Any) -> RunResult[Any]:
    """The run again, from nothing but the cassette."""
    before = time.perf_counter()
    with replaying(cassette, unused="fail"):
        async with Runtime(more.pop("database", "memory"), **more) as rt:
            result = await rt.run(made, input)
    assert time.perf_counter() - before < AT_ONCE
    return result


async def recorded(
    made: Pipeline[Any, Any], input: object, models: dict[Model, Scripted], **more: Any
) -> tuple[RunResult[Any], Cassette]:
    async with Runtime(more.pop("database", "memory"), models={**models}, **more) as rt:
        result = await rt.run(made, input)
    return result, Cassette.of(result.attempts)


async def test_a_batch_of_invoices_is_played_again_on_every_database(
    database: str | None, settings: Settings, tmp_path: Path
) -> None:
    """Ballots that agree, that disagree and are decided by a tie-break, that fail their guards; some are cut off."""
    papers = [Document(text=f"{PAPER.text} Copy {n}.") for n in range(4)]

    async def say(request: Request) -> Invoice | Kind:
        copy = next(n for n in range(4) if f"Copy {n}" in request.messages[-1].content)
        await anyio.sleep(0.01 * ((request.sample * 7 + copy) % 3))
        if copy == 1:
            return but(currency=("EUR", "USD", "GBP")[request.sample % 3])
        if copy == 2:
            return but(total=21.0) if request.sample == 0 else RIGHT
        return Kind.REFUSED if copy == 3 else RIGHT

    model = Scripted(say)
    async with Runtime(
        database, settings=settings, models={example.FAST: model, example.STRONG: model}
    ) as rt:
        first = await rt.run(invoices, Batch(documents=papers), run_id="r")
    assert len(first.unwrap().invoices) >= 2
    if database == "memory":
        cassette = Cassette.of(first.attempts)
    else:
        there = (
            load_settings(tmp_path, home=tmp_path / "state", database_url=database) if database else settings
        )
        cassette = Cassette(await tape_of_run(there, "r"))
    again = await played(invoices, Batch(documents=papers), cassette, database=database, settings=settings)
    assert again.unwrap() == first.unwrap()
    assert again.agreement == first.agreement


@pytest.mark.parametrize("third", [INVENTED, Kind.RATE_LIMIT, TECHNICAL])
async def test_a_ticket_that_climbs_is_played_again(third: Any) -> None:
    models = {
        tickets.FAST: Scripted(BILLING, TECHNICAL),
        tickets.STRONG: Scripted(third, TECHNICAL),
    }
    first, cassette = await recorded(triage, TICKET, models)
    again = await played(triage, TICKET, cassette)
    assert (again.status, again.output) == (first.status, first.output)


async def test_a_ballot_that_was_cut_off_while_it_waited_to_try_again_is_not_asked_for_more() -> None:
    """Nobody waits in a replay, so that ballot gets further now than it did then: to a request that was never made."""

    @guard(asks=1)
    async def slowly(answer: Answer, ctx: GuardContext[str]) -> AsyncIterator[Finding]:
        if (await ctx.ask(STRONG, "Is it good?", Answer, answer=answer.text)).text != "good":
            yield Finding("the judge says no")

    fast = by_sample({0: ["a"], 1: ["b"], 2: [Kind.RATE_LIMIT]}, {0: 0.1, 1: 0.1})
    strong = Scripted(lambda r: Answer(text="good"))
    stage = voting(
        Vote(FAST, rule=unanimous(3)),
        guards=[slowly.reject()],
        ladder=Ladder(wait(3, base=6000.0, cap=6000.0), switch(STRONG, on=Kind.DISAGREED)),
    )
    first, cassette = await recorded(flow(stage), "q", {FAST: fast, STRONG: strong})
    for _ in range(5):
        again = await played(flow(stage), "q", Cassette(cassette.tape))
        assert again.unwrap() == first.unwrap() == Answer(text="good")
    assert fast.count == 3


async def test_a_ballot_whose_judge_was_cut_off_before_it_was_asked_is_not_missed() -> None:
    asked = 0

    @guard(asks=1)
    async def judged(answer: Answer, ctx: GuardContext[str]) -> AsyncIterator[Finding]:
        nonlocal asked
        asked += 1
        if asked <= 3 and answer.text == "c":
            await anyio.sleep_forever()
        if (await ctx.ask(STRONG, "Is it good?", Answer, answer=answer.text)).text != "good":
            yield Finding("the judge says no")

    fast = by_sample({0: ["a"], 1: ["b"], 2: ["c"]}, {0: 0.1, 1: 0.1})
    third = Model("third")
    models = {FAST: fast, STRONG: Scripted(Answer(text="good")), third: Scripted(Answer(text="t"))}
    judged_too = voting(
        Vote(FAST, rule=unanimous(3)),
        guards=[judged.reject()],
        ladder=Ladder(reask(1, on=Kind.GUARD), switch(third, on=Kind.DISAGREED), otherwise=abstain()),
    )
    first, cassette = await recorded(flow(judged_too), "q", models)
    again = await played(flow(judged_too), "q", cassette)
    assert (again.status, again.output) == (first.status, first.output)
    assert cassette.misses == ()


async def test_a_ballot_that_counts_and_is_not_on_the_cassette_fails_at_once() -> None:
    stage = voting(Vote(FAST, rule=unanimous(2)))
    _, cassette = await recorded(flow(stage), "q", {FAST: by_sample({0: ["a"], 1: ["a"]})})
    more = voting(Vote(FAST, rule=unanimous(3)))
    with pytest.raises(NotRecorded, match="sample is 2"):
        await played(flow(more), "q", cassette)


async def test_questions_about_meaning_are_played_again() -> None:
    fast = by_sample({0: ["huge"], 1: ["large"]})
    strong = Scripted({"same": True})
    stage = voting(Vote(FAST, rule=unanimous(2), fields={"text": meaning(STRONG)}))
    first, cassette = await recorded(flow(stage), "q", {FAST: fast, STRONG: strong})
    assert strong.count == 1
    assert (await played(flow(stage), "q", cassette)).unwrap() == first.unwrap()


# --- hedges, and what was held back -------------------------------------------------------------------------


def on_wire(server: FaultServer, **options: Any) -> Model:
    return Model("openai/own", api_base=server.base_url, price=Price(1.0, 4.0), max_tokens=50, **options)


@pytest.mark.parametrize("slow", ["late", "failed"])
async def test_of_a_request_and_its_hedge_the_one_that_counted_is_played(slow: str) -> None:
    """The request itself was never answered, or failed while its hedge was on the way."""
    good = Reply.json({"text": "fine"})
    never = Reply.slow(6000, then=Reply.json({"text": "late"}))
    failed = Reply.slow(6000, then=Reply.status(503))
    pair = [never, good] if slow == "late" else [failed, Reply.slow(0.5, then=good)]
    replies = iter([*[good] * 20, *pair])

    def answer(body: object) -> Reply:
        reply = next(replies)
        if reply is pair[1] and slow == "failed":
            for connection in tuple(server._connections):  # the hedge is here: now the request fails
                connection.release()
        return reply

    with FaultServer(answer=answer) as server:
        model = on_wire(server, hedge=True)
        ask = LLMStage("ask", str, Answer, prompt=PROMPT, model=model, ladder=Ladder(otherwise=abstain()))
        async with Runtime("memory") as rt:
            for n in range(20):
                await rt.run(flow(ask), f"warm {n}")
            first = await rt.run(flow(ask), "q")
    assert {a.start.rung for a in first.attempts} == {"start", "hedge"}
    again = await played(flow(ask), "q", Cassette.of(first.attempts))
    assert again.unwrap() == first.unwrap() == Answer(text="fine")
    assert len(again.attempts) == 1


async def test_a_request_that_storm_control_held_back_goes_elsewhere_again() -> None:
    with FaultServer(Reply.status(503)) as dead, FaultServer(Reply.json({"text": "fine"})) as alive:
        other = Model("openai/other", api_base=alive.base_url, price=Price(1.0, 4.0), max_tokens=50)
        ladder = Ladder(wait(1, base=0.001), switch(other, on=Kind.TRANSIENT))
        ask = LLMStage("ask", str, Answer, prompt=PROMPT, model=on_wire(dead), ladder=ladder)
        async with Runtime("memory") as rt:
            rt.services.models.storm = Storm(Policy(cooldown=6000.0, longest_cooldown=6000.0))
            for n in range(10):
                await rt.run(flow(ask), f"break {n}")
            first = await rt.run(flow(ask), "q")
    assert not first.attempts[0].paid
    again = await played(flow(ask), "q", Cassette.of(first.attempts))
    assert again.unwrap() == first.unwrap() == Answer(text="fine")
    assert [a.kind for a in again.attempts] == [a.kind for a in first.attempts]
