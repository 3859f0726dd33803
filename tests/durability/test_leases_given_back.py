"""Whatever stops a run before its first step: the lease is given back, and the same process can go on at once."""

from __future__ import annotations

import anyio
import pytest

from guardflow import Runtime, StageEnded, pipeline, stage
from guardflow.errors import StateError
from guardflow.settings import Settings

pytestmark = pytest.mark.anyio

well = [False]


@stage
async def fickle(word: str) -> str:
    if not well[0]:
        raise StageEnded("not today")
    return word


@pipeline("fickle")
async def run_fickle(word: str) -> str:
    return await fickle(word)


async def test_a_run_that_is_cancelled_at_any_moment_can_go_on_here_at_once(
    database: str | None, settings: Settings
) -> None:
    well[0] = True
    async with Runtime(database, settings=settings) as rt:
        for n in range(25):
            with anyio.move_on_after(n * 0.0008):
                await rt.run(run_fickle, "a", run_id=f"r{n}")
            assert (await rt.run(run_fickle, "a", run_id=f"r{n}")).unwrap() == "a"


async def test_a_reopening_that_fails_keeps_no_lease(database: str | None, settings: Settings) -> None:
    well[0] = False
    async with Runtime(database, settings=settings) as rt:
        assert (await rt.run(run_fickle, "a", run_id="r")).status == "failed"
        ledger, opened = rt.backend.ledger, rt.backend.ledger.open_rounds

        async def refuse(rows: object) -> None:
            raise StateError("another command opened it", hint="look again")

        ledger.open_rounds = refuse  # type: ignore[method-assign, assignment]  # as two commands at once would
        with pytest.raises(StateError, match="another command"):
            await rt.resume("r")
        ledger.open_rounds = opened  # type: ignore[method-assign]
        well[0] = True
        assert (await rt.resume("r")).unwrap() == "a"
