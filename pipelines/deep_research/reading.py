"""Searching and reading: code stages that reach the corpus and the web; copies counted once; passages ranked.

Every document that was read is recorded with the run, so that a resumed run quotes the same text even if the corpus
changed meanwhile. What could not be read is told, never swallowed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from guardflow import (
    Context,
    Corpus,
    Document,
    Fetched,
    StageError,
    UsageError,
    clusters,
    find_links,
    host_of,
    stage,
)

from .profiles import WRITE_RESERVE
from .quotable import Page, speaks_to_a_model
from .types import Frozen, Hit, Source, SubQuestion, Unread
from .words import Weights, is_unspaced, terms

_RANKS_FUSED = 60
"""The constant of reciprocal rank fusion (Cormack et al. 2009)."""
_FROM_ONE = 3
"""Passages of one document that are read for one sub-question."""
SHORTEST = 40
"""Columns below which a document says nothing; a letter of a language without spaces says as much as three."""


@runtime_checkable
class Fetcher(Protocol):
    """What reads a given page: `guardflow.WebFetcher`, or any resource with this method."""

    async def fetch(self, url: str, /) -> Fetched:
        """The page's text, cleaned, or why there is none."""
        ...


class Search(Frozen):
    """Phrases that stand for one sub-question, and how many documents they may bring."""

    phrases: tuple[str, ...]
    documents: int


class Hits(Frozen):
    """What a search found, best first."""

    hits: tuple[Hit, ...]


class Read(Frozen):
    """A document, or why there is none."""

    hit: Hit
    document: Document | None = None
    reason: str = ""


@stage(name="search", timeout=60, retries=2)
def search(asked: Search, ctx: Context) -> Hits:
    """Search the corpus with every phrase; documents that several phrases find come first."""
    try:
        corpus = ctx.resource(Corpus)
    except StageError:
        return Hits(hits=())  # a run over given pages only needs no corpus
    scores: defaultdict[str, float] = defaultdict(float)
    found: dict[str, Hit] = {}
    for phrase in asked.phrases:
        ranked = dict.fromkeys(hit.document_id for hit in corpus.search(phrase, limit=4 * asked.documents))
        for rank, key in enumerate(ranked):
            scores[key] += 1 / (_RANKS_FUSED + rank)
    for key in sorted(scores, key=lambda k: (-scores[k], k))[: asked.documents]:
        document = corpus.get(key)
        found[key] = Hit(
            uri=document.uri,
            title=document.title,
            origin="corpus",
            document=key,
            score=round(scores[key], 6),
        )
    return Hits(hits=tuple(found.values()))


@stage(name="read", timeout=60, time_reserve=WRITE_RESERVE)
async def read(hit: Hit, ctx: Context) -> Read:
    """The text behind a hit. A page that cannot be had, or says nothing, is a `Read` with its reason."""
    if hit.origin == "given":
        fetched = await ctx.resource(Fetcher).fetch(hit.uri)
        if fetched.document is None:
            return Read(hit=hit, reason=fetched.failure.detail if fetched.failure else "it holds no text")
        return _checked(hit, fetched.document)
    try:
        return _checked(hit, ctx.resource(Corpus).get(hit.document))
    except UsageError as error:  # it was removed since it was found
        return Read(hit=hit, reason=error.message)


def _checked(hit: Hit, document: Document) -> Read:
    text = document.text.strip()
    if len(text) + 2 * sum(map(is_unspaced, text[:SHORTEST])) < SHORTEST:
        return Read(hit=hit, reason="it holds no text")
    return Read(hit=hit, document=document)


def given_pages(urls: Sequence[str]) -> list[Hit]:
    """Hits for the pages that were named in the request."""
    return [Hit(uri=url, title=url, origin="given") for url in urls]


class Shelf:
    """The documents of a run: each text once, near-copies together, in the order they were read."""

    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.hits: dict[str, Hit] = {}
        self.unread: dict[str, Unread] = {}
        self.copies: dict[str, list[str]] = {}
        self._sources: dict[str, Source] = {}

    def __contains__(self, hit: Hit) -> bool:
        seen = {h.uri for h in self.hits.values()} | set(self.unread)
        return hit.uri in seen or hit.document in self.documents

    def add(self, reads: Sequence[Read]) -> None:
        """Take in what was read; the first of several equal texts stays."""
        self._sources = {}
        for one in reads:
            if one.document is None:
                self.unread[one.hit.uri] = Unread(uri=one.hit.uri, reason=_safe_reason(one.reason))
            elif one.document.id in self.documents:
                self.copies.setdefault(one.document.id, []).append(one.hit.uri)
            else:
                self.documents[one.document.id] = one.document
                self.hits[one.document.id] = one.hit

    def sources(self) -> dict[str, Source]:
        """Every document's source; near-copies share one, whose text is that of the first.

        Documents that are added later change no number that was given.
        """
        if self._sources or not self.documents:
            return self._sources
        ids = list(self.documents)
        made = self._sources
        for number, group in enumerate(clusters(self.documents[i].text for i in ids), 1):
            first = self.documents[ids[group[0]]]
            hit = self.hits[first.id]
            also = [*self.copies.get(first.id, ())]
            for member in group[1:]:
                also += [self.hits[ids[member]].uri, *self.copies.get(ids[member], ())]
            source = Source(
                id=number,
                document=first.id,
                uri=hit.uri,
                title=_safe_title(first.title, hit.uri),
                origin=hit.origin,
                published=first.published,
                flags=first.flags,
                also_at=tuple(dict.fromkeys(also)),
            )
            made |= {ids[member]: source for member in group}
        return made


def _safe_title(title: str, uri: str) -> str:
    """A title is the page's own words too: one that leads somewhere or gives orders is replaced by the address."""
    title = _one_line(title)[:160]
    if not title or not any(map(str.isalnum, title)) or find_links(title) or speaks_to_a_model(title):
        return uri
    return title


def _safe_reason(reason: str) -> str:
    """An error may tell where a page wanted to lead; the report does not."""
    reason = _one_line(reason)
    return "it could not be fetched" if find_links(reason) or speaks_to_a_model(reason) else reason


def _one_line(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in " ".join(text.split()))[:300]


def publisher(source: Source) -> str:
    """Who stands behind a source: its host, or for a corpus the document itself."""
    if source.origin == "corpus":
        return source.document
    try:
        return host_of(source.uri)
    except ValueError:
        return source.uri


def ranked_pages(
    pages: Sequence[Page], question: SubQuestion, weights: Weights, *, most: int, fused: Mapping[str, float]
) -> list[Page]:
    """The passages to read for a sub-question: by BM25, ties by their document's rank, few of one document."""
    wanted = [*terms(question.text), *(term for phrase in question.searches for term in terms(phrase))]
    scored = [(weights.bm25(wanted, page.text), page) for page in pages]
    order = sorted(
        (pair for pair in scored if pair[0] > 0),
        key=lambda pair: (-pair[0], -fused.get(pair[1].document, 0.0), pair[1].document, pair[1].start),
    )
    taken: defaultdict[str, int] = defaultdict(int)
    found: list[Page] = []
    for _, page in order:
        taken[page.document] += 1
        if taken[page.document] <= _FROM_ONE:
            found.append(page)
        if len(found) == most:
            break
    return found
