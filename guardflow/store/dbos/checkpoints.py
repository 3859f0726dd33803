"""Group commit of checkpoints: steps that finish while a commit is under way share the next one.

Used by `session`. A commit is what a step costs most, so many parallel steps cost little more than one. The
writing thread is not the awaiting task's: what was paid is stored even if that task is cancelled meanwhile.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import anyio

from guardflow.errors import DatabaseUnreachable, StateError

from .rows import Checkpoint, Owned, WorkflowRows

_PAUSES = (0.1, 0.3, 1.0, 3.0)
"""Seconds between tries while the database server is away. What was paid is worth waiting for, not for ever."""
_BATCH = 256


@dataclass(frozen=True, slots=True)
class _Entry:
    checkpoint: Checkpoint
    loop: asyncio.AbstractEventLoop
    answer: asyncio.Future[Owned]

    def resolve(self, answer: Owned | Exception) -> None:
        """Tell the awaiting task, from the writing thread; its loop may be gone."""

        def tell() -> None:
            if self.answer.done():
                return
            if isinstance(answer, Exception):
                self.answer.set_exception(answer)
            else:
                self.answer.set_result(answer)

        try:
            self.loop.call_soon_threadsafe(tell)
        except RuntimeError:  # closed: nobody waits any more
            pass


class Checkpoints:
    """Writes the checkpoints of all runs of one engine, in order of arrival."""

    def __init__(self, rows: WorkflowRows) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self._waiting: list[_Entry] = []
        self._busy = False
        self._writer: ThreadPoolExecutor | None = ThreadPoolExecutor(1, "guardflow-checkpoints")

    async def store(self, checkpoint: Checkpoint) -> Owned:
        """Store one finished step; durable on return, and stored all the same if the caller is cancelled.

        Returns:
            Whether the execution still owned its run; nothing was stored otherwise.

        Raises:
            DatabaseError: or a subclass: the database refused, or stayed away for seconds.
        """
        loop = asyncio.get_running_loop()
        entry = _Entry(checkpoint, loop, loop.create_future())
        with self._lock:
            if self._writer is None:
                raise StateError("the durable engine was closed while a step ran", hint="resume the run")
            self._waiting.append(entry)
            if not self._busy:
                self._busy = True
                self._writer.submit(self._write_all)
        with anyio.CancelScope(shield=True):
            await entry.answer
        return entry.answer.result()

    def close(self) -> None:
        """Write what waits, and stop. Blocks."""
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown()

    def _write_all(self) -> None:
        while True:
            with self._lock:
                batch, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                if not batch:
                    self._busy = False
                    return
            self._write(batch)

    def _write(self, batch: Sequence[_Entry]) -> None:
        try:
            answers: Sequence[Owned | Exception] = self._patiently(batch)
        except Exception as error:  # noqa: BLE001  # raised in the awaiting task
            if len(batch) > 1:  # perhaps one row was refused for its content: the others do not suffer for it
                for entry in batch:
                    self._write([entry])
                return
            answers = [error]
        for entry, answer in zip(batch, answers, strict=True):
            entry.resolve(answer)

    def _patiently(self, batch: Sequence[_Entry]) -> Sequence[Owned]:
        checkpoints = [entry.checkpoint for entry in batch]
        for pause in _PAUSES:
            try:
                return self._rows.record(checkpoints)
            except DatabaseUnreachable:
                time.sleep(pause)
        return self._rows.record(checkpoints)
