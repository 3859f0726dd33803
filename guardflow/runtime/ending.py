"""A run that ended, or that waits, read back as its result. The runtime calls it; it executes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from guardflow.flow.agreement_json import votes_from
from guardflow.flow.envelope import unpack
from guardflow.flow.protocols import Envelope
from guardflow.records import RunRow

from .backend import Backend
from .registry import Registry
from .reopening import find_ended
from .result import RunResult


async def result_of(
    backend: Backend, pipelines: Registry, row: RunRow, envelope: Envelope | None
) -> RunResult[object]:
    """How the run ended.

    Args:
        envelope: what this process made of it; None reads what is stored.

    Raises:
        StateError: it has an output, and its pipeline is not among ``pipelines``.
    """
    spend = await backend.ledger.spend(row.run_id)
    stored = envelope or (cast("Envelope", row.output) if isinstance(row.output, Mapping) else None)
    status = row.status or "failed"
    if stored is None:
        return RunResult(row.run_id, row.pipeline, status, None, row.error, spend)
    outcome = await unpack(stored, pipelines.get(row.pipeline).output, artifacts=backend.artifacts)
    parked = ()
    if outcome.status == "waiting":
        ended = await find_ended(backend, row.run_id)
        parked = tuple(call.parked() for call in ended.calls if call.waits)
    return RunResult(
        row.run_id,
        row.pipeline,
        outcome.status,
        outcome.value,
        outcome.message,
        spend,
        degraded=tuple(cast("Sequence[str]", stored.get("degraded", ()))),
        parked=parked,
        attempts=await backend.ledger.attempts(row.run_id),
        agreement=votes_from(stored.get("votes")),
    )
