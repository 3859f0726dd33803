"""The store: one database, and the ledger, runs, cache and artifacts in it.

Opened by `guardflow.runtime`, and by commands that only look, which never write. It knows nothing of flow.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio
import anyio.to_thread

from .artifacts import SqlArtifacts
from .board import SqlBoard
from .cache import SqlCache
from .committer import Committer
from .engine import Database, Synchronous, open_database
from .leases import owner_id
from .ledger import RowIds, SqlLedger
from .runs import SqlRuns
from .schema import check_version, migrate


@dataclass(frozen=True, slots=True)
class Store:
    """An open store. Its parts share one writer, so that what is written together is committed together."""

    database: Database
    ledger: SqlLedger
    runs: SqlRuns
    cache: SqlCache
    artifacts: SqlArtifacts
    board: SqlBoard


@asynccontextmanager
async def open_store(
    url: str | None = None,
    *,
    home: Path,
    synchronous: Synchronous = "FULL",
    busy_timeout: float = 30.0,
) -> AsyncGenerator[Store]:
    """Open the database, creating or upgrading its tables. Leaving the block writes what is queued.

    Args:
        url: as for `open_database`.
        home: the state folder.

    Raises:
        ConfigError: the URL cannot be used.
        DatabaseError: or a subclass: it cannot be opened; on leaving: something queued could not be written.
    """
    opened = partial(open_database, url, home=home, synchronous=synchronous, busy_timeout=busy_timeout)
    database = await anyio.to_thread.run_sync(opened)
    try:
        await anyio.to_thread.run_sync(migrate, database)
        committer = Committer(database)
        committer.start()
        try:
            yield _assemble(database, committer)
        except BaseException:
            await committer.aclose_quietly()
            raise
        else:
            await committer.aclose()
    finally:
        database.dispose()


@asynccontextmanager
async def open_readonly(url: str | None = None, *, home: Path) -> AsyncGenerator[Store]:
    """Open an existing database for looking only: nothing is created, upgraded or written.

    Raises:
        DatabaseUnreachable: there is none.
        DatabaseTooNew: a newer guardflow wrote it.
        DatabaseError: or another subclass: it cannot be read. Writing raises DatabaseReadOnly.
    """
    opened = partial(open_database, url, home=home, readonly=True)
    database = await anyio.to_thread.run_sync(opened)
    try:
        await anyio.to_thread.run_sync(check_version, database)
        yield _assemble(database, Committer(database))
    finally:
        database.dispose()


def _assemble(database: Database, committer: Committer) -> Store:
    ids = RowIds()
    return Store(
        database=database,
        ledger=SqlLedger(database, committer, ids),
        runs=SqlRuns(database, committer, ids),
        cache=SqlCache(database, committer),
        artifacts=SqlArtifacts(database, committer),
        board=SqlBoard(database, committer, owner=owner_id()),
    )
