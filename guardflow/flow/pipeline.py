"""Pipelines: plain async functions whose stage calls are recorded, so that a run can go on after a crash.

`pipeline` makes one of a function. Called inside another pipeline it is a child run; outside of any, it runs
in memory, for tests and notebooks. `guardflow.runtime.Runtime` runs it durably.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar, cast

from guardflow.errors import StageEnded, StageError
from guardflow.hashing import JSON
from guardflow.values import Outcome

from .codec import Codec
from .envelope import pack, unpack, verify
from .protocols import ChildRun, Envelope
from .scope import Scope, current_scope, entered, pipeline_scope, plain_scope, refuse_inside_stage
from .stage import check_name, read_signature

if TYPE_CHECKING:
    from guardflow.budget import Budget

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
A = TypeVar("A")
B = TypeVar("B")


class Family(Protocol):
    """How child runs come to be: the runtime's part of ``fan_out(pipeline, items)``."""

    async def adopt(
        self,
        parent: Scope,
        step: int,
        pipeline: Pipeline[object, object],
        inputs: Sequence[JSON],
        *,
        limit: int,
        budget: Budget | None,
    ) -> Sequence[ChildRun]:
        """Create the child runs, or find those that exist. At most ``limit`` of them execute at once."""
        ...

    async def ended(self, runs: Sequence[ChildRun]) -> Sequence[Envelope]:
        """The envelope of each child, once all have ended."""
        ...


class Pipeline(Generic[In, Out]):
    """A named async function of one input, whose stage calls are steps. Made by `pipeline`."""

    def __init__(
        self,
        name: str,
        *,
        input: Codec[In],
        output: Codec[Out],
        function: Callable[[In], Awaitable[Out]],
    ) -> None:
        self.name = name
        self.input: Codec[object] = cast("Codec[object]", input)
        self.output: Codec[object] = cast("Codec[object]", output)
        self.function = cast("Callable[[object], Awaitable[object]]", function)
        self.__doc__ = function.__doc__
        self.__module__ = function.__module__

    def __repr__(self) -> str:
        return f"<Pipeline {self.name!r}>"

    def __call__(self, value: In, /) -> Coroutine[object, None, Out]:
        """Run as a child of the calling pipeline, or in memory outside of any.

        Raises:
            StageEnded: a stage ended without a value, and the pipeline did not deal with it.
        """
        refuse_inside_stage(f"pipeline {self.name!r}")
        scope = current_scope()
        if scope is None or scope.place == "plain":
            return cast("Coroutine[object, None, Out]", self._plain(value))
        return cast("Coroutine[object, None, Out]", self._as_child(value))

    async def execute(self, scope: Scope, data: JSON) -> Outcome[object]:
        """Run the function in ``scope``. Uncaught ends of stages become the run's end; bugs are raised."""
        value = self.input.load(data)
        async with entered(scope):
            parked = False
            try:
                result = await self.function(value)
            except StageEnded as ended:
                parked = waits(ended)
                return ended_as(self.name, ended)
            finally:
                await scope.settle(finish=parked)
        return Outcome(self.name, "ok", self.output.check(result))

    async def _plain(self, value: object) -> object:
        data = self.input.dump(value)
        async with plain_scope() as scope:
            scope.place = "pipeline"
            return (await self.execute(scope, data)).unwrap()

    async def _as_child(self, value: object) -> object:
        outcomes = await run_children(self, [value], limit=1, budget=None)
        return outcomes[0].unwrap()


def waits(ended: StageEnded) -> bool:
    """Whether a stage ended because it waits for a person."""
    outcome = cast("Outcome[object] | None", ended.outcome)
    return outcome is not None and outcome.status == "waiting"


def ended_as(name: str, ended: StageEnded) -> Outcome[object]:
    """The outcome of a run that ends because a stage did."""
    outcome = cast("Outcome[object] | None", ended.outcome)
    if outcome is None:
        return Outcome(name, "failed", message=ended.message)
    return Outcome(name, outcome.status, kind=outcome.kind, message=ended.message, findings=outcome.findings)


async def run_children(
    pipeline: Pipeline[object, object] | Pipeline[A, B],
    values: Sequence[object],
    *,
    limit: int,
    budget: Budget | None,
) -> Sequence[Outcome[object]]:
    """Run one child a value and return their outcomes in the order of the values. One step of the parent."""
    child = cast("Pipeline[object, object]", pipeline)
    scope = pipeline_scope(f"fan_out over pipeline {child.name!r}")
    step = scope.engine.reserve()
    family, artifacts = scope.family, scope.services.artifacts
    inputs = [child.input.dump(value) for value in values]
    name = f"run:{child.name}"
    owner, digest = f"fan_out over pipeline {child.name!r}", child.input.hash(inputs)
    await scope.renewed(step, name, digest)
    stored = await scope.engine.peek(step)
    if family is None:
        outcomes = [await _in_place(child, data) for data in inputs] if stored is None else []
        packed = [await pack(o, child.output, digest="", artifacts=artifacts) for o in outcomes]
        return [await unpack(e, child.output, artifacts=artifacts) for e in packed]

    async def body() -> Envelope:
        ended = await family.ended(runs)
        return {"v": 1, "name": name, "in": digest, "status": _joined(ended), "runs": list(ended)}

    runs: Sequence[ChildRun] = ()
    if stored is None:
        runs = await family.adopt(scope, step, child, inputs, limit=limit, budget=budget)
    envelope = await scope.engine.children(step, name, runs, body)
    verify(envelope, owner=owner, name=name, digest=digest)
    children = cast("Sequence[Envelope]", envelope["runs"])
    return [await unpack(e, child.output, artifacts=artifacts) for e in children]


async def _in_place(child: Pipeline[object, object], data: JSON) -> Outcome[object]:
    async with plain_scope() as own:
        own.place = "pipeline"
        return await child.execute(own, data)


def _joined(ended: Sequence[Envelope]) -> JSON:
    """The status of a fan_out: the first child's that is not fine, else ok."""
    bad = [e["status"] for e in ended if e["status"] not in ("ok", "degraded")]
    return bad[0] if bad else "ok"


class _Decorator(Protocol):
    def __call__(self, function: Callable[[A], Coroutine[object, object, B]], /) -> Pipeline[A, B]: ...


def pipeline(name: str) -> _Decorator:
    """Make a pipeline of an async function ``(input) -> output``.

    Args:
        name: the stable name in the database; a run finds its code by it after a crash.

    Raises:
        StageError: the function is not async, or its annotations are missing.
    """
    names: Mapping[str, object] = sys._getframe(1).f_locals  # pyright: ignore[reportPrivateUsage]  # annotations may name local classes

    def decorator(function: Callable[[A], Coroutine[object, object, B]], /) -> Pipeline[A, B]:
        import inspect

        owner = f"pipeline {check_name(name, 'pipeline')!r}"
        if not inspect.iscoroutinefunction(function):
            raise StageError(f"{owner} is not an async function", hint="write `async def`")
        signature = read_signature(function, owner=owner, names=names)
        return Pipeline(
            name,
            input=cast("Codec[A]", Codec(signature.input, owner=owner)),
            output=cast("Codec[B]", Codec(signature.output, owner=owner)),
            function=function,
        )

    return decorator
