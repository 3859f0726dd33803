"""Where sentences start and end, by rules and for many languages; the same text gives the same spans.

`guardflow.sources.documents` and the groundedness guard call it. It never changes a character and needs no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from guardflow.guards.kit.wordset import word_set

_BLOCK_END = re.compile(
    r"\n[^\S\n]*\n\s*"  # a blank line
    r"|\n(?=[^\S\n]*(?:[-*+•‣◦▪–]|\(?\d{1,3}[.)]|\(?[a-z]\))[^\S\n])"  # a list item follows
    r"|\n(?=[^\S\n]*(?:\#{1,6}[^\S\n]|\||>|```|~~~))"  # a heading, a row, a quotation, code
    r"|(?<=\|)[^\S\n]*\n"  # a row ended
    r"|[\f\v\x1c-\x1e\u2028\u2029]+"
)
_END = re.compile(
    r"[。！？｡︒]++[\"'”’」』）》】〉\])]*+"  # these end a sentence with no space after them
    r"|(?<![.!?…‽؟۔।॥።፧။៕։])[.!?…‽؟۔।॥።፧။៕։]++[\"'”’»›)\]]*+(?=\s)"
)
_LIST_MARK = re.compile(r"(?:[-*+•‣◦▪–]|\(?\d{1,3}[.)]|\(?[a-z]\)|\#{1,6})\s*")
_LAST_WORD = re.compile(r"[^\W_](?:[\w.'’-]*\w)?$")
_NEXT = re.compile(r"[\"'“‘«‹„‚(\[¿¡*_]*(\S)")

# What a full stop follows without ending the sentence, in lower case and without that stop.
_NEVER_LAST = word_set(
    # titles and names
    "dr mr mrs ms prof st sr sra srta dra mme mlle hr fr frl dipl ing gen col lt sgt capt rev hon pres gov sen rep "
    # references
    "no nr nos nrs fig figs abb tab vol ed eds pp p s art abs sec ch kap eq bd hrsg vgl cf cp z b d h u "
    # little words
    "e.g i.e z.b d.h u.a o.ä v.a i.d.r u.u s.o s.u m.e b.v n.b p.ex c.-à-d bzw ca ggf evtl inkl exkl zzgl sog vs viz approx "
    "al u.s u.k u.n e.u d.c incl excl resp tel"
)
# These may end one: a capital letter after them decides.
_MAYBE_LAST = word_set(
    "etc usw usf inc ltd corp co jr bros dept est gmbh a.m p.m ph.d b.c a.d min max std jh jhd mio mrd "
    "jan feb mar apr jun jul aug sep sept oct nov dec okt dez mai juin juil ene abr ago dic mon tue wed thu fri sat sun"
)
_MONTHS = (
    r"januar|jänner|februar|märz|april|mai|juni|juli|august|september|oktober|november|dezember|"
    r"january|february|march|may|june|july|october|december|quartal|jahrhundert|"
    r"leden|ledna|února|března|dubna|května|června|července|srpna|září|října|listopadu|prosince|"
    r"januari|februari|mars|maj|augusti|marts|oktober|desember|helmikuuta|tammikuuta"
)
_ORDINAL_NOUN = re.compile(rf"\s+(?:{_MONTHS})\b", re.IGNORECASE)


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """``(start, end)`` of each sentence, in order, apart, and without white space at either end.

    A blank line, a list item, a heading and a table row always start a new one; a single line break does not.
    Full stops after abbreviations, initials, list numbers and inside numbers do not end a sentence.
    """
    return [span for block in _blocks(text) for span in _inside(text, *block)]


def _blocks(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for gap in _BLOCK_END.finditer(text):
        yield start, gap.start()
        start = gap.end()
    yield start, len(text)


def _inside(text: str, start: int, stop: int) -> Iterator[tuple[int, int]]:
    start, stop = _trim(text, start, stop)
    if start >= stop:
        return
    mark = _LIST_MARK.match(text, start, stop)
    body = mark.end() if mark else start
    for end in _END.finditer(text, start, stop):
        if end.start() >= body and end.end() < stop and _ends_here(text, start, end, stop):
            yield start, end.end()
            start = _trim(text, end.end(), stop)[0]
    if start < stop:
        yield start, stop


def _trim(text: str, start: int, stop: int) -> tuple[int, int]:
    while start < stop and text[start].isspace():
        start += 1
    while stop > start and text[stop - 1].isspace():
        stop -= 1
    return start, stop


def _ends_here(text: str, start: int, end: re.Match[str], stop: int) -> bool:
    mark = end.group()
    if mark[0] != "." and mark[0] != "…":
        # "Why?" he asked: a small letter after a closing quotation mark goes on.
        following = _NEXT.match(text, _trim(text, end.end(), stop)[0], stop)
        return not (following and following[1].islower() and mark[-1] in "\"'”’»›)]")
    following = _NEXT.match(text, _trim(text, end.end(), stop)[0], stop)
    if following and (following[1].islower() or following[1] in ",;:"):
        return False
    if len(mark.rstrip("\"'”’»›)]")) > 1:  # three dots, or "?."
        return True
    word = _LAST_WORD.search(text, max(start, end.start() - 40), end.start())
    if word is None:
        return True
    return _word_may_end(word.group().lower(), text, word, end, following)


def _word_may_end(
    name: str, text: str, word: re.Match[str], end: re.Match[str], following: re.Match[str] | None
) -> bool:
    if name in _NEVER_LAST:
        return _closes(end.group())
    if name in _MAYBE_LAST:
        return following is not None and following[1].isupper()
    if len(name) == 1 and name.isalpha() and word.group().isupper():  # J. Smith
        return _closes(end.group())
    if name.isdigit() and len(name) <= 2:  # am 3. März
        return _ORDINAL_NOUN.match(text, end.end()) is None
    return True


def _closes(mark: str) -> bool:
    """A stop before a closing quotation mark or bracket ends a sentence whatever the word."""
    return len(mark) > 1
