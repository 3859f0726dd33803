"""What the conformance tests share: stages that count their calls, and a runtime on the backend under test."""

from __future__ import annotations

from collections import Counter

from pydantic import BaseModel

from guardflow import (
    Ladder,
    LLMStage,
    Model,
    Runtime,
    abstain,
    stage,
)
from guardflow.prompts import inline_prompt
from guardflow.settings import Settings
from guardflow.testing import Scripted

FAST = Model("fast")

calls: Counter[str] = Counter()


class Words(BaseModel):
    words: list[str]


class Answer(BaseModel):
    text: str


class Opener:
    def __init__(self, database: str | None, settings: Settings) -> None:
        self.database, self.settings = database, settings

    def __call__(self, *models: Scripted, **options: object) -> Runtime:
        clients = {FAST: models[0]} if models else {}
        return Runtime(self.database, settings=self.settings, models=clients, **options)  # type: ignore[arg-type]


@stage
async def shout(word: str) -> str:
    calls["shout"] += 1
    return word.upper()


@stage
async def fragile(word: str) -> str:
    calls[f"fragile:{word}"] += 1
    if word == "bad" and calls["heal"] == 0:
        raise ValueError("cannot do this one")
    return word + "!"


def ask(name: str = "ask", *rungs: object, **options: object) -> LLMStage[str, Answer]:
    ladder = Ladder(*rungs, otherwise=options.pop("otherwise", abstain()))  # type: ignore[arg-type]  # from tests
    return LLMStage(
        name,
        str,
        Answer,
        prompt=inline_prompt("{{ input | fenced }}", ["input"]),
        model=FAST,
        ladder=ladder,
        **options,  # type: ignore[arg-type]  # from tests
    )
