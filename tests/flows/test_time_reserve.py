"""Stages that leave a share of the run's seconds to what follows, whatever hangs in them, and seconds of their own."""

from __future__ import annotations

import math
from typing import Any

import anyio
import pytest

from guardflow import (
    Budget,
    Context,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Runtime,
    StageError,
    abstain,
    budget_left,
    degrade,
    fan_out,
    pipeline,
    stage,
    wait,
)
from guardflow.prompts import inline_prompt
from guardflow.testing import Scripted
from guardflow.values import Request

pytestmark = pytest.mark.anyio

WHOLE = 1.0
"""Seconds of the runs in this file. What is asserted of them is only what holds on any machine."""


async def never(request: Request) -> object:
    await anyio.sleep_forever()
    return None


def asking(**options: Any) -> LLMStage[str, str]:
    prompt = inline_prompt("{{ input | fenced }}", ["input"])
    options = {"ladder": Ladder(otherwise=abstain()), **options}
    return LLMStage("ask", str, str, prompt=prompt, model=Model("fast"), **options)


async def test_a_model_that_hangs_leaves_the_share_that_its_stage_keeps_free() -> None:
    ask = asking(
        time_reserve=0.5, ladder=Ladder(otherwise=degrade()), fallback=lambda text, found: "by words"
    )

    @pipeline("leaves")
    async def leaves(text: str) -> list[float | None]:
        before = (await budget_left()).seconds
        answer = await ask.outcome(text)
        assert (answer.status, answer.kind, answer.value) == ("degraded", Kind.BUDGET, "by words")
        assert "kept for what follows" in answer.message
        return [before, (await budget_left()).seconds]

    async with Runtime("memory", models={"fast": Scripted(never)}) as rt:
        before, after = (await rt.run(leaves, "x", budget=Budget(seconds=6 * WHOLE))).unwrap()
    assert before is not None
    assert after is not None
    assert after <= 3 * WHOLE < before  # it was cut off at the half, and neither before nor not at all
    assert after > 0


async def test_many_items_together_leave_that_share_too() -> None:
    ask = asking(
        time_reserve=0.8, ladder=Ladder(otherwise=degrade()), fallback=lambda text, found: "by words"
    )

    @pipeline("leaves")
    async def leaves(text: str) -> list[str]:
        return await fan_out(ask, [text] * 6, limit=2)

    model = Scripted(never)
    async with Runtime("memory", models={"fast": model}) as rt:
        run = await rt.run(leaves, "x", budget=Budget(seconds=5 * WHOLE))
    assert run.status == "degraded"
    assert run.unwrap() == ["by words"] * 6
    assert model.count <= 2  # for the other four no time was left to ask


async def test_without_a_fallback_the_run_can_go_on_with_more_seconds() -> None:
    ask = asking(time_reserve=0.9)

    @pipeline("resumable")
    async def resumable(text: str) -> str:
        return await ask(text)

    model = Scripted(never, "an answer")
    async with Runtime("memory", models={"fast": model}) as rt:
        first = await rt.run(resumable, "x", run_id="r", budget=Budget(seconds=WHOLE))
        assert first.status == "over_budget"
        assert "kept for what follows" in first.message
        more = await rt.resume("r", budget=Budget(seconds=600))
    assert more.unwrap() == "an answer"


async def test_a_code_stage_leaves_its_share_too() -> None:
    @stage(time_reserve=0.9)
    async def hangs(text: str, ctx: Context) -> str:
        await anyio.sleep_forever()
        return text

    @stage
    async def quick(text: str, ctx: Context) -> bool:
        left = ctx.budget_left().seconds
        return left is not None and left > 0

    @pipeline("leaves")
    async def leaves(text: str) -> bool:
        ended = await hangs.outcome(text)
        assert (ended.status, ended.kind) == ("over_budget", Kind.BUDGET)
        return await quick(text)

    async with Runtime("memory") as rt:
        assert (await rt.run(leaves, "x", budget=Budget(seconds=5 * WHOLE))).unwrap() is True


async def test_a_share_means_nothing_without_a_budget_of_seconds() -> None:
    ask = asking(time_reserve=0.99)

    @pipeline("free")
    async def free(text: str) -> str:
        return await ask(text)

    async with Runtime("memory", models={"fast": Scripted("an answer")}) as rt:
        assert (await rt.run(free, "x")).unwrap() == "an answer"
        assert (await rt.run(free, "x", budget=Budget(calls=1))).unwrap() == "an answer"


async def test_a_child_run_keeps_its_own_share_or_that_of_its_parent() -> None:
    ask = asking(
        time_reserve=0.5, ladder=Ladder(otherwise=degrade()), fallback=lambda text, found: "by words"
    )

    @pipeline("child")
    async def child(text: str) -> str:
        said = await ask(text)
        left = (await budget_left()).seconds
        return f"{said} {left is not None and left > 0}"

    @pipeline("parent")
    async def parent(text: str) -> list[str]:
        mine = await fan_out(child, [text], budget=Budget(seconds=2 * WHOLE))
        return [*mine, *await fan_out(child, [text])]

    async with Runtime("memory", models={"fast": Scripted(never)}) as rt:
        run = await rt.run(parent, "x", budget=Budget(seconds=6 * WHOLE))
    assert run.unwrap() == ["by words True"] * 2


async def test_the_seconds_of_a_stages_own_budget_end_its_call() -> None:
    ask = asking(budget=Budget(seconds=0.05))
    model = Scripted(never)

    @pipeline("own")
    async def own(text: str) -> str:
        return await ask(text)

    async with Runtime("memory", models={"fast": model}) as rt:
        run = await rt.run(own, "x")
    assert (run.status, model.count) == ("over_budget", 1)
    assert "the seconds of stage 'ask' are used up" in run.message


async def test_a_kind_that_no_fallback_may_hide_ends_the_stage_as_failed_and_is_asked_again_on_resume() -> (
    None
):
    ladder = Ladder(wait(1, base=0.001), otherwise=degrade(unless=Kind.CONNECTION | Kind.BUDGET))
    ask = asking(ladder=ladder, fallback=lambda text, found: "by words", time_reserve=0.9)

    @pipeline("honest")
    async def honest(text: str) -> str:
        return await ask(text)

    model = Scripted(Kind.CONNECTION, Kind.CONNECTION, "an answer")
    async with Runtime("memory", models={"fast": model}) as rt:
        down = await rt.run(honest, "x", run_id="r")
        assert (down.status, down.output, model.count) == ("failed", None, 2)
        assert (await rt.resume("r")).unwrap() == "an answer"
    async with Runtime("memory", models={"fast": Scripted(Kind.EMPTY)}) as rt:
        assert (await rt.run(honest, "x")).unwrap() == "by words"
    async with Runtime("memory", models={"fast": Scripted(never)}) as rt:
        late = await rt.run(honest, "x", budget=Budget(seconds=WHOLE))
    assert late.status == "failed"


@pytest.mark.parametrize("share", [-0.1, 1, 1.5, math.nan])
def test_what_is_no_share_is_refused_before_anything_runs(share: float) -> None:
    with pytest.raises(StageError, match="time_reserve"):
        asking(time_reserve=share)
    with pytest.raises(StageError, match="time_reserve"):
        stage(time_reserve=share)
