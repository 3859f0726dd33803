"""Run jobs side by side, so that the first failure is the failure.

The runner uses it for the guards of a stage, composed guards for their parts. It starts no task it does not wait for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import anyio


async def together(jobs: Sequence[Callable[[], Awaitable[None]]]) -> None:
    """Run jobs concurrently; the first failure cancels the rest and is raised as itself, not in a group."""
    if len(jobs) == 1:
        await jobs[0]()
        return
    failed: list[Exception] = []

    async def run(job: Callable[[], Awaitable[None]]) -> None:
        try:
            await job()
        except Exception as error:  # noqa: BLE001 - raised again below, outside of the group
            failed.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(run, job)
    if failed:
        raise failed[0]
