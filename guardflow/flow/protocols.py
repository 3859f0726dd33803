"""What flow needs from below without importing it: the engine, the ledger, the cache, the artifacts.

`guardflow.store` fits the storage protocols structurally and `guardflow.store.dbos` the engine;
`guardflow.flow.memory` fits all of them without a database. `guardflow.runtime` binds them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from guardflow.hashing import JSON
from guardflow.records import ItemRow, Lease, RoundRow, RunRow
from guardflow.values import Attempt, AttemptEnd, AttemptStart, Completion, Spend, Status, Verdict

Envelope = Mapping[str, JSON]
"""What a step stores: always a JSON object with ``v``, ``name``, ``in`` (input hash) and a status."""


class Engine(Protocol):
    """One execution of one run by a durable engine (or by the in-memory one). Made anew at every (re)start.

    The same members on all backends; one conformance suite holds them to these words.
    """

    @property
    def run_id(self) -> str: ...

    @property
    def epoch(self) -> int:
        """The lease epoch under which this execution may write."""
        ...

    @property
    def resumed(self) -> bool:
        """Whether this run was executed before, so that the ledger may hold rows of it."""
        ...

    def reserve(self) -> int:
        """Draw the next step id, in program order, starting at 1.

        Raises:
            StageError: called from another task than the pipeline's own, or from inside a step.
        """
        ...

    async def step(self, step: int, name: str, body: Callable[[], Awaitable[Envelope]]) -> Envelope:
        """Run ``body`` once and store what it returns under ``step``; on replay return what is stored.

        A body that raises stores nothing. Cancelling the run cancels the body.

        Raises:
            ReplayMismatch: another name is stored under this id.
            LeaseLost: another process has taken the run over.
        """
        ...

    async def peek(self, step: int) -> Envelope | None:
        """What is stored under ``step``, without running anything; None if nothing is."""
        ...

    async def forget(self, step: int) -> None:
        """Drop what is stored under ``step``, durably, so that `step` runs its body.

        Raises:
            LeaseLost: another process has taken the run over.
        """
        ...

    async def children(
        self, step: int, name: str, runs: Sequence[ChildRun], body: Callable[[], Awaitable[Envelope]]
    ) -> Envelope:
        """Start each child run (attach to those that exist), then `step` with ``body`` once all have ended."""
        ...


@dataclass(frozen=True, slots=True)
class ChildRun:
    """A sub-pipeline to run: its run id is stable (parent, step, index), so a replay attaches to it."""

    run_id: str
    pipeline: str


class Ledger(Protocol):
    """The record of every request. Awaited writes are durable on return, and committed in groups."""

    async def begin(self, start: AttemptStart, *, epoch: int) -> int:
        """Insert a ``started`` row and return its id.

        Raises:
            LeaseLost: ``epoch`` is no longer the run's.
        """
        ...

    async def finish(self, row: int, end: AttemptEnd) -> None:
        """Complete the row. Called at most once a row; never refused, so that what was paid is kept."""
        ...

    async def record(self, start: AttemptStart, end: AttemptEnd, *, epoch: int) -> int:
        """`begin` and `finish` in one: for answers that cost no request."""
        ...

    def judge(self, row: int, verdict: Verdict) -> None:
        """Note what became of the answer. Queued: durable with the next awaited write, or at `flush`."""
        ...

    def supersede(self, rows: Sequence[int]) -> None:
        """Mark rows as history that the stage no longer follows. Queued."""
        ...

    async def attempts(self, run_id: str, step: int | None = None) -> Sequence[Attempt]:
        """The rows of a step (of the whole run for None), superseded ones too, in order of insertion."""
        ...

    async def put_item(self, row: ItemRow, *, epoch: int) -> None:
        """Store a finished fan_out item; LeaseLost as in `begin`. The same key, round and hash again is a no-op."""
        ...

    async def items(self, run_id: str, step: int) -> Sequence[ItemRow]:
        """The finished items of a step, all rounds, in order of index and round."""
        ...

    async def rounds(self, run_id: str) -> Sequence[RoundRow]:
        """Every round that was opened in this run, in order."""
        ...

    async def open_rounds(self, opened: Sequence[RoundRow]) -> None:
        """Open rounds, all or none."""
        ...

    async def spend(self, run_id: str) -> Spend:
        """The fold over all attempts of this run and its child runs."""
        ...

    async def flush(self) -> None:
        """Wait until everything queued is durable."""
        ...


class ResponseCache(Protocol):
    """Accepted completions across runs, raw, by request hash."""

    async def get(self, key: str) -> Completion | None: ...

    async def put(self, key: str, model: str, completion: Completion) -> None:
        """Store (or replace). Not awaited for durability: a lost entry is only paid again."""
        ...


class Artifacts(Protocol):
    """Content-addressed bytes, stored once. The address is `guardflow.hashing.content_hash`."""

    async def put(self, data: bytes) -> str: ...

    async def get(self, address: str) -> bytes:
        """Raises:
        StateError: nothing is stored there.
        """
        ...


class Mailbox(Protocol):
    """The signals of runs."""

    async def send(self, run_id: str, name: str, value: JSON) -> None:
        """Append a signal to the run's mailbox."""
        ...

    async def receive(self, run_id: str, name: str, *, after: int) -> tuple[int, JSON] | None:
        """The first signal of that name with a number above ``after``, if there is one. Reading keeps it."""
        ...


class Runs(Mailbox, Protocol):
    """Runs, leases and signals."""

    async def create(self, row: RunRow) -> bool:
        """Insert the run; False if its id exists already (nothing is changed then)."""
        ...

    async def get(self, run_id: str) -> RunRow | None: ...

    async def tree(self, root: str) -> Sequence[RunRow]:
        """The root run and all its descendants, parents first."""
        ...

    async def claim(self, run_id: str, owner: str, *, seconds: float) -> Lease:
        """Take the lease of a root run that nobody holds, whose holder is dead, or whose lease expired.

        A holder on the same boot whose pid is gone is dead at once.

        Raises:
            RunIsLive: somebody holds it. RunNotFound: there is no such run.
        """
        ...

    async def renew(self, owner: str, *, seconds: float, active: Mapping[str, float]) -> Sequence[str]:
        """Extend every lease of ``owner``, adding active seconds by run; returns the run ids still held."""
        ...

    async def release(self, lease: Lease) -> None: ...

    async def end(
        self, run_id: str, status: Status, *, output: JSON, error: str, active: float, epoch: int
    ) -> None:
        """Store how the run ended.

        Raises:
            LeaseLost: ``epoch`` is no longer the root run's.
        """
        ...

    async def reopen(self, run_ids: Sequence[str], *, options: Mapping[str, JSON] | None = None) -> None:
        """Set ended runs to pending again; ``options`` replaces those of the first."""
        ...

    async def delete(self, run_ids: Sequence[str]) -> None:
        """Forget runs with all their rows. Nobody may be executing them."""
        ...

    async def list(self, *, limit: int = 50, status: Status | None = None) -> Sequence[RunRow]:
        """Newest first, root runs only."""
        ...
