"""What every guard has to keep to, as checks for a guard of your own: `check_guard`, `guard_checks`.

Users call it from their tests; the kit's own guards pass it. It needs examples, since no one else knows what a
guard should find. It never imports pytest: that is `guardflow.testing.plugin.guard_conformance`.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn
from unittest.mock import patch

import anyio
from pydantic import ValidationError

from guardflow.errors import GuardCrashed, ModelCallError, UsageError
from guardflow.guards import Asker, Guard
from guardflow.kinds import Kind
from guardflow.settings import secret_values
from guardflow.testing.trial import Trial, first_text, grown, has_path, plain, run, with_text
from guardflow.values import Finding

LONGEST_MESSAGE = 500
"""Characters of a message that reach a model; the rest is cut off."""
_INLINE_SECONDS = 0.005
"""Generous: 0.1 ms is what an inline guard should need, but a busy machine is no fault of the guard."""
_SIZES = (4_000, 16_000, 64_000, 256_000, 1_000_000)
_STEEP = 9.0
"""Four times the text may take four times as long; sixteen times is quadratic."""
_NOTICEABLE = 0.3
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_TWO_SENTENCES = re.compile(r"[.!?]\s+[A-Z]\w")
_PLANTED = "GUARDFLOW_CONFORMANCE_API_KEY"
_SECRET = "sk-conformance-0123456789abcdef"  # noqa: S105 - planted, to see whether a guard shows it


@dataclass(frozen=True, slots=True)
class GuardCheck:
    """One rule that a guard has to keep. Call it: it raises `AssertionError` if the guard breaks it."""

    name: str
    rule: Callable[[Trial], Iterator[str]]
    trial: Trial

    @property
    def __name__(self) -> str:
        """Pytest shows it as the id of a parametrised test."""
        return self.name

    def broken(self) -> list[str]:
        """How the guard breaks the rule; empty if it keeps it."""
        return list(self.rule(self.trial))

    def __call__(self) -> None:
        if broken := self.broken():
            raise AssertionError(f"guard {self.trial.guard.name!r}, {self.name}: " + "; ".join(broken))


def guard_checks(
    guard: Guard[Any, Any],
    /,
    *,
    passes: Sequence[object],
    fails: Sequence[object],
    input: object = None,
    ask: Asker | None = None,
    resources: Iterable[object] = (),
    fix: Callable[[Any, Sequence[Finding]], Any] | None = None,
    seconds: float = 2.0,
) -> list[GuardCheck]:
    """The checks of a guard, one by one; see `check_guard` for the arguments.

    Raises:
        UsageError: there is no value that should pass, or none that should not.
    """
    if not passes or not fails:
        raise UsageError(
            f"guard {guard.name!r} needs examples to be checked with",
            hint="give at least one value in passes= and one in fails=",
        )
    trial = Trial(guard, tuple(passes), tuple(fails), input, ask, tuple(resources), fix, seconds)
    return [GuardCheck(rule.__name__.strip("_"), rule, trial) for rule in _RULES]


def check_guard(
    guard: Guard[Any, Any],
    /,
    *,
    passes: Sequence[object],
    fails: Sequence[object],
    input: object = None,
    ask: Asker | None = None,
    resources: Iterable[object] = (),
    fix: Callable[[Any, Sequence[Finding]], Any] | None = None,
    seconds: float = 2.0,
) -> None:
    """Check that a guard keeps to what stages, ladders and models rely on.

    It is silent on good values and finds something in bad ones, always the same; its paths are there, so that
    they can be dropped; its messages are one sentence; it changes nothing, shows no secret, copies no more than
    the value; it is quick, and takes linear time on texts up to 1 MB; it lets itself be cancelled; an unreadable
    input or a judge that is out never makes it pass; every action works, and what repairs leave is guarded again.

    Args:
        guard: the guard.
        passes: values it should be silent on.
        fails: values it should find something in.
        input: the stage's input that it is told.
        ask: answers its questions, the same answer to the same question.
        resources: what ``ctx.resource`` finds.
        fix: a function for ``.fix()``, to be checked along.
        seconds: the most that the guard may take for one value.

    Raises:
        AssertionError: it breaks a rule; the message lists all.
        UsageError: there are no examples.

    >>> from guardflow.guards.kit import must_match
    >>> check_guard(must_match("[a-z]+", at="id"), passes=[{"id": "a"}], fails=[{"id": "A"}, {"id": ""}])
    """
    checks = guard_checks(
        guard, passes=passes, fails=fails, input=input, ask=ask, resources=resources, fix=fix, seconds=seconds
    )
    broken = [f"{check.name}: {how}" for check in checks for how in check.broken()]
    if broken:
        raise AssertionError(f"guard {guard.name!r} breaks rules:\n- " + "\n- ".join(broken))


# --- what it finds --------------------------------------------------------------------------------------------


def _is_silent_on_good_values(trial: Trial) -> Iterator[str]:
    for value in trial.passes:
        if found := trial.findings(value):
            yield f"it finds {found[0].message!r} in {_short(value)}"


def _finds_something_in_bad_values(trial: Trial) -> Iterator[str]:
    for value in trial.fails:
        if not trial.findings(value):
            yield f"it finds nothing in {_short(value)}"


def _finds_the_same_every_time(trial: Trial) -> Iterator[str]:
    for value in (*trial.passes, *trial.fails):
        if trial.findings(value) != trial.findings(value):
            yield f"it finds different things in {_short(value)}"


def _points_at_what_is_there(trial: Trial) -> Iterator[str]:
    for value, finding in _found(trial):
        if not has_path(value, finding.at):
            yield f"{finding.where()} is not in {_short(value)}"


def _says_what_can_be_acted_on(trial: Trial) -> Iterator[str]:
    for _, finding in _found(trial):
        said = finding.message
        if not said.strip():
            yield "a message is empty"
        elif len(said) > LONGEST_MESSAGE:
            yield f"a message has {len(said)} characters: {said[:40]!r}…"
        elif "\n" in said or _TWO_SENTENCES.search(_QUOTED.sub("", said)):
            yield f"a message is more than one sentence: {said!r}"


def _copies_no_more_than_the_value(trial: Trial) -> Iterator[str]:
    for value, finding in _found(trial):
        if len(finding.evidence or "") > max(LONGEST_MESSAGE, len(repr(value))):
            yield f"evidence of {len(finding.evidence or '')} characters is more than the whole of {_short(value)}"


def _shows_no_secret(trial: Trial) -> Iterator[str]:
    with patch.dict(os.environ, {_PLANTED: _SECRET}):
        secrets = secret_values(os.environ)
        for _, finding in _found(trial):
            told = f"{finding.message} {finding.evidence} {finding.expected} {finding.at}"
            if any(secret in told for secret in secrets):
                yield f"a finding shows a secret of the settings, at {finding.where()}"


def _changes_nothing(trial: Trial) -> Iterator[str]:
    for value in (*trial.passes, *trial.fails):
        before = plain(value), plain(trial.input)
        trial.findings(value)
        if (plain(value), plain(trial.input)) != before:
            yield f"it changes {_short(value)} or the input"


# --- how long it takes ----------------------------------------------------------------------------------------


def _is_quick(trial: Trial) -> Iterator[str]:
    for value in (*trial.passes, *trial.fails):
        took = min(_seconds(trial, value, time.perf_counter) for _ in range(3))
        if took > trial.seconds:
            yield f"it takes {took:.1f} s for {_short(value)}"
        if trial.guard.inline and took > _INLINE_SECONDS:
            yield f"it is inline, on the event loop, and takes {took * 1000:.0f} ms for {_short(value)}"


def _takes_linear_time(trial: Trial) -> Iterator[str]:
    # Seconds of the processor: those on the wall grow faster than the text on a machine that stalls.
    clock = time.process_time if trial.guard.is_async else time.thread_time
    place = first_text((*trial.fails, *trial.passes))
    if place is None:
        return
    value, at, text = place
    for kind, _ in enumerate(grown(text, 1)):
        before = 0.0
        for size in (
            _SIZES if kind == 0 else _SIZES[:-1]
        ):  # 1 MB of the text itself; less of the others shows it too
            try:
                large = with_text(value, at, list(grown(text, size))[kind])
            except (ValidationError, ValueError):  # such a text cannot arrive
                break
            took = _seconds(trial, large, clock)
            if _is_steep(before, took):  # cold caches make one measurement long, and seldom three
                took = min(took, *(_seconds(trial, large, clock) for _ in range(2)))
            if _is_steep(before, took):
                yield f"{size} characters take {took:.1f} s, a quarter of them {before:.2f} s ({large!r:.30}…)"
                break
            before = took


def _is_steep(before: float, took: float) -> bool:
    """Whether four times the text took far more than four times as long."""
    return bool(before) and took > _NOTICEABLE and took > _STEEP * max(before, 0.01)


def _seconds(trial: Trial, value: object, clock: Callable[[], float]) -> float:
    guard, ctx = trial.guard, trial.context()
    if guard.is_async:
        started = clock()
        trial.findings(value)
        return clock() - started
    started = clock()
    for _ in guard(value, ctx):
        pass
    return clock() - started


# --- what becomes of it ---------------------------------------------------------------------------------------


def _lets_itself_be_cancelled(trial: Trial) -> Iterator[str]:
    asked = False

    async def cancelled(value: object) -> bool:
        async def wait(*_: object, **__: object) -> NoReturn:
            nonlocal asked
            asked = True
            scope.cancel()
            await anyio.sleep_forever()
            raise AssertionError

        with anyio.CancelScope() as scope:
            ctx = trial.context(ask=wait).for_guard(trial.guard.name, asks=trial.guard.asks)
            _ = [finding async for finding in trial.guard(value, ctx)]
        return scope.cancelled_caught

    if trial.guard.asks:
        for value in (*trial.fails, *trial.passes):
            asked = False
            if not run(partial(cancelled, value)) and asked:
                yield f"it goes on when it is cancelled, on {_short(value)}"


class _Unreadable:
    """An input that cannot be read in any way."""

    def __getattribute__(self, name: str) -> NoReturn:
        raise RuntimeError("the input cannot be read")

    def __getitem__(self, key: object) -> NoReturn:
        raise RuntimeError("the input cannot be read")

    def __iter__(self) -> NoReturn:
        raise RuntimeError("the input cannot be read")

    def __str__(self) -> NoReturn:
        raise RuntimeError("the input cannot be read")


def _never_passes_what_it_cannot_check(trial: Trial) -> Iterator[str]:
    async def out(*_: object, **__: object) -> NoReturn:
        raise ModelCallError("the judge is out", kind=Kind.OVERLOADED)

    contexts = [("an input that cannot be read", trial.context(input=_Unreadable()))]
    if trial.guard.asks:
        contexts.append(("a judge that is out", trial.context(ask=out)))
    for value in trial.fails:
        for what, ctx in contexts:
            try:
                passed = trial.used(value, trial.guard.reject(), ctx).action == "pass"
            except (GuardCrashed, ModelCallError):
                continue
            if passed:
                yield f"with {what} it passes {_short(value)}"


def _works_with_every_action(trial: Trial) -> Iterator[str]:
    guard = trial.guard
    wanted = [
        (guard.error(), "error"),
        (guard.refuse(), "refuse"),
        (guard.reject(), "reject"),
        (guard.warn(), "pass"),
    ]
    for value in trial.fails:
        for use, action in wanted:
            result = trial.used(value, use)
            if result.action != action or not (result.findings or result.warnings):
                yield f".{use.action}() ends with {result.action!r} on {_short(value)}"


def _has_repairs_guarded_again(trial: Trial) -> Iterator[str]:
    uses = [trial.guard.drop(), *([] if trial.fix is None else [trial.guard.fix(trial.fix)])]
    for value in trial.fails:
        for use in uses:
            before = plain(value)
            try:
                result = trial.used(value, use)
            except GuardCrashed as crash:
                yield f".{use.action}() crashes on {_short(value)}: {crash}"
                continue
            if result.action == "pass" and trial.findings(result.value):
                yield f".{use.action}() lets through what it finds something in: {_short(result.value)}"
            if plain(value) != before:
                yield f".{use.action}() changes the original {_short(value)}"


_RULES: tuple[Callable[[Trial], Iterator[str]], ...] = (
    _is_silent_on_good_values,
    _finds_something_in_bad_values,
    _finds_the_same_every_time,
    _points_at_what_is_there,
    _says_what_can_be_acted_on,
    _copies_no_more_than_the_value,
    _shows_no_secret,
    _changes_nothing,
    _is_quick,
    _takes_linear_time,
    _lets_itself_be_cancelled,
    _never_passes_what_it_cannot_check,
    _works_with_every_action,
    _has_repairs_guarded_again,
)


def _found(trial: Trial) -> Iterator[tuple[object, Finding]]:
    return ((value, finding) for value in trial.fails for finding in trial.findings(value))


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
