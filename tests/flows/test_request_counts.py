"""Every request is counted in one place: ladders keep their bound, budgets are never overshot, on the wire too."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from guardflow import (
    Budget,
    Finding,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Price,
    Runtime,
    StageEnded,
    Usage,
    abstain,
    budget_left,
    degrade,
    fan_out,
    grow,
    guard,
    park,
    pipeline,
    reask,
    rephrase,
    resample,
    shrink,
    switch,
    wait,
)
from guardflow.errors import BudgetExceeded, LadderError
from guardflow.ladder.rung import Rung
from guardflow.prompts import Prompt, PromptLibrary, inline_prompt
from guardflow.testing import FaultServer, Reply, Scripted, using
from guardflow.values import Request

pytestmark = pytest.mark.anyio

FAST, STRONG = Model("fast"), Model("strong")
ONCE = Ladder()
PROMPT = inline_prompt("{{ input | fenced }}", ["input"])
QUICK = {"base": 0.0001, "cap": 0.0002}
"""Seconds of a pause, so that tests wait for nothing."""


PATIENT = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
"""What hypothesis shall not mind: too slow is the machine, never the test."""


class Answer(BaseModel):
    text: str


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer() as running:
        yield running


def on_wire(server: FaultServer, *, name: str = "openai/own") -> Model:
    return Model(name, api_base=server.base_url, price=Price(input=1.0, output=4.0), max_tokens=50)


def asking(model: Model = FAST, *, ladder: Ladder = ONCE, **options: object) -> LLMStage[str, Answer]:
    return LLMStage("ask", str, Answer, **{"prompt": PROMPT, "model": model, "ladder": ladder, **options})  # type: ignore[arg-type]  # from tests


# --- waits ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Reply.rate_limited(), Kind.RATE_LIMIT),
        (Reply.rate_limited(retry_after=0), Kind.RATE_LIMIT),
        (Reply.status(503), Kind.OVERLOADED),
        (Reply.dropped(), Kind.CONNECTION),
    ],
)
async def test_a_fault_that_lasts_for_ever_with_wait_4_is_exactly_5_requests(
    server: FaultServer, fault: Reply, kind: Kind
) -> None:
    server.script(fault)
    server.reset()
    ask = asking(on_wire(server), ladder=Ladder(wait(4, **QUICK), otherwise=abstain()))

    @pipeline("patient")
    async def patient(word: str) -> Answer:
        return await ask(word)

    async with Runtime("memory") as rt:
        result = await rt.run(patient, "hi")
    assert result.status == "abstained"
    assert server.count == 5
    assert [a.kind for a in result.attempts] == [kind] * 5
    assert result.spend.calls == 5
    assert len(server.by_key) == 1  # the same bytes each time


async def test_items_wait_each_for_themselves(server: FaultServer) -> None:
    server.script(Reply.rate_limited())
    server.reset()
    ask = asking(on_wire(server), ladder=Ladder(wait(2, **QUICK)))

    @pipeline("patient")
    async def patient(n: int) -> list[str]:
        return [o.status for o in await fan_out(ask, [str(i) for i in range(n)], limit=20, errors="collect")]

    async with Runtime("memory") as rt:
        result = await rt.run(patient, 3)  # 9 requests: from 10 on, the breaker keeps the rest back
    assert result.unwrap() == ["abstained"] * 3
    assert server.count == 9
    assert set(server.by_key.values()) == {3}


async def test_a_parameter_that_is_refused_costs_one_more_request_once(server: FaultServer) -> None:
    server.script(Reply.unsupported_param("temperature", then=Reply.json({"text": "fine"})))
    server.reset()
    ask = asking(on_wire(server), temperature=0.3)

    @pipeline("picky")
    async def picky(words: list[str]) -> list[Answer]:
        return await fan_out(ask, words, limit=1)

    async with Runtime("memory") as rt:
        result = await rt.run(picky, ["a", "b", "c"])
    assert result.status == "ok"
    assert server.count == result.spend.calls == 4


# --- ladders ----------------------------------------------------------------------------------------


@guard(inline=True)
def no_no(answer: Answer) -> Iterator[Finding]:
    if answer.text == "no":
        yield Finding("must not be no", at=("text",))


@pytest.fixture(scope="module")
def prompt(tmp_path_factory: pytest.TempPathFactory) -> Prompt:
    root: Path = tmp_path_factory.mktemp("prompts")
    (root / "ask.md").write_text(
        "---\ninputs: [input]\ntrim: [input]\nvariants:\n  strict: {body: 'Strictly: {{ input }}'}\n---\n{{ input }}\n"
    )
    return PromptLibrary([root]).load("ask")


RUNGS = st.one_of(
    st.builds(lambda n: wait(n, **QUICK), st.integers(1, 3)),
    st.builds(lambda n: wait(n, on=Kind.QUOTA | Kind.RATE_LIMIT, **QUICK), st.integers(1, 2)),
    st.builds(lambda n: grow(2.0, on=Kind.TRUNCATED, times=n), st.integers(1, 2)),
    st.builds(lambda n: shrink(0.7, on=Kind.CONTEXT, times=n), st.integers(1, 2)),
    st.builds(lambda n: reask(n, on=Kind.INVALID | Kind.GUARD), st.integers(1, 3)),
    st.builds(lambda n: resample(n, on=Kind.GUARD | Kind.BLOCKED, temperature=0.7), st.integers(1, 2)),
    st.just(rephrase("strict", on=Kind.INVALID | Kind.REFUSED)),
    st.builds(lambda n: switch(STRONG, on=Kind.ANSWERABLE | Kind.TRANSIENT, waits=n), st.integers(0, 2)),
)
FAULTS = st.sampled_from(
    [
        Kind.RATE_LIMIT,
        Kind.QUOTA,
        Kind.TIMEOUT,
        Kind.CONNECTION,
        Kind.OVERLOADED,
        Kind.TRUNCATED,
        Kind.EMPTY,
        Kind.MALFORMED,
        Kind.SCHEMA,
        Kind.REFUSED,
        Kind.FILTERED,
        Kind.CONTEXT,
        Kind.AUTH,
        Answer(text="no"),
    ]
)


def ladder_of(rungs: Sequence[Rung]) -> Ladder | None:
    try:
        return Ladder(*rungs, otherwise=abstain())
    except LadderError:
        return None  # a switch above a wait, or two alike


ELEVEN = Ladder(wait(5, **QUICK), reask(5, on=Kind.EMPTY), otherwise=abstain())
"""Allows eleven requests, of which storm control holds the last back where every second one fails."""
LADDERS = st.lists(RUNGS, max_size=6).map(ladder_of).filter(lambda ladder: ladder is not None)


@settings(max_examples=60, deadline=None, suppress_health_check=PATIENT)
@given(ladder=LADDERS, faults=st.lists(FAULTS, min_size=1, max_size=5), ends_well=st.booleans())
@example(ladder=Ladder(wait(4, **QUICK)), faults=[Kind.RATE_LIMIT], ends_well=False)
@example(ladder=ELEVEN, faults=[Kind.EMPTY, Kind.RATE_LIMIT], ends_well=False)
def test_no_sequence_of_faults_makes_more_requests_than_the_bound(
    prompt: Prompt, ladder: Ladder, faults: list[Kind | Answer], ends_well: bool
) -> None:
    replies = [*faults, *([Answer(text="fine")] if ends_well else [])]
    sent = itertools.count()

    def next_reply(request: Request) -> Kind | Answer:
        at = next(sent)
        return (
            replies[at] if at < len(replies) else (replies[-1] if ends_well else replies[at % len(replies)])
        )

    fast, strong = Scripted(next_reply), Scripted(next_reply)
    ask = asking(ladder=ladder, prompt=prompt, guards=[no_no.reject()])

    @pipeline("climb")
    async def climb(word: str) -> str:
        return (await ask.outcome(word)).status

    async def run() -> None:
        async with Runtime("memory", models={FAST: fast, STRONG: strong}) as rt:
            result = await rt.run(climb, "word " * 50)
        count = fast.count + strong.count
        assert 1 <= count <= ladder.bound
        attempts = result.attempts
        end = attempts[-1].end
        held_back = end is not None and end.unsent  # ten requests may open the breaker
        assert len(attempts) - held_back == result.spend.calls == count
        assert [a.start.n for a in attempts] == list(range(len(attempts)))
        last = attempts[-1].kind
        ended = "ok" if last is None else "failed" if last in Kind.FATAL else "abstained"
        assert result.output == ("waiting" if held_back else ended)

    anyio.run(run)


WIRE = {
    "rate limited": Reply.rate_limited(),
    "overloaded": Reply.status(529),
    "dropped": Reply.dropped(),
    "cut": Reply.cut_body(),
    "empty": Reply.empty(),
    "wrong": Reply.wrong_schema(),
    "truncated": Reply.truncated(),
    "refused": Reply.refusal(),
    "html": Reply.html(),
}


@settings(max_examples=8, deadline=None, suppress_health_check=PATIENT)
@given(faults=st.lists(st.sampled_from(sorted(WIRE)), min_size=1, max_size=4))
def test_the_bound_holds_on_the_wire(server: FaultServer, faults: list[str]) -> None:
    ladder = Ladder(
        wait(2, **QUICK), grow(2.0, on=Kind.TRUNCATED), reask(1, on=Kind.INVALID), otherwise=abstain()
    )
    replies = itertools.cycle([WIRE[fault] for fault in faults])
    server.script(answer=lambda body: next(replies))
    server.reset()
    ask = asking(on_wire(server), ladder=ladder)

    @pipeline("climb")
    async def climb(word: str) -> str:
        return (await ask.outcome(word)).status

    async def run() -> None:
        async with Runtime("memory") as rt:
            result = await rt.run(climb, "word")
        assert server.count == len(result.attempts) == result.spend.calls
        assert 1 <= server.count <= ladder.bound

    anyio.run(run)


# --- budgets ----------------------------------------------------------------------------------------

PRICE = Price(input=2.0, output=10.0)
USED = Usage(input=40, output=30)
COST = Decimal("0.00038")
"""US dollars that one answer of `USED` costs."""
PRICED = Model("fast", price=PRICE, max_tokens=60)


def spread(name: str = "spread", *, limit: int = 20, **options: object) -> object:
    ask = asking(PRICED, **options)

    @pipeline(name)
    async def spread(n: int) -> list[str]:
        return [
            o.status for o in await fan_out(ask, [str(i) for i in range(n)], limit=limit, errors="collect")
        ]

    return spread


@settings(max_examples=25, deadline=None)
@given(
    budget=st.one_of(
        st.builds(lambda n: Budget(calls=n), st.integers(0, 25)),
        st.builds(lambda n: Budget(tokens=n), st.integers(0, 2500)),
        st.builds(lambda n: Budget(usd=Decimal(n) / 1_000_000), st.integers(0, 12_000)),
        st.builds(lambda c, t: Budget(calls=c, tokens=t), st.integers(0, 25), st.integers(0, 2500)),
    ),
    limit=st.sampled_from([1, 3, 20]),
)
@example(budget=Budget(calls=7), limit=20)
@example(budget=Budget(usd=COST * 7), limit=20)
def test_twenty_at_once_never_overshoot_a_budget(budget: Budget, limit: int) -> None:
    model = Scripted(Answer(text="fine"), usage=USED, delay=0.0005)

    async def run() -> None:
        async with Runtime("memory", models={FAST: model}) as rt:
            result = await rt.run(spread(limit=limit), 20, budget=budget)  # type: ignore[arg-type]  # a Pipeline
        statuses = result.unwrap()
        spend = result.spend
        assert spend.calls == model.count == statuses.count("ok")
        assert len(statuses) == 20
        assert set(statuses) <= {"ok", "over_budget"}
        assert spend.usd == COST * model.count
        assert spend.tokens == USED.total * model.count
        assert budget.calls is None or spend.calls <= budget.calls
        assert budget.tokens is None or spend.tokens <= budget.tokens
        assert budget.usd is None or spend.usd <= budget.usd
        if budget.calls is not None and budget.tokens is None:
            assert spend.calls == min(20, budget.calls)

    anyio.run(run)


async def test_a_higher_budget_goes_on_and_pays_only_for_the_rest() -> None:
    ask = asking(PRICED)

    @pipeline("rest")
    async def rest(n: int) -> int:
        return len(await fan_out(ask, [str(i) for i in range(n)], limit=20))

    model = Scripted(Answer(text="fine"), usage=USED)
    async with Runtime("memory", models={FAST: model}) as rt:
        over = await rt.run(rest, 20, run_id="r", budget=Budget(calls=8))
        assert over.status == "over_budget"
        assert model.count <= 8
        with pytest.raises(BudgetExceeded, match="calls=8") as caught:
            over.unwrap()
        assert caught.value.exit_code == 5
        done = await rt.resume("r", budget=Budget(calls=20))
    assert done.unwrap() == 20
    assert model.count == done.spend.calls == 20


@pytest.mark.parametrize("otherwise", [abstain(), park()])
async def test_a_stage_has_a_budget_of_its_own_for_every_call(otherwise: object) -> None:
    model = Scripted("not json")
    ladder = Ladder(reask(9, on=Kind.INVALID), otherwise=otherwise)  # type: ignore[arg-type]  # from tests
    own = spread(ladder=ladder, budget=Budget(calls=3))
    async with Runtime("memory", models={FAST: model}) as rt:
        result = await rt.run(own, 4)  # type: ignore[arg-type]  # a Pipeline
    assert result.unwrap() == ["over_budget"] * 4
    assert model.count == 12


async def test_a_fallback_is_free_when_the_budget_is_used_up() -> None:
    model = Scripted(Answer(text="paid"), usage=USED)
    lenient = spread(ladder=Ladder(otherwise=degrade()), fallback=lambda word, findings: Answer(text="free"))
    async with Runtime("memory", models={FAST: model}) as rt:
        result = await rt.run(lenient, 20, budget=Budget(calls=5))  # type: ignore[arg-type]  # a Pipeline
    assert sorted(result.unwrap()) == ["degraded"] * 15 + ["ok"] * 5
    assert model.count == 5


async def test_the_budget_holds_on_the_wire(server: FaultServer) -> None:
    server.script(Reply.json({"text": "fine"}).but(usage=USED, delay=0.01))
    server.reset()
    ask = asking(on_wire(server))

    @pipeline("wired")
    async def wired(n: int) -> list[str]:
        return [o.status for o in await fan_out(ask, [str(i) for i in range(n)], limit=20, errors="collect")]

    async with Runtime("memory") as rt:
        result = await rt.run(wired, 20, budget=Budget(calls=6))
    assert server.count == result.spend.calls == 6
    assert result.spend.tokens == 6 * USED.total


# --- what was cancelled -----------------------------------------------------------------------------


async def test_cancelled_requests_are_settled_at_what_was_reserved() -> None:
    async def slow_but_one(request: Request) -> Kind:
        while "item-3" not in request.messages[-1].content or model.count < 20:
            await anyio.sleep(0.001)
        return Kind.REFUSED

    ask = asking(PRICED, ladder=Ladder())

    @pipeline("cancelled")
    async def cancelled(n: int) -> list[int | None]:
        with pytest.raises(StageEnded, match="REFUSED"):
            await fan_out(ask, [f"item-{i}" for i in range(n)], limit=n)
        left = await budget_left()
        return [left.calls, left.tokens]

    model = Scripted(slow_but_one, usage=USED)
    budget = Budget(calls=30, tokens=100_000)
    async with Runtime("memory", models={FAST: model}) as rt:
        result = await rt.run(cancelled, 20, budget=budget)
    spend = result.spend
    assert model.count == spend.calls == 20
    assert model.in_flight == 0
    assert [a.end.abandoned for a in result.attempts if a.end is not None].count(True) == 19
    assert not any(a.in_doubt for a in result.attempts)
    assert spend.tokens == sum(a.tokens for a in result.attempts)
    assert spend.in_doubt > 0
    assert result.unwrap() == [30 - spend.calls, 100_000 - spend.tokens]


async def test_a_stage_that_runs_out_of_time_has_sent_one_request(server: FaultServer) -> None:
    server.script(Reply.slow(600))
    server.reset()
    for seconds in (0.5, 5.0, 50.0):
        ask = asking(on_wire(server), ladder=Ladder(wait(4, **QUICK)), timeout=seconds)

        @pipeline("late")
        async def late(word: str) -> Answer:
            return await ask(word)  # noqa: B023  # it runs in this turn

        async with Runtime("memory") as rt:
            result = await rt.run(late, "hi")
        if server.count:  # else this machine needs more time to send it
            break
    assert server.count == len(result.attempts) == 1
    end = result.attempts[0].end
    assert end is not None
    assert end.abandoned
    assert result.spend.tokens == result.attempts[0].start.reserved.tokens
    assert result.status == "abstained"


async def test_outside_of_a_pipeline_it_counts_alike() -> None:
    model = Scripted(Kind.RATE_LIMIT)
    with using({FAST: model}):
        outcome = await asking(ladder=Ladder(wait(4, **QUICK))).outcome("hi")
    assert model.count == len(outcome.attempts) == 5
