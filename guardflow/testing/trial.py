"""One guard on trial: run it on values, with its input, its judge and its resources, from plain test code.

`guardflow.testing.conformance` makes one for each guard it checks. It judges nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import anyio
from pydantic import BaseModel, RootModel, TypeAdapter
from pydantic_core import to_jsonable_python

from guardflow.guards import Asker, Checked, Guard, GuardContext, GuardUse, check
from guardflow.guards.paths import children, walk
from guardflow.values import Finding, Path

ResultT = TypeVar("ResultT")


@dataclass(frozen=True)
class Trial:
    """A guard, the values it is tried on, and what it is told besides."""

    guard: Guard[Any, Any]
    passes: tuple[object, ...]
    fails: tuple[object, ...]
    input: object
    ask: Asker | None
    resources: tuple[object, ...]
    fix: Callable[[Any, Sequence[Finding]], Any] | None
    seconds: float

    def context(self, *, input: object = None, ask: Asker | None = None) -> GuardContext[Any]:
        """What the guard is told."""
        return GuardContext(
            self.input if input is None else input,
            stage="conformance",
            ask=ask or self.ask,
            resources=self.resources,
        )

    def findings(self, value: object) -> list[Finding]:
        """What the guard finds in a value."""

        async def read() -> list[Finding]:
            ctx = self.context().for_guard(self.guard.name, asks=self.guard.asks)
            if self.guard.is_async:
                return [finding async for finding in self.guard(value, ctx)]
            return list(self.guard(value, ctx))

        return run(read)

    def used(
        self, value: object, use: GuardUse[Any, Any], ctx: GuardContext[Any] | None = None
    ) -> Checked[Any]:
        """What a stage would make of a value and this use of the guard."""

        async def judge() -> Checked[Any]:
            revalidate = TypeAdapter(type(value)).validate_python
            return await check(value, [use], ctx or self.context(), revalidate=revalidate)

        return run(judge)


def run(make: Callable[[], Coroutine[object, None, ResultT]]) -> ResultT:
    """Run a coroutine function to its end, in a thread of its own: the test may have a loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(anyio.run, make).result()


def plain(value: object) -> object:
    """A value as JSON, to see whether it has changed."""
    return to_jsonable_python(value, fallback=repr)


def has_path(value: object, at: Path) -> bool:
    """Whether a value has a node at a path."""
    for part in at:
        inside = children(value)
        if inside is None:
            return False
        found = [item for key, item in inside if key == part]
        if not found:
            return False
        value = found[0]
    return True


def first_text(values: Iterable[object]) -> tuple[object, Path, str] | None:
    """The first value that holds a text, where, and the text."""
    for value in values:
        for at, leaf in walk(value):
            if type(leaf) is str and leaf.strip():
                return value, at, leaf
    return None


def with_text(value: object, at: Path, text: str) -> object:
    """A copy of a value with another text at a path.

    Raises:
        ValueError: the type of the value does not allow it.
    """
    if not at:
        return text
    part, rest = at[0], at[1:]
    if isinstance(value, RootModel):
        held = cast("RootModel[object]", value)
        return _valid(held.model_copy(update={"root": with_text(held.root, at, text)}))
    if isinstance(value, BaseModel):
        name = str(part)
        return _valid(value.model_copy(update={name: with_text(getattr(value, name), rest, text)}))
    if isinstance(value, Mapping):
        mapping = cast("Mapping[object, object]", value)
        return {
            key: with_text(item, rest, text) if part in (key, str(key)) else item
            for key, item in mapping.items()
        }
    if isinstance(value, (list, tuple)):
        items = cast("Sequence[object]", value)
        changed = [with_text(item, rest, text) if i == part else item for i, item in enumerate(items)]
        return tuple(changed) if isinstance(value, tuple) else changed
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        name = str(part)
        return dataclasses.replace(value, **{name: with_text(getattr(value, name), rest, text)})
    raise ValueError(f"{type(value).__name__} has no text at {part!r}")


def _valid(model: BaseModel) -> BaseModel:
    return type(model).model_validate(to_jsonable_python(model, by_alias=True, round_trip=True))


def grown(text: str, size: int) -> Iterator[str]:
    """Texts of a size: the text again and again, and what makes careless patterns slow."""
    for seed in (f"{text} ", "a", "1", " ", "a b", "((", "1-", "a@"):
        yield (seed * (size // len(seed) + 1))[:size]
