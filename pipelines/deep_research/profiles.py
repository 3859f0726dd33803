"""How much each profile reads, asks and writes. The only place with such numbers; nothing here decides quality."""

from __future__ import annotations

from dataclasses import dataclass

from .types import Profile


@dataclass(frozen=True, slots=True)
class Counts:
    """What one run may do, besides its budget."""

    sub_questions: int
    """Asked besides the question itself."""
    searches: int
    """Phrases a sub-question is searched with, besides its own words."""
    documents: int
    """Read for each sub-question."""
    passages: int
    """Shown to the model for each sub-question."""
    sentences: int
    """Numbered in one passage."""
    facts: int
    """Kept for each sub-question."""
    words: int
    """Written in a section, at most."""
    judged: bool
    """Whether a model decides what the words of a sentence and its quotes leave open; else it is quoted."""
    at_once: int
    """Model calls between two looks at the budget."""
    best_first: bool
    """Whether sentences are shown in the order of what they share with the question, not in that of their page:
    a small model picks what it sees first."""


PROFILES: dict[Profile, Counts] = {
    "quick": Counts(
        sub_questions=2,
        searches=0,
        documents=12,
        passages=4,
        sentences=10,
        facts=5,
        words=80,
        judged=False,
        at_once=3,
        best_first=True,
    ),
    "standard": Counts(
        sub_questions=4,
        searches=3,
        documents=16,
        passages=8,
        sentences=12,
        facts=8,
        words=150,
        judged=True,
        at_once=8,
        best_first=False,
    ),
    "deep": Counts(
        sub_questions=7,
        searches=5,
        documents=24,
        passages=16,
        sentences=12,
        facts=12,
        words=220,
        judged=True,
        at_once=16,
        best_first=False,
    ),
}

PLAN_RESERVE = 0.7
"""The share of a run's seconds that planning leaves, however slow the model is: a report can do without a plan."""
QUERIES_RESERVE = 0.5
"""The share of a run's seconds that finding other words to search with leaves: documents are still to be read then."""
WRITE_RESERVE = 0.35
"""The share of a budget that searching, reading and extracting leave for writing."""
LAST_RESERVE = 0.08
"""The share below which no model is asked any more: what is left is the time to put the report together."""
