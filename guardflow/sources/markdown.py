"""Markdown as its reader sees it: plain text with headings, lists and tables, without markup, links' targets, images.

`guardflow.sources.reading` calls it. HTML inside goes through the same filter as a page; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from functools import lru_cache
from textwrap import indent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

CODE = "    "
"""What every line of code begins with, as in Markdown without fences: whoever quotes prose can tell it apart."""
_FRONT = re.compile(r"\A---[^\S\n]*\n(.{0,20000}?\n)---[^\S\n]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title[^\S\n]*:[^\S\n]*[\"']?(.{1,300}?)[\"']?[^\S\n]*$", re.MULTILINE)
_DATE = re.compile(r"^(?:date|published)[^\S\n]*:[^\S\n]*[\"']?(\d{4}-\d{2}-\d{2})", re.MULTILINE)


def plain_markdown(source: str) -> tuple[str, str, date | None, bool]:
    """``(text, title, published, whether HTML in it was hidden)``.

    The title is that of the front matter, else the first heading; ``""`` if there is neither.
    """
    title, published = "", None
    if front := _FRONT.match(source):
        if found := _TITLE.search(front[1]):
            title = found[1].strip()
        if found := _DATE.search(front[1]):
            try:
                published = date.fromisoformat(found[1])
            except ValueError:
                pass  # no day of the calendar
        source = source[front.end() :]
    writer = _Writer()
    text = writer.write(_parser().parse(source))
    return text, title or writer.heading, published, writer.hid


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    # A quotation inside a quotation inside another, without end, is not worth the time.
    return MarkdownIt("commonmark", {"maxNesting": 50}).enable("table")


class _Writer:
    """Writes one document's tokens as text."""

    def __init__(self) -> None:
        self.heading = ""
        self.hid = False
        self._lists: list[int] = []  # the next number of each open list; 0 is a bullet
        self._lead = ""
        self._row: list[str] | None = None

    def write(self, tokens: Sequence[Token]) -> str:
        return "".join(self._pieces(tokens))

    def _pieces(self, tokens: Sequence[Token]) -> Iterator[str]:
        in_heading = False
        for token in tokens:
            match token.type:
                case "heading_open":
                    in_heading = True
                case "inline":
                    text = "".join(self._inline(token.children or ()))
                    if in_heading and not self.heading:
                        self.heading = text.strip()
                    in_heading = False
                    if self._row is not None:
                        self._row.append(" ".join(text.split()))
                    else:
                        yield self._take_lead() + text
                case "heading_close" | "paragraph_close":
                    yield "\n" if token.hidden else "\n\n"
                case "bullet_list_open":
                    self._lists.append(0)
                case "ordered_list_open":
                    self._lists.append(int(token.attrs.get("start", 1)) if token.attrs else 1)
                case "bullet_list_close" | "ordered_list_close":
                    self._lists.pop()
                    if not self._lists:
                        yield "\n"
                case "list_item_open":
                    yield from self._item()
                case "fence" | "code_block":
                    if self._lead:
                        yield self._take_lead().rstrip() + "\n"
                    yield f"{indent(token.content.rstrip(), CODE)}\n\n"
                case "html_block":
                    yield f"{self._visible(token.content)}\n\n"
                case _:
                    yield self._table(token.type)

    def _table(self, kind: str) -> str:
        if kind == "tr_open":
            self._row = []
        elif kind == "tr_close":
            cells, self._row = self._row, None
            return f"| {' | '.join(cells or ())} |\n"
        return "\n" if kind == "table_close" else ""

    def _item(self) -> Iterator[str]:
        if self._lead:  # an item that begins with a list
            yield self._lead.rstrip() + "\n"
        depth = "  " * (len(self._lists) - 1)
        if number := self._lists[-1]:
            self._lists[-1] += 1
        self._lead = f"{depth}{number}. " if number else f"{depth}- "

    def _take_lead(self) -> str:
        lead, self._lead = self._lead, ""
        return lead

    def _inline(self, tokens: Sequence[Token]) -> Iterator[str]:
        if any(token.type == "html_inline" for token in tokens):
            yield self._visible("".join(_as_html(tokens)))
            return
        for token in tokens:
            if token.type in ("text", "code_inline", "text_special"):
                yield token.content
            elif token.type in ("softbreak", "hardbreak"):
                yield "\n"

    def _visible(self, html: str) -> str:
        from .clean import all_visible_text

        text, hid = all_visible_text(html)
        self.hid = self.hid or hid
        return text.strip()


def _as_html(tokens: Sequence[Token]) -> Iterator[str]:
    from html import escape

    for token in tokens:
        if token.type == "html_inline":
            yield token.content
        elif token.type in ("text", "code_inline", "text_special"):
            yield escape(token.content, quote=False)
        elif token.type in ("softbreak", "hardbreak"):
            yield "<br>"
