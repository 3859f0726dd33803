"""The values of `guardflow.values` as rows, and back. Only the store's ledger, runs and cache call it.

Fields at their default are left out of stored JSON. A newer minor version may add fields: they are ignored here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast, get_args

from sqlalchemy.engine import Row as Fetched

from guardflow.errors import DatabaseError
from guardflow.hashing import JSON
from guardflow.kinds import Kind
from guardflow.records import ItemRow, RoundRow, RunRow, RunState
from guardflow.values import (
    Attempt,
    AttemptEnd,
    AttemptStart,
    CallKey,
    Completion,
    Finding,
    Path,
    Reservation,
    Role,
    Status,
    Usage,
    Verdict,
)

from .asked import asked_json, read_asked
from .cells import Document, from_cell, from_json_cell, to_cell, to_json_cell
from .statements import Row

ROLES = get_args(Role)
STATUSES = get_args(Status)
STATES = get_args(RunState)
REASONS = ("resume", "answer")


def completion_json(completion: Completion) -> dict[str, JSON]:
    """A completion without the fields that are at their default."""
    stored: dict[str, JSON] = {"text": completion.text}
    for name in ("refusal", "finish_reason", "model", "request_id"):
        value = getattr(completion, name)
        if value is not None:
            stored[name] = value
    if completion.usage is not None:
        stored["usage"] = _usage_json(completion.usage)
    if completion.dropped:
        stored["dropped"] = completion.dropped
    return stored


def read_completion(stored: Document) -> Completion:
    """The inverse of `completion_json`."""
    usage = stored.document_or_none("usage")
    return Completion(
        text=stored.text_or_none("text"),
        refusal=stored.text_or_none("refusal"),
        finish_reason=stored.text_or_none("finish_reason"),
        usage=None if usage is None else _read_usage(usage),
        model=stored.text_or_none("model"),
        request_id=stored.text_or_none("request_id"),
        dropped=tuple(_texts(stored, "dropped")),
    )


def start_row(row: int, start: AttemptStart) -> Row:
    """The cells of `statements.BEGIN`. It counts at its reservation until it is finished."""
    key, reserved = start.key, start.reserved
    return (
        row,
        to_cell(key.run_id),
        key.step,
        key.item,
        start.round,
        start.role,
        start.ballot,
        start.n,
        to_cell(start.stage),
        to_cell(start.rung),
        to_cell(start.model),
        to_cell(start.request_hash),
        to_cell(start.prompt_hash),
        reserved.tokens,
        reserved.nano_usd,
        start.started_at,
        reserved.tokens,
        reserved.nano_usd,
        1,
        1,
    )


def end_row(row: int, end: AttemptEnd) -> Row:
    """The cells of `statements.FINISH`."""
    return (row, *_end_cells(end), *_counted(end))


def abandoned_row(row: int, end: AttemptEnd) -> Row:
    """The cells of `statements.ABANDON`: it keeps counting at its reservation."""
    return (row, *_end_cells(end))


def whole_row(row: int, start: AttemptStart, end: AttemptEnd) -> Row:
    """The cells of `statements.RECORD`."""
    begun = start_row(row, start)
    counted = begun[-4:] if counts_reserved(end) else _counted(end)
    return (*begun[:-4], *counted, *_end_cells(end))


def counts_reserved(end: AttemptEnd) -> bool:
    """Whether the attempt counts at its reservation for ever: nobody knows what it cost."""
    return end.abandoned and not end.cached


def verdict_cell(verdict: Verdict) -> str:
    """The verdict as a JSON cell."""
    stored: dict[str, JSON] = {}
    if verdict.kind is not None:
        stored["kind"] = verdict.kind.name
    if verdict.findings:
        stored["findings"] = [_finding_json(finding) for finding in verdict.findings]
    if verdict.note:
        stored["note"] = verdict.note
    return to_json_cell(stored)


def read_attempt(row: Fetched[tuple[object, ...]]) -> Attempt:
    """A row of ``gf_attempts``, all columns."""
    what = f"attempt {row.id}"
    start = AttemptStart(
        key=CallKey(from_cell(row.run_id), row.step, row.item),
        round=row.round,
        role=cast("Role", _one_of(ROLES, row.role, what)),
        ballot=row.ballot,
        n=row.n,
        stage=from_cell(row.stage),
        rung=from_cell(row.rung),
        model=from_cell(row.model),
        request_hash=from_cell(row.request_hash),
        prompt_hash=from_cell(row.prompt_hash),
        reserved=Reservation(row.reserved_tokens, row.reserved_nano),
        started_at=row.started_at,
    )
    return Attempt(
        id=row.id,
        start=start,
        end=None if row.ended is None else _read_end(row.ended, row.ended_at, what),
        verdict=None if row.verdict is None else _read_verdict(row.verdict, what),
        superseded=bool(row.superseded),
    )


def item_row(item: ItemRow) -> Row:
    """The cells of `statements.PUT_ITEM`."""
    key = item.key
    cells = (to_cell(key.run_id), key.step, key.item, item.round)
    return (*cells, to_cell(item.input_hash), to_json_cell(item.outcome))


def read_item(row: Fetched[tuple[object, ...]]) -> ItemRow:
    """A row of ``gf_items``, all columns."""
    what = f"item {row.item} of step {row.step} of run {from_cell(row.run_id)!r}"
    outcome = _object(row.outcome, what)
    key = CallKey(from_cell(row.run_id), row.step, row.item)
    return ItemRow(key, row.round, from_cell(row.input_hash), outcome)


def round_cells(opened: RoundRow, number: int) -> dict[str, object]:
    """The cells of ``gf_rounds`` by column."""
    return {
        "run_id": to_cell(opened.key.run_id),
        "number": number,
        "step": opened.key.step,
        "item": opened.key.item,
        "round": opened.round,
        "reason": opened.reason,
        "answer": None if opened.answer is None else to_json_cell(opened.answer),
    }


def read_round(row: Fetched[tuple[object, ...]]) -> RoundRow:
    """A row of ``gf_rounds``, all columns."""
    what = f"round {row.round} of step {row.step} of run {from_cell(row.run_id)!r}"
    return RoundRow(
        key=CallKey(from_cell(row.run_id), row.step, row.item),
        round=row.round,
        reason=cast("Literal['resume', 'answer']", _one_of(REASONS, row.reason, what)),
        answer=None if row.answer is None else _object(row.answer, what),
    )


def run_cells(run: RunRow) -> dict[str, object]:
    """The cells of ``gf_runs`` by column, without the lease's end."""
    return {
        "run_id": to_cell(run.run_id),
        "pipeline": to_cell(run.pipeline),
        "input": to_json_cell(run.input),
        "input_hash": to_cell(run.input_hash),
        "state": run.state,
        "status": run.status,
        "output": to_json_cell(run.output),
        "error": to_cell(run.error),
        "root": to_cell(run.root),
        "parent": None if run.parent is None else to_cell(run.parent),
        "forked_from": None if run.forked_from is None else to_cell(run.forked_from),
        "owner": None if run.owner is None else to_cell(run.owner),
        "epoch": run.epoch,
        "active_seconds": run.active_seconds,
        "options": to_json_cell(run.options),
        "created_at": run.created_at,
        "ended_at": run.ended_at,
    }


def read_run(row: Fetched[tuple[object, ...]]) -> RunRow:
    """A row of ``gf_runs``, all columns."""
    run_id = from_cell(row.run_id)
    what = f"run {run_id!r}"
    return RunRow(
        run_id=run_id,
        pipeline=from_cell(row.pipeline),
        input=from_json_cell(row.input, what=what),
        input_hash=from_cell(row.input_hash),
        state=cast("RunState", _one_of(STATES, row.state, what)),
        status=None if row.status is None else cast("Status", _one_of(STATUSES, row.status, what)),
        output=from_json_cell(row.output, what=what),
        error=from_cell(row.error),
        root=from_cell(row.root),
        parent=None if row.parent is None else from_cell(row.parent),
        forked_from=None if row.forked_from is None else from_cell(row.forked_from),
        owner=None if row.owner is None else from_cell(row.owner),
        epoch=row.epoch,
        active_seconds=row.active_seconds,
        options=_object(row.options, what),
        created_at=row.created_at,
        ended_at=row.ended_at,
    )


def _usage_json(usage: Usage) -> dict[str, JSON]:
    return {"input": usage.input, "output": usage.output, "cached_input": usage.cached_input}


def _read_usage(stored: Document) -> Usage:
    return Usage(stored.whole("input", 0), stored.whole("output", 0), stored.whole("cached_input", 0))


def _end_cells(end: AttemptEnd) -> Row:
    stored: dict[str, JSON] = {}
    if end.completion is not None:
        stored["completion"] = completion_json(end.completion)
    if end.kind is not None:
        stored["kind"] = end.kind.name
    if end.error is not None:
        stored["error"] = end.error
    if end.dropped:
        stored["dropped"] = list(end.dropped)
    if end.retry_after is not None:
        stored["retry_after"] = end.retry_after
    if end.usage is not None:
        stored["usage"] = _usage_json(end.usage)
    if end.nano_usd is not None:
        stored["nano_usd"] = end.nano_usd
    if end.cached:
        stored["cached"] = True
    if end.abandoned:
        stored["abandoned"] = True
    if end.unsent:
        stored["unsent"] = True
    if end.asked is not None:
        stored["asked"] = asked_json(end.asked)
    return (end.ended_at, to_json_cell(stored))


def _counted(end: AttemptEnd) -> Row:
    """tokens, nano, paid, doubt: as `guardflow.budget.fold` counts a finished attempt."""
    if end.cached or end.unsent:
        return (0, 0, 0, 0)
    return (0 if end.usage is None else end.usage.total, end.nano_usd, 1, 0)


def _read_end(cell: str, ended_at: float, what: str) -> AttemptEnd:
    stored = Document(from_json_cell(cell, what=what), what=what)
    completion, usage = stored.document_or_none("completion"), stored.document_or_none("usage")
    asked = stored.document_or_none("asked")
    return AttemptEnd(
        ended_at=ended_at,
        completion=None if completion is None else read_completion(completion),
        kind=_read_kind(stored, what),
        error=stored.text_or_none("error"),
        retry_after=stored.number_or_none("retry_after"),
        usage=None if usage is None else _read_usage(usage),
        nano_usd=stored.whole_or_none("nano_usd"),
        cached=stored.flag("cached"),
        abandoned=stored.flag("abandoned"),
        unsent=stored.flag("unsent"),
        dropped=tuple(_texts(stored, "dropped")),
        asked=None if asked is None else read_asked(asked),
    )


def _read_verdict(cell: str, what: str) -> Verdict:
    stored = Document(from_json_cell(cell, what=what), what=what)
    findings = [Document(f, what=f"a finding of {what}") for f in stored.list("findings")]
    return Verdict(
        kind=_read_kind(stored, what),
        findings=tuple(_read_finding(finding) for finding in findings),
        note=stored.text_or_none("note") or "",
    )


def _finding_json(finding: Finding) -> dict[str, JSON]:
    stored: dict[str, JSON] = {"message": finding.message}
    if finding.at:
        stored["at"] = finding.at
    for name in ("evidence", "expected", "guard"):
        value = getattr(finding, name)
        if value is not None:
            stored[name] = value
    return stored


def _read_finding(stored: Document) -> Finding:
    at = stored.list("at")
    if not all(isinstance(part, str | int) and not isinstance(part, bool) for part in at):
        raise _damaged("the path of a finding", at)
    return Finding(
        message=stored.text("message"),
        at=cast("Path", tuple(at)),
        evidence=stored.text_or_none("evidence"),
        expected=stored.text_or_none("expected"),
        guard=stored.text_or_none("guard"),
    )


def _read_kind(stored: Document, what: str) -> Kind | None:
    name = stored.text_or_none("kind")
    if name is None:
        return None
    kind = Kind(0)
    for single in name.split("|"):
        if single not in Kind.__members__:
            raise _damaged(what, name)
        kind |= Kind[single]
    return kind


def _texts(stored: Document, key: str) -> list[str]:
    texts = stored.list(key)
    if not all(isinstance(text, str) for text in texts):
        raise _damaged(key, texts)
    return cast("list[str]", texts)


def _object(cell: str, what: str) -> Mapping[str, JSON]:
    value = from_json_cell(cell, what=what)
    if not isinstance(value, Mapping):
        raise _damaged(what, value)
    return value


def _one_of(known: tuple[str, ...], value: str, what: str) -> str:
    if value not in known:
        raise _damaged(what, value)
    return value


def _damaged(what: str, value: object) -> DatabaseError:
    return DatabaseError(
        f"{what} is damaged: {value!r} is nothing that this guardflow knows",
        hint="read it with the guardflow that wrote it, or restore the database from a backup",
    )
