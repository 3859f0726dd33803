"""DBOS's tables by plain SQL: read steps, claim a run, open steps again, cancel, prune.

Used by `engine`, and by commands that must not launch anything (list, show, cancel, prune). Every method
blocks: call it in a thread. It imports no dbos; the contract tests notice when DBOS's schema moves.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from guardflow.errors import NotResumable, ReplayMismatch, RunNotFound, StateError
from guardflow.hashing import JSON
from guardflow.store.faults import is_transient, translated

FORMAT = "gf_json"
"""The ``serialization`` mark of every row that guardflow writes; rows with another mark are never decoded."""
WORKFLOW = "gf."
"""What pipeline names are prefixed with to give workflow names."""
RESTING = "gf-resting"
"""The queue of runs that wait for their owner. No process listens to it, so nobody starts them by accident."""

Envelope: TypeAlias = "Mapping[str, JSON]"
Owned = Literal["ours", "taken", "cancelled"]


def encode(value: object) -> str:
    """JSON text. Raises TypeError or ValueError for what is not JSON (NaN too)."""
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def decode(text: str) -> JSON:
    """The value of JSON text."""
    return cast("JSON", json.loads(text))


@dataclass(frozen=True, slots=True)
class StoredStep:
    """One finished step of a run. Times are seconds since the epoch.

    ``envelope`` is None where the row was not written by guardflow: it is shown by its ``mark``, never decoded.
    """

    id: int
    name: str
    envelope: Envelope | None
    mark: str
    started_at: float
    ended_at: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A finished step on its way into the database. ``token`` is the execution's proof that it owns the run."""

    run_id: str
    token: str
    step: int
    name: str
    text: str
    started_ms: int
    ended_ms: int


@dataclass(frozen=True, slots=True)
class Claim:
    """A run taken into this process. ``token`` fences off every earlier execution of it."""

    run_id: str
    pipeline: str
    token: str
    attempts: int
    stored: Mapping[int, StoredStep]


def now_ms() -> int:
    """Milliseconds since the epoch, as DBOS counts."""
    return int(time.time() * 1000)


def new_token() -> str:
    """A fresh proof of ownership."""
    return str(uuid.uuid4())


class WorkflowRows:
    """The workflow and checkpoint tables of one database."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._url = engine.url
        sqlite = engine.dialect.name == "sqlite"
        self._schema = None if sqlite else "dbos"
        status, steps, output, inputs = (
            f"{'' if sqlite else 'dbos.'}{table}"
            for table in ("workflow_status", "operation_outputs", "workflow_output", "workflow_input")
        )
        # SQLite's one writer is lock enough; elsewhere a takeover must wait for (or precede) this write.
        locked = "" if sqlite else " FOR SHARE"
        self._read = sa.text(
            "SELECT function_id, function_name, output, serialization, started_at_epoch_ms,"
            f" completed_at_epoch_ms FROM {steps} WHERE workflow_uuid = :run AND function_id >= :first"
            " ORDER BY function_id"
        )
        self._all_texts = sa.text(f"SELECT output FROM {steps} WHERE output IS NOT NULL")
        self._read_one = sa.text(
            "SELECT function_id, function_name, output, serialization, started_at_epoch_ms,"
            f" completed_at_epoch_ms FROM {steps} WHERE workflow_uuid = :run AND function_id = :step"
        )
        self._write = sa.text(
            f"INSERT INTO {steps} (workflow_uuid, function_id, function_name, output, serialization,"
            " started_at_epoch_ms, completed_at_epoch_ms, retention_timestamp, application_name)"
            " SELECT workflow_uuid, :step, :name, :text, :format, :started, :ended, :ended, application_name"
            f" FROM {status} WHERE workflow_uuid = :run AND owner_xid = :token AND status = 'PENDING'{locked}"
            " ON CONFLICT DO NOTHING"
        )
        self._owner = sa.text(f"SELECT status, owner_xid FROM {status} WHERE workflow_uuid = :run")
        self._head = sa.text(
            f"SELECT name, status, serialization, recovery_attempts FROM {status} WHERE workflow_uuid = :run"
            + ("" if sqlite else " FOR UPDATE")
        )
        self._lock = sa.text(f"UPDATE {status} SET updated_at = :now WHERE workflow_uuid = :run")
        self._claim = sa.text(
            f"UPDATE {status} SET status = 'PENDING', owner_xid = :token, executor_id = :owner,"
            " application_version = :version, recovery_attempts = :attempts, queue_name = NULL,"
            " deduplication_id = NULL, workflow_deadline_epoch_ms = NULL, started_at_epoch_ms = :now,"
            " updated_at = :now, completed_at = NULL, output = NULL, error = NULL WHERE workflow_uuid = :run"
        )
        self._rest = sa.text(
            f"UPDATE {status} SET status = 'ENQUEUED', owner_xid = NULL, queue_name = :queue,"
            " deduplication_id = NULL, workflow_deadline_epoch_ms = NULL, recovery_attempts = 0,"
            " started_at_epoch_ms = NULL, updated_at = :now, completed_at = NULL, output = NULL, error = NULL"
            " WHERE workflow_uuid = :run"
        )
        self._forget_output = sa.text(f"DELETE FROM {output} WHERE workflow_uuid = :run")
        self._forget_steps = sa.text(
            f"DELETE FROM {steps} WHERE workflow_uuid = :run AND function_id IN :steps"
        ).bindparams(sa.bindparam("steps", expanding=True))
        # The recursion stands inside the UPDATE: sqlite3 counts rows of statements that begin with UPDATE.
        self._cancel = sa.text(
            f"UPDATE {status} SET status = 'CANCELLED', owner_xid = NULL, queue_name = NULL,"
            " deduplication_id = NULL, started_at_epoch_ms = NULL, updated_at = :now, completed_at = :now"
            " WHERE status NOT IN ('SUCCESS', 'ERROR', 'CANCELLED') AND workflow_uuid IN ("
            f"WITH RECURSIVE tree(id) AS (SELECT workflow_uuid FROM {status} WHERE workflow_uuid = :run"
            f" UNION SELECT s.workflow_uuid FROM {status} s JOIN tree ON s.parent_workflow_id = tree.id)"
            " SELECT id FROM tree)"
        )
        self._deletes = [
            sa.text(f"DELETE FROM {table} WHERE workflow_uuid IN :runs").bindparams(
                sa.bindparam("runs", expanding=True)
            )
            for table in (steps, output, inputs, status)
        ]

    @property
    def engine(self) -> sa.Engine:
        """The database."""
        return self._engine

    def exists(self) -> bool:
        """Whether DBOS's tables are there (they come with the first launch)."""
        with translated(self._url):
            return sa.inspect(self._engine).has_table("operation_outputs", schema=self._schema)

    def steps(self, run_id: str) -> Sequence[StoredStep]:
        """The finished steps of a run, in order; none where no engine was ever launched."""
        if not self.exists():
            return ()
        with translated(self._url), self._engine.connect() as connection:
            return list(self._stored(connection, run_id).values())

    def step(self, run_id: str, step: int) -> StoredStep | None:
        """One finished step."""
        with translated(self._url), self._engine.connect() as connection:
            row = connection.execute(self._read_one, {"run": run_id, "step": step}).one_or_none()
            return None if row is None else _stored_step(row)

    def record(self, batch: Sequence[Checkpoint]) -> Sequence[Owned]:
        """Store finished steps in one transaction, each only if its execution still owns its run."""
        with translated(self._url):
            for _ in range(3):
                try:
                    with self._engine.begin() as connection:
                        return [self._record(connection, checkpoint) for checkpoint in batch]
                except DBAPIError as error:
                    if not is_transient(error):  # a deadlock with a takeover is worth another try
                        raise
            with self._engine.begin() as connection:
                return [self._record(connection, checkpoint) for checkpoint in batch]

    def _record(self, connection: sa.Connection, checkpoint: Checkpoint) -> Owned:
        values = {
            "run": checkpoint.run_id,
            "token": checkpoint.token,
            "step": checkpoint.step,
            "name": checkpoint.name,
            "text": checkpoint.text,
            "format": FORMAT,
            "started": checkpoint.started_ms,
            "ended": checkpoint.ended_ms,
        }
        if connection.execute(self._write, values).rowcount == 1:
            return "ours"
        # Refused: taken over, cancelled, or already there because a commit's answer was lost and we retried.
        return self._owned(connection, checkpoint.run_id, checkpoint.token)

    def _owned(self, connection: sa.Connection, run_id: str, token: str) -> Owned:
        row = connection.execute(self._owner, {"run": run_id}).one_or_none()
        if row is not None and row[0] == "CANCELLED":
            return "cancelled"
        return "ours" if row is not None and row[1] == token else "taken"

    def owned(self, run_id: str, token: str) -> Owned:
        """Whether the execution with this token still owns the run."""
        with translated(self._url), self._engine.connect() as connection:
            return self._owned(connection, run_id, token)

    def forget(self, run_id: str, token: str, step: int) -> Owned:
        """Remove one stored step, if the execution with this token still owns the run."""
        with translated(self._url), self._engine.begin() as connection:
            connection.execute(self._lock, {"run": run_id, "now": now_ms()})
            owned = self._owned(connection, run_id, token)
            if owned == "ours":
                connection.execute(self._forget_steps, {"run": run_id, "steps": [step]})
            return owned

    def claim(
        self,
        run_id: str,
        pipeline: str,
        *,
        owner: str,
        version: str,
        states: Collection[str] | None = None,
        again: Mapping[str, Collection[int]] | None = None,
        cap: int | None = None,
    ) -> Claim:
        """Take a run into this process: whoever executed it before is fenced off.

        The caller holds the run's lease. All in one transaction, so that a crash leaves it done or undone.

        Args:
            states: the states it may be taken in; None for all.
            cap: how often it may have been taken before, unless ``again`` says to begin anew.
            again: steps to run again, by run id. The other steps stay stored, also those after them. Runs
                other than ``run_id`` (children) are laid to rest until their parent attaches to them.

        Raises:
            RunNotFound: there is no such run.
            NotResumable: it is in none of ``states``, or was taken ``cap`` times.
            ReplayMismatch: the run belongs to another pipeline.
            StateError: another program wrote it.
        """
        token, now = new_token(), now_ms()
        with translated(self._url), self._engine.begin() as connection:
            # A write first: SQLite would else read outside the transaction.
            connection.execute(self._lock, {"run": run_id, "now": now})
            row = connection.execute(self._head, {"run": run_id}).one_or_none()
            if row is None:
                raise _not_found(run_id)
            name, status, mark, attempts = row
            _check_head(run_id, pipeline, str(name), mark)
            _check_state(run_id, str(status), int(attempts or 0), states=states, cap=cap)
            for other, steps in (again or {}).items():
                self._open_again(connection, other, steps, now=now, rest=other != run_id)
            attempts = 1 if again is not None else int(attempts or 0) + 1
            connection.execute(self._forget_output, {"run": run_id})
            connection.execute(
                self._claim,
                {
                    "run": run_id,
                    "token": token,
                    "owner": owner,
                    "version": version,
                    "attempts": attempts,
                    "now": now,
                },
            )
            return Claim(run_id, pipeline, token, attempts, self._stored(connection, run_id))

    def _open_again(
        self, connection: sa.Connection, run_id: str, steps: Collection[int], *, now: int, rest: bool
    ) -> None:
        if steps:
            connection.execute(self._forget_steps, {"run": run_id, "steps": list(steps)})
        if rest:
            connection.execute(self._forget_output, {"run": run_id})
            connection.execute(self._rest, {"run": run_id, "now": now, "queue": RESTING})

    def status(self, run_id: str) -> str | None:
        """DBOS's own status of a run; None if it has none."""
        with translated(self._url), self._engine.connect() as connection:
            row = connection.execute(self._owner, {"run": run_id}).one_or_none()
            return None if row is None else str(row[0])

    def cancel(self, run_id: str) -> bool:
        """Cancel a run and its child runs. A running step notices within about a second.

        Returns:
            Whether anything was cancelled: a run that ended stays as it is.

        Raises:
            RunNotFound: there is no such run.
        """
        with translated(self._url), self._engine.begin() as connection:
            changed = connection.execute(self._cancel, {"run": run_id, "now": now_ms()}).rowcount
            if changed:
                return True
            if connection.execute(self._owner, {"run": run_id}).one_or_none() is None:
                raise _not_found(run_id)
            return False

    def delete(self, run_ids: Collection[str]) -> None:
        """Remove runs and their checkpoints. The caller has made sure that nobody executes them."""
        if not run_ids or not self.exists():
            return
        with translated(self._url), self._engine.begin() as connection:
            for statement in self._deletes:
                connection.execute(statement, {"runs": list(run_ids)})

    def texts(self) -> Iterator[str]:
        """Everything that guardflow stored in checkpoints, as text: it may name artifacts."""
        if not self.exists():
            return
        with translated(self._url), self._engine.connect() as connection:
            for (text,) in connection.execution_options(yield_per=500).execute(self._all_texts):
                yield text

    def _stored(self, connection: sa.Connection, run_id: str) -> dict[int, StoredStep]:
        rows = connection.execute(self._read, {"run": run_id, "first": 1}).all()
        return {step.id: step for step in map(_stored_step, rows)}


def _stored_step(row: sa.Row[tuple[object, ...]]) -> StoredStep:
    step, name, output, mark, started, ended = cast(
        "tuple[int, str, str | None, str | None, int | None, int | None]", tuple(row)
    )
    envelope = decode(output) if mark == FORMAT and output is not None else None
    return StoredStep(
        id=step,
        name=name,
        envelope=envelope if isinstance(envelope, Mapping) else None,
        mark=mark or "none",
        started_at=(started or 0) / 1000,
        ended_at=(ended or 0) / 1000,
    )


def _check_head(run_id: str, pipeline: str, name: str, mark: str | None) -> None:
    if name != WORKFLOW + pipeline:
        raise ReplayMismatch(
            f"run {run_id!r} belongs to {name.removeprefix(WORKFLOW)!r}, not to pipeline {pipeline!r}",
            hint="resume it with the pipeline it was started with",
        )
    if mark != FORMAT:
        raise StateError(
            f"run {run_id!r} is stored as {mark!r}, which guardflow neither writes nor reads",
            hint="find out who wrote it into the database; start a new run",
        )


def _check_state(
    run_id: str, status: str, attempts: int, *, states: Collection[str] | None, cap: int | None
) -> None:
    if states is not None and status not in states:
        raise NotResumable(
            f"run {run_id!r} is {status.lower()}", hint="reopen it with `guardflow runs resume`"
        )
    if cap is not None and attempts > cap:
        raise NotResumable(
            f"run {run_id!r} ended {attempts} processes one after the other",
            hint="look at what it does in `guardflow runs show`, then resume it by hand",
        )


def _not_found(run_id: str) -> RunNotFound:
    return RunNotFound(f"no run has the id {run_id!r}", hint="see `guardflow runs list`")
