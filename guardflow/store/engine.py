"""The database connection: one SQLAlchemy engine, used by our tables and by DBOS.

`open_database` is called by `guardflow.store.store` and by `guardflow.store.dbos`. It creates the file safely
and sets what SQLite needs; it never creates a table.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from guardflow.errors import ConfigError, DatabaseError, DatabaseUnreachable

from .faults import may_write, translated

T = TypeVar("T")

FILE = "guardflow.db"
"""The database's name inside the state folder, when no URL is set."""
Synchronous = Literal["FULL", "NORMAL"]


@dataclass(frozen=True, slots=True)
class Database:
    """An open database. Safe to use from many threads; `dispose` closes its idle connections.

    ``engine`` begins transactions with ``BEGIN IMMEDIATE`` on SQLite. DBOS runs on the same engine.
    """

    engine: Engine
    reads: Engine
    """The same pool for single reads: without a transaction around them on PostgreSQL."""
    readonly: bool = False
    readers: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(8))

    @property
    def url(self) -> URL:
        """Where it is. Printing it hides the password."""
        return self.engine.url

    @property
    def is_sqlite(self) -> bool:
        return self.engine.dialect.name == "sqlite"

    def read(self, query: Callable[[Connection], T]) -> T:
        """Run ``query`` on a connection of the pool, with driver errors translated. Blocks.

        It must fetch all rows before it looks at them: on SQLite, rows left unread because one of them was
        damaged would keep an old snapshot on the connection, whose next writer would find it locked.
        """
        with translated(self.url), self.reads.connect() as connection:
            return query(connection)

    async def query(self, query: Callable[[Connection], T]) -> T:
        """`read`, in a worker thread."""
        return await anyio.to_thread.run_sync(self.read, query, limiter=self.readers)

    def dispose(self) -> None:
        self.engine.dispose()


def open_database(
    url: str | None,
    *,
    home: Path,
    synchronous: Synchronous = "FULL",
    busy_timeout: float = 30.0,
    readonly: bool = False,
) -> Database:
    """Open, and on SQLite create, the database. Blocks for milliseconds.

    Args:
        url: ``sqlite:///path``, ``postgresql://...``, or None for ``guardflow.db`` in ``home``.
        home: the state folder; created with mode 0700.
        synchronous: FULL survives a power loss; NORMAL is faster and survives a killed process.
        busy_timeout: seconds to wait for another process's write.
        readonly: refuse every write, and create nothing.

    Raises:
        ConfigError: the URL is not one of these.
        DatabaseError: or a subclass: it cannot be opened.
    """
    where = resolve_url(url, home=home)
    if where.get_backend_name() == "sqlite":
        return _open_sqlite(where, synchronous=synchronous, busy_timeout=busy_timeout, readonly=readonly)
    return _open_postgres(where, busy_timeout=busy_timeout, readonly=readonly)


def resolve_url(url: str | None, *, home: Path) -> URL:
    """The URL with an absolute path, or with the one PostgreSQL driver we use.

    Raises:
        ConfigError: it is neither a SQLite file nor a PostgreSQL server.
    """
    if url is None:
        return URL.create("sqlite", database=str((home / FILE).absolute()))
    if url.startswith("postgres://"):  # what hosting providers still print
        url = "postgresql://" + url.removeprefix("postgres://")
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError):
        # `from None`: the parser's message may quote the URL, and so its password
        raise ConfigError(
            "the database URL cannot be read",
            hint="write it as sqlite:///path/to/file.db or postgresql://user:password@host/database, "
            "with special characters percent-encoded",
        ) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:" and not parsed.query:
        return parsed.set(drivername="sqlite", database=str(Path(parsed.database).expanduser().absolute()))
    raise ConfigError(
        f"the database URL {parsed.render_as_string(hide_password=True)!r} names no database that can hold runs",
        hint="use sqlite:///path/to/file.db or postgresql://...; a database in memory would not outlive a crash",
    )


def _open_sqlite(url: URL, *, synchronous: Synchronous, busy_timeout: float, readonly: bool) -> Database:
    path = Path(url.database or "")
    with translated(url):
        if readonly:
            _require_file(url, path)
        else:
            _create_file(path)
            _set_wal(url, path, busy_timeout=busy_timeout)

    def connect() -> sqlite3.Connection:
        target = _readonly_uri(path) if readonly else str(path)
        return sqlite3.connect(
            target,
            uri=readonly,
            timeout=busy_timeout,
            isolation_level="IMMEDIATE",
            check_same_thread=False,
            cached_statements=256,
        )

    # max_overflow: DBOS brings up to 64 threads of its own; a connection to a file costs little
    engine = sa.create_engine(url, creator=connect, poolclass=QueuePool, pool_size=8, max_overflow=72)

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: Any, _record: object) -> None:
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.execute("PRAGMA foreign_keys=ON")
        if readonly:
            connection.execute("PRAGMA query_only=ON")

    return Database(engine, engine, readonly)


def _open_postgres(url: URL, *, busy_timeout: float, readonly: bool) -> Database:
    options = f"-c lock_timeout={int(busy_timeout * 1000)}"
    if readonly:
        options += " -c default_transaction_read_only=on"
    given = url.query.get("options")
    if given is not None:  # what the user set comes last, and wins
        options = f"{options} {given if isinstance(given, str) else ' '.join(given)}"
    arguments: dict[str, object] = {"options": options, "application_name": "guardflow"}
    if "connect_timeout" not in url.query:
        arguments["connect_timeout"] = 10
    engine = sa.create_engine(url, connect_args=arguments, pool_size=8, max_overflow=72, pool_pre_ping=True)
    # one round trip a read instead of three; on SQLite the option would undo IMMEDIATE
    return Database(engine, engine.execution_options(isolation_level="AUTOCOMMIT"), readonly)


def _require_file(url: URL, path: Path) -> None:
    if not path.is_file():
        raise DatabaseUnreachable(
            f"there is no database {url.render_as_string(hide_password=True)!r}",
            hint="run a pipeline first, or set GUARDFLOW_HOME or GUARDFLOW_DATABASE_URL to where it is",
        )


def _readonly_uri(path: Path) -> str:
    """``immutable`` only where nobody can write: SQLite cannot open a WAL file in a folder it may not write."""
    frozen = not may_write(path) and not path.with_name(path.name + "-wal").exists()
    return f"{path.as_uri()}?{'immutable=1' if frozen else 'mode=ro'}"


def _create_file(path: Path) -> None:
    """Create the file with mode 0600 in a folder with mode 0700, before SQLite would create it with 0644.

    Nothing that exists is changed, and a planted link is not followed.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass


def _set_wal(url: URL, path: Path, *, busy_timeout: float) -> None:
    """Switch the file to WAL. SQLite does not wait for locks in this one statement, so we do."""
    deadline = time.monotonic() + busy_timeout
    while True:
        connection = sqlite3.connect(path, timeout=busy_timeout, isolation_level=None)
        try:
            (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (5, 6) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
            continue
        finally:
            connection.close()
        if mode != "wal":
            raise DatabaseError(
                f"database {url.database!r} cannot use a write-ahead log (it stays in mode {mode!r})",
                hint="put it on a local disk: network file systems do not work; or use PostgreSQL",
            )
        return
