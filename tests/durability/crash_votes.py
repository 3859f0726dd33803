"""Votes under the crash tests: a pipeline of three, with spoiled ballots, judges, a matcher and a tie-break.

`crash_target` runs it in the children, `crash_model` answers it: all seats are one model, so what tells a first
sample from later ones is the temperature alone.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Vote,
    abstain,
    ahead_by,
    fan_out,
    guard,
    majority,
    meaning,
    pipeline,
    unanimous,
    wait,
)
from guardflow.prompts import inline_prompt
from guardflow.testing import Reply

FAST, STRONG, JUDGE = Model("fast"), Model("strong"), Model("judge")
LADDER = Ladder(wait(3, on=Kind.TRANSIENT, base=0.01, cap=0.05), otherwise=abstain())


class Said(BaseModel):
    text: str


@guard(asks=1)
async def is_polite(said: Said, ctx: GuardContext[str]) -> AsyncIterator[Finding]:
    verdict = await ctx.ask(JUDGE, "VOTE judge", Said, answer=said.text)
    if verdict.text != "polite":
        yield Finding("this is not polite", at=("text",))


def voting(name: str, vote: Vote, **options: Any) -> LLMStage[str, Said]:
    prompt = inline_prompt(f"VOTE {name} {{{{ input | fenced }}}}", ["input"])
    return LLMStage(name, str, Said, prompt=prompt, model=vote, ladder=LADDER, **options)


opinion = voting("opinion", Vote([FAST, STRONG], rule=ahead_by(2)), guards=[is_polite.reject()])
torn = voting("torn", Vote(FAST, rule=unanimous(2), max=3, split=STRONG))
alike = voting("alike", Vote(FAST, rule=majority(3), fields={"text": meaning(JUDGE)}))


@pipeline("votes")
async def votes(word: str) -> list[str]:
    """A vote of four ballots, one of them spoiled; a tie; and items whose ballots say the same in other words."""
    decided, tied = await opinion(word), await torn(word)
    return [decided.text, tied.text, *(s.text for s in await fan_out(alike, [word, f"{word}-b"], limit=2))]


def reply(body: Mapping[str, Any], refused: set[str]) -> Reply | None:
    """The model's answer to a ballot, a judge's question, a matcher's or a tie-break; None to all others."""
    messages: Sequence[Mapping[str, str]] = body["messages"]
    text = "\n".join(m["content"] for m in messages)
    if "Do both texts mean the same" in text:
        return Reply.json({"same": True})
    name = re.search(r"VOTE (\w+)", text)
    if name is None:
        return None
    first = body.get("temperature") is None
    match name[1]:
        case "judge":
            return Reply.json({"text": "polite" if "please" in text else "rude"})
        case "opinion":
            if not first and "opinion" not in refused:
                refused.add("opinion")
                return Reply.rate_limited(retry_after=0)
            return Reply.json({"text": "no" if first else "yes please"})
        case "torn" if "different answers" in text:
            return Reply.json({"text": "in the middle"})
        case "torn":
            return Reply.json({"text": "left" if first else "right"})
        case _:
            return Reply.json({"text": "rain falls" if first else "it rains"})
