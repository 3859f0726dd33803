"""Where processes of one database tell each other about the models they ask: breakers, Retry-After, what was sent.

Fits `guardflow.models.limits.Board`. The runtime calls it about once a second; no request ever waits for it.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from guardflow.hashing import JSON
from guardflow.records import Said

from . import schema
from .cells import from_cell, from_json_cell, to_cell, to_json_cell
from .committer import Committer, Entry
from .engine import Database

_limits = schema.limits
_FRESH = 120.0
"""Seconds for which what a process said is believed. A clock that is further ahead than this is not, either."""
_KEPT = 3600.0


class SqlBoard:
    """One row for each process and model. Old rows are deleted by whoever writes.

    Args:
        owner: this process.
    """

    def __init__(self, database: Database, committer: Committer, *, owner: str) -> None:
        self._database = database
        self._committer = committer
        self._owner = owner

    async def exchange(self, mine: Mapping[str, Mapping[str, JSON]]) -> Sequence[Said]:
        """Write what changed here, by key, and read what other processes said lately.

        Raises:
            DatabaseError: or a subclass: the database is away.
        """
        if mine:
            rows = [(to_cell(key), to_json_cell(state)) for key, state in mine.items()]
            owner = to_cell(self._owner)
            await self._committer.write(Entry(None, work=lambda connection: _write(connection, owner, rows)))
        return await self._database.query(self._read)

    def _read(self, connection: Connection) -> Sequence[Said]:
        c, now = _limits.c, time.time()
        recent = sa.select(c.key, c.owner, c.state).where(
            c.owner != to_cell(self._owner), c.told_at.between(now - _FRESH, now + _FRESH)
        )
        said: list[Said] = []
        for key, owner, state in connection.execute(recent).all():
            found = from_json_cell(state, what=f"what {from_cell(owner)!r} said about {from_cell(key)!r}")
            if isinstance(found, Mapping):
                said.append(Said(from_cell(key), from_cell(owner), found))
        return said


def _write(connection: Connection, owner: str, rows: Sequence[tuple[str, str]]) -> None:
    c, now = _limits.c, time.time()
    connection.execute(_limits.delete().where((c.owner == owner) & c.key.in_([key for key, _ in rows])))
    connection.execute(
        _limits.insert(),
        [{"key": key, "owner": owner, "state": state, "told_at": now} for key, state in rows],
    )
    connection.execute(_limits.delete().where(c.told_at < now - _KEPT))
