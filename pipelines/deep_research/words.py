"""Words and how much texts share them: stems, weights by rarity, BM25, negations. Pure, for any language.

The lexical guards, the ranking and every fallback rest on it, so that a model's choice is never the only reason
why a sentence stands in a report.
"""

from __future__ import annotations

import functools
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_CLAUSE_END = re.compile(r"(?<=[.;!?])\s+")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff]")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_STOP = _words("""
    a an after and any are as at be been before but by can could did do does for from had has have how i if in into
    is it its may might much many of on or our shall should so some such than that the their them then
    there these they this those to use used using was we were what when where which while who whom whose
    why will with would you your about tell explain describe between during also more most aber als am
    auch auf aus bei bis das dass dem den der des die doch ein eine einem einen einer eines er es fur
    hat haben ich im ist mit nach oder sich sie sind uber um und uns von vor war wann warum wenn wer
    werden welche welcher welches wie wird wir wo zu zum zur au aux avec ce ces cette dans de du elle en
    est et il ils je la le les leur lui ma mais nous ou par pas pour qu que quel quelle qui sa se ses
    son sont sur un une vous como con cual cuales del donde el ella entre era esta este ha hay las los
    mas muy para pero por porque quien ser sin sobre su sus una uno y che chi come cosa dei della delle
    di gli ho io nel non per piu quale quando sono tra uma os ao dos na no nos em com nao
""")
"""English, German, French, Spanish, Italian, Portuguese; without accents."""
_NEGATIONS = _words("""
    no not never none neither nor nobody nothing nowhere without cannot can't won't doesn't don't isn't
    aren't didn't wasn't weren't shouldn't couldn't wouldn't hasn't haven't nicht kein keine keinen
    keinem keiner nie niemals nichts ohne jamais aucun aucune sans nunca ningun ninguna sin nao nem non
    mai senza niente нет не без
""")
_SUBORDINATING = _words("""
    although because if than that though unless until when whenever where whereas whether which while who whose
    dass falls ob obwohl weil wenn que quand si
""")
_ENDINGS = ("ation", "ment", "ing", "ion", "ed", "er", "en")


_HEADING = 0.3
"""What a sentence's heading counts of its fit."""
_DENSE = 0.2
"""What it counts that a sentence says little besides the question's words."""
_SHORT = 4
"""Content words below which density says nothing."""
_NEAR = 3
"""Words within which two stand near each other."""


@functools.lru_cache(maxsize=8192)
def _stem(word: str) -> str:
    """A rough stem: enough for "limits" and "limit", "pays" and "paying"; "paid" stays what it is."""
    if len(word) < 4 or not word.isalpha():
        return word
    if word.endswith("ies"):
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith("ss"):
        word = word[:-1]
    ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), "")
    word = word.removesuffix(ending)
    if ending and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    if len(word) > 3 and word[-1] in "ey":
        word = word[:-1]
    return word[:9]


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in folded if not unicodedata.combining(char))


@functools.lru_cache(maxsize=8192)
def terms(text: str) -> tuple[str, ...]:
    """The stems of the content words of a text, in order; pairs of characters where words have no spaces.

    What negates is left out: `negations` counts it.

    >>> terms("How many connections does the pool allow?")
    ('connect', 'pool', 'allow')
    """
    found: list[str] = []
    for word in _WORD.findall(_plain(text)):
        if _UNSPACED.search(word):
            found += [word[i : i + 2] for i in range(max(1, len(word) - 1))]
        elif word not in _STOP and word not in _NEGATIONS and (len(word) > 1 or word.isdigit()):
            found.append(_stem(word.split("'")[0].split("’")[0]))
    return tuple(found)


def is_unspaced(text: str) -> bool:
    """Whether a text is in a script that has no spaces between words, wholly or in part."""
    return _UNSPACED.search(text) is not None


def negations(text: str) -> int:
    """How many words of a text negate.

    >>> negations("It never fails, and does not wait.")
    2
    """
    return sum(word.replace("’", "'") in _NEGATIONS for word in _WORD.findall(_plain(text)))


def torn(text: str, quotes: Iterable[str]) -> bool:
    """Whether a text is word for word a piece of a quote that only stands there behind "that", "when" or the like.

    The quote does not say by itself what such a piece says: "the run is lost" of "it is no reason that the run is
    lost".

    >>> torn("The budget is used up.", ["BUDGET means that the budget is used up."])
    True
    >>> torn("The run goes on.", ["When the process is killed, the run goes on."])
    False
    """
    said = _WORD.findall(_plain(text))
    clauses = [_WORD.findall(_plain(c)) for quote in quotes for c in _CLAUSE_END.split(quote)]
    before = [
        words[at - 1] if at else ""
        for words in clauses
        for at in range(len(words) - len(said) + 1)
        if said and words[at : at + len(said)] == said
    ]
    return bool(before) and all(word in _SUBORDINATING for word in before)


def jaccard(one: str, other: str) -> float:
    """The share of content words that two texts have in common, 0 to 1."""
    a, b = set(terms(one)), set(terms(other))
    return len(a & b) / len(a | b) if a | b else 1.0


def covered(text: str, by: Iterable[str]) -> float:
    """The share of a text's content words that stand in other texts, 0 to 1.

    >>> covered("Crashes cost money, time and nerves.", ["a crash costs money"])
    0.6
    """
    wanted = terms(text)
    if not wanted:
        return 1.0
    there = {term for other in by for term in terms(other)}
    return sum(term in there for term in wanted) / len(wanted)


def follows(text: str, quotes: Iterable[str]) -> float:
    """The share of a text's neighbouring content words that stand near each other, in that order, in a quote.

    >>> follows("a crash costs a call", ["The crash costs at most one call."])
    1.0
    >>> follows("a call costs a crash", ["The crash costs at most one call."])
    0.0
    """
    found = terms(text)
    pairs = list(pairwise(found))
    near: set[tuple[str, str]] = set()
    for quote in quotes:
        there = terms(quote)
        for step in range(1, _NEAR + 1):
            near.update(zip(there, there[step:], strict=False))
    return sum(pair in near for pair in pairs) / len(pairs) if pairs else 1.0


@dataclass(frozen=True, slots=True)
class Weights:
    """How much a word says in a collection: the rarer the more (BM25's inverse document frequency)."""

    documents: int
    frequency: dict[str, int]
    mean_length: float

    @classmethod
    def of(cls, texts: Sequence[str]) -> Weights:
        """The weights of a collection of texts."""
        frequency: Counter[str] = Counter()
        length = 0
        for text in texts:
            found = terms(text)
            length += len(found)
            frequency.update(set(found))
        return cls(len(texts), dict(frequency), length / len(texts) if texts else 1.0)

    def weight(self, term: str) -> float:
        """The weight of one word. A word that the collection does not know weighs most."""
        seen = self.frequency.get(term, 0)
        return math.log(1 + (self.documents - seen + 0.5) / (seen + 0.5))

    def bm25(self, question: Sequence[str], text: str, *, k1: float = 1.2, b: float = 0.75) -> float:
        """How well a text fits the words of a question (Robertson and Zaragoza 2009)."""
        found = Counter(terms(text))
        length = sum(found.values()) / max(self.mean_length, 1.0)
        score = 0.0
        for term in dict.fromkeys(question):
            count = found.get(term, 0)
            if count:
                score += self.weight(term) * count * (k1 + 1) / (count + k1 * (1 - b + b * length))
        return round(score, 6)

    def share(self, question: Sequence[str], text: str) -> float:
        """The part of a question's weight that a text holds, 0 to 1.

        One word alone proves little where the question has several, however rare it is.
        """
        wanted = set(question)
        total = sum(map(self.weight, wanted))
        there = wanted & set(terms(text))
        if not total or not there:
            return 0.0
        share = sum(map(self.weight, there)) / total
        if len(there) == 1 < len(wanted):
            share /= 3
        return round(share, 6)

    def fit(self, question: Sequence[str], text: str, *, under: str = "") -> float:
        """How well a sentence stands as the answer's first: its share, that with its heading, and how dense it is.

        For putting sentences in order; whether one may be quoted is `share`'s to say. Measured with
        evals/datasets/guide_quotes.jsonl.
        """
        own = self.share(question, text)
        if not own:
            return 0.0
        found = terms(text)
        dense = len(set(question) & set(found)) / (len(found) + _SHORT)
        whole = self.share(question, f"{under} {text}")
        return round((1 - _HEADING) * own + _HEADING * whole + _DENSE * dense, 6)
