"""``guardflow explain``: how each stage of a pipeline climbs, and what a call may cost at worst."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

import typer

from guardflow.hashing import JSON

from .completing import pipeline_names
from .options import AsJson, ModelFlags, settings_for
from .output import cell, count, money, print_json, table_console

if TYPE_CHECKING:
    from rich.console import Console

    from guardflow.flow.worst_case import WorstCase
    from guardflow.settings import Settings


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(explain)


def explain(
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name.", autocompletion=pipeline_names)],
    model: ModelFlags = None,
    json_output: AsJson = False,
) -> None:
    """Print each stage's ladder by kind of failure, and the worst case in calls, tokens and usd."""
    settings = settings_for(models=model)
    names, cases = _cases(pipeline, settings)
    if json_output:
        print_json({"pipeline": pipeline, "stages": cast("JSON", [_json(case) for case in cases])})
        return
    console = table_console()
    console.print(cell(f"{pipeline}: {', '.join(names)}", style="bold"))
    for case in cases:
        _print(console, case)


def _cases(name: str, settings: Settings) -> tuple[list[str], list[WorstCase]]:
    from guardflow.flow.llm import LLMStage
    from guardflow.flow.worst_case import stages_of, worst_case
    from guardflow.runtime import declared_services

    from .project import find_pipeline

    found = find_pipeline(name, root=settings.root)
    stages = stages_of(found.pipeline)
    services = declared_services(settings)
    llm = [s for s in stages if isinstance(s, LLMStage)]
    return [s.name for s in stages], [worst_case(stage, services) for stage in llm]


def _print(console: Console, case: WorstCase) -> None:
    from rich.table import Table

    most = f"{count(case.calls, 'call')}, {count(case.tokens, 'token')} + input, {money(case.nano_usd)}"
    console.print()
    console.print(cell(f"{case.stage}  {_whom(case)}", style="bold"))
    console.print(cell(f"  at worst {most}"))
    table = Table(box=None, show_header=False, padding=(0, 2))
    merged: dict[tuple[str, ...], list[str]] = {}
    for kind, path in case.paths.items():
        merged.setdefault(tuple(path), []).append(kind)
    for path, kinds in merged.items():
        table.add_row(cell(" ".join(kinds)), cell(" → ".join(path)))
    console.print(table)


def _whom(case: WorstCase) -> str:
    """The model; of a vote its rule, its panel with unequal weights, and who breaks a tie."""
    vote = case.vote
    if vote is None:
        return case.model
    weighted = len({weight for _, weight in vote.panel}) > 1
    panel = ", ".join(f"{name} ({weight:g})" if weighted else name for name, weight in vote.panel)
    tie = f", a tie broken by {vote.split}" if vote.split is not None else ""
    return f"{vote.rule} among at most {count(vote.most, 'ballot')} of {panel}{tie}"


def _json(case: WorstCase) -> dict[str, JSON]:
    vote = case.vote
    return {
        "stage": case.stage,
        "model": case.model,
        "vote": {
            "panel": [{"model": name, "weight": weight} for name, weight in vote.panel],
            "rule": vote.rule,
            "max": vote.most,
            "split": vote.split,
        }
        if vote is not None
        else None,
        "worst_case": {"calls": case.calls, "tokens": case.tokens, "nano_usd": case.nano_usd},
        "paths": {kind: list(path) for kind, path in case.paths.items()},
    }
