"""The tables, all named ``gf_*``, and how a database is brought up to them.

Times are seconds since the epoch as floats. Text cells are encoded by `guardflow.store.rows`, so that any
Python string can be stored. JSON is stored as text: a database never interprets what a model wrote.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Double, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.engine import Connection

from guardflow.errors import DatabaseError, DatabaseTooNew

from .engine import Database
from .faults import translated

metadata = MetaData()

meta = Table(
    "gf_meta", metadata, Column("key", Text, primary_key=True), Column("value", Text, nullable=False)
)

runs = Table(
    "gf_runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("input", Text, nullable=False),
    Column("input_hash", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("status", Text),
    Column("output", Text, nullable=False),
    Column("error", Text, nullable=False),
    Column("root", Text, nullable=False),
    Column("parent", Text),
    Column("forked_from", Text),
    Column("owner", Text),
    Column("epoch", BigInteger, nullable=False),
    Column("lease_until", Double, nullable=False, server_default="0"),
    Column("active_seconds", Double, nullable=False),
    Column("options", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    Index("gf_runs_root", "root"),
    Index("gf_runs_parent", "parent"),
    Index("gf_runs_owner", "owner"),
    Index("gf_runs_created", "created_at"),
)

attempts = Table(
    "gf_attempts",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("run_id", Text, nullable=False),
    Column("step", BigInteger, nullable=False),
    Column("item", BigInteger, nullable=False),
    Column("round", BigInteger, nullable=False),
    Column("role", Text, nullable=False),
    Column("ballot", BigInteger, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("stage", Text, nullable=False),
    Column("rung", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("request_hash", Text, nullable=False),
    Column("prompt_hash", Text, nullable=False),
    Column("reserved_tokens", BigInteger, nullable=False),
    Column("reserved_nano", BigInteger),
    Column("started_at", Double, nullable=False),
    Column("ended_at", Double),
    Column("ended", Text, comment="the AttemptEnd as JSON; null while in flight"),
    # What the row counts for in `spend`, kept beside what it says, so that the fold is one aggregate.
    Column("tokens", BigInteger, nullable=False),
    Column("nano", BigInteger),
    Column("paid", BigInteger, nullable=False),
    Column("doubt", BigInteger, nullable=False),
    Column("verdict", Text, comment="the Verdict as JSON"),
    Column("superseded", BigInteger, nullable=False, server_default="0"),
    Index("gf_attempts_run", "run_id", "step"),
)

items = Table(
    "gf_items",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("step", BigInteger, primary_key=True, autoincrement=False),
    Column("item", BigInteger, primary_key=True, autoincrement=False),
    Column("round", BigInteger, primary_key=True, autoincrement=False),
    Column("input_hash", Text, primary_key=True),
    Column("outcome", Text, nullable=False),
)

rounds = Table(
    "gf_rounds",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False, comment="order within the run"),
    Column("step", BigInteger, nullable=False),
    Column("item", BigInteger, nullable=False),
    Column("round", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("answer", Text),
    Index("gf_rounds_key", "run_id", "step", "item", "round", unique=True),
)

artifacts = Table(
    "gf_artifacts",
    metadata,
    Column("address", Text, primary_key=True),
    Column("data", LargeBinary, nullable=False),
    Column("put_at", Double, nullable=False),
    Index("gf_artifacts_put", "put_at"),
)

cache = Table(
    "gf_cache",
    metadata,
    Column("key", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("completion", Text, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("used_at", Double, nullable=False),
    Index("gf_cache_used", "used_at"),
)

signals = Table(
    "gf_signals",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("value", Text, nullable=False),
    Column("sent_at", Double, nullable=False),
)

limits = Table(
    "gf_limits",
    metadata,
    Column("key", Text, primary_key=True, comment="the model, and a hash of its address"),
    Column("owner", Text, primary_key=True, comment="the process that says it"),
    Column("state", Text, nullable=False),
    Column("told_at", Double, nullable=False),
    Index("gf_limits_told", "told_at"),
)

Upgrade = Callable[[Connection], None]


def _add_limits(connection: Connection) -> None:
    """Version 2: processes tell each other about the models they ask."""
    double = "DOUBLE" if connection.dialect.name == "sqlite" else "DOUBLE PRECISION"
    columns = f"key TEXT NOT NULL, owner TEXT NOT NULL, state TEXT NOT NULL, told_at {double} NOT NULL"
    connection.execute(sa.text(f"CREATE TABLE gf_limits ({columns}, PRIMARY KEY (key, owner))"))
    connection.execute(sa.text("CREATE INDEX gf_limits_told ON gf_limits (told_at)"))


UPGRADES: tuple[Upgrade, ...] = (_add_limits,)
"""``UPGRADES[n]`` brings a database of version n + 1 to n + 2. A new database is made at the newest at once."""

_MIGRATION_LOCK = 0x6775617264666C6F  # "guardflo": the key of our advisory lock on PostgreSQL


def newest_version() -> int:
    """The schema version that this guardflow writes."""
    return 1 + len(UPGRADES)


def migrate(database: Database) -> None:
    """Create the tables, or upgrade them. Idempotent; processes that start together take turns.

    Raises:
        DatabaseTooNew: a newer guardflow wrote it; nothing is touched.
        DatabaseError: or a subclass: the database refused.
    """
    with translated(database.url), database.engine.connect() as connection:
        if stored_version(connection) == newest_version():
            return
        connection.rollback()
        with connection.begin():
            if (
                database.is_sqlite
            ):  # pysqlite begins before DML only, and this must cover the check and the DDL
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            else:
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            _bring_up(connection, database)


def check_version(database: Database) -> None:
    """Refuse a database that this guardflow cannot read, without touching it.

    Raises:
        DatabaseTooNew: a newer guardflow wrote it.
        DatabaseError: it is older, or not guardflow's.
    """
    version = database.read(stored_version)
    _refuse_newer(version, database)
    if version is None:
        raise DatabaseError(
            f"database {database.url.render_as_string(hide_password=True)!r} holds no runs",
            hint="run a pipeline first, or set GUARDFLOW_HOME or GUARDFLOW_DATABASE_URL to where they are",
        )
    if version < newest_version():
        raise DatabaseError(
            f"database {database.url.render_as_string(hide_password=True)!r} is of version {version}, "
            f"and this guardflow reads {newest_version()}",
            hint="run any pipeline once with this guardflow, which upgrades it",
        )


def stored_version(connection: Connection) -> int | None:
    """The schema version of the database; None if it has no tables of ours."""
    if not sa.inspect(connection).has_table("gf_meta"):
        return None
    text = connection.execute(sa.select(meta.c.value).where(meta.c.key == "schema_version")).scalar()
    return None if text is None else int(text)


def _bring_up(connection: Connection, database: Database) -> None:
    version = stored_version(connection)
    _refuse_newer(version, database)
    if version is None:
        metadata.create_all(connection)
        connection.execute(meta.insert().values(key="schema_version", value=str(newest_version())))
        return
    for upgrade in UPGRADES[version - 1 :]:
        upgrade(connection)
    connection.execute(
        meta.update().where(meta.c.key == "schema_version").values(value=str(newest_version()))
    )


def _refuse_newer(version: int | None, database: Database) -> None:
    if version is not None and version > newest_version():
        raise DatabaseTooNew(
            f"database {database.url.render_as_string(hide_password=True)!r} was written by a newer guardflow "
            f"(version {version}; this one knows {newest_version()}); nothing was changed",
            hint="upgrade guardflow: pip install -U guardflow",
        )
