"""A folder of documents that can be searched: SQLite FTS5, brought up to date when it is opened.

Pipelines and ``--corpus`` call it. It never writes into the folder, and a query is never FTS syntax.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from guardflow.errors import UsageError
from guardflow.hashing import value_hash
from guardflow.settings import home_dir, load_settings

from .corpus_index import Index, IndexReport, Progress
from .documents import Document
from .snippets import snippet
from .words import search_words, unspaced

MOST_WORDS = 64
"""Different words of a query that are looked for."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that a search found. ``score`` is higher for a better fit, and comparable within one search only."""

    document_id: str
    title: str
    score: float
    snippet: str


@dataclass(frozen=True, slots=True)
class CorpusStats:
    """How much is in a corpus."""

    files: int
    documents: int
    skipped: int
    characters: int
    index_bytes: int


class Corpus:
    """Documents of some folders, searchable.

    Made by `open`; usable from several threads, and from several processes at once.

    Args:
        index: the open index.
        report: what bringing it up to date did, with everything that was skipped and why.
    """

    def __init__(self, index: Index, report: IndexReport) -> None:
        self._index = index
        self._report = report
        self._refreshing = threading.Lock()

    @classmethod
    def open(
        cls,
        folder: str | Path | Sequence[str | Path],
        *,
        index: str | Path | None = None,
        progress: Callable[[Progress], None] | None = None,
    ) -> Corpus:
        """Open the corpus of one or more folders, and index what is new or changed in them.

        Files that cannot be read are in ``report.skipped``; they never raise.

        Args:
            folder: one folder or several; order matters for the index.
            index: the index file; None is a file in the state folder, one for each set of folders.
            progress: called after each file, with what is done so far.

        Raises:
            UsageError: a folder is not there, or the index cannot be opened.
        """
        given = [folder] if isinstance(folder, str | Path) else list(folder)
        folders = [_existing(Path(one)) for one in given]
        if not folders:
            raise UsageError("a corpus of no folders was asked for", hint="name at least one folder")
        if len(set(folders)) < len(folders):
            raise UsageError("a corpus was given the same folder twice", hint="name each folder once")
        key = value_hash([str(one) for one in folders])
        path = Path(index) if index is not None else _in_state_home(key)
        opened = Index(path, _named(folders), key=key)
        try:
            report = opened.update(progress)
        except BaseException:
            opened.close()
            raise
        return cls(opened, report)

    @property
    def report(self) -> IndexReport:
        """What the last update did."""
        return self._report

    def refresh(self, *, progress: Callable[[Progress], None] | None = None) -> IndexReport:
        """Index what changed since; also what another process indexed meanwhile counts as there."""
        with self._refreshing:
            self._report = self._index.update(progress)
        return self._report

    def search(self, query: str, *, limit: int = 10) -> list[Hit]:
        """The documents that fit best, by BM25 over words and their stems; titles count four times.

        Any of the words will do. If none is found as a word, words are taken as beginnings of words. Case,
        accents and punctuation do not matter; operators of any query language are words.

        Args:
            query: what is looked for, in plain words.
            limit: how many hits at most.
        """
        words = search_words(query)[:MOST_WORDS]
        if not words or limit < 1:
            return []
        rows = self._index.match(" OR ".join(words), limit)
        if not rows:
            beginnings = [f"{word} *" for word in words if len(word) > 4]  # its quotation marks count
            rows = self._index.match(" OR ".join(beginnings), limit) if beginnings else []
        plain = [unspaced(word.strip('"')) for word in words]
        return [Hit(row.document_id, row.title, row.score, snippet(row.text, plain)) for row in rows]

    def get(self, document_id: str) -> Document:
        """The document of a hit, whole.

        Raises:
            UsageError: the corpus has no such document (any more).
        """
        found = self._index.document(document_id)
        if found is None:
            raise UsageError(
                f"the corpus holds no document {document_id!r}",
                hint="search again; the file was changed or removed since",
            )
        return found

    def best(self, query: str) -> Document | None:
        """The document that fits best; None if none fits."""
        hits = self.search(query, limit=1)
        return self.get(hits[0].document_id) if hits else None

    def stats(self) -> CorpusStats:
        """Counts of what is indexed now."""
        return CorpusStats(*self._index.counts(), index_bytes=self._index.size())

    def close(self) -> None:
        """Close the index. Searching after that raises."""
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _existing(folder: Path) -> Path:
    expanded = folder.expanduser()
    if not expanded.is_dir():
        why = "is a file" if expanded.exists() else "is not there"
        raise UsageError(
            f"the corpus folder {str(folder)!r} {why}",
            hint="name a folder with .md, .txt, .html or .pdf files",
        )
    return expanded.resolve()


def _named(folders: Sequence[Path]) -> dict[str, Path]:
    """Folders by what stands for them in a document's uri: their name, numbered where two share one."""
    named: dict[str, Path] = {}
    for folder in folders:
        name = wanted = folder.name or "root"
        number = 2
        while name in named:
            name = f"{wanted}-{number}"
            number += 1
        named[name] = folder
    return named


def _in_state_home(key: str) -> Path:
    folder = home_dir(load_settings()) / "corpus"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{key[:16]}.sqlite3"
