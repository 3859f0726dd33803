"""What the same words may say differently: another agent, another clause, one end of a range, a cause, a duty.

`guardflow.guards.kit.support` asks it about a claim and a passage whose words agree. It knows no synonyms: each
check only puts in doubt. English first, as its lists are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from guardflow.guards.kit.terms import Words, words_of
from guardflow.guards.kit.wordset import word_set

_CAUSES = word_set("""
    because therefore hence consequently due owing thanks cause causes caused causing leads led result results resulted resulting
    weil deshalb daher wegen verursacht verursachte parce donc cause porque
""")
_DUTIES = word_set(
    "must shall required requires require obliged mandatory müssen muss musste doit doivent debe deben"
)
_OWN_SUBJECT = re.compile(
    r"\s*[;–—]\s+|,?\s+(?:but|while|whereas|although|though|aber|während|sondern|mais|tandis|pero|mientras)\s+"
    r"|,\s+(?:and|or|und|et|y)\s+(?=(?:the|a|an|its|their|his|her|this|these|it|she|he|they|one|some|both|two|three|"
    r"der|die|das|sie|er|es|le|la|les|il|elle|el|los|las)\b)",
    re.IGNORECASE,
)
_SOME_OF = re.compile(
    r"\b(?:one|two|three|some|none|half|most|many|few|several|all but \w+) of (?:them|these|those|which|whom)\b|\bdavon\b",
    re.IGNORECASE,
)
_RANGE = re.compile(
    r"(?<![\w.,])(\d[\d.,]*)\s?(?:%|percent|per cent)?\s?(to|bis|à|a|and|-|[–—])\s?(\d[\d.,]*\d|\d)"
)
_PLACED = re.compile(r"\b(?:in|at|near|on|from|since|during)\s+(?:the\s+)?(?:[A-Z][\w.]*\s?)+")
_YEAR = re.compile(r"1[789]\d\d|20\d\d")
_NAME = re.compile(r"\b[A-Z]\w+")


def taken_apart(claim: Words, passage: Sequence[Words]) -> Iterator[str]:
    """Why a claim may say something else than a passage that has its words; nothing if there is no sign of it."""
    there = frozenset[str]().union(*(words.all for words in passage))
    if claim.all & _CAUSES and not there & _CAUSES:
        yield "gives a cause where the source gives none"
    if claim.all & _DUTIES and not there & _DUTIES and not claim.negations:
        yield "makes a duty of what the source does not demand"
    sentence = max(passage, key=lambda words: len(set(words.terms) & set(claim.terms)))
    if _joins_clauses(claim, sentence):
        yield "puts together what stands in different clauses"
    if (
        (some := _SOME_OF.search(sentence.text))
        and _after(claim, sentence, some)
        and not _SOME_OF.search(claim.text)
    ):
        yield "says of all what the source says of some of them"
    if _half_of_a_range(claim, passage):
        yield "has only one end of a range"
    if _exchanged(_amounts([claim]), _amounts(passage)):
        yield "has the numbers of the source in another order"
    if _exchanged(_actors(claim), _actors(sentence)):
        yield "has the names of the source in another order"


def _joins_clauses(claim: Words, sentence: Words) -> bool:
    """Whether a claim has words that stand only on one side of a break between clauses, and words of the other."""
    if _OWN_SUBJECT.search(claim.text):
        return False
    wanted = set(claim.terms)
    sides = [set(words_of(side).terms) & wanted for side in _OWN_SUBJECT.split(sentence.text) if side.strip()]
    shares = [side for side in sides if side]
    whole = set[str]().union(*shares)
    return len(shares) > 1 and all(side != whole for side in shares)


def _after(claim: Words, sentence: Words, some: re.Match[str]) -> bool:
    """Whether a claim takes its last words from what is said of some, and its first from before."""
    told = set(words_of(sentence.text[some.end() :]).terms)
    before = set(words_of(sentence.text[: some.start()]).terms)
    return bool(claim.terms) and claim.terms[-1] in told - before and claim.terms[0] in before - told


def _half_of_a_range(claim: Words, passage: Sequence[Words]) -> bool:
    for words in passage:
        for found in _RANGE.finditer(words.text):
            ends = [words_of(found[1]).numbers, words_of(found[3]).numbers]
            has = [bool(end and end <= claim.numbers) for end in ends]
            if has[0] == has[1] or (has[1] and f" {found[2].lower()} {found[3]}" in claim.text.lower()):
                continue
            if has[0] and re.search(rf"\b(?:from|than)\s+{re.escape(found[1])}", claim.text):
                continue
            return True
    return False


def _amounts(passage: Sequence[Words]) -> list[str]:
    """The numbers of a passage in order, without years: "in 2023" may stand anywhere."""
    return [n for words in passage for n in words.number_order if not _YEAR.fullmatch(n)]


def _actors(words: Words) -> list[str]:
    """The names of a sentence in the order in which they act, without those of places."""
    text = _PLACED.sub(" ", words.text)
    kept = {name.lower() for name in _NAME.findall(text)}
    return [name for name in words.name_order if name in kept]


def _exchanged(claim: Sequence[str], passage: Sequence[str]) -> bool:
    """Whether two neighbours of a claim stand the other way round in the passage, and only so."""
    for one, other in pairwise(claim):
        ones = [i for i, name in enumerate(passage) if name == one]
        others = [i for i, name in enumerate(passage) if name == other]
        if one != other and ones and others and min(ones) > max(others):
            return True
    return False
