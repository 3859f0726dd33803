"""Which files of a folder can be read: a walk that leaves nothing unsaid and never leaves the folder.

`guardflow.sources.corpus` calls it. It opens regular files only: no links outwards, no pipes, no devices.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .documents import DocumentKind
from .errors import Unreadable

KINDS: dict[str, DocumentKind] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".txt": "text",
    ".text": "text",
    ".html": "html",
    ".htm": "html",
    ".xhtml": "html",
    ".pdf": "pdf",
}
MOST_DEPTH = 40
MOST_BYTES = 200 * 2**20


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that is not in the corpus, and why, as a clause that starts with "it"."""

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be read; ``uri`` is its folder's name and its path below, with slashes."""

    uri: str
    path: Path
    kind: DocumentKind
    size: int
    mtime_ns: int


def walk(folder: Path, *, name: str) -> Iterator[Found | Skipped]:
    """Every file with a known ending, in a fixed order, and what was skipped.

    Names that start with a dot and files with other endings are left out without a word. Links are followed
    only to files inside the folder.

    Args:
        folder: an existing folder.
        name: what stands for the folder in each ``uri``.
    """
    root = folder.resolve()
    stack: list[tuple[Path, str, int]] = [(root, name, 0)]
    while stack:
        here, prefix, depth = stack.pop()
        try:
            with os.scandir(here) as listed:
                entries = sorted(listed, key=lambda entry: entry.name)
        except OSError as error:
            yield Skipped(prefix, f"it cannot be listed ({error.strerror})")
            continue
        below: list[tuple[Path, str, int]] = []
        for entry in entries:
            uri = f"{prefix}/{entry.name}"
            if entry.name.startswith("."):
                continue
            if not uri.isprintable() or not _is_text(uri):
                yield Skipped(ascii(uri), "it has a name that cannot be shown")
            elif entry.is_dir(follow_symlinks=False):
                if depth >= MOST_DEPTH:
                    yield Skipped(uri, f"it is nested more than {MOST_DEPTH} folders deep")
                else:
                    below.append((here / entry.name, uri, depth + 1))
            elif (kind := KINDS.get(os.path.splitext(entry.name)[1].lower())) is not None:
                yield _file(entry, uri, kind, root)
            elif entry.is_symlink() and entry.is_dir():
                yield Skipped(uri, "it is a link to a folder")
        stack += reversed(below)


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # bytes that are no UTF-8
        return False
    return True


def _file(entry: os.DirEntry[str], uri: str, kind: DocumentKind, root: Path) -> Found | Skipped:
    path = Path(entry.path)
    try:
        if entry.is_symlink():
            path = path.resolve(strict=True)
            if not path.is_relative_to(root):
                return Skipped(uri, "it is a link that leaves the folder")
        status = path.stat(follow_symlinks=False)
    except (OSError, RuntimeError) as error:  # a loop of links is a RuntimeError before Python 3.13
        reason = error.strerror if isinstance(error, OSError) else "a loop of links"
        return Skipped(uri, f"it cannot be looked at ({reason})")
    if not stat.S_ISREG(status.st_mode):
        return Skipped(uri, "it is no regular file")
    if status.st_size == 0:
        return Skipped(uri, "it is empty")
    if status.st_size > MOST_BYTES:
        return Skipped(uri, f"it is larger than {MOST_BYTES // 2**20} MB")
    return Found(uri, path, kind, status.st_size, status.st_mtime_ns)


def open_file(found: Found) -> IO[bytes]:
    """Open what `walk` found, unless it has become something else since.

    Raises:
        Unreadable: it is gone, not permitted, or no longer a regular file.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    )
    try:
        descriptor = os.open(found.path, flags)
    except OSError as error:
        raise Unreadable(f"it cannot be opened ({error.strerror})") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("it is no regular file")
    return os.fdopen(descriptor, "rb")
