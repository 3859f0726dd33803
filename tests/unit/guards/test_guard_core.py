"""What a guard is: how it is made, called, named, versioned, and what it may ask."""

import functools
import pickle
import re
from collections.abc import AsyncIterator, Iterator, Mapping

import pytest
from pydantic import BaseModel

from guardflow.errors import GuardCrashed, StageError
from guardflow.guards import Guard, GuardContext, guard
from guardflow.guards.fingerprint import fingerprint
from guardflow.values import Finding, Model


class Answer(BaseModel):
    text: str


class Judged(BaseModel):
    supported: bool


CTX = GuardContext("the source", stage="answer")


@guard
def is_short(answer: Answer, ctx: GuardContext[str]) -> Iterator[Finding]:
    """Answers are shorter than their source."""
    if len(answer.text) > len(ctx.input):
        yield Finding("longer than the source", at=("text",))


def test_a_guard_is_called_like_its_function_and_yields_findings() -> None:
    assert list(is_short(Answer(text="a"), CTX)) == []
    assert list(is_short(Answer(text="a" * 11), CTX)) == [Finding("longer than the source", at=("text",))]


def test_a_guard_keeps_the_name_and_the_docstring_of_its_function() -> None:
    assert is_short.name == "is_short"
    assert is_short.__doc__ == "Answers are shorter than their source."
    assert repr(is_short) == "<guard is_short>"


def test_a_guard_without_context_needs_none() -> None:
    @guard
    def not_empty(answer: Answer) -> list[Finding] | None:
        return None if answer.text else [Finding("empty")]

    assert list(not_empty(Answer(text="a"))) == []
    assert list(not_empty(Answer(text=""), CTX)) == [Finding("empty")]


def test_a_guard_that_takes_a_context_says_so_when_called_without() -> None:
    with pytest.raises(StageError, match="takes a context.*GuardContext"):
        is_short(Answer(text="a"))


@pytest.mark.anyio
async def test_every_async_shape_is_read_with_async_for() -> None:
    @guard
    async def streams(answer: Answer) -> AsyncIterator[Finding]:
        yield Finding("a")

    @guard
    async def returns(answer: Answer) -> list[Finding]:
        return [Finding("a")]

    @guard
    async def passes(answer: Answer) -> None:
        return None

    assert streams.is_async and returns.is_async and passes.is_async
    assert [f async for f in streams(Answer(text=""))] == [Finding("a")]
    assert [f async for f in returns(Answer(text=""))] == [Finding("a")]
    assert [f async for f in passes(Answer(text=""))] == []
    assert [f async for f in is_short(Answer(text=""), CTX)] == []


def test_reading_an_async_guard_with_a_plain_loop_teaches() -> None:
    @guard
    async def returns(answer: Answer) -> list[Finding]:
        return []

    with pytest.raises(StageError, match="'returns' is async.*async for"):
        list(returns(Answer(text="")))


@pytest.mark.parametrize(
    ("fn", "why"),
    [
        (lambda a, b, c: None, "'a', 'b', 'c'"),
        (lambda: None, "takes nothing"),
        (lambda a, *, k: None, "'a', 'k'"),
    ],
)
def test_a_function_that_does_not_fit_is_refused_when_it_is_decorated(fn: object, why: str) -> None:
    with pytest.raises(StageError, match=why):
        Guard(fn, name="g")  # type: ignore[arg-type]  # the point of the test


def test_a_lambda_needs_a_name() -> None:
    with pytest.raises(StageError, match="no name"):
        guard(lambda answer: None)
    assert guard(name="quiet")(lambda answer: None).name == "quiet"


def test_options_that_cannot_work_are_refused() -> None:
    def sync(answer: Answer, ctx: GuardContext[str]) -> None: ...

    async def slow(answer: Answer) -> None: ...

    with pytest.raises(StageError, match="asks=1 but is not async"):
        guard(asks=1)(sync)
    with pytest.raises(StageError, match="asks=-1"):
        guard(asks=-1)(sync)
    with pytest.raises(StageError, match="takes no context"):
        guard(asks=1)(slow)
    with pytest.raises(StageError, match="async and inline"):
        guard(inline=True)(slow)


def test_each_action_makes_a_use_of_the_same_guard() -> None:
    def repair(answer: Answer, findings: object) -> Answer:
        return answer

    uses = [
        is_short.error(),
        is_short.refuse(),
        is_short.reject(),
        is_short.fix(repair),
        is_short.drop(),
        is_short.warn(),
    ]
    assert [use.action for use in uses] == ["error", "refuse", "reject", "fix", "drop", "warn"]
    assert all(use.guard is is_short for use in uses)
    assert uses[3].repair is repair
    assert len({use.identity for use in uses}) == 6


# --- context ----------------------------------------------------------------------------------------------


class Corpus:
    pass


class SpecialCorpus(Corpus):
    pass


def test_resources_are_found_by_type_and_a_missing_one_teaches() -> None:
    corpus = SpecialCorpus()
    assert GuardContext("", resources=["x", corpus]).resource(Corpus) is corpus
    assert GuardContext("", resources={Corpus: corpus}).resource(Corpus) is corpus
    with pytest.raises(StageError, match=r"stage 'answer' has no resource of type 'Corpus'.*resources="):
        CTX.resource(Corpus)


@pytest.mark.anyio
async def test_asking_outside_of_a_run_teaches() -> None:
    with pytest.raises(StageError, match="no run to ask in.*ask="):
        await CTX.ask(Model("judge"), "?", Judged)


@pytest.mark.anyio
async def test_asking_goes_through_the_injected_asker_in_the_name_of_the_guard() -> None:
    asked: list[tuple[str, str, Mapping[str, object], str]] = []

    async def ask(
        model: Model, text: str, answer: type, /, *, variables: Mapping[str, object], guard: str
    ) -> object:
        asked.append((model.name, text, variables, guard))
        return answer(supported=True)

    ctx = GuardContext("source", stage="s", ask=ask).for_guard("follows", asks=1)  # type: ignore[arg-type]  # not generic
    judged = await ctx.ask(Model("judge"), "Is {{ text }} so?", Judged, text="water wet", model="any")
    assert judged == Judged(supported=True)
    assert asked == [("judge", "Is {{ text }} so?", {"text": "water wet", "model": "any"}, "follows")]
    with pytest.raises(StageError, match=r"'follows' asks more than the 1 .*asks=2"):
        await ctx.ask(Model("judge"), "again?", Judged)


# --- versions ---------------------------------------------------------------------------------------------

LIMIT = 3
WORD = re.compile("x")


def helper(n: int) -> int:
    return n + 1


def uses_helper(n: int) -> int:
    return helper(n) if WORD.match("x") else LIMIT


def make(limit: int, pattern: str = "a"):  # type: ignore[no-untyped-def]  # a closure factory
    compiled = re.compile(pattern)

    def inner(n: int) -> bool:
        return n < limit and bool(compiled)

    return inner


def test_a_version_is_stable_and_sees_closures_defaults_and_what_the_module_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert fingerprint(make(1)) == fingerprint(make(1))
    assert fingerprint(make(1)) != fingerprint(make(2))
    assert fingerprint(make(1, "a")) != fingerprint(make(1, "b"))
    before = fingerprint(uses_helper)
    module = uses_helper.__globals__
    monkeypatch.setitem(module, "LIMIT", 4)
    limit = fingerprint(uses_helper)
    monkeypatch.setitem(module, "helper", lambda n: n + 2)
    helped = fingerprint(uses_helper)
    monkeypatch.setitem(module, "WORD", re.compile("y"))
    assert len({before, limit, helped, fingerprint(uses_helper)}) == 4


def test_lambdas_on_one_line_have_their_own_versions() -> None:
    more, less = (lambda a, b: a > b), (lambda a, b: a < b)
    assert fingerprint(more) != fingerprint(less)
    assert fingerprint(functools.partial(helper, 1)) != fingerprint(functools.partial(helper, 2))


def test_a_stated_version_stands_for_the_code() -> None:
    @guard(version="7", name="stated")
    def one(answer: Answer) -> None: ...

    assert one.version == "7"
    assert one.warn().identity == "stated@7.warn"
    assert is_short.version == is_short.version != one.version


def test_a_crash_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(GuardCrashed("guard 'g' crashed", hint="mend it")))
    assert isinstance(error, GuardCrashed)
    assert str(error) == "guard 'g' crashed: mend it"
