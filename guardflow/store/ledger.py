"""The ledger on SQL: every request is written down before it is sent, and what came of it before it is used.

Fits `guardflow.flow.protocols.Ledger`. Writes go through the committer; reads run in worker threads.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from guardflow.errors import DatabaseError, StateError
from guardflow.records import ItemRow, RoundRow
from guardflow.values import Attempt, AttemptEnd, AttemptStart, Spend, Verdict

from . import rows, schema
from .cells import to_cell
from .committer import Committer, Entry
from .engine import Database
from .statements import ABANDON, BEGIN, FINISH, JUDGE, PUT_ITEM, RECORD, SUPERSEDE, Row, Statement

_EPOCH_2020 = 1_577_836_800_000
_TRIES = 5


class RowIds:
    """Ids that grow: 41 bits of milliseconds since 2020, then 22 bits from a random start. No round trip."""

    def __init__(self) -> None:
        self._last = 0

    def draw(self) -> int:
        """An id above every one drawn or seen before."""
        now = int(time.time() * 1000) - _EPOCH_2020
        self._last = max(self._last + 1, (now << 22) | secrets.randbits(22))
        return self._last

    def see(self, row: int) -> None:
        """Go on above ``row``, which another machine drew by a clock that may be ahead of ours."""
        self._last = max(self._last, row)


class SqlLedger:
    """The record of every request."""

    def __init__(self, database: Database, committer: Committer, ids: RowIds) -> None:
        self._database = database
        self._committer = committer
        self._ids = ids

    async def begin(self, start: AttemptStart, *, epoch: int) -> int:
        """Insert a ``started`` row and return its id.

        Raises:
            LeaseLost: ``epoch`` is no longer the run's. RunNotFound: there is no such run.
        """
        return await self._insert(
            BEGIN, lambda row: rows.start_row(row, start), start, epoch=epoch, point="ledger.begin"
        )

    async def finish(self, row: int, end: AttemptEnd) -> None:
        """Complete the row. Called at most once a row; no fence refuses it, so that what was paid is kept."""
        if rows.counts_reserved(end):
            statement, cells = ABANDON, rows.abandoned_row(row, end)
        else:
            statement, cells = FINISH, rows.end_row(row, end)
        await self._committer.write(Entry(None, statement=statement, rows=(cells,), point="ledger.finish"))

    async def record(self, start: AttemptStart, end: AttemptEnd, *, epoch: int) -> int:
        """`begin` and `finish` in one: for answers that cost no request."""
        return await self._insert(
            RECORD, lambda row: rows.whole_row(row, start, end), start, epoch=epoch, point="ledger.record"
        )

    def judge(self, row: int, verdict: Verdict) -> None:
        """Note what became of the answer. Queued: durable with the next awaited write, or at `flush`."""
        self._committer.queue(Entry(None, statement=JUDGE, rows=((row, rows.verdict_cell(verdict)),)))

    def supersede(self, rows: Sequence[int]) -> None:
        """Mark rows as history that the stage no longer follows. Queued."""
        if rows:
            self._committer.queue(Entry(None, statement=SUPERSEDE, rows=tuple((row, 1) for row in rows)))

    async def attempts(self, run_id: str, step: int | None = None) -> Sequence[Attempt]:
        """The rows of a step (of the whole run for None), superseded ones too, in order of insertion."""
        table = schema.attempts
        query = sa.select(table).where(table.c.run_id == to_cell(run_id)).order_by(table.c.id)
        if step is not None:
            query = query.where(table.c.step == step)
        return await self._database.query(
            lambda connection: [rows.read_attempt(row) for row in connection.execute(query).all()]
        )

    async def put_item(self, row: ItemRow, *, epoch: int) -> None:
        """Store a finished fan_out item; LeaseLost as in `begin`. The same key, round and hash again is a no-op."""
        fence = (to_cell(row.key.run_id), epoch)
        await self._committer.write(
            Entry(None, statement=PUT_ITEM, rows=(rows.item_row(row),), fence=fence, point="item")
        )

    async def items(self, run_id: str, step: int) -> Sequence[ItemRow]:
        """The finished items of a step, all rounds, in order of index and round."""
        table = schema.items
        query = (
            sa.select(table)
            .where(table.c.run_id == to_cell(run_id), table.c.step == step)
            .order_by(table.c.item, table.c.round, table.c.input_hash)
        )
        return await self._database.query(
            lambda connection: [rows.read_item(row) for row in connection.execute(query).all()]
        )

    async def rounds(self, run_id: str) -> Sequence[RoundRow]:
        """Every round that was opened in this run, in order."""
        table = schema.rounds
        query = sa.select(table).where(table.c.run_id == to_cell(run_id)).order_by(table.c.number)
        return await self._database.query(
            lambda connection: [rows.read_round(row) for row in connection.execute(query).all()]
        )

    async def open_rounds(self, opened: Sequence[RoundRow]) -> None:
        """Open rounds, all or none.

        Raises:
            StateError: one of them is open already.
        """
        if not opened:
            return
        try:
            await self._committer.write(Entry(None, work=lambda connection: _open_rounds(connection, opened)))
        except DatabaseError as error:
            if not _is_duplicate(error):
                raise
            names = sorted({f"round {r.round} of step {r.key.step}" for r in opened})
            raise StateError(
                f"run {opened[0].key.run_id!r} has {', '.join(names)} open already, by another command",
                hint="look at it with `guardflow runs show` before you answer or resume it again",
            ) from error

    async def spend(self, run_id: str) -> Spend:
        """The fold over all attempts of this run and its child runs: equal to `guardflow.budget.fold`."""
        return await self._database.query(lambda connection: _spend(connection, to_cell(run_id)))

    async def flush(self) -> None:
        """Wait until everything queued is durable.

        Raises:
            DatabaseError: something that was queued could not be written.
        """
        await self._committer.flush()

    async def _insert(
        self,
        statement: Statement,
        cells: Callable[[int], Row],
        start: AttemptStart,
        *,
        epoch: int,
        point: str,
    ) -> int:
        fence = (to_cell(start.key.run_id), epoch)
        for left in reversed(range(_TRIES)):
            row = self._ids.draw()
            entry = Entry(row, statement=statement, rows=(cells(row),), fence=fence, point=point)
            try:
                return await self._committer.write(entry)
            except DatabaseError as error:  # another process drew this id: one chance in millions
                if not left or not _is_duplicate(error):
                    raise
        raise AssertionError("unreachable")


def _is_duplicate(error: DatabaseError) -> bool:
    cause = error.__cause__
    # written by a raw cursor or by SQLAlchemy; both drivers name the class as the DBAPI says
    return isinstance(cause, IntegrityError) or type(cause).__name__ in ("IntegrityError", "UniqueViolation")


def _open_rounds(connection: Connection, opened: Sequence[RoundRow]) -> None:
    table = schema.rounds
    for row in opened:
        highest = sa.select(sa.func.max(table.c.number)).where(table.c.run_id == to_cell(row.key.run_id))
        number = (connection.execute(highest).scalar() or 0) + 1
        connection.execute(table.insert().values(**rows.round_cells(row, number)))


def _spend(connection: Connection, run_cell: str) -> Spend:
    runs, attempts = schema.runs.c, schema.attempts.c
    family = sa.select(sa.literal(run_cell, sa.Text).label("run_id")).cte("family", recursive=True)
    family = family.union(sa.select(runs.run_id).join(family, runs.parent == family.c.run_id))
    row = connection.execute(
        sa.select(
            sa.func.coalesce(sa.func.sum(attempts.nano), 0),
            sa.func.coalesce(sa.func.sum(attempts.tokens), 0),
            sa.func.count(),
            sa.func.count() - sa.func.count(attempts.nano),
            sa.func.coalesce(sa.func.sum(attempts.nano * attempts.doubt), 0),
        ).where(attempts.run_id.in_(sa.select(family.c.run_id)), attempts.paid == 1)
    ).one()
    return Spend(*(int(cell) for cell in row))  # PostgreSQL sums to Decimal
