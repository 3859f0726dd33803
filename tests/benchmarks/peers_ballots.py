"""Three answers to one question: a vote of guardflow that casts three ballots, and instructor on litellm three times.

The vote parses, guards and compares its ballots, and its attempts are written down; instructor's three calls are
made at once, and nobody compares them. `ballot_rows` prints the CPU of each, on the same server.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness import Row, Series, Stopwatch, ask
from peers_calls import (
    ANSWER,
    Page,
    Reading,
    bench_model,
    durably,
    messages,
    pages,
    reading_stage,
    spread,
)

if TYPE_CHECKING:
    from guardflow import Vote

BALLOTS = 3
LIMIT = 16
"""Questions at a time, each with `BALLOTS` requests."""
WAYS = {
    "in a durable run": "ballots-durable",
    "in a plain call": "ballots-plain",
}


def ballot_rows(repeat: int, calls: int, rounds: int, folder: Path) -> Sequence[Row]:
    """The table's lines about the CPU of a vote."""
    from guardflow.testing import FaultProcess, Reply

    series = Series()
    theirs = ("ballots-instructor", "cpu_ms")
    with FaultProcess(Reply.json(ANSWER), keep=1) as server:
        options = {"server": server.base_url, "calls": max(calls // BALLOTS, 1), "rounds": rounds}
        for turn in range(repeat):
            for peer in (*WAYS.values(), theirs[0]):
                server.reset()
                metrics = ask(peer, folder / f"{peer}-{turn}", **options)
                asked = server.stats()["requests"] / metrics.pop("questions")
                series.add(peer, {**metrics, "asked": asked})
    rows: list[Row] = []
    for way, peer in WAYS.items():
        detail = f"{series.median(peer, 'cpu_ms'):.2f} ms / {series.median(*theirs):.2f} ms"
        what = f"CPU: a vote of {BALLOTS} ballots {way} / {BALLOTS} parallel calls of instructor on litellm"
        rows.append(Row(what, series.ratios((peer, "cpu_ms"), theirs), most=1.0, detail=detail))
        asked = series.ratios((peer, "asked"), (theirs[0], "asked"))
        said = f"{series.median(peer, 'asked'):.2f} a question"
        rows.append(Row("  requests / instructor's", asked, most=1.0, detail=said))
    return rows


# --- in the worker's process ------------------------------------------------------------------------


async def measured(
    run: Callable[[list[Page]], Awaitable[object]], *, calls: int, rounds: int
) -> Mapping[str, Sequence[float]]:
    """CPU milliseconds a question, over rounds of ``calls`` questions, after a warm-up; and all questions asked."""
    warm, cpu = min(calls, 50), list[float]()
    await run(pages(warm))
    for turn in range(1, rounds + 1):
        items, watch = pages(calls, start=1_000 * turn), Stopwatch()
        await run(items)
        cpu.append(1_000 * watch.cpu() / calls)
    return {"cpu_ms": cpu, "questions": [warm + rounds * calls]}


async def durable_peer(server: str, **options: int) -> Mapping[str, Sequence[float]]:
    """A stage whose model is a vote, in `fan_out`: two guards, ledger, budget, on SQLite."""
    async with durably(lambda base: reading_stage(_vote(base)), limit=LIMIT) as run:
        return await measured(lambda items: run(server, items), **options)


async def plain_peer(server: str, **options: int) -> Mapping[str, Sequence[float]]:
    """The same stage called outside of a run: nothing is stored."""
    stage = reading_stage(_vote(server))
    return await measured(lambda items: spread(stage, items, limit=LIMIT), **options)


async def instructor_peer(server: str, **options: int) -> Mapping[str, Sequence[float]]:
    """`asyncio.gather` over three calls, as instructor's documentation makes them."""
    import instructor
    import litellm

    client = instructor.from_litellm(litellm.acompletion, mode=instructor.Mode.JSON_SCHEMA)

    async def call(page: Page) -> Sequence[Reading]:
        return await asyncio.gather(
            *(
                client.chat.completions.create(
                    model="openai/bench",
                    messages=messages(page),
                    api_base=server,
                    response_model=Reading,
                    max_tokens=1024,
                )
                for _ in range(BALLOTS)
            )
        )

    return await measured(lambda items: spread(call, items, limit=LIMIT), **options)


def _vote(base: str) -> Vote:
    from guardflow import Vote, unanimous

    # Nothing less casts three ballots that agree: a majority of three is decided by two.
    return Vote(bench_model(base), rule=unanimous(BALLOTS))
