"""One execution of one run: builds its scope, runs the pipeline in it, and writes down how it ended.

The engine calls it for root runs and for child runs alike. It starts nothing by itself.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import anyio

from guardflow.budget import Budget, Meter
from guardflow.errors import RunExists, RunNotFound, StageError, StateError
from guardflow.events import RunFinished, RunStarted
from guardflow.flow.agreement_json import agreement_json
from guardflow.flow.envelope import pack
from guardflow.flow.protocols import ChildRun, Engine, Envelope
from guardflow.flow.scope import Scope
from guardflow.hashing import JSON
from guardflow.records import RunRow
from guardflow.values import CacheMode, Outcome, Spend

from .registry import AnyPipeline

if TYPE_CHECKING:
    from .runtime import Runtime


class Executor:
    """Executes the runs of one runtime.

    ``live`` are the scopes of runs that are executing now: their active seconds are written by heartbeats.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.live: dict[str, LiveRun] = {}
        self._limits: dict[str, anyio.Semaphore] = {}
        self._parents: dict[str, Scope] = {}

    async def execute(self, name: str, engine: Engine) -> Envelope:
        """Run pipeline ``name`` in a new scope, to its end, and record that end."""
        backend = self._runtime.backend
        row = await backend.runs.get(engine.run_id)
        if row is None:
            raise RunNotFound(f"run {engine.run_id!r} is not in the ledger", hint="start it by Runtime.run")
        limit = self._limits.get(row.run_id)
        if limit is None:
            return await self._execute(self._runtime.pipelines.get(name), engine, row)
        async with limit:
            return await self._execute(self._runtime.pipelines.get(name), engine, row)

    async def _execute(self, pipeline: AnyPipeline, engine: Engine, row: RunRow) -> Envelope:
        services, backend = self._runtime.services, self._runtime.backend
        scope = await self._scope(engine, row)
        live = LiveRun(scope)
        self.live[row.run_id] = live
        self._runtime.publish(RunStarted(row.run_id, pipeline.name, engine.resumed))
        try:
            try:
                outcome = await pipeline.execute(scope, row.input)
            except Exception as error:
                if recorded_as_failure(error):
                    message = f"{type(error).__name__}: {error}"
                    await backend.runs.end(
                        row.run_id,
                        "failed",
                        output=None,
                        error=self._runtime.redacted(message),
                        active=live.take(),
                        epoch=engine.epoch,
                    )
                    self._runtime.publish(RunFinished(row.run_id, "failed"))
                raise
            degraded = sorted(scope.degraded | set(scope.marks))
            if degraded and outcome.status == "ok":
                said = "; ".join(f"{part}: {why}" for part, why in scope.marks.items() if why)
                outcome = Outcome(outcome.stage, "degraded", outcome.value, message=said)
            envelope = await pack(
                outcome, pipeline.output, digest=row.input_hash, artifacts=services.artifacts
            )
            votes: dict[str, JSON] = {name: agreement_json(a) for name, a in scope.agreement.items()}
            envelope = {**envelope, "degraded": degraded, **({"votes": votes} if votes else {})}
            await backend.ledger.flush()
            await backend.runs.end(
                row.run_id,
                outcome.status,
                output=cast("JSON", envelope),
                error=outcome.message,
                active=live.take(),
                epoch=engine.epoch,
            )
            self._runtime.publish(RunFinished(row.run_id, outcome.status))
            return envelope
        finally:
            del self.live[row.run_id]

    async def _scope(self, engine: Engine, row: RunRow) -> Scope:
        backend = self._runtime.backend
        options = row.options
        budget = budget_of(options)
        parent = self._parents.get(row.run_id)
        spent = await backend.ledger.spend(row.run_id) if engine.resumed else Spend()
        rounds = await backend.ledger.rounds(row.run_id) if engine.resumed else ()
        deadline, seconds = (math.inf, math.inf) if parent is None else (parent.deadline, parent.seconds)
        if budget is not None and budget.seconds is not None:
            own = anyio.current_time() + budget.seconds - row.active_seconds
            if own < deadline:
                deadline, seconds = own, budget.seconds
        return Scope(
            engine=engine,
            services=self._runtime.services,
            meter=Meter(budget, spent=spent, parent=parent.meter if parent is not None else None),
            cache_mode=cast("CacheMode", options.get("cache", "off")),
            deadline=deadline,
            seconds=seconds,
            rounds={(r.key.step, r.key.item): r for r in rounds},
            family=self,
            mailbox=backend.runs,
        )

    async def adopt(
        self,
        parent: Scope,
        step: int,
        pipeline: AnyPipeline,
        inputs: Sequence[JSON],
        *,
        limit: int,
        budget: Budget | None,
    ) -> Sequence[ChildRun]:
        """Create the child runs of a step, or find those that exist (`guardflow.flow.pipeline.Family`)."""
        self._runtime.register(pipeline)
        above = await self._runtime.backend.runs.get(parent.run_id)
        if above is None:
            raise RunNotFound(f"run {parent.run_id!r} is not in the ledger", hint="start it by Runtime.run")
        gate = anyio.Semaphore(limit)
        children: list[ChildRun] = []
        for index, data in enumerate(inputs):
            child = f"{parent.run_id}-{step}-{index}"
            options: Mapping[str, JSON] = {
                "cache": parent.cache_mode,
                "budget": budget.to_json() if budget is not None else None,
            }
            await self._runtime.backend.runs.create(
                new_run(child, pipeline, data, options=options, root=above.root, parent=parent.run_id)
            )
            self._limits[child] = gate
            self._parents[child] = parent
            self._runtime.watchers.adopt(child, parent=parent.run_id)
            children.append(ChildRun(child, pipeline.name))
        return children

    async def ended(self, runs: Sequence[ChildRun]) -> Sequence[Envelope]:
        """The envelopes of ended child runs, in order."""
        envelopes: list[Envelope] = []
        for run in runs:
            row = await self._runtime.backend.runs.get(run.run_id)
            if row is None or row.state != "ended" or not isinstance(row.output, Mapping):
                status = "cancelled" if row is not None and row.status == "cancelled" else "failed"
                error = row.error if row is not None else "it is not in the ledger"
                envelopes.append({"v": 1, "name": run.pipeline, "in": "", "status": status, "message": error})
            else:
                envelopes.append(row.output)
            self._limits.pop(run.run_id, None)
            self._parents.pop(run.run_id, None)
        return envelopes


class LiveRun:
    """A run that is executing now, and the part of its active time that is not written yet."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self._since = anyio.current_time()
        self._idle = 0.0

    def take(self) -> float:
        """Active seconds since the last time this was asked: without waiting for signals or sleeping."""
        now, idle = anyio.current_time(), self.scope.idle_seconds
        active = max(0.0, now - self._since - (idle - self._idle))
        self._since, self._idle = now, idle
        return active


def recorded_as_failure(error: Exception) -> bool:
    """Whether a raised error ends the run as failed. A lost lease or a broken database must not: the run is
    somebody else's, or can go on when the database can."""
    return not isinstance(error, StateError)


def budget_of(options: Mapping[str, JSON]) -> Budget | None:
    """The budget in a run's stored options."""
    data = options.get("budget")
    return Budget.from_json(data) if isinstance(data, Mapping) else None


def new_run(
    run_id: str,
    pipeline: AnyPipeline,
    data: JSON,
    *,
    options: Mapping[str, JSON],
    root: str | None = None,
    parent: str | None = None,
    forked_from: str | None = None,
) -> RunRow:
    """A run that nobody has executed yet."""
    if not run_id or len(run_id) > 200 or any(ord(c) < 33 or c in "/\\" for c in run_id):
        raise StageError(
            f"{run_id!r} cannot be a run id",
            hint="use up to 200 visible characters without spaces and slashes",
        )
    return RunRow(
        run_id=run_id,
        pipeline=pipeline.name,
        input=data,
        input_hash=pipeline.input.hash(data),
        state="pending",
        status=None,
        output=None,
        error="",
        root=root or run_id,
        parent=parent,
        forked_from=forked_from,
        owner=None,
        epoch=0,
        active_seconds=0.0,
        options=options,
        created_at=time.time(),
        ended_at=None,
    )


def refuse_other(stored: RunRow, asked: RunRow) -> None:
    """Raises:
    RunExists: a run id stands for another run already.
    """
    if stored.pipeline != asked.pipeline:
        raise RunExists(
            f"run {asked.run_id!r} is a run of pipeline {stored.pipeline!r}, not of {asked.pipeline!r}",
            hint="choose another run id",
        )
    if stored.input_hash != asked.input_hash:
        raise RunExists(
            f"run {asked.run_id!r} exists with another input (hash {stored.input_hash[:12]}, "
            f"now {asked.input_hash[:12]})",
            hint="choose another run id, or fork the run",
        )
