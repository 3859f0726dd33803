"""Hedges whose bookkeeping fails, and providers that hang for longer than their stages wait."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from pydantic import BaseModel

from guardflow import Kind, Ladder, LLMStage, Model, Price, Runtime, abstain, fan_out, pipeline, switch
from guardflow.errors import DatabaseUnreachable
from guardflow.models.limits import Gate
from guardflow.prompts import inline_prompt
from guardflow.testing import FaultServer, Reply
from guardflow.values import AttemptEnd, AttemptStart

pytestmark = pytest.mark.anyio

GOOD = Reply.json({"text": "fine"})


class Answer(BaseModel):
    text: str


def asking(base: str, ladder: Ladder, *, hedge: bool = False, **options: Any) -> LLMStage[str, Answer]:
    model = Model("openai/own", api_base=base, price=Price(input=1.0, output=4.0), max_tokens=50, hedge=hedge)
    prompt = inline_prompt("{{ input | fenced }}", ["input"])
    return LLMStage("ask", str, Answer, prompt=prompt, model=model, ladder=ladder, **options)


def only_gate(rt: Runtime) -> Gate:
    (gate,) = rt.services.models.storm.gates
    return gate


@pytest.mark.parametrize("error", [DatabaseUnreachable("it went away"), ValueError("a bug")])
async def test_what_goes_wrong_after_a_hedge_has_won_is_raised_as_it_is(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, hedges = itertools.count(1), set[int]()
    ask_slow = 26

    def answer(body: object) -> Reply:
        return GOOD.but(delay=30.0) if next(arrived) >= ask_slow and not hedges else GOOD

    with FaultServer(answer=answer) as server:
        ask = asking(server.base_url, Ladder(), hedge=True)

        @pipeline("hedged")
        async def hedged(n: int) -> int:
            return len([await ask(str(i)) for i in range(n)])

        async with Runtime("memory") as rt:
            ledger = rt.services.ledger
            begin, finish = ledger.begin, ledger.finish

            async def noted(start: AttemptStart, *, epoch: int) -> int:
                row = await begin(start, epoch=epoch)
                if start.rung == "hedge":
                    hedges.add(row)
                return row

            async def failing(row: int, end: AttemptEnd) -> None:
                if row in hedges and end.completion is not None:
                    raise error
                await finish(row, end)

            monkeypatch.setattr(ledger, "begin", noted)
            monkeypatch.setattr(ledger, "finish", failing)
            with pytest.raises(type(error), match=str(error)):
                await rt.run(hedged, 40)
            assert only_gate(rt).in_flight == 0


async def test_a_provider_that_hangs_for_longer_than_its_stages_wait_is_found_out() -> None:
    with FaultServer(GOOD.but(delay=30.0)) as hangs, FaultServer(GOOD) as alive:
        other = Model("openai/own", api_base=alive.base_url, price=Price(1.0, 4.0), max_tokens=50)
        ladder = Ladder(switch(other, on=Kind.TRANSIENT), otherwise=abstain())
        ask = asking(hangs.base_url, ladder, timeout=0.5)

        @pipeline("many")
        async def many(n: int) -> list[str]:
            found = await fan_out(ask, [str(i) for i in range(n)], limit=n, errors="collect")
            return [str(outcome.status) for outcome in found]

        warm = asking(alive.base_url, Ladder())

        @pipeline("first")
        async def first(word: str) -> Answer:
            return await warm(word)

        async with Runtime("memory") as rt:
            await rt.run(first, "w")  # imports litellm, which is no matter of half a second
            assert (await rt.run(many, 12)).unwrap() == ["abstained"] * 12
            sent = hangs.count
            assert (await rt.run(many, 8, run_id="later")).unwrap() == ["ok"] * 8
        assert 10 <= sent == hangs.count
