"""Executing one run from the command line: progress on stderr, the result on stdout, the status as exit code."""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import typer

from guardflow.errors import RunError
from guardflow.hashing import JSON
from guardflow.values import CacheMode

from .interrupting import INTERRUPTED, interruptible, leave_within
from .keeping import REPORT, Kept
from .output import cost, count, line, print_json, print_result, say
from .progress import Style, print_event, show, style_for

if TYPE_CHECKING:
    from guardflow.budget import Budget
    from guardflow.events import Event
    from guardflow.flow.pipeline import Pipeline
    from guardflow.runtime import RunResult, Runtime
    from guardflow.settings import Settings
    from guardflow.values import Spend

EXIT = {"ok": 0, "degraded": 0, "abstained": 1, "failed": 1, "cancelled": 1, "over_budget": 5, "waiting": 6}
_LAST_THREADS = 1.0
"""Seconds that threads of a stopped run have to end: an import, a look-up of a name, a stage that computes."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A run to execute."""

    settings: Settings
    pipeline: Pipeline[object, object]
    value: object
    resources: Sequence[object]
    run_id: str | None
    budget: Budget | None
    cache: CacheMode
    keep: Kept | None = None
    go_on: str = ""
    """Options that `runs resume` needs to put the report where this command would."""


def execute(wanted: Wanted, *, json_output: bool, events: bool) -> None:
    """Run, print, and exit with the run's status; returns for exit code 0."""
    run_id = wanted.run_id or f"{wanted.pipeline.name}-{uuid.uuid4().hex[:12]}"

    async def run(runtime: Runtime) -> RunResult[object]:
        return await runtime.run(
            wanted.pipeline, wanted.value, run_id=run_id, budget=wanted.budget, cache=wanted.cache
        )

    result = drive(
        wanted.settings,
        run_id,
        run,
        resources=wanted.resources,
        style=style_for(json_output=json_output, events=events),
        pipelines=[wanted.pipeline],
        go_on=wanted.go_on,
    )
    finish(
        result,
        wanted.pipeline,
        json_output=json_output,
        events=events,
        keep=wanted.keep,
        go_on=wanted.go_on,
    )


def drive(
    settings: Settings,
    run_id: str,
    verb: Callable[[Runtime], Awaitable[RunResult[object]]],
    *,
    resources: Sequence[object],
    style: Style,
    pipelines: Sequence[Pipeline[object, object]],
    go_on: str = "",
    again: str = "",
) -> RunResult[object]:
    """Execute ``verb`` in a runtime of its own, with progress. Ctrl-C leaves a run that can be resumed.

    Args:
        again: what to do after Ctrl-C instead, where the run is no pipeline of the project that could be resumed.
    """
    import anyio

    from guardflow.runtime import Runtime

    way_back = _WayBack(run_id, go_on, again)

    async def main() -> RunResult[object] | None:
        came: list[RunResult[object] | Exception] = []  # stays empty when Ctrl-C cuts it short
        with anyio.CancelScope() as scope, interruptible(scope.cancel, way_back.words):
            async with Runtime(settings=settings, resources=resources, pipelines=pipelines) as runtime:
                came.append(await _shown_verb(runtime, run_id, verb, style, way_back))
        if not came:
            say(await way_back.told(settings))
            leave_within(_LAST_THREADS)
            return None
        if isinstance(came[0], Exception):
            raise came[0]
        way_back.began = True
        return came[0]

    result = anyio.run(main)
    if result is None:
        raise typer.Exit(INTERRUPTED)
    return result


@dataclass(slots=True)
class _WayBack:
    """How an interrupted run goes on."""

    run_id: str
    go_on: str
    again: str = ""
    began: bool = False
    """Whether the run is known to be stored."""

    def words(self) -> str:
        """What is said by a process that ends at once, and cannot look."""
        if self.again:
            return f"interrupted; {self.again}"
        known = "" if self.began else "if the run is in `guardflow runs list`, "
        return f"interrupted; {known}go on with: guardflow runs resume {self.run_id}{self.go_on}"

    async def told(self, settings: Settings) -> str:
        """What is said when there is time to look. A run stopped before its first row is none that could go on."""
        from guardflow.errors import DatabaseError, RunNotFound
        from guardflow.runtime.inspection import read_run

        try:
            await read_run(settings, self.run_id)
        except (DatabaseError, RunNotFound):
            return "interrupted before the run began; nothing was spent. Give the same command again"
        if self.again:
            return self.words()
        return f"interrupted; nothing that was paid is lost. Go on with: guardflow runs resume {self.run_id}{self.go_on}"

    async def seen(self, events: AsyncIterator[Event]) -> AsyncIterator[Event]:
        """The same events; the first one is of a run that is stored."""
        async for event in events:
            self.began = True
            yield event


async def _shown_verb(
    runtime: Runtime,
    run_id: str,
    verb: Callable[[Runtime], Awaitable[RunResult[object]]],
    style: Style,
    way_back: _WayBack,
) -> RunResult[object] | Exception:
    """The verb's result or error, as a value: raised in here, the task group would wrap it."""
    import anyio
    import anyio.lowlevel

    result: RunResult[object] | Exception = RunError(f"run {run_id!r} was stopped", hint="resume it")

    async def watch() -> None:
        await show(way_back.seen(runtime.watch(run_id)), style, run_id=run_id)

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.lowlevel.checkpoint()
        try:
            result = await verb(runtime)
        except Exception as error:  # noqa: BLE001  # the caller raises it
            result = error
        runtime.watchers.end(run_id)  # a run that was finished before has no last event that would say so
    return result


def finish(
    result: RunResult[object],
    pipeline: Pipeline[object, object],
    *,
    json_output: bool,
    events: bool = False,
    keep: Kept | None = None,
    go_on: str = "",
) -> None:
    """Keep a result's files, print it, and exit with its status; ``go_on`` as in `Wanted`.

    The files go first, and a folder that fails does not keep the report from being printed.
    """
    made: Mapping[str, bytes] = keep.files(result) if keep is not None and result.ok else {}
    told = ""
    try:
        if keep is not None and made:
            told = keep.write(result.run_id, made)
    finally:
        _print(result, pipeline, json_output=json_output, events=events, report=made.get(REPORT))
        say(_summary(result, go_on))
    if told:
        say(told)
    code = EXIT[result.status]
    if code:
        raise typer.Exit(code)


def _print(
    result: RunResult[object],
    pipeline: Pipeline[object, object],
    *,
    json_output: bool,
    events: bool,
    report: bytes | None,
) -> None:
    output = pipeline.output.dump(result.output) if result.ok else None
    if events:
        print_event("Result", _document(result, output))
    elif json_output:
        print_json(_document(result, output))
    elif result.ok:
        print_result(report.decode() if report is not None else _shown(output))


def _shown(output: JSON) -> str:
    return output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2)


def _document(result: RunResult[object], output: JSON) -> dict[str, JSON]:
    return {
        "run_id": result.run_id,
        "pipeline": result.pipeline,
        "status": result.status,
        "message": result.message,
        "degraded": list(result.degraded),
        "waiting": [
            cast("JSON", {"stage": p.stage, "item": p.item, "message": p.message}) for p in result.parked
        ],
        "spend": spend_document(result.spend),
        "output": output,
    }


def spend_document(spend: Spend) -> dict[str, JSON]:
    """What was spent, for programs."""
    return {
        "usd": str(spend.usd),
        "tokens": spend.tokens,
        "calls": spend.calls,
        "unpriced_calls": spend.unpriced,
    }


def spent(spend: Spend) -> str:
    """What was spent, for people."""
    calls, tokens = count(spend.calls, "call"), count(spend.tokens, "token")
    return f"{calls} · {tokens} · {cost(spend.nano_usd, spend.unpriced)}"


def _summary(result: RunResult[object], go_on: str) -> str:
    lines = [f"{result.status}: run {result.run_id} · {spent(result.spend)}"]
    if result.status == "degraded":
        lines.append(f"warning: these parts are degraded: {', '.join(result.degraded)}")
    if result.message and not result.ok:
        lines.append(line(result.message))
    if result.status == "failed":
        lines.append(f"when that is put right, go on with: guardflow runs resume {result.run_id}{go_on}")
    for parked in result.parked:
        item = f" --item {parked.item}" if parked.item >= 0 else ""
        lines.append(
            f"waits for you: guardflow runs answer {result.run_id} {parked.stage}{item} --value JSON | --retry | --skip"
        )
    if result.status == "over_budget":
        limits = "--budget-usd N | --budget-calls N | --budget-seconds N"
        lines.append(f"go on with a higher budget: guardflow runs resume {result.run_id}{go_on} {limits}")
    return "\n".join(lines)
