"""All backends: what is recorded, replayed, forked and refused."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from conformance import Answer, Opener, Words, ask, calls, fragile, shout

import guardflow
from guardflow import (
    Budget,
    fan_out,
    pipeline,
    stage,
)
from guardflow.errors import (
    NotResumable,
    ReplayMismatch,
    StageError,
)
from guardflow.testing import Scripted

pytestmark = pytest.mark.anyio


async def test_a_signal_reaches_the_run(opened: Opener) -> None:
    body = anyio.Event()

    @pipeline("signalled")
    async def signalled(word: str) -> str:
        body.set()
        got = await guardflow.wait_signal("go", timeout=60)
        missed = await guardflow.wait_signal("never", timeout=0.01)
        return f"{word} {got} {missed}"

    async with opened() as rt, anyio.create_task_group() as group:

        async def send() -> None:
            await body.wait()  # before, there need be no run of that id
            await rt.signal("r", "go", "now")

        group.start_soon(send)
        assert (await rt.run(signalled, "a", run_id="r")).unwrap() == "a now None"


async def test_a_signal_sent_in_time_is_received_however_long_the_look_for_it_takes(
    opened: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1_700_000_000.0]

    @pipeline("late")
    async def late(word: str) -> str:
        return f"{word} {await guardflow.wait_signal('go', timeout=10)}"

    async with opened() as rt:
        look = rt.backend.runs.receive

        async def slow(run_id: str, name: str, *, after: int) -> object:
            found = await look(run_id, name, after=after)
            if now[0] == 1_700_000_000.0:
                await rt.signal(run_id, name, "now")
                now[0] += 11
            return found

        monkeypatch.setattr(rt.services, "clock", lambda: now[0])
        monkeypatch.setattr(rt.backend.runs, "receive", slow)
        assert (await rt.run(late, "a")).unwrap() == "a now"


async def test_child_runs_of_a_pipeline(opened: Opener) -> None:
    @pipeline("branch")
    async def branch(word: str) -> str:
        return await fragile(await shout(word))

    @stage
    async def lower(word: str) -> str:
        return word.lower()

    @pipeline("tree")
    async def tree(words: Words) -> list[str]:
        done = await fan_out(branch, words.words, limit=2)
        return [await lower(w) for w in done]

    async with opened() as rt:
        result = await rt.run(tree, Words(words=["a", "b", "c"]), run_id="r")
        assert result.unwrap() == ["a!", "b!", "c!"]
        children = [row for row in await rt.backend.runs.tree("r") if row.parent == "r"]
    assert len(children) == 3
    assert calls["shout"] == 3


async def test_a_failed_child_is_the_only_one_to_run_again(opened: Opener) -> None:
    @pipeline("leaf")
    async def leaf(word: str) -> str:
        return await fragile(word)

    @pipeline("stem")
    async def stem(words: Words) -> list[str]:
        return await fan_out(leaf, words.words)

    words = Words(words=["a", "bad", "c"])
    async with opened() as rt:
        assert (await rt.run(stem, words, run_id="r")).status == "failed"
        calls["heal"] = 1
        assert (await rt.run(stem, words, run_id="r")).unwrap() == ["a!", "bad!", "c!"]
    assert calls == {"fragile:a": 1, "fragile:bad": 2, "fragile:c": 1, "heal": 1}


async def test_a_changed_input_on_replay_is_a_typed_error(opened: Opener) -> None:
    word = ["first"]

    @pipeline("drifting")
    async def drifting(start: str) -> str:
        return await fragile(start if await shout(word[0]) else "")

    async with opened() as rt:
        await rt.run(drifting, "bad", run_id="r")
        word[0] = "second"
        with pytest.raises(ReplayMismatch, match="fork"):
            await rt.run(drifting, "bad", run_id="r")
        word[0] = "first"
        calls["heal"] = 1
        assert (await rt.run(drifting, "bad", run_id="r")).unwrap() == "bad!"


async def test_another_stage_at_the_same_place_is_a_typed_error(opened: Opener) -> None:
    chosen = [shout]

    @pipeline("swapped")
    async def swapped(start: str) -> str:
        return await fragile(await chosen[0](start))

    @stage
    async def murmur(text: str) -> str:
        return text

    async with opened() as rt:
        assert (await rt.run(swapped, "bad", run_id="r")).status == "ok"
        assert (await rt.run(swapped, "bad", run_id="r")).status == "ok"
        chosen[0] = murmur
        copy = await rt.fork("r", from_stage="fragile")
        with pytest.raises(ReplayMismatch, match=r"'stage:shout'.*'stage:murmur'"):
            await rt.resume(copy)


async def test_two_stages_of_one_name_are_refused(opened: Opener) -> None:
    @stage(name="same")
    async def one(n: int) -> int:
        return n

    @stage(name="same")
    async def two(n: int) -> int:
        return n

    @pipeline("named")
    async def named(n: int) -> int:
        return await two(await one(n))

    async with opened() as rt:
        with pytest.raises(StageError, match="two different stages are named 'same'"):
            await rt.run(named, 1)


async def test_a_fork_keeps_what_is_before_the_stage(opened: Opener) -> None:
    @pipeline("forked")
    async def forked(word: str) -> str:
        return await fragile(await shout(word))

    async with opened() as rt:
        await rt.run(forked, "a", run_id="r")
        copy = await rt.fork("r", from_stage="fragile")
        assert (await rt.resume(copy)).unwrap() == "A!"
        with pytest.raises(NotResumable, match="'shout'"):
            await rt.fork("r", from_stage="nothing")
    assert calls["shout"] == 1
    assert calls["fragile:A"] == 2


async def test_a_cancelled_run_keeps_what_it_finished_and_can_go_on(opened: Opener) -> None:
    hold = [True]

    @stage
    async def holding(word: str) -> str:
        calls["holding"] += 1
        while hold[0]:
            await anyio.sleep(0.01)
        return word

    @pipeline("cancelled")
    async def cancelled(word: str) -> str:
        return await holding(await shout(word))

    async with opened() as rt, anyio.create_task_group() as group:
        results: list[object] = []

        async def run() -> None:
            results.append(await rt.run(cancelled, "a", run_id="r"))

        group.start_soon(run)
        while not calls["holding"]:
            await anyio.sleep(0.01)
        await rt.cancel("r")
        while not results:
            await anyio.sleep(0.01)
        assert results[0].status == "cancelled"  # type: ignore[attr-defined]
        hold[0] = False
        assert (await rt.run(cancelled, "a", run_id="r")).unwrap() == "A"
    assert calls["shout"] == 1


async def test_a_budget_stops_the_run_and_a_higher_one_goes_on(opened: Opener) -> None:
    asking = ask()

    @pipeline("budgeted")
    async def budgeted(words: Words) -> list[str]:
        return [(await asking(word)).text for word in words.words]

    model = Scripted(Answer(text="fine"))
    words = Words(words=["a", "b", "c"])
    async with opened(model) as rt:
        stopped = await rt.run(budgeted, words, run_id="r", budget=Budget(calls=2))
        assert stopped.status == "over_budget"
        assert model.count == 2
        done = await rt.run(budgeted, words, run_id="r", budget=Budget(calls=3))
    assert done.unwrap() == ["fine"] * 3
    assert model.count == 3
    assert done.spend.calls == 3


async def test_seconds_end_a_run_that_takes_too_long(opened: Opener) -> None:
    asking = ask()

    @pipeline("slow")
    async def slow(word: str) -> str:
        return (await asking(word)).text

    model = Scripted(Answer(text="fine"), delay=600.0)
    async with opened(model) as rt:
        for seconds in (0.1, 1.0, 10.0):
            result = await rt.run(slow, "a", budget=Budget(seconds=seconds))
            assert result.status == "over_budget"
            if model.count:  # else this machine needs more time to send it
                break
        attempts = await rt.backend.ledger.attempts(result.run_id)
    assert attempts[0].end is not None
    assert attempts[0].end.abandoned


async def test_the_cache_answers_across_runs_at_no_cost(opened: Opener) -> None:
    asking = ask()

    @pipeline("cached")
    async def cached(word: str) -> str:
        return (await asking(word)).text

    model = Scripted(Answer(text="fine"))
    async with opened(model) as rt:
        await rt.run(cached, "a", cache="use")
        again = await rt.run(cached, "a", cache="use")
        assert again.spend.calls == 0
        await rt.run(cached, "a", cache="refresh")
        only = await rt.run(cached, "b", cache="only")
        assert only.status == "failed"
        assert "not in the response cache" in only.message
    assert again.unwrap() == "fine"
    assert model.count == 2


async def test_equal_requests_at_the_same_time_are_sent_once(opened: Opener) -> None:
    asking = ask()

    @pipeline("flight")
    async def flight(words: Words) -> list[str]:
        return [a.text for a in await fan_out(asking, words.words)]

    model = Scripted(Answer(text="fine"), delay=0.05)
    async with opened(model) as rt:
        await rt.run(flight, Words(words=["same"] * 5), cache="use")
    assert model.count == 1
