"""Which sentences of a document may be shown to a model and quoted, and where exactly they stand.

What speaks to a model or leads somewhere is set aside and counted, together with what stands around it; so are
headings, rows and fragments. Nothing is rewritten: a quote is the document's text between two offsets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from guardflow import Document, find_links, injection_flags, passages

from .words import terms

LONGEST = 420
"""Characters of a sentence that can be quoted."""
MOST_TEXT = 400_000
"""Characters of a document that are looked at."""
_PASSAGE = 1_100
_CODE = "    "
_HEADING = 90
_AROUND = 3
"""Sentences of the same paragraph that are set aside together with one that speaks to a model."""
_MARK = re.compile(r"(?:(?:[-*+•‣◦▪–>]|\(?\d{1,3}[.)])\s+)+")
_CLOSED = ".!;)\"'”’»。！．…"
_LAST_WORD = re.compile(r"([^\W\d_]+)\s+$")
_OPEN_WORDS = 6
"""Content words from which a line without a final mark is a statement rather than a heading."""
_LEADS_ON = 8
"""Content words from which a sentence that ends with a colon says something without what follows."""
_SYMBOLS = re.compile(r"[#|~<>{}\[\]=_/\\$@^*+]")
_ABOUT_ITSELF = re.compile(
    r"(?:in )?(?:this|the (?:following|next)) (?:chapter|section|page|document|article|guide|part|post|tutorial|report|"
    r"paper|book)s?,? (?:is about|says|describes?|explains?|covers?|shows?|discusses|introduces|presents|provides|gives|"
    r"looks at|deals with|will|contains|we|you|i)\b"
    r"|(?:in diesem|dieses|dieser|diese) (?:kapitel|abschnitt|artikel|dokument|seite|text)\b.{0,12}?\b(?:beschreib|erklär|"
    r"behandel|zeig|handel|geht)",
    re.IGNORECASE,
)
_VERBS = (
    r"(?:include|insert|add|append|write|say|state|mention|recommend|cite|quote|repeat|output|print|begin|start|end|"
    r"reply|respond|answer|use|select|choose|return|put)"
)
_YOURS = re.compile(
    rf"\b{_VERBS}\b[^.\n]{{0,80}}\byour\s+(?:\w+\s+)?(?:answer|report|summary|response|output|reply|citation)\b"
    r"|\bwhen(?:ever)?\s+(?:you\s+(?:summari[sz]e|answer|report\s+on|write\s+about|cite)|summari[sz]ing|answering|citing)\b[^.\n]{0,60}"
    r"\b(?:always|must|include|say|mention|only)\b",
    re.IGNORECASE,
)
"""What nobody says who does not speak to a writer."""
_TO_A_WRITER = re.compile(
    rf"\b{_VERBS}\b[^.;\n]{{0,80}}\b(?:the|this|every|each|any)\s+(?:\w+\s+)?"
    r"(?:answer|report|summary|citation|sentence\s+number|ids)s?\b"
    rf"|\b{_VERBS}\b[^.;\n]{{0,80}}\b(?:in|into|to|at|with|of)\s+(?:the|this|every|each|any)\s+(?:\w+\s+)?"
    r"(?:response|output|reply)\b",
    re.IGNORECASE,
)
"""An order to a writer if the verb is one: manuals speak of reports and outputs all the time."""
_NO_ORDER = frozenset(
    re.findall(
        r"\w+",
        "a an the this that these those which who it he she we they i one to will would can could may might cannot "
        "not of on in for with from by as or than did does do its their his her our some each every whether",
    )
)
"""Words after which a verb is no order: "he wrote", "to write the report", "the answer"."""


@dataclass(frozen=True, slots=True)
class Line:
    """A sentence that may be quoted: ``document.text[start:end] == text``. ``under`` is the heading above it."""

    start: int
    end: int
    text: str
    under: str = ""


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
    lines = _under_headings(document, [_line(span.start, span.text) for span in spans])
    code = [document.kind == "markdown" and _is_code(document.text, line) for line in lines]
    aside = _set_aside(document.text, lines, code)
    unfit = [one or other for one, other in zip(aside, code, strict=True)]
    found: list[Page] = []
    at = 0
    for passage in cut:
        count = len(passage.sentences)
        kept = [
            line
            for line, bad in zip(lines[at : at + count], unfit[at : at + count], strict=True)
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


def _under_headings(document: Document, lines: Sequence[Line]) -> list[Line]:
    """The lines, each with the last heading above it; before the first one, that is the document's title."""
    under = document.title
    found: list[Line] = []
    for line in lines:
        if _is_heading(document.text, line):
            under = line.text
        found.append(replace(line, under=under))
    return found


def _is_heading(text: str, line: Line) -> bool:
    """A short line alone between blank ones, without a final mark."""
    alone = text[line.end : line.end + 2] == "\n\n" and (
        line.start < 2 or text[line.start - 2 : line.start] == "\n\n"
    )
    return (
        alone and len(line.text) <= _HEADING and "\n" not in line.text and line.text[-1] not in _CLOSED + ":,"
    )


def _is_code(text: str, line: Line) -> bool:
    """Whether a line of Markdown's text stands in a block of code: those are indented."""
    start = text.rfind("\n", 0, line.start) + 1
    return text.startswith(_CODE, start) and _MARK.match(text[start : line.end].lstrip()) is None


def _set_aside(text: str, lines: Sequence[Line], code: Sequence[bool]) -> list[bool]:
    aside = [False] * len(lines)
    for i, line in enumerate(lines):
        if code[i]:
            continue
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
    return bool(
        injection_flags(text) or _YOURS.search(text) or any(_is_order(text, m) for m in _orders(text))
    )


def _orders(text: str) -> Iterator[re.Match[str]]:
    """Everything that could be an order, however it overlaps: a noun must not hide the verb after it."""
    at = 0
    while (found := _TO_A_WRITER.search(text, at)) is not None:
        yield found
        at = found.start() + 1


def _is_order(text: str, found: re.Match[str]) -> bool:
    before = _LAST_WORD.search(text, max(0, found.start() - 30), found.start())
    return before is None or before[1].lower() not in _NO_ORDER


def is_about_itself(text: str) -> bool:
    """Whether a sentence says what its own text is about rather than anything about the world.

    >>> is_about_itself("This chapter is about ladders."), is_about_itself("This chapter was burnt in 1931.")
    (True, False)
    """
    return _ABOUT_ITSELF.match(text) is not None


def is_statement(text: str) -> bool:
    """Whether a text can stand alone as a quotation: a sentence, not a heading, a row, a question or code.

    >>> is_statement("The pool holds ten connections."), is_statement("The size of a pool"), is_statement("How so?")
    (True, False, False)
    """
    if not 12 <= len(text) <= LONGEST or text.endswith(("?", "？")):
        return False
    if text.endswith((":", "：")) and len(terms(text)) < _LEADS_ON:
        return False
    letters = sum(char.isalpha() or char.isspace() for char in text)
    if letters < 0.7 * len(text) or len(terms(text)) < 3:
        return False
    if text[-1] not in _CLOSED and len(terms(text)) < _OPEN_WORDS:
        return False
    symbols = len(_SYMBOLS.findall(text))
    return not text.startswith(("#", "|", "```", "<", "@", "$")) and symbols * 22 <= len(text)
