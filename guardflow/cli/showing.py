"""A stored run as a tree: steps, attempts with rung, kind, model and cost, and what rejected each answer."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from guardflow.flow.agreement_json import agreement_from
from guardflow.flow.places import ballot_of
from guardflow.records import ItemRow, RunRow
from guardflow.values import Attempt, Finding, Spend

from .output import cell, cost, count, money
from .progress import COLOURS, MARKS, seconds, step_label

if TYPE_CHECKING:
    from rich.tree import Tree

    from guardflow.agreement import Agreement, Dissent, FieldAgreement
    from guardflow.flow.protocols import Envelope
    from guardflow.runtime.inspection import RunReport, StepReport

_MOST_ITEMS = 20
_FEW_ITEMS = 5
"""So many items of a fan_out are all drawn; of more, those that are not simply ok. ``--json`` has every one."""
_MOST_TEXT = 200
_MOST_DISSENT = 5
_MOST_SAID = 60
"""Characters of one answer that lost."""


def draw_run(report: RunReport) -> Tree:
    """The whole tree of a run."""
    from rich.tree import Tree

    row = report.row
    status = status_of(row)
    mark = MARKS.get(status, "✗")
    facts = f"{status} · {seconds(row.active_seconds)} · {spent(report.spend)}"
    tree = Tree(cell(f"{mark} {row.pipeline}  {row.run_id}  {facts}", style=f"bold {_colour(status)}"))
    if row.error:
        tree.add(cell(row.error, style="red"))
    if row.forked_from:
        tree.add(cell(f"forked from {row.forked_from}", style="dim"))
    drawn: set[str] = set()
    for step in report.steps:
        branch = _draw_step(tree, step)
        for child in report.children:
            if child.row.run_id.startswith(f"{row.run_id}-{step.id}-"):
                drawn.add(child.row.run_id)
                branch.add(draw_run(child))
    for child in report.children:
        if child.row.run_id not in drawn:
            tree.add(draw_run(child))
    if row.parent is None and (hint := _next(row, report)):
        tree.add(cell(hint, style="bold"))
    return tree


def status_of(row: RunRow) -> str:
    """How a run ended; else whether somebody executes it."""
    if row.status is not None:
        return row.status
    if row.parent is not None:
        return row.state
    return "running" if row.owner is not None else "unfinished"


def spent(spend: Spend) -> str:
    """What was spent, in one phrase."""
    doubt = f", {money(spend.in_doubt)} of it in doubt" if spend.in_doubt else ""
    paid = cost(spend.nano_usd, spend.unpriced)
    return f"{count(spend.calls, 'call')}, {count(spend.tokens, 'token')}, {paid}{doubt}"


def when(seconds: float | None) -> str:
    """A stored time, in UTC."""
    return "" if seconds is None else datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def run_line(row: RunRow, spend: Spend) -> tuple[str, ...]:
    """A run as a row of `runs list`."""
    return (
        row.run_id,
        row.pipeline,
        status_of(row),
        when(row.created_at),
        seconds(row.active_seconds),
        spent(spend),
    )


def _next(row: RunRow, report: RunReport) -> str:
    if row.status == "waiting":
        names = sorted({step_label(s.name) for s in report.steps if s.status == "waiting"})
        return f"answer it: guardflow runs answer {row.run_id} {names[0] if names else 'STAGE'} --value JSON | --retry | --skip"
    if status_of(row) == "unfinished" or row.status in ("over_budget", "failed", "cancelled"):
        return f"go on with: guardflow runs resume {row.run_id}"
    return ""


def _draw_step(tree: Tree, step: StepReport) -> Tree:
    parts = [f"{step.id}. {MARKS.get(step.status, '✗')} {step_label(step.name)}"]
    if step.items:
        parts.append(_tally(step.items))
    if step.status != "ok":
        parts.append(step.status)
    if step.seconds is not None and not step.name.startswith("run:"):
        parts.append(seconds(step.seconds))
    if message := str((step.envelope or {}).get("message") or ""):
        parts.append(message[:_MOST_TEXT])
    branch = tree.add(cell(" · ".join(parts), style=_colour(step.status)))
    by_item: dict[int, list[Attempt]] = {}
    for attempt in step.attempts:
        by_item.setdefault(attempt.start.key.item, []).append(attempt)
    _draw_attempts(branch, by_item.pop(-1, []), step.envelope)
    _draw_items(branch, {item.key.item: item for item in step.items}, by_item)
    return branch


def _tally(items: Sequence[ItemRow]) -> str:
    statuses = Counter(str(row.outcome.get("status")) for row in {i.key.item: i for i in items}.values())
    return ", ".join(f"{number} {status}" for status, number in statuses.most_common())


def _draw_items(branch: Tree, rows: Mapping[int, ItemRow], attempts: Mapping[int, Sequence[Attempt]]) -> None:
    """The items that a person may want to look at; of the others only how many there are."""
    shown = 0
    items = sorted({*rows, *attempts})
    for index in items:
        status = str(rows[index].outcome.get("status")) if index in rows else "running"
        tried = attempts.get(index, ())
        if status == "ok" and len(tried) < 2 and len(items) > _FEW_ITEMS:
            continue
        if shown == _MOST_ITEMS:
            break
        shown += 1
        first = [attempt_line(tried[0])] if len(tried) == 1 and not _findings(tried[0]) else []
        line = branch.add(cell(" · ".join([f"[{index}] {status}", *first]), style=_colour(status)))
        _draw_attempts(line, () if first else tried, rows[index].outcome if index in rows else None)
    if 0 < shown < len(items):
        branch.add(cell(f"… {len(items) - shown} more items", style="dim"))


def _draw_attempts(branch: Tree, attempts: Sequence[Attempt], envelope: Envelope | None) -> None:
    """All attempts of one stage call; of a vote by ballot, and how far the ballots agreed."""
    agreement = agreement_from((envelope or {}).get("agreement"))
    votes = agreement is not None or any(a.start.role == "answer" and a.start.ballot for a in attempts)
    for attempt in sorted(attempts, key=_by_ballot) if votes else attempts:
        _draw_attempt(branch, attempt, votes=votes)
    if agreement is not None:
        line = branch.add(cell(agreement_line(agreement), style="bold"))
        for at, field in agreement.fields.items():
            if field.dissent:
                line.add(cell(dissent_line(at, field)))


def _by_ballot(attempt: Attempt) -> tuple[int, int, int, int]:
    """Rounds in order; in each the ballots by number, each with its judges, then what came after the count."""
    ballot = ballot_of(attempt.start)
    return (attempt.start.round, ballot is None, ballot or 0, attempt.id)


def _draw_attempt(branch: Tree, attempt: Attempt, *, votes: bool) -> None:
    style = "dim" if attempt.superseded else "yellow" if attempt.kind is not None else ""
    line = branch.add(cell(attempt_line(attempt, votes=votes), style=style))
    for finding in _findings(attempt):
        line.add(cell(finding_line(finding), style="dim"))


def agreement_line(agreement: Agreement) -> str:
    """How sure a vote was, in one line."""
    spoiled = f", {agreement.spoiled} spoiled" if agreement.spoiled else ""
    ballots = f"{count(agreement.ballots, 'ballot')}{spoiled}"
    decided = " · decided by the tie-break" if agreement.decided == "split" else ""
    return f"agreement {agreement.share:.0%} · entropy {agreement.entropy:.2f} bits · {ballots}{decided}"


def dissent_line(at: str, field: FieldAgreement) -> str:
    """What the ballots that lost said about one field."""
    said = [_said(dissent) for dissent in field.dissent[:_MOST_DISSENT]]
    more = len(field.dissent) - len(said)
    return f"{at}: {field.share:.0%} agree, {field.entropy:.2f} bits · against: {', '.join(said)}" + (
        f" and {more} more" if more else ""
    )


def _said(dissent: Dissent) -> str:
    text = json.dumps(dissent.value, ensure_ascii=False)
    short = text if len(text) <= _MOST_SAID else f"{text[:_MOST_SAID]}…"
    return f"{short} (ballot {', '.join(map(str, dissent.ballots))})"


def attempt_line(attempt: Attempt, *, votes: bool = False) -> str:
    """An attempt in one line: which ballot, what the ladder did, which model, what came of it, what it cost.

    Args:
        votes: whether the stage call votes, so that its first ballot is one too.
    """
    start, end = attempt.start, attempt.end
    parts = [start.rung] if start.rung != "start" else []
    if start.role != "answer":
        parts.insert(0, start.role)
    ballot = ballot_of(start)
    if votes and (ballot is not None or start.role == "answer"):
        parts.insert(0, f"ballot {ballot}" if ballot is not None else "after the vote")
    parts.append(start.model)
    if votes and start.role == "answer" and end is not None and end.asked is not None:
        parts.append(f"sample {end.asked.sample}")
    if end is None:
        parts.append("in doubt: sent, and no answer recorded")
    elif end.abandoned:
        parts.append("stopped in flight, counted as reserved")
    else:
        parts.append(str(attempt.kind.name) if attempt.kind is not None else "accepted")
    if end is not None and end.cached:
        parts.append("cached")
    elif end is not None and end.unsent:
        parts.append("not sent")
    else:
        parts += [count(attempt.tokens, "token"), money(attempt.nano_usd)]
    if end is not None and end.error:
        parts.append(end.error[:_MOST_TEXT])
    if start.round:
        parts.append(f"round {start.round}")
    if attempt.superseded:
        parts.append("superseded")
    if attempt.verdict is not None and attempt.verdict.note:
        parts.append(attempt.verdict.note)
    return " · ".join(parts)


def _findings(attempt: Attempt) -> Sequence[Finding]:
    return attempt.verdict.findings if attempt.verdict is not None else ()


def _colour(status: str) -> str:
    return COLOURS.get(status, "red")


def finding_line(finding: Finding) -> str:
    """A finding in one line."""
    evidence = f" — got {finding.evidence[:120]!r}" if finding.evidence else ""
    return f"{finding.guard or 'guard'}: {finding.where()} {finding.message}{evidence}"
