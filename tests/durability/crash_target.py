"""What the child processes of the durability tests run: pipelines that cross every construct, and deep research.

Loaded by the fork server from its path; the tests import it for its types only. Nothing here is random.
"""

from __future__ import annotations

import asyncio
import os
import warnings
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import anyio.lowlevel
import crash_research
import crash_votes
from pydantic import BaseModel

import guardflow
from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Pipeline,
    Runtime,
    abstain,
    degrade,
    fan_out,
    first_of,
    guard,
    pipeline,
    reask,
    stage,
    wait,
)
from guardflow.prompts import Prompt, inline_prompt
from guardflow.settings import Settings, load_settings
from pipelines.deep_research import deep_research
from pipelines.examples.qa import Library, Question, qa

FAST, JUDGE = Model("fast"), Model("judge")
PAGES = {
    "north": "Long rivers flow north. They freeze late.",
    "south": "Short rivers flow south. They never freeze.",
    "east": "Deep lakes lie east. They feed rivers.",
    "west": "Salt lakes lie west. Nothing lives there.",
}


class Text(BaseModel):
    text: str


class Report(BaseModel):
    """Everything that the pipeline saw, and whether what it recorded was the same all along."""

    parts: list[str]
    steady: bool
    calls_left: int | None


def task(name: str) -> Prompt:
    return inline_prompt(
        f'{{% message "system" %}}TASK {name}{{% endmessage %}}{{% message "user" %}}{{{{ input | fenced }}}}'
        "{% endmessage %}",
        ["input"],
    )


LADDER = Ladder(
    wait(3, base=0.01, cap=0.05), reask(2, on=Kind.INVALID | Kind.GUARD | Kind.EMPTY), otherwise=abstain()
)


def asking(name: str, **options: Any) -> LLMStage[str, Text]:
    return LLMStage(name, str, Text, prompt=task(name), model=FAST, **{"ladder": LADDER, **options})


@guard(asks=1)
async def is_kind(text: Text, ctx: GuardContext[str]) -> AsyncIterator[Finding]:
    """A guard that asks a model of its own."""
    said = await ctx.ask(JUDGE, "TASK judge", Text, answer=text.text)
    if said.text != "kind":
        yield Finding("this is not kind", at=("text",))


def shorter(word: str, findings: tuple[Finding, ...]) -> Text:
    return Text(text=f"{word} by itself")


write = asking("write")
judged = asking("judged", guards=[is_kind.reject()])
tag = asking("tag", ladder=Ladder(wait(3, base=0.01, cap=0.05), otherwise=degrade()), fallback=shorter)
hare = asking("hare")
tortoise = asking("tortoise")


@stage
async def shout(word: str) -> str:
    await anyio.lowlevel.checkpoint()
    return word.upper()


@stage
def whisper(word: str) -> str:
    """In a worker thread."""
    return word.lower()


@pipeline("note")
async def note(word: str) -> Text:
    written = await write(word)
    return Text(text=await shout(written.text))


@pipeline("everything")
async def everything(word: str) -> Report:
    """Gather, children, races, judges, recorded values: one of each."""
    recorded = f"{await guardflow.now()} {await guardflow.uuid()} {await guardflow.random()}"
    stamp = await whisper(recorded)  # replayed with another value it would be a ReplayMismatch
    written, loud = await asyncio.gather(write(word), shout(word))
    kind = await judged(word)
    notes = await fan_out(note, [f"{word}-{i}" for i in range(3)], limit=2)
    first = await first_of(tortoise(word), hare(word))
    await guardflow.sleep(0.005)
    left = await guardflow.budget_left()
    tags = await fan_out(tag, [f"{word}-{c}" for c in "abcdef"], limit=3)
    collected = await fan_out(shout, ["x", "y"], errors="collect")
    again = await note(f"{word}-last")
    parts = [written.text, loud, kind.text, *(n.text for n in notes), first.text, *(t.text for t in tags)]
    parts += [outcome.unwrap() for outcome in collected] + [again.text]
    return Report(parts=parts, steady=stamp == recorded.lower(), calls_left=left.calls)


@pipeline("wide")
async def wide(count: int) -> list[str]:
    """One fan_out of many items, for takeovers in the middle of it."""
    return [t.text for t in await fan_out(tag, [f"w-{i}" for i in range(count)], limit=10)]


PIPELINES: Mapping[str, tuple[Pipeline[Any, Any], Any]] = {
    "qa": (qa, Question(text="Where do the rivers flow?")),
    "everything": (everything, "w-word"),
    "wide": (wide, 100),
    "research": (deep_research, crash_research.REQUEST),
    "votes": (crash_votes.votes, "w-word"),
}


def settings_for(job: Mapping[str, Any]) -> Settings:
    model = {"name": "fault", "api_base": job["server"], "price": {"input": 1.0, "output": 2.0}}
    return load_settings(
        Path(job["home"]), home=job["home"], models={"fast": model, "strong": model, "judge": model}
    )


def prepare(job: Mapping[str, Any]) -> None:
    """Create the tables and the installation's secret, and index the corpus of deep research."""

    async def main() -> None:
        async with Runtime(job["database"], settings=settings_for(job)):
            pass

    asyncio.run(main())
    crash_research.shelve(Path(job["home"]))


def execute(job: Mapping[str, Any]) -> dict[str, Any]:
    """Run, or go on with, the pipeline that the job names; says how it ended, as JSON."""
    Path(job["home"], "pid").write_text(str(os.getpid()))
    warnings.simplefilter("ignore")  # litellm's own, in its first call
    return asyncio.run(_execute(job))


async def _execute(job: Mapping[str, Any]) -> dict[str, Any]:
    running, given = PIPELINES[job["pipeline"]]
    options = {"lease": job["lease"]} if "lease" in job else {}
    home = Path(job["home"])
    resources = [crash_research.opened(home)] if running is deep_research else [Library(PAGES)]
    try:
        async with Runtime(job["database"], settings=settings_for(job), resources=resources, **options) as rt:
            result = await rt.run(running, given, run_id=job["run"])
    except guardflow.GuardflowError as error:
        return {"error": type(error).__name__, "message": error.message}
    output = result.output
    return {
        "status": result.status,
        "files": crash_research.deliver(home, result) if running is deep_research else None,
        "output": output.model_dump_json() if isinstance(output, BaseModel) else output,
        "message": result.message,
        "degraded": list(result.degraded),
        "spend": {
            "tokens": result.spend.tokens,
            "nano": result.spend.nano_usd,
            "calls": result.spend.calls,
            "in_doubt": result.spend.in_doubt,
        },
    }
