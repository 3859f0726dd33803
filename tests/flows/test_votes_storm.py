"""Votes while a provider is out: the others decide, nobody waits for it, and a panel without others waits for a resume."""

from __future__ import annotations

import anyio
import pytest
from vote_lab import Answer, voting

from guardflow import (
    Kind,
    Ladder,
    LLMStage,
    Model,
    Price,
    Runtime,
    Vote,
    abstain,
    ahead_by,
    fan_out,
    pipeline,
    wait,
)
from guardflow.models.limits import Policy, Storm
from guardflow.testing import FaultServer, Reply

pytestmark = pytest.mark.anyio

LADDER = Ladder(wait(2, on=Kind.TRANSIENT, base=0.001, cap=600.0), otherwise=abstain())
MANY = 12


def on_wire(server: FaultServer) -> Model:
    return Model("openai/own", api_base=server.base_url, price=Price(1.0, 4.0), max_tokens=50)


async def statuses(rt: Runtime, stage: LLMStage[str, Answer], run_id: str) -> list[str]:
    @pipeline(run_id)
    async def many(n: int) -> list[str]:
        words = [f"q{i}" for i in range(n)]
        return [o.status for o in await fan_out(stage, words, limit=n, errors="collect")]

    return (await rt.run(many, MANY, run_id=run_id)).unwrap()


async def test_a_panel_goes_on_without_a_provider_that_is_out_and_does_not_wait_for_it() -> None:
    with (
        FaultServer(Reply.status(503)) as dead,
        FaultServer(Reply.json({"text": "fine", "size": 1})) as alive,
    ):
        stage = voting(Vote([on_wire(dead), on_wire(alive)], rule=ahead_by(2), max=6), ladder=LADDER)
        async with Runtime("memory") as rt:
            rt.services.models.storm = Storm(Policy(cooldown=600.0, longest_cooldown=600.0))
            assert await statuses(rt, stage, "first") == ["ok"] * MANY
            sent, began = dead.count, anyio.current_time()
            assert await statuses(rt, stage, "second") == ["ok"] * MANY
        assert anyio.current_time() - began < 120
    assert dead.count <= sent + 2  # a probe now and then
    assert alive.count == 2 * 2 * MANY


async def test_a_panel_of_one_provider_that_is_out_waits_for_a_resume() -> None:
    with FaultServer(Reply.status(503)) as dead:
        stage = voting(Vote(on_wire(dead), rule=ahead_by(2), max=3))
        async with Runtime("memory") as rt:
            rt.services.models.storm = Storm(Policy(cooldown=600.0, longest_cooldown=600.0))
            await statuses(rt, stage, "first")
            sent = dead.count
            assert await statuses(rt, stage, "second") == ["waiting"] * MANY
        assert dead.count == sent
