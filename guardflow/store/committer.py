"""Group commit: many tasks write, one transaction at a time carries all of it.

While a transaction runs in the writer thread, the next group collects on the event loop. The ledger, the run
table, the cache and the artifacts write through one `Committer`; a refused entry fails alone.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Generic, TypeVar, cast

import anyio
import anyio.to_thread
from sqlalchemy.engine import Connection

from guardflow.crashpoints import hit
from guardflow.errors import (
    DatabaseError,
    DatabaseReadOnly,
    GuardflowError,
    LeaseLost,
    RunNotFound,
    StateError,
)

from .cells import from_cell
from .engine import Database
from .faults import Refused, is_fatal, is_transient, translated
from .statements import Cursor, Row, Statement, current_epochs

T = TypeVar("T")
_log = logging.getLogger("guardflow.store")

MOST = 512
"""Entries in one transaction. Above it the rest waits for the next, so that no transaction grows too long."""
_REPEATS = 5


class Entry(Generic[T]):
    """One write: rows of a statement, or a function of the connection. ``result`` is what the caller gets.

    Args:
        result: what `Committer.write` returns for rows; a function's own result replaces it.
        statement: how ``rows`` are written.
        work: for everything that is not hot. It runs alone, between the rows queued before and after it. It may
            run more than once (the last result counts), so it must do nothing but use the connection.
        fence: the run (as a cell) and the epoch under which alone this may be written.
        point: the crash point around the commit.
    """

    __slots__ = ("error", "fence", "future", "point", "result", "rows", "statement", "work")

    def __init__(
        self,
        result: T,
        *,
        statement: Statement | None = None,
        rows: Sequence[Row] = (),
        work: Callable[[Connection], T] | None = None,
        fence: tuple[str, int] | None = None,
        point: str = "",
    ) -> None:
        self.result = result
        self.statement = statement
        self.rows = rows
        self.work = work
        self.fence = fence
        self.point = point
        self.error: Exception | None = None
        self.future: asyncio.Future[None] | None = None


Group = list[Entry[object]]


class Committer:
    """The one writer of a process. All methods but the writer thread's belong to one event loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._groups: SimpleQueue[Group | None] = SimpleQueue()
        self._waiting: Group = []
        self._busy = False
        self._lost: Exception | None = None

    def start(self) -> None:
        """Start the writer thread; entries are settled on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._serve, name="guardflow-writer", daemon=True)
        self._thread.start()

    async def aclose(self) -> None:
        """Write what is queued and stop. Entries that come later are refused.

        Raises:
            DatabaseError: something that nobody awaited could not be written.
        """
        thread, self._thread = self._thread, None
        if thread is None:
            return
        with anyio.CancelScope(shield=True):
            try:
                await self._flush()
            finally:
                self._groups.put(None)
                await anyio.to_thread.run_sync(thread.join)

    async def aclose_quietly(self) -> None:
        """`aclose` while another error is on its way: what could not be written is only logged."""
        try:
            await self.aclose()
        except GuardflowError as error:
            _log.warning("queued writes were lost: %s", error)

    async def write(self, entry: Entry[T]) -> T:
        """Write the entry, and return its result when it is durable.

        If the caller is cancelled meanwhile the entry may still be committed.

        Raises:
            LeaseLost: the fence does not hold. RunNotFound: there is no such run.
            DatabaseError: or a subclass; nothing of the entry was written.
        """
        self._require_open()
        await self._enqueue_and_wait(entry)
        return entry.result

    def queue(self, entry: Entry[T]) -> None:
        """Write the entry with the next group; nobody waits for it. `flush` does."""
        self._require_open()
        self._enqueue(cast("Entry[object]", entry))

    async def flush(self) -> None:
        """Wait until everything queued so far is durable.

        Raises:
            DatabaseError: something that was queued could not be written.
        """
        if self._thread is not None:
            await self._flush()

    async def _flush(self) -> None:
        await self._enqueue_and_wait(Entry(None))
        if self._lost is not None:
            lost, self._lost = self._lost, None
            raise lost

    async def _enqueue_and_wait(self, entry: Entry[T]) -> None:
        assert self._loop is not None
        entry.future = self._loop.create_future()
        self._enqueue(cast("Entry[object]", entry))
        await entry.future

    def _require_open(self) -> None:
        if self._thread is not None:
            return
        if self._loop is None:
            raise DatabaseReadOnly(
                "this store was opened for reading only", hint="open it with open_store() to write"
            )
        raise StateError("this store is closed", hint="write inside `async with open_store(...)`")

    def _enqueue(self, entry: Entry[object]) -> None:
        self._waiting.append(entry)
        if not self._busy:
            assert self._loop is not None
            self._busy = True
            # not at once: every task that is ready in this turn of the loop joins the same group
            self._loop.call_soon(self._hand_over)

    def _hand_over(self) -> None:
        group, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
        if group:
            self._groups.put(group)
        else:
            self._busy = False

    def _settle(self, group: Group, failure: DatabaseError | None) -> None:
        """Back on the loop: wake who waits. What nobody waits for goes again with the next group."""
        again: Group = []
        for entry in group:
            future, error = entry.future, entry.error or failure
            if future is None:
                if entry.error is not None:
                    self._lost = entry.error
                    _log.warning("a queued write was refused: %s", entry.error)
                elif failure is not None:
                    again.append(entry)
            elif future.done():
                pass  # its task was cancelled
            elif error is None:
                future.set_result(None)
            else:
                # one exception object for each task: a shared one would collect all their tracebacks
                future.set_exception(_copy(error) if error is failure else error)
        if not again:
            self._hand_over()
            return
        self._waiting[:0] = again
        if len(self._waiting) > len(again):
            self._hand_over()
        else:
            self._busy = False  # they ride along with the next write

    # -- the writer thread --

    def _serve(self) -> None:
        assert self._loop is not None
        while (group := self._groups.get()) is not None:
            failure: DatabaseError | None = None
            try:
                for entry in group:
                    if entry.point:
                        hit(entry.point + ".before")
                self._commit(group)
                for entry in group:
                    if entry.point:
                        hit(entry.point + ".after")
            except DatabaseError as error:
                failure = error
            except Exception as error:  # noqa: BLE001  # a bug must reach those who wait, not end the writer
                _log.exception("the writer failed")
                failure = DatabaseError(f"the writer failed: {type(error).__name__}: {error}")
            try:
                self._loop.call_soon_threadsafe(self._settle, group, failure)
            except RuntimeError:  # the loop was closed around an open store: nobody is left to tell
                return

    def _commit(self, group: Group) -> None:
        """One transaction for the whole group; entry by entry only if one of them was refused."""
        try:
            self._transaction(group, one_by_one=False)
        except Refused:
            self._transaction(group, one_by_one=True)

    def _transaction(self, group: Group, *, one_by_one: bool) -> None:
        for repeat in range(_REPEATS + 1):
            try:
                with (
                    translated(self._database.url),
                    self._database.engine.connect() as connection,
                    connection.begin(),
                ):
                    self._write(connection, group, one_by_one=one_by_one)
                return
            except DatabaseError as error:
                if error.__cause__ is None or not is_transient(error.__cause__) or repeat == _REPEATS:
                    raise
                time.sleep(0.01 * 2**repeat)

    def _write(self, connection: Connection, group: Group, *, one_by_one: bool) -> None:
        sqlite = self._database.is_sqlite
        cursor = cast("Cursor", connection.connection.cursor())
        if sqlite:  # pysqlite begins before DML only, and the fence must be inside
            cursor.execute("BEGIN IMMEDIATE")
        for entry in group:
            entry.error = None  # this may be the second time
        self._check_fences(cursor, group)
        rows: dict[Statement, list[Row]] = {}
        for entry in group:
            if entry.error is not None:
                continue
            if one_by_one:
                self._write_alone(connection, cursor, entry)
            elif entry.statement is not None:
                rows.setdefault(entry.statement, []).extend(entry.rows)
            elif entry.work is not None:
                self._write_rows(cursor, rows)
                rows.clear()
                self._work(connection, entry)
        self._write_rows(cursor, rows)

    def _check_fences(self, cursor: Cursor, group: Group) -> None:
        fences = {entry.fence for entry in group if entry.fence is not None}
        if not fences:
            return
        run_ids = sorted({run_id for run_id, _ in fences})
        epochs = current_epochs(cursor, run_ids, sqlite=self._database.is_sqlite)
        if all(epochs.get(run_id) == epoch for run_id, epoch in fences):
            return
        for entry in group:
            if entry.fence is not None:
                entry.error = _fence_error(entry.fence, epochs)

    def _write_rows(self, cursor: Cursor, rows: dict[Statement, list[Row]]) -> None:
        for statement, batch in rows.items():
            with self._sorted_out():
                written = statement.run(cursor, batch, sqlite=self._database.is_sqlite)
                if statement.exact and written != len(batch):
                    raise Refused("a row to complete is missing")

    def _work(self, connection: Connection, entry: Entry[object]) -> None:
        assert entry.work is not None
        with self._sorted_out():
            entry.result = entry.work(connection)

    @contextmanager
    def _sorted_out(self) -> Generator[None]:
        """Let through what loses the whole transaction; all else is one entry's: `Refused`."""
        try:
            with translated(self._database.url):
                yield
        except Exception as error:
            if isinstance(error, DatabaseError) and is_fatal(error):
                raise
            raise Refused(str(error)) from error

    def _write_alone(self, connection: Connection, cursor: Cursor, entry: Entry[object]) -> None:
        """Write one entry in a savepoint, so that what it is refused for is its own."""
        cursor.execute("SAVEPOINT gf_entry")
        try:
            with translated(self._database.url):
                if entry.work is not None:
                    entry.result = entry.work(connection)
                elif entry.statement is not None:
                    written = entry.statement.run(cursor, entry.rows, sqlite=self._database.is_sqlite)
                    if entry.statement.exact and written != len(entry.rows):
                        raise StateError(
                            "the attempt to complete is not in the ledger",
                            hint="its run was deleted meanwhile; start it again",
                        )
        except Exception as error:
            if isinstance(error, DatabaseError) and is_fatal(error):
                raise
            cursor.execute("ROLLBACK TO SAVEPOINT gf_entry")
            entry.error = error
        cursor.execute("RELEASE SAVEPOINT gf_entry")


def _fence_error(fence: tuple[str, int], epochs: dict[str, int]) -> Exception | None:
    cell, epoch = fence
    held, run_id = epochs.get(cell), from_cell(cell)
    if held == epoch:
        return None
    if held is None:
        return RunNotFound(f"there is no run {run_id!r}", hint="create the run before its attempts")
    return LeaseLost(
        f"run {run_id!r} was taken over by another process (epoch {held}, ours {epoch})",
        hint="let the new owner finish; this process sends nothing more for it",
    )


def _copy(error: Exception) -> Exception:
    if isinstance(error, DatabaseError):
        return type(error)(error.message, hint=error.hint)
    return error
