"""Peers that run code steps one after the other: raw DBOS, and guardflow's stages on the same engine settings."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from harness import Stopwatch


async def measured(
    run: Callable[[int], Awaitable[int]], *, calls: int, rounds: int
) -> Mapping[str, list[float]]:
    """CPU and wall milliseconds a step, over rounds of ``calls`` steps, after a warm-up."""
    out: dict[str, list[float]] = {"cpu_ms": [], "wall_ms": []}
    await run(min(calls, 50))
    for _ in range(rounds):
        watch = Stopwatch()
        assert await run(calls) == calls
        out["cpu_ms"].append(1_000 * watch.cpu() / calls)
        out["wall_ms"].append(1_000 * watch.wall() / calls)
    return out


async def dbos_peer(**options: object) -> Mapping[str, list[float]]:
    """`DBOS.run_step_async` in a workflow, on SQLite with guardflow's pragmas."""
    from dbos import DBOS

    async def add_one(n: int) -> int:
        return n + 1

    @DBOS.workflow(name="steps")
    async def steps(count: int) -> int:
        n = 0
        for _ in range(count):
            n = await DBOS.run_step_async(None, add_one, n)
        return n

    launch_dbos(Path.cwd() / "raw", executor="bench")
    try:
        return await measured(steps, **options)
    finally:
        DBOS.destroy()


async def guardflow_peer(**options: object) -> Mapping[str, list[float]]:
    """A `@stage` called in a pipeline."""
    from guardflow import Runtime, pipeline, stage
    from guardflow.settings import Settings

    @stage
    async def add_one(n: int) -> int:
        return n + 1

    @pipeline("steps")
    async def steps(count: int) -> int:
        n = 0
        for _ in range(count):
            n = await add_one(n)
        return n

    async with Runtime(settings=Settings(home=Path.cwd() / "state")) as runtime:

        async def run(count: int) -> int:
            return (await runtime.run(steps, count)).unwrap()

        return await measured(run, **options)


def launch_dbos(folder: Path, *, executor: str) -> None:
    """Raw DBOS on a database that `guardflow.store.engine` opens: the same journal, locks and pool."""
    from dbos import DBOS

    from guardflow.store.engine import open_database

    database = open_database(None, home=folder)
    DBOS(
        config={
            "name": "bench",
            "system_database_url": database.url.render_as_string(hide_password=False),
            "system_database_engine": database.engine,
            "executor_id": executor,
            "application_version": "bench",
            "log_level": "ERROR",
        }
    )
    DBOS.launch()
