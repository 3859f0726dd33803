"""What ``guardflow eval guards`` prints: scores as a table that fits 80 columns, or as data for a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .output import cell, line, print_result, table_console

if TYPE_CHECKING:
    from rich.text import Text

    from guardflow.evals import GuardScore
    from guardflow.hashing import JSON
    from guardflow.stats import Interval


def score_document(score: GuardScore) -> dict[str, JSON]:
    """A score as data. ``unusable`` are cases, of which recall counts those with something to find."""
    return {
        "guard": score.guard,
        "asks_model": score.asks,
        "split": score.split,
        "cases": score.cases,
        "right_findings": score.right_findings,
        "wrong_findings": score.wrong_findings,
        "missed": score.missed,
        "right_passes": score.right_passes,
        "unusable": len(score.unusable),
        "unusable_faults": score.unusable_faults,
        "precision": score.precision,
        "precision_interval": list(score.precision_interval),
        "recall": score.recall,
        "recall_interval": list(score.recall_interval),
        "wrong_cases": list(score.wrong),
        "unusable_cases": list(score.unusable),
    }


def print_scores(scores: Sequence[GuardScore]) -> None:
    """Print a table: a row of two lines each, the share above, its 95 % interval below; then the wrong cases."""
    from rich.box import SIMPLE
    from rich.table import Table

    asked = any(score.asks for score in scores)
    table = Table(box=SIMPLE, pad_edge=False, padding=(0, 1, 0, 0))
    for title in ("guard", "split", "cases", "precision\n95 %", "recall\n95 %"):
        table.add_column(title, overflow="fold")
    if asked:
        table.add_column("unusable")
    for score in scores:
        row = [
            cell(_name(score)),
            cell(score.split),
            cell(score.cases),
            _share(score.precision, score.right_findings, score.findings, score.precision_interval),
            _share(score.recall, score.right_findings, score.faults, score.recall_interval),
        ]
        table.add_row(*row, *([cell(len(score.unusable) if score.asks else "")] if asked else []))
    table_console().print(table)
    for score in scores:
        for what, ids in (("wrong", score.wrong), ("unusable", score.unusable)):
            if ids:
                print_result(line(f"{what}, {_name(score)} {score.split}: {' '.join(ids)}"))


def _name(score: GuardScore) -> str:
    return f"{score.guard} + model" if score.asks else score.guard


def _share(share: float | None, count: int, of: int, interval: Interval) -> Text:
    if share is None:
        return cell("-")
    return cell(f"{share:.3f} ({count}/{of})").append(f"\n{interval.low:.3f}-{interval.high:.3f}", "dim")
