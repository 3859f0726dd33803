"""Every touch of DBOS's private parts, in one place: it is pinned to one minor release because of this file.

Used by `engine` only. What DBOS has no public way for: start a workflow in the caller's own task (so that
cancelling the caller cancels it), continue one under a token we claimed, and hear of cancellations.
"""

# pyright: reportPrivateUsage=false
# (the whole point of this file)

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from typing import cast

import sqlalchemy as sa
from dbos import DBOS, DBOSConfig
from dbos._context import DBOSContext
from dbos._core import _cancellation_watcher, _execute_workflow_async
from dbos._dbos import _get_or_create_dbos_registry
from dbos._error import DBOSAwaitedWorkflowCancelledError, DBOSConflictingWorkflowError
from dbos._sys_db import WorkflowStatusInternal
from dbos._utils import GlobalParams

from guardflow.errors import ReplayMismatch, StateError

from .rows import FORMAT, RESTING, WORKFLOW, Envelope, encode
from .serializer import StrictJSON, refuse_pickle

VERSION = "gf-1"
"""The application version of all runs: the contract between engine and stored runs, not a hash of user code."""
_APP = "guardflow"
_NOISE = (
    "Asyncio task cancelled for workflow or step",  # cancelling is normal, and the caller sees it
    "Exception encountered in asynchronous workflow",  # raised to the caller, who tells it better
    "DBOS failed to launch",  # raised as a typed error; the traceback might show a password
)

Cancelled = DBOSAwaitedWorkflowCancelledError
Body = Callable[[], Coroutine[object, object, Envelope]]


class _Quiet(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith(_NOISE)


_quiet = _Quiet()


def open_dbos(engine: sa.Engine, *, url: str, owner: str) -> DBOS:
    """Launch DBOS inside the running loop. It listens to no queue, adopts nothing, and talks to nobody.

    Raises:
        StateError: DBOS is in use in this process already.
    """
    if _get_or_create_dbos_registry().dbos is not None and _is_open():
        raise StateError(
            "DBOS is already running in this process", hint="share one Runtime; DBOS allows one a process"
        )
    refuse_pickle()
    logger = logging.getLogger("dbos")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())  # else DBOS prints to the console by itself
    if _quiet not in logger.filters:
        logger.addFilter(_quiet)
    GlobalParams.dbos_cloud = False  # an environment variable would connect us to a service
    config: DBOSConfig = {
        "name": _APP,
        "system_database_url": url,
        "system_database_engine": engine,
        "executor_id": owner,
        "application_version": VERSION,
        "serializer": StrictJSON(),
        "log_level": "WARNING",
        "max_executor_threads": 64,
        "use_listen_notify": False,
        "notification_listener_polling_interval_sec": 0.1,
        "scheduler_polling_interval_sec": 3600,
        "enable_otlp": False,
    }
    dbos = DBOS(config=config)
    try:
        DBOS.listen_queues([])
        DBOS.launch()
    except BaseException:
        DBOS.destroy()
        raise
    return dbos


def _is_open() -> bool:
    from dbos import _dbos

    return _dbos._dbos_global_instance is not None


def close_dbos(pipelines: Callable[[], tuple[str, ...]]) -> None:
    """Stop DBOS and forget our registrations; other code's stay. Blocks for about a tenth of a second."""
    DBOS.destroy()
    registry = _get_or_create_dbos_registry()
    for pipeline in pipelines():
        registry.workflow_info_map.pop(WORKFLOW + pipeline, None)


def register(pipeline: str, body: Body) -> None:
    """Register a workflow without arguments under the pipeline's name; works after launch too."""
    DBOS.workflow(name=WORKFLOW + pipeline)(body)


def insert_run(
    dbos: DBOS, connection: sa.Connection, run_id: str, pipeline: str, *, token: str, parent: str | None
) -> bool:
    """Insert a run that this process executes from now on; False if the id exists (nothing is changed then).

    Raises:
        ReplayMismatch: the id belongs to a run of another pipeline.
    """
    status = _status(run_id, pipeline, parent=parent)
    try:
        _, fresh = dbos._sys_db.init_workflow_with_connection(status, connection, creator_xid=token)
    except DBOSConflictingWorkflowError:
        raise ReplayMismatch(
            f"run {run_id!r} exists and belongs to another pipeline than {pipeline!r}",
            hint="choose another run id",
        ) from None
    return fresh


async def run_workflow(dbos: DBOS, run_id: str, pipeline: str, *, token: str) -> Envelope:
    """Execute a run that ``token`` owns, in the calling task; DBOS stores the outcome if it is still ours.

    Raises:
        Cancelled: the run was cancelled between its last step and its outcome.
    """
    context = DBOSContext()
    context.id_assigned_for_next_workflow = run_id
    context.owner_xid = token
    wrapped = dbos._registry.workflow_info_map[WORKFLOW + pipeline]
    body = cast("Body", getattr(wrapped, "__orig_func"))  # set by DBOS, unknown to its types
    status = _status(run_id, pipeline, parent=None)
    return await _execute_workflow_async(dbos, status, body, context, (), {})


def fork_run(dbos: DBOS, run_id: str, new_id: str, *, from_step: int) -> None:
    """Copy a run and its checkpoints before ``from_step``; the copy waits until somebody starts it."""
    try:
        dbos._sys_db.fork_workflow(
            [run_id], [new_id], [from_step], application_version=VERSION, queue_name=RESTING
        )
    except ValueError as error:  # DBOS parses what it copies
        raise StateError(
            f"run {run_id!r} cannot be forked: what is stored about it is damaged ({error})",
            hint="find out who else writes to the database, and restore it from a backup",
        ) from None


@contextmanager
def cancellation(dbos: DBOS, run_id: str, cancel: Callable[[], object]) -> Generator[None]:
    """Call ``cancel`` within about a second after anybody cancelled the run. One query a second for all runs."""
    watcher = _cancellation_watcher(dbos)
    waiter = watcher.register(run_id, None)
    waiter.add_done_callback(lambda done: None if done.cancelled() else cancel())
    try:
        yield
    finally:
        watcher.unregister(run_id, None, waiter)


async def stop_watching(dbos: DBOS) -> None:
    """End the poller of `cancellation` on this loop."""
    poller = _cancellation_watcher(dbos)._poller
    if poller is not None and not poller.done():
        poller.cancel()
        await asyncio.wait([poller])


def _status(run_id: str, pipeline: str, *, parent: str | None) -> WorkflowStatusInternal:
    return {
        "workflow_uuid": run_id,
        "status": "PENDING",
        "name": WORKFLOW + pipeline,
        "class_name": None,
        "config_name": None,
        "authenticated_user": None,
        "assumed_role": None,
        "authenticated_roles": None,
        "created_at": None,
        "updated_at": None,
        "queue_name": None,
        "executor_id": GlobalParams.executor_id,
        "app_version": VERSION,
        "app_id": None,
        "recovery_attempts": None,
        "workflow_timeout_ms": None,
        "workflow_deadline_epoch_ms": None,
        "deduplication_id": None,
        "priority": 0,
        "inputs": encode({"args": [], "kwargs": {}}),
        "queue_partition_key": None,
        "forked_from": None,
        "parent_workflow_id": parent,
        "started_at_epoch_ms": None,
        "serialization": FORMAT,
        "delay_until_epoch_ms": None,
        "attributes": None,
        "schedule_name": None,
        "debounce_deadline_epoch_ms": None,
        "is_debounced": False,
        "application_name": _APP,
        "shard_key": None,
    }
