"""What a guard found, read in one way whatever shape its function has: generator, list, None, sync or async.

`Guard.__call__` and composed guards make it. It never swallows an error of the guard's code.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable
from typing import TypeAlias, cast

from guardflow.errors import StageError
from guardflow.values import Finding

COLLECTED = 10_000
"""Findings of one guard that a repair can act on."""

Found: TypeAlias = Iterable[Finding] | AsyncIterable[Finding] | Awaitable[Iterable[Finding] | None] | None
"""What a guard function may give back. Silence (nothing, or None) is a pass."""


class Findings:
    """What a guard holds against a value: iterate it; with ``async for`` if the guard is async."""

    __slots__ = ("_call", "_name")

    def __init__(self, call: Callable[[], Found], *, name: str) -> None:
        self._call = call
        self._name = name

    def __iter__(self) -> Generator[Finding, None, None]:
        found = cast("object", self._call())  # whatever it is annotated to return
        if found is None:
            return
        if not isinstance(found, Iterable):
            if inspect.iscoroutine(found):
                found.close()
            raise _not_findings(self._name, found)
        for item in cast("Iterable[object]", found):
            yield _as_finding(self._name, item)

    async def __aiter__(self) -> AsyncGenerator[Finding, None]:
        found = cast("object", self._call())
        if isinstance(found, Awaitable):
            found = await cast("Awaitable[object]", found)
        if found is None:
            return
        if isinstance(found, AsyncIterable):
            try:
                async for item in cast("AsyncIterable[object]", found):
                    yield _as_finding(self._name, item)
            finally:  # a reader that stops early must not leave the guard's own cleanup to the garbage collector
                if isinstance(found, AsyncGenerator):
                    await cast("AsyncGenerator[object, None]", found).aclose()
        elif isinstance(found, Iterable):
            for item in cast("Iterable[object]", found):
                yield _as_finding(self._name, item)
        else:
            raise _not_findings(self._name, found)


def _as_finding(name: str, item: object) -> Finding:
    if isinstance(item, Finding):
        return item
    raise StageError(
        f"guard {name!r} yields {type(item).__name__}",
        hint="yield Finding('what is wrong', at=('field', 0)); yield nothing to pass",
    )


def _not_findings(name: str, found: object) -> StageError:
    if isinstance(found, (AsyncIterable, Awaitable)):
        return StageError(
            f"guard {name!r} is async", hint="read it with `[f async for f in guard(value, ctx)]`"
        )
    return StageError(
        f"guard {name!r} returns {type(found).__name__}",
        hint="yield Findings, or return an iterable of them; return None to pass",
    )
