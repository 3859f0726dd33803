"""Peers that go on with a run whose process died after so many finished steps: raw DBOS, and guardflow.

With ``prepare`` a peer makes that run and dies, as after kill -9. Without, it resumes a copy of what was left
behind. DBOS's clock runs from the first line of the workflow to its last, because it starts what it recovers by
a queue that it polls; guardflow's also covers all that comes before: finding, claiming and reading the run.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from harness import Stopwatch
from peers_steps import launch_dbos
from pydantic import BaseModel

ANSWER = {"text": "The moon causes most of the tide, and the sun adds about a third to it.", "certainty": 0.9}


class Question(BaseModel):
    text: str
    number: int


class Claim(BaseModel):
    text: str
    certainty: float


def question(n: int) -> Question:
    return Question(text="What causes the tides, and how sure is that?", number=n)


async def dbos_peer(
    *, calls: int, prepare: bool = False, source: str | None = None
) -> Mapping[str, list[float]]:
    """Steps that return the answer's JSON."""
    from dbos import DBOS, SetWorkflowID

    executed: list[int] = []
    ended: asyncio.Event = asyncio.Event()
    last: list[tuple[float, float]] = []

    async def ask(asked: dict[str, object]) -> dict[str, object]:
        executed.append(1)
        return ANSWER

    @DBOS.workflow(name="replayed")
    async def replayed(count: int) -> int:
        watch = Stopwatch()
        for n in range(count):
            await DBOS.run_step_async(None, ask, question(n).model_dump())
        if prepare and count == calls:
            os._exit(0)
        last.append((watch.cpu(), watch.wall()))
        ended.set()
        return count

    folder = _folder("raw", source)
    launch_dbos(folder, executor="first" if prepare else "second")
    if prepare:
        with SetWorkflowID("left"):
            await replayed(calls)
    await replayed(10)  # warm
    ended.clear()
    executed.clear()
    await asyncio.to_thread(DBOS._recover_pending_workflows, ["first"])
    await ended.wait()
    cpu, wall = last[-1]
    assert not executed
    DBOS.destroy()
    return {"cpu_ms": [1_000 * cpu], "wall_ms": [1_000 * wall], "asked": [len(executed)]}


async def guardflow_peer(
    *, calls: int, prepare: bool = False, source: str | None = None
) -> Mapping[str, list[float]]:
    """Model stages; the model is scripted and counts what it is asked."""
    from guardflow import LLMStage, Model, Runtime, pipeline
    from guardflow.prompts import inline_prompt
    from guardflow.settings import Settings
    from guardflow.testing import Scripted

    last: list[tuple[float, float]] = []
    watch = Stopwatch()
    prompt = inline_prompt(
        '{% message "user" %}{{ text }} ({{ number }}){% endmessage %}', ("text", "number"), name="ask"
    )
    ask = LLMStage("ask", Question, Claim, prompt=prompt, model=Model("fast"))

    @pipeline("replayed")
    async def replayed(count: int) -> int:
        for n in range(count):
            await ask(question(n))
        if prepare and count == calls:
            os._exit(0)
        last.append((watch.cpu(), watch.wall()))
        return count

    model = Scripted(ANSWER)
    settings = Settings(home=_folder("state", source))
    async with Runtime(settings=settings, models={"fast": model}, pipelines=[replayed]) as runtime:
        if prepare:
            await runtime.run(replayed, calls, run_id="left")
        await runtime.run(replayed, 10)  # warm
        warm = model.count
        watch = Stopwatch()
        result = await runtime.resume("left")
        assert result.unwrap() == calls
    cpu, wall = last[-1]
    return {"cpu_ms": [1_000 * cpu], "wall_ms": [1_000 * wall], "asked": [model.count - warm]}


def _folder(name: str, source: str | None) -> Path:
    """The database's folder; a copy of the one that ``source`` holds."""
    folder = Path.cwd() / name
    if source is not None:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(Path(source) / name, folder)
    return folder
