"""`Runtime`: binds flow to models and a database, and has the verbs: run, resume, answer, fork, cancel, watch.

It is what users open; the command line calls nothing else. One durable runtime a process.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Literal, Never, Self, TypeVar, cast

import anyio
from anyio.abc import TaskGroup

from guardflow.budget import Budget
from guardflow.classify import redact
from guardflow.errors import (
    LeaseLost,
    NotResumable,
    RunIsLive,
    RunNotFound,
)
from guardflow.events import Event, RunFinished
from guardflow.flow.pipeline import Pipeline
from guardflow.flow.protocols import Envelope
from guardflow.flow.scope import Services
from guardflow.hashing import JSON
from guardflow.models.client import ModelClient
from guardflow.models.routing import Models
from guardflow.prompts import PromptLibrary, default_roots
from guardflow.records import Lease, RunRow
from guardflow.settings import (
    Settings,
    installation_secret,
    load_settings,
    provider_environment,
    secret_values,
)
from guardflow.values import CacheMode, Model

from .backend import MEMORY, Backend, Verb, open_backend
from .ending import result_of
from .execution import Executor, new_run, refuse_other
from .housekeeping import fork_run, prune_runs
from .registry import AnyPipeline, Registry
from .reopening import Plan, find_ended, plan_for, unfinished_reopening
from .result import RunResult, Started
from .sharing import keep_listening, listen
from .supervision import Supervisor
from .watching import Watchers

In = TypeVar("In")
Out = TypeVar("Out")

LEASE = 30.0
"""Seconds a lease lives without a heartbeat; a dead process on the same machine is noticed at once."""


class Runtime:
    """Runs pipelines durably.

    Args:
        database: ``"memory"``, a database URL, or None for what settings say: an SQLite file in the project's
            ``.guardflow/`` by default.
        resources: objects that stages look up by type with ``ctx.resource(T)``; never stored.
        models: clients for models or roles, instead of those that settings name.
        pipelines: pipelines that this runtime can resume; those that are run are added by themselves.
        settings: loaded from the project by default.
        recover: ``"all"`` adopts every run of these pipelines whose process died; ``"named"`` only the run
            that is asked for.
        lease: seconds after which a process that no longer answers counts as dead.

    Example:
        >>> import asyncio
        >>> from guardflow import pipeline, stage
        >>> @stage
        ... async def double(n: int) -> int:
        ...     return 2 * n
        >>> @pipeline("twice")
        ... async def twice(n: int) -> int:
        ...     return await double(await double(n))
        >>> async def main() -> int:
        ...     async with Runtime("memory") as rt:
        ...         return (await rt.run(twice, 3)).unwrap()
        >>> asyncio.run(main())
        12
    """

    def __init__(
        self,
        database: str | None = None,
        *,
        resources: Sequence[object] = (),
        models: Mapping[Model | str, ModelClient] | None = None,
        pipelines: Sequence[Pipeline[Never, object]] = (),
        settings: Settings | None = None,
        recover: Literal["named", "all"] = "named",
        lease: float = LEASE,
    ) -> None:
        self._database = database
        self._resources = tuple(resources)
        self._clients = models
        self._settings = settings
        self._recover = recover
        self._lease = lease
        self.pipelines = Registry()
        self._stack = AsyncExitStack()
        self._group: TaskGroup | None = None
        self.executor = Executor(self)
        self.executing: dict[str, anyio.CancelScope] = {}
        self._cancelled: set[str] = set()
        self.watchers = Watchers()
        for pipeline in pipelines:
            self.register(pipeline)

    async def __aenter__(self) -> Self:
        settings = self._loaded = self._settings or load_settings()
        models = Models(settings, clients=self._clients)
        self._stack.push_async_callback(models.aclose)
        try:
            self.backend: Backend = await self._stack.enter_async_context(
                open_backend(self._database, settings=settings, execute=self.executor.execute)
            )
            secret = b"guardflow" if self._database == MEMORY else installation_secret(settings)
            self.services = Services(
                ledger=self.backend.ledger,
                artifacts=self.backend.artifacts,
                cache=self.backend.cache,
                models=models,
                prompts=PromptLibrary(default_roots(), secret=secret),
                resources=self._resources,
                watch=self.publish,
                redact=self.redacted,
            )
            for name in self.pipelines.names:
                self.backend.executions.register(name)
            await listen(self.backend.board, models)
        except BaseException:
            await self._stack.aclose()
            raise
        self._group = await anyio.create_task_group().__aenter__()
        supervisor = Supervisor(self, lease=self._lease)
        self._group.start_soon(supervisor.beat)
        self._group.start_soon(keep_listening, self.backend.board, models)
        if self._recover == "all":
            self._group.start_soon(supervisor.adopt_all, self._group)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        group, self._group = self._group, None
        try:
            if group is not None:
                group.cancel_scope.cancel()
                # The block's own error is not the group's: it must reach the caller as it is.
                await group.__aexit__(None, None, None)
        finally:
            await self._stack.__aexit__(kind, error, trace)

    def register(self, pipeline: Pipeline[In, Out]) -> None:
        """Make a pipeline known by its name.

        Raises:
            StageError: another pipeline has that name.
        """
        self.pipelines.add(cast("AnyPipeline", pipeline))
        if self._group is not None:
            self.backend.executions.register(pipeline.name)

    async def run(
        self,
        pipeline: Pipeline[In, Out],
        input: In,
        *,
        run_id: str | None = None,
        budget: Budget | None = None,
        cache: CacheMode = "off",
    ) -> RunResult[Out]:
        """Run a pipeline to its end, or go on with the run of that id.

        A finished run gives its result again without executing anything. One that crashed goes on where it
        was; one that ended without a result tries again what ended, and pays for nothing else.

        Args:
            input: the pipeline's input.
            run_id: stable identity; a new one by default.
            budget: what the whole run may spend, over all resumes.
            cache: how the response cache is used.

        Raises:
            RunExists: the id is taken by another pipeline or another input.
            RunIsLive: another process is executing this run.
        """
        self.register(pipeline)
        known = cast("AnyPipeline", pipeline)
        data = known.input.dump(input)
        options: Mapping[str, JSON] = {
            "budget": budget.to_json() if budget is not None else None,
            "cache": cache,
        }
        row = new_run(run_id or f"{pipeline.name}-{uuid.uuid4().hex[:12]}", known, data, options=options)
        if await self.backend.runs.create(row):
            lease = await self.claim(row.run_id)
            envelope = await self.drive(lease, self.backend.executions.start, known.name)
            return cast("RunResult[Out]", await self._result(row.run_id, envelope))
        stored = await self._row(row.run_id)
        refuse_other(stored, row)
        if stored.state == "ended" and stored.status in ("ok", "degraded"):
            return cast("RunResult[Out]", await self._result(row.run_id, None))
        changed = options if budget is not None else None
        return cast("RunResult[Out]", await self._go_on(stored, options=changed))

    async def start(
        self,
        pipeline: Pipeline[In, Out],
        input: In,
        *,
        run_id: str | None = None,
        budget: Budget | None = None,
        cache: CacheMode = "off",
    ) -> Started[Out]:
        """`run` in the background of this runtime: returns at once, and ``await started.result()`` waits.

        Closing the runtime stops what still runs, as a crash would; the same id goes on with it later.
        """
        self.register(pipeline)
        started: Started[Out] = Started(run_id or f"{pipeline.name}-{uuid.uuid4().hex[:12]}")
        run = partial(self.run, pipeline, input, run_id=started.run_id, budget=budget, cache=cache)
        cast("TaskGroup", self._group).start_soon(started.carry, run)
        return started

    async def resume(self, run_id: str, *, budget: Budget | None = None) -> RunResult[object]:
        """Go on with a run by its id: after a crash, after it ended without a result, or with a new budget.

        Raises:
            RunNotFound, RunIsLive: there is no such run, or it is being executed.
            StateError: its pipeline is not known here.
        """
        row = await self._row(run_id)
        if row.state == "ended" and row.status in ("ok", "degraded"):
            return await self._result(run_id, None)
        options = {**row.options, "budget": budget.to_json()} if budget is not None else None
        return await self._go_on(row, options=options)

    async def answer(
        self,
        run_id: str,
        stage: str,
        *,
        value: JSON = None,
        action: Literal["value", "retry", "skip"] = "value",
        item: int | None = None,
    ) -> RunResult[object]:
        """Answer a stage that waits for a person, and go on with the run.

        Args:
            stage: the stage's name.
            value: with ``"value"``: the output in the model's place; it is guarded like any answer.
            action: give a value, ask the model again, or skip the stage (its fallback, else abstained).
            item: which item of a fan_out; all waiting ones by default.

        Raises:
            NotResumable: nothing of that name waits.
        """
        row = await self._row(run_id)
        ended = await find_ended(self.backend, run_id)
        calls = [
            c for c in ended.calls if c.stage == stage and c.waits and (item is None or c.key.item == item)
        ]
        if not calls:
            waiting = sorted({c.stage for c in ended.calls if c.waits})
            raise NotResumable(
                f"no call of stage {stage!r} in run {run_id!r} waits for an answer "
                f"(waiting: {', '.join(map(repr, waiting)) or 'none'})",
                hint=f"see `guardflow runs show {run_id}`",
            )
        said: Mapping[str, JSON] = {"value": value} if action == "value" else {action: True}
        plan = plan_for(ended, calls, reason="answer", answer=said)
        return await self._reopen(row, plan, options=None)

    async def fork(self, run_id: str, *, from_stage: str, new_id: str | None = None) -> str:
        """Copy a run with everything before the first call of ``from_stage``; `resume` makes the copy go on.

        Raises:
            NotResumable: the run has no finished call of that stage.
        """
        return await fork_run(self.backend, await self._row(run_id), from_stage=from_stage, new_id=new_id)

    async def prune(self, *, older_than: timedelta) -> int:
        """Forget ended runs and what only they needed; return how many. A fork keeps what it has from its parent.

        Args:
            older_than: how long ago a run must have ended.
        """
        return await prune_runs(self.backend, older_than=older_than)

    async def cancel(self, run_id: str) -> None:
        """Cancel a run, wherever it executes. What it finished is kept; `resume` goes on with it.

        Raises:
            RunNotFound: there is no such run.
        """
        row = await self._row(run_id)
        if row.state == "ended" and row.status != "waiting":
            return
        self._cancelled.add(run_id)
        await self.backend.executions.cancel(run_id)
        scope = self.executing.get(run_id)
        if scope is not None:
            scope.cancel()
            return
        await self._mark_cancelled(row)

    async def signal(self, run_id: str, name: str, value: JSON = None) -> None:
        """Send a signal to a run that waits for it in `wait_signal`, now or later.

        Raises:
            RunNotFound: there is no such run.
        """
        await self._row(run_id)
        await self.backend.runs.send(run_id, name, value)

    def watch(self, run_id: str) -> AsyncGenerator[Event]:
        """The events of a run that executes in this process, and of its child runs, live, until it ends."""
        return self.watchers.watch(run_id)

    def publish(self, event: Event) -> None:
        """Hand an event to whoever watches its run."""
        self.watchers.publish(event)

    def redacted(self, text: str) -> str:
        """The text without the values of configured secrets."""
        return redact(text, secret_values(provider_environment(self._loaded)))

    async def _go_on(self, row: RunRow, *, options: Mapping[str, JSON] | None) -> RunResult[object]:
        if row.parent is not None:
            raise NotResumable(
                f"run {row.run_id!r} is a child of {row.root!r}", hint=f"resume {row.root!r} instead"
            )
        self.pipelines.get(row.pipeline)
        if row.state != "ended":

            async def adopt(run_id: str, pipeline: str, *, epoch: int) -> Envelope:
                if options is not None:
                    await self.backend.runs.reopen([run_id], options=options)
                plan = unfinished_reopening(await find_ended(self.backend, run_id))
                verb = self.backend.executions.adopt if plan is None else self._reopening(plan, run_id)
                return await verb(run_id, pipeline, epoch=epoch)

            lease = await self.claim(row.run_id)
            return await self._result(row.run_id, await self.drive(lease, adopt, row.pipeline))
        ended = await find_ended(self.backend, row.run_id)
        return await self._reopen(row, plan_for(ended, ended.calls, reason="resume"), options=options)

    async def _reopen(
        self, row: RunRow, plan: Plan, *, options: Mapping[str, JSON] | None
    ) -> RunResult[object]:
        self.pipelines.get(row.pipeline)

        async def reopen(run_id: str, pipeline: str, *, epoch: int) -> Envelope:
            await self.backend.ledger.open_rounds(plan.rounds)
            await self.backend.runs.reopen([run_id, *plan.children(run_id)], options=options)
            return await self._reopening(plan, run_id)(run_id, pipeline, epoch=epoch)

        lease = await self.claim(row.run_id)
        return await self._result(row.run_id, await self.drive(lease, reopen, row.pipeline))

    def _reopening(self, plan: Plan, root: str) -> Verb:
        async def reopen(run_id: str, pipeline: str, *, epoch: int) -> Envelope:
            return await self.backend.executions.reopen(
                run_id, pipeline, plan.steps.get(run_id, ()), epoch=epoch, children=plan.children(root)
            )

        return reopen

    async def claim(self, run_id: str) -> Lease:
        """The right to execute a run here.

        Raises:
            RunIsLive: somebody executes it.
        """
        if run_id in self.executing:
            raise RunIsLive(f"run {run_id!r} is being executed by this process", hint="await the first call")
        return await self.backend.runs.claim(run_id, self.backend.owner, seconds=self._lease)

    async def drive(self, lease: Lease, verb: Verb, pipeline: str) -> Envelope | None:
        """Execute under a lease, to the end; a cancelled run gives None. All that is done between `claim` and
        the end belongs into ``verb``, so that no error and no cancellation keeps the lease."""
        run_id = lease.run_id
        envelope: Envelope | None = None
        try:
            with anyio.CancelScope() as scope:
                self.executing[run_id] = scope
                envelope = await verb(run_id, pipeline, epoch=lease.epoch)
            if scope.cancelled_caught and run_id not in self._cancelled:
                raise LeaseLost(
                    f"run {run_id!r} was taken over by another process", hint="let the new owner finish"
                )
        finally:
            self.executing.pop(run_id, None)
            with anyio.CancelScope(shield=True):
                await self.backend.runs.release(lease)
        if envelope is None or envelope.get("status") == "cancelled":
            await self._mark_cancelled(await self._row(run_id))
            self._cancelled.discard(run_id)
            return None
        return envelope

    async def _mark_cancelled(self, row: RunRow) -> None:
        for run in await self.backend.runs.tree(row.run_id):
            if run.state != "ended":
                latest = await self._row(row.root)
                await self.backend.runs.end(
                    run.run_id, "cancelled", output=None, error="cancelled", active=0.0, epoch=latest.epoch
                )
        self.publish(RunFinished(row.run_id, "cancelled"))

    async def _row(self, run_id: str) -> RunRow:
        row = await self.backend.runs.get(run_id)
        if row is None:
            raise RunNotFound(f"there is no run {run_id!r}", hint="see `guardflow runs list`")
        return row

    async def _result(self, run_id: str, envelope: Envelope | None) -> RunResult[object]:
        row = await self._row(run_id)
        return await result_of(self.backend, self.pipelines, row, envelope)
