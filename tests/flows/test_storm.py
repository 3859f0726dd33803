"""A provider that is out, slow or strict: stages go elsewhere, wait together, and send no more than they should.

On the wire, with a server that counts requests. Times are short and only compared where they must have passed.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any, cast

import anyio
import httpx
import pytest
from pydantic import BaseModel

from guardflow import (
    Budget,
    ConfigError,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Price,
    Runtime,
    abstain,
    degrade,
    fan_out,
    park,
    pipeline,
    reask,
    switch,
    wait,
)
from guardflow.flow.pipeline import Pipeline
from guardflow.flow.worst_case import worst_case
from guardflow.models.limits import Policy, Storm
from guardflow.prompts import inline_prompt
from guardflow.runtime.declared import declared_services
from guardflow.settings import Settings
from guardflow.testing import FaultServer, Reply, Scripted
from guardflow.testing.wire import last_user_text

pytestmark = pytest.mark.anyio

PROMPT = inline_prompt("{{ input | fenced }}", ["input"])
PRICE = Price(input=1.0, output=4.0)
GOOD = Reply.json({"text": "fine"})
QUICK: dict[str, Any] = {"base": 0.001, "cap": 0.002}
POLICY = Policy(cooldown=0.2, longest_cooldown=0.4, grace=0.1)
OUT = Policy(cooldown=600.0, longest_cooldown=600.0)
"""For an outage that a test ends in: no probe is due, however slow the machine is."""


class Answer(BaseModel):
    text: str


@pytest.fixture
def dead() -> Iterator[FaultServer]:
    with FaultServer(Reply.status(503)) as running:
        yield running


@pytest.fixture
def alive() -> Iterator[FaultServer]:
    with FaultServer(GOOD) as running:
        yield running


def on_wire(server: FaultServer, **options: Any) -> Model:
    return Model("openai/own", api_base=server.base_url, price=PRICE, max_tokens=50, **options)


def asking(model: Model, ladder: Ladder, **options: Any) -> LLMStage[str, Answer]:
    return LLMStage("ask", str, Answer, prompt=PROMPT, model=model, ladder=ladder, **options)


def many(ask: LLMStage[str, Answer], name: str = "many") -> Pipeline[int, list[str]]:
    @pipeline(name)
    async def many(n: int) -> list[str]:
        return [o.status for o in await fan_out(ask, [str(i) for i in range(n)], limit=n, errors="collect")]

    return many


def fail_together(dead: FaultServer, count: int) -> None:
    """Nobody is answered until so many have asked; from then on all fail at once."""

    def answer(body: object) -> Reply:
        if dead.count < count:
            return Reply.status(503).but(delay=600.0)
        dead.release()
        return Reply.status(503)

    dead.script(answer=answer)


def quick(rt: Runtime, policy: Policy = POLICY) -> None:
    rt.services.models.storm = Storm(policy)


# --- an outage --------------------------------------------------------------------------------------


async def test_fifty_stages_on_a_dead_provider_lose_nothing_and_repeat_next_to_nothing(
    dead: FaultServer, alive: FaultServer
) -> None:
    ladder = Ladder(wait(4), switch(on_wire(alive), on=Kind.TRANSIENT), otherwise=abstain())
    fail_together(dead, 50)
    async with Runtime("memory") as rt:
        quick(rt, OUT)
        result = await rt.run(many(asking(on_wire(dead), ladder)), 50)
    assert Counter(result.unwrap()) == {"ok": 50}
    assert alive.count == 50
    assert dead.count <= 55
    sent = [a for a in result.attempts if a.paid]
    assert len(sent) == result.spend.calls == dead.count + alive.count
    held = [a for a in result.attempts if not a.paid]
    assert all(a.kind is Kind.OVERLOADED and a.tokens == 0 and a.nano_usd == 0 for a in held)
    assert held
    assert "does not answer" in str(held[0].end and held[0].end.error)


async def test_once_the_breaker_is_open_later_stages_send_nothing_there(
    dead: FaultServer, alive: FaultServer
) -> None:
    ladder = Ladder(wait(1, **QUICK), switch(on_wire(alive), on=Kind.TRANSIENT))
    async with Runtime("memory") as rt:
        quick(rt, OUT)
        await rt.run(many(asking(on_wire(dead), ladder)), 20)
        before = dead.count
        again = await rt.run(many(asking(on_wire(dead), ladder)), 20)
    assert again.unwrap() == ["ok"] * 20
    assert dead.count == before


async def test_stages_without_another_model_wait_for_one_probe_and_all_go_on(dead: FaultServer) -> None:
    ask = asking(on_wire(dead), Ladder(wait(4, base=0.001, cap=30.0), otherwise=abstain()))
    async with Runtime("memory") as rt:
        quick(rt)
        async with anyio.create_task_group() as group:

            async def recover() -> None:
                gate = rt.services.models.gate(rt.services.models.resolve(on_wire(dead)))
                assert gate is not None

                def state() -> str:
                    return gate.breaker.state

                while state() != "open" or gate.in_flight:
                    await anyio.sleep(0.005)
                before = dead.count
                dead.script(GOOD)
                while state() != "closed":
                    in_flight = dead.count - before
                    assert in_flight <= 1
                    await anyio.sleep(0.005)

            group.start_soon(recover)
            result = await rt.run(many(ask), 20)
    assert result.unwrap() == ["ok"] * 20


async def test_a_run_whose_only_provider_is_dead_parks_and_resumes_when_it_is_back(
    dead: FaultServer, settings: Settings
) -> None:
    ask = asking(on_wire(dead), Ladder(wait(2, **QUICK), otherwise=abstain()))

    @pipeline("only")
    async def only(n: int) -> list[str]:
        return [a.text for a in await fan_out(ask, [str(i) for i in range(n)], limit=n)]

    fail_together(dead, 15)
    async with Runtime(settings=settings) as rt:
        quick(rt, OUT)
        first = await rt.run(only, 15, run_id="r")
        assert first.status == "waiting"
        assert "does not answer" in first.message
        assert "resume the run when it is back" in first.message
        sent = dead.count
        assert first.spend.calls == sent
        dead.script(GOOD)
        quick(rt)  # a new process, as it were
        second = await rt.resume("r")
    assert second.unwrap() == ["fine"] * 15
    assert dead.count == sent + 15


@pytest.mark.parametrize(
    ("otherwise", "status"), [(park(), "waiting"), (abstain(), "waiting"), (degrade(), "degraded")]
)
async def test_what_is_declared_for_the_end_of_a_ladder_holds_in_an_outage(
    dead: FaultServer, otherwise: Any, status: str
) -> None:
    ask = asking(
        on_wire(dead), Ladder(otherwise=otherwise), fallback=lambda word, findings: Answer(text="free")
    )
    async with Runtime("memory") as rt:
        quick(rt, OUT)
        for turn in ("a", "b"):
            result = await rt.run(many(ask), 12, run_id=turn)
    assert set(result.unwrap()) == {status}
    assert result.spend.calls == 0


async def test_a_resume_climbs_over_requests_that_were_held_back_and_pays_nothing_twice(
    dead: FaultServer, alive: FaultServer, settings: Settings
) -> None:
    broken = [True]
    ladder = Ladder(wait(2, **QUICK), switch(on_wire(alive), on=Kind.TRANSIENT))
    ask = asking(on_wire(dead), ladder)

    @pipeline("resumed")
    async def resumed(n: int) -> list[str]:
        got = await fan_out(ask, [str(i) for i in range(n)], limit=n)
        if broken[0]:
            raise RuntimeError("as if killed")
        return [a.text for a in got]

    async with Runtime(settings=settings) as rt:
        with pytest.raises(RuntimeError):
            await rt.run(resumed, 20, run_id="r")
    sent = dead.count + alive.count
    broken[0] = False
    async with Runtime(settings=settings) as rt:
        again = await rt.run(resumed, 20, run_id="r")
    assert again.unwrap() == ["fine"] * 20
    assert dead.count + alive.count == sent == again.spend.calls


# --- a strict provider ------------------------------------------------------------------------------


async def test_a_retry_after_holds_all_stages(alive: FaultServer) -> None:
    replies = itertools.chain([Reply.rate_limited(retry_after=1)], itertools.repeat(GOOD))
    alive.script(answer=lambda body: next(replies))
    ask = asking(on_wire(alive), Ladder(wait(2, base=0.001)))
    async with Runtime("memory") as rt:
        first = await rt.run(many(ask), 1)
        later = await rt.run(many(ask, "later"), 8)
    assert first.unwrap() + later.unwrap() == ["ok"] * 9
    at = [r.at for r in alive.requests]
    assert min(at[1:]) - at[0] >= 0.95


async def test_declared_requests_a_minute_and_at_once_are_kept(alive: FaultServer) -> None:
    alive.script(GOOD.but(delay=0.02))
    ask = asking(on_wire(alive, rpm=600, concurrency=3), Ladder())
    async with Runtime("memory") as rt:
        result = await rt.run(many(ask), 75)
    assert result.unwrap() == ["ok"] * 75
    assert alive.max_in_flight <= 3
    at = [r.at for r in alive.requests]
    # Sixty at once and then ten a second take 1.5 s from the first request on; without the limit it is half a second.
    assert at[-1] - at[0] >= 1.0


async def test_a_request_that_its_limits_can_never_let_through_is_refused_before_it_is_paid(
    alive: FaultServer,
) -> None:
    ask = asking(on_wire(alive, tpm=120), Ladder())

    @pipeline("large")
    async def large(word: str) -> Answer:
        return await ask(word)

    async with Runtime("memory") as rt:
        with pytest.raises(ConfigError, match=r"tpm=120 .*raise tpm"):
            await rt.run(large, "word " * 400)
    assert alive.count == 0


# --- hedges -----------------------------------------------------------------------------------------


def slow_at(*places: int, delay: float = 600.0) -> Any:
    arrived = itertools.count(1)
    return lambda body: GOOD.but(delay=delay) if next(arrived) in places else GOOD


def slow_about(word: str) -> Any:
    """The first request about a word is never answered. Not the so-manieth: under load others may be hedged too."""
    about = itertools.count(1)

    def answer(body: dict[str, Any]) -> Reply:
        slow = word in last_user_text(body).split() and next(about) == 1
        return GOOD.but(delay=600.0) if slow else GOOD

    return answer


async def test_a_slow_request_is_hedged_once_and_the_first_answer_counts(
    alive: FaultServer, settings: Settings
) -> None:
    alive.script(answer=slow_about("slow"))
    ask = asking(on_wire(alive, hedge=True), Ladder(reask(1, on=Kind.INVALID)))

    broken = [True]

    @pipeline("hedged")
    async def hedged(n: int) -> list[str]:
        got = [(await ask("slow" if i == n - 5 else str(i))).text for i in range(n)]
        if broken[0]:
            raise RuntimeError("as if killed")
        return got

    async with Runtime(settings=settings) as rt:
        with pytest.raises(RuntimeError):
            await rt.run(hedged, 30, run_id="h")
        attempts = await rt.services.ledger.attempts("h")
        spend = await rt.services.ledger.spend("h")
    paid = [a for a in attempts if a.paid]
    hedges = [a for a in attempts if a.start.rung == "hedge"]
    assert 31 <= alive.count <= spend.calls == len(paid) <= 30 + len(hedges)
    steps = sorted({a.start.key.step for a in attempts})
    pair = [a for a in attempts if a.start.key.step == steps[25]]
    assert [a.start.rung for a in pair] == ["start", "hedge"]
    # A server that is stalled may read the hedge first, and keep that waiting.
    won, slow = sorted(pair, key=lambda a: a.end is None or a.end.completion is None)
    assert won.end is not None
    assert won.end.completion is not None
    assert slow.end is not None
    assert slow.end.abandoned
    assert (won.start.n, won.start.request_hash) == (slow.start.n, slow.start.request_hash)
    assert slow.tokens == slow.start.reserved.tokens
    assert spend.in_doubt > 0
    async with httpx.AsyncClient() as last:  # it queues behind what was cut off on its way
        await last.get(f"http://127.0.0.1:{alive.port}/_stats", timeout=60)
    sent = alive.count
    broken[0] = False
    async with Runtime(settings=settings) as rt:
        again = await rt.run(hedged, 30, run_id="h")
    assert again.unwrap() == ["fine"] * 30
    assert alive.count == sent
    assert again.spend == spend


@pytest.mark.parametrize(("hedge", "calls"), [(None, 40), (True, 21)])
async def test_hedges_are_off_by_default_and_end_with_the_budget(
    alive: FaultServer, hedge: bool | None, calls: int
) -> None:
    alive.script(answer=slow_at(21, delay=0.4))  # the first that could be hedged
    n = min(calls, 30)
    ask = asking(on_wire(alive, hedge=hedge), Ladder())

    @pipeline("off")
    async def off(n: int) -> int:
        return len([await ask(str(i)) for i in range(n)])

    async with Runtime("memory") as rt:
        result = await rt.run(off, n, budget=Budget(calls=calls))
    assert result.unwrap() == n
    assert result.spend.calls == alive.count == n


def test_the_worst_case_counts_hedges(settings: Settings) -> None:
    services = declared_services(settings)

    def most(*, hedge: bool | None) -> int:
        model = Model("openai/own", api_base="http://127.0.0.1:1", price=PRICE, hedge=hedge)
        return worst_case(cast("LLMStage[object, object]", asking(model, Ladder(wait(2)))), services).calls

    assert most(hedge=True) == 2 * most(hedge=None)


async def test_a_scripted_model_has_a_gate_too() -> None:
    model = Scripted(Kind.OVERLOADED)
    async with Runtime("memory", models={"fast": model}) as rt:
        quick(rt, OUT)
        await rt.run(many(asking(Model("fast"), Ladder())), 12)
        result = await rt.run(many(asking(Model("fast"), Ladder()), "again"), 5)
    assert result.unwrap() == ["waiting"] * 5
    assert 10 <= model.count <= 12
