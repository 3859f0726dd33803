"""Guards: what may be held against a value, and what is done about it where the guard is used.

`guard` makes a `Guard` from a function, its action methods make `GuardUse`s, stages list them, and
`guardflow.guards.run.check` runs them. A guard reads a value; it never changes one.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, Protocol, TypeAlias, TypeVar, cast, overload

from guardflow.errors import StageError
from guardflow.guards.compose import all_of, all_of_async, any_of, any_of_async, holds, holds_async
from guardflow.guards.context import GuardContext
from guardflow.guards.findings import Findings, Found
from guardflow.guards.fingerprint import fingerprint
from guardflow.hashing import content_hash
from guardflow.values import Finding

Action = Literal["error", "refuse", "reject", "fix", "drop", "warn"]
"""What a finding leads to, most severe first: fail the stage, abstain, let the ladder decide, repair the value,
remove the node at the finding's path, or only say so."""

OutT = TypeVar("OutT")
InT = TypeVar("InT")
Out_contra = TypeVar("Out_contra", contravariant=True)
In_contra = TypeVar("In_contra", contravariant=True)


class Guard(Generic[Out_contra, In_contra]):
    """A function that yields `Finding`s about a value. Made by `guard`; used through one of its actions.

    A guard on a base class guards its subclasses too, and a guard that needs no input fits every stage.

    Attributes:
        name: what findings and reports call it.
        asks: the most questions it asks a model, each time it runs.
        inline: whether it is quick enough (under 0.1 ms) to run on the event loop; else it gets a thread.
        is_async: whether it has to be awaited.
        parts: the guards it is composed of; none for one that is a function.
    """

    parts: tuple[Guard[Out_contra, In_contra], ...] = ()

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
    def takes_context(self) -> bool:
        """Whether it has to be given a context."""
        return self._takes_context

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

    # Checkers settle on the left guard's types before they look at the right one: hence what is `object` apart.
    @overload
    def __and__(self: Guard[object, object], other: Guard[OutT, InT], /) -> Guard[OutT, InT]: ...
    @overload
    def __and__(self: Guard[object, InT], other: Guard[OutT, InT], /) -> Guard[OutT, InT]: ...
    @overload
    def __and__(self: Guard[OutT, object], other: Guard[OutT, InT], /) -> Guard[OutT, InT]: ...
    @overload
    def __and__(self: Guard[OutT, InT], other: Guard[OutT, InT], /) -> Guard[OutT, InT]: ...
    def __and__(self: AnyGuard, other: AnyGuard, /) -> AnyGuard:
        """Both have to pass; what is found is the findings of both, each under its own guard's name."""
        return _joined("&", self, other)

    @overload
    def __or__(self: Guard[object, object], other: Guard[OutT, InT], /) -> Guard[OutT, InT]: ...
    @overload
    def __or__(self: Guard[object, InT], other: Guard[OutT, InT], /) -> Guard[OutT, InT]: ...
    @overload
    def __or__(self: Guard[OutT, object], other: Guard[OutT, InT], /) -> Guard[OutT, InT]: ...
    @overload
    def __or__(self: Guard[OutT, InT], other: Guard[OutT, InT], /) -> Guard[OutT, InT]: ...
    def __or__(self: AnyGuard, other: AnyGuard, /) -> AnyGuard:
        """One has to pass. The left one looks first, and if it passes the right one is not run: put the guard
        that asks a model on the right. If neither passes, the findings of both are told."""
        return _joined("|", self, other)

    @overload
    def when(self: Guard[OutT, InT], predicate: Callable[[OutT], bool], /) -> Guard[OutT, InT]: ...
    @overload
    def when(self: Guard[object, InT], predicate: Callable[[OutT], bool], /) -> Guard[OutT, InT]: ...
    @overload
    def when(
        self: Guard[OutT, InT], predicate: Callable[[OutT, GuardContext[InT]], bool], /
    ) -> Guard[OutT, InT]: ...
    @overload
    def when(
        self: Guard[OutT, object], predicate: Callable[[OutT, GuardContext[InT]], bool], /
    ) -> Guard[OutT, InT]: ...
    @overload
    def when(
        self: Guard[object, InT], predicate: Callable[[OutT, GuardContext[InT]], bool], /
    ) -> Guard[OutT, InT]: ...
    @overload
    def when(
        self: Guard[object, object], predicate: Callable[[OutT, GuardContext[InT]], bool], /
    ) -> Guard[OutT, InT]: ...
    def when(self: AnyGuard, predicate: Callable[..., bool], /) -> AnyGuard:
        """A guard that looks only where ``predicate(value)`` or ``predicate(value, ctx)`` is True.

        A predicate that raises, or returns anything but True or False, is a crash like one of the guard's own
        code: the value does not pass.

        Raises:
            StageError: the predicate is async, or takes something else.

        >>> @guard
        ... def has_digits(text: str):
        ...     if not any(c.isdigit() for c in text):
        ...         yield Finding("has no digits")
        >>> [[f.message for f in has_digits.when(lambda t: len(t) > 3)(text)] for text in ("abc", "abcd")]
        [[], ['has no digits']]
        """
        return _Conditional(self, predicate)

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


AnyGuard: TypeAlias = Guard[Any, Any]
"""Behind the overloads, which say what fits."""


class _Joined(AnyGuard):
    """Guards joined by `&` or `|`."""

    def __init__(self, how: Literal["&", "|"], parts: tuple[AnyGuard, ...]) -> None:
        self.how = how
        self.parts = parts
        self.name = f" {how} ".join(
            f"({part.name})" if how == "&" and isinstance(part, _Joined) else part.name for part in parts
        )
        self.asks = sum(part.asks for part in parts)
        self.is_async = any(part.is_async for part in parts)
        self.inline = not self.is_async and all(part.inline for part in parts)
        self.__name__ = self.name
        self._takes_context = any(part.takes_context for part in parts)

    @property
    def version(self) -> str:
        """A hash of what is joined, and how."""
        return _hash_of(self.how, *(f"{part.name}@{part.version}" for part in self.parts))

    def found(self, value: object, ctx: GuardContext[object], /) -> Found:
        """What the parts find."""
        if self.how == "&":
            return (all_of_async if self.is_async else all_of)(self.parts, value, ctx)
        return (any_of_async if self.is_async else any_of)(self.parts, value, ctx, name=self.name)


class _Conditional(AnyGuard):
    """A guard that looks only where its condition holds. It keeps the guard's name."""

    def __init__(self, guard: AnyGuard, predicate: Callable[..., bool]) -> None:
        self.parts = (guard,)
        self.name = guard.name
        if _is_async(predicate):
            raise StageError(
                f"the condition of guard {self.name!r} is async",
                hint="make it a plain function; a guard that has to wait decides for itself",
            )
        self.asks, self.is_async, self.inline = guard.asks, guard.is_async, guard.inline
        self.__name__ = self.name
        self._predicate = predicate
        self._asks_context = _positional(predicate, f"{self.name}.when") == 2
        self._takes_context = guard.takes_context or self._asks_context

    @property
    def version(self) -> str:
        """A hash of the guard's version and the condition's code."""
        return _hash_of("when", self.parts[0].version, fingerprint(self._predicate))

    def found(self, value: object, ctx: GuardContext[object], /) -> Found:
        """What the guard finds, if it has to look."""
        return self._found_async(value, ctx) if self.is_async else self._found(value, ctx)

    def _found(self, value: object, ctx: GuardContext[object]) -> Found:
        if holds(self._predicate, value, ctx, takes_context=self._asks_context, name=self.name):
            return all_of(self.parts, value, ctx)
        return None

    async def _found_async(self, value: object, ctx: GuardContext[object]) -> list[Finding] | None:
        if await holds_async(self._predicate, value, ctx, takes_context=self._asks_context, name=self.name):
            return await all_of_async(self.parts, value, ctx)
        return None


def _joined(how: Literal["&", "|"], *guards: AnyGuard) -> AnyGuard:
    """Join guards: ``(a & b) & c`` is ``a & b & c``, and the same guard twice is there once."""
    flat: list[AnyGuard] = []
    for guard in guards:
        if not isinstance(cast("object", guard), Guard):
            raise StageError(
                f"{how!r} joins guards, not a {type(guard).__name__}",
                hint="compose first and choose the action last: (a & b).reject()",
            )
        flat += guard.parts if isinstance(guard, _Joined) and guard.how == how else (guard,)
    parts = tuple(dict.fromkeys(flat))
    return parts[0] if len(parts) == 1 else _Joined(how, parts)


def _hash_of(*texts: str) -> str:
    return content_hash("\0".join(texts).encode("utf-8", "surrogatepass"))[:16]


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
    *,
    name: str | None = None,
    asks: int = 0,
    version: str | None = None,
    inline: bool = False,
    when: Callable[..., bool] | None = None,
) -> GuardDecorator: ...
def guard(
    fn: Callable[..., Found] | None = None,
    /,
    *,
    name: str | None = None,
    asks: int = 0,
    version: str | None = None,
    inline: bool = False,
    when: Callable[..., bool] | None = None,
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
        when: look only where this predicate of (value) or (value, ctx) is True; see `Guard.when`.

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

    def make(function: Callable[..., Found]) -> AnyGuard:
        made: AnyGuard = Guard(function, name=name, asks=asks, version=version, inline=inline)
        return made if when is None else made.when(when)

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
    try:
        parameters = inspect.signature(fn).parameters.values()
    except ValueError:  # a type written in C, as `bool`: they take one value
        return 1
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
