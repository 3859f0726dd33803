"""Stages: one typed input, one typed output, recorded as one step of the run.

`Stage` is what every stage is; `stage` makes one of a function. Model stages are in ``llm.py``.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar, cast, get_type_hints, overload

import anyio
import anyio.to_thread
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_random_exponential

from guardflow.errors import GuardflowError, Retry, StageEnded, StageError
from guardflow.events import StageFinished, StageStarted
from guardflow.hashing import JSON
from guardflow.kinds import Kind
from guardflow.values import Attempt, CallKey, Outcome, Status

from .agreement_json import share_of
from .codec import Codec
from .context import Context
from .envelope import pack, unpack, verify
from .protocols import Envelope
from .scope import (
    SECONDS_KEPT,
    SECONDS_USED_UP,
    Scope,
    current_scope,
    in_stage,
    plain_scope,
    refuse_inside_stage,
)

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
A = TypeVar("A")
B = TypeVar("B")

_NAME = "lower-case letters, digits, '-', '_' and '.', at most 100, such as 'plan' or 'extract.page'"


class Stage(Generic[In, Out]):
    """A step of a pipeline with one input and one output, both of which can be JSON.

    ``await stage(x)`` gives the value or raises `StageEnded`; ``await stage.outcome(x)`` gives an `Outcome`.
    Calling draws the stage's place in the run's history, awaiting runs it: ``gather(plan(q), fetch(u))`` is
    safe on resume. Outside of a pipeline it is a plain call, without a database.
    """

    def __init__(self, name: str, *, input: Codec[In], output: Codec[Out]) -> None:
        self.name = name
        self.input: Codec[object] = cast("Codec[object]", input)
        self.output: Codec[object] = cast("Codec[object]", output)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"

    def __call__(self, value: In, /) -> Coroutine[object, None, Out]:
        """The output, checked and recorded.

        Raises:
            StageEnded: the stage ended without one.
            StageError: called in another task than the pipeline's own, or inside a stage.
        """
        return self._unwrapped(value, *self._place(value))

    def outcome(self, value: In, /) -> Coroutine[object, None, Outcome[Out]]:
        """How the stage ended; never raises for an expected end."""
        return self._recorded(value, *self._place(value))

    async def perform(
        self, scope: Scope, key: CallKey, value: object, history: Sequence[Attempt]
    ) -> Performed:
        """Do the work of one call. Called inside a step or a fan_out item, never by users.

        Args:
            history: what an earlier execution of this very call left in the ledger.
        """
        raise NotImplementedError  # the two kinds of stages define it

    def _place(self, value: In) -> tuple[JSON, str, Scope | None, int]:
        refuse_inside_stage(f"stage {self.name!r}")
        data = self.input.dump(value)
        digest = self.input.hash(data)
        scope = current_scope()
        if scope is None or scope.place == "plain":
            return data, digest, None, 0
        scope.called(self.name, self)
        return data, digest, scope, scope.engine.reserve()

    async def _unwrapped(self, value: In, data: JSON, digest: str, scope: Scope | None, step: int) -> Out:
        causes: list[Exception] = []
        outcome = await self._recorded(value, data, digest, scope, step, causes)
        try:
            return outcome.unwrap()
        except StageEnded as ended:
            raise ended from (causes[0] if causes else None)

    async def _recorded(
        self,
        value: In,
        data: JSON,
        digest: str,
        scope: Scope | None,
        step: int,
        causes: list[Exception] | None = None,
    ) -> Outcome[Out]:
        if scope is None:
            async with plain_scope() as own:
                return await self._recorded(value, data, digest, own, 1, causes)
        checked = self.input.check(value)
        artifacts = scope.services.artifacts

        async def body() -> Envelope:
            history, _ = await scope.recorded(step)
            async with in_stage(self.name, scope):
                done = await self.perform(scope, CallKey(scope.run_id, step), checked, history)
            if done.cause is not None and causes is not None:
                causes.append(done.cause)
            envelope = await pack(done.outcome, self.output, digest=digest, artifacts=artifacts)
            opened = scope.round_of(CallKey(scope.run_id, step))
            if opened is not None:
                envelope = {**envelope, "round": opened.round}
            return {**envelope, "checks": done.checks} if done.checks else envelope

        with scope.accompanied():
            envelope = await run_step(scope, step, "stage", body, name=self.name, digest=digest)
        outcome = await unpack(envelope, self.output, artifacts=artifacts)
        scope.ended(outcome)
        return cast("Outcome[Out]", outcome)


async def run_step(
    scope: Scope,
    step: int,
    sort: Literal["stage", "fan_out"],
    body: Callable[[], Awaitable[Envelope]],
    *,
    name: str,
    digest: str,
) -> Envelope:
    """Run or replay a step, tell whoever watches, and refuse what another call stored there.

    Args:
        name: the call's name, as in its envelope.
        digest: the hash of its input.

    Raises:
        ReplayMismatch: another name or another input is stored under this step.
    """
    fresh = False
    await scope.renewed(step, name, digest)

    async def told() -> Envelope:
        nonlocal fresh
        fresh = True
        scope.tell(StageStarted(scope.run_id, step, label))
        return await body()

    label = f"stage:{name}" if sort == "stage" else name
    envelope = await scope.engine.step(step, label, told)
    verify(envelope, owner=f"{sort} {name.removeprefix('fan_out:')!r}", name=name, digest=digest)
    status = cast("Status", envelope.get("status"))
    share = share_of(envelope.get("agreement"))
    scope.tell(StageFinished(scope.run_id, step, label, status, replayed=not fresh, agreement=share))
    return envelope


@dataclass(frozen=True, slots=True)
class Performed:
    """An outcome, the exception behind it, and the version of the checks that decided it."""

    outcome: Outcome[object]
    cause: Exception | None = None
    checks: str = ""


class CodeStage(Stage[In, Out]):
    """A stage made of a function. Made by `stage`."""

    def __init__(
        self,
        name: str,
        *,
        input: Codec[In],
        output: Codec[Out],
        function: Callable[..., object],
        takes_context: bool,
        timeout: float | None,
        retries: int,
        time_reserve: float,
    ) -> None:
        super().__init__(name, input=input, output=output)
        self._function = function
        self._takes_context = takes_context
        self._is_async = inspect.iscoroutinefunction(function)
        self._timeout = timeout
        self._retries = retries
        self._time_reserve = time_reserve

    async def perform(
        self, scope: Scope, key: CallKey, value: object, history: Sequence[Attempt]
    ) -> Performed:
        try:
            with anyio.CancelScope(deadline=scope.until(self._time_reserve)):
                result = await (self._retrying(scope, value) if self._retries else self._once(scope, value))
                return Performed(Outcome(self.name, "ok", self.output.check(result)))
            message = SECONDS_KEPT if self._time_reserve else SECONDS_USED_UP
            return Performed(Outcome(self.name, "over_budget", kind=Kind.BUDGET, message=message))
        except StageEnded as ended:
            outcome = cast("Outcome[object] | None", ended.outcome)
            if outcome is None:
                return self._failed(ended, scope)
            return Performed(Outcome(self.name, outcome.status, kind=outcome.kind, message=outcome.message))
        except Exception as error:  # whatever a stage raises ends the stage, not the process
            if isinstance(error, GuardflowError) and not isinstance(error, Retry):
                raise
            return self._failed(error, scope)

    def _failed(self, error: Exception, scope: Scope) -> Performed:
        kind = Kind.TIMEOUT if isinstance(error, TimeoutError) else Kind.BUG
        if isinstance(error, TimeoutError) and not str(error):
            message = f"it took longer than {self._timeout:g} s" if self._timeout else "it timed out"
        else:
            message = f"{type(error).__name__}: {error}"
        message = scope.services.redact(message)
        return Performed(Outcome(self.name, "failed", kind=kind, message=message), cause=error)

    async def _once(self, scope: Scope, value: object) -> object:
        arguments = (value, Context(scope, stage=self.name)) if self._takes_context else (value,)
        if self._timeout is None:
            return await self._call(arguments)
        with anyio.fail_after(self._timeout):
            return await self._call(arguments)

    async def _call(self, arguments: tuple[object, ...]) -> object:
        if self._is_async:
            return await cast("Awaitable[object]", self._function(*arguments))
        return await anyio.to_thread.run_sync(self._function, *arguments, abandon_on_cancel=True)

    async def _retrying(self, scope: Scope, value: object) -> object:
        # A retrying object holds the state of one call: sharing one mixes up concurrent calls.
        retrying = AsyncRetrying(
            retry=retry_if_exception(is_transient),
            stop=stop_after_attempt(self._retries + 1),
            wait=_pause,
            sleep=anyio.sleep,
            reraise=True,
        )
        return await retrying(self._once, scope, value)


_backoff = wait_random_exponential(multiplier=0.2, max=20)


def _pause(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    asked = error.after if isinstance(error, Retry) else 0.0
    return max(asked, _backoff(state))


def is_transient(error: BaseException) -> bool:
    """Whether trying the same code again may help: OSError, time-outs, transport errors, `guardflow.Retry`."""
    if isinstance(error, (OSError, TimeoutError, Retry)):
        return True
    return any(cls.__name__ == "TransportError" for cls in type(error).__mro__)


@overload
def stage(function: Callable[[A], Awaitable[B]], /) -> Stage[A, B]: ...
@overload
def stage(function: Callable[[A, Context], Awaitable[B]], /) -> Stage[A, B]: ...
@overload
def stage(function: Callable[[A], B], /) -> Stage[A, B]: ...
@overload
def stage(function: Callable[[A, Context], B], /) -> Stage[A, B]: ...
@overload
def stage(
    *, name: str | None = None, timeout: float | None = None, retries: int = 0, time_reserve: float = 0.0
) -> _StageDecorator: ...
def stage(
    function: Callable[..., object] | None = None,
    /,
    *,
    name: str | None = None,
    timeout: float | None = None,
    retries: int = 0,
    time_reserve: float = 0.0,
) -> object:
    """Make a stage of a function ``(input) -> output`` or ``(input, ctx: Context) -> output``.

    Sync functions run in a worker thread. The types come from the annotations.

    Args:
        name: the stable name in checkpoints; the function's name by default.
        timeout: seconds one try may take.
        retries: more tries after the first, on `OSError`, time-outs, transport errors and `guardflow.Retry`.
        time_reserve: share of the run's seconds, from 0 to below 1, that its calls leave for what follows; as in
            `LLMStage`.

    Raises:
        StageError: the function has no annotations, or takes something else; or a number makes no sense.

    Example:
        >>> @stage(timeout=20)
        ... async def shout(text: str) -> str:
        ...     return text.upper()
        >>> import asyncio
        >>> asyncio.run(shout("hi"))
        'HI'
    """
    names = sys._getframe(1).f_locals  # pyright: ignore[reportPrivateUsage]  # annotations may name local classes
    decorator = _StageDecorator(name, timeout, retries, time_reserve, names)
    return decorator if function is None else decorator.make(function)


class _StageDecorator:
    def __init__(
        self,
        name: str | None,
        timeout: float | None,
        retries: int,
        time_reserve: float,
        names: Mapping[str, object],
    ) -> None:
        if retries < 0 or (timeout is not None and timeout <= 0):
            raise StageError(
                f"@stage got timeout={timeout!r}, retries={retries!r}", hint="give positive numbers or none"
            )
        self._name, self._timeout, self._retries, self._names = name, timeout, retries, names
        self._time_reserve = check_time_reserve(time_reserve, "@stage")

    @overload
    def __call__(self, function: Callable[[A], Awaitable[B]], /) -> Stage[A, B]: ...
    @overload
    def __call__(self, function: Callable[[A, Context], Awaitable[B]], /) -> Stage[A, B]: ...
    @overload
    def __call__(self, function: Callable[[A], B], /) -> Stage[A, B]: ...
    @overload
    def __call__(self, function: Callable[[A, Context], B], /) -> Stage[A, B]: ...
    def __call__(self, function: Callable[..., object], /) -> object:
        return self.make(function)

    def make(self, function: Callable[..., object]) -> CodeStage[object, object]:
        name = self._name or function.__name__
        owner = f"stage {check_name(name, 'stage')!r}"
        signature = read_signature(function, owner=owner, names=self._names, context=Context)
        return CodeStage(
            name,
            input=Codec(signature.input, owner=owner),
            output=Codec(signature.output, owner=owner),
            function=function,
            takes_context=signature.takes_context,
            timeout=self._timeout,
            retries=self._retries,
            time_reserve=self._time_reserve,
        )


@dataclass(frozen=True, slots=True)
class Signature:
    """The types of ``(input) -> output`` or ``(input, ctx) -> output``."""

    input: type[object]
    output: type[object]
    takes_context: bool


def read_signature(
    function: Callable[..., object],
    *,
    owner: str,
    names: Mapping[str, object],
    context: type[object] | None = None,
) -> Signature:
    """Read a function's annotations.

    Raises:
        StageError: annotations are missing or name unknown types, or there are other parameters.
    """
    try:
        hints = get_type_hints(function, localns=dict(names))
    except NameError as error:
        raise StageError(
            f"{owner} has an annotation that cannot be resolved ({error})",
            hint="import the type at module level",
        ) from None
    parameters = list(inspect.signature(function).parameters.values())
    extra = parameters[1:]
    takes_context = context is not None and len(extra) == 1 and hints.get(extra[0].name) is context
    if not parameters or (extra and not takes_context):
        wanted = "(input)" if context is None else "(input) or (input, ctx: Context)"
        raise StageError(
            f"{owner} takes {inspect.signature(function)}",
            hint=f"give it the parameters {wanted}; put several inputs into one pydantic model",
        )
    first = parameters[0].name
    if first not in hints or "return" not in hints:
        missing = first if first not in hints else "the return value"
        raise StageError(f"{owner} has no annotation for {missing}", hint="annotate its input and its output")
    return Signature(hints[first], hints["return"], takes_context=takes_context)


def check_time_reserve(share: float, owner: str) -> float:
    """Raises:
    StageError: it is no share of something that leaves anything.
    """
    if not 0 <= share < 1:
        raise StageError(
            f"{owner} got time_reserve={share!r}",
            hint="use the share of the run's seconds to leave, from 0 to below 1, such as 0.3",
        )
    return share


def check_name(name: str, what: str) -> str:
    """Raises:
    StageError: the name could not be stable in databases, paths and terminals.
    """
    allowed = all(c.isascii() and (c.isalnum() or c in "-_.") for c in name)
    if not name or not allowed or len(name) > 100:
        raise StageError(f"{name!r} cannot name a {what}", hint=f"use {_NAME}")
    return name
