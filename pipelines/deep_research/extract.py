"""The extraction stage: a model is shown numbered sentences of one passage and one sub-question, and says numbers.

A quote is verbatim by construction, and an order in a page can at worst make a sentence of that page be quoted. A
guard drops what shares too little with the question, so that chance picks of a small model do not become facts.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, Field

from guardflow import Finding, GuardContext, LLMStage, guard

from .ladders import FAST, LADDERS
from .profiles import WRITE_RESERVE
from .types import Frozen

RELATED = 0.08
"""Share of the question's weight that a sentence has to hold to be quoted when a model picks it."""
STRICT = 0.2
"""Share it has to hold where the model picked without reading: simply the first ones, or some that are not there."""
CLEAR = 0.35
"""Share from which words alone are reason enough."""
MOST = 4
"""Sentences of one passage that can be picked: a model that likes everything has to choose."""
_BY_WORDS = 2
"""Sentences the fallback takes of one passage."""


class Reading(Frozen):
    """One passage, read for one sub-question.

    ``numbered`` has a sentence a line, behind its number from 1; ``shares`` says how much of the question's weight
    each of them holds.
    """

    question: str
    numbered: str
    shares: tuple[float, ...]


class Picks(BaseModel):
    """The numbers of the sentences that help to answer the question."""

    ids: list[int] = Field(max_length=MOST)


@guard(inline=True)
def are_different(picks: Picks) -> Iterator[Finding]:
    """Each sentence is named once."""
    for i, number in enumerate(picks.ids):
        if number in picks.ids[:i]:
            yield Finding(f"sentence {number} was named before", at=("ids", i))


@guard(inline=True)
def hit_something(picks: Picks, ctx: GuardContext[Reading]) -> Iterator[Finding]:
    """Of what was picked, something has to do with the question: else the model did not read."""
    if picks.ids and not any(_is_related(number, picks, ctx.input) for number in picks.ids):
        yield Finding("no picked sentence has to do with the question", at=("ids",))


@guard(inline=True)
def are_related(picks: Picks, ctx: GuardContext[Reading]) -> Iterator[Finding]:
    """Each picked sentence shares enough words with the question, weighted by how rare they are."""
    for i, number in enumerate(picks.ids):
        if not _is_related(number, picks, ctx.input):
            yield Finding("the sentence has too little to do with the question", at=("ids", i))


def _is_related(number: int, picks: Picks, given: Reading) -> bool:
    most = len(given.shares)
    blind = picks.ids == list(range(1, MOST + 1)) or not all(1 <= n <= most for n in picks.ids)
    return 1 <= number <= most and given.shares[number - 1] >= (STRICT if blind else RELATED)


def by_words(given: Reading, findings: tuple[Finding, ...] = ()) -> Picks:
    """The fallback: the sentences that hold most of the question's weight, if they hold enough of it."""
    best = sorted(range(len(given.shares)), key=lambda i: (-given.shares[i], i))[:_BY_WORDS]
    return Picks(ids=sorted(i + 1 for i in best if given.shares[i] >= CLEAR))


extract = {
    profile: LLMStage(
        "extract",
        Reading,
        Picks,
        prompt="deep_research/extract",
        model=FAST,
        ladder=ladder,
        guards=[hit_something.reject(), are_related.drop(), are_different.drop()],
        fallback=by_words,
        timeout=60,
        time_reserve=WRITE_RESERVE,
    )
    for profile, ladder in LADDERS.items()
}
