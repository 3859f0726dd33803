"""Processes of one database share what they know about a provider, and no request waits for the database."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest
from pydantic import BaseModel

from guardflow import (
    DatabaseUnreachable,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Price,
    Runtime,
    fan_out,
    pipeline,
    switch,
)
from guardflow.hashing import JSON
from guardflow.models.routing import Models
from guardflow.prompts import inline_prompt
from guardflow.records import Said
from guardflow.runtime.sharing import listen
from guardflow.settings import Settings, load_settings
from guardflow.testing import FaultServer, Reply

pytestmark = pytest.mark.anyio


class Answer(BaseModel):
    text: str


def asked(dead: str, alive: str) -> LLMStage[str, Answer]:
    def at(base: str) -> Model:
        return Model("openai/own", api_base=base, price=Price(input=1.0, output=4.0), max_tokens=50)

    ladder = Ladder(switch(at(alive), on=Kind.TRANSIENT))
    prompt = inline_prompt("{{ input | fenced }}", ["input"])
    return LLMStage("ask", str, Answer, prompt=prompt, model=at(dead), ladder=ladder)


async def run_fifteen(settings: Settings, dead: str, alive: str, run_id: str) -> list[str]:
    ask = asked(dead, alive)

    @pipeline("fifteen")
    async def fifteen(n: int) -> list[str]:
        return [a.text for a in await fan_out(ask, [str(i) for i in range(n)], limit=n)]

    async with Runtime(settings=settings) as rt:
        return (await rt.run(fifteen, 15, run_id=run_id)).unwrap()


CHILD = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_storm_processes import load_settings, run_fifteen
settings = load_settings(Path(sys.argv[2]), home=Path(sys.argv[2]) / "state")
asyncio.run(run_fifteen(settings, sys.argv[3], sys.argv[4], "child"))
"""


async def test_a_breaker_that_one_process_opened_is_open_in_the_next(
    settings: Settings, tmp_path: Path
) -> None:
    dead_reply = Reply.status(503).but(headers={"Retry-After": "600"})
    with FaultServer(dead_reply) as dead, FaultServer(Reply.json({"text": "fine"})) as alive:
        here = str(Path(__file__).parent)
        command = [sys.executable, "-c", CHILD, here, str(tmp_path), dead.base_url, alive.base_url]
        done = await anyio.run_process(command, check=False, stderr=subprocess.PIPE)
        assert done.returncode == 0, done.stderr.decode()
        assert 10 <= dead.count <= 15
        before = dead.count
        assert await run_fifteen(settings, dead.base_url, alive.base_url, "parent") == ["fine"] * 15
        assert dead.count == before
        assert alive.count == 30


class Fleeting:
    """A board that is away at first."""

    def __init__(self) -> None:
        self.away = True
        self.told: list[Mapping[str, Mapping[str, JSON]]] = []

    async def exchange(self, mine: Mapping[str, Mapping[str, JSON]]) -> Sequence[Said]:
        if self.away:
            raise DatabaseUnreachable("gone", hint="wait")
        self.told.append(mine)
        return []


async def test_a_database_that_is_away_is_told_later() -> None:
    models, board = Models(load_settings()), Fleeting()
    gate = models.storm.gate(Model("openai/x"))
    assert gate is not None
    await gate.enter(1)
    await listen(board, models)
    assert models.storm.is_busy
    board.away = False
    await listen(board, models)
    assert list(board.told[0]) == ["openai/x"]
    await listen(board, models)
    assert board.told[1:] == [{}]


async def test_without_a_database_there_is_nobody_to_tell() -> None:
    await listen(None, Models(load_settings()))
