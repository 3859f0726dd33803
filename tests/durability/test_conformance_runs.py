"""All backends: runs, stages, fan_out, rounds and people, the same wherever they are stored."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import anyio
import anyio.lowlevel
import pytest
from conformance import Answer, Opener, Words, ask, calls, fragile, shout

import guardflow
from guardflow import (
    Finding,
    GuardContext,
    Kind,
    fan_out,
    first_of,
    guard,
    park,
    pipeline,
    stage,
)
from guardflow.errors import (
    NotResumable,
    RunExists,
    StageError,
    WaitingForPerson,
)
from guardflow.testing import Scripted

pytestmark = pytest.mark.anyio


async def test_a_run_gives_its_result_again_without_doing_anything(opened: Opener) -> None:
    asking = ask()

    @pipeline("twice")
    async def twice(word: str) -> str:
        return (await asking(await shout(word))).text

    model = Scripted(Answer(text="fine"))
    async with opened(model) as rt:
        first = await rt.run(twice, "hi", run_id="r1")
        again = await rt.run(twice, "hi", run_id="r1")
    assert first.unwrap() == again.unwrap() == "fine"
    assert first.status == "ok"
    assert model.count == 1
    assert calls["shout"] == 1


async def test_a_run_id_with_another_input_is_refused(opened: Opener) -> None:
    @pipeline("one")
    async def one(word: str) -> str:
        return await shout(word)

    @pipeline("two")
    async def two(word: str) -> str:
        return await shout(word)

    async with opened() as rt:
        await rt.run(one, "a", run_id="r1")
        with pytest.raises(RunExists, match="another input"):
            await rt.run(one, "b", run_id="r1")
        with pytest.raises(RunExists, match="pipeline 'one'"):
            await rt.run(two, "a", run_id="r1")
        assert (await rt.run(one, "a", run_id="r1")).unwrap() == "A"


async def test_gathered_stages_keep_their_places(opened: Opener) -> None:
    @stage
    async def slow(n: int) -> int:
        await anyio.sleep(0.02 * (3 - n))
        return n * 10

    @pipeline("gathered")
    async def gathered(n: int) -> list[int]:
        return list(await asyncio.gather(slow(0), slow(1), slow(2)))

    async with opened() as rt:
        assert (await rt.run(gathered, 1, run_id="r")).unwrap() == [0, 10, 20]


async def test_a_stage_in_another_task_is_refused(opened: Opener) -> None:
    async def branch(word: str) -> str:
        return await shout(await shout(word))

    @pipeline("branches")
    async def branches(word: str) -> list[str]:
        return list(await asyncio.gather(branch(word), branch(word)))

    async with opened() as rt:
        with pytest.raises(StageError, match="another task"):
            await rt.run(branches, "a")


async def test_a_failed_run_tries_again_only_what_failed(opened: Opener) -> None:
    @pipeline("mended")
    async def mended(words: Words) -> list[str]:
        loud = await shout("x")
        return [loud, *(await fan_out(fragile, words.words, limit=1))]

    words = Words(words=["a", "bad", "c"])
    async with opened() as rt:
        failed = await rt.run(mended, words, run_id="r")
        assert failed.status == "failed"
        assert "cannot do this one" in failed.message
        calls["heal"] = 1
        result = await rt.run(mended, words, run_id="r")
    assert result.unwrap() == ["X", "a!", "bad!", "c!"]
    assert calls == {"shout": 1, "fragile:a": 1, "fragile:bad": 2, "fragile:c": 1, "heal": 1}


async def test_collected_errors_are_outcomes(opened: Opener) -> None:
    @pipeline("collected")
    async def collected(words: Words) -> list[str]:
        outcomes = await fan_out(fragile, words.words, errors="collect")
        return [o.status for o in outcomes]

    async with opened() as rt:
        result = await rt.run(collected, Words(words=["a", "bad"]))
    assert result.unwrap() == ["ok", "failed"]


async def test_an_abstained_stage_opens_a_new_round_on_resume(opened: Opener) -> None:
    asking = ask()

    @pipeline("rounds")
    async def rounds(word: str) -> str:
        return (await asking(word)).text

    model = Scripted(Kind.REFUSED, Answer(text="now"))
    async with opened(model) as rt:
        assert (await rt.run(rounds, "a", run_id="r")).status == "abstained"
        assert (await rt.run(rounds, "a", run_id="r")).unwrap() == "now"
        attempts = await rt.backend.ledger.attempts("r")
    assert [(a.start.round, a.kind) for a in attempts] == [(0, Kind.REFUSED), (1, None)]


async def test_stored_answers_are_checked_again_for_free_when_the_guards_changed(opened: Opener) -> None:
    @guard(inline=True)
    def strict(answer: Answer, ctx: GuardContext[str]) -> Iterator[Finding]:
        if len(answer.text) > 3:
            yield Finding("too long")

    guarded, lenient = ask(guards=[strict.reject()]), ask()
    chosen = [guarded]

    @pipeline("relaxed")
    async def relaxed(word: str) -> str:
        return (await chosen[0](word)).text

    model = Scripted(Answer(text="a long answer"))
    async with opened(model) as rt:
        assert (await rt.run(relaxed, "a", run_id="r")).status == "abstained"
        chosen[0] = lenient
        assert (await rt.run(relaxed, "a", run_id="r")).unwrap() == "a long answer"
    assert model.count == 1


async def test_a_parked_stage_waits_and_is_answered(opened: Opener) -> None:
    asking = ask(otherwise=park())

    @pipeline("parked")
    async def parked(word: str) -> str:
        answer, loud = await asyncio.gather(asking(word), shout(word))
        return answer.text + loud

    model = Scripted(Kind.REFUSED)
    async with opened(model) as rt:
        waiting = await rt.run(parked, "a", run_id="r")
        assert waiting.status == "waiting"
        assert [p.stage for p in waiting.parked] == ["ask"]
        with pytest.raises(WaitingForPerson):
            waiting.unwrap()
        with pytest.raises(NotResumable, match="waiting: 'ask'"):
            await rt.answer("r", "other", value={"text": "x"})
        wrong = await rt.answer("r", "ask", value={"nope": 1})
        assert wrong.status == "waiting"
        assert "does not fit" in wrong.message
        done = await rt.answer("r", "ask", value={"text": "by hand "})
    assert done.unwrap() == "by hand A"
    assert model.count == 1
    assert calls["shout"] == 1


async def test_a_parked_stage_can_be_retried_and_skipped(opened: Opener) -> None:
    asking = ask(otherwise=park())

    @pipeline("again")
    async def again(word: str) -> str:
        return (await asking(word)).text

    async with opened(Scripted(Kind.REFUSED, Answer(text="second"))) as rt:
        await rt.run(again, "a", run_id="r1")
        assert (await rt.answer("r1", "ask", action="retry")).unwrap() == "second"
    async with opened(Scripted(Kind.REFUSED)) as rt:
        await rt.run(again, "b", run_id="r2")
        skipped = await rt.answer("r2", "ask", action="skip")
    assert skipped.status == "abstained"
    assert "skipped" in skipped.message


async def test_time_and_chance_are_recorded(opened: Opener) -> None:
    seen: list[object] = []

    @pipeline("recorded")
    async def recorded(word: str) -> str:
        seen.append((await guardflow.now(), await guardflow.uuid(), await guardflow.random()))
        await guardflow.sleep(0.01)
        return await fragile(word)

    async with opened() as rt:
        assert (await rt.run(recorded, "bad", run_id="r")).status == "failed"
        calls["heal"] = 1
        assert (await rt.run(recorded, "bad", run_id="r")).unwrap() == "bad!"
    assert seen[0] == seen[1]


async def test_the_first_of_several_is_recorded(opened: Opener) -> None:
    began = anyio.Event()

    @stage
    async def race(name: str) -> str:
        calls[name] += 1
        if name == "a":
            began.set()
            await anyio.sleep_forever()
        await began.wait()
        return name

    @pipeline("raced")
    async def raced(word: str) -> str:
        winner = await first_of(race("a"), race("b"))
        return winner + await fragile(word)

    async with opened() as rt:
        assert (await rt.run(raced, "bad", run_id="r")).status == "failed"
        calls["heal"] = 1
        assert (await rt.run(raced, "bad", run_id="r")).unwrap() == "bbad!"
    assert calls["a"] == 1
    assert calls["b"] == 1
