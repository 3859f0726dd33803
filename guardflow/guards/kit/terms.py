"""The content words of a text, as rough stems, beside what else a sentence is made of: numbers, names, negations.

The groundedness guard compares claims and sources by it. It knows no grammar and judges nothing.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from guardflow.guards.kit.text import normalize
from guardflow.guards.kit.words import FORGIVEN, NEGATIONS, Token, tokens
from guardflow.guards.kit.wordset import word_set

_FUNCTION = word_set("""
    a about after all also although am among an and any are as at be because been before being between both but by
    can did do does doing done due during each either else even ever for from get gets got had has have having he
    her here hers him his how however i if in into is it its itself just like made make makes many me more most
    much my of off on once one only onto or other others our out over own per put quite rather same set she
    shall so some still such than that the their them themselves then there therefore these they this those
    though through thus to too under until up upon us use used uses using very via was we well were what when where
    whether which while who whom whose why will with within yet you your
    aber als also am an auch auf aus bei beim bis da dadurch dann das dass dem den denn der des die dies diese diesem
    diesen dieser dieses doch durch ein eine einem einen einer eines er es etwa für gegen haben hat hatte hatten hier
    ich ihr ihre ihrem ihren im in ins ist ja je jede jeder jedes man mehr mit nach noch nun nur ob oder schon sehr
    sein seine seinem seinen seit sich sie sind so sowie über um und uns unter vom von vor war waren was wenn wer
    werden wie wieder wir wird wurde wurden zu zum zur zwischen
    à au aux avec car ce ces cet cette chez comme dans de depuis des donc du elle elles en entre est et été eu il
    ils je l la le les leur leurs lors lui mais même mes mon nous on ont ou où par parce pendant plus pour qu que
    qui sa se ses si son sont sous sur ta tes toi ton très tu un une vers vous y
    al algo como con cual cuando de del desde donde el ella ellos en entre era es esa ese esta este esto fue ha han
    hasta hay la las le les lo los más mi muy o para pero por porque que se ser si sobre son su sus también te un
    una uno y ya che di da del della dei delle gli il lo nel nella per più sono è e o ao aos as com da das do
    dos em foi mais mas na nas no nos os pela pelo são um uma het een en van op te dat die voor met zijn
""")
_EXCEPTIONS = word_set("except excluding unless")
"""They limit what is said, and do not deny it."""
_NUMBER_WORDS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
}
_CURRENCIES = {"$": "dollars", "€": "euros", "£": "pounds", "¥": "yen"}
_BEING = word_set("is are was were be been being")
_NO_AGENT = word_set("the-end then now half law hand mistake default means using doing adding removing")
_ENDS_AGENT = word_set(
    "in on at for from during after before since near because who which that when while until over under with"
)
_ENDINGS = (
    "ations",
    "ation",
    "ments",
    "ment",
    "ings",
    "ing",
    "ions",
    "ion",
    "ers",
    "ed",
    "er",
    "es",
    "en",
    "ly",
    "s",
)
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\u0e00-\u0eff]")
_CITATION = re.compile(r"\[\^?\d{1,4}(?:\s?[,;–-]\s?\d{1,4})*\]")
_MARK = re.compile(r"^\s*(?:[-*+•]\s+|\(?\d{1,3}[.)]\s+|#{1,6}\s+)+")


@dataclass(frozen=True, slots=True)
class Words:
    """What a sentence is made of. ``terms`` are content words and numbers in order, as stems."""

    text: str
    terms: tuple[str, ...]
    numbers: frozenset[str]
    names: tuple[str, ...]
    """Capitalised words inside a sentence, as written but in lower case."""
    function: frozenset[str]
    """Little words: they tell the language, not the content."""
    negations: int
    all: frozenset[str]
    """Every word and number, in lower case."""
    number_order: tuple[str, ...]
    """The numbers as they follow each other."""
    name_order: tuple[str, ...]
    """The names, also the one that opens the sentence, with the agent of "done by" first."""
    capitals: float
    """The share of content words that are capitalised inside the sentence: high in German and in titles."""


@functools.lru_cache(maxsize=4096)
def words_of(text: str) -> Words:
    """Take a sentence apart. Citation marks (``[1]``) and list marks are left aside.

    >>> words = words_of("- The pool never holds 1,000 connections [2].")
    >>> words.terms, sorted(words.numbers), words.negations
    (('pool', 'hold', '1000', 'connect'), ['1000'], 1)
    """
    found: list[str] = []
    numbers: set[str] = set()
    names: list[str] = []
    function: set[str] = set()
    everything: set[str] = set()
    negations = content = 0
    number_order: list[str] = []
    name_order: list[str] = []
    plain = normalize(_MARK.sub("", _CITATION.sub("", text))).text
    for token in _active(_units_last(tokens(plain))):
        word = _NUMBER_WORDS.get(token.word, token.word)
        if word == "may" and token.kind == "name":
            word = "May"  # the month hedges nothing
        everything.add(word)
        if token.kind == "number" or word.isdecimal():
            numbers.add(word)
            number_order.append(word)
            found.append(word)
        elif word in NEGATIONS:
            negations += word not in _EXCEPTIONS
        elif word in _FUNCTION or word in FORGIVEN:
            function.add(word)
        elif token.kind == "sign":
            found.append(word)
        else:
            content += 1
            if token.kind == "name":
                names.append(word)
            if plain[token.start].isupper():
                name_order.append(word)
            found += _stems(word)
    capitals = len(names) / content if content else 0.0
    return Words(
        text,
        tuple(found),
        frozenset(numbers),
        tuple(names),
        frozenset(function),
        negations,
        frozenset(everything),
        tuple(number_order),
        tuple(name_order),
        capitals,
    )


def _units_last(found: list[Token]) -> list[Token]:
    """$35 as 35 dollars."""
    for i, token in enumerate(found):
        if token.word in _CURRENCIES:
            unit = Token(_CURRENCIES[token.word], token.start, token.end, "word")
            number = found[i + 1] if i + 1 < len(found) else None
            if number is not None and number.kind == "number":
                found[i : i + 2] = [number, unit]
            else:
                found[i] = unit
    return found


def _active(found: list[Token]) -> list[Token]:
    """What was "bought by Ada in May" in the order of "Ada bought it in May"."""
    verb = next(
        (
            i
            for i in range(2, len(found))
            if found[i - 1].word in _BEING
            and found[i].word.endswith(("ed", "en", "un", "wn", "ght", "ade", "old", "eld"))
        ),
        0,
    )
    by = next((i for i in range(verb + 1, len(found) - 1) if found[i].word == "by"), 0)
    if not verb or not by or found[by + 1].kind in ("number", "sign") or found[by + 1].word in _NO_AGENT:
        return found
    end = next((i for i in range(by + 2, len(found)) if found[i].word in _ENDS_AGENT), len(found))
    return [
        *found[by + 1 : end],
        found[verb],
        *found[: verb - 1],
        *found[verb + 1 : by],
        *found[verb - 1 : verb],
        *found[by : by + 1],
        *found[end:],
    ]


def _stems(word: str) -> list[str]:
    if _UNSPACED.search(word):
        return [word[i : i + 2] for i in range(max(1, len(word) - 1))]
    return [stem(word)]


@functools.lru_cache(maxsize=16384)
def stem(word: str) -> str:
    """A rough stem: enough for "limits" and "limit", "pays" and "paying"; "paid" stays what it is.

    >>> [stem(w) for w in ("limits", "limited", "policies", "stopped", "connection", "bus")]
    ['limit', 'limit', 'policy', 'stop', 'connect', 'bus']
    """
    word = word.removesuffix("'s").removesuffix("'")
    if len(word) < 4 or not word.isalpha():
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    ending = next((e for e in _ENDINGS if word.endswith(e) and len(word) - len(e) >= 3), "")
    if ending == "s" and word.endswith(("ss", "us", "is")):
        ending = ""
    word = word.removesuffix(ending)
    if ending and len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        word = word[:-1]
    if len(word) > 3 and word[-1] == "e":
        word = word[:-1]
    return word[:10]
