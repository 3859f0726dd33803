"""``guardflow run``: any pipeline of the project, or a bundled one, by its name."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from guardflow.errors import UsageError
from guardflow.hashing import JSON

from .completing import pipeline_names
from .executing import Wanted, execute
from .options import (
    AsEvents,
    AsJson,
    BudgetCalls,
    BudgetSeconds,
    BudgetUsd,
    CacheFlag,
    ModelFlags,
    RunId,
    budget_for,
    cache_mode,
    settings_for,
)

if TYPE_CHECKING:
    from guardflow.flow.codec import Codec


def add_to(app: typer.Typer) -> None:
    """Register the command."""
    app.command()(run)


def run(
    pipeline: Annotated[str, typer.Argument(help="The pipeline's name.", autocompletion=pipeline_names)],
    fields: Annotated[
        list[str] | None,
        typer.Option("-i", "--set", metavar="NAME=VALUE", help="One field of the input; may be repeated."),
    ] = None,
    input: Annotated[
        str | None, typer.Option("--input", metavar="FILE", help="The input as JSON; - reads stdin.")
    ] = None,
    run_id: RunId = None,
    budget_usd: BudgetUsd = None,
    budget_seconds: BudgetSeconds = None,
    budget_calls: BudgetCalls = None,
    model: ModelFlags = None,
    cache: CacheFlag = None,
    json_output: AsJson = False,
    events: AsEvents = False,
) -> None:
    """Run a pipeline; the same --run-id resumes it."""
    from .project import find_pipeline

    settings = settings_for(models=model)
    found = find_pipeline(pipeline, root=settings.root)
    value = _checked(found.pipeline.input, fields or (), input)
    execute(
        Wanted(
            settings=settings,
            pipeline=found.pipeline,
            value=value,
            resources=found.resources(value),
            run_id=run_id,
            budget=budget_for(settings, usd=budget_usd, seconds=budget_seconds, calls=budget_calls),
            cache=cache_mode(settings, cache),
        ),
        json_output=json_output,
        events=events,
    )


def _checked(codec: Codec[object], fields: Sequence[str], source: str | None) -> object:
    """The input, of the pipeline's type. ``-i name=42`` is a number, or text where the type wants text."""
    given = read_input(fields, source)
    try:
        return codec.check(given)
    except UsageError:
        if not fields:
            raise
        texts = {name: text for name, _, text in (field.partition("=") for field in fields)}
        scalars = (str, int, float, bool, type(None))
        as_text = {
            n: texts[n] if isinstance(v, scalars) else v for n, v in cast("dict[str, JSON]", given).items()
        }
        with contextlib.suppress(UsageError):
            return codec.check(as_text)
        raise


def read_input(fields: Sequence[str], source: str | None) -> JSON:
    """The input as JSON, from ``NAME=VALUE`` fields, a file, or stdin.

    Raises:
        UsageError: it is not JSON, or both were given.
    """
    if fields and source is not None:
        raise UsageError("both --set and --input were given", hint="use one of them")
    if source is not None:
        return _from_file(source)
    out: dict[str, JSON] = {}
    for given in fields:
        name, equals, text = given.partition("=")
        if not equals:
            raise UsageError(f"--set got {given!r}", hint="write NAME=VALUE")
        out[name] = _value(text)
    return out


def _from_file(source: str) -> JSON:
    shown = "stdin" if source == "-" else repr(source)
    try:
        text = sys.stdin.read() if source == "-" else Path(source).read_text("utf-8")
    except OSError as error:
        raise UsageError(f"{shown} cannot be read ({error.strerror})", hint="name a readable file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{shown} is not UTF-8 text", hint="give a JSON file") from None
    try:
        return cast("JSON", json.loads(text))
    except (json.JSONDecodeError, RecursionError) as error:
        raise UsageError(f"{shown} is not JSON ({error})", hint="give one JSON document") from None


def _value(text: str) -> JSON:
    """A JSON value where the text is one (3, true, ["a"]), else the text itself."""
    try:
        return cast("JSON", json.loads(text))
    except json.JSONDecodeError:
        return text
