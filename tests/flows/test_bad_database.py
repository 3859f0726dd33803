"""Databases that are too new, locked, read-only, full or none: a typed error, and a run that goes on afterwards."""

from __future__ import annotations

import os
import resource
import socket
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import anyio
import psycopg
import pytest
from flow_bench import GOOD, Bench, as_flow, asking, says_what_to_do, shout

import guardflow.store
from guardflow import (
    Runtime,
)
from guardflow.errors import (
    ConfigError,
    DatabaseError,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseTooNew,
    DatabaseUnreachable,
    DiskFull,
    GuardflowError,
)
from guardflow.flow.pipeline import Pipeline
from guardflow.settings import Settings, load_settings
from guardflow.store.schema import newest_version
from guardflow.testing import FaultServer

pytestmark = pytest.mark.anyio


async def refuses_to_open(bench: Bench, error: type[GuardflowError]) -> GuardflowError:
    with pytest.raises(error) as caught:
        async with bench.opened() as rt:
            await rt.run(GOOD, "word", run_id="bad")
    says_what_to_do(caught.value)
    assert bench.model.count == 1
    return caught.value


async def test_a_database_of_a_newer_version(bench: Bench, home: Path) -> None:
    sql(bench, home, "UPDATE gf_meta SET value = '99' WHERE key = 'schema_version'")
    refused = await refuses_to_open(bench, DatabaseTooNew)
    assert "99" in refused.message
    assert "upgrade" in refused.hint
    sql(bench, home, f"UPDATE gf_meta SET value = '{newest_version()}' WHERE key = 'schema_version'")
    await bench.is_intact()


@pytest.mark.parametrize(
    "url", ["mysql://u:hidden@h/d", "sqlite:///:memory:", "not a url", "postgresql://u:hidden@h:port/d"]
)
async def test_a_database_url_that_names_no_database(settings: Settings, url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        async with Runtime(url, settings=settings):
            pass
    says_what_to_do(caught.value)
    assert "hidden" not in str(caught.value)


async def test_a_database_server_that_does_not_answer(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://u:hidden@127.0.0.1:{taken.getsockname()[1]}/d"
        with pytest.raises(DatabaseUnreachable) as caught:
            async with Runtime(url, settings=settings):
                pass
    says_what_to_do(caught.value)
    assert "hidden" not in str(caught.value)


async def test_a_file_that_is_no_database(settings: Settings, home: Path) -> None:
    notes(home).write_bytes(NOTES)
    with pytest.raises(DatabaseError, match="not a SQLite database") as caught:
        async with Runtime(settings=settings):
            pass
    says_what_to_do(caught.value)
    assert notes(home).read_bytes() == NOTES


NOTES = b"these are my notes. " * 200


def notes(home: Path) -> Path:
    home.mkdir(exist_ok=True)
    return home / "guardflow.db"


SHORT = 0.5
"""Seconds of a lease, where what cannot be written down includes that the run is free again."""


@contextmanager
def impatient() -> Iterator[None]:
    """Give up on a lock soon; users wait 30 s, and so do the tests where nothing shall be locked."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(guardflow.store, "open_store", partial(guardflow.store.open_store, busy_timeout=1.0))
        yield


@contextmanager
def locked(bench: Bench, home: Path) -> Iterator[None]:
    """Another program holds the database's write lock; on PostgreSQL, all of guardflow's tables."""
    if bench.database is None:
        other = sqlite3.connect(home / "guardflow.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()
    else:
        with psycopg.connect(bench.database) as session:
            session.execute("LOCK TABLE gf_runs, gf_attempts, dbos.workflow_status IN EXCLUSIVE MODE")
            yield
            session.rollback()


async def test_a_database_that_is_locked_at_the_start(bench: Bench, home: Path) -> None:
    with locked(bench, home), impatient():
        await refuses_to_open(bench, DatabaseLocked)
    await bench.is_intact()


def broken_between(break_it: Callable[[], Awaitable[None]]) -> Pipeline[str, str]:
    """The flow, with something that happens to the database after the first stage and before the model."""
    ask = asking()

    @as_flow
    async def flow(word: str) -> str:
        loud = await shout(word)
        await break_it()
        return (await ask(loud)).text

    return flow


async def test_a_database_that_is_locked_in_the_middle_of_a_run(bench: Bench, home: Path) -> None:
    lock = locked(bench, home)

    async def break_it() -> None:
        lock.__enter__()

    with impatient(), pytest.raises(DatabaseLocked) as caught:
        async with bench.opened(lease=SHORT) as rt:
            await rt.run(broken_between(break_it), "word", run_id="bad")
    lock.__exit__(None, None, None)
    await anyio.sleep(SHORT)
    says_what_to_do(caught.value)
    assert bench.model.count == 1  # a request that cannot be written down is not sent
    await bench.is_intact()


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write everything, so let it be nobody for a moment."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


async def test_a_database_that_is_read_only(durable: str | None, server: FaultServer) -> None:
    with tempfile.TemporaryDirectory() as folder:  # tmp_path cannot be entered by others
        os.chmod(folder, 0o755)
        home = Path(folder) / "state"
        bench = Bench(durable, load_settings(Path(folder), home=home), server)
        await bench.prepare()
        if durable is None:
            os.chmod(home / "guardflow.db", 0o444)
            os.chmod(home, 0o555)
            with unprivileged():
                await refuses_to_open(bench, DatabaseReadOnly)
            os.chmod(home, 0o700)
            os.chmod(home / "guardflow.db", 0o600)
        else:
            name = sql(bench, home, "SELECT current_database()")
            sql(bench, home, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
            await refuses_to_open(bench, DatabaseReadOnly)
            sql(bench, home, f"ALTER DATABASE {name} SET default_transaction_read_only = off", write=True)
        await bench.is_intact()


async def test_a_full_disk(bench: Bench, home: Path) -> None:
    """SQLite meets a limit on the size of files, which needs no privileges and no file system of its own. A
    PostgreSQL server would panic on one: there, a trigger answers with what it says when its disk is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def break_it() -> None:
        if bench.database is None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
        else:
            sql(bench, home, FULL)

    try:
        with pytest.raises(DiskFull) as caught:
            async with bench.opened(lease=SHORT) as rt:
                await rt.run(broken_between(break_it), "word", run_id="bad")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    if bench.database is not None:
        sql(bench, home, "DROP TRIGGER full_disk ON gf_attempts")
    await anyio.sleep(SHORT)
    says_what_to_do(caught.value)
    assert bench.model.count == 1
    await bench.is_intact()


FULL = """
CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = 'disk_full'; END $$;
CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON gf_attempts EXECUTE FUNCTION full_disk();
"""


def sql(bench: Bench, home: Path, statement: str, *, write: bool = False) -> object:
    """Run a statement beside guardflow, and give its first cell if it has one."""
    if bench.database is None:
        with sqlite3.connect(home / "guardflow.db") as connection:
            row = connection.execute(statement).fetchone()
        connection.close()
        return row[0] if row else None
    with psycopg.connect(bench.database, autocommit=True) as session:
        if write:
            session.execute("SET default_transaction_read_only = off")
        cursor = session.execute(statement)  # type: ignore[arg-type]  # a constant of this file
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None
