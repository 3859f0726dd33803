"""One execution of one run: what `guardflow.flow` sees of the engine (its `Engine` protocol).

Made by `engine` inside the pipeline's own task. It replays from memory what an earlier execution stored, and
stores what is new; it never retries and never looks into an envelope.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Protocol

import anyio
import anyio.lowlevel
import anyio.to_thread
from dbos import DBOS

from guardflow import crashpoints
from guardflow.errors import LeaseLost, ReplayMismatch, StageError, StateError

from .checkpoints import Checkpoints
from .rows import Checkpoint, Claim, Envelope, Owned, StoredStep, WorkflowRows, encode, now_ms


class Child(Protocol):
    """A sub-pipeline to run; `guardflow.flow.protocols.ChildRun` fits."""

    @property
    def run_id(self) -> str: ...

    @property
    def pipeline(self) -> str: ...


class Host(Protocol):
    """The engine, as its sessions see it."""

    @property
    def rows(self) -> WorkflowRows: ...

    @property
    def threads(self) -> anyio.CapacityLimiter: ...

    @property
    def checkpoints(self) -> Checkpoints: ...

    async def run_children(self, children: Sequence[Child], *, parent: str, epoch: int) -> None: ...


_inside: ContextVar[Session | None] = ContextVar("guardflow_step", default=None)


class Session:
    """An execution of a run, from its (re)start to its end or to the end of this process."""

    def __init__(self, claim: Claim, *, host: Host, epoch: int, resumed: bool) -> None:
        self.run_id = claim.run_id
        self.epoch = epoch
        self.resumed = resumed
        self.scope = anyio.CancelScope()
        self._token = claim.token
        self._host = host
        self._stored = dict(claim.stored)
        self._passed: set[int] = set()
        self._task = asyncio.current_task()

    def cancel(self) -> None:
        """Unwind the pipeline: somebody cancelled the run."""
        self.scope.cancel()

    def reserve(self) -> int:
        """Draw the next step id, in program order, starting at 1.

        Raises:
            StageError: called from another task than the pipeline's own, or from inside a step.
        """
        if _inside.get() is self:
            raise StageError(
                "a stage was called inside another stage's step, where it could not be recorded",
                hint="call it in the pipeline and pass its result on",
            )
        if asyncio.current_task() is not self._task:
            raise StageError(
                "a stage was called in another task than its pipeline's own, where its place in the run's "
                "history would depend on timing and results could be swapped on resume",
                hint="call stages in the pipeline's own task (gather(plan(q), fetch(u)) is fine), "
                "or make the branch a @pipeline and use fan_out(branch, items)",
            )
        return DBOS.reserve_step().step_id

    async def step(self, step: int, name: str, body: Callable[[], Awaitable[Envelope]]) -> Envelope:
        """Run ``body`` once and store what it returns under ``step``; on replay return what is stored.

        A body that raises stores nothing, so that a later execution runs it again.

        Raises:
            ReplayMismatch: another name is stored under this id.
            LeaseLost: another process has taken the run over.
        """
        stored = self._stored.pop(step, None)
        if stored is not None:
            self._passed.add(step)
            return self._replayed(stored, name)
        if step in self._passed:
            raise StageError(
                f"step {step} ({name!r}) of run {self.run_id!r} was awaited twice",
                hint="await the call once and keep its result",
            )
        self._passed.add(step)
        started = now_ms()
        crashpoints.hit("step.before")
        token = _inside.set(self)
        try:
            envelope = await body()
        finally:
            _inside.reset(token)
        text = encode(envelope)
        crashpoints.hit("step.done")
        owned = await self._host.checkpoints.store(
            Checkpoint(self.run_id, self._token, step, name, text, started, now_ms())
        )
        if owned != "ours":
            await self.surrender(owned, f"step {step} ({name!r})")
        crashpoints.hit("step.after")
        return envelope

    async def peek(self, step: int) -> Envelope | None:
        """What is stored under ``step``, without running anything; None if nothing is.

        Raises:
            StateError: another program wrote it.
        """
        stored = self._stored.get(step)
        if stored is None and step in self._passed:
            stored = await anyio.to_thread.run_sync(
                self._host.rows.step, self.run_id, step, limiter=self._host.threads
            )
        return None if stored is None else self._readable(stored)

    async def children(
        self, step: int, name: str, runs: Sequence[Child], body: Callable[[], Awaitable[Envelope]]
    ) -> Envelope:
        """Start each child run (attach to those that exist), then `step` with ``body`` once all have ended."""
        if step not in self._stored:
            await self._host.run_children(runs, parent=self.run_id, epoch=self.epoch)
        return await self.step(step, name, body)

    async def forget(self, step: int) -> None:
        """Drop what is stored under ``step``, so that it runs again here.

        For steps whose input changed because an earlier step was opened again; not for code that drifted.

        Raises:
            LeaseLost: another process has taken the run over.
        """
        if self._stored.pop(step, None) is not None:
            owned = await anyio.to_thread.run_sync(
                self._host.rows.forget, self.run_id, self._token, step, limiter=self._host.threads
            )
            if owned != "ours":
                await self.surrender(owned, f"step {step}")

    async def surrender(self, owned: Owned, during: str) -> None:
        """Stop, because the run is no longer ours: unwind if it was cancelled.

        Raises:
            LeaseLost: another process has taken the run over.
        """
        if owned == "cancelled":
            self.cancel()
            await anyio.lowlevel.checkpoint_if_cancelled()
        raise LeaseLost(
            f"run {self.run_id!r} was taken over by another process during {during}; nothing was stored",
            hint="let the new owner finish; this process sends nothing more for it",
        )

    async def finish(self) -> None:
        """Make sure, before the outcome is stored, that the run is still ours.

        Raises:
            LeaseLost: another process has taken the run over.
        """
        owned = await anyio.to_thread.run_sync(
            self._host.rows.owned, self.run_id, self._token, limiter=self._host.threads
        )
        if owned != "ours":
            await self.surrender(owned, "its last lines")

    def _replayed(self, stored: StoredStep, name: str) -> Envelope:
        if stored.name != name:
            raise ReplayMismatch(
                f"step {stored.id} of run {self.run_id!r} recorded {stored.name!r} and is now {name!r}",
                hint="keep the order of stage calls, or run `guardflow runs fork RUN --from STAGE`",
            )
        return self._readable(stored)

    def _readable(self, stored: StoredStep) -> Envelope:
        if stored.envelope is None:
            raise StateError(
                f"step {stored.id} ({stored.name!r}) of run {self.run_id!r} is stored as {stored.mark!r}, "
                "which guardflow neither writes nor loads",
                hint="find out who wrote it into the database; fork the run from before this step",
            )
        return stored.envelope
