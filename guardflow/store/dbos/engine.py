"""`DbosEngine`: starts, adopts, reopens, forks and cancels runs on DBOS. Made by `guardflow.runtime`.

A run executes in the task that called `start`, `adopt` or `reopen`; cancelling that task leaves the run as a
crash would. The engine adopts nothing by itself, and opens no network connection but the database's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeAlias, TypeVar

import anyio
import anyio.to_thread
import sqlalchemy as sa
from dbos import DBOS
from sqlalchemy.exc import SQLAlchemyError

from guardflow.errors import GuardflowError, NotResumable, RunExists, RunIsLive, RunNotFound, StateError
from guardflow.store.faults import translate, translated

from . import internals
from .checkpoints import Checkpoints
from .rows import Claim, Envelope, StoredStep, WorkflowRows, new_token
from .session import Child, Session

T = TypeVar("T")
Execute: TypeAlias = "Callable[[str, Session], Awaitable[Envelope]]"
"""Runs the named pipeline in a session. Expected ends are in the envelope it returns, never raised."""

RECOVERY_CAP = 5
"""How often in a row a run may be adopted before it counts as one that kills its process."""

_open: DbosEngine | None = None


class _Escaped(BaseException):
    """Carries an error past DBOS, which would else store it and end the run with it."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error


class DbosEngine:
    """The one durable engine of this process.

    Args:
        engine: the SQLAlchemy engine of the database, set up by `guardflow.store.engine`.
        url: its URL, with the password.
        owner: this process, uniquely: ``host:boot:pid:nonce``.
        execute: runs a pipeline by its name.

    Raises:
        StateError: another engine is open in this process.
    """

    def __init__(self, engine: sa.Engine, *, url: str, owner: str, execute: Execute) -> None:
        _refuse_second()
        self.rows = WorkflowRows(engine)
        self.threads = anyio.CapacityLimiter(16)
        self.checkpoints = Checkpoints(self.rows)
        self._engine = engine
        self._url = url
        self._owner = owner
        self._execute = execute
        self._dbos: DBOS | None = None
        self._pipelines: set[str] = set()
        self._live: dict[str, Callable[[], Session]] = {}

    async def launch(self) -> None:
        """Create DBOS's tables if need be, and be ready to run. Call it in the loop that will run pipelines.

        Raises:
            StateError: another engine is open in this process.
            DatabaseError: or a subclass: the database cannot be reached or written.
        """
        global _open
        _refuse_second()
        await self._blocking(self._probe)
        try:
            self._dbos = internals.open_dbos(self._engine, url=self._url, owner=self._owner)
        except GuardflowError:
            raise
        except Exception as error:  # noqa: BLE001  # DBOS wraps what the driver raised; nothing is hidden
            raise translate(self._engine.url, _root(error)) from None
        _open = self

    def register(self, pipeline: str) -> None:
        """Make a pipeline runnable. Runs do so themselves; a worker registers all it knows."""
        if pipeline in self._pipelines:
            return

        async def workflow() -> Envelope:
            return await self._workflow(pipeline)

        internals.register(pipeline, workflow)
        self._pipelines.add(pipeline)

    async def start(self, run_id: str, pipeline: str, *, epoch: int) -> Envelope:
        """Run a new run (or a fork that was not started yet) to its end.

        Raises:
            RunExists: a run with this id was started before.
        """
        with self._only_once(run_id):
            claim = await self._blocking(self._insert, run_id, pipeline, None)
            if claim is None:
                try:
                    claim = await self._claim(run_id, pipeline, states=("ENQUEUED",))
                except NotResumable:
                    raise RunExists(
                        f"run {run_id!r} was started before",
                        hint="choose another id, or resume it with `guardflow runs resume`",
                    ) from None
            return await self._drive(claim, epoch=epoch, resumed=bool(claim.stored))

    async def adopt(
        self, run_id: str, pipeline: str, *, epoch: int, cap: int | None = RECOVERY_CAP
    ) -> Envelope:
        """Take over a run whose process died, and run it to its end; what it stored is replayed.

        Whoever still executes it is fenced off. The caller holds the run's lease.

        Args:
            cap: refuse a run that was adopted so often already; None when a person asked for it.

        Raises:
            NotResumable: the run was cancelled, or exceeds ``cap``.
        """
        with self._only_once(run_id):
            try:
                claim = await self._claim(run_id, pipeline, states=_NOT_CANCELLED, cap=cap)
            except RunNotFound:
                # The process died after the run was recorded and before it came here.
                fresh = await self._blocking(self._insert, run_id, pipeline, None)
                if fresh is None:
                    raise
                claim = fresh
            return await self._drive(claim, epoch=epoch, resumed=True)

    async def reopen(
        self,
        run_id: str,
        pipeline: str,
        steps: Collection[int],
        *,
        epoch: int,
        children: Mapping[str, Collection[int]] | None = None,
    ) -> Envelope:
        """Run a run that ended again, replaying everything but ``steps``, to its new end.

        Args:
            steps: the steps that run again; none just runs the pipeline over its checkpoints.
            children: the same for child runs, by run id; they go on when their parent attaches to them, so
                the parent's step that awaited them must be among ``steps``.

        Raises:
            RunNotFound: there is no such run.
        """
        again = {**(children or {}), run_id: steps}
        with self._only_once(run_id):
            claim = await self._claim(run_id, pipeline, again=again)
            return await self._drive(claim, epoch=epoch, resumed=True)

    async def fork(self, run_id: str, new_id: str, from_step: int) -> None:
        """Copy a run with its checkpoints before ``from_step``. The copy waits for `start` or `adopt`.

        Raises:
            RunNotFound: there is no such run. RunExists: the new id is taken.
        """
        dbos = self._launched()
        if await self._blocking(self.rows.status, run_id) is None:
            raise RunNotFound(f"no run has the id {run_id!r}", hint="see `guardflow runs list`")
        if await self._blocking(self.rows.status, new_id) is not None:
            raise RunExists(f"run {new_id!r} exists already", hint="choose another id for the fork")
        # DBOS retries a locked database for ever: find that out before.
        await self._blocking(self._probe)

        def copy() -> None:
            with translated(self._engine.url):
                internals.fork_run(dbos, run_id, new_id, from_step=from_step)

        await self._blocking(copy)

    async def cancel(self, run_id: str) -> bool:
        """Cancel a run and its child runs, wherever they execute; see `WorkflowRows.cancel`."""
        return await self._blocking(self.rows.cancel, run_id)

    async def steps(self, run_id: str) -> Sequence[StoredStep]:
        """The finished steps of a run, in order."""
        return await self._blocking(self.rows.steps, run_id)

    async def delete(self, run_ids: Collection[str]) -> None:
        """Remove runs and their checkpoints (not their children's). Nobody may be executing them."""
        await self._blocking(self.rows.delete, run_ids)

    async def close(self) -> None:
        """Stop the engine. Another one can be opened afterwards, also on another database."""
        global _open
        if self._dbos is None:
            return
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(self.checkpoints.close)
            await internals.stop_watching(self._dbos)
            await anyio.to_thread.run_sync(internals.close_dbos, lambda: tuple(self._pipelines))
        self._dbos = None
        self._pipelines.clear()
        if _open is self:
            _open = None

    async def run_children(self, children: Sequence[Child], *, parent: str, epoch: int) -> None:
        """Run all children that have not ended, at the same time, in this process."""
        errors: list[Exception] = []
        async with anyio.create_task_group() as group:

            async def run(child: Child) -> None:
                try:
                    await self._attach(child, parent=parent, epoch=epoch)
                except Exception as error:  # noqa: BLE001  # raised below, without the group around it
                    errors.append(error)
                    group.cancel_scope.cancel()

            for child in children:
                group.start_soon(run, child)
        if errors:
            raise errors[0]

    async def _attach(self, child: Child, *, parent: str, epoch: int) -> None:
        with self._only_once(child.run_id):
            claim = await self._blocking(self._insert, child.run_id, child.pipeline, parent)
            fresh = claim is not None
            if claim is None:
                try:
                    claim = await self._claim(child.run_id, child.pipeline, states=_UNFINISHED)
                except NotResumable:
                    return  # ended or cancelled: its outcome is there to be read
            await self._drive(claim, epoch=epoch, resumed=not fresh)

    async def _claim(
        self,
        run_id: str,
        pipeline: str,
        *,
        states: Collection[str] | None = None,
        again: Mapping[str, Collection[int]] | None = None,
        cap: int | None = None,
    ) -> Claim:
        return await self._blocking(
            lambda: self.rows.claim(
                run_id,
                pipeline,
                owner=self._owner,
                version=internals.VERSION,
                states=states,
                again=again,
                cap=cap,
            )
        )

    def _insert(self, run_id: str, pipeline: str, parent: str | None) -> Claim | None:
        dbos, token = self._launched(), new_token()
        with translated(self._engine.url), self._engine.begin() as connection:
            fresh = internals.insert_run(dbos, connection, run_id, pipeline, token=token, parent=parent)
        return Claim(run_id, pipeline, token, 1, {}) if fresh else None

    async def _drive(self, claim: Claim, *, epoch: int, resumed: bool) -> Envelope:
        dbos = self._launched()
        self.register(claim.pipeline)
        self._live[claim.run_id] = lambda: Session(claim, host=self, epoch=epoch, resumed=resumed)
        try:
            return await internals.run_workflow(dbos, claim.run_id, claim.pipeline, token=claim.token)
        except _Escaped as escaped:
            error = escaped.error
        except internals.Cancelled:
            error = None
        if error is not None:
            raise error
        return {"v": 1, "name": claim.pipeline, "in": "", "status": "cancelled"}

    async def _workflow(self, pipeline: str) -> Envelope:
        """The body of every workflow: expected ends return, everything else passes DBOS by unrecorded."""
        run_id = DBOS.workflow_id or ""
        session = self._live[run_id]()
        try:
            with internals.cancellation(self._launched(), run_id, session.cancel), session.scope:
                envelope = await self._execute(pipeline, session)
                await session.finish()  # else DBOS would wait here for the new owner to end the run
                return envelope
        except Exception as error:  # noqa: BLE001  # carried past DBOS and raised in `_drive`
            raise _Escaped(error) from None
        raise _Escaped(None)  # the scope swallowed its own cancellation

    @contextmanager
    def _only_once(self, run_id: str) -> Generator[None]:
        self._launched()
        if run_id in self._live:
            raise RunIsLive(
                f"run {run_id!r} is being executed by this process",
                hint="wait for it, or cancel it with `guardflow runs cancel`",
            )
        self._live[run_id] = _not_yet
        try:
            yield
        finally:
            del self._live[run_id]

    async def _blocking(self, call: Callable[..., T], *args: object) -> T:
        return await anyio.to_thread.run_sync(call, *args, limiter=self.threads)

    def _probe(self) -> None:
        """Find out in bounded time whether the database can be written."""
        with translated(self._engine.url), self._engine.connect() as connection:
            if self._engine.dialect.name == "sqlite":
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                connection.rollback()
            else:
                connection.exec_driver_sql("SELECT 1")

    def _launched(self) -> DBOS:
        if self._dbos is None:
            raise StateError("the durable engine is not open", hint="use it inside `async with Runtime()`")
        return self._dbos


_NOT_CANCELLED = ("PENDING", "ENQUEUED", "DELAYED", "SUCCESS", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")
_UNFINISHED = ("PENDING", "ENQUEUED", "DELAYED", "ERROR", "MAX_RECOVERY_ATTEMPTS_EXCEEDED")


def _refuse_second() -> None:
    if _open is not None:
        raise StateError(
            "a durable engine is already open in this process, which can hold only one",
            hint="share one Runtime between all runs of this process",
        )


def _not_yet() -> Session:
    raise StateError("the run has not begun", hint="report this: it cannot happen")


def _root(error: BaseException) -> BaseException:
    """The driver's error below DBOS's wrapping, if there is one."""
    seen = error
    while not isinstance(seen, (SQLAlchemyError, OSError)):
        below = seen.__cause__ or seen.__context__
        if below is None:
            return error
        seen = below
    return seen
