"""Run a stage's guards against a value and act on what they find.

Flow calls `check` for every answer, fallback, vote and hand-written value. Nothing passes by accident: a
guard that crashes raises `GuardCrashed`, and what a repair made is validated and guarded like any answer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Generic, Literal, TypeVar

import anyio.to_thread

from guardflow.errors import NotRecorded, RunError, StateError
from guardflow.guards.context import GuardContext
from guardflow.guards.core import GuardUse
from guardflow.guards.findings import COLLECTED
from guardflow.guards.repair import repair
from guardflow.guards.report import LEVELS, SHOWN, FoundByUse, all_shown, crashed, shown
from guardflow.guards.together import together
from guardflow.values import Finding

OutT = TypeVar("OutT")
InT = TypeVar("InT")

PASSES = 3
"""How often a value is guarded: as it came, and after at most two rounds of repair."""

_SEVERITY = {action: level for level, action in enumerate(LEVELS)}
_WARN = _SEVERITY["warn"]


@dataclass(frozen=True, slots=True)
class Checked(Generic[OutT]):
    """What became of a value.

    Args:
        value: the value that ``findings`` are about; after a pass the one to use, repaired if ``changed``.
        findings: why it did not pass, the deciding ones first; empty for a pass.
        warnings: what guards used as ``.warn()`` found.
        action: what has to happen: nothing, or the most severe action that fired.
        changed: whether a repair has made ``value`` differ from what was given.
        repaired: the findings that repairs have dealt with.
    """

    value: OutT
    findings: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    action: Literal["pass", "reject", "refuse", "error"] = "pass"
    changed: bool = False
    repaired: tuple[Finding, ...] = ()


def most_asks(uses: Iterable[GuardUse[OutT, InT]]) -> int:
    """The most questions one `check` can put to models: what guards declare, times how often they can run."""
    uses = tuple(uses)
    if not any(use.action in ("fix", "drop") for use in uses):
        return sum(use.guard.asks for use in uses)
    # A fix that follows another fix in the same round sees the repaired value: one more run a round.
    return sum(use.guard.asks * (PASSES + (PASSES - 1) * (use.action == "fix")) for use in uses)


async def check(
    value: OutT,
    uses: Sequence[GuardUse[OutT, InT]],
    ctx: GuardContext[InT],
    *,
    revalidate: Callable[[object], OutT],
) -> Checked[OutT]:
    """Guard a value: all guards run, the most severe action that fires decides.

    ``fix`` and ``drop`` repair a copy, which is validated and guarded again, at most `PASSES` times; what is
    still found then is a reject. Inline guards run here, the other sync ones together in one worker thread,
    async ones concurrently.

    Args:
        value: what a model answered, already valid by its schema. Never changed.
        uses: the stage's guards.
        ctx: what guards are told.
        revalidate: makes a value of its JSON form (as `pydantic_core.to_jsonable_python` gives it, by alias),
            or raises ``pydantic.ValidationError``.

    Raises:
        GuardCrashed: a guard or a repair raised, or yielded something else than findings.
        RunError, StateError, NotRecorded: what a guard's question ended with (a `ModelCallError`, a budget), unchanged.
    """
    repaired: list[Finding] = []
    passes = 0
    while True:
        found = await _run_all(value, uses, ctx)
        passes += 1
        level = min(
            [_SEVERITY[use.action] for use, some in zip(uses, found, strict=True) if some], default=_WARN
        )
        if level == _WARN:
            warnings = shown(uses, found, "warn") if any(found) else ()
            return Checked(value, (), warnings, "pass", passes > 1, tuple(repaired))
        action = LEVELS[level]
        refused: tuple[Finding, ...] = ()
        if action in {"fix", "drop"} and passes < PASSES:
            rerun = partial(_run_one, ctx=ctx)
            result = await repair(value, uses, found, ctx, action, rerun=rerun, revalidate=revalidate)
            if not result.refused:
                repaired += shown(uses, found, action)
                value = result.value
                continue
            refused = result.refused
        return Checked(
            value,
            (*refused, *all_shown(uses, found)),
            shown(uses, found, "warn"),
            "error" if action == "error" else "refuse" if action == "refuse" else "reject",
            passes > 1,
            tuple(repaired),
        )


# --- running guards -------------------------------------------------------------------------------------------


async def _run_all(value: OutT, uses: Sequence[GuardUse[OutT, InT]], ctx: GuardContext[InT]) -> FoundByUse:
    """What each use's guard finds, in the order of ``uses``."""
    found: FoundByUse = [()] * len(uses)
    threaded: list[int] = []
    jobs: list[Callable[[], Awaitable[None]]] = []

    async def read_async(i: int) -> None:
        found[i] = await _read_async(uses[i], value, ctx)

    async def read_threaded() -> None:
        def read() -> list[list[Finding]]:
            return [_read(uses[i], value, ctx) for i in threaded]

        # Guards have no effects, so a stage that is cancelled need not wait for a slow one.
        results = await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
        for i, some in zip(threaded, results, strict=True):
            found[i] = some

    for i, use in enumerate(uses):
        if use.guard.is_async:
            jobs.append(partial(read_async, i))
        elif use.guard.inline:
            found[i] = _read(use, value, ctx)
        else:
            threaded.append(i)
    if threaded:
        jobs.insert(0, read_threaded)
    if jobs:
        await together(jobs)
    return found


async def _run_one(use: GuardUse[OutT, InT], value: OutT, *, ctx: GuardContext[InT]) -> Sequence[Finding]:
    return (await _run_all(value, (use,), ctx))[0]


def _read(use: GuardUse[OutT, InT], value: OutT, ctx: GuardContext[InT]) -> list[Finding]:
    most = _most(use)
    some: list[Finding] = []
    try:
        with contextlib.closing(iter(use.guard(value, ctx))) as stream:
            for finding in stream:
                some.append(finding)
                if len(some) > most:
                    break
    except (RunError, StateError, NotRecorded):
        raise
    except Exception as error:
        raise crashed(use, ctx, error) from error
    return some


async def _read_async(use: GuardUse[OutT, InT], value: OutT, ctx: GuardContext[InT]) -> list[Finding]:
    most = _most(use)
    some: list[Finding] = []
    view = ctx.for_guard(use.guard.name, asks=use.guard.asks)
    try:
        async with contextlib.aclosing(use.guard(value, view).__aiter__()) as stream:
            async for finding in stream:
                some.append(finding)
                if len(some) > most:
                    break
    except (RunError, StateError, NotRecorded):
        raise
    except Exception as error:
        raise crashed(use, ctx, error) from error
    return some


def _most(use: GuardUse[OutT, InT]) -> int:
    """How many findings are read before the rest is left out: repairs need all, reports only the first."""
    return COLLECTED if use.action in ("fix", "drop") else SHOWN
