"""A page's visible text: hidden elements go first, then the main text is extracted, or all text if there is none.

Corpus and web fetcher call `read_html`. What was hidden is flagged and never comes back; nothing is fetched.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from datetime import date
from itertools import islice
from typing import Literal

from guardflow.guards.kit.injections import injection_flags
from guardflow.guards.kit.wordset import word_set

from . import styles
from .documents import Document, document
from .extra import require
from .text import decode, visible
from .tree import Element, Tree, extractable, parse_html, walk_tree

MOST_HTML = 5 * 2**20
"""Bytes of a page that are parsed; the rest is cut off, and flagged."""
MOST_TAGS = 200_000
"""An element takes a hundred times the memory of its tag."""
_MOST_FOR_EXTRACTOR = 40_000
"""Elements. The extractor copies its tree several times and slows down on huge ones; they get all their text."""
_MANY_CHARS = 200

_NEVER_TEXT = word_set(
    "script style template noscript head meta link iframe object embed applet canvas svg audio video map area "
    "datalist input textarea select option button dialog noframes param source track base"
)
_BLOCKS = word_set(
    "address article aside blockquote body caption center dd details dialog div dl dt fieldset figcaption figure footer "
    "form h1 h2 h3 h4 h5 h6 header hgroup hr li main menu nav ol p pre section summary table tbody tfoot thead tr ul"
)
_PAGE = frozenset({"html", "body"})
"""Scripts show these after the page was loaded, so what hides them does not count."""
_HIDING = frozenset({"template", "noscript", "dialog"})
_CHROME = frozenset({"nav", "footer", "aside", "form"})
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w.:-]{1,40})", re.IGNORECASE)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)", re.DOTALL)
_DAY = re.compile(r"(\d{4})-(\d{2})-(\d{2})(?!\d)")
_JSON_DAY = re.compile(r'"datePublished"\s*:\s*"(\d{4}-\d{2}-\d{2})')
_DATE_NAMES = word_set(
    "article:published_time og:published_time datepublished date dc.date dc.date.issued dcterms.created "
    "dcterms.issued citation_publication_date citation_date parsely-pub-date sailthru.date publishdate pubdate"
)


def read_html(
    data: bytes, *, uri: str, declared: str | None = None, fallback_title: str = ""
) -> Document | None:
    """Read a page; None if it is no text.

    Flags: ``hidden-text`` (a reader would not have seen some of it), ``invisible-characters``,
    ``injection:<kind>``, ``cut`` (too long or nested too deeply), ``all-text`` (no main text was found, so menus
    and footers are in it), ``encoding:<name>`` (it was not UTF-8).

    Args:
        data: the page as it was received.
        uri: where it is from.
        declared: the encoding that the response header names.
        fallback_title: the title of a page that has none.
    """
    data, cut = _bounded(data)
    if declared is None and (meta := _CHARSET.search(data, 0, 4096)):
        declared = meta[1].decode("ascii", "replace")
    decoded = decode(data, declared)
    if decoded is None:
        return None
    flags = [] if decoded.encoding == "utf-8" else [f"encoding:{decoded.encoding}"]
    tree = parse_html(decoded.text)
    if tree is None:
        return document(uri, "", title=fallback_title, kind="html", flags=flags)
    title, published = _title(tree.root), _published(tree.root, decoded.text)
    if remove_hidden(tree.root):
        flags.append("hidden-text")
    text, whole = _main_text(tree)
    if whole:
        flags.append("all-text")
    if cut or tree.cut:
        flags.append("cut")
    text, unseen = visible(text)
    title = visible(title)[0] or fallback_title
    flags += [*unseen, *injection_flags(f"{title}\n{text}")]
    return document(uri, text, title=title, kind="html", published=published, flags=flags)


def _bounded(data: bytes) -> tuple[bytes, bool]:
    """As much of a page as is parsed, and whether that is less than all."""
    bounded = data[:MOST_HTML]
    if bounded.count(b"<") > MOST_TAGS:
        places = (found.start() for found in re.finditer(b"<", bounded))
        bounded = bounded[: next(islice(places, MOST_TAGS, None))]
    return bounded, len(bounded) < len(data)


def all_visible_text(html: str) -> tuple[str, bool]:
    """All the text of a piece of HTML that a reader sees, and whether some was hidden."""
    without_comments = _COMMENT.sub("", html)
    hid = without_comments != html
    if not without_comments.strip():
        return "", hid
    require("HTML inside Markdown", "lxml")
    tree = parse_html(without_comments)
    if tree is None:
        return "", hid
    hid = remove_hidden(tree.root) or hid
    return "".join(_all_text(tree.root, without=())), hid


def remove_hidden(root: Element) -> bool:
    """Drop every element a reader does not see, in place; True if one of them held text.

    Dropped: ``hidden``, ``aria-hidden``, what CSS hides (`guardflow.sources.styles`), text in the colour of its
    background, zero sizes, ``template``, ``noscript``, scripts, controls and whatever else is never text. A
    closed ``details`` stays: a reader can open it.
    """
    sheets = styles.Styles()
    for sheet in root.iter("style"):
        sheets.add(sheet.text or "")
    grounds: list[styles.Ground] = [(255, 255, 255)]  # what each open element is written on
    hidden: list[tuple[Element, bool]] = []
    walk = walk_tree(root)
    for event, element in walk:
        if event == "end":
            grounds.pop()
            continue
        verdict, ground = _judge(element, sheets, grounds[-1])
        grounds.append(ground)
        if verdict != "shown":
            walk.skip_subtree()
            hidden.append((element, verdict == "hidden"))
    told = any(meant and any(_has_text(part) for part in element.iter()) for element, meant in hidden)
    for element, _ in hidden:
        # Emptied rather than taken out: joining the text around thousands of them would take quadratic time.
        element.clear(keep_tail=True)
        element.tag = "span"
    return told


def _has_text(element: Element) -> bool:
    return bool((element.text or "").strip()) and element.tag not in ("script", "style")


def _judge(
    element: Element, sheets: styles.Styles, ground: styles.Ground
) -> tuple[Literal["shown", "hidden", "never text"], styles.Ground]:
    """Whether a reader sees the element, and what its text is written on."""
    tag = element.tag
    if not isinstance(tag, str):
        return "never text", ground
    if tag in _NEVER_TEXT:
        opened = tag == "dialog" and element.get("open") is not None
        if not opened and tag != "head":
            return "hidden" if tag in _HIDING else "never text", ground
    names = element.keys()
    if not names and not sheets and tag not in _PAGE:
        return "shown", ground  # most elements
    style = _get(element, "style")
    if style:
        element.set("style", "")  # the extractor guesses from it, and less well
    declared = sheets.of(tag, _get(element, "id"), _get(element, "class").split(), style)
    ground = styles.background(declared) or styles.named_color(_get(element, "bgcolor")) or ground
    if tag in _PAGE or tag == "head":
        return "shown", ground
    color = styles.text_color(declared)
    if color is None and tag == "font":
        color = styles.named_color(_get(element, "color"))
    same = isinstance(color, tuple) and isinstance(ground, tuple) and styles.alike(color, ground)
    if (
        same
        or color == "none"
        or element.get("hidden") is not None
        or _get(element, "aria-hidden").strip().lower() == "true"
        or styles.hides(declared)
        or (element.get("width") == "0" and element.get("height") == "0")
    ):
        return "hidden", ground
    return "shown", ground


def _get(element: Element, name: str) -> str:
    return element.get(name) or ""


def _main_text(tree: Tree) -> tuple[str, bool]:
    """The main text, and whether it is all the text there is."""
    extracted = ""
    if tree.size <= _MOST_FOR_EXTRACTOR:
        extracted = _extract(tree.root)
        if len(extracted) >= _MANY_CHARS:
            return extracted, False
    everything = "".join(_all_text(tree.root, without=_CHROME))
    if len(everything.strip()) <= max(len(extracted), 2 * len(extracted) - _MANY_CHARS):
        return extracted, False
    if not everything.strip():
        everything = "".join(_all_text(tree.root, without=()))
    return everything, True


def _extract(root: Element) -> str:
    import trafilatura

    try:
        found = trafilatura.extract(
            extractable(root),
            include_comments=False,
            include_tables=True,
            deduplicate=False,
        )
    except Exception:  # noqa: BLE001 - a heuristic over hostile input: whatever it trips over, all text is left
        return ""
    # One line is one paragraph there; lists and tables keep their lines together.
    lines = (found or "").split("\n")
    joined = [
        line if i == 0 or (line[:1] in "-|" and lines[i - 1][:1] == line[:1]) else f"\n{line}"
        for i, line in enumerate(lines)
    ]
    return "\n".join(joined)


def _all_text(root: Element, *, without: Container[object]) -> Iterator[str]:
    """Text with a line for each block, without recursion: a page decides how deep it is."""
    stack: list[Element | str] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
            continue
        tag = item.tag
        if tag in without or tag == "head":
            continue
        block = tag in _BLOCKS
        if tag == "br":
            yield "\n"
        elif block:
            yield "\n- " if tag == "li" else "\n\n"
        elif tag in ("td", "th"):
            yield " | "
        if item.text:
            yield item.text if tag == "pre" else re.sub(r"\s+", " ", item.text)
        stack.append("\n" if block else "")
        for child in reversed(list(item)):
            if child.tail:
                stack.append(re.sub(r"\s+", " ", child.tail))
            stack.append(child)


def _title(root: Element) -> str:
    """What the window or the first heading shows; nothing from meta tags, which no reader sees."""
    for tag in ("title", "h1"):
        for element in root.iter(tag):
            words = " ".join(" ".join(_all_text(element, without=_NEVER_TEXT)).split())
            if words:
                return words[:300]
    return ""


def _published(root: Element, source: str) -> date | None:
    """The day that metadata gives: a date only, so that nothing else comes in this way."""
    for element in root.iter("meta"):
        name = _get(element, "property") or _get(element, "name") or _get(element, "itemprop")
        if name.lower() in _DATE_NAMES and (day := _day(_get(element, "content"))):
            return day
    if (found := _JSON_DAY.search(source)) and (day := _day(found[1])):
        return day
    times = [(element, _day(_get(element, "datetime"))) for element in root.iter("time")]
    marked = [day for element, day in times if day and _is_publication(element)]
    return next(iter(marked or [day for _, day in times if day]), None)


def _is_publication(element: Element) -> bool:
    return (
        element.get("pubdate") is not None
        or "publish" in f"{_get(element, 'class')} {_get(element, 'itemprop')}".lower()
    )


def _day(text: str) -> date | None:
    found = _DAY.match(text.strip().replace("/", "-"))
    if found is None:
        return None
    try:
        return date(int(found[1]), int(found[2]), int(found[3]))
    except ValueError:
        return None
