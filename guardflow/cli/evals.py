"""``guardflow eval``: how good parts are on labelled cases."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from .options import AsJson, existing
from .output import cell, print_json, table_console

if TYPE_CHECKING:
    from guardflow.evals import GuardScore
    from guardflow.hashing import JSON
    from guardflow.stats import Interval

app = typer.Typer(
    help="How good guards are, on labelled cases.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keep ``guards`` a subcommand, though it is the only one."""


@app.command()
def guards(
    guard: Annotated[
        str | None,
        typer.Option("--guard", metavar="NAME", help="A guard of the kit, or your own as module:name."),
    ] = None,
    labels: Annotated[
        list[Path] | None,
        typer.Option("--labels", metavar="FILE", help="Your own labelled cases. May be repeated."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Print how often guards are right on labelled cases."""
    from guardflow.evals import evaluate_guards, load_cases, shipped_labels

    if guard and ":" in guard and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a guard of the project
    cases = load_cases(map(existing, labels) if labels else shipped_labels())
    if guard and ":" not in guard and not labels:
        cases = [case for case in cases if case.guard == guard]
        if not cases:
            raise typer.BadParameter(f"there are no labelled cases for {guard!r}; give some with --labels")

    async def main() -> list[GuardScore]:
        return await evaluate_guards(cases, guard=guard)

    scores = anyio.run(main)
    if json_output:
        print_json({"guards": [_document(score) for score in scores]})
    else:
        _print_table(scores)


def _document(score: GuardScore) -> dict[str, JSON]:
    return {
        "guard": score.guard,
        "split": score.split,
        "cases": score.cases,
        "right_findings": score.right_findings,
        "wrong_findings": score.wrong_findings,
        "missed": score.missed,
        "right_passes": score.right_passes,
        "precision": score.precision,
        "precision_interval": list(score.precision_interval),
        "recall": score.recall,
        "recall_interval": list(score.recall_interval),
        "wrong_cases": list(score.wrong),
    }


def _print_table(scores: list[GuardScore]) -> None:
    from rich.box import SIMPLE
    from rich.table import Table

    table = Table(box=SIMPLE, pad_edge=False)
    for title in ("guard", "split", "cases", "precision", "95 %", "recall", "95 %", "wrong cases"):
        table.add_column(title, overflow="fold")
    for score in scores:
        table.add_row(
            cell(score.guard),
            cell(score.split),
            cell(score.cases),
            cell(_share(score.precision, score.right_findings, score.right_findings + score.wrong_findings)),
            cell(_interval(score.precision_interval)),
            cell(_share(score.recall, score.right_findings, score.right_findings + score.missed)),
            cell(_interval(score.recall_interval)),
            cell(" ".join(score.wrong)),
        )
    table_console().print(table)


def _share(share: float | None, count: int, of: int) -> str:
    return "-" if share is None else f"{share:.3f} ({count}/{of})"


def _interval(interval: Interval) -> str:
    return f"{interval.low:.3f}-{interval.high:.3f}"
