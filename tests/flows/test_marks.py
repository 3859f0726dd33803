"""What a pipeline says of its own result: the run is degraded, everywhere, and after a crash too."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from guardflow import (
    Kind,
    Ladder,
    LLMStage,
    Model,
    Runtime,
    StageError,
    degrade,
    fan_out,
    mark_degraded,
    pipeline,
    stage,
)
from guardflow.prompts import inline_prompt
from guardflow.runtime.inspection import read_run
from guardflow.settings import Settings, load_settings
from guardflow.testing import Scripted

pytestmark = pytest.mark.anyio


@stage
async def shout(text: str) -> str:
    return text.upper()


async def test_a_run_that_marks_a_part_is_degraded_and_says_why(
    database: str | None, settings: Settings
) -> None:
    @pipeline("marked")
    async def marked(text: str) -> str:
        said = await shout(text)
        mark_degraded("sources", "two of three\n could not be read")
        mark_degraded("check")
        mark_degraded("sources", "another reason")
        return said

    async with Runtime(database, settings=settings) as rt:
        run = await rt.run(marked, "x", run_id="m")
        again = await rt.run(marked, "x", run_id="m")
    for one in (run, again):
        assert (one.status, one.output, one.ok) == ("degraded", "X", True)
        assert one.degraded == ("check", "sources")
        assert one.message == "sources: two of three could not be read"
    if database is None:
        row = (await read_run(settings, "m")).row
        assert (row.status, row.error) == ("degraded", run.message)


async def test_marks_stand_beside_the_stages_whose_fallback_stood_in() -> None:
    ask = LLMStage(
        "ask",
        str,
        str,
        prompt=inline_prompt("{{ input | fenced }}", ["input"]),
        model=Model("fast"),
        ladder=Ladder(otherwise=degrade()),
        fallback=lambda text, findings: text,
    )

    @pipeline("both")
    async def both(text: str) -> str:
        mark_degraded("ask", "it was asked once only")
        mark_degraded("links")
        return await ask(text)

    async with Runtime("memory", models={"fast": Scripted(Kind.EMPTY)}) as rt:
        assert (await rt.run(both, "x")).degraded == ("ask", "links")


async def test_a_run_that_was_stopped_after_its_mark_is_degraded_when_it_goes_on(
    durable: str | None, settings: Settings
) -> None:
    reached = anyio.Event()
    wait = True

    @stage
    async def slow(text: str) -> str:
        if wait:
            reached.set()
            await anyio.sleep_forever()
        return text

    @pipeline("stopped")
    async def stopped(text: str) -> str:
        if await shout(text) == "X":
            mark_degraded("first half", "it was cut")
        return await slow(text)

    async def first() -> None:
        async with Runtime(durable, settings=settings) as rt:
            await rt.run(stopped, "x", run_id="s")

    async with anyio.create_task_group() as group:
        group.start_soon(first)
        await reached.wait()
        group.cancel_scope.cancel()
    wait = False
    async with Runtime(durable, settings=settings, pipelines=[stopped]) as rt:
        run = await rt.resume("s")
    assert (run.status, run.degraded, run.message) == ("degraded", ("first half",), "first half: it was cut")


async def test_a_run_without_a_result_ends_as_it_would_without_a_mark() -> None:
    @stage
    async def fails(text: str) -> str:
        raise ValueError(text)

    @pipeline("failing")
    async def failing(text: str) -> str:
        mark_degraded("all", "before the end")
        return await fails(text)

    async with Runtime("memory") as rt:
        run = await rt.run(failing, "x")
    assert run.status == "failed"
    assert "ValueError" in run.message


async def test_a_child_run_marks_itself_and_its_parent_decides() -> None:
    @pipeline("child")
    async def child(text: str) -> str:
        if text == "b":
            mark_degraded("child's part")
        return text

    @pipeline("parent")
    async def parent(texts: list[str]) -> list[str]:
        outcomes = await fan_out(child, texts, errors="collect")
        if any(outcome.status == "degraded" for outcome in outcomes):
            mark_degraded("children")
        return [outcome.unwrap() for outcome in outcomes]

    async with Runtime("memory") as rt:
        run = await rt.run(parent, ["a", "b"])
    assert (run.status, run.degraded, run.output) == ("degraded", ("children",), ["a", "b"])


async def test_secrets_stay_out_of_reasons(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-value")

    @pipeline("careless")
    async def careless(text: str) -> str:
        mark_degraded("page", "refused with sk-very-secret-value")
        return text

    async with Runtime("memory", settings=load_settings(tmp_path, home=tmp_path / "state")) as rt:
        run = await rt.run(careless, "x")
    assert run.degraded == ("page",)
    assert "sk-very-secret-value" not in run.message


@pytest.mark.parametrize("part", ["", " ", "two\nlines", "x" * 101, "\x1b[31m"])
async def test_a_part_is_a_short_name(part: str) -> None:
    @pipeline("wrong")
    async def wrong(text: str) -> str:
        mark_degraded(part)
        return text

    async with Runtime("memory") as rt:
        with pytest.raises(StageError, match="part="):
            await rt.run(wrong, "x")


async def test_only_a_pipeline_can_mark_its_run() -> None:
    with pytest.raises(StageError, match="outside of a pipeline"):
        mark_degraded("all")

    @stage
    async def marks(text: str) -> str:
        mark_degraded("all")
        return text

    @pipeline("wrong")
    async def wrong(text: str) -> str:
        return await marks(text)

    async with Runtime("memory") as rt:
        with pytest.raises(StageError, match="inside stage 'marks'"):
            await rt.run(wrong, "x")
