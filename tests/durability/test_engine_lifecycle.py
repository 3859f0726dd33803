"""The durable engine's opening and closing, the databases that refuse it, and pickles planted in them."""

from __future__ import annotations

import asyncio
import base64
import logging
import os
import pickle
import sqlite3
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
import sqlalchemy as sa

from guardflow.errors import (
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseUnreachable,
    StateError,
)
from guardflow.store.dbos.engine import DbosEngine
from guardflow.store.dbos.rows import WorkflowRows
from guardflow.store.dbos.session import Session
from guardflow.store.engine import Database, open_database

pytestmark = pytest.mark.anyio


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(None, home=tmp_path / "one", synchronous="NORMAL")
    yield opened
    opened.dispose()


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Database]:
    """One that is given up soon when it is locked."""
    opened = open_database(None, home=tmp_path / "one", synchronous="NORMAL", busy_timeout=0.5)
    yield opened
    opened.dispose()


async def one_step(name: str, session: Session) -> dict[str, Any]:
    async def body() -> dict[str, Any]:
        there = await anyio.to_thread.run_sync(os.getpid)
        assert await asyncio.to_thread(os.getpid) == there
        return {"v": 1, "value": name}

    return {"status": "ok", **await session.step(session.reserve(), name, body)}


def engine_on(database: Database, owner: str = "host:boot:1:a") -> DbosEngine:
    url = database.url.render_as_string(hide_password=False)
    return DbosEngine(database.engine, url=url, owner=owner, execute=one_step)


async def test_a_process_has_one_engine(database: Database) -> None:
    waiting = engine_on(database)
    engine = engine_on(database)
    await engine.launch()
    with pytest.raises(StateError, match="share one Runtime"):
        engine_on(database)
    with pytest.raises(StateError, match="share one Runtime"):
        await waiting.launch()
    await engine.close()
    await waiting.launch()
    await waiting.close()


async def test_an_engine_that_is_not_open_says_so(database: Database) -> None:
    engine = engine_on(database)
    with pytest.raises(StateError, match="async with Runtime"):
        await engine.start("r", "p", epoch=1)
    await engine.close()


async def test_engines_follow_each_other_on_other_databases(database: Database, tmp_path: Path) -> None:
    second = open_database(None, home=tmp_path / "two", synchronous="NORMAL")
    for used in (database, second, database):
        engine = engine_on(used)
        await engine.launch()
        run_id = f"r{len(await engine.steps('r0'))}"
        assert (await engine.start(run_id, "p", epoch=1))["value"] == "p"
        await engine.close()
        assert await asyncio.to_thread(os.getpid) == os.getpid()
    assert [s.name for s in WorkflowRows(second.engine).steps("r0")] == ["p"]
    assert [s.name for s in WorkflowRows(database.engine).steps("r1")] == ["p"]
    second.dispose()


async def test_closing_waits_for_no_poll_of_a_second(database: Database) -> None:
    taken: list[float] = []
    while not taken or min(taken) >= 0.3:  # a stall of the machine makes one slow, a poll makes all
        assert sum(taken) < 60, taken
        engine = engine_on(database)
        await engine.launch()
        assert (await engine.start(f"r{len(taken)}", "p", epoch=1))["value"] == "p"
        began = time.perf_counter()
        await engine.close()
        taken.append(time.perf_counter() - began)


async def test_a_failed_launch_can_be_tried_again(impatient: Database) -> None:
    blocker = sqlite3.connect(str(impatient.url.database), isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    engine = engine_on(impatient)
    began = time.perf_counter()
    with pytest.raises(DatabaseLocked, match="locked by another process"):
        await engine.launch()
    assert time.perf_counter() - began < 20  # nothing waits for the lock longer than it was told to
    blocker.execute("ROLLBACK")
    await engine.launch()
    assert not any(isinstance(h, logging.StreamHandler) for h in logging.getLogger("dbos").handlers)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseLocked):
        await engine.start("r", "p", epoch=1)
    blocker.execute("ROLLBACK")
    await engine.start("r", "p", epoch=1)
    blocker.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseLocked):
        await engine.fork("r", "f", 1)
    blocker.execute("ROLLBACK")
    await engine.close()
    blocker.close()


async def test_a_read_only_database_is_refused_in_words(database: Database, tmp_path: Path) -> None:
    with sqlite3.connect(str(database.url.database)) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    readonly = open_database(None, home=tmp_path / "one", readonly=True)
    with pytest.raises(DatabaseReadOnly):
        await engine_on(readonly).launch()
    readonly.dispose()


async def test_a_server_that_is_away_is_refused_in_words_without_the_password(tmp_path: Path) -> None:
    away = open_database("postgresql://me:secret@127.0.0.1:9/none", home=tmp_path)
    with pytest.raises(DatabaseUnreachable) as caught:
        await engine_on(away).launch()
    assert "secret" not in str(caught.value)
    away.dispose()


class Bomb:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


async def test_a_planted_pickle_is_shown_or_refused_and_never_loaded(
    database: Database, tmp_path: Path
) -> None:
    exploded = tmp_path / "exploded"
    bomb = base64.b64encode(pickle.dumps(Bomb(exploded))).decode()
    engine = engine_on(database)
    await engine.launch()
    await engine.start("step", "p", epoch=1)
    await engine.start("run", "p", epoch=1)
    with database.engine.begin() as connection:
        for sql in (
            "UPDATE operation_outputs SET output = :x, serialization = 'py_pickle' WHERE workflow_uuid = 'step'",
            "UPDATE workflow_status SET serialization = 'py_pickle' WHERE workflow_uuid = 'run'",
            "UPDATE workflow_input SET inputs = :x",
            "UPDATE workflow_output SET output = :x",
        ):
            connection.execute(sa.text(sql), {"x": bomb} if ":x" in sql else {})
    (shown,) = await engine.steps("step")
    assert (shown.name, shown.envelope, shown.mark) == ("p", None, "py_pickle")
    with pytest.raises(StateError, match="stored as 'py_pickle'"):
        await engine.reopen("step", "p", [], epoch=2)
    for again in (engine.adopt("run", "p", epoch=2), engine.reopen("run", "p", [], epoch=2)):
        with pytest.raises(StateError, match="stored as 'py_pickle'"):
            await again

    from dbos import DBOSClient

    client = DBOSClient(system_database_url=database.url.render_as_string())
    listed = await anyio.to_thread.run_sync(lambda: client.list_workflows(workflow_ids=["run"]))
    client.destroy()
    assert str(listed[0].output) == str(listed[0].input) == bomb
    await engine.close()
    assert not exploded.exists()
    pickle.loads(base64.b64decode(bomb))  # the bomb is live: what was tested can fail
    assert exploded.exists()


def test_reading_rows_loads_no_dbos() -> None:
    import subprocess

    code = "import guardflow.store.dbos.rows, sys; sys.exit('dbos' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
