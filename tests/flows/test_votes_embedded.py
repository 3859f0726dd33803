"""A real vote: samples of the embedded model, drawn apart, each of them a ballot."""

from __future__ import annotations

from typing import Literal

import pytest
from pydantic import BaseModel

from guardflow import LLMStage, Model, Runtime, Vote, majority, pipeline
from guardflow.prompts import inline_prompt
from guardflow.settings import Settings

pytestmark = pytest.mark.anyio


class Colour(BaseModel):
    colour: Literal["red", "green", "blue"]


PROMPT = inline_prompt("What colour is {{ input }}? Answer with one colour.", ["input"])
stage = LLMStage(
    "colour",
    str,
    Colour,
    prompt=PROMPT,
    model=Vote(Model("local/smollm2"), rule=majority(3), max=5, temperature=1.0),
    max_tokens=24,
)


@pipeline("colours")
async def colours(thing: str) -> Colour:
    return await stage(thing)


async def test_samples_of_the_embedded_model_vote(settings: Settings) -> None:
    async with Runtime("memory", settings=settings) as rt:
        result = await rt.run(colours, "grass", run_id="r")
    ballots = [a for a in result.attempts if a.start.role == "answer"]
    assert {a.start.model for a in ballots} == {"local/smollm2"}
    assert len({a.start.request_hash for a in ballots}) == len(ballots) >= 2
    if result.ok:
        agreement = result.agreement["colour"]
        assert agreement.share > 0.5
        assert result.unwrap().colour in ("red", "green", "blue")
    else:
        assert result.status == "abstained"  # three samples, three colours
