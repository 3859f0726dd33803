"""Quotes that are really in their source: found exactly, or but for spelling, with offsets into the original.

Pipelines call `find_quote` and keep what the offsets cut out; stages use `quotes_verbatim`. A passage that
differs in a number, a sign, a negation, a name or any word is never accepted, however similar it looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar, cast, overload

from guardflow.guards.context import GuardContext
from guardflow.guards.core import Guard
from guardflow.guards.kit.text import Normal, normalize, normalize_source, splits_word
from guardflow.guards.kit.words import align, difference, tokens
from guardflow.guards.paths import texts
from guardflow.values import Finding, Path

OutT = TypeVar("OutT")
InT = TypeVar("InT")

THRESHOLD = 93.0
LONGEST = 2_000
"""Characters of a quote that may differ in spelling; a longer one has to be exact."""
_NEAR = 70.0
"""From this similarity on, the nearest passage is worth showing."""


@dataclass(frozen=True, slots=True)
class Match:
    """Where a quote is in the original source: ``source[start:end]`` is what is really written there.

    ``exact`` is true if it differs at most in what `guardflow.guards.kit.text.normalize` evens out. ``score``
    is the similarity of the normal forms in percent.
    """

    start: int
    end: int
    exact: bool
    score: float


@dataclass(frozen=True, slots=True)
class Miss:
    """Why a quote is not in a source, and the passage that comes nearest, if one comes near."""

    reason: str
    nearest: str | None = None
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Quoted:
    """A quote to check: where it is in the answer, its text, and the texts it may be from."""

    at: Path
    text: str
    sources: Iterable[str]


def find_quote(quote: str, source: str, *, threshold: float = THRESHOLD) -> Match | None:
    r"""Find a quote in its source, exactly or but for spelling.

    A quote starts and ends at word boundaries. What the model wrote may still differ from the source in
    spelling: keep ``source[match.start:match.end]``, which is verbatim by construction.

    Args:
        quote: what is said to be in the source. Quotation marks and dots around it are left aside; dots
            inside stand for nothing, because what they leave out may be a "not".
        source: the original text.
        threshold: the least similarity of the normal forms, in percent, where words differ in spelling.

    >>> source = "The limit is “1,000” connec\u00adtions;\nit is not raised at run time."
    >>> match = find_quote('limit is "1,000" connections', source)
    >>> match.exact, source[match.start:match.end]
    (True, 'limit is “1,000” connec\xadtions')
    >>> find_quote("The limit is 1,001 connections; it is not raised", source) is None
    True
    >>> find_quote("it is raised at run time", source) is None
    True
    """
    found = search_quote(quote, source, threshold=threshold)
    return found if isinstance(found, Match) else None


def search_quote(quote: str, source: str, *, threshold: float = THRESHOLD) -> Match | Miss:
    """`find_quote` that also tells why there is no match."""
    quote = quote.strip()
    if not any(c.isalnum() for c in quote):
        return Miss("is empty")
    if (start := _whole(quote, source)) >= 0:
        return Match(start, start + len(quote), exact=True, score=100.0)
    normal = normalize_source(source)
    full = normalize(quote).text.strip()
    for form in dict.fromkeys((full, _peel(full))):
        if form and (start := _whole(form, normal.text)) >= 0:
            return Match(*normal.span(start, start + len(form)), exact=True, score=100.0)
    return _search_fuzzy(_peel(full), source, normal, threshold)


def _whole(quote: str, source: str) -> int:
    """The first place where the quote stands between word boundaries, or -1."""
    start = source.find(quote)
    while start >= 0:
        if not splits_word(source, start) and not splits_word(source, start + len(quote)):
            return start
        start = source.find(quote, start + 1)
    return -1


def _peel(text: str) -> str:
    """Without the marks and dots that writers put around a quote, and its last stop."""
    inner = text.strip(" \"'").removeprefix("...").removesuffix("...").strip(" \"'")
    for empty in ("[...]", "[…]", "…"):
        inner = inner.removeprefix(empty).removesuffix(empty)
    return inner.strip(" \"'").rstrip(".,;:!? \"'")


def _search_fuzzy(quote: str, source: str, normal: Normal, threshold: float) -> Match | Miss:
    from rapidfuzz import fuzz

    text = normal.text
    if len(quote) > LONGEST:
        return Miss(f"is not in the source (quotes of more than {LONGEST} characters have to be exact)")
    window = fuzz.partial_ratio_alignment(quote, text, score_cutoff=_NEAR - 10)
    if window is None:
        return Miss("is not in the source")
    margin = 24 + len(quote) // 8  # what an article left out or a few joined words can shift
    begin, stop = max(0, window.dest_start - margin), min(len(text), window.dest_end + margin)
    if len(quote) >= len(text):
        begin, stop = 0, len(text)
    while begin > 0 and splits_word(text, begin):
        begin -= 1
    while stop < len(text) and splits_word(text, stop):
        stop += 1
    ours, theirs = tokens(quote), tokens(text[begin:stop])
    found = align(ours, theirs)
    if found.start >= found.end:
        return Miss("is not in the source")
    start, end = begin + theirs[found.start].start, begin + theirs[found.end - 1].end
    score = fuzz.ratio(quote, text[start:end])
    nearest = source[slice(*normal.span(start, end))] if score >= _NEAR else None
    shared = found.end < len(theirs) and theirs[found.end].start < theirs[found.end - 1].end  # can|'t
    if shared or splits_word(text, start) or splits_word(text, end):
        return Miss("cuts a word or a numeral", nearest, score)
    for change in found.changes:
        if reason := difference(*change):
            return Miss(reason if nearest else "is not in the source", nearest, score)
    if found.changes and score < threshold:
        return Miss("differs too much from the source", nearest, score)
    return Match(*normal.span(start, end), exact=False, score=score)


Sources = str | Callable[[InT], "str | Iterable[str]"]
"""A path pattern into the stage's input, or a function of it that gives the text or texts to look in."""


@overload
def quotes_verbatim(
    quotes: str, /, *, source: str, threshold: float = THRESHOLD, name: str = "quotes_verbatim"
) -> Guard[object, object]: ...
@overload
def quotes_verbatim(
    quotes: str,
    /,
    *,
    source: Callable[[InT], str | Iterable[str]],
    threshold: float = THRESHOLD,
    name: str = "quotes_verbatim",
) -> Guard[object, InT]: ...
@overload
def quotes_verbatim(
    quotes: Callable[[OutT, InT], Iterable[Quoted]],
    /,
    *,
    threshold: float = THRESHOLD,
    name: str = "quotes_verbatim",
) -> Guard[OutT, InT]: ...
def quotes_verbatim(
    quotes: str | Callable[..., Iterable[Quoted]],
    /,
    *,
    source: str | Callable[..., str | Iterable[str]] = "",
    threshold: float = THRESHOLD,
    name: str = "quotes_verbatim",
) -> object:
    """A guard: every quote is in its source (see `find_quote`).

    Its findings point at the innermost list item that holds the quote, so that ``.drop()`` removes the whole
    quotation, and carry the nearest passage as what was expected.

    Args:
        quotes: where quotes are in the answer, as a pattern; or a function of answer and input that gives
            each with its own sources.
        source: where the texts are in the stage's input, as a pattern or a function of the input. A quote is
            good if one of them has it. No text at all accepts nothing.
        threshold: see `find_quote`.
        name: what findings call the guard.

    >>> guard = quotes_verbatim("quotes[*].text", source="pages[*].text")
    >>> answer = {"quotes": [{"text": "the new engine is safe"}, {"text": "use it"}]}
    >>> source = {"pages": [{"text": "Use it, but the new engine is not safe."}]}
    >>> [(f.where(), f.message) for f in guard(answer, GuardContext(source))]
    [('$.quotes[0]', "quote changes a negation: it leaves out 'not'")]
    """

    def of_pattern(answer: object, given: object) -> Iterator[Quoted]:
        if callable(source):
            made = source(given)
            sources = [made] if isinstance(made, str) else list(made)
        else:
            sources = [text for _, text in texts(given, source)]
        for at, text in texts(answer, cast("str", quotes)):
            yield Quoted(item_of(at), text, sources)

    each = cast("Callable[[object, object], Iterable[Quoted]]", quotes) if callable(quotes) else of_pattern

    def check(answer: object, ctx: GuardContext[object]) -> Iterator[Finding]:
        for quoted in each(answer, ctx.input):
            best = Miss("has no source to be found in")
            for text in quoted.sources:
                found = search_quote(quoted.text, text, threshold=threshold)
                if isinstance(found, Match):
                    break
                if found.score >= best.score:
                    best = found
            else:
                yield Finding(
                    f"quote {best.reason}", at=quoted.at, evidence=quoted.text, expected=best.nearest
                )

    return Guard(check, name=name)


def item_of(at: Path) -> Path:
    """The innermost list item on the way to a node; the node itself where there is none.

    >>> item_of(("quotes", 2, "text")), item_of(("summary",))
    (('quotes', 2), ('summary',))
    """
    for end in range(len(at), 0, -1):
        if isinstance(at[end - 1], int):
            return at[:end]
    return at
