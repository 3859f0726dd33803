"""Stages that vote, and what a scripted model says to each ballot: for the tests of votes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import anyio
import anyio.lowlevel
from pydantic import BaseModel

from guardflow import Finding, Ladder, LLMStage, Model, Vote, abstain, guard
from guardflow.prompts import inline_prompt
from guardflow.testing import Scripted
from guardflow.values import Request

FAST, STRONG = Model("fast"), Model("strong")
PROMPT = inline_prompt("{{ input | fenced }}", ["input"])
QUICK = {"base": 0.0001, "cap": 0.0002}
"""Seconds of a pause, so that tests wait for nothing."""
NONE = Ladder(otherwise=abstain())


class Answer(BaseModel):
    text: str
    size: int = 0


@guard
def is_good(answer: Answer) -> Iterator[Finding]:
    if "bad" in answer.text:
        yield Finding("this is bad", at=("text",), evidence=answer.text)


def voting(vote: Vote, *, name: str = "vote", **options: object) -> LLMStage[str, Answer]:
    return LLMStage(name, str, Answer, **{"prompt": PROMPT, "model": vote, "ladder": NONE, **options})  # type: ignore[arg-type]  # from tests


def say(text: str, size: int = 0) -> Answer:
    return Answer(text=text, size=size)


def by_ballot(said: Mapping[int, Any] | list[Any], delays: Mapping[int, float] | None = None) -> Scripted:
    """A model whose samples say this, whoever of them is asked first; after so many seconds."""
    replies = dict(enumerate(said)) if isinstance(said, list) else dict(said)

    async def answer(request: Request) -> Any:
        await anyio.sleep((delays or {}).get(request.sample, 0))
        reply = replies[request.sample]
        return say(reply) if isinstance(reply, str) and reply.isalpha() else reply

    return Scripted(answer)


class Stubborn:
    """A client that cannot be cancelled: its answers come, whoever waits for them no longer.

    Args:
        slow: the samples that come long after those of ``after``; the others answer at once.
    """

    def __init__(self, inner: Scripted, *, slow: set[int], after: set[int]) -> None:
        self._inner, self._slow, self._after = inner, slow, after
        self.answered: list[int] = []

    async def send(self, request: Request) -> Any:
        with anyio.CancelScope(shield=True):
            while request.sample in self._slow and not self._after <= set(self.answered):
                await anyio.sleep(0.001)
            for _ in range(
                1000 if request.sample in self._slow else 0
            ):  # by then, the others have been counted
                await anyio.lowlevel.checkpoint()
            answer = await self._inner.send(request)
            self.answered.append(request.sample)
            return answer

    async def aclose(self) -> None:
        pass
