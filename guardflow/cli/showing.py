"""A stored run as a tree: steps, attempts with rung, kind, model and cost, and what rejected each answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from guardflow.values import Attempt, Finding, ItemRow, RunRow, Spend

from .output import cell, cost, count, money
from .progress import COLOURS, MARKS, seconds, step_label

if TYPE_CHECKING:
    from rich.tree import Tree

    from guardflow.runtime.inspection import RunReport, StepReport

_MOST_ITEMS = 20
_FEW_ITEMS = 5
"""So many items of a fan_out are all drawn; of more, those that are not simply ok. ``--json`` has every one."""
_MOST_TEXT = 200


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
    for attempt in by_item.pop(-1, []):
        _draw_attempt(branch, attempt)
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
        for attempt in () if first else tried:
            _draw_attempt(line, attempt)
    if 0 < shown < len(items):
        branch.add(cell(f"… {len(items) - shown} more items", style="dim"))


def _draw_attempt(branch: Tree, attempt: Attempt) -> None:
    style = "dim" if attempt.superseded else "yellow" if attempt.kind is not None else ""
    line = branch.add(cell(attempt_line(attempt), style=style))
    for finding in _findings(attempt):
        line.add(cell(finding_line(finding), style="dim"))


def attempt_line(attempt: Attempt) -> str:
    """An attempt in one line: what the ladder did, which model, what came of it, what it cost."""
    start, end = attempt.start, attempt.end
    parts = [start.rung] if start.rung != "start" else []
    if start.role != "answer":
        parts.insert(0, start.role)
    parts.append(start.model)
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
