"""Copying runs and forgetting them."""

from __future__ import annotations

import time
import uuid
from dataclasses import replace
from datetime import timedelta

from guardflow.errors import NotResumable, RunExists
from guardflow.records import RunRow

from .backend import Backend

_YOUNG = 86_400.0
"""Seconds for which an artifact is kept though nothing names it: a live run may be about to."""


async def fork_run(backend: Backend, row: RunRow, *, from_stage: str, new_id: str | None) -> str:
    """Copy a run with everything before the first call of a stage. The copy waits to be resumed.

    Raises:
        NotResumable: the run has no finished call of that stage.
        RunExists: the new id is taken.
    """
    steps = await backend.executions.steps(row.run_id)
    first = next((s.id for s in steps if s.name.split(":", 1)[-1] == from_stage), None)
    if first is None:
        have = ", ".join(repr(s.name.split(":", 1)[-1]) for s in steps) or "none"
        raise NotResumable(
            f"run {row.run_id!r} has no call of {from_stage!r} (it has {have})", hint="name one of its stages"
        )
    copy = new_id or f"{row.run_id}-fork-{uuid.uuid4().hex[:6]}"
    if await backend.runs.get(copy) is not None:
        raise RunExists(f"run {copy!r} exists already", hint="choose another id for the fork")
    # The checkpoints first: a run without them would start from nothing and pay for everything again.
    await backend.executions.fork(row.run_id, copy, first)
    await backend.runs.create(
        replace(
            row,
            run_id=copy,
            root=copy,
            parent=None,
            forked_from=row.run_id,
            state="pending",
            status=None,
            output=None,
            error="",
            owner=None,
            epoch=0,
            active_seconds=0.0,
            ended_at=None,
        )
    )
    return copy


async def prune_runs(backend: Backend, *, older_than: timedelta) -> int:
    """Forget root runs that ended long ago, their child runs, ledger rows and checkpoints, and unused artifacts."""
    before = time.time() - older_than.total_seconds()
    doomed: list[str] = []
    for row in await backend.runs.list(limit=100_000):
        if row.state == "ended" and row.status != "waiting" and (row.ended_at or 0.0) < before:
            doomed.extend(run.run_id for run in await backend.runs.tree(row.run_id))
    if doomed:
        await backend.executions.delete(doomed)
        await backend.runs.delete(doomed)
    await backend.sweep(_YOUNG)
    return len(doomed)
