"""Guards joined by `&` and `|`, and guards under a condition: what they find, what they cost, what they are."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from guarded import CTX, checked
from hypothesis import given, settings
from hypothesis import strategies as st

from guardflow.errors import GuardCrashed, ModelCallError, StageError
from guardflow.guards import Guard, GuardContext, GuardUse, check, guard, most_asks
from guardflow.guards.kit import length, must_match
from guardflow.kinds import Kind
from guardflow.values import Finding, Model


def has(letter: str, *, sync: bool = True, inline: bool = False) -> Guard[str, object]:
    """A guard that misses a letter; its name is the letter."""
    if sync:

        def misses(text: str) -> Iterator[Finding]:
            if letter not in text:
                yield Finding(f"has no {letter}")

        return Guard(misses, name=letter, inline=inline)

    async def misses_async(text: str) -> AsyncIterator[Finding]:
        await anyio.lowlevel.checkpoint()
        if letter not in text:
            yield Finding(f"has no {letter}")

    return Guard(misses_async, name=letter)


A, B, C = has("a"), has("b", inline=True), has("c", sync=False)
ATOMS = (A, B, C, has("d", inline=True), has("e", sync=False))


@guard(inline=True)
def never(text: str) -> Iterator[Finding]:
    yield Finding("never good")


@guard
def always(text: str) -> None:
    return None


async def findings(of: Guard[Any, Any], text: str) -> list[Finding]:
    if of.is_async:
        return [f async for f in of(text, CTX)]
    return list(of(text, CTX))


def found(of: Guard[Any, Any], text: str) -> set[tuple[str, str | None]]:
    async def run() -> list[Finding]:
        return await findings(of, text)

    return {(f.message.partition(" (one of")[0], f.guard) for f in anyio.run(run)}


def messages(of: Guard[Any, Any], text: str) -> set[str]:
    return {message for message, _ in found(of, text)}


guards = st.recursive(
    st.sampled_from(ATOMS),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map(lambda ab: ab[0] & ab[1]),
        st.tuples(inner, inner).map(lambda ab: ab[0] | ab[1]),
        inner.map(lambda g: g.when(lambda text: len(text) > 1)),
    ),
    max_leaves=5,
)
words = st.text(alphabet="abcde", max_size=4)


# --- laws -----------------------------------------------------------------------------------------------------

few = settings(max_examples=40)
"""Each example starts event loops and threads; a law that does not hold fails within a few."""


@few
@given(guards, guards, words)
def test_and_passes_what_both_pass_and_or_what_either_passes(a: Any, b: Any, text: str) -> None:
    good, fine = not found(a, text), not found(b, text)
    assert (not found(a & b, text)) is (good and fine)
    assert (not found(a | b, text)) is (good or fine)


@few
@given(guards, guards, guards, words)
def test_grouping_does_not_change_what_is_found(a: Any, b: Any, c: Any, text: str) -> None:
    assert found((a & b) & c, text) == found(a & (b & c), text)
    assert found((a | b) | c, text) == found(a | (b | c), text)
    assert ((a & b) & c).name == (a & (b & c)).name
    assert ((a | b) | c).reject().identity == (a | (b | c)).reject().identity


@few
@given(guards, guards, words)
def test_order_does_not_change_what_is_found(a: Any, b: Any, text: str) -> None:
    assert messages(a & b, text) == messages(b & a, text)
    assert messages(a | b, text) == messages(b | a, text)


@few
@given(guards, words)
def test_a_guard_joined_with_itself_is_itself(a: Any, text: str) -> None:
    assert found(a & a, text) == found(a, text) == found(a | a, text)
    assert (a & a).asks == a.asks


@few
@given(guards, words)
def test_guards_that_always_and_never_pass_are_neutral_and_absorbing(a: Any, text: str) -> None:
    assert messages(a & always, text) == messages(a, text)
    assert not found(a | always, text)
    assert messages(a & never, text) == {*messages(a, text), "never good"}
    if not found(a, text):
        assert not found(a | never, text)
    else:
        assert messages(a | never, text) == {*messages(a, text), "never good"}


@few
@given(guards, words)
def test_a_condition_lets_a_guard_look_or_not(a: Any, text: str) -> None:
    assert messages(a.when(lambda _: True), text) == messages(a, text)
    assert not found(a.when(lambda _: False), text)


@few
@given(guards, words)
def test_the_runner_finds_what_a_call_finds(a: Any, text: str) -> None:
    async def run() -> set[str]:
        return {f.message for f in (await checked(text, a.reject())).findings}

    async def call() -> set[str]:
        return {f.message for f in await findings(a, text)}

    assert anyio.run(run) == anyio.run(call)


# --- what findings say ----------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_findings_of_both_are_signed_by_the_guard_that_found_them() -> None:
    result = await checked("x", (A & C).reject())
    assert [(f.guard, f.message) for f in result.findings] == [("a", "has no a"), ("c", "has no c")]


@pytest.mark.anyio
async def test_findings_of_alternatives_say_that_one_is_enough() -> None:
    result = await checked("x", (A | B | C).reject())
    assert [(f.guard, f.message) for f in result.findings] == [
        ("a | b | c", f"has no {letter} (one of 'a', 'b' or 'c' is enough)") for letter in "abc"
    ]


def test_names_show_how_guards_are_joined() -> None:
    assert (A & B | C).name == "a & b | c"
    assert (A & (B | C)).name == "a & (b | c)"
    assert (A & B & C).name == "a & b & c"
    assert A.when(str.isupper).name == "a"
    assert repr(A & B) == "<guard a & b>"


@pytest.mark.anyio
async def test_a_fix_is_told_which_part_found_what() -> None:
    told: list[str | None] = []

    def mend(text: str, found: Any) -> str:
        told.extend(f.guard for f in found)
        return text + "abc"

    result = await checked("x", (A & B).fix(mend))
    assert result.action == "pass" and result.value == "xabc"
    assert told == ["a", "b"]


@pytest.mark.anyio
async def test_a_part_with_endless_findings_does_not_hold_up_its_alternative() -> None:
    @guard
    def endless(text: str) -> Iterator[Finding]:
        while True:
            yield Finding("again")

    assert (await checked("a", (endless | A).reject())).action == "pass"
    assert (await checked("x", (endless | A).reject())).action == "reject"


# --- crashes, outages, questions -----------------------------------------------------------------------------


@guard
def crashes(text: str) -> Iterator[Finding]:
    raise KeyError("boom")


@pytest.mark.anyio
@pytest.mark.parametrize(
    "composed",
    [A & crashes, crashes & A, crashes | A, crashes.when(lambda _: True), C & crashes, crashes | C],
)
async def test_a_part_that_crashes_is_a_crash_of_the_whole(composed: Guard[str, object]) -> None:
    with pytest.raises(GuardCrashed, match="boom"):
        await checked("a", composed.reject())


@pytest.mark.anyio
async def test_an_alternative_that_is_not_needed_is_not_run() -> None:
    assert (await checked("a", (A | crashes).reject())).action == "pass"


def fails(text: str) -> bool:
    raise KeyError("boom")


def says_nothing(text: str) -> Any:
    return None


def says_one(text: str) -> Any:
    return 1


@pytest.mark.anyio
@pytest.mark.parametrize("condition", [fails, says_nothing, says_one])
@pytest.mark.parametrize("of", [A, B, C])
async def test_a_condition_that_crashes_or_says_nothing_never_passes(of: Any, condition: Any) -> None:
    with pytest.raises(GuardCrashed, match=r"boom|returns (NoneType|int)"):
        await checked("a", of.when(condition).warn())


def test_what_cannot_be_a_condition_is_refused_at_once() -> None:
    async def waits(text: str) -> bool:
        return True

    with pytest.raises(StageError, match="is async"):
        A.when(waits)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(StageError, match=r"takes 'a', 'b', 'c'"):
        A.when(lambda a, b, c: True)  # type: ignore[arg-type, misc]  # that is the point


def test_what_is_no_guard_cannot_be_joined() -> None:
    with pytest.raises(StageError, match=r"joins guards, not a GuardUse.*\(a & b\)\.reject\(\)"):
        A & A.reject()  # type: ignore[operator]  # that is the point


class Asks:
    """Answers every question, and writes down who asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(
        self, model: Model, text: str, answer: type[Any], /, *, variables: Any, guard: str
    ) -> Any:
        self.asked.append(guard)
        return answer()


def asking(name: str, *, declares: int, asks: int) -> Guard[str, object]:
    async def ask(text: str, ctx: GuardContext[object]) -> AsyncIterator[Finding]:
        for _ in range(asks):
            if await ctx.ask(Model("judge"), "?", str):
                yield Finding("no")

    return Guard(ask, name=name, asks=declares)


@pytest.mark.anyio
async def test_questions_are_counted_part_by_part_and_their_bound_is_the_sum() -> None:
    asker = Asks()
    ctx = GuardContext("given", stage="answer", ask=asker)
    composed = asking("one", declares=1, asks=1) & A.when(bool) & asking("two", declares=2, asks=2)
    assert composed.asks == 3 == most_asks([composed.reject()])
    assert (await check("a", [composed.reject()], ctx, revalidate=str)).action == "pass"
    assert sorted(asker.asked) == ["one", "two", "two"]


@pytest.mark.anyio
async def test_a_part_cannot_ask_what_another_part_declared() -> None:
    ctx = GuardContext("given", stage="answer", ask=Asks())
    greedy = asking("greedy", declares=1, asks=2) & asking("modest", declares=5, asks=0)
    with pytest.raises(GuardCrashed, match="'greedy' asks more than the 1 question"):
        await check("a", [greedy.reject()], ctx, revalidate=str)


@pytest.mark.anyio
async def test_an_outage_of_a_judge_is_no_pass_of_an_alternative() -> None:
    class Out(Asks):
        async def __call__(self, *args: Any, **named: Any) -> Any:
            raise ModelCallError("out", kind=Kind.OVERLOADED)

    ctx = GuardContext("given", stage="answer", ask=Out())
    for composed in (asking("j", declares=1, asks=1) | always, A & asking("j", declares=1, asks=1)):
        with pytest.raises(ModelCallError):
            await check("a", [composed.reject()], ctx, revalidate=str)


@pytest.mark.anyio
async def test_async_parts_run_side_by_side_and_are_cancelled_together() -> None:
    running = 0
    most = 0

    def waits(name: str) -> Guard[str, object]:
        async def wait(text: str) -> None:
            nonlocal running, most
            running += 1
            most = max(most, running)
            try:
                await anyio.sleep_forever()
            finally:
                running -= 1

        return Guard(wait, name=name)

    async with anyio.create_task_group() as group:
        group.start_soon(checked, "a", (waits("x") & waits("y") & A).reject())
        with anyio.fail_after(60):
            while running < 2:
                await anyio.sleep(0.001)
        group.cancel_scope.cancel()
    assert most == 2 and running == 0


# --- identity --------------------------------------------------------------------------------------------------


def test_the_identity_covers_parts_conditions_and_how_they_are_joined() -> None:
    uses: list[GuardUse[Any, Any]] = [
        (A & B).reject(),
        (A | B).reject(),
        (A & C).reject(),
        (A & B).drop(),
        A.reject(),
        A.when(lambda text: len(text) > 1).reject(),
        A.when(lambda text: len(text) > 2).reject(),
        (A.when(str.isupper) & B).reject(),
        (length("t", words=(1, 2)) & must_match("a", at="t")).reject(),
        (length("t", words=(1, 3)) & must_match("a", at="t")).reject(),
    ]
    assert len({use.identity for use in uses}) == len(uses)


def test_a_stated_version_counts_in_a_composition() -> None:
    one: Guard[str, object] = Guard(lambda text: None, name="g", version="1")
    two: Guard[str, object] = Guard(lambda text: None, name="g", version="2")
    assert (A & one).version != (A & two).version
    assert one.when(bool).version != two.when(bool).version


def test_a_composed_guard_needs_a_context_only_if_a_part_does() -> None:
    @guard
    def with_context(text: str, ctx: GuardContext[str]) -> None: ...

    assert list((A & B)("ab")) == []
    with pytest.raises(StageError, match="takes a context"):
        (A & with_context)("ab")
    with pytest.raises(StageError, match="takes a context"):
        A.when(lambda text, ctx: True)("ab")


def test_inline_parts_make_an_inline_whole() -> None:
    inline = has("x", inline=True)
    assert (B & inline).inline and not (A & B).inline and not (B & C).inline
    assert B.when(bool).inline


def test_the_decorator_takes_a_condition_too() -> None:
    @guard(when=lambda text: text.startswith("#"))
    def is_upper(text: str) -> Iterator[Finding]:
        if not text.isupper():
            yield Finding("not upper case")

    assert [f.message for f in is_upper("#a")] == ["not upper case"]
    assert list(is_upper("a")) == []
    assert is_upper.name == "is_upper"
