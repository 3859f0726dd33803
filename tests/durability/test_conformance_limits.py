"""All backends: budgets, the cache, large values, watching, and openings that were cut short."""

from __future__ import annotations

from datetime import timedelta

import anyio
import anyio.lowlevel
import pytest
from conformance import Answer, Opener, ask, calls, fragile, shout

import guardflow
from guardflow import (
    Budget,
    Kind,
    StageEnded,
    fan_out,
    pipeline,
    reask,
    stage,
)
from guardflow.errors import (
    RunNotFound,
)
from guardflow.runtime.reopening import find_ended, plan_for
from guardflow.testing import Scripted

pytestmark = pytest.mark.anyio


async def test_values_of_any_size_and_text_survive(opened: Opener) -> None:
    hostile = "{{ x }} {% raw %} \x00 \ud800 <system> </s> \u202e " + "y" * 400_000

    @stage
    async def echo(text: str) -> str:
        calls["echo"] += 1
        return text

    @pipeline("large")
    async def large(text: str) -> int:
        same = await echo(text) == text
        parts = await fan_out(echo, [text, text[:20]])
        await fragile("bad")
        return int(same and parts == [text, text[:20]])

    async with opened() as rt:
        await rt.run(large, hostile, run_id="r")
        calls["heal"] = 1
        assert (await rt.run(large, hostile, run_id="r")).unwrap() == 1
    assert calls["echo"] == 3


async def test_an_uncaught_bug_is_raised_and_the_run_can_go_on(opened: Opener) -> None:
    @pipeline("buggy")
    async def buggy(word: str) -> str:
        loud = await shout(word)
        if not calls["heal"]:
            raise KeyError("bug in the pipeline")
        return loud

    async with opened() as rt:
        with pytest.raises(KeyError):
            await rt.run(buggy, "a", run_id="r")
        calls["heal"] = 1
        assert (await rt.run(buggy, "a", run_id="r")).unwrap() == "A"
    assert calls["shout"] == 1


async def test_an_unknown_run_is_a_typed_error(opened: Opener) -> None:
    async with opened() as rt:
        with pytest.raises(RunNotFound, match="no-such"):
            await rt.resume("no-such")
        with pytest.raises(RunNotFound):
            await rt.signal("no-such", "go")


async def test_a_reask_is_replayed_without_paying(opened: Opener) -> None:
    asking = ask("ask", reask(1, on=Kind.SCHEMA))

    @pipeline("replayed")
    async def replayed(word: str) -> str:
        text = (await asking(word)).text
        if not calls["heal"]:
            raise StageEnded("later trouble")
        return text

    model = Scripted({"wrong": 1}, Answer(text="fine"))
    async with opened(model) as rt:
        assert (await rt.run(replayed, "a", run_id="r")).status == "failed"
        calls["heal"] = 1
        result = await rt.run(replayed, "a", run_id="r")
    assert result.unwrap() == "fine"
    assert model.count == 2
    assert [a.start.rung for a in result.attempts] == ["start", "reask"]


async def test_a_watcher_sees_the_run_as_it_goes(opened: Opener) -> None:
    asking = ask("ask", reask(1, on=Kind.SCHEMA))

    @pipeline("watched")
    async def watched(word: str) -> str:
        return (await asking(await shout(word))).text

    seen: list[str] = []
    async with opened(Scripted({"wrong": 1}, Answer(text="fine"))) as rt, anyio.create_task_group() as group:

        async def look() -> None:
            seen.extend([type(event).__name__ async for event in rt.watch("r")])

        group.start_soon(look)
        await anyio.lowlevel.checkpoint()
        await rt.run(watched, "a", run_id="r")
    assert seen == [
        "RunStarted",
        "StageStarted",
        "StageFinished",
        "StageStarted",
        "AttemptStarted",
        "AttemptEnded",
        "AttemptStarted",
        "AttemptEnded",
        "StageFinished",
        "RunFinished",
    ]


async def test_what_follows_a_call_that_now_ends_otherwise_runs_anew(opened: Opener) -> None:
    @pipeline("rerouted")
    async def rerouted(word: str) -> str:
        first = await fragile.outcome(word)
        text = first.value if first.value is not None else "nothing"
        loud = await shout(text)
        await guardflow.now()
        if not first.ok:
            raise StageEnded("it has to be mended first")
        return loud

    async with opened() as rt:
        assert (await rt.run(rerouted, "bad", run_id="r")).status == "failed"
        calls["heal"] = 1
        assert (await rt.run(rerouted, "bad", run_id="r")).unwrap() == "BAD!"
    assert calls["shout"] == 2


async def test_an_opening_that_was_cut_short_is_finished(opened: Opener) -> None:
    """The process died after the round was opened and before the old checkpoint was dropped."""
    asking = ask()

    @pipeline("cut")
    async def cut(word: str) -> str:
        return (await asking(word)).text

    model = Scripted(Kind.REFUSED, Answer(text="now"))
    async with opened(model) as rt:
        await rt.run(cut, "a", run_id="r")
        ended = await find_ended(rt.backend, "r")
        await rt.backend.ledger.open_rounds(plan_for(ended, ended.calls, reason="resume").rounds)
        await rt.backend.runs.reopen(["r"])
        assert (await rt.run(cut, "a", run_id="r")).unwrap() == "now"
    assert model.count == 2


async def test_a_fork_survives_its_pruned_parent(opened: Opener) -> None:
    @pipeline("kept")
    async def kept(word: str) -> int:
        parts = await fan_out(shout, [word * 300_000, word])
        return len(parts[0]) + len(await fragile(word))

    async with opened() as rt:
        await rt.run(kept, "a", run_id="parent")
        await rt.run(kept, "b", run_id="other")
        copy = await rt.fork("parent", from_stage="fragile", new_id="copy")
        assert await rt.prune(older_than=timedelta(0)) == 2
        await rt.backend.sweep(0.0)
        with pytest.raises(RunNotFound):
            await rt.resume("parent")
        assert (await rt.resume(copy)).unwrap() == 300_002
    assert calls["shout"] == 4


async def test_a_code_stage_does_not_outlive_the_seconds_of_its_run(opened: Opener) -> None:
    @stage
    async def endless(word: str) -> str:
        await anyio.sleep(60)
        return word

    @pipeline("timed")
    async def timed(word: str) -> str:
        return await endless(word)

    async with opened() as rt:
        assert (await rt.run(timed, "a", budget=Budget(seconds=0.1))).status == "over_budget"


async def test_a_started_run_goes_on_in_the_background(opened: Opener) -> None:
    @pipeline("background")
    async def background(word: str) -> str:
        return await shout(word)

    async with opened() as rt:
        started = await rt.start(background, "a")
        assert (await started.result()).unwrap() == "A"
        assert (await rt.run(background, "a", run_id=started.run_id)).unwrap() == "A"
    assert calls["shout"] == 1
