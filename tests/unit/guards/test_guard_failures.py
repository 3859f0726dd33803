"""What happens when guards crash, disagree or take their time."""

import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

import anyio
import pytest
from guarded import (
    CTX,
    Answer,
    Quote,
    answer,
    checked,
    flags,
    no_bad,
    raises,
    raises_async,
    returns_true,
    title_is_upper,
    yields_none,
    yields_text,
)

from guardflow.errors import BudgetExceeded, GuardCrashed, ModelCallError
from guardflow.guards import GuardContext, check, guard, most_asks
from guardflow.guards.report import SHOWN, TEXT
from guardflow.kinds import Kind
from guardflow.values import Finding, Model

pytestmark = pytest.mark.anyio

WAIT = 60.0
"""Seconds after which something hangs."""


async def test_a_fix_that_never_helps_ends_as_reject_after_three_looks() -> None:
    looks = 0

    @guard
    def never(value: Answer) -> Iterator[Finding]:
        nonlocal looks
        looks += 1
        yield Finding("never good")

    result = await checked(answer(), never.fix(lambda v, f: v.model_copy(update={"title": v.title + "x"})))
    assert (result.action, looks, result.value.title) == ("reject", 3, "txx")
    looks = 0
    result = await checked(answer(), never.fix(lambda v, f: v))
    assert (result.action, looks) == ("reject", 1) and "changed nothing" in result.findings[0].message


async def test_fixes_follow_each_other_each_on_what_the_last_one_made() -> None:
    @guard
    def ends_with_dot(value: Answer) -> Iterator[Finding]:
        if not value.title.endswith("."):
            yield Finding(f"{value.title} has no dot")

    seen: list[str] = []

    def dot(value: Answer, findings: Sequence[Finding]) -> Answer:
        seen.extend(f.message for f in findings)
        return value.model_copy(update={"title": value.title + "."})

    upper = title_is_upper.fix(lambda v, f: v.model_copy(update={"title": v.title.upper()}))
    result = await checked(answer(), upper, ends_with_dot.fix(dot), no_bad.drop())
    assert result.action == "pass" and result.value.title == "T." and seen == ["T has no dot"]
    assert [q.text for q in result.value.body.quotes] == ["good", "fine"]


async def test_a_fix_that_raises_is_a_crash() -> None:
    with pytest.raises(GuardCrashed, match="ZeroDivisionError"):
        await checked(answer(), title_is_upper.fix(lambda v, f: 1 / 0))  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("fn", [raises, returns_true, yields_text, raises_async, yields_none])
@pytest.mark.parametrize("action", ["warn", "reject", "drop"])
async def test_a_guard_that_crashes_fails_whatever_its_action(fn: Callable[..., Any], action: str) -> None:
    for made in (guard(fn), guard(fn), guard(inline=True)(fn) if not guard(fn).is_async else guard(fn)):
        with pytest.raises(GuardCrashed, match=f"guard '{fn.__name__}' of stage 'answer' crashed") as caught:
            await checked(answer(), flags().reject(), getattr(made, action)())
        assert caught.value.__cause__ is not None


async def test_a_sync_guard_that_hands_out_a_coroutine_is_a_crash() -> None:
    async def inner(value: object) -> None: ...

    with pytest.raises(GuardCrashed, match="is async"):
        await checked(answer(), guard(name="sly")(lambda value: inner(value)).warn())  # noqa: PLW0108 - it must not be async itself


async def test_a_crash_is_raised_as_itself_and_cancels_the_other_guards() -> None:
    ended: list[str] = []

    @guard
    async def slow(value: object) -> None:
        try:
            await anyio.sleep_forever()
        finally:
            ended.append("slow")

    with pytest.raises(GuardCrashed), anyio.fail_after(WAIT):
        await checked(answer(), slow.reject(), guard(raises_async).reject())
    assert ended == ["slow"]


@pytest.mark.parametrize(
    "error", [ModelCallError("judge is down", kind=Kind.OVERLOADED), BudgetExceeded("spent")]
)
async def test_what_asking_a_model_ended_with_passes_unchanged(error: Exception) -> None:
    async def ask(*args: object, **kwargs: object) -> Any:
        raise error

    @guard(asks=1)
    async def judged(value: object, ctx: GuardContext[str]) -> AsyncIterator[Finding]:
        await ctx.ask(Model("judge"), "?", Quote)
        yield Finding("never reached")

    ctx = GuardContext("source", stage="answer", ask=ask)
    with pytest.raises(type(error)) as caught:
        await check(answer(), [judged.reject(), flags().warn()], ctx, revalidate=Answer.model_validate)
    assert caught.value is error


async def test_a_guard_may_not_ask_more_than_it_declares() -> None:
    asked = 0

    async def ask(
        model: Model, text: str, answer: type, /, *, variables: Mapping[str, object], guard: str
    ) -> Any:
        nonlocal asked
        asked += 1
        assert guard == "greedy"
        return answer(text="x")

    @guard(asks=2)
    async def greedy(value: object, ctx: GuardContext[str]) -> None:
        for _ in range(3):
            await ctx.ask(Model("judge"), "?", Quote)

    ctx = GuardContext("source", stage="answer", ask=ask)  # type: ignore[arg-type]  # not generic
    with pytest.raises(GuardCrashed, match=r"asks more than the 2 .*asks=3"):
        await check(answer(), [greedy.warn()], ctx, revalidate=Answer.model_validate)
    assert asked == 2


def test_the_worst_case_of_questions_counts_repairs() -> None:
    @guard(asks=2)
    async def asking(value: object, ctx: GuardContext[str]) -> None: ...

    assert most_asks([asking.reject(), asking.warn()]) == 4
    assert most_asks([asking.reject(), no_bad.drop()]) == 6
    assert most_asks([asking.fix(lambda v, f: v)]) == 10


async def test_an_error_of_revalidation_that_is_not_about_the_value_is_not_hidden() -> None:
    def broken(tree: object) -> Answer:
        raise RuntimeError("adapter is broken")

    with pytest.raises(RuntimeError, match="adapter"):
        await check(answer(), [no_bad.drop()], CTX, revalidate=broken)


async def test_a_flood_of_findings_is_cut_and_reading_stops() -> None:
    read = 0

    @guard
    def flood(value: object) -> Iterator[Finding]:
        nonlocal read
        while True:
            read += 1
            yield Finding("m" * 9999, at=("k" * 9999, read), evidence="e" * 9999, expected="x" * 9999)

    @guard
    async def flood_async(value: object) -> AsyncIterator[Finding]:
        while True:
            yield Finding("endless")

    result = await checked(answer(), flood.reject(), flood_async.warn())
    assert read == SHOWN + 1 and len(result.findings) == SHOWN + 1 and len(result.warnings) == SHOWN + 1
    assert "more" in result.findings[-1].message
    first = result.findings[0]
    assert all(
        len(t or "") == TEXT for t in (first.message, first.evidence, first.expected, str(first.at[0]))
    )
    endless = await checked(answer(), flood_async.drop())
    assert endless.action == "reject" and "too many" in endless.findings[0].message


async def test_async_guards_overlap() -> None:
    arrived = 0
    everyone = anyio.Event()

    def meeting(name: str) -> Any:
        async def waits(value: object) -> None:
            nonlocal arrived
            arrived += 1
            if arrived == 3:
                everyone.set()
            await everyone.wait()

        return guard(name=name)(waits)

    with anyio.fail_after(WAIT):
        assert (await checked(answer(), *[meeting(n).reject() for n in "abc"])).action == "pass"


async def test_sync_guards_leave_the_loop_free_and_share_one_thread() -> None:
    threads: list[int] = []
    release = threading.Event()

    def waiting(name: str) -> Any:
        def waits(value: object) -> None:
            threads.append(threading.get_ident())
            assert release.wait(WAIT), "the loop was blocked"

        return guard(name=name)(waits)

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: checked(answer(), waiting("a").reject(), waiting("b").reject()))
        while not threads:
            await anyio.sleep(0.001)
        release.set()
    assert len(threads) == 2 and len(set(threads)) == 1 and threading.get_ident() not in threads


async def test_inline_guards_run_on_the_loop() -> None:
    threads: list[int] = []

    @guard(inline=True)
    def here(value: object) -> None:
        threads.append(threading.get_ident())

    await checked(answer(), here.reject())
    assert threads == [threading.get_ident()]


async def test_a_hanging_sync_guard_does_not_outlive_a_deadline() -> None:
    running, release, ended = threading.Event(), threading.Event(), threading.Event()

    @guard
    def hangs(value: object) -> None:
        running.set()
        release.wait(WAIT)
        ended.set()

    async with anyio.create_task_group() as group:
        group.start_soon(lambda: checked(answer(), hangs.reject()))
        while not running.is_set():
            await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert not ended.is_set()
    release.set()


async def test_an_early_stop_closes_the_guard() -> None:
    closed: list[str] = []

    @guard
    async def endless(value: object) -> AsyncIterator[Finding]:
        try:
            while True:
                yield Finding("x")
        finally:
            closed.append("async")

    await checked(answer(), endless.warn())
    assert closed == ["async"]
