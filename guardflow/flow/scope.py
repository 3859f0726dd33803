"""The scope of one run: what a stage call finds around it. Set by pipelines, read by stages; never global.

A stage called outside of a pipeline gets a scope of its own, in memory, that ends with the call.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, TypeVar, cast

import anyio

from guardflow.budget import BudgetLeft, Meter
from guardflow.errors import StageError
from guardflow.records import ItemRow, RoundRow
from guardflow.values import Attempt, CacheMode, CallKey, Model, Outcome

from .agreement_json import least_sure
from .protocols import Artifacts, Engine, Ledger, Mailbox, ResponseCache

if TYPE_CHECKING:
    from guardflow.agreement import Agreement
    from guardflow.events import Event
    from guardflow.models.routing import Models
    from guardflow.prompts import PromptLibrary

    from .pipeline import Family

T = TypeVar("T")

SECONDS_USED_UP = "the run's seconds are used up"
SECONDS_KEPT = "the rest of the run's seconds is kept for what follows"


class KeyLocks:
    """One lock a key, kept only while somebody holds or awaits it: equal requests wait for the first."""

    def __init__(self) -> None:
        self._locks: dict[str, anyio.Lock] = {}
        self._users: dict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def holding(self, key: str) -> AsyncGenerator[None]:
        lock = self._locks.setdefault(key, anyio.Lock())
        self._users[key] += 1
        try:
            async with lock:
                yield
        finally:
            self._users[key] -= 1
            if not self._users[key]:
                del self._users[key], self._locks[key]


@dataclass(slots=True)
class Services:
    """What all runs of a runtime share. ``resources`` are looked up by type and never stored."""

    ledger: Ledger
    artifacts: Artifacts
    cache: ResponseCache
    models: Models
    prompts: PromptLibrary
    resources: Sequence[object] = ()
    watch: Callable[[Event], None] | None = None
    locks: KeyLocks = field(default_factory=KeyLocks)
    clock: Callable[[], float] = time.time
    redact: Callable[[str], str] = str
    """Takes the values of configured secrets out of a text, before it is stored or shown."""
    _addresses: dict[str, str] = field(default_factory=dict[str, str])

    def shown(self, model: Model) -> Model:
        """The model as a row may hold it: an address may hold a secret. Each is looked through once, since that reads
        the project's .env."""
        asked = model.asked and self.shown(model.asked)
        base = model.api_base
        if base is not None and base not in self._addresses:
            self._addresses[base] = self.redact(base)
        clean = self._addresses[base] if base is not None else None
        return (
            model if clean == base and asked is model.asked else replace(model, api_base=clean, asked=asked)
        )


@dataclass(slots=True)
class Scope:
    """One execution of one run.

    ``deadline`` is on the event loop's clock, and ``seconds`` the whole budget it comes from; both are infinite
    without one.
    """

    engine: Engine
    services: Services
    meter: Meter
    cache_mode: CacheMode = "off"
    deadline: float = float("inf")
    seconds: float = float("inf")
    rounds: Mapping[tuple[int, int], RoundRow] = field(default_factory=dict[tuple[int, int], RoundRow])
    place: Literal["pipeline", "plain"] = "pipeline"
    family: Family | None = None
    mailbox: Mailbox | None = None
    signals_seen: dict[str, int] = field(default_factory=dict[str, int])
    idle_seconds: float = 0.0
    own_task: asyncio.Task[object] | None = field(default_factory=asyncio.current_task)
    degraded: set[str] = field(default_factory=set[str])
    marks: dict[str, str] = field(default_factory=dict[str, str])
    """The parts that the pipeline itself marked as degraded, with their reasons."""
    agreement: dict[str, Agreement] = field(default_factory=dict[str, "Agreement"])
    """Of each stage that votes, the call whose ballots agreed least."""
    side: set[asyncio.Task[object]] = field(default_factory=set["asyncio.Task[object]"])
    names: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def run_id(self) -> str:
        return self.engine.run_id

    def called(self, name: str, stage: object) -> None:
        """Raises:
        StageError: another stage of this name was called in this run.
        """
        if self.names.setdefault(name, stage) is not stage:
            raise StageError(
                f"two different stages are named {name!r} in one run",
                hint="rename one; a run finds what it recorded by this name",
            )

    @contextmanager
    def accompanied(self) -> Generator[None]:
        """Keep track of the task a stage runs in, if it is not the pipeline's own: `settle` waits for it."""
        task = asyncio.current_task()
        if task is None or task is self.own_task:
            yield
            return
        self.side.add(task)
        try:
            yield
        finally:
            self.side.discard(task)

    async def settle(self, *, finish: bool) -> None:
        """Let no stage call outlive its pipeline: wait for those still running in other tasks, or cancel them.

        ``asyncio.gather`` leaves its siblings running when one of them raises. When a stage was parked they
        finish, because their answers will be needed; else they are cancelled and pay no more.
        """
        side = {task for task in self.side if not task.done()}
        if not finish:
            for task in side:
                task.cancel()
        if side:
            await asyncio.wait(side)

    @asynccontextmanager
    async def idle(self) -> AsyncGenerator[None]:
        """Time spent in here is waiting: it does not count as active seconds, and moves the deadline."""
        began = anyio.current_time()
        try:
            yield
        finally:
            waited = anyio.current_time() - began
            self.idle_seconds += waited
            self.deadline += waited

    def until(self, reserve: float) -> float:
        """When a call has to end that leaves this share of the run's seconds, on the event loop's clock."""
        return (
            self.deadline - reserve * self.seconds if reserve and self.seconds < math.inf else self.deadline
        )

    def left(self) -> BudgetLeft:
        """What is left of the run's budget right now, its seconds included."""
        seconds = None
        if self.deadline != float("inf"):
            seconds = max(0.0, self.deadline - anyio.current_time())
        return self.meter.left()._replace(seconds=seconds)

    def tell(self, event: Event) -> None:
        """Hand an event to whoever watches, if anybody does."""
        if self.services.watch is not None:
            self.services.watch(event)

    def round_of(self, key: CallKey) -> RoundRow | None:
        """The latest round that was opened for a call; None for its first."""
        return self.rounds.get((key.step, key.item))

    def ended(self, outcome: Outcome[object]) -> None:
        """Keep what the run's result says about its stages: those that degraded, and how sure votes were."""
        if outcome.status == "degraded":
            self.degraded.add(outcome.stage)
        if outcome.agreement is not None:
            known = self.agreement.get(outcome.stage)
            self.agreement[outcome.stage] = least_sure(known, outcome.agreement)

    def resource(self, kind: type[T]) -> T:
        """The resource of that type.

        Raises:
            StageError: there is none.
        """
        for candidate in self.services.resources:
            if isinstance(candidate, kind):
                return candidate
        have = ", ".join(sorted(type(r).__name__ for r in self.services.resources)) or "none"
        raise StageError(
            f"no resource of type {kind.__name__!r} was given (there are: {have})",
            hint="pass it as Runtime(resources=[...])",
        )

    async def renewed(self, step: int, name: str, digest: str) -> None:
        """Drop the checkpoint of another call, where it follows a stage call that was opened again.

        Such a call may end otherwise than before, and what comes after it then has other inputs. Everywhere
        else another call at a step is a `ReplayMismatch`.
        """
        if not any(opened < step for opened, _ in self.rounds):
            return
        stored = await self.engine.peek(step)
        if stored is not None and (stored.get("name") != name or stored.get("in") != digest):
            await self.engine.forget(step)

    async def recorded(self, step: int) -> tuple[Sequence[Attempt], Sequence[ItemRow]]:
        """What an earlier execution of this step left in the ledger: nothing to look for in a first execution."""
        if not self.engine.resumed:
            return (), ()
        ledger = self.services.ledger
        return await ledger.attempts(self.run_id, step), await ledger.items(self.run_id, step)


_scope: ContextVar[Scope | None] = ContextVar("guardflow_scope", default=None)
_stage: ContextVar[str | None] = ContextVar("guardflow_stage", default=None)


def current_scope() -> Scope | None:
    """The scope of the run this code belongs to; None outside of a run."""
    return _scope.get()


def pipeline_scope(asked: str) -> Scope:
    """The scope of the pipeline that is calling.

    Raises:
        StageError: called outside of a pipeline, or inside a stage.
    """
    scope = _scope.get()
    if scope is None or scope.place == "plain":
        raise StageError(
            f"{asked} was called outside of a pipeline", hint="call it in the body of a @pipeline function"
        )
    refuse_inside_stage(asked)
    return scope


def refuse_inside_stage(asked: str) -> None:
    """Raises:
    StageError: a stage is running in this context.
    """
    inside = _stage.get()
    if inside is not None:
        raise StageError(
            f"{asked} was called inside stage {inside!r}, where it could be neither recorded nor resumed",
            hint="call it in the pipeline and pass its result to the stage",
        )


@asynccontextmanager
async def entered(scope: Scope) -> AsyncGenerator[None]:
    """Make ``scope`` the current one while a pipeline runs."""
    token = _scope.set(scope)
    inside = _stage.set(None)
    try:
        yield
    finally:
        _stage.reset(inside)
        _scope.reset(token)


@asynccontextmanager
async def in_stage(name: str, scope: Scope) -> AsyncGenerator[None]:
    """Mark the context as inside a stage, where no other stage may be called."""
    token = _stage.set(name)
    outer = _scope.set(scope)
    try:
        yield
    finally:
        _scope.reset(outer)
        _stage.reset(token)


@asynccontextmanager
async def plain_scope() -> AsyncGenerator[Scope]:
    """The scope of a stage that is called outside of a pipeline: in memory, no budget, gone afterwards."""
    from guardflow.models.routing import Models
    from guardflow.prompts import PromptLibrary, default_roots

    from .memory import MemoryArtifacts, MemoryCache, MemoryEngine, MemoryLedger

    models = Models()
    services = Services(
        ledger=MemoryLedger(),
        artifacts=MemoryArtifacts(),
        cache=MemoryCache(),
        models=models,
        prompts=PromptLibrary(default_roots()),
    )
    engine = cast("Engine", MemoryEngine("plain", journal={}, epoch=0, resumed=False))
    try:
        yield Scope(engine=engine, services=services, meter=Meter(None), place="plain")
    finally:
        await models.aclose()
