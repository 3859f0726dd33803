"""How composed guards find: all of several, one of several, or one under a condition.

`Guard` calls it for `&`, `|` and `when`. A part that crashes, or whose judge is out, never counts as a pass.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Generator, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Protocol, TypeVar

import anyio.to_thread

from guardflow.errors import StageError
from guardflow.guards.context import GuardContext
from guardflow.guards.findings import COLLECTED, Findings, Found
from guardflow.guards.together import together
from guardflow.values import Finding

Out_contra = TypeVar("Out_contra", contravariant=True)
In_contra = TypeVar("In_contra", contravariant=True)
OutT = TypeVar("OutT")
InT = TypeVar("InT")


class Part(Protocol[Out_contra, In_contra]):
    """A guard inside a composed one."""

    name: str
    asks: int
    inline: bool
    is_async: bool

    @property
    def parts(self) -> Sequence[object]:
        """Its own parts, if it is composed."""
        ...

    def found(self, value: Out_contra, ctx: GuardContext[In_contra], /) -> Found:
        """What its function returns."""
        ...


def all_of(parts: Sequence[Part[OutT, InT]], value: OutT, ctx: GuardContext[InT]) -> Iterator[Finding]:
    """The findings of every part, in order; for parts that are all sync."""
    for part in parts:
        yield from _read(part, value, ctx)


def any_of(
    parts: Sequence[Part[OutT, InT]], value: OutT, ctx: GuardContext[InT], *, name: str
) -> Iterator[Finding]:
    """Nothing as soon as one part finds nothing, else the findings of all; for parts that are all sync."""
    found: list[Finding] = []
    for part in parts:
        some = _collect(part, value, ctx)
        if not some:
            return
        found += some
    yield from _either(found, parts, name)


async def all_of_async(
    parts: Sequence[Part[OutT, InT]], value: OutT, ctx: GuardContext[InT]
) -> list[Finding]:
    """`all_of`, with the async parts side by side and the slow sync ones in a worker thread."""
    found: list[list[Finding]] = [[] for _ in parts]
    jobs: list[Callable[[], Awaitable[None]]] = []

    async def read(i: int) -> None:
        found[i] = await _collect_async(parts[i], value, ctx)

    for i, part in enumerate(parts):
        if part.is_async or not part.inline:
            jobs.append(partial(read, i))
        else:
            found[i] = _collect(part, value, ctx)
    if jobs:
        await together(jobs)
    return [finding for some in found for finding in some]


async def any_of_async(
    parts: Sequence[Part[OutT, InT]], value: OutT, ctx: GuardContext[InT], *, name: str
) -> list[Finding]:
    """`any_of`, one part after the other: a question that need not be asked is not paid for."""
    found: list[Finding] = []
    for part in parts:
        some = await _collect_async(part, value, ctx)
        if not some:
            return []
        found += some
    return list(_either(found, parts, name))


def holds(
    predicate: Callable[..., object], value: object, ctx: object, *, takes_context: bool, name: str
) -> bool:
    """Whether a guard's condition holds.

    Raises:
        StageError: it says neither True nor False. None taken for False would pass everything unseen.
    """
    said = predicate(value, ctx) if takes_context else predicate(value)
    if isinstance(said, bool):
        return said
    raise StageError(
        f"the condition of guard {name!r} returns {type(said).__name__}",
        hint="return True or False: it decides whether the guard looks at all",
    )


async def holds_async(
    predicate: Callable[..., object], value: object, ctx: object, *, takes_context: bool, name: str
) -> bool:
    """`holds`, in a worker thread: what a condition looks at may be large."""
    ask = partial(holds, predicate, value, ctx, takes_context=takes_context, name=name)
    return await anyio.to_thread.run_sync(ask, abandon_on_cancel=True)


def _read(part: Part[OutT, InT], value: OutT, ctx: GuardContext[InT]) -> Generator[Finding, None, None]:
    with contextlib.closing(iter(Findings(partial(part.found, value, ctx), name=part.name))) as stream:
        for finding in stream:
            yield _signed(finding, part)


def _collect(part: Part[OutT, InT], value: OutT, ctx: GuardContext[InT]) -> list[Finding]:
    with contextlib.closing(_read(part, value, ctx)) as stream:
        return list(islice(stream, COLLECTED + 1))


async def _collect_async(part: Part[OutT, InT], value: OutT, ctx: GuardContext[InT]) -> list[Finding]:
    if not part.is_async:
        if part.inline:
            return _collect(part, value, ctx)
        return await anyio.to_thread.run_sync(_collect, part, value, ctx, abandon_on_cancel=True)
    view = ctx.for_guard(part.name, asks=part.asks) if part.asks else ctx
    some: list[Finding] = []
    stream = aiter(Findings(partial(part.found, value, view), name=part.name))
    async with contextlib.aclosing(stream):
        async for finding in stream:
            some.append(_signed(finding, part))
            if len(some) > COLLECTED:
                break
    return some


def _signed(finding: Finding, part: Part[OutT, InT]) -> Finding:
    """The finding with its guard's name; a part that is composed has signed already."""
    return finding if part.parts and finding.guard else replace(finding, guard=part.name)


def _either(found: Sequence[Finding], parts: Sequence[Part[OutT, InT]], name: str) -> Iterator[Finding]:
    names = [repr(n) for n in dict.fromkeys(part.name for part in parts)]
    hint = f" (one of {', '.join(names[:-1])} or {names[-1]} is enough)" if len(names) > 1 else ""
    for finding in found:
        yield replace(finding, message=finding.message + hint, guard=name)
