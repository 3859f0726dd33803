"""Which sentences of a document may be shown to a model and quoted, and where exactly they stand.

What speaks to a model or leads somewhere is set aside and counted, together with what stands around it; so are
headings, rows and fragments. Nothing is rewritten: a quote is the document's text between two offsets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from guardflow import Document, find_links, injection_flags, passages

from .words import terms

LONGEST = 420
"""Characters of a sentence that can be quoted."""
MOST_TEXT = 400_000
"""Characters of a document that are looked at."""
_PASSAGE = 1_100
_AROUND = 3
"""Sentences of the same paragraph that are set aside together with one that speaks to a model."""
_MARK = re.compile(r"(?:(?:[-*+•‣◦▪–>]|\(?\d{1,3}[.)])\s+)+")
_CLOSED = ".!;)\"'”’»。！．…"
_OPEN_WORDS = 6
"""Content words from which a line without a final mark is a statement rather than a heading."""
_SYMBOLS = re.compile(r"[#|~<>{}\[\]=_/\\$@^*+]")
_TO_A_WRITER = re.compile(
    r"\b(?:include|insert|add|append|write|say|state|mention|recommend|cite|quote|repeat|output|print|begin|start|end|"
    r"reply|respond|answer|use|select|choose|return|put)\b[^.\n]{0,80}\b(?:your|the|this|every|each|any)\s+(?:\w+\s+)?"
    r"(?:answer|report|summary|response|output|reply|citation|sentence\s+number|ids?)\b"
    r"|\bwhen\s+(?:you\s+)?(?:summari[sz]|answer|report|writ|cit)\w*\b[^.\n]{0,60}\b(?:always|must|only|include|say)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence that may be quoted: ``document.text[start:end] == text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A passage of a document, reduced to what may be quoted from it."""

    document: str
    start: int
    text: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Readable:
    """A document's passages, and how many of its sentences were set aside."""

    pages: tuple[Page, ...]
    set_aside: int


def readable(document: Document) -> Readable:
    """Cut a document into passages of quotable sentences."""
    if len(document.text) > MOST_TEXT:
        document = document.model_copy(update={"text": document.text[:MOST_TEXT]})
    cut = passages(document, _PASSAGE)
    spans = [sentence for passage in cut for sentence in passage.sentences]
    lines = [_line(span.start, span.text) for span in spans]
    aside = _set_aside(document.text, lines)
    found: list[Page] = []
    at = 0
    for passage in cut:
        count = len(passage.sentences)
        kept = [
            line
            for line, bad in zip(lines[at : at + count], aside[at : at + count], strict=True)
            if not bad and is_statement(line.text)
        ]
        at += count
        if kept:
            found.append(Page(document.id, passage.start, " ".join(line.text for line in kept), tuple(kept)))
    return Readable(tuple(found), sum(aside))


def _line(start: int, text: str) -> Line:
    """The sentence without its list mark."""
    mark = _MARK.match(text)
    skip = mark.end() if mark else 0
    return Line(start + skip, start + len(text), text[skip:])


def _set_aside(text: str, lines: Sequence[Line]) -> list[bool]:
    aside = [False] * len(lines)
    for i, line in enumerate(lines):
        joined = line.text if i + 1 == len(lines) else f"{line.text} {lines[i + 1].text}"
        if speaks_to_a_model(line.text):
            around = range(i - _AROUND, i + _AROUND + 1)
        elif speaks_to_a_model(joined) and not speaks_to_a_model(lines[i + 1].text):
            around = range(i, i + 2)
        else:
            aside[i] = aside[i] or bool(find_links(line.text))
            continue
        for j in around:
            if 0 <= j < len(lines) and _same_paragraph(text, lines[min(i, j)], lines[max(i, j)]):
                aside[j] = True
    return aside


def _same_paragraph(text: str, first: Line, last: Line) -> bool:
    return first is last or "\n\n" not in text[first.end : last.start]


def speaks_to_a_model(text: str) -> bool:
    """Whether a text gives orders to whoever writes the report."""
    return bool(injection_flags(text) or _TO_A_WRITER.search(text))


def is_statement(text: str) -> bool:
    """Whether a text can stand alone as a quotation: a sentence, not a heading, a row, a question or code.

    >>> is_statement("The pool holds ten connections."), is_statement("The size of a pool"), is_statement("How so?")
    (True, False, False)
    """
    if not 12 <= len(text) <= LONGEST or text.endswith(("?", ":", "？", "：")):
        return False
    letters = sum(char.isalpha() or char.isspace() for char in text)
    if letters < 0.7 * len(text) or len(terms(text)) < 3:
        return False
    if text[-1] not in _CLOSED and len(terms(text)) < _OPEN_WORDS:
        return False
    symbols = len(_SYMBOLS.findall(text))
    return not text.startswith(("#", "|", "```", "<", "@", "$")) and symbols * 22 <= len(text)
