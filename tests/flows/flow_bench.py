"""A database with a finished run in it, a flow to break, and every request counted: for tests of bad input."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager

import pytest
from pydantic import BaseModel

from guardflow import (
    Budget,
    LLMStage,
    Model,
    Runtime,
    pipeline,
    stage,
)
from guardflow.errors import (
    GuardflowError,
)
from guardflow.flow.pipeline import Pipeline
from guardflow.prompts import inline_prompt
from guardflow.settings import Settings
from guardflow.testing import FaultServer, Scripted

FAST = Model("fast")
PROMPT = inline_prompt("{{ input | fenced }}", ["input"])


class Answer(BaseModel):
    text: str


class Question(BaseModel):
    text: str


@stage
async def shout(word: str) -> str:
    return word.upper()


def asking(*, name: str = "ask", **options: object) -> LLMStage[str, Answer]:
    return LLMStage(name, str, Answer, **{"prompt": PROMPT, "model": FAST, **options})  # type: ignore[arg-type]  # from tests


def as_flow(function: Callable[[str], Coroutine[object, None, str]]) -> Pipeline[str, str]:
    """Another version of the one pipeline of these tests: its runs go on with whichever is there."""
    function.__module__ = __name__
    return pipeline("flow")(function)


def flow(ask: LLMStage[str, Answer]) -> Pipeline[str, str]:
    """A finished code stage, then the stage that has something wrong with it."""

    @as_flow
    async def flow(word: str) -> str:
        return (await ask(await shout(word))).text

    return flow


GOOD = flow(asking())


class Bench:
    """A database with a finished run in it, a scripted model, and a real server: all requests are counted."""

    def __init__(self, database: str | None, settings: Settings, server: FaultServer) -> None:
        self.database, self.settings, self.server = database, settings, server
        self.model = Scripted(Answer(text="fine"))

    @property
    def sent(self) -> int:
        return self.model.count + self.server.count

    @asynccontextmanager
    async def opened(self, **options: object) -> AsyncIterator[Runtime]:
        models = {FAST: self.model}
        async with Runtime(self.database, settings=self.settings, models=models, **options) as rt:  # type: ignore[arg-type]  # from tests
            yield rt

    async def prepare(self) -> None:
        async with self.opened() as rt:
            assert (await rt.run(GOOD, "before", run_id="before")).unwrap() == "fine"

    async def refuses(
        self, error: type[GuardflowError], bad: Pipeline[str, str], word: object = "word", **options: object
    ) -> GuardflowError:
        """The run fails like that, with a hint, without a single request, and goes on once it is mended."""
        run_id = f"bad-{next(numbers)}"
        sent = self.sent
        async with self.opened() as rt:
            with pytest.raises(error) as caught:
                (await rt.run(bad, word, run_id=run_id, **options)).unwrap()  # type: ignore[arg-type]  # from tests
            assert self.sent == sent
            assert (await rt.run(GOOD, "before", run_id="before")).unwrap() == "fine"
            assert self.sent == sent
            assert (await rt.run(GOOD, "word", run_id=run_id, budget=Budget())).unwrap() == "fine"
        says_what_to_do(caught.value)
        return caught.value

    async def is_intact(self) -> None:
        """In a new runtime: the old run is there and free, a new one works, the one that was hit goes on."""
        async with self.opened() as rt:
            sent = self.sent
            assert (await rt.run(GOOD, "before", run_id="before")).unwrap() == "fine"
            assert self.sent == sent
            assert (await rt.run(GOOD, "word", run_id="bad")).unwrap() == "fine"
            assert self.sent == sent + 1


def says_what_to_do(error: GuardflowError) -> None:
    assert error.hint
    assert str(error) == f"{error.message}: {error.hint}"
    assert len(error.message) > 15


numbers = itertools.count()
