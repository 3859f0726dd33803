"""Where the crash tests run: databases to spare, and what is left in them, read from outside by plain SQL.

It imports nothing of guardflow's store: what it sees is what is on disk.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, LiteralString

from guardflow.hashing import JSON
from guardflow.testing import FaultServer, ForkServer

TARGET = str(Path(__file__).with_name("crash_target.py"))
PREPARE, EXECUTE = f"{TARGET}:prepare", f"{TARGET}:execute"


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the ledger."""

    id: int
    place: tuple[object, ...]
    ended: Mapping[str, Any] | None
    tokens: int
    nano: int
    reserved: tuple[int, int]

    @property
    def open(self) -> bool:
        """Begun, and nobody knows how it ended."""
        return self.ended is None

    @property
    def doubtful(self) -> bool:
        return self.ended is None or bool(self.ended.get("abandoned"))


_LEDGER = (
    "SELECT id, run_id, step, item, round, role, ballot, n, ended, tokens, nano, reserved_tokens, reserved_nano,"
    " superseded FROM gf_attempts WHERE run_id LIKE ? ORDER BY id"
)
_RUNS = "SELECT run_id, state, status FROM gf_runs WHERE run_id LIKE ? ORDER BY run_id"


@dataclass(frozen=True, slots=True)
class Left:
    """What a database holds, seen from outside."""

    rows: Sequence[Row]
    runs: Sequence[tuple[str, str, str | None]]
    superseded: int

    @property
    def kept(self) -> int:
        """Requests whose end is written down."""
        return sum(not row.open for row in self.rows)

    def open_places(self) -> set[tuple[object, ...]]:
        return {row.place for row in self.rows if row.open}


class Place:
    """Where experiments happen: an SQLite file of their own, or a PostgreSQL database that no other is using.

    Copying a PostgreSQL database takes longer than an experiment: they take turns, under run ids of their own.
    """

    def __init__(self, name: str, folder: Path, forks: ForkServer, *, postgres: str | None = None) -> None:
        self.name = name
        self._folder = folder / name
        self._postgres = postgres
        self._free: list[str] = []
        self._numbers = count(1)
        home = self._folder / "template"
        home.mkdir(parents=True)
        url = None
        if postgres is not None:
            for setting in ("fsync", "full_page_writes"):  # clients are killed here, never the server
                self._command(f"ALTER SYSTEM SET {setting} = off")
            self._command("SELECT pg_reload_conf()")
            self._command("CREATE DATABASE crash_template")
            url = self._url("crash_template")
        job = {"home": str(home), "database": url, "server": "http://127.0.0.1:9/v1"}
        forks.run(PREPARE, job).returned()
        self._template = home

    @contextmanager
    def fresh(self) -> Iterator[Spot]:
        """A home and a migrated database that nobody else is using, and a run id that nobody has used."""
        number = next(self._numbers)
        home = self._folder / f"x{number}"
        shutil.copytree(self._template, home)
        url = self._taken(number) if self._postgres is not None else None
        try:
            yield Spot(home, url, f"crashed.{number}.")  # the dot ends it: no id begins with another
        finally:
            shutil.rmtree(home)
            if url is not None:
                self._free.append(url)

    def _taken(self, number: int) -> str:
        try:
            return self._free.pop()
        except IndexError:
            self._command(f"CREATE DATABASE crash_{number} TEMPLATE crash_template")
            return self._url(f"crash_{number}")

    def _url(self, name: str) -> str:
        assert self._postgres is not None
        return self._postgres.replace("/postgres?", f"/{name}?")

    def _command(self, text: LiteralString) -> None:
        import psycopg

        assert self._postgres is not None
        with psycopg.connect(self._postgres, autocommit=True) as connection:
            connection.execute(text)


@dataclass(frozen=True, slots=True)
class Spot:
    """One experiment's own home, database and run id."""

    home: Path
    url: str | None
    run: str

    def job(self, pipeline: str, server: FaultServer, **more: JSON) -> dict[str, JSON]:
        return {
            "home": str(self.home),
            "database": self.url,
            "server": server.base_url,
            "pipeline": pipeline,
            "run": self.run,
            **more,
        }

    def left(self) -> Left:
        """What is stored now; on PostgreSQL once the sessions of the dead have ended."""
        if self.url is not None:
            self.wait_for_sessions()
        rows = self.read(_LEDGER)
        made = [
            Row(
                r[0], tuple(r[1:8]), json.loads(r[8]) if r[8] else None, r[9], r[10] or 0, (r[11], r[12] or 0)
            )
            for r in rows
        ]
        return Left(made, self.read(_RUNS), sum(r[13] for r in rows))

    def read(self, query: str) -> list[Any]:
        """The rows of a query with one mark, which stands for this run and its children."""
        family = f"{self.run}%"
        if self.url is None:
            with closing(sqlite3.connect(self.home / "guardflow.db", timeout=60)) as reading:
                return reading.execute(query, [family]).fetchall()
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query.replace("?", "%s"), [family]).fetchall()  # type: ignore[call-overload]

    def nobody_writes(self) -> bool:
        """Whether no process is in the middle of a transaction."""
        if self.url is None:
            with closing(sqlite3.connect(self.home / "guardflow.db", timeout=0, isolation_level=None)) as one:
                try:
                    one.execute("BEGIN IMMEDIATE").execute("ROLLBACK")
                except sqlite3.OperationalError:
                    return False
                return True
        return self._others("AND backend_xid IS NOT NULL") == 0

    def wait_for_sessions(self) -> None:
        """A dead client's last commit may still be under way on the server."""
        until = time.monotonic() + 60
        while self._others(""):
            assert time.monotonic() < until, "a dead process still has a session"
            time.sleep(0.005)

    def _others(self, which: str) -> int:
        """How many sessions the server has on this database besides the one that asks."""
        import psycopg

        assert self.url is not None
        query = (
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            f" AND pid <> pg_backend_pid() AND backend_type = 'client backend' {which}"
        )
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(query).fetchone()[0]  # type: ignore[index, call-overload]  # it counts


def stop(pid: int, spot: Spot) -> None:
    """Stop a process while it writes nothing: its lock on the database would stop everybody else too."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        os.kill(pid, signal.SIGSTOP)
        time.sleep(0.02)
        if spot.nobody_writes():
            return
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.03)
    raise AssertionError("the process never stopped writing")
