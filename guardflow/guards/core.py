"""Guards: what may be held against a value, and what is done about it where the guard is used.

`guard` makes a `Guard` from a function, its action methods make `GuardUse`s, stages list them, and
`guardflow.guards.run.check` runs them. A guard reads a value; it never changes one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar, cast, overload

from guardflow.errors import StageError
from guardflow.guards.context import GuardContext
from guardflow.guards.fingerprint import fingerprint
from guardflow.values import Finding

Action = Literal["error", "refuse", "reject", "fix", "drop", "warn"]
"""What a finding leads to, most severe first: fail the stage, abstain, let the ladder decide, repair the value,
remove the node at the finding's path, or only say so."""

OutT = TypeVar("OutT")
InT = TypeVar("InT")
Out_contra = TypeVar("Out_contra", contravariant=True)
In_contra = TypeVar("In_contra", contravariant=True)

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


class Guard(Generic[Out_contra, In_contra]):
    """A function that yields `Finding`s about a value. Made by `guard`; used through one of its actions.

    A guard on a base class guards its subclasses too, and a guard that needs no input fits every stage.

    Attributes:
        name: what findings and reports call it.
        asks: the most questions it asks a model, each time it runs.
        inline: whether it is quick enough (under 0.1 ms) to run on the event loop; else it gets a thread.
        is_async: whether it has to be awaited.
    """

    def __init__(
        self,
        fn: Callable[[Out_contra, GuardContext[In_contra]], Found] | Callable[[Out_contra], Found],
        *,
        name: str | None = None,
        asks: int = 0,
        version: str | None = None,
        inline: bool = False,
    ) -> None:
        self.name = name or _name_of(fn)
        self.asks = asks
        self.inline = inline
        self.is_async = _is_async(fn)
        self._takes_context = _positional(fn, self.name) == 2
        self._fn = fn
        self._version = version
        self._check_options()
        functools.update_wrapper(self, cast("Callable[..., object]", fn), updated=())

    def _check_options(self) -> None:
        if self.asks < 0:
            raise StageError(f"guard {self.name!r} declares asks={self.asks}", hint="declare 0 or more")
        if self.asks and not self.is_async:
            raise StageError(
                f"guard {self.name!r} declares asks={self.asks} but is not async",
                hint="make it `async def`, so that it can await ctx.ask(...)",
            )
        if self.asks and not self._takes_context:
            raise StageError(
                f"guard {self.name!r} declares asks={self.asks} but takes no context",
                hint="add a second parameter `ctx: GuardContext[...]`",
            )
        if self.inline and self.is_async:
            raise StageError(
                f"guard {self.name!r} is async and inline",
                hint="leave inline= away: async guards need no thread",
            )

    @property
    def version(self) -> str:
        """What was stated, else a hash of the code (see `fingerprint`), taken when it is first needed."""
        if self._version is None:
            self._version = fingerprint(self._fn)
        return self._version

    def __call__(self, value: Out_contra, ctx: GuardContext[In_contra] | None = None, /) -> Findings:
        """What the guard finds. For unit tests: ``list(my_guard(value, GuardContext(input)))``.

        Raises:
            StageError: the guard takes a context and none was given.
        """
        if ctx is None and self._takes_context:
            raise StageError(
                f"guard {self.name!r} takes a context", hint="call it as guard(value, GuardContext(input))"
            )
        return Findings(lambda: self.found(value, cast("GuardContext[In_contra]", ctx)), name=self.name)

    def found(self, value: Out_contra, ctx: GuardContext[In_contra], /) -> Found:
        """Call the function and give back exactly what it returned: the runner's way in."""
        if self._takes_context:
            return cast("Callable[[Out_contra, GuardContext[In_contra]], Found]", self._fn)(value, ctx)
        return cast("Callable[[Out_contra], Found]", self._fn)(value)

    def reject(self) -> GuardUse[Out_contra, In_contra]:
        """A finding rejects the answer: the ladder decides what to do."""
        return GuardUse(self, "reject")

    def fix(self: Guard[OutT, InT], fn: Callable[[OutT, Sequence[Finding]], OutT], /) -> GuardUse[OutT, InT]:
        """A finding has the value repaired by ``fn(value, findings)``, which gets a copy.

        The result is validated and guarded again.
        """
        return GuardUse(self, "fix", cast("Callable[[object, Sequence[Finding]], object]", fn))

    def drop(self) -> GuardUse[Out_contra, In_contra]:
        """A finding removes the node at its path: a list item, a dict key; an optional field becomes None,
        one with a default its default. The result is validated and guarded again."""
        return GuardUse(self, "drop")

    def refuse(self) -> GuardUse[Out_contra, In_contra]:
        """A finding ends the stage as abstained: no further try."""
        return GuardUse(self, "refuse")

    def error(self) -> GuardUse[Out_contra, In_contra]:
        """A finding fails the stage: no further try."""
        return GuardUse(self, "error")

    def warn(self) -> GuardUse[Out_contra, In_contra]:
        """A finding is noted on the outcome and changes nothing."""
        return GuardUse(self, "warn")

    def __repr__(self) -> str:
        return f"<guard {self.name}>"


@dataclass(frozen=True, slots=True)
class GuardUse(Generic[Out_contra, In_contra]):
    """A guard, and what is done about its findings. This is what a stage lists."""

    guard: Guard[Out_contra, In_contra]
    action: Action
    repair: Callable[[object, Sequence[Finding]], object] | None = None
    """What `fix` was given."""

    @property
    def identity(self) -> str:
        """Name, version and action (and the repair's code): stored answers are checked again when it changes."""
        repair = fingerprint(self.repair) if self.repair is not None else ""
        return f"{self.guard.name}@{self.guard.version}.{self.action}{repair and '-' + repair}"


class GuardDecorator(Protocol):
    """What ``@guard(...)`` with options gives: the same as ``@guard``."""

    @overload
    def __call__(self, fn: Callable[[OutT, GuardContext[InT]], Found], /) -> Guard[OutT, InT]: ...
    @overload
    def __call__(self, fn: Callable[[OutT], Found], /) -> Guard[OutT, object]: ...


@overload
def guard(fn: Callable[[OutT, GuardContext[InT]], Found], /) -> Guard[OutT, InT]: ...
@overload
def guard(fn: Callable[[OutT], Found], /) -> Guard[OutT, object]: ...
@overload
def guard(
    *, name: str | None = None, asks: int = 0, version: str | None = None, inline: bool = False
) -> GuardDecorator: ...
def guard(
    fn: Callable[..., Found] | None = None,
    /,
    *,
    name: str | None = None,
    asks: int = 0,
    version: str | None = None,
    inline: bool = False,
) -> object:
    """Make a guard of a function ``(value, ctx)`` or ``(value)``.

    The function yields a `Finding` for everything that is wrong, or returns an iterable of them, or None;
    it may be sync (then it runs in a worker thread) or async (then it runs beside the other async guards).

    Args:
        fn: the function.
        name: another name than the function's.
        asks: the most questions it asks through ``ctx.ask`` each time it runs. More is an error.
        version: stands for the code; without it the version is a hash of the source.
        inline: run on the event loop; for guards that need less than 0.1 ms and never wait.

    Raises:
        StageError: the function cannot be a guard.

    >>> @guard
    ... def short(text: str):
    ...     if len(text) > 10:
    ...         yield Finding(f"{len(text)} characters, 10 are allowed")
    >>> [f.message for f in short("a very long text")]
    ['16 characters, 10 are allowed']
    >>> short.reject().action
    'reject'
    """

    def make(function: Callable[..., Found]) -> Guard[object, object]:
        return Guard(function, name=name, asks=asks, version=version, inline=inline)

    return make if fn is None else make(fn)


def _name_of(fn: Callable[..., object]) -> str:
    name = getattr(fn, "__name__", type(fn).__name__)
    if name == "<lambda>":
        raise StageError(
            "a lambda has no name to report as a guard", hint="give one: guard(name=...)(lambda ...)"
        )
    return name


def _is_async(fn: Callable[..., object]) -> bool:
    call = fn if inspect.isroutine(fn) else getattr(type(fn), "__call__", fn)  # noqa: B004 - we want the method, not whether there is one
    return any(
        test(f) for f in (fn, call) for test in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
    )


def _positional(fn: Callable[..., object], name: str) -> int:
    """How many arguments the function takes as a guard: 1 (the value) or 2 (and the context)."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = inspect.signature(fn).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind in (*kinds, p.KEYWORD_ONLY)]
    places = [p for p in parameters if p.kind in kinds]
    takes_any = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    if (not places and not takes_any) or len(required) > 2 or any(p.kind is p.KEYWORD_ONLY for p in required):
        names = ", ".join(repr(p.name) for p in parameters) or "nothing"
        raise StageError(
            f"guard {name!r} takes {names}",
            hint="take (value, ctx), or (value) alone: guards get nothing else",
        )
    optional_second = len(places) >= 2 and (len(required) == 2 or places[1].name in ("ctx", "context"))
    return 2 if optional_second or takes_any else 1
