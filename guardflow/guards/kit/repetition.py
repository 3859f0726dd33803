"""Texts that go round in circles: a degenerate model repeats words, sentences or lines until it is cut off.

`no_repetition` guards answers with it. Everything is counted in time linear in the text.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from guardflow.errors import StageError
from guardflow.guards.core import Guard
from guardflow.guards.paths import texts
from guardflow.values import Finding

_WORD = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+(?:['’-][^\W_]+)*")
"""A word, or a letter of a script that is written without spaces."""
_LETTER = re.compile(r"[^\W\d_]")
_TABLE_LINE = re.compile(r"^[ \t]*\|[^\n]*\|[ \t]*$", re.MULTILINE)
_SENTENCE = re.compile(r"[^.!?。！？\n]+")
_RUN = re.compile(r"(\S{1,12}?)\1{19,}")
_LONGEST_UNIT = 60
"""Words of the longest stretch whose repetition is looked for word by word; longer ones consist of sentences."""
_LEAST_WORDS = 12
"""Words that a loop has in all: a chorus of "no, no, no" is none."""
_GRAM = 4


class Repetition(NamedTuple):
    """What is repeated, how often, and what kind of repetition it is."""

    kind: str
    """``loop`` (again and again at once), ``sentence`` (here and there), ``run`` (letters) or ``share``."""
    phrase: str
    times: int


def find_repetition(
    text: str, *, loops: int = 4, sentences: int = 4, share: float = 0.5
) -> tuple[Repetition, ...]:
    """The ways in which a text repeats itself, at most one of each kind.

    Args:
        text: where to look.
        loops: how often a stretch of words has to follow itself.
        sentences: how often a sentence or line of four words or more, three of them different, has to stand there.
        share: the share of all runs of four words that must have been there before, in a text of 100 or more.

    >>> find_repetition("I am sorry. " * 9)[0]
    Repetition(kind='loop', phrase='i am sorry', times=9)
    >>> find_repetition("Row, row, row your boat gently down the stream.")
    ()
    """
    lower = text.lower()
    found = [_letter_run(lower)]
    words = _WORD.findall(_TABLE_LINE.sub(" ", lower))
    found.append(_word_loop(words, loops))
    found.append(_same_sentence(lower, sentences))
    if len(words) >= 100:
        grams = len(words) - _GRAM + 1
        distinct = len(set(zip(*(words[i:] for i in range(_GRAM)), strict=False)))
        if grams - distinct > share * grams:
            found.append(Repetition("share", "", round(100 * (grams - distinct) / grams)))
    return tuple(repetition for repetition in found if repetition is not None)


def _letter_run(text: str) -> Repetition | None:
    for run in _RUN.finditer(text):
        if _LETTER.search(run[1]) and len(run[0]) >= 30:
            return Repetition("run", run[1], len(run[0]) // len(run[1]))
    return None


def _word_loop(words: list[str], loops: int) -> Repetition | None:
    """The loop of the shortest unit: where every word equals the one that a fixed number of words before."""
    for unit in range(1, min(_LONGEST_UNIT, len(words) // loops) + 1):
        at = 0
        for same, run in groupby(map(operator.eq, words, words[unit:])):
            length = sum(1 for _ in run)
            times = length // unit + 1
            if same and times >= loops and times * unit >= _LEAST_WORDS:
                phrase = " ".join(words[at : at + unit])
                if _LETTER.search(phrase):
                    return Repetition("loop", phrase, times)
            at += length
    return None


def _same_sentence(text: str, sentences: int) -> Repetition | None:
    counts = Counter(
        " ".join(found)
        for sentence in _SENTENCE.findall(text)
        if len(found := _WORD.findall(sentence)) >= 4 and len(set(found)) > 2 and _LETTER.search(sentence)
    )
    if counts:
        sentence, times = counts.most_common(1)[0]
        if times >= sentences:
            return Repetition("sentence", sentence, times)
    return None


def no_repetition(
    at: str | None = None,
    /,
    *,
    loops: int = 4,
    sentences: int = 4,
    share: float = 0.5,
    name: str = "no_repetition",
) -> Guard[object, object]:
    """A guard: no text goes round in circles (see `find_repetition`, also for what the bounds mean).

    Args:
        at: which texts, as a path pattern; None is all.
        loops: how often a stretch of words may not follow itself.
        sentences: how often a sentence or line may not stand in a text.
        share: the share of repeated word runs above which a long text is refused.
        name: what findings call the guard.

    Raises:
        StageError: a bound that every text or none would pass.

    >>> guard = no_repetition()
    >>> [f.message for f in guard({"text": "We will see. " * 5})]
    ["repeats 'we will see' 5 times in a row; say it once"]
    """
    if loops < 2 or sentences < 2 or not 0 < share < 1:
        raise StageError(
            f"guard {name!r} has bounds that cannot hold: loops={loops}, sentences={sentences}, share={share}",
            hint="loops and sentences are 2 or more, share is between 0 and 1",
        )

    def check(answer: object) -> Iterator[Finding]:
        for where, text in texts(answer, at):
            for found in find_repetition(text, loops=loops, sentences=sentences, share=share):
                yield Finding(_told(found), at=where, evidence=found.phrase[:200] or None)

    return Guard(check, name=name)


def _told(found: Repetition) -> str:
    phrase = found.phrase if len(found.phrase) <= 60 else f"{found.phrase[:60]}…"
    if found.kind == "share":
        return f"repeats itself: {found.times} % of its runs of {_GRAM} words were there before"
    if found.kind == "sentence":
        return f"says {phrase!r} {found.times} times; say it once"
    return f"repeats {phrase!r} {found.times} times in a row; say it once"
