"""Runs, leases and signals on SQL.

Fits `guardflow.flow.protocols.Runs`. Every write is one entry of the committer's groups, so that it is ordered
with the ledger's. Lease times are this machine's wall clock: machines that share a database need NTP.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress

import anyio
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection

from guardflow.errors import GuardflowError, RunIsLive, RunNotFound, StateError
from guardflow.hashing import JSON
from guardflow.records import Lease, RunRow
from guardflow.values import Status

from . import rows, schema
from .cells import from_cell, from_json_cell, to_cell, to_json_cell
from .committer import Committer, Entry
from .engine import Database
from .leases import is_dead
from .ledger import RowIds

_runs = schema.runs
_signals = schema.signals


class SqlRuns:
    """Runs, leases and signals."""

    def __init__(self, database: Database, committer: Committer, ids: RowIds) -> None:
        self._database = database
        self._committer = committer
        self._ids = ids

    async def create(self, row: RunRow) -> bool:
        """Insert the run; False if its id exists already (nothing is changed then)."""
        dialect = sqlite if self._database.is_sqlite else postgresql
        statement = dialect.insert(_runs).values(**rows.run_cells(row)).on_conflict_do_nothing()
        created = statement.returning(_runs.c.run_id)  # a row count is not kept for INSERT on every driver
        return await self._committer.write(
            Entry(
                result=False,
                work=lambda connection: connection.execute(created).one_or_none() is not None,
                point="run.create",
            )
        )

    async def get(self, run_id: str) -> RunRow | None:
        query = sa.select(_runs).where(_runs.c.run_id == to_cell(run_id))
        row = await self._database.query(lambda connection: connection.execute(query).one_or_none())
        return None if row is None else rows.read_run(row)

    async def tree(self, root: str) -> Sequence[RunRow]:
        """The run and all its descendants, parents first; among siblings the oldest first."""
        return await self._database.query(lambda connection: _tree(connection, to_cell(root)))

    async def claim(self, run_id: str, owner: str, *, seconds: float) -> Lease:
        """Take the lease of a root run that nobody holds, whose holder is dead, or whose lease expired.

        A holder on the same boot whose process is gone is dead at once. ``seconds`` is how long the lease
        holds without `renew`.

        Raises:
            RunIsLive: somebody holds it. RunNotFound: there is no such run.
            StateError: it is a child run, whose lease is its root's.
        """
        entry = Entry[tuple[Lease, int]](
            (Lease(run_id, owner, 0), 0),
            work=lambda connection: _claim(connection, run_id, owner, seconds=seconds),
            point="lease.claim",
        )
        try:
            lease, newest = await self._committer.write(entry)
        except anyio.get_cancelled_exc_class():
            # It may be committed all the same, and heartbeats would renew for ever what nobody executes.
            giving_back = Entry(None, work=lambda connection: _release(connection, entry.result[0]))
            with anyio.CancelScope(shield=True), suppress(GuardflowError):
                await self._committer.write(giving_back)  # the committer keeps the order
            raise
        self._ids.see(newest)
        return lease

    async def renew(self, owner: str, *, seconds: float, active: Mapping[str, float]) -> Sequence[str]:
        """Extend every lease of ``owner``, adding active seconds by run; returns the root runs still held.

        Seconds of a run whose root is no longer held are dropped: the new owner counts its own.
        """
        return await self._committer.write(
            Entry[Sequence[str]]((), work=lambda c: _renew(c, owner, seconds=seconds, active=active))
        )

    async def release(self, lease: Lease) -> None:
        """Give the lease back. A run that did not end is pending again. No-op if it was taken over."""
        await self._committer.write(Entry(None, work=lambda connection: _release(connection, lease)))

    async def end(
        self, run_id: str, status: Status, *, output: JSON, error: str, active: float, epoch: int
    ) -> None:
        """Store how the run ended; ``active`` seconds are added to what `renew` counted.

        Raises:
            LeaseLost: ``epoch`` is no longer the root run's. RunNotFound: there is no such run.
        """
        statement = (
            _runs.update()
            .where(_runs.c.run_id == to_cell(run_id))
            .values(
                state="ended",
                status=status,
                output=to_json_cell(output),
                error=to_cell(error),
                active_seconds=_runs.c.active_seconds + active,
                ended_at=time.time(),
            )
        )
        await self._committer.write(
            Entry(
                None,
                work=lambda connection: _only(connection.execute(statement)),
                fence=(to_cell(run_id), epoch),
                point="run.end",
            )
        )

    async def reopen(self, run_ids: Sequence[str], *, options: Mapping[str, JSON] | None = None) -> None:
        """Set ended runs to pending again, all or none; ``options`` replaces those of the first.

        Raises:
            RunNotFound: one of them does not exist.
        """
        await self._committer.write(
            Entry(None, work=lambda connection: _reopen(connection, run_ids, options))
        )

    async def delete(self, run_ids: Sequence[str]) -> None:
        """Forget runs with their attempts, items, rounds and signals. Nobody may be executing them."""
        cells = [to_cell(run_id) for run_id in run_ids]
        await self._committer.write(Entry(None, work=lambda connection: _delete(connection, cells)))

    async def list(self, *, limit: int = 50, status: Status | None = None) -> Sequence[RunRow]:
        """Newest first, root runs only."""
        query = (
            sa.select(_runs)
            .where(_runs.c.root == _runs.c.run_id)
            .order_by(_runs.c.created_at.desc(), _runs.c.run_id)
            .limit(limit)
        )
        if status is not None:
            query = query.where(_runs.c.status == status)
        return await self._database.query(
            lambda connection: [rows.read_run(row) for row in connection.execute(query).all()]
        )

    async def send(self, run_id: str, name: str, value: JSON) -> None:
        """Append a signal to the run's mailbox.

        Raises:
            RunNotFound: there is no such run.
        """
        cells = {"name": to_cell(name), "value": to_json_cell(value), "sent_at": time.time()}
        await self._committer.write(
            Entry(None, work=lambda connection: _send(connection, run_id, cells), point="signal")
        )

    async def receive(self, run_id: str, name: str, *, after: int) -> tuple[int, JSON] | None:
        """The first signal of that name with a number above ``after``, if there is one. Reading keeps it."""
        query = (
            sa.select(_signals.c.number, _signals.c.value)
            .where(
                _signals.c.run_id == to_cell(run_id),
                _signals.c.name == to_cell(name),
                _signals.c.number > after,
            )
            .order_by(_signals.c.number)
            .limit(1)
        )
        row = await self._database.query(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            return None
        return row.number, from_json_cell(row.value, what=f"signal {row.number} of run {run_id!r}")


def _only(result: sa.CursorResult[tuple[()]]) -> None:
    """Drop a result that nobody reads."""
    result.close()


def _delete(connection: Connection, run_ids: Sequence[str]) -> None:
    for table in (schema.attempts, schema.items, schema.rounds, _signals, _runs):
        for run_id in run_ids:
            connection.execute(table.delete().where(table.c.run_id == run_id))


def _missing(run_id: str) -> RunNotFound:
    return RunNotFound(
        f"there is no run {run_id!r}", hint="`guardflow runs list` shows the runs of this database"
    )


def _tree(connection: Connection, root: str) -> list[RunRow]:
    c = _runs.c
    family = sa.select(c.run_id, sa.literal(0).label("depth")).where(c.run_id == root).cte(recursive=True)
    family = family.union_all(
        sa.select(c.run_id, family.c.depth + 1).join(family, c.parent == family.c.run_id)
    )
    query = (
        sa.select(_runs)
        .join(family, family.c.run_id == c.run_id)
        .order_by(family.c.depth, c.created_at, c.run_id)
    )
    return [rows.read_run(row) for row in connection.execute(query).all()]


def _claim(connection: Connection, run_id: str, owner: str, *, seconds: float) -> tuple[Lease, int]:
    c = _runs.c
    run = connection.execute(
        sa.select(c.root, c.owner, c.epoch, c.lease_until, c.state)
        .where(c.run_id == to_cell(run_id))
        .with_for_update()  # on SQLite the transaction holds the write lock already
    ).one_or_none()
    if run is None:
        raise _missing(run_id)
    if run.root != to_cell(run_id):
        raise StateError(
            f"run {run_id!r} is a child of run {from_cell(run.root)!r}", hint="resume the root run instead"
        )
    now = time.time()
    if run.owner is not None and run.lease_until > now and not is_dead(from_cell(run.owner)):
        raise RunIsLive(
            f"run {run_id!r} is executed by {from_cell(run.owner)!r} right now",
            hint=f"watch it with `guardflow runs watch`, or try again in {run.lease_until - now:.0f} s",
        )
    epoch = run.epoch + 1
    connection.execute(
        _runs.update()
        .where(c.run_id == to_cell(run_id))
        .values(
            owner=to_cell(owner),
            epoch=epoch,
            lease_until=now + seconds,
            state="running" if run.state == "pending" else run.state,
        )
    )
    newest = connection.execute(
        sa.select(sa.func.max(schema.attempts.c.id))
        .join(_runs, c.run_id == schema.attempts.c.run_id)
        .where(c.root == to_cell(run_id))
    ).scalar()
    return Lease(run_id, owner, epoch), newest or 0


def _release(connection: Connection, lease: Lease) -> None:
    c = _runs.c
    pending = sa.case((c.state == "running", "pending"), else_=c.state)
    held = (c.run_id == to_cell(lease.run_id)) & (c.epoch == lease.epoch) & (c.owner == to_cell(lease.owner))
    connection.execute(_runs.update().where(held).values(owner=None, lease_until=0.0, state=pending))


def _renew(
    connection: Connection, owner: str, *, seconds: float, active: Mapping[str, float]
) -> Sequence[str]:
    c, mine = _runs.c, to_cell(owner)
    connection.execute(_runs.update().where(c.owner == mine).values(lease_until=time.time() + seconds))
    held = list(connection.execute(sa.select(c.run_id).where(c.owner == mine).order_by(c.run_id)).scalars())
    for run_id, more in active.items():
        if more:
            connection.execute(
                _runs.update()
                .where(c.run_id == to_cell(run_id), c.root.in_(held))
                .values(active_seconds=c.active_seconds + more)
            )
    return [from_cell(run_id) for run_id in held]


def _reopen(connection: Connection, run_ids: Sequence[str], options: Mapping[str, JSON] | None) -> None:
    c = _runs.c
    for index, run_id in enumerate(run_ids):
        found = connection.execute(
            sa.select(c.state).where(c.run_id == to_cell(run_id)).with_for_update()
        ).scalar()
        if found is None:
            raise _missing(run_id)
        if found == "ended":
            connection.execute(
                _runs.update()
                .where(c.run_id == to_cell(run_id))
                .values(state="pending", status=None, output="null", error="", ended_at=None)
            )
        if index == 0 and options is not None:
            connection.execute(
                _runs.update().where(c.run_id == to_cell(run_id)).values(options=to_json_cell(options))
            )


def _send(connection: Connection, run_id: str, cells: Mapping[str, object]) -> None:
    mine = to_cell(run_id)
    # locking the run: two senders must not draw the same number
    run = sa.select(_runs.c.run_id).where(_runs.c.run_id == mine).with_for_update()
    if connection.execute(run).scalar() is None:
        raise _missing(run_id)
    highest = connection.execute(
        sa.select(sa.func.max(_signals.c.number)).where(_signals.c.run_id == mine)
    ).scalar()
    connection.execute(_signals.insert().values(run_id=mine, number=(highest or 0) + 1, **cells))
