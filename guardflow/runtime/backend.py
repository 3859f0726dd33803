"""The seam between the runtime and where runs live: memory, DBOS on SQLite, DBOS on PostgreSQL.

`open_backend` chooses; the protocols here are what the three have in common. Databases load only when asked for.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeAlias

from guardflow.flow.memory_runs import MemoryBackend
from guardflow.flow.protocols import Artifacts, Engine, Envelope, Ledger, ResponseCache, Runs
from guardflow.models.limits import Board
from guardflow.settings import home_dir

if TYPE_CHECKING:
    from guardflow.settings import Settings

Execute: TypeAlias = Callable[[str, Engine], Awaitable[Envelope]]
"""Runs the named pipeline over an engine's session."""

MEMORY = "memory"
"""The database name that stands for no database."""


class Verb(Protocol):
    """`start`, `adopt` or `reopen` of the backend's executions."""

    async def __call__(self, run_id: str, pipeline: str, /, *, epoch: int) -> Envelope: ...


class StoredStep(Protocol):
    """A finished step, as stored."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def envelope(self) -> Envelope | None: ...


class Executions(Protocol):
    """Starts runs and makes them go on. Each verb executes in the calling task, to the run's end."""

    def register(self, pipeline: str) -> None: ...

    async def start(self, run_id: str, pipeline: str, *, epoch: int) -> Envelope: ...

    async def adopt(self, run_id: str, pipeline: str, *, epoch: int) -> Envelope: ...

    async def reopen(
        self,
        run_id: str,
        pipeline: str,
        steps: Collection[int],
        *,
        epoch: int,
        children: Mapping[str, Collection[int]] | None = None,
    ) -> Envelope: ...

    async def fork(self, run_id: str, new_id: str, from_step: int) -> None: ...

    async def cancel(self, run_id: str) -> bool: ...

    async def steps(self, run_id: str) -> Sequence[StoredStep]: ...

    async def delete(self, run_ids: Collection[str]) -> None: ...


class Backend:
    """Where the runs of one runtime live."""

    def __init__(
        self,
        *,
        executions: Executions,
        ledger: Ledger,
        runs: Runs,
        cache: ResponseCache,
        artifacts: Artifacts,
        owner: str,
        sweep: Callable[[float], Awaitable[object]],
        board: Board | None = None,
    ) -> None:
        self.executions = executions
        self.ledger = ledger
        self.runs = runs
        self.cache = cache
        self.artifacts = artifacts
        self.owner = owner
        self.board = board
        """Where processes tell each other about models; None where there is only this one."""
        self.sweep = sweep
        """Deletes artifacts that nothing names and that are older than so many seconds."""


@asynccontextmanager
async def open_backend(
    database: str | None, *, settings: Settings, execute: Execute
) -> AsyncGenerator[Backend]:
    """Open the database that is asked for.

    Args:
        database: ``"memory"``, a database URL, or None for what settings say (an SQLite file by default).

    Raises:
        DatabaseError: or a subclass: it cannot be opened, read or written.
    """
    if database == MEMORY:
        memory = MemoryBackend()
        await memory.open(execute)
        try:
            yield Backend(
                executions=memory,
                ledger=memory.ledger,
                runs=memory.runs,
                cache=memory.cache,
                artifacts=memory.artifacts,
                owner="memory",
                sweep=_nothing,
            )
        finally:
            await memory.close()
        return
    # Imported here: a plain `import guardflow` loads no database.
    from guardflow.store import open_store, owner_id
    from guardflow.store.dbos.engine import DbosEngine

    home_dir(settings)  # before the database makes the folder: only a folder of our own gets a .gitignore
    async with open_store(database or settings.database_url, home=settings.home) as store:
        owner = owner_id()
        url = store.database.url.render_as_string(hide_password=False)
        engine = DbosEngine(store.database.engine, url=url, owner=owner, execute=execute)
        await engine.launch()
        try:
            yield Backend(
                executions=engine,
                ledger=store.ledger,
                runs=store.runs,
                cache=store.cache,
                artifacts=store.artifacts,
                owner=owner,
                sweep=lambda age: store.artifacts.prune(references=engine.rows.texts, older_than=age),
                board=store.board,
            )
        finally:
            await engine.close()


async def _nothing(age: float) -> None:
    """What there is to sweep in memory."""
