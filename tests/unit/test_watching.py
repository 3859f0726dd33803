"""Who watches a run sees every event, however late it comes to read them."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from guardflow.events import Event, RunFinished, StageStarted
from guardflow.runtime.watching import Watchers

pytestmark = pytest.mark.anyio


async def test_what_was_published_before_the_end_is_still_read_after_it() -> None:
    watchers, late, seen = Watchers(), anyio.Event(), list[Event]()
    published = [StageStarted("r", step, "stage:s") for step in range(1, 1001)]

    async def watch() -> None:
        async for event in watchers.watch("r"):
            await late.wait()
            seen.append(event)

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        await anyio.wait_all_tasks_blocked()
        for event in published:
            watchers.publish(event)
        watchers.end("r")
        watchers.publish(RunFinished("r", "ok"))  # nobody is there any more
        watchers.end("r")
        await anyio.lowlevel.checkpoint()
        late.set()
    assert seen == published


async def test_a_run_that_says_nothing_ends_its_watchers_and_no_others() -> None:
    watchers, ended = Watchers(), list[str]()

    async def watch(run_id: str) -> None:
        assert [event async for event in watchers.watch(run_id)] == []
        ended.append(run_id)

    async with anyio.create_task_group() as group:
        for run_id in ("r", "r", "other"):
            group.start_soon(watch, run_id)
        await anyio.wait_all_tasks_blocked()
        watchers.end("r")
        await anyio.wait_all_tasks_blocked()
        assert ended == ["r", "r"]
        group.cancel_scope.cancel()
