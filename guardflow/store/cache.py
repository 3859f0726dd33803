"""The response cache on SQL: accepted completions by request hash, raw, across runs.

Fits `guardflow.flow.protocols.ResponseCache`. Recent entries are kept in memory in front of the table.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from guardflow.values import Completion

from . import schema
from .cells import Document, from_json_cell, to_cell, to_json_cell
from .committer import Committer, Entry
from .engine import Database
from .rows import completion_json, read_completion
from .statements import PUT_CACHE, TOUCH_CACHE

_cache = schema.cache
_RECENT_BYTES = 16 << 20
_TOUCH_AFTER = 3600.0
"""Seconds after which a hit renews ``used_at``: once an hour is exact enough for pruning."""


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the table holds (``bytes`` of completions), and what this process found in it so far."""

    entries: int
    bytes: int
    oldest: float | None
    """When the least recently used entry was used, in seconds since the epoch."""
    hits: int
    misses: int


class SqlCache:
    """Accepted completions by request hash."""

    def __init__(self, database: Database, committer: Committer) -> None:
        self._database = database
        self._committer = committer
        self._recent: OrderedDict[str, tuple[Completion, int]] = OrderedDict()
        self._recent_bytes = 0
        self._hits = 0
        self._misses = 0

    async def get(self, key: str) -> Completion | None:
        """The completion stored under the request hash, or None."""
        recent = self._recent.get(key)
        if recent is not None:
            self._recent.move_to_end(key)
            self._hits += 1
            return recent[0]
        found = await self._database.query(lambda connection: _get(connection, to_cell(key)))
        if found is None:
            self._misses += 1
            return None
        cell, used_at = found
        completion = _read(cell, key)
        self._hits += 1
        self._remember(key, completion, len(cell))
        now = time.time()
        if not self._database.readonly and now - used_at > _TOUCH_AFTER:
            self._committer.queue(Entry(None, statement=TOUCH_CACHE, rows=((to_cell(key), now),)))
        return completion

    async def put(self, key: str, model: str, completion: Completion) -> None:
        """Store, or replace. Queued: a lost entry is only paid again."""
        cell, now = to_json_cell(completion_json(completion)), time.time()
        size = len(cell.encode())
        self._remember(key, completion, size)
        row = (to_cell(key), to_cell(model), cell, size, now, now)
        self._committer.queue(Entry(None, statement=PUT_CACHE, rows=(row,)))

    async def stats(self) -> CacheStats:
        """Counts of the table and of this process."""
        query = sa.select(
            sa.func.count(), sa.func.coalesce(sa.func.sum(_cache.c.bytes), 0), sa.func.min(_cache.c.used_at)
        )
        entries, size, oldest = await self._database.query(lambda c: tuple(c.execute(query).one()))
        return CacheStats(int(entries), int(size), oldest, self._hits, self._misses)

    async def prune(self, *, older_than: float | None = None, max_bytes: int | None = None) -> int:
        """Delete entries, and return how many.

        Args:
            older_than: seconds since the last use; entries unused for longer go.
            max_bytes: of what is left, the least recently used go until this much is kept.
        """
        self._recent.clear()
        self._recent_bytes = 0
        return await self._committer.write(
            Entry(0, work=lambda connection: _prune(connection, older_than, max_bytes))
        )

    def _remember(self, key: str, completion: Completion, size: int) -> None:
        old = self._recent.pop(key, None)
        if old is not None:
            self._recent_bytes -= old[1]
        size += 512  # the objects themselves
        if size > _RECENT_BYTES // 16:
            return
        self._recent[key] = (completion, size)
        self._recent_bytes += size
        while self._recent_bytes > _RECENT_BYTES:
            self._recent_bytes -= self._recent.popitem(last=False)[1][1]


def _get(connection: Connection, key: str) -> tuple[str, float] | None:
    # a raw cursor: this is the hot read, and SQLAlchemy's own path costs several times the query
    cursor = connection.connection.cursor()
    mark = "?" if connection.dialect.name == "sqlite" else "%s"
    cursor.execute(f"SELECT completion, used_at FROM gf_cache WHERE key = {mark}", (key,))
    return cursor.fetchone()


def _read(cell: str, key: str) -> Completion:
    what = f"cached answer {key!r}"
    return read_completion(Document(from_json_cell(cell, what=what), what=what))


def _prune(connection: Connection, older_than: float | None, max_bytes: int | None) -> int:
    gone = 0
    if older_than is not None:
        old = _cache.delete().where(_cache.c.used_at < time.time() - older_than)
        gone += connection.execute(old).rowcount
    if max_bytes is not None:
        kept = sa.func.sum(_cache.c.bytes).over(order_by=(_cache.c.used_at.desc(), _cache.c.key))
        ranked = sa.select(_cache.c.key, kept.label("kept")).subquery()
        beyond = sa.select(ranked.c.key).where(ranked.c.kept > max_bytes)
        gone += connection.execute(_cache.delete().where(_cache.c.key.in_(beyond))).rowcount
    return gone
