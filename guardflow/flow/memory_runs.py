"""Runs and their executions in memory: the third backend of the runtime, beside SQLite and PostgreSQL.

For tests and for runs that need no durability. It forgets everything with the process.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from guardflow.errors import LeaseLost, RunIsLive, RunNotFound, StateError
from guardflow.hashing import JSON
from guardflow.records import Lease, RunRow
from guardflow.values import Status

from .memory import Journal, MemoryArtifacts, MemoryCache, MemoryEngine, MemoryLedger
from .protocols import ChildRun, Engine, Envelope


class MemoryRuns:
    """`Runs` in dicts."""

    def __init__(self) -> None:
        self._rows: dict[str, RunRow] = {}
        self._until: dict[str, float] = {}
        self._signals: list[tuple[str, str, JSON]] = []

    def epoch_of(self, run_id: str) -> int | None:
        row = self._rows.get(run_id)
        return None if row is None else self._rows[row.root].epoch

    def family(self, run_id: str) -> Sequence[str]:
        """The run and all its descendants."""
        found = [run_id]
        for row in self._rows.values():
            if row.parent in found:
                found.append(row.run_id)
        return found

    async def create(self, row: RunRow) -> bool:
        if row.run_id in self._rows:
            return False
        self._rows[row.run_id] = row
        return True

    async def get(self, run_id: str) -> RunRow | None:
        return self._rows.get(run_id)

    async def tree(self, root: str) -> Sequence[RunRow]:
        return [self._rows[run_id] for run_id in self.family(root) if run_id in self._rows]

    async def claim(self, run_id: str, owner: str, *, seconds: float) -> Lease:
        row = self._rows.get(run_id)
        if row is None:
            raise RunNotFound(f"there is no run {run_id!r}", hint="see `guardflow runs list`")
        if row.owner is not None and self._until.get(run_id, 0.0) > time.time():
            raise RunIsLive(
                f"run {run_id!r} is being executed by {row.owner}", hint="wait for it, or cancel it"
            )
        state = "running" if row.state == "pending" else row.state
        self._rows[run_id] = replace(row, owner=owner, epoch=row.epoch + 1, state=state)
        self._until[run_id] = time.time() + seconds
        return Lease(run_id, owner, row.epoch + 1)

    async def renew(self, owner: str, *, seconds: float, active: Mapping[str, float]) -> Sequence[str]:
        held: list[str] = []
        for run_id, row in self._rows.items():
            if row.owner == owner:
                self._until[run_id] = time.time() + seconds
                held.append(run_id)
            if run_id in active:
                self._rows[run_id] = replace(row, active_seconds=row.active_seconds + active[run_id])
        return held

    async def release(self, lease: Lease) -> None:
        row = self._rows[lease.run_id]
        if row.owner == lease.owner and row.epoch == lease.epoch:
            state = "pending" if row.state == "running" else row.state
            self._rows[lease.run_id] = replace(row, owner=None, state=state)

    async def end(
        self, run_id: str, status: Status, *, output: JSON, error: str, active: float, epoch: int
    ) -> None:
        if self.epoch_of(run_id) != epoch:
            raise LeaseLost(f"run {run_id!r} was taken over", hint="let the new owner finish")
        row = self._rows[run_id]
        self._rows[run_id] = replace(
            row,
            state="ended",
            status=status,
            output=output,
            error=error,
            active_seconds=row.active_seconds + active,
            ended_at=time.time(),
        )

    async def reopen(self, run_ids: Sequence[str], *, options: Mapping[str, JSON] | None = None) -> None:
        for number, run_id in enumerate(run_ids):
            row = self._rows[run_id]
            kept = options if options is not None and number == 0 else row.options
            self._rows[run_id] = replace(
                row, state="pending", status=None, output=None, error="", options=kept, ended_at=None
            )

    async def delete(self, run_ids: Sequence[str]) -> None:
        for run_id in run_ids:
            self._rows.pop(run_id, None)

    async def list(self, *, limit: int = 50, status: Status | None = None) -> Sequence[RunRow]:
        roots = [r for r in self._rows.values() if r.parent is None and status in (None, r.status)]
        return sorted(roots, key=lambda r: r.created_at, reverse=True)[:limit]

    async def send(self, run_id: str, name: str, value: JSON) -> None:
        if run_id not in self._rows:
            raise RunNotFound(f"there is no run {run_id!r}", hint="see `guardflow runs list`")
        self._signals.append((run_id, name, value))

    async def receive(self, run_id: str, name: str, *, after: int) -> tuple[int, JSON] | None:
        for number, (target, named, value) in enumerate(self._signals, start=1):
            if number > after and target == run_id and named == name:
                return number, value
        return None


@dataclass(frozen=True, slots=True)
class MemoryStep:
    """A stored step."""

    id: int
    name: str
    envelope: Envelope | None


Execute = Callable[[str, Engine], Awaitable[Envelope]]


class MemoryBackend:
    """Ledger, runs, cache, artifacts and the engine of one runtime, without a database."""

    def __init__(self) -> None:
        self.runs = MemoryRuns()
        self.ledger = MemoryLedger(epoch_of=self.runs.epoch_of)
        self.ledger.descendants = self.runs.family
        self.cache = MemoryCache()
        self.artifacts = MemoryArtifacts()
        self.journals: dict[str, Journal] = {}
        self._executed: set[str] = set()
        self._epochs: dict[str, int] = {}
        self._execute: Execute | None = None

    async def open(self, execute: Execute) -> None:
        self._execute = execute

    async def close(self) -> None:
        self._execute = None

    def register(self, pipeline: str) -> None:
        """Nothing to do: the runtime knows its pipelines."""

    async def start(self, run_id: str, pipeline: str, *, epoch: int) -> Envelope:
        return await self._go(run_id, pipeline, epoch)

    async def adopt(self, run_id: str, pipeline: str, *, epoch: int) -> Envelope:
        return await self._go(run_id, pipeline, epoch)

    async def reopen(
        self,
        run_id: str,
        pipeline: str,
        steps: Collection[int],
        *,
        epoch: int,
        children: Mapping[str, Collection[int]] | None = None,
    ) -> Envelope:
        for again, numbers in {**(children or {}), run_id: steps}.items():
            for step in numbers:
                self.journals.get(again, {}).pop(step, None)
        return await self._go(run_id, pipeline, epoch)

    async def fork(self, run_id: str, new_id: str, from_step: int) -> None:
        self.journals[new_id] = {k: v for k, v in self.journals.get(run_id, {}).items() if k < from_step}

    async def cancel(self, run_id: str) -> bool:
        """Cancelling an execution in this process is the runtime's; there is no other process."""
        return run_id in self.journals

    async def steps(self, run_id: str) -> Sequence[MemoryStep]:
        return [MemoryStep(k, name, env) for k, (name, env) in sorted(self.journals.get(run_id, {}).items())]

    async def delete(self, run_ids: Collection[str]) -> None:
        for run_id in run_ids:
            self.journals.pop(run_id, None)

    async def _go(self, run_id: str, pipeline: str, epoch: int) -> Envelope:
        if self._execute is None:
            raise StateError("the runtime is closed", hint="use it inside `async with Runtime() as rt:`")

        async def start_child(child: ChildRun) -> None:
            row = await self.runs.get(child.run_id)
            if row is None or row.state != "ended":
                await self._go(child.run_id, child.pipeline, epoch)

        engine = MemoryEngine(
            run_id,
            journal=self.journals.setdefault(run_id, {}),
            epoch=epoch,
            resumed=run_id in self._executed,
            start_child=start_child,
        )
        self._executed.add(run_id)
        return await self._execute(pipeline, engine)
