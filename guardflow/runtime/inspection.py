"""What is stored about runs, as values: for commands that look and never execute.

Reads the database only; imports no project code and no engine, writes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from guardflow.errors import RunNotFound
from guardflow.flow.places import ballot_of
from guardflow.flow.protocols import Envelope
from guardflow.hashing import JSON
from guardflow.records import ItemRow, RunRow
from guardflow.values import Attempt, Spend, Status

if TYPE_CHECKING:
    from guardflow.settings import Settings
    from guardflow.store import Store
    from guardflow.store.dbos.rows import StoredStep


@dataclass(frozen=True, slots=True)
class StepReport:
    """One step of a run: what was called, how it ended, and the attempts it took. ``envelope`` is None while
    it is under way (or was when the process died)."""

    id: int
    name: str
    envelope: Envelope | None
    attempts: Sequence[Attempt]
    items: Sequence[ItemRow]
    seconds: float | None

    @property
    def status(self) -> str:
        """The stored status; ``running`` without one."""
        return str(self.envelope.get("status")) if self.envelope is not None else "running"


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run with its steps and child runs."""

    row: RunRow
    spend: Spend
    steps: Sequence[StepReport]
    children: Sequence[RunReport]


async def list_runs(
    settings: Settings, *, limit: int = 50, status: Status | None = None
) -> Sequence[tuple[RunRow, Spend]]:
    """The newest root runs, with what each has cost."""
    async with looking(settings) as store:
        rows = await store.runs.list(limit=limit, status=status)
        return [(row, await store.ledger.spend(row.run_id)) for row in rows]


async def read_run(settings: Settings, run_id: str) -> RunReport:
    """Everything about one run and its child runs.

    Raises:
        RunNotFound: there is no such run.
    """
    async with looking(settings) as store:
        return await report_of(store, run_id)


async def report_of(store: Store, run_id: str) -> RunReport:
    """The same, from an open store."""
    rows = await store.runs.tree(run_id)
    if not rows:
        raise RunNotFound(f"there is no run {run_id!r}", hint="see `guardflow runs list`")
    return await _report(store, rows[0], rows)


@asynccontextmanager
async def looking(settings: Settings) -> AsyncGenerator[Store]:
    """The project's store, for reading only.

    Raises:
        DatabaseUnreachable: no run was ever stored here.
    """
    from guardflow.store import open_readonly

    async with open_readonly(settings.database_url, home=settings.home) as store:
        yield store


async def _report(store: Store, row: RunRow, family: Sequence[RunRow]) -> RunReport:
    import anyio.to_thread

    from guardflow.store.dbos.rows import WorkflowRows

    workflows = WorkflowRows(store.database.engine)
    stored = {s.id: s for s in await anyio.to_thread.run_sync(workflows.steps, row.run_id)}
    by_step: dict[int, list[Attempt]] = {}
    for attempt in await store.ledger.attempts(row.run_id):
        by_step.setdefault(attempt.start.key.step, []).append(attempt)
    steps = [
        await _step(store, row.run_id, number, stored.get(number), by_step.get(number, []))
        for number in sorted({*stored, *by_step})
    ]
    children = [await _report(store, child, family) for child in family if child.parent == row.run_id]
    return RunReport(row, await store.ledger.spend(row.run_id), steps, children)


async def _step(
    store: Store, run_id: str, number: int, stored: StoredStep | None, attempts: list[Attempt]
) -> StepReport:
    name = stored.name if stored is not None else f"stage:{attempts[0].start.stage}"
    if stored is None and attempts[0].start.key.item >= 0:
        name = f"fan_out:{attempts[0].start.stage}"
    items = await store.ledger.items(run_id, number) if name.startswith("fan_out:") else ()
    seconds = stored.ended_at - stored.started_at if stored is not None else None
    return StepReport(number, name, stored.envelope if stored is not None else None, attempts, items, seconds)


def report_json(report: RunReport, *, completions: bool = False) -> dict[str, JSON]:
    """A report as JSON, for ``--json`` and ``runs export``.

    Args:
        completions: include the raw answers.
    """
    row = report.row
    return {
        "run_id": row.run_id,
        "pipeline": row.pipeline,
        "state": row.state,
        "status": row.status,
        "error": row.error,
        "input": row.input,
        "output": row.output,
        "created_at": row.created_at,
        "ended_at": row.ended_at,
        "active_seconds": row.active_seconds,
        "forked_from": row.forked_from,
        "spend": spend_json(report.spend),
        "steps": [
            {
                "id": step.id,
                "name": step.name,
                "status": step.status,
                "seconds": step.seconds,
                "agreement": (step.envelope or {}).get("agreement"),
                "attempts": [attempt_json(a, completions=completions) for a in step.attempts],
                "items": [
                    {"index": item.key.item, "round": item.round, "outcome": dict(item.outcome)}
                    for item in step.items
                ],
            }
            for step in report.steps
        ],
        "children": [report_json(child, completions=completions) for child in report.children],
    }


def spend_json(spend: Spend) -> Mapping[str, JSON]:
    """What was spent, as JSON; money as a decimal string."""
    return {
        "usd": str(spend.usd),
        "tokens": spend.tokens,
        "calls": spend.calls,
        "unpriced_calls": spend.unpriced,
        "in_doubt_nano_usd": spend.in_doubt,
    }


def attempt_json(attempt: Attempt, *, completions: bool) -> Mapping[str, JSON]:
    """One attempt as JSON."""
    start, end, verdict = attempt.start, attempt.end, attempt.verdict
    out: dict[str, JSON] = {
        "item": start.key.item,
        "round": start.round,
        "n": start.n,
        "role": start.role,
        "ballot": ballot_of(start),
        "sample": end.asked.sample if end is not None and end.asked is not None else None,
        "rung": start.rung,
        "model": start.model,
        "kind": attempt.kind.name if attempt.kind is not None else None,
        "nano_usd": attempt.nano_usd,
        "tokens": attempt.tokens,
        "cached": end.cached if end is not None else False,
        "in_doubt": attempt.in_doubt,
        "abandoned": end is not None and end.abandoned,
        "unsent": end is not None and end.unsent,
        "error": end.error if end is not None else None,
        "superseded": attempt.superseded,
        "request_hash": start.request_hash,
        "prompt_hash": start.prompt_hash,
        "findings": [
            {"at": f.where(), "message": f.message, "guard": f.guard, "evidence": f.evidence}
            for f in (verdict.findings if verdict is not None else ())
        ],
        "note": verdict.note if verdict is not None else "",
    }
    if completions and end is not None and end.completion is not None:
        c = end.completion
        out["completion"] = {"text": c.text, "refusal": c.refusal, "finish_reason": c.finish_reason}
    return cast("Mapping[str, JSON]", out)
