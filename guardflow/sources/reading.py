"""From bytes to a document: picks the reader for a kind, and lets no reader's trouble out.

Corpus and web fetcher call `read`; `clean`, `markdown` and `pdf` do the work.
"""

from __future__ import annotations

import re
from typing import IO

from guardflow.guards.kit.injections import injection_flags

from .clean import MOST_HTML, read_html
from .documents import Document, DocumentKind, document
from .errors import Unreadable
from .extra import require
from .markdown import plain_markdown
from .pdf import read_pdf
from .text import decode, visible

MOST_TEXT = 20 * 2**20
"""Bytes of a text file, and characters of a PDF, that are read; what is longer is cut, and flagged ``cut``."""
MOST_MARKDOWN = 2**20
MOST_PARAGRAPH = 50_000
"""Characters. Markdown with more is data, not prose: parsing it takes long, so it is read as plain text."""
_NEEDS: dict[DocumentKind, tuple[str, ...]] = {
    "html": ("lxml", "trafilatura"),
    "markdown": ("markdown_it",),  # and lxml, where there is HTML in it
    "pdf": ("pypdf",),
    "text": (),
}
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)


def read(
    stream: IO[bytes], kind: DocumentKind, *, uri: str, fallback_title: str = "", declared: str | None = None
) -> Document:
    """Read a document of a known kind.

    Args:
        stream: an open file, or bytes in memory.
        kind: what it is read as.
        uri: where it is from.
        fallback_title: the title of a document that names none.
        declared: the encoding a response header names.

    Raises:
        Unreadable: it holds no text that can be used.
        ConfigError: a package that this kind needs is not installed.
    """
    require(f"reading {kind} files", *_NEEDS[kind])
    if kind == "pdf":
        return _pdf(stream, uri, fallback_title)
    most = MOST_HTML if kind == "html" else MOST_TEXT
    data = stream.read(most + 1)
    if kind == "html":
        found = read_html(data, uri=uri, declared=declared, fallback_title=fallback_title)
        if found is None:
            raise Unreadable("it is binary, not text")
    else:
        found = _text(data, kind, uri=uri, fallback_title=fallback_title, declared=declared)
    if not found.text:
        raise Unreadable("it holds no text")
    return found


def _text(
    data: bytes, kind: DocumentKind, *, uri: str, fallback_title: str, declared: str | None
) -> Document:
    flags: list[str] = ["cut"] if len(data) > MOST_TEXT else []
    decoded = decode(data[:MOST_TEXT], declared)
    if decoded is None:
        raise Unreadable("it is binary, not text")
    if decoded.encoding != "utf-8":
        flags.append(f"encoding:{decoded.encoding}")
    text, title, published = decoded.text, "", None
    if kind == "markdown":
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) <= MOST_MARKDOWN and max(map(len, text.split("\n\n"))) <= MOST_PARAGRAPH:
            text, title, published, hid = plain_markdown(text)
        else:
            text, hid = _COMMENT.subn("", text)
        flags += ["hidden-text"] if hid else []
    text, unseen = visible(text)
    title = visible(title)[0] or fallback_title
    flags += [*unseen, *injection_flags(f"{title}\n{text}")]
    return document(uri, text, title=title, kind=kind, published=published, flags=flags)


def _pdf(stream: IO[bytes], uri: str, fallback_title: str) -> Document:
    found = read_pdf(stream, most_chars=MOST_TEXT)
    text, unseen = visible(found.text)
    title = visible(found.title)[0] or fallback_title
    flags = [*(["cut"] if found.cut else []), *unseen, *injection_flags(f"{title}\n{text}")]
    return document(uri, text, title=title, kind="pdf", published=found.published, flags=flags)
