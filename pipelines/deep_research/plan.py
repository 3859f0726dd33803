"""The first two model stages: what to find out (brief), and other words to search with (queries).

Both see the question only, never a page: a source cannot make the run search for something. Their fallbacks need no
model: the question alone, and its own words.
"""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel, Field

from guardflow import Finding, GuardContext, LLMStage, find_links, guard

from .ladders import FAST, FIRST_LADDERS, LADDERS, STRONG
from .profiles import PLAN_RESERVE, QUERIES_RESERVE
from .types import Frozen
from .words import jaccard, terms

TOO_ALIKE = 0.7
"""Jaccard similarity of content words from which two questions are the same one."""


class PlanInput(Frozen):
    """What a plan is made from."""

    question: str
    count: int
    language: str


class Plan(BaseModel):
    """Sub-questions that together answer the question."""

    questions: list[str] = Field(max_length=8)


class QueryInput(Frozen):
    """A sub-question, and what was searched for already."""

    question: str
    sub_question: str
    tried: tuple[str, ...]
    count: int


class Queries(BaseModel):
    """Phrases to search with."""

    queries: list[str] = Field(max_length=8)


@guard(inline=True)
def are_questions(plan: Plan, ctx: GuardContext[PlanInput]) -> Iterator[Finding]:
    """Each sub-question is short, plain, about the question, and not one of the others."""
    before = [ctx.input.question]
    for i, text in enumerate(plan.questions):
        if problem := _not_plain(text, most=240) or _not_about(text, before):
            yield Finding(problem, at=("questions", i), evidence=text[:200])
        else:
            before.append(text)


def _not_about(text: str, before: list[str]) -> str | None:
    if len(text.split()) < 3 or not text.lstrip("¿¡\"'“„«").strip()[:1].isalnum():
        return "is not a question"
    if not set(terms(text)) & set(terms(before[0])):
        return "shares no word with the question"
    if any(jaccard(text, other) >= TOO_ALIKE for other in before):
        return "asks the same as another one"
    return None


def _not_plain(text: str, *, most: int) -> str | None:
    if not terms(text):
        return "says nothing"
    if len(text) > most:
        return f"has {len(text)} characters, at most {most} are allowed"
    if not text.isprintable() or any(mark in text for mark in "<>`|[]{}"):
        return "holds markup or control characters"
    return "holds a link" if find_links(text) else None


@guard(inline=True)
def are_new(queries: Queries, ctx: GuardContext[QueryInput]) -> Iterator[Finding]:
    """Each phrase is short, plain, and was not tried before."""
    before = [terms(text) for text in ctx.input.tried]
    for i, text in enumerate(queries.queries):
        if problem := _not_plain(text, most=120):
            yield Finding(problem, at=("queries", i), evidence=text[:200])
        elif terms(text) in before:
            yield Finding("was tried already", at=("queries", i), evidence=text)
        else:
            before.append(terms(text))


def no_plan(given: PlanInput, findings: tuple[Finding, ...]) -> Plan:
    """The fallback of ``plan``: the question alone, which is asked in any case."""
    return Plan(questions=[])


def its_own_words(given: QueryInput, findings: tuple[Finding, ...]) -> Queries:
    """The fallback of ``queries``: the words of the sub-question, one half after the other."""
    words = list(dict.fromkeys(terms(given.sub_question)))[:12]
    half = (len(words) + 1) // 2
    parts = dict.fromkeys((" ".join(words[:half]), " ".join(words[half:])))
    tried = [terms(text) for text in given.tried]
    return Queries(queries=[part for part in parts if part and terms(part) not in tried])


plan = {
    profile: LLMStage(
        "plan",
        PlanInput,
        Plan,
        prompt="deep_research/plan",
        model=STRONG,
        ladder=ladder,
        guards=[are_questions.drop()],
        fallback=no_plan,
        timeout=60,
        time_reserve=PLAN_RESERVE,
    )
    for profile, ladder in FIRST_LADDERS.items()
}

queries = {
    profile: LLMStage(
        "queries",
        QueryInput,
        Queries,
        prompt="deep_research/queries",
        model=FAST,
        ladder=ladder,
        guards=[are_new.drop()],
        fallback=its_own_words,
        timeout=60,
        time_reserve=QUERIES_RESERVE,
    )
    for profile, ladder in LADDERS.items()
}
