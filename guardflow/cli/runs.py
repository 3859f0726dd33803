"""``guardflow runs``: list, show, watch, resume, answer, fork, cancel, signal, export, prune."""

from __future__ import annotations

import json
import shlex
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import anyio
import typer

from guardflow.errors import DatabaseError, DatabaseUnreachable, RunNotFound, UsageError
from guardflow.hashing import JSON
from guardflow.records import RunRow
from guardflow.values import Status

from .completing import run_ids
from .executing import drive, finish
from .keeping import check_folder, kept
from .options import (
    AsEvents,
    AsJson,
    BudgetCalls,
    BudgetSeconds,
    BudgetUsd,
    ModelFlags,
    budget_for,
    settings_for,
)
from .output import cell, console, count, print_json, print_result, say, table_console
from .progress import style_for

if TYPE_CHECKING:
    from guardflow.settings import Settings

app = typer.Typer(
    help="Look at runs, and make them go on.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

Run = Annotated[str, typer.Argument(help="The run's id.", autocompletion=run_ids)]
Out = Annotated[Path | None, typer.Option(help="The folder of a report; by default research/RUN-ID.")]


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    status: Annotated[str | None, typer.Option(metavar="STATUS", help="Only those that ended so.")] = None,
    json_output: AsJson = False,
) -> None:
    """List runs, newest first."""
    from rich.table import Table

    from guardflow.runtime.inspection import list_runs, spend_json

    from .showing import run_line

    if status is not None and status not in get_args(Status):
        raise typer.BadParameter(f"--status is one of {', '.join(get_args(Status))}")
    settings, wanted = settings_for(), cast("Status | None", status)
    try:
        rows = anyio.run(lambda: list_runs(settings, limit=limit, status=wanted))
    except DatabaseUnreachable:
        if settings.database_url is not None:
            raise
        rows = ()  # a project where nothing has run yet has no database
    if json_output:
        listed = [{"run_id": r.run_id, "pipeline": r.pipeline, "state": r.state, "status": r.status,
                   "created_at": r.created_at, "spend": spend_json(s)} for r, s in rows]  # fmt: skip
        print_json({"runs": cast("JSON", listed)})
        return
    if not rows:
        say(
            "no runs yet; start one with: guardflow run PIPELINE"
            if status is None
            else f"no run ended {status}"
        )
        return
    table = Table("run", "pipeline", "status", "created (UTC)", "active", "spent", box=None)
    for row, spend in rows:
        table.add_row(*map(cell, run_line(row, spend)))
    table_console().print(table)


@app.command()
def show(run: Run, json_output: AsJson = False) -> None:
    """Show a run as a tree. Stages, attempts, costs, and the findings that rejected each answer."""
    from guardflow.runtime.inspection import read_run, report_json

    from .showing import draw_run

    report = anyio.run(lambda: read_run(settings_for(), run))
    if json_output:
        print_json(report_json(report))
    else:
        table_console().print(draw_run(report))


@app.command()
def watch(
    run: Run, every: Annotated[float, typer.Option(min=0.1, help="Seconds between looks.")] = 1.0
) -> None:
    """Watch a run that another process executes. Ends with the run, and with its exit code."""
    from rich.live import Live

    from guardflow.runtime.inspection import looking, report_of

    from .executing import EXIT
    from .showing import draw_run

    async def look() -> str:
        async with looking(settings_for()) as store:
            with Live(console=console(), auto_refresh=False) as live:
                while True:
                    report = await report_of(store, run)
                    live.update(draw_run(report), refresh=True)
                    if report.row.state == "ended":
                        return report.row.status or "failed"
                    await anyio.sleep(every)

    code = EXIT[anyio.run(look)]
    if code:
        raise typer.Exit(code)


@app.command()
def resume(
    run: Run,
    budget_usd: BudgetUsd = None,
    budget_seconds: BudgetSeconds = None,
    budget_calls: BudgetCalls = None,
    model: ModelFlags = None,
    out: Out = None,
    json_output: AsJson = False,
    events: AsEvents = False,
) -> None:
    """Make a run go on. After a crash, a failure, or with a higher budget."""
    _go_on(
        run,
        model=model,
        json_output=json_output,
        events=events,
        out=out,
        budget=(budget_usd, budget_seconds, budget_calls),
    )


@app.command()
def answer(
    run: Run,
    stage: Annotated[str, typer.Argument(help="The stage that waits.")],
    value: Annotated[
        str | None, typer.Option(metavar="JSON", help="The output to use. It is guarded.")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="Ask the model again.")] = False,
    skip: Annotated[bool, typer.Option("--skip", help="Do without: the fallback, or no value.")] = False,
    item: Annotated[int | None, typer.Option(metavar="N", help="Which item of a fan_out.")] = None,
    out: Out = None,
    json_output: AsJson = False,
) -> None:
    """Answer a stage that waits for a person, and go on."""
    if (value is not None) + retry + skip != 1:
        raise typer.BadParameter("give exactly one of --value, --retry and --skip")
    action: Literal["value", "retry", "skip"] = "value" if value is not None else "retry" if retry else "skip"
    _go_on(run, json_output=json_output, stage=stage, action=action, value=_json(value), item=item, out=out)


@app.command()
def fork(
    run: Run,
    from_stage: Annotated[str, typer.Option("--from", metavar="STAGE", help="The first stage to run anew.")],
    new_id: Annotated[str | None, typer.Option("--run-id", metavar="ID", help="The copy's id.")] = None,
) -> None:
    """Copy a run up to a stage. `runs resume` makes the copy go on."""
    from guardflow.runtime import Runtime

    async def main() -> str:
        async with Runtime(settings=settings_for()) as runtime:
            return await runtime.fork(run, from_stage=from_stage, new_id=new_id)

    _stored(run)
    copy = anyio.run(main)
    print_result(copy)
    say(f"go on with: guardflow runs resume {copy}")


@app.command()
def cancel(run: Run) -> None:
    """Cancel a run, wherever it executes. What it finished is kept."""
    from guardflow.runtime import Runtime

    async def main() -> None:
        async with Runtime(settings=settings_for()) as runtime:
            await runtime.cancel(run)

    _stored(run)
    anyio.run(main)
    say(f"cancelled {run}; go on with: guardflow runs resume {run}")


@app.command()
def signal(
    run: Run,
    name: Annotated[str, typer.Argument(help="Which signal.")],
    value: Annotated[str | None, typer.Option(metavar="JSON", help="Its value.")] = None,
) -> None:
    """Send a signal to a run that waits for it."""
    from guardflow.runtime import Runtime

    sent = _json(value)
    _stored(run)

    async def main() -> None:
        async with Runtime(settings=settings_for()) as runtime:
            await runtime.signal(run, name, sent)

    anyio.run(main)


@app.command()
def export(
    run: Run,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Where; stdout by default.")
    ] = None,
    cassette: Annotated[
        Path | None,
        typer.Option(
            "--cassette", metavar="FILE", help="Write its model traffic instead, for tests to play again."
        ),
    ] = None,
) -> None:
    """Export a run with its attempts and raw answers, as JSON. Or its model traffic, as a cassette for tests."""
    if cassette is not None:
        if out is not None:
            raise typer.BadParameter("give --out or --cassette, not both")
        _record(run, cassette)
        return
    from guardflow.runtime.inspection import read_run, report_json

    document = report_json(anyio.run(lambda: read_run(settings_for(), run)), completions=True)
    if out is None:
        print_json(document)
        return
    try:
        out.write_text(json.dumps({"schema_version": 1, **document}, indent=2), "utf-8")
    except OSError as error:
        raise UsageError(
            f"{str(out)!r} cannot be written ({error.strerror})", hint="choose another file"
        ) from None
    say(f"wrote {out}")


def _record(run: str, path: Path) -> None:
    from guardflow.testing.recording import tape_of_run
    from guardflow.testing.tape_file import write_tape

    tape = anyio.run(lambda: tape_of_run(settings_for(), run))
    write_tape(path, tape)
    takes = sum(len(recording.takes) for recording in tape.recordings)
    say(
        f"wrote {path}: {count(takes, 'answer')} to {count(len(tape.recordings), 'request')}, no prompts. Answers "
        "may be private: read it before you share it"
    )


@app.command()
def prune(
    days: Annotated[float, typer.Option("--older-than", min=0, help="Days since they ended.")] = 30,
) -> None:
    """Forget ended runs. Forks of them keep what they need."""
    from guardflow.runtime import Runtime

    settings = settings_for()
    if not _has_database(settings):
        say("no runs yet, so there is nothing to prune")
        return

    async def main() -> int:
        async with Runtime(settings=settings) as runtime:
            return await runtime.prune(older_than=timedelta(days=days))

    say(f"pruned {count(anyio.run(main), 'run')}")


def _has_database(settings: Settings) -> bool:
    """Whether anything ever ran here. Pruning must not make a database to find out."""
    from guardflow.runtime.inspection import looking

    async def look() -> None:
        async with looking(settings):
            pass

    try:
        anyio.run(look)
    except DatabaseUnreachable:
        if settings.database_url is not None:
            raise
        return False
    except DatabaseError:
        pass  # one that must be upgraded: the runtime does that, or says why not
    return True


def _go_on(
    run: str,
    *,
    json_output: bool,
    events: bool = False,
    model: list[str] | None = None,
    budget: tuple[float | None, float | None, int | None] = (None, None, None),
    stage: str | None = None,
    action: Literal["value", "retry", "skip"] = "value",
    value: JSON = None,
    item: int | None = None,
    out: Path | None = None,
) -> None:
    from guardflow.runtime import RunResult, Runtime

    from .project import find_pipeline

    settings = settings_for(models=model)
    stored = _stored(run)
    found = find_pipeline(stored.pipeline, root=settings.root)
    resources = found.resources(found.pipeline.input.load(stored.input))
    usd, seconds, calls = budget
    asked = any(part is not None for part in budget)
    more = budget_for(settings, usd=usd, seconds=seconds, calls=calls) if asked else None

    async def verb(runtime: Runtime) -> RunResult[object]:
        if stage is None:
            return await runtime.resume(run, budget=more)
        return await runtime.answer(run, stage, value=value, action=action, item=item)

    keep = kept(found.files, out, run)
    if out is not None:
        check_folder(out, new=False)
    style = style_for(json_output=json_output, events=events)
    go_on = f" --out {shlex.quote(str(out))}" if out is not None else ""
    result = drive(
        settings,
        run,
        verb,
        resources=resources,
        style=style,
        pipelines=[found.pipeline],
        go_on=go_on,
    )
    finish(result, found.pipeline, json_output=json_output, events=events, keep=keep, go_on=go_on)


def _stored(run: str) -> RunRow:
    """The run's row. A command that changes a run looks for it first: it must not make a database for a typo."""
    from guardflow.runtime.inspection import looking

    async def look() -> RunRow:
        async with looking(settings_for()) as store:
            row = await store.runs.get(run)
        if row is None:
            raise RunNotFound(f"there is no run {run!r}", hint="see `guardflow runs list`")
        return row

    return anyio.run(look)


def _json(text: str | None) -> JSON:
    if text is None:
        return None
    try:
        return cast("JSON", json.loads(text))
    except json.JSONDecodeError as error:
        raise UsageError(f"--value is not JSON ({error})", hint="quote strings, such as '\"text\"'") from None
