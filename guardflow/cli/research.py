"""``guardflow research``: a question in, a cited report out, over folders and pages, or over guardflow's own guide."""

from __future__ import annotations

import shlex
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from guardflow.hashing import JSON

from .executing import Wanted, execute
from .keeping import check_folder, kept
from .options import (
    AsEvents,
    AsJson,
    BudgetSeconds,
    BudgetUsd,
    CacheFlag,
    ModelFlags,
    RunId,
    budget_for,
    cache_mode,
    existing,
    settings_for,
)

if TYPE_CHECKING:
    from guardflow.budget import Budget
    from guardflow.settings import Settings

Profile = Literal["quick", "standard", "deep"]

GUIDE_NOTICE = "No corpus was given, so this report rests on guardflow's own guide and on nothing else."
EMBEDDED_SECONDS = 120.0
"""Active seconds a run has on the embedded model by default: it degrades rather than overruns."""


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(research)


def research(
    question: Annotated[str, typer.Argument(help="What to find out, in a sentence or two.")],
    corpus: Annotated[
        list[Path] | None, typer.Option(help="A folder of md, txt, html and pdf files; may be repeated.")
    ] = None,
    url: Annotated[list[str] | None, typer.Option(help="A page to read; may be repeated.")] = None,
    profile: Annotated[
        Profile | None,
        typer.Option(
            help="How much is read and asked; by default quick on the embedded model, else standard."
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The report's folder; by default research/RUN-ID.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="The day the report speaks for; today by default.")
    ] = None,
    budget_usd: BudgetUsd = None,
    budget_seconds: BudgetSeconds = None,
    run_id: RunId = None,
    model: ModelFlags = None,
    cache: CacheFlag = None,
    json_output: AsJson = False,
    events: AsEvents = False,
) -> None:
    """Research a question over your documents. Every statement of the report leads to a verbatim quote."""
    from .project import find_pipeline

    settings = settings_for(models=model)
    found = find_pipeline("deep-research", root=settings.root)
    embedded = _is_embedded(settings)
    run = run_id or f"research-{uuid.uuid4().hex[:10]}"
    before = _recorded_day(settings, run) if run_id else None
    keep = kept(found.files, out, run)
    check_folder(keep.folder, new=before is None)
    request: dict[str, JSON] = {
        "question": question,
        "as_of": (_day(as_of) or before or datetime.now(tz=UTC).date()).isoformat(),
        "profile": profile or ("quick" if embedded else "standard"),
        "corpus": [str(existing(folder).resolve()) for folder in corpus or ()],
        "urls": list(url or ()),
        "notice": "" if corpus or url else GUIDE_NOTICE,
    }
    value = found.pipeline.input.check(request)
    execute(
        Wanted(
            settings=settings,
            pipeline=found.pipeline,
            value=value,
            resources=found.resources(value),
            run_id=run,
            budget=_budget(settings, usd=budget_usd, seconds=budget_seconds, embedded=embedded),
            cache=cache_mode(settings, cache),
            keep=keep,
            go_on=f" --out {shlex.quote(str(out))}" if out is not None else "",
        ),
        json_output=json_output,
        events=events,
    )


def _is_embedded(settings: Settings) -> bool:
    """Whether the embedded model would write; it begins to load then, while the corpus is read."""
    from guardflow.models.routing import Models
    from guardflow.values import Model

    return Models(settings).resolve(Model("fast")).provider == "local"


def _budget(settings: Settings, *, usd: float | None, seconds: float | None, embedded: bool) -> Budget | None:
    return budget_for(
        settings, usd=usd, seconds=seconds if seconds is not None or not embedded else EMBEDDED_SECONDS
    )


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"--as-of is a day such as 2026-11-01, not {text!r}") from None


def _recorded_day(settings: Settings, run_id: str) -> date | None:
    """The day of the run that is gone on with, so that its input is the same one tomorrow."""
    import anyio

    from guardflow.errors import DatabaseError, RunNotFound
    from guardflow.runtime.inspection import read_run

    try:
        stored = anyio.run(lambda: read_run(settings, run_id)).row.input
    except (DatabaseError, RunNotFound):
        return None
    return date.fromisoformat(str(stored["as_of"])) if isinstance(stored, dict) else None
