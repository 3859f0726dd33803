"""The hot writes as SQL that carries many rows: one statement, one trip through the driver, for a whole group.

`executemany` would hand the interpreter lock over after every row, and wait 5 ms to get it back whenever the
event loop is busy. SQLite gets VALUES in few sizes, so that its statement cache holds them all;
PostgreSQL gets one JSON document, so that one prepared statement fits every number of rows.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain
from typing import Literal, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from . import schema

Cell = str | int | float | bytes | None
Row = tuple[Cell, ...]
Write = Literal["insert", "insert or ignore", "insert or replace", "update"]

LARGEST = 64
"""Rows in one SQLite statement: 64 rows of 22 cells stay far below its limit of 32,766 variables."""
_POSTGRES = postgresql.dialect()


class Cursor(Protocol):
    """What we use of a DBAPI cursor."""

    @property
    def rowcount(self) -> int: ...

    def execute(self, operation: str, parameters: Sequence[object] = ..., /) -> object: ...

    def fetchall(self) -> list[tuple[object, ...]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Statement:
    """One kind of write. The first column is the key that an update and a replacement go by.

    Rows of one statement commute with rows of every other one: they insert new rows, or write columns that no
    other statement writes. That is why a group may write them kind by kind.
    """

    table: sa.Table
    columns: tuple[str, ...]
    write: Write = "insert"
    exact: bool = False
    """Whether every row must be written, so that a missing one is an error."""

    def run(self, cursor: Cursor, rows: Sequence[Row], *, sqlite: bool) -> int:
        """Write the rows, and return how many were written. The last of several rows with one key wins."""
        if self.write in ("update", "insert or replace") and len(rows) > 1:
            rows = list({row[0]: row for row in rows}.values())
        if not sqlite:
            cursor.execute(_postgres_sql(self), (_document(self, rows),))
            return cursor.rowcount
        written = 0
        for chunk in _slices(rows):
            cursor.execute(_sqlite_sql(self, len(chunk)), list(chain.from_iterable(chunk)))
            written += cursor.rowcount
        return written


_START = (
    "id", "run_id", "step", "item", "round", "role", "ballot", "n", "stage", "rung", "model", "request_hash",
    "prompt_hash", "reserved_tokens", "reserved_nano", "started_at", "tokens", "nano", "paid", "doubt",
)  # fmt: skip
BEGIN = Statement(schema.attempts, _START)
RECORD = Statement(schema.attempts, (*_START, "ended_at", "ended"))
FINISH = Statement(
    schema.attempts, ("id", "ended_at", "ended", "tokens", "nano", "paid", "doubt"), "update", exact=True
)
ABANDON = Statement(schema.attempts, ("id", "ended_at", "ended"), "update", exact=True)
JUDGE = Statement(schema.attempts, ("id", "verdict"), "update")
SUPERSEDE = Statement(schema.attempts, ("id", "superseded"), "update")
PUT_ITEM = Statement(
    schema.items, ("run_id", "step", "item", "round", "input_hash", "outcome"), "insert or ignore"
)
PUT_ARTIFACT = Statement(schema.artifacts, ("address", "data", "put_at"), "insert or replace")
PUT_CACHE = Statement(
    schema.cache, ("key", "model", "completion", "bytes", "created_at", "used_at"), "insert or replace"
)
TOUCH_CACHE = Statement(schema.cache, ("key", "used_at"), "update")


def current_epochs(cursor: Cursor, run_ids: Sequence[str], *, sqlite: bool) -> dict[str, int]:
    """The lease epoch of each run's root. Until the transaction ends nobody can take these runs over.

    On SQLite the transaction holds the write lock; on PostgreSQL the roots are locked ``FOR SHARE``, in the
    order of their ids.
    """
    epochs: dict[str, int] = {}
    if not sqlite:
        cursor.execute(
            "SELECT c.run_id, r.epoch FROM gf_runs c JOIN gf_runs r ON r.run_id = c.root "
            "WHERE c.run_id = ANY(%s) ORDER BY r.run_id FOR SHARE OF r",
            (list(run_ids),),
        )
        epochs.update(cursor.fetchall())  # pyright: ignore[reportArgumentType, reportCallIssue]  # text, bigint
        return epochs
    for chunk in _slices(run_ids):
        cursor.execute(
            "SELECT c.run_id, r.epoch FROM gf_runs c JOIN gf_runs r ON r.run_id = c.root "
            f"WHERE c.run_id IN ({','.join('?' * len(chunk))})",
            chunk,
        )
        epochs.update(cursor.fetchall())  # pyright: ignore[reportArgumentType, reportCallIssue]  # text, integer
    return epochs


@cache
def _sqlite_sql(statement: Statement, count: int) -> str:
    names = ", ".join(statement.columns)
    one = "(" + ", ".join("?" * len(statement.columns)) + ")"
    values = ", ".join([one] * count)
    if statement.write != "update":
        return f"INSERT INTO {statement.table.name} ({names}) VALUES {values}{_on_conflict(statement)}"
    key, *rest = statement.columns
    if count == 1:  # parameters come in the order of the columns
        sets = ", ".join(f"{name} = ?{i}" for i, name in enumerate(rest, start=2))
        return f"UPDATE {statement.table.name} SET {sets} WHERE {key} = ?1"
    # not `WITH ... UPDATE`: the driver knows a write by its first word. SQLite names the cells column1, column2 ...
    sets = ", ".join(f"{name} = v.column{i}" for i, name in enumerate(rest, start=2))
    table = statement.table.name
    return f"UPDATE {table} SET {sets} FROM (VALUES {values}) AS v WHERE {table}.{key} = v.column1"


@cache
def _postgres_sql(statement: Statement) -> str:
    table, names = statement.table.name, ", ".join(statement.columns)
    types = {name: statement.table.c[name].type for name in statement.columns}
    shape = ", ".join(
        f"{name} {'text' if isinstance(kind, sa.LargeBinary) else kind.compile(_POSTGRES)}"
        for name, kind in types.items()
    )
    source = f"json_to_recordset(%s::json) AS v({shape})"
    cells = {
        name: f"decode(v.{name}, 'base64')" if isinstance(kind, sa.LargeBinary) else f"v.{name}"
        for name, kind in types.items()
    }
    if statement.write != "update":
        return f"INSERT INTO {table} ({names}) SELECT {', '.join(cells.values())} FROM {source}{_on_conflict(statement)}"
    key, *rest = statement.columns
    sets = ", ".join(f"{name} = {cells[name]}" for name in rest)
    return f"UPDATE {table} SET {sets} FROM {source} WHERE {table}.{key} = v.{key}"


def _on_conflict(statement: Statement) -> str:
    if statement.write == "insert or ignore":
        return " ON CONFLICT DO NOTHING"
    if statement.write == "insert or replace":
        key, *rest = statement.columns
        sets = ", ".join(f"{name} = excluded.{name}" for name in rest)
        return f" ON CONFLICT ({key}) DO UPDATE SET {sets}"
    return ""


def _document(statement: Statement, rows: Sequence[Row]) -> str:
    objects = [dict(zip(statement.columns, row, strict=True)) for row in rows]
    return json.dumps(objects, ensure_ascii=False, default=_base64)


def _base64(cell: object) -> str:
    if not isinstance(cell, bytes):
        raise TypeError(f"a cell cannot be of type {type(cell).__name__}")
    return b64encode(cell).decode("ascii")


def _slices(rows: Sequence[Row] | Sequence[str]) -> Iterator[Sequence[Row] | Sequence[str]]:
    """The rows in slices of 64, 32 and 16, and what is left in one: at most 18 texts of a statement are prepared."""
    at = 0
    while left := len(rows) - at:
        size = min(left, LARGEST if left >= LARGEST else 32 if left >= 32 else 16)
        yield rows[at : at + size]
        at += size
