"""Stages in trouble: a provider that is dead, and one whose replies are sometimes ten times slower.

Each is measured with storm control and without: "without" is a policy whose breaker and retry budget never act.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness import Row, Series, Stopwatch, ask
from pydantic import BaseModel

from guardflow import Kind, Ladder, LLMStage, Model, Price, Runtime, fan_out, pipeline, switch, wait
from guardflow.models.limits import Policy, Storm
from guardflow.prompts import inline_prompt
from guardflow.testing import FaultProcess, Reply

STAGES = 50
BASE, SLOW, SHARE = 0.2, 2.0, 0.05
"""Seconds of a reply, of a slow one, and how many are slow."""
_ANSWER = {"text": "fine"}


class Answer(BaseModel):
    text: str


def storm_rows(repeat: int, calls: int, folder: Path) -> Sequence[Row]:
    """The table's lines about trouble."""
    return [*_dead(repeat, folder), *_hedged(repeat, 2 * calls, folder)]


def _dead(repeat: int, folder: Path) -> Sequence[Row]:
    series = Series()
    answer = Reply.json(_ANSWER).but(delay=0.05)
    with (
        FaultProcess(Reply.status(503).but(delay=0.05), keep=1) as dead,
        FaultProcess(answer, keep=1) as alive,
    ):
        for turn in range(repeat):
            for name, control in (("with", True), ("without", False)):
                dead.reset()
                options = {"dead": dead.base_url, "alive": alive.base_url, "control": control}
                metrics = ask("storm-dead", folder / f"dead-{name}-{turn}", **options)
                sent = {"sent": dead.stats()["requests"] / (2 * STAGES)}
                series.add(name, {**metrics, **sent, "again": metrics["second"] / STAGES})

    def wall(name: str) -> str:
        return f"{series.median(name, 'wall_s'):.2f} s for {STAGES} stages"

    first = [value / STAGES for value in series.numbers["with", "first"]]
    bare = [value / STAGES for value in series.numbers["without", "first"]]
    return [
        Row(f"dead provider, {STAGES} stages at once: requests to it / first tries", first, most=1.1, detail=wall("with")),
        Row("  the next as many, the breaker being open", series.numbers["with", "again"], most=0),
        Row("  stages lost, with a model to switch to", series.numbers["with", "lost"], most=0),
        Row("  without storm control: requests / first tries", bare, detail=wall("without")),
    ]  # fmt: skip


def _hedged(repeat: int, calls: int, folder: Path) -> Sequence[Row]:
    series = Series()
    drawn = random.Random(7)
    good = Reply.json(_ANSWER)
    replies = [
        good.but(delay=SLOW if drawn.random() < SHARE else BASE) for _ in range(calls * 4 * (repeat + 1))
    ]
    for turn in range(repeat):
        part = replies[turn * calls * 2 :]
        for name, hedge in (("hedged", True), ("bare", False)):
            with FaultProcess(*part[: calls * 2], keep=1) as server:
                options = {"server": server.base_url, "calls": calls, "hedge": hedge}
                series.add(name, ask("storm-hedge", folder / f"{name}-{turn}", **options))

    def tail(metric: str) -> list[float]:
        return series.ratios(("hedged", metric), ("bare", metric))

    def both(metric: str) -> str:
        return f"{series.median('hedged', metric):.3f} s / {series.median('bare', metric):.3f} s"

    return [
        Row(f"hedging, {SHARE:.0%} of replies {SLOW / BASE:g} x slower: p99 / without", tail("p99"), most=0.5, detail=both("p99")),
        Row("  requests / without", tail("requests"), most=1.07, detail=f"{calls} stages"),
        Row("  p95 / without", tail("p95"), detail=both("p95")),
        Row("  median / without", tail("p50"), detail=both("p50")),
        Row("  tokens counted / without (the slower one of a pair counts as reserved)", tail("tokens")),
    ]  # fmt: skip


# --- in the worker's process ------------------------------------------------------------------------


async def dead_peer(dead: str, alive: str, *, control: bool) -> Mapping[str, Sequence[float]]:
    """Two runs of `STAGES` stages, all at once, on a dead provider, with another model to switch to."""
    ladder = Ladder(wait(4), switch(_at(alive, name="alive"), on=Kind.TRANSIENT))
    stage = _stage(_at(dead, name="dead"), ladder)

    @pipeline("storm")
    async def storm(n: int) -> list[str]:
        return [o.status for o in await fan_out(stage, [str(i) for i in range(n)], limit=n, errors="collect")]

    first: list[float] = []
    async with Runtime("sqlite:///storm.db") as rt:
        if control:
            rt.services.models.storm = Storm(
                Policy(cooldown=600.0, longest_cooldown=600.0)
            )  # no probe is due
        else:
            _let_everything_through(rt)
        watch, lost = Stopwatch(), 0
        for _ in range(2):
            result = await rt.run(storm, STAGES)
            lost += sum(status != "ok" for status in result.unwrap())
            first.append(float(sum(a.paid and a.start.model == "openai/dead" for a in result.attempts)))
        wall = watch.wall() / 2
    return {"first": first[:1], "second": first[1:], "lost": [float(lost)], "wall_s": [wall]}


async def hedge_peer(server: str, calls: int, *, hedge: bool) -> Mapping[str, Sequence[float]]:
    """Latencies of stages, ten at a time, after the gate has learnt how long replies take."""
    stage = _stage(_at(server, hedge=hedge), Ladder())

    @pipeline("tail")
    async def tail(n: int) -> int:
        return len(await fan_out(stage, [str(i) for i in range(n)], limit=10))

    async with Runtime("sqlite:///tail.db") as rt:
        await rt.run(tail, 30)
        result = await rt.run(tail, calls)
        result.unwrap()
    began: dict[int, float] = {}
    ended: dict[int, float] = {}
    for attempt in result.attempts:
        item, end = attempt.start.key.item, attempt.end
        began[item] = min(began.get(item, attempt.start.started_at), attempt.start.started_at)
        if end is not None and end.completion is not None:
            ended[item] = end.ended_at
    took = sorted(ended[item] - began[item] for item in began)
    ranked = {f"p{p}": [took[min(len(took) * p // 100, len(took) - 1)]] for p in (50, 95, 99)}
    return {**ranked, "requests": [float(len(result.attempts))], "tokens": [float(result.spend.tokens)]}


def _at(base: str, *, name: str = "tail", hedge: bool | None = None) -> Model:
    return Model(
        f"openai/{name}", api_base=base, price=Price(input=1.0, output=4.0), max_tokens=50, hedge=hedge
    )


def _stage(model: Model, ladder: Ladder) -> LLMStage[str, Answer]:
    prompt = inline_prompt("{{ input | fenced }}", ["input"])
    return LLMStage("ask", str, Answer, prompt=prompt, model=model, ladder=ladder)


def _let_everything_through(rt: Runtime) -> None:
    off = Policy(calls=10**9, retry_start=1e9, retry_most=2e9, concurrency=1024)
    rt.services.models.storm = Storm(off)
