"""The in-memory engine and stores: unit tests, notebooks, and runs that need no durability.

They keep the same promises as the databases for as long as the process lives, and one conformance suite
holds them to it. A journal can be handed to a new engine, which is how tests simulate a crash.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextvars import ContextVar
from dataclasses import replace

import anyio

from guardflow.budget import fold
from guardflow.errors import LeaseLost, ReplayMismatch, StageError, StateError
from guardflow.hashing import content_hash
from guardflow.records import ItemRow, RoundRow
from guardflow.values import Attempt, AttemptEnd, AttemptStart, Completion, Spend, Verdict

from .protocols import ChildRun, Envelope

Journal = dict[int, tuple[str, Envelope]]
_in_step: ContextVar[bool] = ContextVar("guardflow_memory_step", default=False)


class MemoryEngine:
    """An `Engine` over a dict. Made inside the pipeline's own task."""

    def __init__(
        self,
        run_id: str,
        *,
        journal: Journal,
        epoch: int,
        resumed: bool,
        start_child: Callable[[ChildRun], Coroutine[object, None, object]] | None = None,
    ) -> None:
        self.run_id = run_id
        self.epoch = epoch
        self.resumed = resumed
        self._journal = journal
        self._next = 0
        self._task = asyncio.current_task()
        self._start_child = start_child

    def reserve(self) -> int:
        if _in_step.get():
            raise StageError(
                "a stage was called inside another stage's step",
                hint="call it in the pipeline and pass its result on",
            )
        if asyncio.current_task() is not self._task:
            raise StageError(
                "a stage was called in another task than its pipeline's own, where its place in the run's "
                "history would depend on timing",
                hint="call stages in the pipeline's own task (gather(plan(q), fetch(u)) is fine), "
                "or make the branch a @pipeline and use fan_out(branch, items)",
            )
        self._next += 1
        return self._next

    async def step(self, step: int, name: str, body: Callable[[], Awaitable[Envelope]]) -> Envelope:
        stored = self._journal.get(step)
        if stored is not None:
            if stored[0] != name:
                raise ReplayMismatch(
                    f"step {step} of run {self.run_id!r} recorded {stored[0]!r} and is now {name!r}",
                    hint="keep the order of stage calls, or run `guardflow runs fork RUN --from STAGE`",
                )
            return stored[1]
        token = _in_step.set(True)
        try:
            envelope = await body()
        finally:
            _in_step.reset(token)
        self._journal[step] = (name, envelope)
        return envelope

    async def peek(self, step: int) -> Envelope | None:
        stored = self._journal.get(step)
        return None if stored is None else stored[1]

    async def forget(self, step: int) -> None:
        self._journal.pop(step, None)

    async def children(
        self, step: int, name: str, runs: Sequence[ChildRun], body: Callable[[], Awaitable[Envelope]]
    ) -> Envelope:
        if step in self._journal:
            return await self.step(step, name, body)
        start = self._start_child
        if start is None:
            raise StageError("sub-pipelines need a runtime", hint="run the pipeline by Runtime.run")
        async with anyio.create_task_group() as group:
            for run in runs:
                group.start_soon(start, run)
        return await self.step(step, name, body)


class MemoryLedger:
    """A `Ledger` in lists. ``epochs`` is shared with the runs table, so that fencing works here too."""

    def __init__(self, *, epoch_of: Callable[[str], int | None] | None = None) -> None:
        self._attempts: dict[int, Attempt] = {}
        self._items: dict[tuple[str, int, int, int, str], ItemRow] = {}
        self._rounds: list[RoundRow] = []
        self._epoch_of = epoch_of
        self.descendants: Callable[[str], Sequence[str]] = lambda run_id: (run_id,)

    def _check(self, run_id: str, epoch: int) -> None:
        held = None if self._epoch_of is None else self._epoch_of(run_id)
        if held is not None and held != epoch:
            raise LeaseLost(
                f"run {run_id!r} was taken over by another process (epoch {held}, ours {epoch})",
                hint="let the new owner finish; this process sends nothing more for it",
            )

    async def begin(self, start: AttemptStart, *, epoch: int) -> int:
        self._check(start.key.run_id, epoch)
        row = len(self._attempts) + 1
        self._attempts[row] = Attempt(row, start)
        return row

    async def finish(self, row: int, end: AttemptEnd) -> None:
        self._attempts[row] = replace(self._attempts[row], end=end)

    async def record(self, start: AttemptStart, end: AttemptEnd, *, epoch: int) -> int:
        row = await self.begin(start, epoch=epoch)
        await self.finish(row, end)
        return row

    def judge(self, row: int, verdict: Verdict) -> None:
        self._attempts[row] = replace(self._attempts[row], verdict=verdict)

    def supersede(self, rows: Sequence[int]) -> None:
        for row in rows:
            self._attempts[row] = replace(self._attempts[row], superseded=True)

    async def attempts(self, run_id: str, step: int | None = None) -> Sequence[Attempt]:
        return [
            a
            for a in self._attempts.values()
            if a.start.key.run_id == run_id and (step is None or a.start.key.step == step)
        ]

    async def put_item(self, row: ItemRow, *, epoch: int) -> None:
        self._check(row.key.run_id, epoch)
        key = (row.key.run_id, row.key.step, row.key.item, row.round, row.input_hash)
        self._items.setdefault(key, row)

    async def items(self, run_id: str, step: int) -> Sequence[ItemRow]:
        return [self._items[k] for k in sorted(self._items) if k[0] == run_id and k[1] == step]

    async def rounds(self, run_id: str) -> Sequence[RoundRow]:
        return [r for r in self._rounds if r.key.run_id == run_id]

    async def open_rounds(self, opened: Sequence[RoundRow]) -> None:
        self._rounds.extend(opened)

    async def spend(self, run_id: str) -> Spend:
        family = set(self.descendants(run_id))
        return fold(a for a in self._attempts.values() if a.start.key.run_id in family)

    async def flush(self) -> None:
        return None


class MemoryCache:
    """A `ResponseCache` in a dict."""

    def __init__(self) -> None:
        self._completions: dict[str, Completion] = {}

    async def get(self, key: str) -> Completion | None:
        return self._completions.get(key)

    async def put(self, key: str, model: str, completion: Completion) -> None:
        self._completions[key] = completion


class MemoryArtifacts:
    """`Artifacts` in a dict."""

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    async def put(self, data: bytes) -> str:
        address = content_hash(data)
        self._data[address] = data
        return address

    async def get(self, address: str) -> bytes:
        try:
            return self._data[address]
        except KeyError:
            raise StateError(
                f"no artifact is stored at {address!r}",
                hint="it was pruned; fork the run from an earlier stage",
            ) from None
