"""What every source gives: a document whose text is fixed, and pieces of it that know where they stand.

Corpus and web fetcher make documents; pipelines cut them into passages and quote them by offset.
Nothing here reads files or the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict

from guardflow.guards.kit.sentences import sentence_spans
from guardflow.hashing import content_hash

DocumentKind = Literal["html", "markdown", "pdf", "text"]


class Document(BaseModel):
    """A text from outside, cleaned once and never changed after: quotes are offsets into ``text``.

    Args:
        id: the content hash of ``text``; the same text has the same id wherever it was found.
        uri: where it was found: a URL, or ``folder/path`` of a corpus.
        title: what it calls itself.
        text: what a reader would see, as plain text.
        published: the day its own metadata gives, if any.
        kind: what it was read from.
        flags: what a careful reader should know, such as ``"hidden-text"`` or ``"injection:override"``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    uri: str
    title: str
    text: str
    published: date | None = None
    kind: DocumentKind = "text"
    flags: tuple[str, ...] = ()


def document(
    uri: str,
    text: str,
    *,
    title: str,
    kind: DocumentKind = "text",
    published: date | None = None,
    flags: Sequence[str] = (),
) -> Document:
    """A document under the id of its text.

    >>> document("notes/a.txt", "One.", title="A").id == document("notes/b.txt", "One.", title="B").id
    True
    """
    return Document(
        id=content_hash(text.encode("utf-8", "surrogatepass")),
        uri=uri,
        title=title,
        text=text,
        published=published,
        kind=kind,
        flags=tuple(dict.fromkeys(flags)),
    )


@dataclass(frozen=True, slots=True)
class Sentence:
    """``document.text[start:end] == text``."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Passage:
    """A run of whole sentences: ``document.text[start:end] == text``, of the document with this id."""

    document_id: str
    start: int
    end: int
    text: str
    sentences: tuple[Sentence, ...]


def sentences(text: str) -> list[Sentence]:
    """The sentences of a text, in order, without the white space between them.

    >>> [s.text for s in sentences("Dr. Who paid 3.50 EUR. Why?")]
    ['Dr. Who paid 3.50 EUR.', 'Why?']
    """
    return [Sentence(start, end, text[start:end]) for start, end in sentence_spans(text)]


def passages(source: Document, target_chars: int = 1_200) -> list[Passage]:
    r"""Cut a document into passages of about ``target_chars`` characters, at sentence ends.

    A passage rather ends where a paragraph ends: from half the target on, a blank line closes it. Only a
    sentence longer than twice the target is cut inside, at white space where there is some.

    Args:
        source: the document.
        target_chars: characters a passage should have, at least 1.

    >>> [p.text for p in passages(document("a", "One two. Three.\n\nFour.", title="A"), target_chars=16)]
    ['One two. Three.', 'Four.']
    """
    if target_chars < 1:
        raise ValueError(f"target_chars is {target_chars!r}: a passage holds at least one character")
    text = source.text
    found: list[Passage] = []
    group: list[Sentence] = []

    def close() -> None:
        if group:
            start, end = group[0].start, group[-1].end
            found.append(Passage(source.id, start, end, text[start:end], tuple(group)))
            group.clear()

    for sentence in _no_longer_than(sentences(text), text, 2 * target_chars):
        if group:
            length = sentence.end - group[0].start
            new_paragraph = "\n\n" in text[group[-1].end : sentence.start]
            filled = group[-1].end - group[0].start
            if length > target_chars or (new_paragraph and filled * 2 >= target_chars):
                close()
        group.append(sentence)
    close()
    return found


def _no_longer_than(found: list[Sentence], text: str, most: int) -> list[Sentence]:
    """Cut what is longer, such as tables and minified code, at the last white space that fits."""
    pieces: list[Sentence] = []
    for sentence in found:
        start = sentence.start
        while sentence.end - start > most:
            cut = max(text.rfind(" ", start + 1, start + most), text.rfind("\n", start + 1, start + most))
            cut = cut if cut > start else start + most
            end = start + len(text[start:cut].rstrip())
            pieces.append(Sentence(start, end, text[start:end]))
            start = cut + len(text[cut : sentence.end]) - len(text[cut : sentence.end].lstrip())
        if start < sentence.end:
            pieces.append(Sentence(start, sentence.end, text[start : sentence.end]))
    return pieces
