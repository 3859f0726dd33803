"""The corpus index: one SQLite file with documents, files and a full-text table, kept in step with the folders.

`guardflow.sources.corpus` is its only caller. Files are parsed one at a time and outside of transactions, so
several processes can index the same folders at once.
"""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import blake2b
from pathlib import Path
from typing import IO, NamedTuple, cast

from guardflow.errors import UsageError

from .documents import Document, DocumentKind
from .errors import Unreadable
from .folders import Found, Skipped, open_file, walk
from .reading import read
from .words import spaced

VERSION = 2
"""Of the schema and of the readers: an index of another version is made anew, since it is only a cache."""
_BATCH_FILES = 64
_BATCH_SECONDS = 2.0
_LOCKED_SECONDS = 60.0

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE documents (
    rowid INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, uri TEXT NOT NULL, title TEXT NOT NULL,
    text TEXT NOT NULL, published TEXT, kind TEXT NOT NULL, flags TEXT NOT NULL
);
CREATE TABLE files (
    uri TEXT PRIMARY KEY, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, digest TEXT NOT NULL,
    document_id TEXT, why TEXT
) WITHOUT ROWID;
CREATE INDEX files_document ON files (document_id);
CREATE VIEW indexed AS SELECT rowid, spaced(title) AS title, spaced(text) AS text FROM documents;
CREATE VIRTUAL TABLE words USING fts5(
    title, text, content='indexed', content_rowid='rowid', tokenize='porter unicode61 remove_diacritics 2'
);
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """What an update has done so far; ``uri`` is the file it looked at last."""

    uri: str
    seen: int
    read: int


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an update did, in files, and what it could not use."""

    added: int
    changed: int
    unchanged: int
    removed: int
    skipped: tuple[Skipped, ...]
    seconds: float


class Match(NamedTuple):
    """One row of a search."""

    document_id: str
    title: str
    score: float
    text: str


class _Row(NamedTuple):
    """What is known of a file."""

    size: int
    mtime_ns: int
    digest: str
    document_id: str | None
    why: str | None


class _Read(NamedTuple):
    """A file that was looked into: a document, or why there is none. Neither if only its time changed."""

    found: Found
    digest: str
    document: Document | None
    why: str | None


class Index:
    """An open index.

    Args:
        path: the database file; made, with mode 0600, if it is not there.
        folders: the folders by the names that stand for them in each ``uri``.
        key: identifies the folders; an index of other folders is made anew.

    Raises:
        UsageError: the file cannot be opened, or is something else.
    """

    def __init__(self, path: Path, folders: Mapping[str, Path], *, key: str) -> None:
        self._path = path
        self._folders = dict(folders)
        self._lock = threading.RLock()
        try:
            # Made by hand first: SQLite gives its side files the mode of the main one.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(
                path, timeout=_LOCKED_SECONDS, isolation_level=None, check_same_thread=False
            )
        except (OSError, sqlite3.Error) as error:
            raise UsageError(
                f"the corpus index {str(path)!r} cannot be opened ({error})",
                hint="name another file as index=",
            ) from error
        try:
            self._db.create_function("spaced", 1, spaced, deterministic=True)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._prepare(key)
        except sqlite3.Error as error:
            self._db.close()
            raise UsageError(
                f"the corpus index {str(path)!r} cannot be used ({error})",
                hint="delete it: it is only a cache, and is made anew",
            ) from error

    def _prepare(self, key: str) -> None:
        wanted = {"version": str(VERSION), "folders": key}
        with self._transaction() as db:
            tables = {
                str(name) for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            if tables and "meta" not in tables:
                raise sqlite3.DatabaseError("it is a database of something else")
            if tables and dict(db.execute("SELECT key, value FROM meta")) == wanted:
                return
            for statement in ("TABLE words", "VIEW indexed", "TABLE files", "TABLE documents", "TABLE meta"):
                db.execute(f"DROP {statement.split()[0]} IF EXISTS {statement.split()[1]}")
            for statement in filter(str.strip, _SCHEMA.split(";\n")):
                db.execute(statement)
            db.executemany("INSERT INTO meta VALUES (?, ?)", wanted.items())

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    # --- bringing it up to date ----------------------------------------------------------------------

    def update(self, progress: Callable[[Progress], None] | None = None) -> IndexReport:
        """Read what is new or changed, and forget what is gone."""
        started = time.monotonic()
        known = self._known()
        skipped: list[Skipped] = []
        seen: set[str] = set()
        added = changed = done = 0
        batch: list[_Read] = []
        deadline = started + _BATCH_SECONDS
        for item in self._walk():
            if isinstance(item, Skipped):
                skipped.append(item)
                continue
            seen.add(item.uri)
            before = known.get(item.uri)
            why = before.why if before else None
            # What could not be opened has no digest, and is tried again: permissions change no time of the file.
            known_as = (before.size, before.mtime_ns) if before and before.digest else None
            if known_as != (item.size, item.mtime_ns):
                outcome = self._look_into(item, before)
                batch.append(outcome)
                why = outcome.why
                added += before is None
                changed += before is not None and before.digest != outcome.digest
                done += 1
            if why is not None:
                skipped.append(Skipped(item.uri, why))
            if len(batch) >= _BATCH_FILES or (batch and time.monotonic() > deadline):
                self._write(batch)
                batch.clear()
                deadline = time.monotonic() + _BATCH_SECONDS
            if progress is not None:
                progress(Progress(item.uri, len(seen), done))
        self._write(batch)
        removed = self._forget(set(known) - seen)
        unchanged = len(seen) - added - changed
        return IndexReport(added, changed, unchanged, removed, tuple(skipped), time.monotonic() - started)

    def _walk(self) -> Iterator[Found | Skipped]:
        for name, folder in self._folders.items():
            yield from walk(folder, name=name)

    def _known(self) -> dict[str, _Row]:
        rows = self._rows("SELECT uri, size, mtime_ns, digest, document_id, why FROM files")
        return {
            str(row[0]): _Row(*cast("tuple[int, int, str, str | None, str | None]", row[1:])) for row in rows
        }

    def _look_into(self, found: Found, before: _Row | None) -> _Read:
        if (row := self._other_process_read(found)) is not None:
            return _Read(found, row.digest, None, row.why)
        digest = ""
        try:
            with open_file(found) as stream:
                digest = _digest(stream)
                if before is not None and digest == before.digest:
                    return _Read(found, digest, None, before.why)
                stream.seek(0)
                title = found.uri.rpartition("/")[2].rpartition(".")[0].replace("_", " ").replace("-", " ")
                return _Read(
                    found, digest, read(stream, found.kind, uri=found.uri, fallback_title=title), None
                )
        except Unreadable as error:
            return _Read(found, digest, None, error.message)
        except OSError as error:
            return _Read(found, digest, None, f"it cannot be read ({error.strerror})")

    def _other_process_read(self, found: Found) -> _Row | None:
        rows = self._rows(
            "SELECT size, mtime_ns, digest, document_id, why FROM files WHERE uri = ? "
            "AND size = ? AND mtime_ns = ? AND digest <> ''",
            (found.uri, found.size, found.mtime_ns),
        )
        return _Row(*cast("tuple[int, int, str, str | None, str | None]", rows[0])) if rows else None

    def _write(self, batch: list[_Read]) -> None:
        if not batch:
            return
        with self._transaction() as db:
            left: set[str] = set()
            for item in batch:
                old = db.execute(
                    "SELECT document_id, digest FROM files WHERE uri = ?", (item.found.uri,)
                ).fetchone()
                if item.document is None and item.why is None:  # the same content as before
                    document_id = old[0] if old else None
                else:
                    document_id = self._add(db, item.document) if item.document else None
                    if old and old[0] and old[0] != document_id:
                        left.add(old[0])
                found = item.found
                db.execute(
                    "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
                    (found.uri, found.size, found.mtime_ns, item.digest, document_id, item.why),
                )
            self._drop_unused(db, left)

    def _add(self, db: sqlite3.Connection, document: Document) -> str:
        present = db.execute("SELECT 1 FROM documents WHERE id = ?", (document.id,)).fetchone()
        if present is None:
            cells = (
                document.id,
                document.uri,
                document.title,
                document.text,
                document.published.isoformat() if document.published else None,
                document.kind,
                json.dumps(document.flags),
            )
            rowid = db.execute(
                "INSERT INTO documents (id, uri, title, text, published, kind, flags) VALUES (?, ?, ?, ?, ?, ?, ?)",
                cells,
            ).lastrowid
            db.execute(
                "INSERT INTO words (rowid, title, text) VALUES (?, ?, ?)",
                (rowid, spaced(document.title), spaced(document.text)),
            )
        return document.id

    def _forget(self, uris: set[str]) -> int:
        if not uris:
            return 0
        with self._transaction() as db:
            left: set[str] = set()
            for uri in sorted(uris):
                row = db.execute("DELETE FROM files WHERE uri = ? RETURNING document_id", (uri,)).fetchone()
                if row and row[0]:
                    left.add(row[0])
            self._drop_unused(db, left)
        return len(uris)

    def _drop_unused(self, db: sqlite3.Connection, ids: Iterable[str]) -> None:
        """Remove documents that no file holds any more; where one of several files is left, that is its uri now."""
        for document_id in sorted(ids):
            uri = db.execute("SELECT min(uri) FROM files WHERE document_id = ?", (document_id,)).fetchone()[0]
            if uri is not None:
                db.execute("UPDATE documents SET uri = ? WHERE id = ?", (uri, document_id))
                continue
            row = db.execute(
                "SELECT rowid, title, text FROM documents WHERE id = ?", (document_id,)
            ).fetchone()
            if row:
                db.execute(
                    "INSERT INTO words (words, rowid, title, text) VALUES ('delete', ?, ?, ?)",
                    (row[0], spaced(row[1]), spaced(row[2])),
                )
                db.execute("DELETE FROM documents WHERE rowid = ?", (row[0],))

    # --- reading it ----------------------------------------------------------------------------------

    def match(self, expression: str, limit: int) -> list[Match]:
        """The best rows for an FTS5 expression, which the caller has made of quoted words only."""
        rows = self._rows(
            "SELECT documents.id, documents.title, -bm25(words, 4.0, 1.0) AS score, documents.text FROM words JOIN documents ON documents.rowid = words.rowid "
            "WHERE words MATCH ? ORDER BY score DESC, documents.id LIMIT ?",
            (expression, limit),
        )
        return [Match(*cast("tuple[str, str, float, str]", row)) for row in rows]

    def document(self, document_id: str) -> Document | None:
        rows = self._rows(
            "SELECT id, uri, title, text, published, kind, flags FROM documents WHERE id = ?", (document_id,)
        )
        if not rows:
            return None
        identity, uri, title, text, published, kind, flags = cast(
            "tuple[str, str, str, str, str | None, str, str]", rows[0]
        )
        return Document(
            id=identity,
            uri=uri,
            title=title,
            text=text,
            published=date.fromisoformat(published) if published else None,
            kind=cast("DocumentKind", kind),
            flags=tuple(json.loads(flags)),
        )

    def counts(self) -> tuple[int, int, int, int]:
        """Files, documents, files that cannot be used, and characters of text."""
        row = self._rows(
            "SELECT (SELECT count(*) FROM files), (SELECT count(*) FROM documents), "
            "(SELECT count(*) FROM files WHERE why IS NOT NULL), (SELECT coalesce(sum(length(text)), 0) FROM documents)"
        )[0]
        return cast("tuple[int, int, int, int]", row)

    def size(self) -> int:
        """Bytes of the index file."""
        return self._path.stat().st_size

    def close(self) -> None:
        with self._lock, closing(self._db):
            pass

    def _rows(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
        with self._lock:
            return self._db.execute(sql, values).fetchall()


def _digest(stream: IO[bytes]) -> str:
    digest = blake2b(digest_size=20)
    while chunk := stream.read(1 << 20):
        digest.update(chunk)
    return digest.hexdigest()
