"""What processes know about providers goes over a board, and no request waits for it.

`tests/durability/test_storm_kills.py` has real processes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from guardflow import DatabaseUnreachable, Model
from guardflow.hashing import JSON
from guardflow.models.routing import Models
from guardflow.records import Said
from guardflow.runtime.sharing import listen
from guardflow.settings import load_settings

pytestmark = pytest.mark.anyio


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
    models = Models(load_settings())
    gate = models.storm.gate(Model("openai/x"))
    assert gate is not None
    await gate.enter(1)
    await listen(None, models)
    assert list(models.storm.news(epoch=0.0)) == ["openai/x"]  # nothing counts as told
