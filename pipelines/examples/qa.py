"""Answer a question from a small library, with quotes that are in it: four stages, one of them fanned out.

Shows typed stages, a guard, a ladder and a fallback. Run it with `Runtime(resources=[Library({...})])`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pydantic import BaseModel, Field

from guardflow import (
    Context,
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    StageEnded,
    abstain,
    degrade,
    fan_out,
    grow,
    guard,
    pipeline,
    reask,
    resample,
    stage,
    switch,
    wait,
)

FAST, STRONG = Model("fast"), Model("strong")


class Question(BaseModel):
    text: str


class Plan(BaseModel):
    """What to look for."""

    queries: list[str] = Field(min_length=1, max_length=5)


class Page(BaseModel):
    title: str
    text: str


class Reading(BaseModel):
    """A page, and what it is read for."""

    question: str
    title: str
    text: str


class Excerpt(BaseModel):
    """One sentence of a page that bears on the question."""

    quote: str


class Evidence(BaseModel):
    question: str
    quotes: list[str]


class Answer(BaseModel):
    text: str
    quotes: list[int] = Field(description="numbers of the quotes the answer rests on, from 0")


class Library:
    """Pages by title; a stand-in for a real corpus."""

    def __init__(self, pages: dict[str, str]) -> None:
        self._pages = pages

    def best(self, query: str) -> Page:
        """The page that shares most words with the query."""
        words = set(re.findall(r"\w+", query.lower()))
        title = max(
            self._pages,
            key=lambda t: len(words & set(re.findall(r"\w+", (t + " " + self._pages[t]).lower()))),
        )
        return Page(title=title, text=self._pages[title])


@guard(inline=True)
def is_verbatim(excerpt: Excerpt, ctx: GuardContext[Reading]) -> Iterator[Finding]:
    if excerpt.quote not in ctx.input.text:
        yield Finding("this is not a sentence of the page", at=("quote",), evidence=excerpt.quote)


@guard(inline=True)
def cites_quotes(answer: Answer, ctx: GuardContext[Evidence]) -> Iterator[Finding]:
    if not answer.quotes:
        yield Finding("the answer cites no quote", at=("quotes",))
    for i, number in enumerate(answer.quotes):
        if not 0 <= number < len(ctx.input.quotes):
            yield Finding(f"there is no quote {number}", at=("quotes", i))


def first_sentence(reading: Reading, findings: tuple[Finding, ...]) -> Excerpt:
    """The fallback of ``excerpt``: free, and verbatim by construction."""
    return Excerpt(quote=reading.text.split(". ")[0])


CAREFUL = Ladder(
    wait(4, on=Kind.TRANSIENT),
    grow(2.0, on=Kind.TRUNCATED),
    reask(1, on=Kind.INVALID | Kind.GUARD),
    resample(1, on=Kind.GUARD, temperature=0.7),
    switch(STRONG, on=Kind.ANSWERABLE | Kind.TRANSIENT | Kind.QUOTA, waits=2),
    otherwise=abstain(),
)

plan = LLMStage("plan", Question, Plan, prompt="examples/plan", model=FAST, ladder=CAREFUL)


@stage(timeout=20, retries=3)
async def fetch(query: str, ctx: Context) -> Page:
    return ctx.resource(Library).best(query)


excerpt = LLMStage(
    "excerpt",
    Reading,
    Excerpt,
    prompt="examples/excerpt",
    model=FAST,
    guards=[is_verbatim.reject()],
    ladder=Ladder(wait(4), reask(1, on=Kind.INVALID | Kind.GUARD), otherwise=degrade()),
    fallback=first_sentence,
)

answer = LLMStage(
    "answer",
    Evidence,
    Answer,
    prompt="examples/answer",
    model=FAST,
    guards=[cites_quotes.reject()],
    ladder=CAREFUL,
)


@pipeline("qa")
async def qa(question: Question) -> Answer:
    """Plan queries, fetch a page for each, take a sentence from each page, and answer from the sentences."""
    planned = await plan(question)
    pages = await fan_out(fetch, planned.queries, limit=8)
    readings = [Reading(question=question.text, title=page.title, text=page.text) for page in pages]
    excerpts = await fan_out(excerpt, readings, limit=4)
    quotes = list(dict.fromkeys(e.quote for e in excerpts))
    if not quotes:
        raise StageEnded("no page says anything about the question")
    return await answer(Evidence(question=question.text, quotes=quotes))
