"""A runtime that recovers all adopts runs whose process died; any other touches only the run it names."""

from __future__ import annotations

from typing import Literal

import anyio
import pytest
from conformance import Opener, calls, shout

from guardflow import pipeline, stage
from guardflow.settings import Settings

pytestmark = pytest.mark.anyio

hold = [True]


@stage
async def held(word: str) -> str:
    calls["held"] += 1
    while hold[0]:
        await anyio.sleep(0.01)
    return word + "!"


@pipeline("adopted")
async def adopted(word: str) -> str:
    return await held(await shout(word))


@pytest.fixture(params=["sqlite", "postgres"])
def stored(request: pytest.FixtureRequest, settings: Settings) -> Opener:
    calls.clear()
    hold[0] = True
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else None
    return Opener(url, settings)


async def left_behind(opened: Opener) -> None:
    """A run whose runtime was closed while a stage was at work."""
    async with opened(pipelines=[adopted]) as rt:
        await rt.start(adopted, "a", run_id="r")
        while not calls["held"]:
            await anyio.sleep(0.01)
    hold[0] = False


async def status_after(opened: Opener, *, recover: Literal["named", "all"], seconds: float) -> str | None:
    async with opened(pipelines=[adopted], recover=recover) as rt:
        with anyio.move_on_after(seconds):
            while (row := await rt.backend.runs.get("r")) is not None and row.state != "ended":
                await anyio.sleep(0.02)
        found = await rt.backend.runs.get("r")
    return None if found is None else found.status


async def test_a_worker_adopts_what_was_left_behind(stored: Opener) -> None:
    await left_behind(stored)
    assert await status_after(stored, recover="all", seconds=120) == "ok"
    assert calls["shout"] == 1


async def test_any_other_runtime_leaves_it_alone(stored: Opener) -> None:
    await left_behind(stored)
    assert await status_after(stored, recover="named", seconds=0.5) is None
    assert calls["held"] == 1
    async with stored(pipelines=[adopted]) as rt:
        assert (await rt.run(adopted, "a", run_id="r")).unwrap() == "A!"
