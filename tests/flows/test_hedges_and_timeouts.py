"""Hedges whose bookkeeping fails, and providers that hang for longer than their stages wait."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from pydantic import BaseModel

from guardflow import Kind, Ladder, LLMStage, Model, Price, Runtime, abstain, fan_out, pipeline, switch
from guardflow.errors import DatabaseUnreachable
from guardflow.models.limits import Gate, Policy, Storm
from guardflow.prompts import inline_prompt
from guardflow.testing import FaultServer, Reply
from guardflow.testing.wire import last_user_text
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
    asked, hedges = Counter[str](), set[int]()

    def answer(body: dict[str, Any]) -> Reply:
        """From word 26 on, the first request that is read about each is never answered: all but always the first one
        sent. Under load, words before may be hedged too."""
        text = last_user_text(body)
        asked[text] += 1
        late = any(word.isdecimal() and int(word) >= 26 for word in text.split())
        return GOOD.but(delay=600.0) if late and asked[text] == 1 else GOOD

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
    with FaultServer(GOOD.but(delay=600.0)) as hangs, FaultServer(GOOD) as alive:
        other = Model("openai/own", api_base=alive.base_url, price=Price(1.0, 4.0), max_tokens=50)
        ladder = Ladder(switch(other, on=Kind.TRANSIENT), otherwise=abstain())

        async def outcomes(rt: Runtime, n: int, *, timeout: float) -> list[str]:
            ask = asking(hangs.base_url, ladder, timeout=timeout)

            @pipeline("many")
            async def many(n: int) -> list[str]:
                found = await fan_out(ask, [str(i) for i in range(n)], limit=n, errors="collect")
                return [str(outcome.status) for outcome in found]

            return (await rt.run(many, n)).unwrap()

        warm = asking(alive.base_url, Ladder())

        @pipeline("first")
        async def first(word: str) -> Answer:
            return await warm(word)

        async with Runtime("memory") as rt:
            await rt.run(first, "w")  # imports litellm, which is no matter of half a second
            for seconds in (0.5, 5.0, 50.0):
                rt.services.models.storm = Storm(Policy(cooldown=600.0, longest_cooldown=600.0))
                hangs.reset()
                assert await outcomes(rt, 12, timeout=seconds) == ["abstained"] * 12
                if hangs.count >= 10:  # else this machine needs more time to send them
                    break
            sent = hangs.count
            assert await outcomes(rt, 8, timeout=60.0) == ["ok"] * 8
        assert 10 <= sent == hangs.count
