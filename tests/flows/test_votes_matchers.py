"""Matchers of a vote over lists: what they are asked, however often the list is counted."""

from __future__ import annotations

import pytest
from pydantic import BaseModel
from vote_lab import FAST, NONE, PROMPT, STRONG, by_ballot

from guardflow import LLMStage, Vote, ahead_by, align, meaning
from guardflow.testing import Scripted, using

pytestmark = pytest.mark.anyio


class Claim(BaseModel):
    about: str
    text: str


class Claims(BaseModel):
    claims: list[Claim]


def claims(**texts: str) -> Claims:
    return Claims(claims=[Claim(about=about, text=text) for about, text in texts.items()])


async def test_a_pair_is_asked_about_once_though_its_item_moves_when_another_ballot_is_in() -> None:
    abouts = ("rain", "snow", "wind")
    one, other = ({about: f"{about} {word}" for about in abouts} for word in ("falls", "comes"))
    said = {0: claims(sun="hot", **one), 1: claims(sun="hot", **other)}
    said |= {n: claims(**texts) for n, texts in enumerate([other, one, other, one, one, one, one], start=2)}
    judge = Scripted({"same": False})
    fields = {"claims": align(key="about"), "claims[*].text": meaning(STRONG)}
    vote = Vote(FAST, rule=ahead_by(3), fields=fields)
    stage = LLMStage("claims", str, Claims, prompt=PROMPT, model=vote, ladder=NONE)
    with using({FAST: by_ballot(said), STRONG: judge}):
        outcome = await stage.outcome("q")
    assert [claim.about for claim in outcome.unwrap().claims] == ["rain", "snow", "wind"]
    assert judge.count == 3
