"""What deep research takes, gives and hands from stage to stage. Frozen, JSON-able, versioned by their fields.

Nothing here computes or reads a clock: ``as_of`` is an input. Offsets always refer to the text of the stored
document with that id, so a quote is ``text[start:end]`` and nothing else.
"""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

from guardflow import UsageError

Profile = Literal["quick", "standard", "deep"]
Origin = Literal["corpus", "given"]
"""Where a source came from. A later source (web search, crawling) adds its own word here, and its own stage."""
State = Literal["single", "agreed", "contested"]
"""A fact that one source states, that independent ones state alike, or that another source contradicts."""

LONGEST_QUESTION = 4_000
"""Characters. A longer one is material, and belongs into the corpus."""
MOST_URLS = 50


class Frozen(BaseModel):
    """The base of everything here."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class ResearchRequest(Frozen):
    """What to find out.

    Args:
        question: one question, 1 to 4,000 characters.
        as_of: the day for which the report speaks; no stage reads a clock.
        profile: how much is read and asked: ``quick`` suits the embedded model.
        language: the language of what is written; empty is that of the question.
        urls: pages to read besides the corpus.
        corpus: folders of documents, for `resources`; with a corpus passed to the Runtime it may stay empty.
        notice: a sentence to put above the report, such as what it rests on.

    Raises:
        UsageError: there is no question, or it is too long.
    """

    question: str
    as_of: date
    profile: Profile = "standard"
    language: str = ""
    urls: tuple[str, ...] = ()
    corpus: tuple[str, ...] = ()
    notice: str = ""

    @field_validator("question")
    @classmethod
    def _asks_something(cls, question: str) -> str:
        question = " ".join(question.split())
        if not any(char.isalnum() for char in question):
            raise UsageError("the question is empty", hint="ask something, in a sentence or two")
        if len(question) > LONGEST_QUESTION:
            raise UsageError(
                f"the question has {len(question):,} characters, and at most {LONGEST_QUESTION:,} are read as one",
                hint="ask in a sentence or two, and put the material into a folder that is given as corpus",
            )
        return question

    @field_validator("urls")
    @classmethod
    def _not_too_many(cls, urls: tuple[str, ...]) -> tuple[str, ...]:
        if len(urls) > MOST_URLS:
            raise UsageError(
                f"{len(urls)} pages are given, and at most {MOST_URLS} are read",
                hint="save them into a folder, and give that as corpus",
            )
        return tuple(dict.fromkeys(urls))


class SubQuestion(Frozen):
    """One thing to find out. Number 0 is the question itself."""

    id: int
    text: str
    searches: tuple[str, ...] = ()
    """What was searched for it, besides its own words."""


class Hit(Frozen):
    """A document worth reading, and for which sub-questions."""

    uri: str
    title: str
    origin: Origin
    document: str = ""
    """The id of a document of the corpus; empty for a page that is to be fetched."""
    score: float = 0.0


class Unread(Frozen):
    """A source that could not be read, and why."""

    uri: str
    reason: str


class Source(Frozen):
    """A document that the report rests on; copies of it found elsewhere count as the same one."""

    id: int
    document: str
    uri: str
    title: str
    origin: Origin
    published: date | None = None
    flags: tuple[str, ...] = ()
    also_at: tuple[str, ...] = ()


class Support(Frozen):
    """A place that states a fact: ``quote`` is the document's ``text[start:end]``."""

    source: int
    document: str
    start: int
    end: int
    quote: str


class Fact(Frozen):
    """One quoted statement, and everywhere it stands."""

    id: int
    sub_question: int
    supports: tuple[Support, ...]
    state: State = "single"
    against: tuple[int, ...] = ()
    """Facts that state another value."""
    chosen_by: Literal["model", "words"] = "model"
    """Who picked the sentence: a model, or the words it shares with the question."""

    @property
    def quote(self) -> str:
        """The statement, as its first source has it."""
        return self.supports[0].quote

    @property
    def sources(self) -> tuple[int, ...]:
        """Independent sources that state it."""
        return tuple(dict.fromkeys(support.source for support in self.supports))


class Sentence(Frozen):
    """A sentence of the report. Without facts it says nothing about the world."""

    text: str
    facts: tuple[int, ...]
    kind: Literal["written", "quoted"]


class Section(Frozen):
    """What the report says about one sub-question."""

    sub_question: int
    title: str
    sentences: tuple[Sentence, ...]


class Gap(Frozen):
    """What the sources do not answer."""

    question: str
    searches: tuple[str, ...]


class Disagreement(Frozen):
    """Facts that state different values for the same thing."""

    facts: tuple[int, ...]


class Part(Frozen):
    """A part of the report that a stage's fallback made, or that was left out, and why."""

    stage: str
    part: str
    reason: str


class ModelUse(Frozen):
    """Which model's answers stand in the report, for one stage."""

    stage: str
    models: tuple[str, ...]


class Report(Frozen):
    """The result of a run. It holds no clock time, no cost and no count of attempts: those are in the manifest."""

    version: Literal[1] = 1
    question: str
    as_of: date
    profile: Profile
    notice: str = ""
    sections: tuple[Section, ...] = ()
    facts: tuple[Fact, ...] = ()
    sources: tuple[Source, ...] = ()
    gaps: tuple[Gap, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    unread: tuple[Unread, ...] = ()
    degraded: tuple[Part, ...] = ()
    models: tuple[ModelUse, ...] = ()
    documents_read: int = 0
    set_aside: int = 0
    """Sentences that speak to a model or hold links, and so were neither shown to one nor quoted."""

    def fact(self, number: int) -> Fact:
        """The fact with that id."""
        return self.facts[number - 1]

    def source(self, number: int) -> Source:
        """The source with that id."""
        return self.sources[number - 1]
