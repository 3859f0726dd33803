"""`check_guard` finds the guards that break a rule: one broken guard for each rule, and a good one for all."""

import asyncio
import itertools
import os
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import anyio
import pytest

from guardflow.errors import UsageError
from guardflow.guards import Guard, GuardContext, guard
from guardflow.testing import check_guard, guard_checks
from guardflow.testing.plugin import guard_conformance
from guardflow.values import Finding, Model

GOOD, BAD = {"texts": ["good"], "n": 1}, {"texts": ["good", "a bad one"], "n": 1}


@guard
def not_bad(value: dict[str, Any]) -> Iterator[Finding]:
    for i, text in enumerate(value["texts"]):
        if "bad" in text:
            yield Finding("must not be bad", at=("texts", i), evidence=text)


def broken_rules(of: Guard[Any, Any], **options: Any) -> set[str]:
    checks = guard_checks(of, passes=[GOOD], fails=[BAD], **{"input": {"word": "bad"}} | options)
    return {check.name for check in checks if check.broken()}


def test_a_good_guard_breaks_no_rule() -> None:
    check_guard(not_bad, passes=[GOOD], fails=[BAD], fix=lambda value, found: GOOD)


@guard_conformance(not_bad, passes=[GOOD], fails=[BAD])
def test_each_rule_can_be_a_test_of_its_own(check: Callable[[], None]) -> None:
    check()


def test_the_checks_are_named_for_what_they_check() -> None:
    names = [check.__name__ for check in guard_checks(not_bad, passes=[GOOD], fails=[BAD])]
    assert names[:2] == ["is_silent_on_good_values", "finds_something_in_bad_values"]
    assert len(set(names)) == len(names) == 14


@guard
def accuses(value: object) -> Iterator[Finding]:
    yield Finding("bad", at=())


@guard
def overlooks(value: object) -> None: ...


runs = itertools.count()


@guard
def counts(value: Any) -> Iterator[Finding]:
    if value == BAD:
        yield Finding(f"bad, {next(runs)} times")


def finds(message: str = "bad", at: Any = (), evidence: str | None = None) -> Guard[Any, Any]:
    def found(value: Any) -> Iterator[Finding]:
        if any("bad" in text for text in value["texts"]):
            yield Finding(message, at=at, evidence=evidence)

    return Guard(found, name="finds")


@guard
def tells_a_secret(value: Any) -> Iterator[Finding]:
    if value == BAD:
        yield Finding("bad", evidence=" ".join(v for k, v in os.environ.items() if k.endswith("API_KEY")))


@guard
def spoils(value: Any) -> Iterator[Finding]:
    value["n"] = value.get("n", 0) + 1
    yield from not_bad(value)


@guard
def dawdles(value: Any) -> Iterator[Finding]:
    time.sleep(0.05)
    yield from not_bad(value)


@guard
def stalls_once(value: Any) -> Iterator[Finding]:
    """As on a machine that does something else for a while."""
    if any(len(text) == 256_000 and text.startswith("good") for text in value["texts"]):
        time.sleep(0.5)
    yield from not_bad(value)


@guard(inline=True)
def dawdles_inline(value: Any) -> Iterator[Finding]:
    time.sleep(0.02)
    yield from not_bad(value)


@guard
def backtracks(value: Any) -> Iterator[Finding]:
    for text in value["texts"]:
        re.search(r"\s+$", text[:200_000] + "x")
    yield from not_bad(value)


@guard(asks=1)
async def swallows_cancellation(value: Any, ctx: GuardContext[Any]) -> AsyncIterator[Finding]:
    try:
        await ctx.ask(Model("judge"), "?", str)
    except anyio.get_cancelled_exc_class():
        pass
    for finding in not_bad(value):
        yield finding


@guard
def swallows_errors(value: Any, ctx: GuardContext[Any]) -> Iterator[Finding]:
    try:
        word = ctx.input["word"]
    except Exception:  # noqa: BLE001 - that is what is wrong with it
        return
    if any(word in text for text in value["texts"]):
        yield Finding("bad")


@guard(asks=1)
async def swallows_outages(value: Any, ctx: GuardContext[Any]) -> list[Finding]:
    try:
        await ctx.ask(Model("judge"), "?", str)
    except Exception:  # noqa: BLE001 - that is what is wrong with it
        return []
    return list(not_bad(value))


async def yes(model: Model, text: str, answer: type[Any], /, *, variables: Any, guard: str) -> Any:
    return answer("yes")


@pytest.mark.parametrize(
    ("of", "rules"),
    [
        (accuses, {"is_silent_on_good_values"}),
        (
            overlooks,
            {"finds_something_in_bad_values", "never_passes_what_it_cannot_check", "works_with_every_action"},
        ),
        (counts, {"finds_the_same_every_time"}),
        (finds(at=("texts", 7)), {"points_at_what_is_there", "has_repairs_guarded_again"}),
        (finds(" "), {"says_what_can_be_acted_on"}),
        (finds("x" * 501), {"says_what_can_be_acted_on"}),
        (finds("It is bad. Write another."), {"says_what_can_be_acted_on"}),
        (finds("bad\nvery bad"), {"says_what_can_be_acted_on"}),
        (finds(evidence="x" * 1000), {"copies_no_more_than_the_value"}),
        (tells_a_secret, {"shows_no_secret"}),
        (backtracks, {"takes_linear_time"}),
        (dawdles_inline, {"is_quick"}),
        (swallows_errors, {"never_passes_what_it_cannot_check"}),
    ],
)
def test_a_guard_that_breaks_a_rule_is_found(of: Guard[Any, Any], rules: set[str]) -> None:
    assert broken_rules(of) == rules


def test_a_guard_that_changes_its_value_is_found() -> None:
    assert "changes_nothing" in broken_rules(spoils)


def test_a_guard_that_takes_too_long_is_found() -> None:
    assert broken_rules(dawdles, seconds=0.02) == {"is_quick"}


def test_a_machine_that_stalls_makes_no_guard_slow() -> None:
    assert broken_rules(stalls_once) == set()


def test_guards_that_swallow_cancellation_or_outages_are_found() -> None:
    assert "lets_itself_be_cancelled" in broken_rules(swallows_cancellation, ask=yes)
    assert "never_passes_what_it_cannot_check" in broken_rules(swallows_outages, ask=yes)


def test_a_fix_that_leaves_what_was_found_is_not_let_through() -> None:
    check_guard(not_bad, passes=[GOOD], fails=[BAD], fix=lambda value, found: value)


def test_all_broken_rules_are_told_at_once() -> None:
    with pytest.raises(
        AssertionError, match=r"guard 'overlooks' breaks rules:\n- finds_something.*\n- never_passes"
    ):
        check_guard(overlooks, passes=[GOOD], fails=[BAD])


def test_a_guard_without_examples_cannot_be_checked() -> None:
    with pytest.raises(UsageError, match="needs examples"):
        check_guard(not_bad, passes=[GOOD], fails=[])


def test_it_can_be_called_where_a_loop_runs() -> None:
    async def within() -> None:
        check_guard(not_bad, passes=[GOOD], fails=[BAD])

    asyncio.run(within())
