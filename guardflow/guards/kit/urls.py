"""Links lead only where they may: to hosts that are allowed, or to the very URLs of the input.

This is what stops a page from making a model leak data through a link or an image. It reads Markdown, HTML
and plain text as lenient clients do; what cannot be read as an allowed URL is a finding.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, TypeVar, overload
from urllib.parse import unquote, urlsplit

from guardflow.guards.context import GuardContext
from guardflow.guards.core import Guard
from guardflow.guards.kit.text import strip_invisible
from guardflow.guards.paths import texts
from guardflow.values import Finding

InT = TypeVar("InT")

_TARGETS = re.compile(
    r"(?P<image>!)?\[(?P<label>[^\[\]]{0,2000})\]\(\s*<?(?P<link>[^\s<>)]*(?:\([^\s<>()]*\)[^\s<>()]*)*)"  # [a](b)
    r"|^ {0,3}\[[^\]\n]{1,500}\]:\s*<?(?P<reference>[^\s>]+)"  # [a]: b
    r"|(?i:\b(?:src|href|srcset|action|formaction|poster|background|data|cite|xlink:href|ping))\s*=\s*"
    r"(?:\"(?P<double>[^\"]*)\"|'(?P<single>[^']*)'|(?P<bare>[^\s>]+))"  # <a href=b>
    r"|(?i:\burl)\(\s*[\"']?(?P<css>[^)\"']+)",  # url(b)
    re.MULTILINE,
)
_PLAIN = re.compile(
    r"(?i:(?<![a-z0-9+.-])[a-z0-9+.-]++:[/\\]{2}|\bwww\.)[^\s<>\"'`]*"  # any://thing, www.thing
    r"|(?<![:\w/\\])[/\\]{2}(?=[\w.-]+\.\w)[^\s<>\"'`]*"  # //host/path
    r"|(?i:\b(?:javascript|vbscript|livescript):)[^\s<>\"'`]*"
    r"|(?i:\bdata:[\w.+-]+/[\w.+-]+[;,])[^\s<>\"'`]*"
)
_TLDS = (
    "com|org|net|io|ai|dev|app|co|info|biz|xyz|me|tv|us|uk|de|fr|nl|eu|ru|cn|jp|in|br|it|es|ch|at|au|ca|se|no|kr|tk|top"
    "|site|online|shop|club|live|cloud|tech|store|link|click|page|edu|gov|mil|int|ly|gg|to|cc|ws|su|ua|pw|icu|gl"
)
_DOMAIN = re.compile(
    rf"(?<![\w@/.:\\-])(?:[^\W_](?:[\w-]{{0,61}}[^\W_])?\.){{1,8}}(?:(?:{_TLDS})(?![\w-]|\.\w)(?::\d+)?(?:[/?#][^\s<>\"'`]*)?"
    r"|[a-z]{2,24}(?::\d+)?/[^\s<>\"'`]*)",
    re.IGNORECASE,
)
_PLAIN_HINT = re.compile(r"[/\\]{2}|(?i:www\.|script:|data:)")
_DOMAIN_HINT = re.compile(r"\w\.[^\W\d_]{2}")
_TAIL = ".,;:!?'\"*_~`"


class Link(NamedTuple):
    """A link that a reader's client may follow or load."""

    target: str
    label: str | None = None
    image: bool = False


def find_links(text: str) -> list[Link]:
    """The links of a text: Markdown, HTML attributes, plain URLs, bare domains.

    >>> find_links("see ![x](http://a.com/p.png), [b](b.org) or www.c.net.")
    [Link(target='http://a.com/p.png', label='x', image=True), Link(target='b.org', label='b', image=False), Link(target='www.c.net', label=None, image=False)]
    """
    text = strip_invisible(html.unescape(text) if "&" in text else text)
    links: list[Link] = []
    if "[" in text or "=" in text or "(" in text:
        text = _take_targets(text, links)
    for pattern, hint in ((_PLAIN, _PLAIN_HINT), (_DOMAIN, _DOMAIN_HINT)):
        if hint.search(text):
            links += (Link(_trim(found.group())) for found in pattern.finditer(text))
            text = pattern.sub(_blank, text)
    return links


def _take_targets(text: str, links: list[Link]) -> str:
    """Add the links of Markdown and HTML, and blank them out of the text."""
    rest: list[str] = []
    at = 0
    for found in _TARGETS.finditer(text):
        group = next(
            g for g in ("link", "reference", "double", "single", "bare", "css") if found[g] is not None
        )
        target = found[group].strip()
        start, end = found.span(group)
        rest += (text[at:start], " " * (end - start))
        at = end
        if not target or target.startswith("#"):
            continue
        markup = found.group().lower()
        if group == "css" or markup.startswith("srcset"):
            links += (Link(t.split()[0], image=True) for t in target.split(",") if t.strip())
        else:
            image = bool(found["image"]) or markup.startswith(("src", "poster", "background"))
            links.append(Link(target, found["label"], image))
    return "".join(rest) + text[at:]


def _blank(found: re.Match[str]) -> str:
    return " " * len(found.group())


def _trim(url: str) -> str:
    """Without the punctuation of the sentence around it."""
    url = url.rstrip(_TAIL)
    for opening, closing in ("()", "[]", "{}"):
        while url.endswith(closing) and url.count(closing) > url.count(opening):
            url = url[:-1].rstrip(_TAIL)
    return url


class _Place(NamedTuple):
    """Where a URL leads, in one spelling."""

    scheme: str
    host: str
    rest: str


def _place(url: str) -> _Place | None:
    """Read a URL as a browser would; None if it cannot be read."""
    url = re.sub(r"[\s\\]", lambda m: "/" if m.group() == "\\" else "", url.strip())
    scheme, colon, after = url.partition(":")
    if url.startswith("//"):
        url = "https:" + url
    elif not (colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9+-]*", scheme)) or re.match(
        r"\d+(?:[/?#]|$)", after
    ):
        url = "https://" + url  # www.a.com, a.com/b, a.com:80
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https"):
        return _Place(parts.scheme, "", "")
    if "@" in parts.netloc or not parts.hostname or "%" in parts.netloc:
        return None
    host = parts.hostname.rstrip(".").lower()
    default = {"http": 80, "https": 443}[parts.scheme]
    query = f"?{parts.query}" if parts.query else ""
    path = unquote(parts.path).rstrip("/") if "%" in parts.path else parts.path.rstrip("/")
    return _Place(parts.scheme, host if port in (None, default) else f"{host}:{port}", path + query)


@overload
def urls_allowed(
    at: str | None = None,
    /,
    *,
    hosts: Iterable[str] = (),
    source: str | None = None,
    images: bool = False,
    name: str = "urls_allowed",
) -> Guard[object, object]: ...
@overload
def urls_allowed(
    at: str | None = None,
    /,
    *,
    hosts: Iterable[str] = (),
    source: Callable[[InT], Iterable[str]],
    images: bool = False,
    name: str = "urls_allowed",
) -> Guard[object, InT]: ...
def urls_allowed(
    at: str | None = None,
    /,
    *,
    hosts: Iterable[str] = (),
    source: str | Callable[..., Iterable[str]] | None = None,
    images: bool = False,
    name: str = "urls_allowed",
) -> object:
    """A guard: every link goes to an allowed host, or is a URL that the input holds.

    Refused always: other schemes than http and https (``javascript:``, ``data:``), a user name in the URL, a
    label that names another host than the link leads to, and images and other things that load by themselves.

    Args:
        at: which texts, as a path pattern; None is all.
        hosts: host names (with ``:port`` if it is not the scheme's), ``*.example.org`` for all below one.
        source: where the input holds URLs, as a pattern or a function of the input. Path and query have to
            be the same, so that nothing can be appended; the fragment may differ.
        images: whether images may load from allowed places.
        name: what findings call the guard.

    >>> guard = urls_allowed(hosts=["docs.python.org"], source="pages[*].url")
    >>> given = GuardContext({"pages": [{"url": "https://a.org/x?id=1"}]})
    >>> [f.evidence for f in guard("https://docs.python.org/3/ https://a.org/x?id=1 https://a.org/x?id=2", given)]
    ['https://a.org/x?id=2']
    """
    exact = frozenset(h.lower() for h in hosts if not h.startswith("*."))
    below = tuple(h[1:].lower() for h in hosts if h.startswith("*."))

    def known(given: object) -> set[tuple[str, str]]:
        if source is None:
            return set()
        urls = source(given) if callable(source) else (text for _, text in texts(given, source))
        places = (_place(url) for url in urls)
        return {(place.host, place.rest) for place in places if place is not None and place.host}

    def check(answer: object, ctx: GuardContext[object]) -> Iterator[Finding]:
        given: set[tuple[str, str]] | None = None
        for where, text in texts(answer, at):
            for link in find_links(text):
                if given is None:
                    given = known(ctx.input)
                if reason := judge(link, given):
                    yield Finding(reason, at=where, evidence=link.target)

    def judge(link: Link, given: set[tuple[str, str]]) -> str | None:
        place = _place(link.target)
        if place is None:
            return "a link that cannot be read as a plain URL is not allowed"
        if not place.host:
            return f"links with {place.scheme}: are not allowed"
        if link.image and not images:
            return "images are not allowed: they load by themselves"
        if place.host not in exact and not place.host.endswith(below or ("\0",)) and place[1:] not in given:
            return f"links to {place.host!r} are not allowed" if not given else "is not a URL of the source"
        for shown in find_links(link.label) if link.label else ():
            named = _place(shown.target)
            if named is None or named.host != place.host:
                return "the label of a link names another place than it leads to"
        return None

    return Guard(check, name=name, inline=source is None)
