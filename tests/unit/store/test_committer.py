"""Group commit: many writers, few transactions, and a refused entry fails alone."""

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import sqlalchemy as sa
from sqlalchemy import event

from guardflow import crashpoints
from guardflow.errors import (
    DatabaseError,
    DatabaseLocked,
    DatabaseReadOnly,
    DiskFull,
    LeaseLost,
    RunNotFound,
    StateError,
)
from guardflow.records import ItemRow, RunRow
from guardflow.store import Store, open_readonly, open_store
from guardflow.store.committer import Committer, Entry
from guardflow.store.statements import PUT_ARTIFACT
from guardflow.values import AttemptEnd, AttemptStart, CallKey, Verdict

pytestmark = pytest.mark.anyio
Asked = Callable[..., AttemptStart]
NewRun = Callable[..., RunRow]


@pytest.fixture
def committer(store: Store) -> Committer:
    return store.ledger._committer


@contextmanager
def watched(store: Store) -> Any:
    """Counts the transactions that are committed."""
    commits: list[int] = []

    def count(connection: sa.Connection) -> None:
        commits.append(1)

    event.listen(store.database.engine, "commit", count)
    try:
        yield commits
    finally:
        event.remove(store.database.engine, "commit", count)


def put(address: str) -> Entry[None]:
    return Entry(None, statement=PUT_ARTIFACT, rows=((address, b"x", 1.0),))


def addresses(store: Store) -> Sequence[str]:
    return store.database.read(
        lambda c: list(c.exec_driver_sql("SELECT address FROM gf_artifacts ORDER BY address").scalars())
    )


async def test_writers_of_one_turn_share_one_transaction(store: Store, committer: Committer) -> None:
    with watched(store) as commits:
        await asyncio.gather(*(committer.write(put(f"{i:03}")) for i in range(100)))
    assert len(commits) == 1
    assert len(addresses(store)) == 100


async def test_what_comes_during_a_transaction_is_the_next_group(store: Store, committer: Committer) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(_: sa.Connection) -> None:
        running.set()
        assert go_on.wait(60)

    with watched(store) as commits:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(committer.write, Entry(None, work=slow))
            await anyio.to_thread.run_sync(running.wait)
            for i in range(30):
                tasks.start_soon(committer.write, put(f"{i:03}"))
            await anyio.wait_all_tasks_blocked()
            go_on.set()
    assert len(commits) == 2


async def test_a_group_larger_than_one_transaction_is_split(store: Store, committer: Committer) -> None:
    with watched(store) as commits:
        await asyncio.gather(*(committer.write(put(f"{i:04}")) for i in range(1100)))
    assert len(commits) == 3
    assert len(addresses(store)) == 1100


async def test_functions_and_rows_keep_their_order(store: Store, committer: Committer) -> None:
    seen: list[int] = []

    def count(connection: sa.Connection) -> int:
        seen.append(connection.exec_driver_sql("SELECT count(*) FROM gf_artifacts").scalar_one())
        return seen[-1]

    results = await asyncio.gather(
        committer.write(Entry(0, work=count)),
        committer.write(put("a")),
        committer.write(put("b")),
        committer.write(Entry(0, work=count)),
        committer.write(put("c")),
        committer.write(Entry(0, work=count)),
    )
    assert [results[0], results[3], results[5]] == seen == [0, 2, 3]


async def test_a_refused_entry_fails_alone(store: Store, committer: Committer, new_run: NewRun) -> None:
    def refuse(connection: sa.Connection) -> None:
        connection.exec_driver_sql("INSERT INTO gf_artifacts VALUES ('half', NULL, 1)")

    def shout(connection: sa.Connection) -> None:
        connection.exec_driver_sql("DELETE FROM gf_artifacts")
        raise StateError("no")

    results = await asyncio.gather(
        committer.write(put("a")),
        committer.write(Entry(None, work=refuse)),
        committer.write(Entry(None, work=shout)),
        committer.write(put("b")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), DatabaseError, StateError, type(None)]
    assert addresses(store) == ["a", "b"]


async def test_a_lost_lease_fails_alone(store: Store, new_run: NewRun, asked: Asked) -> None:
    await store.runs.create(new_run("mine"))
    await store.runs.create(new_run("lost"))
    await store.runs.claim("lost", "a:b:1:c", seconds=30)
    results = await asyncio.gather(
        store.ledger.begin(asked("mine"), epoch=0),
        store.ledger.begin(asked("lost"), epoch=0),
        store.ledger.begin(asked("lost"), epoch=1),
        store.ledger.begin(asked("unknown"), epoch=0),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [int, LeaseLost, int, RunNotFound]
    assert len(await store.ledger.attempts("mine")) == len(await store.ledger.attempts("lost")) == 1


async def test_one_cancelled_writer_does_not_stop_its_group(store: Store, committer: Committer) -> None:
    async with anyio.create_task_group() as tasks:
        with anyio.CancelScope() as scope:
            tasks.start_soon(committer.write, put("b"))
            scope.cancel()
            await committer.write(put("a"))
        tasks.start_soon(committer.write, put("c"))
    assert {"b", "c"} <= set(addresses(store))


async def test_cancelling_while_the_transaction_runs_is_consistent(
    store: Store, committer: Committer
) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> None:
        running.set()
        assert go_on.wait(60)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(committer.write, Entry(None, work=slow))
        await anyio.to_thread.run_sync(running.wait)
        tasks.start_soon(committer.write, put("a"))
        await anyio.wait_all_tasks_blocked()
        tasks.cancel_scope.cancel()
    go_on.set()
    await committer.flush()
    assert addresses(store) == ["a"]


async def test_queued_writes_ride_along_and_flush_waits_for_them(store: Store, committer: Committer) -> None:
    with watched(store) as commits:
        committer.queue(put("a"))
        await committer.write(put("b"))
        assert addresses(store) == ["a", "b"]
        assert len(commits) == 1
        committer.queue(put("c"))
        await committer.flush()
    assert addresses(store) == ["a", "b", "c"]


async def test_leaving_the_store_writes_what_is_queued(opened: Any) -> None:
    async with opened() as store:
        store.ledger._committer.queue(put("a"))
    async with opened() as store:
        assert addresses(store) == ["a"]


async def test_leaving_by_an_error_writes_what_is_queued_and_keeps_the_error(opened: Any) -> None:
    with pytest.raises(ZeroDivisionError):  # noqa: PT012  # the block is what is tested
        async with opened() as store:
            store.ledger._committer.queue(put("a"))
            raise ZeroDivisionError
    async with opened() as store:
        assert addresses(store) == ["a"]


async def test_a_queued_write_that_is_refused_is_told_at_the_next_flush(
    store: Store, committer: Committer
) -> None:
    def refuse(connection: sa.Connection) -> None:
        raise StateError("this one")

    committer.queue(Entry(None, work=refuse))
    committer.queue(put("a"))
    with pytest.raises(StateError, match="this one"):
        await committer.flush()
    await committer.flush()
    assert addresses(store) == ["a"]


async def test_a_closed_store_refuses_writes(opened: Any) -> None:
    async with opened() as store:
        pass
    with pytest.raises(StateError, match="closed"):
        await store.artifacts.put(b"x")
    with pytest.raises(StateError, match="closed"):
        store.ledger.judge(1, Verdict(None))


async def test_a_store_opened_for_reading_refuses_writes(
    opened: Any, url: str | None, tmp_path: Path
) -> None:
    async with opened() as writing, open_readonly(url, home=tmp_path / "home") as reading:
        address = await writing.artifacts.put(b"x")
        assert await reading.artifacts.get(address) == b"x"
        with pytest.raises(DatabaseReadOnly):
            await reading.artifacts.put(b"y")
        with pytest.raises(DatabaseReadOnly):
            reading.database.read(lambda c: c.exec_driver_sql("DELETE FROM gf_artifacts"))


@pytest.fixture
async def impatient(tmp_path: Path) -> AsyncIterator[Store]:
    async with open_store(home=tmp_path, busy_timeout=0.05) as store:
        yield store


async def test_a_lost_transaction_fails_all_who_wait_and_keeps_what_nobody_awaits(
    impatient: Store, tmp_path: Path
) -> None:
    committer = impatient.ledger._committer
    other = sqlite3.connect(tmp_path / "guardflow.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    committer.queue(put("queued"))
    results = await asyncio.gather(*(committer.write(put(c)) for c in "abc"), return_exceptions=True)
    assert [type(result) for result in results] == [DatabaseLocked] * 3
    assert len({id(result) for result in results}) == 3
    other.execute("COMMIT")
    other.close()
    await committer.write(put("d"))
    assert addresses(impatient) == ["d", "queued"]


async def test_a_full_database_says_so_and_goes_on_once_there_is_room(impatient: Store) -> None:
    engine = impatient.database.engine

    def limit(connection: Any, _: object) -> None:
        connection.execute("PRAGMA max_page_count=1")  # SQLite takes the present size as the least

    event.listen(engine, "connect", limit)
    engine.dispose()
    with pytest.raises(DiskFull):
        await impatient.artifacts.put(b"x" * 1_000_000)
    event.remove(engine, "connect", limit)
    engine.dispose()
    assert await impatient.artifacts.put(b"x" * 1_000_000)


FULL_DISK = """
import asyncio, pathlib, resource, sys
from guardflow.errors import DiskFull
from guardflow.store import open_store

async def main():
    async with open_store(home=pathlib.Path(sys.argv[1])) as store:
        first = await store.artifacts.put(b"kept")
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
        try:
            await store.artifacts.put(b"y" * 1_000_000)
        except DiskFull as error:
            print("refused:", error)
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        second = await store.artifacts.put(b"y" * 1_000_000)
        assert await store.artifacts.get(first) == b"kept"
        assert len(await store.artifacts.get(second)) == 1_000_000

asyncio.run(main())
"""


async def test_a_file_that_may_not_grow_counts_as_a_full_disk(tmp_path: Path) -> None:
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert b"refused:" in done.stdout
    assert b"disk is full" in done.stdout


async def test_a_process_that_is_killed_loses_only_what_was_not_awaited(
    opened: Any, url: str | None, tmp_path: Path
) -> None:
    code = """
import asyncio, os, pathlib, signal, sys
from guardflow.store import open_store
async def main():
    async with open_store(sys.argv[1] or None, home=pathlib.Path(sys.argv[2])) as store:
        await asyncio.gather(*(store.artifacts.put(b"%d" % i) for i in range(40)))
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    command = [sys.executable, "-c", code, url or "", str(tmp_path / "home")]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == -9, done.stderr.decode()
    async with opened() as store:
        assert len(addresses(store)) == 40


async def test_crash_points_stand_on_both_sides_of_the_commit(
    store: Store, tmp_path: Path, new_run: NewRun, asked: Asked
) -> None:
    log = tmp_path / "hits"

    def note(_: sa.Connection) -> None:
        with log.open("a") as file:
            file.write("commit\n")

    crashpoints.record(str(log))
    event.listen(store.database.engine, "commit", note)
    try:
        await store.runs.create(new_run())
        row = await store.ledger.begin(asked(), epoch=0)
        await store.ledger.finish(row, AttemptEnd(2.0))
        await store.ledger.put_item(ItemRow(CallKey("r", 1, 0), 0, "h", {}), epoch=0)
    finally:
        event.remove(store.database.engine, "commit", note)
        crashpoints.disarm()
    points = ("run.create", "ledger.begin", "ledger.finish", "item")
    expected = [line for point in points for line in (f"{point}.before", "commit", f"{point}.after")]
    assert log.read_text().split() == expected  # a few bytes


async def test_a_missing_row_is_told_to_the_one_who_finishes_it(
    store: Store, new_run: NewRun, asked: Asked
) -> None:
    await store.runs.create(new_run())
    row = await store.ledger.begin(asked(), epoch=0)
    results = await asyncio.gather(
        store.ledger.finish(row, AttemptEnd(2.0)),
        store.ledger.finish(12345, AttemptEnd(2.0)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), StateError]
    assert not (await store.ledger.attempts("r"))[0].in_doubt
