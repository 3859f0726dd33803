"""Tell whether two nearly equal passages say the same: forgive spelling, never words, numbers or negations.

The verbatim guard asks it about what fuzzy matching found. Character similarity alone accepts every changed
number and every inserted "not"; this is what makes it worth anything.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from guardflow.guards.kit.numerals import Numeral, numerals
from guardflow.guards.kit.wordset import word_set

_WORD = re.compile(r"[^\W\d_](?:[^\W_]|['](?=[^\W\d_]))*|\d[^\W_]*|[%‰$€£¥°<>=≤≥≠≈±×÷+~^]|!(?=[\w=(])")


NEGATIONS = word_set("""
    no not never none neither nor nobody nothing nowhere without cannot hardly barely scarcely seldom rarely
    lack lacks lacking except excluding unless
    nicht kein keine keinen keinem keiner keines nie niemals nichts niemand weder ohne kaum außer
    ne pas jamais aucun aucune rien personne sans sauf guère non
    nunca ninguno ninguna ningún nada nadie tampoco sin não nem nenhum nenhuma sem
    mai nessuno nessuna niente senza né niet geen nooit niets zonder
    inte aldrig ingen inget utan ikke intet uden nie bez żaden не нет ни без никогда ничего нельзя
""")
"""English, German, French, Spanish, Portuguese, Italian, Dutch, Scandinavian, Polish, Russian."""
_TURNING = word_set("""
    all any some most many few only both either each every always often sometimes ever once
    more less fewer least maximum minimum max min above below over under before after until since
    increase increases increased increasing decrease decreases decreased decreasing rise rises rose risen rising
    fall falls fell fallen falling grow grew grown shrink shrank up down higher lower highest lowest high low
    and or but if with from to by in out into onto inside outside on off at than as
    may might must shall should can could will would is are was were be been has have had do does did
    true false yes allowed denied allow deny enable disable enabled disabled accept reject first last
    thousand million billion trillion hundred half double twice i you he she we they it his her their our
""")
"""Words whose exchange turns what a sentence says, even where they look alike."""
FORGIVEN = word_set("""
    a an the that der die das den dem des ein eine le la les un une el los las lo il gli de het een
""")
"""Articles and the like: left out or put in, they change nothing."""
_PERCENT = frozenset(("percent", "pct", "prozent", "pourcent", "procent", "процентов", "процента"))
_SPELT = re.compile(r"[\u0000-\u052f\u1e00-\u1fff]+")
"""Latin, Greek and Cyrillic: a letter is less than a word there."""


class Token(NamedTuple):
    """A word, a numeral or a sign, and where it is. ``word`` is what is compared."""

    word: str
    start: int
    end: int
    kind: str
    """``word``, ``name`` (capitalised inside a sentence), ``number`` or ``sign``."""


def tokens(text: str) -> list[Token]:
    """The words, numerals and signs of a text in normal form; contractions of "not" are taken apart.

    >>> [t.word for t in tokens("It can't be 1,000 per cent (or 5%).")]
    ['it', 'can', 'not', 'be', '1000', '%', 'or', '5', '%']
    """
    found: list[Token] = []
    numbers = list(numerals(text))
    at = 0
    for number in [*numbers, None]:
        for match in _WORD.finditer(text, at, len(text) if number is None else number.start):
            _add_word(found, text, match.group(), match.start())
        if number is not None:
            found.append(Token(_amount(number), number.start, number.end, "number"))
            at = number.end
    return found


def _amount(number: Numeral) -> str:
    if isinstance(number.value, str):
        return number.value
    sign, digits, exponent = number.value.as_tuple()
    plain = "".join(map(str, digits)).lstrip("0") or "0"
    power = int(exponent)
    while plain.endswith("0") and plain != "0":
        plain, power = plain[:-1], power + 1
    if 0 <= power <= 15:
        return "-" * sign + plain + "0" * power
    return f"{'-' * sign}{plain}e{power}"


def _add_word(found: list[Token], text: str, word: str, start: int) -> None:
    lower = word.lower()
    end = start + len(word)
    if not word[0].isalnum():
        found.append(Token(word, start, end, "sign"))
    elif any(c.isdigit() for c in word):
        found.append(Token(lower, start, end, "number"))
    elif lower == "cent" and found and found[-1].word == "per":
        found[-1] = Token("%", found[-1].start, end, "sign")
    elif lower in _PERCENT:
        found.append(Token("%", start, end, "sign"))
    elif lower == "cannot" or lower.endswith("n't"):
        stem = {"cannot": "can", "can't": "can", "won't": "will", "shan't": "shall"}.get(lower, lower[:-3])
        found.append(Token(stem, start, end, "word"))
        found.append(Token("not", start, end, "word"))
    else:
        inside = text[:start].rstrip(" \"'([")[-1:] not in (
            "",
            ".",
            "!",
            "?",
            ":",
            ";",
            "\n",
            "-",
            "*",
            "#",
            "|",
        )
        found.append(Token(lower, start, end, "name" if word[0].isupper() and inside else "word"))


class Alignment(NamedTuple):
    """Where a quote lies in a passage (token indices), and the differing stretches: (passage's, quote's)."""

    start: int
    end: int
    changes: list[tuple[list[Token], list[Token]]]


_GAP, _EXCHANGE = 2, 3
"""An exchange is dearer than a gap, so that a missing first word is not taken for an exchanged one."""


def align(quote: Sequence[Token], passage: Sequence[Token]) -> Alignment:
    """The stretch of the passage that is nearest to the quote, word by word (Sellers 1980)."""
    rows, columns = len(quote), len(passage)
    costs = [[0] * (columns + 1)]
    for i, token in enumerate(quote):
        word, above = token.word, costs[i]
        left = _GAP * (i + 1)
        row = [left]
        for j in range(columns):
            exchanged = above[j] if word == passage[j].word else above[j] + _EXCHANGE
            left = min(exchanged, above[j + 1] + _GAP, left + _GAP)
            row.append(left)
        costs.append(row)
    last = costs[rows]
    end = j = min(range(columns + 1), key=lambda k: (last[k], -k))
    i = rows
    changes: list[tuple[list[Token], list[Token]]] = []
    theirs: list[Token] = []
    ours: list[Token] = []
    while i > 0:
        here = costs[i][j]
        if j > 0 and quote[i - 1].word == passage[j - 1].word and here == costs[i - 1][j - 1]:
            if theirs or ours:
                changes.append((theirs[::-1], ours[::-1]))
                theirs, ours = [], []
            i, j = i - 1, j - 1
        elif j > 0 and here == costs[i - 1][j - 1] + _EXCHANGE:
            i, j = i - 1, j - 1
            theirs.append(passage[j])
            ours.append(quote[i])
        elif j > 0 and here == costs[i][j - 1] + _GAP:  # before the next case: it keeps more of the quote
            j -= 1
            theirs.append(passage[j])
        else:
            i -= 1
            ours.append(quote[i])
    if theirs or ours:
        changes.append((theirs[::-1], ours[::-1]))
    return Alignment(j, end, changes[::-1])


def difference(theirs: Sequence[Token], ours: Sequence[Token]) -> str | None:
    """What a quote changes that must not be changed, as a sentence; None if only the spelling differs.

    Forgiven: one letter more, less, other or swapped in a word of five letters or more that keeps its first
    one; words joined or split; accents; articles. Everything else counts: numbers, signs, negations, names,
    and any other word put in, left out or exchanged.
    """
    said, saying = " ".join(t.word for t in theirs), " ".join(t.word for t in ours)
    both = [*theirs, *ours]
    exchange = f"says {saying!r} where the source says {said!r}" if said and saying else ""
    change = exchange or (f"adds {saying!r}" if saying else f"leaves out {said!r}")
    for kind, changes in (("number", "a number"), ("sign", "a sign or unit")):
        if any(t.kind == kind for t in both):
            return f"changes {changes}: it {change}"
    if any(t.word in NEGATIONS for t in both):
        return f"changes a negation: it {change}"
    if any(t.word in _TURNING for t in both):
        return f"changes the sense: it {change}"
    left, right = ([t for t in side if t.word not in FORGIVEN] for side in (theirs, ours))
    if _bare(left) == _bare(right):
        return None
    if any(t.kind == "name" for t in both):
        return f"changes a name: it {change}"
    if len(left) == len(right) and all(_misspelt(a.word, b.word) for a, b in zip(left, right, strict=True)):
        return None
    return f"changes the words: it {change}"


def _bare(words: Sequence[Token]) -> str:
    """The letters alone, without accents."""
    letters = unicodedata.normalize("NFKD", "".join(t.word for t in words))
    return "".join(c for c in letters if c.isalnum())


def _misspelt(one: str, other: str) -> bool:
    from rapidfuzz.distance import OSA

    if min(len(one), len(other)) < 5 or one[0] != other[0] or not _SPELT.fullmatch(one + other):
        return False
    return OSA.distance(one, other, score_cutoff=1) <= 1
