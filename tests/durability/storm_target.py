"""What the child processes of the storm tests run: a run whose provider is out, and one whose requests are hedged.

Loaded by the fork server from its path; the tests import it for its names only.
"""

from __future__ import annotations

import asyncio
import os
import signal
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from guardflow import Kind, Ladder, LLMStage, Model, Price, Runtime, fan_out, pipeline, switch
from guardflow.prompts import inline_prompt
from guardflow.settings import load_settings

PROMPT = inline_prompt("{{ input | fenced }}", ["input"])
HEDGED = 24
"""Requests that are known before the hedged one: a few more than a first hedge needs."""


class Answer(BaseModel):
    text: str


def at(base: str, **options: Any) -> Model:
    return Model("openai/own", api_base=base, price=Price(input=1.0, output=4.0), max_tokens=50, **options)


def outage(job: Mapping[str, Any]) -> dict[str, Any]:
    """Ask fifteen times at once: a provider that is out, and then another."""
    ladder = Ladder(switch(at(job["alive"]), on=Kind.TRANSIENT))
    ask = LLMStage("ask", str, Answer, prompt=PROMPT, model=at(job["dead"]), ladder=ladder)

    @pipeline("fifteen")
    async def fifteen(n: int) -> list[str]:
        return [a.text for a in await fan_out(ask, [str(i) for i in range(n)], limit=n)]

    return asyncio.run(_run(fifteen, 15, job))


def die_if_told(by: Path) -> None:
    """A file says so, once."""
    if by.exists():
        by.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def hedged(job: Mapping[str, Any]) -> dict[str, Any]:
    """Ask one after the other; the last one is slow, so that it is hedged. A file says whether to die then."""
    pid, dies = Path(job["home"], "pid"), Path(job["home"], "dies")
    pid.write_text(str(os.getpid()))
    model = at(job["server"], hedge=True)
    ask = LLMStage("ask", str, Answer, prompt=PROMPT, model=model, ladder=Ladder())

    @pipeline("hedged")
    async def hedged(n: int) -> list[str]:
        got = [(await ask(str(i))).text for i in range(n)]
        die_if_told(dies)
        return got

    return asyncio.run(_run(hedged, HEDGED + 1, job))


async def _run(running: Any, n: int, job: Mapping[str, Any]) -> dict[str, Any]:
    warnings.simplefilter("ignore")  # litellm's own, in its first call
    home = Path(job["home"])
    async with Runtime(job["database"], settings=load_settings(home, home=home)) as rt:
        result = await rt.run(running, n, run_id=job["run"])
    return {"output": result.output, "calls": result.spend.calls, "in_doubt": result.spend.in_doubt}
