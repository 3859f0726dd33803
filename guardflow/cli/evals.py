"""``guardflow eval``: how good parts are on labelled cases."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import anyio
import typer

from guardflow.errors import BudgetExceeded, ModelCallError, RunError, UsageError

from .executing import drive, spend_document, spent
from .options import (
    AsJson,
    BudgetCalls,
    BudgetSeconds,
    BudgetUsd,
    CacheFlag,
    budget_for,
    cache_mode,
    existing,
    settings_for,
)
from .output import count, print_json, print_result, say
from .progress import style_for
from .scoring import print_scores, score_document

if TYPE_CHECKING:
    from guardflow.budget import Budget
    from guardflow.evals.guards import Seen
    from guardflow.evals.labels import Case
    from guardflow.evals.named import Guarded
    from guardflow.flow.pipeline import Pipeline
    from guardflow.hashing import JSON
    from guardflow.runtime import RunResult, Runtime
    from guardflow.settings import Settings
    from guardflow.values import CacheMode

AGAIN = (
    "give the same command again: answers that could be read are in the response cache, and not paid twice"
)

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
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            "-m",
            metavar="MODEL",
            help="Whom guards ask: a role or a model for every role; or ROLE=MODEL. May be repeated. "
            "Without it, cases that need a model are left out.",
        ),
    ] = None,
    budget_usd: BudgetUsd = None,
    budget_calls: BudgetCalls = None,
    budget_seconds: BudgetSeconds = None,
    cache: CacheFlag = None,
    json_output: AsJson = False,
) -> None:
    """Print how often guards are right on labelled cases."""
    from guardflow.evals.guards import look, scores
    from guardflow.evals.named import guarded

    cases = guarded(_cases(guard, labels), guard=guard)
    asking = [one for one in cases if one.asks]
    if asking and not model and len(asking) == len(cases):
        raise UsageError(
            f"{_all(asking)} a model, and none was named", hint="name one: --model judge, or provider/model"
        )
    if model and not asking:
        say("no guard of these cases asks a model, so --model changes nothing")
    asked: RunResult[list[Seen]] | None = None
    seen: list[Seen] = []
    if asking and model:
        settings = judged_by(model)
        budget = budget_for(settings, usd=budget_usd, seconds=budget_seconds, calls=budget_calls)
        asked = _ask(asking, settings, budget, cache_mode(settings, cache), json_output=json_output)
        seen = asked.output or []

    async def looked() -> list[tuple[Guarded, Seen]]:
        judged = iter(seen)
        return [
            (one, next(judged) if one.asks else await look(one)) for one in cases if asked or not one.asks
        ]

    counted = scores(anyio.run(looked))
    left_out = 0 if asked else len(asking)
    if json_output:
        print_json(
            {
                "guards": [score_document(score) for score in counted],
                "left_out": left_out,
                "asked": _document(asked) if asked else None,
            }
        )
        return
    print_scores(counted)
    if left_out:
        print_result(f"left out: {count(left_out, 'case')} whose guard asks a model; --model NAME asks it")
    if asked:
        say(f"{', '.join(_models(asked)) or 'no model'} was asked: run {asked.run_id} · {spent(asked.spend)}")


def _cases(guard: str | None, labels: Sequence[Path] | None) -> list[Case]:
    from guardflow.evals import load_cases, shipped_labels

    if guard and ":" in guard and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # a guard of the project
    cases = load_cases(map(existing, labels) if labels else shipped_labels())
    if guard and ":" not in guard and not labels:
        cases = [case for case in cases if case.guard == guard]
        if not cases:
            raise typer.BadParameter(f"there are no labelled cases for {guard!r}; give some with --labels")
    return cases


def _all(asking: Sequence[Guarded]) -> str:
    return f"all {len(asking)} cases ask" if len(asking) > 1 else "the only case asks"


def judged_by(models: list[str]) -> Settings:
    """The project's settings, with these models; a role alone stands for every other one."""
    from guardflow.models.routing import Models
    from guardflow.settings import ROLES, ModelSettings
    from guardflow.values import Model

    settings = settings_for()
    roles = {*ROLES, *settings.models}
    if len(models) > 1 or models[0] not in roles:
        return settings_for(models=models)
    (role,) = models
    name = Models(settings).resolve(Model(role)).name
    spec = settings.models.get(role, ModelSettings()).model_copy(update={"name": name})
    return settings.model_copy(update={"models": dict.fromkeys(roles, spec)})


def _ask(
    asking: Sequence[Guarded],
    settings: Settings,
    budget: Budget | None,
    cache: CacheMode,
    *,
    json_output: bool,
) -> RunResult[list[Seen]]:
    """The cases as a run: asked, paid, stored and shown like any other.

    Raises:
        BudgetExceeded: the budget was used up before all were seen.
        ModelCallError: a model could not be reached, so that nothing is known about the guard.
    """
    from guardflow.evals.asking import Cases, look_at_cases

    run_id = f"{look_at_cases.name}-{uuid.uuid4().hex[:12]}"

    async def run(runtime: Runtime) -> RunResult[object]:
        given = Cases(cases=[one.case for one in asking])
        try:
            ran = await runtime.run(look_at_cases, given, run_id=run_id, budget=budget, cache=cache)
        except ModelCallError as error:
            raise _unscored(error, run_id) from error
        return cast("RunResult[object]", ran)

    result = drive(
        settings,
        run_id,
        run,
        resources=(),
        style=style_for(json_output=json_output, events=False),
        pipelines=[cast("Pipeline[object, object]", look_at_cases)],
        again=AGAIN,
    )
    if result.ok:
        return cast("RunResult[list[Seen]]", result)
    told = f"the evaluation ended {result.status} after {spent(result.spend)}: {result.message}"
    if result.status == "over_budget":
        raise BudgetExceeded(told, hint=f"with a higher budget, {AGAIN}")
    raise RunError(told, hint=f"when that is put right, {AGAIN}")


def _unscored(error: ModelCallError, run_id: str) -> ModelCallError:
    named = (
        f" ({error.kind.name})"
        if error.kind is not None and str(error.kind.name) not in error.message
        else ""
    )
    return ModelCallError(
        f"nothing is scored: {error.message}{named}",
        kind=error.kind,
        hint=f"look at its attempts with `guardflow runs show {run_id}`; when that is put right, {AGAIN}",
    )


def _models(asked: RunResult[list[Seen]]) -> list[str]:
    return sorted({attempt.start.model for attempt in asked.attempts})


def _document(asked: RunResult[list[Seen]]) -> dict[str, JSON]:
    return {"run_id": asked.run_id, "models": list(_models(asked)), "spend": spend_document(asked.spend)}
