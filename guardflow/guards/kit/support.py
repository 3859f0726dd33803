"""What the words of a source say of a claim: that it stands there, that it does not, or that words cannot tell.

The groundedness guard asks it first, so that only what is in doubt costs a question. It asks nobody itself, and
"supported" is what it says last: numbers, names, negations, direction, hedges and order all have to agree.
"""

from __future__ import annotations

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal, NamedTuple

from guardflow.guards.kit.antonyms import HEDGES, PARTIAL, UNIVERSAL, opposites
from guardflow.guards.kit.parts import taken_apart
from guardflow.guards.kit.sentences import sentence_spans
from guardflow.guards.kit.terms import Words, words_of
from guardflow.guards.kit.text import normalize
from guardflow.guards.kit.verbatim import find_quote

Standing = Literal["supported", "unsupported", "doubtful"]

COVERED = 0.85
"""Share of a claim's content words that a passage has to have, or words alone do not support it."""
FOREIGN = 0.34
"""Share of a claim's content words below which the whole source does not speak of it, unless in other words."""
_IN_ORDER = 0.5
"""Share of neighbouring content words that are neighbours in the passage too."""
_SURELY = 0.8
"""The same, where the passage has other numbers or names that could have been exchanged."""
_NEAR = 3
"""Content words within which two stand near each other."""
_CLAUSE = re.compile(
    r"(?<=[,;:.!?])\s+|\s+(?=(?:but|while|whereas|although|aber|sondern|mais|pero)\b)|\s[-–—]\s"
)
_GERMAN = frozenset(("der", "die", "das", "und", "ist", "ein", "eine", "nicht", "wurde", "im"))
"""Where these stand, capitals do not tell names from other nouns."""
_TITLE = 0.6
"""From this share of capitalised words on, a claim is written like a title."""
_PRONOUNS = frozenset(
    ("he", "she", "it", "they", "its", "his", "her", "their", "this", "these", "er", "sie", "es")
)


class Verdict(NamedTuple):
    """How a claim stands, why, and the passage that comes nearest to it."""

    standing: Standing
    reason: str
    nearest: str | None = None


class Ground:
    """The sentences of some sources, ready to be asked what they say of a claim. See `ground_of`."""

    def __init__(self, sources: Sequence[str]) -> None:
        self.sentences: list[Words] = []
        self._follows: list[bool] = []
        """Whether a sentence goes on where the one before it ended."""
        self._where: defaultdict[str, list[int]] = defaultdict(list)
        for source in sources:
            for n, (start, end) in enumerate(sentence_spans(source)):
                self._add(words_of(source[start:end]), follows=n > 0)
        self._terms = frozenset(self._where)
        self._words = frozenset[str]().union(*(s.all for s in self.sentences))
        self._whole = frozenset(_bare(words.text) for words in self.sentences)
        self._plain = "\n".join(words.text for words in self.sentences)
        self._has_names = len(self._words & _GERMAN) < 2 or "the" in self._words
        self._sources = tuple(sources)

    def _add(self, words: Words, *, follows: bool) -> None:
        for term in set(words.terms):
            self._where[term].append(len(self.sentences))
        self.sentences.append(words)
        self._follows.append(follows)

    def near(self, claim: Words, *, most: int, chars: int) -> str:
        """The source as far as it bears on a claim: whole if it is short, else the sentences that share most
        with it, each with its neighbours, in the order of the source."""
        if sum(map(len, self._sources)) <= chars:
            return "\n\n".join(self._sources)
        wanted: set[int] = set()
        for i, _ in self._shared(claim).most_common(most):
            wanted.update(j for j in (i - 1, i, i + 1) if 0 <= j < len(self.sentences))
        return "\n".join(self.sentences[i].text for i in sorted(wanted))[:chars]

    def has(self, quote: str) -> bool:
        """Whether a quote stands in one of the sources (see `find_quote`)."""
        return any(find_quote(quote, source) is not None for source in self._sources)

    def look(self, claim: Words) -> Verdict:
        """How a claim stands."""
        if not claim.terms or claim.text.rstrip().endswith(("?", "？")):
            return Verdict("supported", "claims nothing")
        if _bare(claim.text) in self._whole:
            return Verdict("supported", "stands there word by word")
        window = self._nearest(claim)
        nearest = " ".join(words.text for words in window) or None
        missing = [term for term in dict.fromkeys(claim.terms) if term not in self._terms]
        problems = list(self._problems(claim, window, missing))
        for standing in ("unsupported", "doubtful"):
            for problem, reason in problems:
                if problem == standing:
                    return Verdict(standing, reason, nearest)
        return Verdict("supported", "a passage says the same", nearest)

    def _problems(
        self, claim: Words, window: Sequence[Words], missing: Sequence[str]
    ) -> Iterator[tuple[Standing, str]]:
        """What speaks against a claim, the surest first."""
        if numbers := [n for n in claim.numbers if n not in self._words]:
            yield "unsupported", f"has a number that the source does not have: {min(numbers)!r}"
        foreign = self._is_foreign(claim)
        if (
            self._has_names
            and not foreign
            and claim.capitals < _TITLE
            and (names := self._unknown_names(claim))
        ):
            yield "unsupported", f"names what the source does not name: {names[0]!r}"
        if len(missing) > (1 - FOREIGN) * len(set(claim.terms)) and not foreign:
            yield "doubtful", "says what the source does not speak of"
        if not window:
            yield "doubtful", "shares no word with the source"
            return
        yield from _turns(claim, window)
        if _covered(claim, window) < COVERED:
            yield "doubtful", "says more than the nearest passage"
        elif not _in_one(claim, window):
            yield "doubtful", "puts together what stands in different sentences"
        yield from _loosens(claim, window)
        for reason in taken_apart(claim, window):
            yield "doubtful", reason

    def _is_foreign(self, claim: Words) -> bool:
        """Whether a claim is written in another language than the source, as its little words tell."""
        return len(claim.function) >= 2 and len(claim.function & self._words) * 2 < len(claim.function)

    def _unknown_names(self, claim: Words) -> list[str]:
        unknown = [name for name in claim.names if not self._knows(name)]
        return [name for name in unknown if not self._spelt_out(name)]

    def _knows(self, name: str) -> bool:
        if {name, name.removesuffix("'s"), name.removesuffix("s")} & self._words:
            return True
        return all(term in self._terms for term in words_of(name).terms)

    def _spelt_out(self, name: str) -> bool:
        """Whether a short name may be made of the initials of words of the source: WHO."""
        if not 2 <= len(name) <= 6:
            return False
        pattern = r"\b" + r"\w*\W+(?:of\W+|the\W+|for\W+|and\W+)*".join(map(re.escape, name))
        return re.search(pattern, self._plain, re.IGNORECASE) is not None

    def _shared(self, claim: Words) -> Counter[int]:
        shared: Counter[int] = Counter()
        for term in set(claim.terms):
            places = self._where.get(term, ())
            weight = 1 + 1000 // (1 + len(places))  # a rare word tells more about where to look
            for i in places:
                shared[i] += weight
        return shared

    def _nearest(self, claim: Words) -> list[Words]:
        """The sentence, or up to three in a row, that have most of a claim's content words."""
        best: list[Words] = []
        most = 0.0
        for i, _ in self._shared(claim).most_common(8):
            for first, last in ((i, i), (i - 1, i), (i, i + 1), (i - 1, i + 1)):
                if first < 0 or last >= len(self.sentences) or not all(self._follows[first + 1 : last + 1]):
                    continue
                window = self.sentences[first : last + 1]
                share = _covered(claim, window) + 0.001 * _order(claim, window) - 0.01 * (last - first)
                if share > most:
                    best, most = window, share
        return best


@functools.lru_cache(maxsize=16)
def ground_of(sources: tuple[str, ...]) -> Ground:
    """The ground of some texts. The last few are kept: every attempt of a stage is held against one input.

    >>> ground = ground_of(("The pool holds ten connections. It is never resized.",))
    >>> [ground.look(words_of(text)).standing for text in ("The pool holds 10 connections.", "The pool holds 25.")]
    ['supported', 'unsupported']
    """
    return Ground(sources)


def _bare(sentence: str) -> str:
    return normalize(sentence).text.strip().rstrip(".!")


def _all(window: Sequence[Words]) -> frozenset[str]:
    return frozenset[str]().union(*(words.all for words in window))


def _covered(claim: Words, window: Sequence[Words]) -> float:
    there = {term for words in window for term in words.terms}
    wanted = set(claim.terms)
    return len(wanted & there) / len(wanted)


def _order(claim: Words, window: Sequence[Words], near: int = _NEAR) -> float:
    """The share of a claim's neighbouring content words that stand near each other, in that order."""
    return _order_of(claim.terms, [term for words in window for term in words.terms], near)


def _order_of(terms: Sequence[str], there: Sequence[str], near: int = _NEAR) -> float:
    pairs = [pair for pair in pairwise(terms) if pair[0] in there and pair[1] in there]
    close = {pair for step in range(1, near + 1) for pair in zip(there, there[step:], strict=False)}
    return sum(pair in close for pair in pairs) / len(pairs) if pairs else 1.0


def _turns(claim: Words, window: Sequence[Words]) -> Iterator[tuple[Standing, str]]:
    """What a claim says the other way round than the passage."""
    sure: Standing = "unsupported" if _covered(claim, window) >= COVERED else "doubtful"
    there = _all(window)
    for word in sorted(claim.all - there):
        if (turned := opposites(word) & (there - claim.all)) and not opposites(word) & claim.all:
            yield (
                "unsupported" if _covered(claim, window) >= _IN_ORDER else "doubtful",
                f"says {word!r} where the source says {min(turned)!r}",
            )
    near = [words for words in _clauses(window) if _covered(claim, [words]) >= _IN_ORDER] or list(window)
    if bool(claim.negations) not in {bool(words.negations) for words in near}:
        yield sure, "negates what the source says, or the other way round"
    if (claim.all & UNIVERSAL) and not there & UNIVERSAL:
        if there & PARTIAL:
            yield "unsupported", "says of all what the source says of some"
        yield "doubtful", "says of all what the source does not say of all"
    said = [words for words in window if _covered(claim, [words]) >= _IN_ORDER] or list(window)
    if (hedged := _all(said) & HEDGES) and not claim.all & HEDGES:
        yield "doubtful", f"leaves out {min(hedged)!r}"


def _in_one(claim: Words, window: Sequence[Words]) -> bool:
    """Whether one sentence says it all, but for the subject that a pronoun takes from the sentence before."""
    for i, words in enumerate(window):
        missing = set(claim.terms) - set(words.terms)
        if len(missing) <= (1 - COVERED) * len(set(claim.terms)):
            return True
        if _goes_on(claim, window, i):
            return True
    return False


def _goes_on(claim: Words, window: Sequence[Words], i: int) -> bool:
    """Whether a sentence says most of a claim, and pronouns stand for what it takes from the sentence before."""
    words, before = window[i], window[i - 1].terms if i else ()
    missing = set(claim.terms) - set(words.terms)
    return (
        bool(words.function & _PRONOUNS)
        and claim.numbers <= words.numbers
        and missing <= set(before)
        and len(missing) <= _IN_ORDER * len(set(claim.terms))
    )


def _loosens(claim: Words, window: Sequence[Words]) -> Iterator[tuple[Standing, str]]:
    """What is put together otherwise than in the passage, so that the same words may say something else."""
    numbers = frozenset(term for words in window for term in words.numbers)
    if claim.numbers - numbers:
        yield "doubtful", "has a number from another passage"
    order = _order_said(claim, window)
    if order < _IN_ORDER:
        yield "doubtful", "puts the words of the source in another order"
    if order < _SURELY and _competes(claim, window, numbers):
        yield "doubtful", "may give one thing the number or the name of another"
    for one, other in pairwise(claim.terms):
        there = {term for words in window for term in words.terms}
        if (one in claim.numbers and other not in there) or (other in claim.numbers and one not in there):
            yield "doubtful", f"counts what the passage does not count: {one} {other}"


def _order_said(claim: Words, window: Sequence[Words]) -> float:
    """The order of a claim, as `_order` tells it, leaving out what pronouns of the passage stand for."""
    for i, words in enumerate(window):
        if i and _goes_on(claim, window, i):
            said = [term for term in claim.terms if term in words.terms]
            return max(_order(claim, window), _order_of(said, words.terms))
    return _order(claim, window)


def _competes(claim: Words, window: Sequence[Words], numbers: frozenset[str]) -> bool:
    """Whether the passage has other numbers, years or names that could have been exchanged for the claim's."""
    years, others = _years(claim.numbers), claim.numbers - _years(claim.numbers)
    names = {name for words in window for name in words.names}
    return (
        len(others) > 1
        or len(years) > 1
        or (bool(others) and bool(numbers - _years(numbers) - others))
        or (bool(years) and bool(_years(numbers) - years))
        or (bool(claim.names) and bool(names - set(claim.names)) and not claim.numbers)
    )


def _years(numbers: frozenset[str]) -> frozenset[str]:
    return frozenset(n for n in numbers if len(n) == 4 and n[:2] in ("17", "18", "19", "20"))


def _clauses(window: Sequence[Words]) -> Iterator[Words]:
    for words in window:
        yield from (words_of(clause) for clause in _CLAUSE.split(words.text) if clause)
