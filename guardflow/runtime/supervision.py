"""What a runtime does by itself: renew its leases, and adopt runs whose process died if it was told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio.abc import TaskGroup

from guardflow.errors import GuardflowError, RunIsLive, RunNotFound
from guardflow.records import Lease

if TYPE_CHECKING:
    from .runtime import Runtime


class Supervisor:
    """Runs in the background of an open runtime."""

    def __init__(self, runtime: Runtime, *, lease: float) -> None:
        self._runtime = runtime
        self._lease = lease

    async def beat(self) -> None:
        """Renew the leases of all runs that execute here; give up those that somebody took over."""
        runtime = self._runtime
        while True:
            await anyio.sleep(self._lease / 3)
            active = {run_id: live.take() for run_id, live in runtime.executor.live.items()}
            try:
                held = await runtime.backend.runs.renew(
                    runtime.backend.owner, seconds=self._lease, active=active
                )
            except GuardflowError:
                continue  # the database is away; the leases run out by themselves if it stays so
            for run_id, scope in list(runtime.executing.items()):
                if run_id not in held:
                    scope.cancel()

    async def adopt_all(self, group: TaskGroup) -> None:
        """Adopt every run whose process died and whose pipeline is known, again and again."""
        runtime = self._runtime
        while True:
            for row in await runtime.backend.runs.list(limit=1000):
                ours = row.pipeline in runtime.pipelines and row.run_id not in runtime.executing
                if row.state == "ended" or not ours:
                    continue
                try:
                    lease = await runtime.claim(row.run_id)
                except (RunIsLive, RunNotFound):
                    continue
                group.start_soon(self._adopt, lease, row.pipeline)
            await anyio.sleep(min(self._lease / 3, 5.0))

    async def _adopt(self, lease: Lease, pipeline: str) -> None:
        try:
            await self._runtime.drive(lease, self._runtime.backend.executions.adopt, pipeline)
        except Exception:  # noqa: BLE001  # recorded in its run; one run's end must not end the worker
            return
