"""Parsed HTML: the one place that imports lxml, which ships no types, and what of it is used.

`guardflow.sources.clean` calls it. Nothing is fetched, and libxml2's limits stay on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from lxml.html import HtmlElement  # pyright: ignore[reportMissingTypeStubs]  # it ships none


class Element(Protocol):
    """An lxml element."""

    tag: object  # a function for entities
    text: str | None
    tail: str | None

    def get(self, key: str) -> str | None: ...
    def set(self, key: str, value: str) -> None: ...
    def keys(self) -> list[str]: ...
    def iter(self, *tags: str) -> Iterator[Element]: ...
    def clear(self, *, keep_tail: bool) -> None: ...
    def __iter__(self) -> Iterator[Element]: ...
    def __len__(self) -> int: ...


class Walk(Protocol):
    """Start and end of each element, in document order."""

    def __iter__(self) -> Iterator[tuple[str, Element]]: ...
    def skip_subtree(self) -> None: ...


class _Entry(Protocol):
    message: str


class _Parser(Protocol):
    error_log: Iterator[_Entry]


class _Etree(Protocol):
    ParserError: type[Exception]
    XMLSyntaxError: type[Exception]

    def iterwalk(self, root: Element, *, events: tuple[str, ...]) -> Walk: ...


class _Html(Protocol):
    def HTMLParser(self, **options: object) -> _Parser: ...  # noqa: N802 - lxml's name
    def document_fromstring(self, html: bytes, parser: _Parser) -> Element: ...


@dataclass(frozen=True, slots=True)
class Tree:
    """A parsed page, whether some of it was cut off, and how many elements it has."""

    root: Element
    cut: bool
    size: int


def parse_html(text: str) -> Tree | None:
    """Parse a page; None if there is no element in it. Nesting beyond libxml2's limit cuts it off there."""
    etree = cast("_Etree", import_module("lxml.etree"))
    html = cast("_Html", import_module("lxml.html"))
    # Comments and processing instructions are gone with parsing; huge_tree stays off, it lifts the depth limit.
    parser = html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, no_network=True)
    try:
        root = html.document_fromstring(text.replace("\0", "").encode("utf-8", "replace"), parser=parser)
    except (etree.ParserError, etree.XMLSyntaxError):  # nothing in it
        return None
    cut = any("depth" in entry.message.lower() for entry in parser.error_log)
    return Tree(root, cut, sum(1 for _ in root.iter()))


def walk_tree(root: Element) -> Walk:
    """Walk a tree without recursion; subtrees can be left out on the way."""
    return cast("_Etree", import_module("lxml.etree")).iterwalk(root, events=("start", "end"))


def extractable(root: Element) -> HtmlElement:
    """The element as its own type."""
    return cast("HtmlElement", root)
