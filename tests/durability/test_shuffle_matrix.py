"""Branches that end in any order, and runs that are broken off anywhere: a replay never swaps results.

Every run is cancelled at a random moment, as a crash would end it, and goes on with another random timing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from pydantic import BaseModel

from guardflow import (
    Context,
    Ladder,
    LLMStage,
    Model,
    Runtime,
    abstain,
    fan_out,
    first_of,
    pipeline,
    stage,
)
from guardflow.prompts import inline_prompt
from guardflow.settings import Settings
from guardflow.testing import Scripted
from guardflow.values import Request

pytestmark = pytest.mark.anyio

FAST = Model("fast")
LONGEST = 0.004
"""Seconds a branch takes at most."""
TRIES = 3
"""Executions that are broken off before a run may end."""


@dataclass(slots=True)
class Chance:
    """The timing of everything, and what was executed to its end, by run and call."""

    draw: random.Random
    finished: Counter[str] = field(default_factory=Counter[str])
    answered: Counter[str] = field(default_factory=Counter[str])

    async def pause(self) -> None:
        await anyio.sleep(self.draw.random() * LONGEST)

    def shuffled(self, count: int) -> list[int]:
        return self.draw.sample(range(count), count)


class Text(BaseModel):
    text: str


@stage
async def left(word: str, ctx: Context) -> str:
    chance = ctx.resource(Chance)
    await chance.pause()
    chance.finished[f"left {word}"] += 1
    return f"left {word}"


@stage
async def right(word: str, ctx: Context) -> str:
    chance = ctx.resource(Chance)
    await chance.pause()
    chance.finished[f"right {word}"] += 1
    return f"right {word}"


ask = LLMStage(
    "ask",
    str,
    Text,
    prompt=inline_prompt("{{ input }}", ["input"]),
    model=FAST,
    ladder=Ladder(otherwise=abstain()),
)


@pipeline("branch")
async def branch(word: str) -> str:
    first, second = await asyncio.gather(left(word), right(word))
    return f"{first} {second}"


_chances: dict[str, Chance] = {}


async def in_any_order(chance: Chance, calls: Sequence[Coroutine[object, None, Any]]) -> list[Any]:
    """Await calls that were made in order in an order of chance; results in the order they were made in."""
    order = chance.shuffled(len(calls))
    got = await asyncio.gather(*(calls[i] for i in order))
    return [value for _, value in sorted(zip(order, got, strict=True), key=lambda pair: pair[0])]


@pipeline("shuffled")
async def shuffled(name: str) -> list[str]:
    chance = _chances[name]
    # one type in, one type out, and many calls of one stage: nothing but its place tells a result from another
    mixed = [left(f"{name}.0"), ask(f"{name}.1"), left(f"{name}.2"), right(f"{name}.3"), ask(f"{name}.4")]
    got = [value if isinstance(value, str) else value.text for value in await in_any_order(chance, mixed)]
    items = await fan_out(left, [f"{name}.i{i}" for i in range(6)], limit=3)
    asked = await fan_out(ask, [f"{name}.a{i}" for i in range(4)], limit=4)
    children = await fan_out(branch, [f"{name}.b{i}" for i in range(3)], limit=3)
    won = await first_of(left(f"{name}.w"), right(f"{name}.w"))
    last = await right(f"{won}.l")
    return [*got, *items, *(a.text for a in asked), *children, won, last]


def expected(name: str, output: Sequence[str]) -> list[str]:
    """What must come out; only who won the race is up to chance."""
    won = output[-2]
    assert won in (f"left {name}.w", f"right {name}.w")
    return [
        *(f"{kind} {name}.{i}" for i, kind in enumerate(["left", "ask", "left", "right", "ask"])),
        *(f"left {name}.i{i}" for i in range(6)),
        *(f"ask {name}.a{i}" for i in range(4)),
        *(f"left {name}.b{i} right {name}.b{i}" for i in range(3)),
        won,
        f"right {won}.l",
    ]


@dataclass(slots=True)
class Bench:
    """A runtime, and what all runs on it came to."""

    runtime: Runtime
    chance: Chance
    within: float
    """Seconds within which a run is broken off: about what one takes."""
    broken: int = 0

    async def shuffle(self, seed: int) -> None:
        """One run: broken off up to three times at random moments, then run to its end, twice."""
        name = f"s{seed}"
        chance = _chances[name] = Chance(random.Random(seed))
        for _ in range(TRIES):
            with anyio.move_on_after(chance.draw.random() * self.within) as limit:
                await self.runtime.run(shuffled, name, run_id=name)
            self.broken += limit.cancelled_caught
        result = (await self.runtime.run(shuffled, name, run_id=name)).unwrap()
        assert result == expected(name, result)
        again = await self.runtime.run(shuffled, name, run_id=name)
        assert again.output == result
        del _chances[name]

    async def shuffle_all(self, seeds: range) -> None:
        for seed in seeds:
            await self.shuffle(seed)
        # Every answer that arrived was kept: no question was answered twice, whatever was broken off after it.
        assert set(self.chance.answered.values()) == {1}
        assert len(self.chance.answered) == 6 * len(seeds)
        # How many runs were broken off in time depends on the machine; too few would prove nothing.
        assert self.broken > len(seeds) // 5


@asynccontextmanager
async def bench(database: str | None, settings: Settings, seed: int) -> AsyncIterator[Bench]:
    chance = Chance(random.Random(seed))

    async def reply(request: Request) -> Text:
        await chance.pause()
        word = request.messages[-1].content.strip()
        chance.answered[word] += 1
        return Text(text=f"ask {word}")

    async with Runtime(
        database, settings=settings, resources=[chance], models={FAST: Scripted(reply)}
    ) as runtime:
        yield Bench(runtime, chance, within=0.03 if database == "memory" else 0.2)


async def test_a_replay_never_swaps_results(database: str | None, settings: Settings) -> None:
    count = 60 if database == "memory" else 10
    async with bench(database, settings, 1) as b:
        await b.shuffle_all(range(count))


@pytest.mark.matrix
async def test_the_whole_shuffle_matrix(database: str | None, settings: Settings) -> None:
    count = 1000 if database == "memory" else 100
    async with bench(database, settings, 2) as b:
        await b.shuffle_all(range(10_000, 10_000 + count))
