"""Carry out ``.fix()`` and ``.drop()``: on a copy, and validated before anybody sees it.

The runner calls `repair` and guards what it returns. It never decides whether a value is good.
"""

from __future__ import annotations

import copy
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import anyio.to_thread
from pydantic_core import ValidationError, to_jsonable_python

from guardflow.errors import GuardCrashed, NotRecorded, RunError, StageError, StateError
from guardflow.guards.context import GuardContext
from guardflow.guards.core import Action, GuardUse
from guardflow.guards.findings import COLLECTED
from guardflow.guards.removal import NoSuchPath, remove
from guardflow.guards.report import SHOWN, FoundByUse, crashed, show, signature
from guardflow.values import Finding, Path

OutT = TypeVar("OutT")
InT = TypeVar("InT")


@dataclass(frozen=True, slots=True)
class Repaired(Generic[OutT]):
    """One round of repair: the value it made, or why there is none."""

    value: OutT
    refused: tuple[Finding, ...] = ()


async def repair(
    value: OutT,
    uses: Sequence[GuardUse[OutT, InT]],
    found: FoundByUse,
    ctx: GuardContext[InT],
    action: Action,
    *,
    rerun: Callable[[GuardUse[OutT, InT], OutT], Awaitable[Sequence[Finding]]],
    revalidate: Callable[[object], OutT],
) -> Repaired[OutT]:
    """Carry out all repairs of one action, ``fix`` or ``drop``, that fired.

    Raises:
        GuardCrashed: a fix raised, or a drop's path is not there.
    """
    firing = [(use, some) for use, some in zip(uses, found, strict=True) if some and use.action == action]
    for use, some in firing:
        if len(some) > COLLECTED:
            why = Finding(f"more than {COLLECTED} findings are too many to {action}", guard=use.guard.name)
            return Repaired(value, (why,))
    if action == "drop":
        return _drop(value, firing, ctx, revalidate)
    return await _fix(value, firing, ctx, rerun, revalidate)


async def _fix(
    value: OutT,
    firing: Sequence[tuple[GuardUse[OutT, InT], Sequence[Finding]]],
    ctx: GuardContext[InT],
    rerun: Callable[[GuardUse[OutT, InT], OutT], Awaitable[Sequence[Finding]]],
    revalidate: Callable[[object], OutT],
) -> Repaired[OutT]:
    """Apply the fixes in order. Each sees what the one before it made, and its own findings about that."""
    before = to_jsonable_python(value)
    current = value
    for n, (use, first) in enumerate(firing):
        some = first if n == 0 else await rerun(use, current)
        if not some:
            continue
        try:
            made = await anyio.to_thread.run_sync(_apply, use, current, some, abandon_on_cancel=True)
        except (RunError, StateError, NotRecorded):
            raise
        except Exception as error:
            raise crashed(use, ctx, error) from error
        name = use.guard.name
        result = _revalidated(made, value, f"the fix of guard {name!r}", name, revalidate)
        if result.refused:
            return result
        current = result.value
    if to_jsonable_python(current) == before:
        names = ", ".join(repr(use.guard.name) for use, _ in firing)
        return Repaired(
            value, (Finding(f"the fix of {names} changed nothing", guard=firing[0][0].guard.name),)
        )
    return Repaired(current)


def _apply(use: GuardUse[OutT, InT], value: OutT, some: Sequence[Finding]) -> object:
    if use.repair is None:
        raise StageError(f"guard {use.guard.name!r} has no repair", hint="use it as .fix(fn)")
    return use.repair(copy.deepcopy(value), tuple(replace(f, guard=signature(use, f)) for f in some))


def _drop(
    value: OutT,
    firing: Sequence[tuple[GuardUse[OutT, InT], Sequence[Finding]]],
    ctx: GuardContext[InT],
    revalidate: Callable[[object], OutT],
) -> Repaired[OutT]:
    """Remove every node that a finding is about, all at once: their paths refer to the same value."""
    by_path: dict[Path, str] = {f.at: use.guard.name for use, some in firing for f in some}
    try:
        removed = remove(value, by_path)
    except NoSuchPath as error:
        at = next((p for p in by_path if p[: len(error.at)] == error.at), error.at)
        name = by_path.get(at, firing[0][0].guard.name)
        raise GuardCrashed(
            f"guard {name!r} of stage {ctx.stage!r} wants {Finding('', at=at).where()!r} dropped, "
            "which the value does not have",
            hint="yield paths of field names, keys and indices (from 0) of the value the guard was given",
        ) from error
    if removed.kept:
        return Repaired(
            value,
            tuple(
                show(Finding(f"cannot be dropped: {why}", at=at, guard=by_path.get(at)), None)
                for at, why in removed.kept[:SHOWN]
            ),
        )
    name = firing[0][0].guard.name
    return _revalidated(removed.value, value, f"dropping what guard {name!r} found", name, revalidate)


def _revalidated(
    made: object, original: OutT, what: str, guard: str, revalidate: Callable[[object], OutT]
) -> Repaired[OutT]:
    try:
        return Repaired(revalidate(to_jsonable_python(made, by_alias=True, round_trip=True)))
    except ValidationError as error:
        refused = tuple(
            show(Finding(f"{what} leaves an invalid value: {e['msg']}", at=e["loc"], guard=guard), None)
            for e in error.errors(include_url=False, include_context=False)[:SHOWN]
        )
        return Repaired(original, refused)
