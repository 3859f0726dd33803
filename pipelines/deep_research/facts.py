"""From picked sentences to facts: the same statement once, with all its sources; contradictions found by words.

Pure. Two sentences state the same if they share their words, numbers and negation; they disagree if they share their
words and names, come from different sources, and one number or the negation differs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .types import Disagreement, Fact, Support
from .words import negations, terms

_SAME = 0.8
_SAME_THING = 0.6
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,:]\d+)*(?!\w)")
_GROUPS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_NAME = re.compile(r"(?<=\w )[A-Z][\w-]*|\b\w+[_./:][\w./:]+|\b[A-Z]{2,}\w*")
_NAMES_A_NUMBER = re.compile(
    r"(?:\b[A-Z]\w+|\b(?i:version|chapter|section|step|table|figure|page|item|rule|part|level|no|nr|v))\.?\s$"
)
_MEASURED = re.compile(
    r"(?:is|are|was|were|to|of|at|has|have|than|most|least|by|about|the|for|in)\s$", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that was picked for a sub-question. ``fit`` is how far in front it stands among its answers."""

    sub_question: int
    source: int
    document: str
    start: int
    end: int
    quote: str
    fit: float
    chosen_by: Literal["model", "words"]

    @property
    def place(self) -> tuple[str, int]:
        """Where it stands."""
        return self.document, self.start

    @property
    def support(self) -> Support:
        """The same as a place that states a fact."""
        return Support(
            source=self.source, document=self.document, start=self.start, end=self.end, quote=self.quote
        )


def consolidate(claims: Sequence[Claim], *, most: int) -> list[Fact]:
    """Facts in the order of their sub-questions, each in one of them, the most telling first.

    Args:
        claims: what was picked.
        most: facts kept for each sub-question.
    """
    best: dict[tuple[str, int], Claim] = {}
    for claim in claims:
        other = best.get(claim.place)
        if other is None or claim.fit > other.fit:
            best[claim.place] = claim
    groups: list[list[Claim]] = []
    for claim in sorted(best.values(), key=lambda c: (-c.fit, c.sub_question, c.source, c.start)):
        group = next((g for g in groups if same(g[0].quote, claim.quote)), None)
        if group is None:
            groups.append([claim])
        else:
            group.append(claim)
    kept: list[list[Claim]] = []
    count: Counter[int] = Counter()
    for group in groups:
        count[group[0].sub_question] += 1
        if count[group[0].sub_question] <= most:
            kept.append(group)
    kept.sort(key=lambda g: g[0].sub_question)
    facts = [
        Fact(
            id=number,
            sub_question=group[0].sub_question,
            supports=tuple({c.source: c.support for c in reversed(group)}.values())[::-1],
            chosen_by=group[0].chosen_by,
        )
        for number, group in enumerate(kept, 1)
    ]
    return [_stated(fact, facts) for fact in facts]


def _stated(fact: Fact, facts: Sequence[Fact]) -> Fact:
    against = tuple(
        other.id
        for other in facts
        if other.id != fact.id
        and set(other.sources) != set(fact.sources)
        and disagree(fact.quote, other.quote)
    )
    state = "contested" if against else "agreed" if len(fact.sources) > 1 else "single"
    return fact.model_copy(update={"against": against, "state": state})


def disagreements(facts: Sequence[Fact]) -> tuple[Disagreement, ...]:
    """Each set of facts that contradict each other, once."""
    sets = dict.fromkeys(tuple(sorted((fact.id, *fact.against))) for fact in facts if fact.against)
    return tuple(Disagreement(facts=ids) for ids in sets)


def same(one: str, other: str) -> bool:
    """Whether two sentences state the same.

    >>> same("The pool holds 10 connections.", "The pool holds 10 connections")
    True
    >>> same("The pool holds 10 connections.", "The pool holds 25 connections.")
    False
    """
    a, b = _words(one), _words(other)
    alike = len(a & b) >= _SAME * len(a | b)
    return alike and _numbers(one) == _numbers(other) and bool(negations(one)) == bool(negations(other))


def disagree(one: str, other: str) -> bool:
    """Whether two sentences state different values for the same thing.

    >>> disagree("By default the pool holds 10 connections.", "The pool holds 25 connections by default.")
    True
    >>> disagree("The pool of Berlin holds 10 people.", "The pool of Munich holds 25 people.")
    False
    """
    a, b = _words(one), _words(other)
    if len(a & b) < _SAME_THING * len(a | b) or _names(one) != _names(other):
        return False
    ours, theirs = _numbers(one), _numbers(other)
    if ours != theirs:
        return sum((ours - theirs).values()) == 1 == sum((theirs - ours).values())
    return len(a & b) >= _SAME * len(a | b) and bool(negations(one)) != bool(negations(other))


def _words(text: str) -> set[str]:
    return {term for term in terms(text) if not any(char.isdigit() for char in term)}


def _names(text: str) -> set[str]:
    """Names, and numbers that are part of one: "Python 3.11", "step 4"."""
    names = {name.casefold() for name in _NAME.findall(text)}
    return names | {m.group() for m in _NUMBER.finditer(text) if _is_name(text, m.start())}


def _numbers(text: str) -> Counter[str]:
    """Numbers that state a value; thousands are read without their commas."""
    text = _GROUPS.sub("", text)
    return Counter(m.group() for m in _NUMBER.finditer(text) if not _is_name(text, m.start()))


def _is_name(text: str, start: int) -> bool:
    before = text[max(0, start - 24) : start]
    return _NAMES_A_NUMBER.search(before) is not None and _MEASURED.search(before) is None
