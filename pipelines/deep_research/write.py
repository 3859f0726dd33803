"""The writing stage and the judge: a section is written from its own facts alone, sentence by sentence, each naming its facts.

The writer never sees a page. Guards drop every sentence that says more than its facts: numbers, links, markup, words
that no quote has. The fallback needs no model: the quotes themselves.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import BaseModel, Field

from guardflow import Finding, GuardContext, LLMStage, find_links, guard, numbers_from

from .ladders import JUDGE, LADDERS, STRONG
from .profiles import LAST_RESERVE
from .types import Frozen, Profile
from .words import covered, follows, jaccard, negations, terms, torn

GROUNDED = 0.6
"""Share of a sentence's content words that have to stand in its quotes, or it is not written from them."""
IN_ORDER = 0.5
"""Share of neighbouring words that have to be neighbours in a quote too: the same words in another order can say
anything."""
_REPEATS = 0.85
"""Jaccard similarity of content words from which a sentence says what another text says already."""
_NAMED = 0.3
"""Share of a sentence's content words that a quote has to hold to be cited for it."""
_NUMBERED = re.compile(r"^\s*(?:(?:\(?\d{1,2}[.)]|[-*•])\s+)+")
_FROM_ONE = 0.5
"""Share of a sentence's content words from which a clause of a quote counts as what it is from."""
_LONGEST_SENTENCE = 400
_CLAUSE_END = re.compile(r"(?<=[.;!?])\s+")
_MARKUP = ("](", "![", "<", "```", "|", "\x1b")
_numbers = numbers_from("text", source="quotes", name="numbers")


class Quoted(Frozen):
    """A fact as the writer sees it."""

    id: int
    quote: str


class SectionInput(Frozen):
    """What a section is written from. ``facts`` has a quote a line, behind its number; ``known`` is the same as data."""

    title: str
    facts: str
    known: tuple[Quoted, ...]
    words: int
    language: str

    def quotes(self, numbers: Sequence[int]) -> list[str]:
        """The quotes of these facts."""
        return [fact.quote for fact in self.known if fact.id in numbers]


class WrittenSentence(BaseModel):
    """A sentence, and the numbers of the quotes it says."""

    text: str = Field(max_length=420)
    facts: list[int] = Field(max_length=6)


class Draft(BaseModel):
    """A section's sentences in order."""

    sentences: list[WrittenSentence] = Field(min_length=1, max_length=12)


class ShortDraft(Draft):
    """As many sentences as a small model can write before it begins to repeat itself."""

    sentences: list[WrittenSentence] = Field(min_length=1, max_length=5)


@guard(inline=True)
def cites_what_it_says(draft: Draft, ctx: GuardContext[SectionInput]) -> Iterator[Finding]:
    """Each sentence names the quotes it is from, and no others; a finding says which those are."""
    for i, sentence in enumerate(draft.sentences):
        named = _named(sentence, ctx.input)
        if named != sentence.facts or _NUMBERED.match(sentence.text):
            right = " ".join(map(str, named))
            yield Finding("names other quotes than it is from", at=("sentences", i), expected=right)


def cite_by_words(draft: Draft, findings: Sequence[Finding]) -> Draft:
    """The repair: the quotes that the words of a sentence point to, and no number before it."""
    sentences = list(draft.sentences)
    for finding in findings:
        i = int(finding.at[1])
        named = [int(number) for number in (finding.expected or "").split()]
        sentences[i] = WrittenSentence(text=_NUMBERED.sub("", sentences[i].text), facts=named)
    return draft.model_copy(update={"sentences": sentences})


def _named(sentence: WrittenSentence, given: SectionInput) -> list[int]:
    """Of the quotes it names, those that share enough with it; without any, the nearest one."""
    if sentence.text in given.quotes(sentence.facts):
        return sentence.facts
    text = _NUMBERED.sub("", sentence.text)
    if same := [fact.id for fact in given.known if fact.quote == text]:
        return same[:1]
    shares = {fact.id: covered(text, [fact.quote]) for fact in given.known}
    named = [n for n in dict.fromkeys(sentence.facts) if shares.get(n, 0.0) >= _NAMED]
    if not named and (best := max(shares.values(), default=0.0)) >= GROUNDED:
        named = [next(n for n, share in shares.items() if share == best)]
    return named


@guard(inline=True)
def is_grounded(draft: Draft, ctx: GuardContext[SectionInput]) -> Iterator[Finding]:
    """Each sentence is plain text that says what its quotes say, in words and numbers they have."""
    before: list[str] = []
    for i, sentence in enumerate(draft.sentences):
        if problem := _problem(sentence, ctx.input, before):
            yield Finding(problem, at=("sentences", i), evidence=sentence.text[:300])
        before.append(sentence.text)


def _problem(sentence: WrittenSentence, given: SectionInput, before: Sequence[str]) -> str | None:
    quotes = given.quotes(sentence.facts)
    if not quotes or len(quotes) < len(set(sentence.facts)):
        return "names no quote, or one that was not shown"
    text = sentence.text
    if text in quotes:
        return None
    if not 8 <= len(text.strip()) <= _LONGEST_SENTENCE or not text.isprintable():
        return "is too short, too long, or holds control characters"
    if find_links(text) or any(mark in text for mark in _MARKUP):
        return "holds a link or markup"
    if text.rstrip().endswith("?") or jaccard(text, given.title) > _REPEATS:
        return "repeats the question"
    if any(jaccard(text, other) > _REPEATS for other in before):
        return "says what an earlier sentence says"
    return _unsupported(text, quotes)


def _unsupported(text: str, quotes: list[str]) -> str | None:
    if covered(text, quotes) < GROUNDED:
        return "says what its quotes do not say"
    if torn(text, quotes):
        return "tears a clause out of its quote"
    numbers = [*_numbers({"text": text}, GuardContext({"quotes": quotes}))]
    if numbers:
        return f"holds a number that its quotes do not have ({numbers[0].evidence})"
    if _turned(text, quotes):
        return "negates what its quote says, or the other way round"
    return None


def _turned(text: str, quotes: Sequence[str]) -> bool:
    """Whether a sentence negates and what it is from does not, or the other way round."""
    clauses = [clause for quote in quotes for clause in _CLAUSE_END.split(quote)]
    near = [clause for clause in clauses if covered(text, [clause]) >= _FROM_ONE] or clauses
    return bool(negations(text)) not in {bool(negations(clause)) for clause in near}


@guard(inline=True)
def is_short(draft: Draft, ctx: GuardContext[SectionInput]) -> Iterator[Finding]:
    """A quarter more words than asked for are too many: later sentences go. Quotes are not counted."""
    count = 0
    for i, sentence in enumerate(draft.sentences):
        if sentence.text in ctx.input.quotes(sentence.facts):
            continue
        count += len(sentence.text.split())
        if count > 1.25 * ctx.input.words and i:
            yield Finding("is beyond the length of the section", at=("sentences", i))


def quoted_facts(given: SectionInput, findings: tuple[Finding, ...] = ()) -> Draft:
    """The fallback: every fact in its source's own words."""
    return Draft(sentences=[WrittenSentence(text=fact.quote, facts=[fact.id]) for fact in given.known][:12])


def few_quoted_facts(given: SectionInput, findings: tuple[Finding, ...] = ()) -> ShortDraft:
    """The fallback for a short section."""
    return ShortDraft(sentences=quoted_facts(given).sentences[:5])


_GUARDS = (cites_what_it_says.fix(cite_by_words), is_grounded.drop(), is_short.drop())
_PROMPT = "deep_research/write"
write: dict[Profile, LLMStage[SectionInput, Draft]] = {
    profile: LLMStage(
        "write",
        SectionInput,
        Draft,
        prompt=_PROMPT,
        model=STRONG,
        ladder=LADDERS[profile],
        guards=_GUARDS,
        fallback=quoted_facts,
        timeout=180,
        time_reserve=LAST_RESERVE,
    )
    for profile in ("standard", "deep")
}
write["quick"] = LLMStage(
    "write",
    SectionInput,
    ShortDraft,
    prompt=_PROMPT,
    model=STRONG,
    ladder=LADDERS["quick"],
    guards=_GUARDS,
    fallback=few_quoted_facts,
    max_tokens=320,
    timeout=45,
    time_reserve=LAST_RESERVE,
)


class Claimed(Frozen):
    """A sentence and its quotes, a quote a line."""

    sentence: str
    quotes: str


class Support(BaseModel):
    """What a judge says of a sentence."""

    verdict: Literal["supported", "partial", "no"]


def in_doubt(given: Claimed, findings: tuple[Finding, ...]) -> Support:
    """The fallback of ``support``: what nobody confirmed is not supported."""
    return Support(verdict="no")


support = {
    profile: LLMStage(
        "support",
        Claimed,
        Support,
        prompt="deep_research/support",
        model=JUDGE,
        ladder=ladder,
        fallback=in_doubt,
        timeout=60,
        time_reserve=LAST_RESERVE,
    )
    for profile, ladder in LADDERS.items()
}


def by_words(text: str, quotes: Sequence[str]) -> Literal["supported", "unclear", "no"]:
    """What words, numbers and negations alone say of a sentence: most sentences need no judge.

    One word that its quotes do not have, or have less often, can turn it into something else: that needs a judge.
    """
    if text in quotes:
        return "supported"
    if _unsupported(text, list(quotes)) is not None:
        return "no"
    added = Counter(terms(text)) - Counter(terms(" ".join(quotes)))
    return "supported" if not added and follows(text, quotes) >= IN_ORDER else "unclear"
