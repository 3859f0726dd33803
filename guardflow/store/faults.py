"""What a database refuses, said once: driver errors become the typed errors of `guardflow.errors`.

Every read and every transaction of the store runs inside `translated`; nothing else looks at driver codes.
No password of a database URL ever reaches a message.
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, quote_plus

import psycopg
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from guardflow.errors import (
    DatabaseError,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseUnreachable,
    DiskFull,
)

_SQLITE: dict[int, tuple[type[DatabaseError], str, str]] = {
    5: (DatabaseLocked, "is locked by another process", "wait for the other guardflow process, or stop it"),
    6: (
        DatabaseLocked,
        "is locked by another connection",
        "wait for the other guardflow process, or stop it",
    ),
    8: (
        DatabaseReadOnly,
        "cannot be written",
        "make the file and its folder writable, or set GUARDFLOW_HOME",
    ),
    11: (DatabaseError, "is damaged", "restore it from a backup, or run `sqlite3 FILE .recover`"),
    13: (
        DiskFull,
        "cannot grow: the disk is full",
        "free some space and resume; what was committed is intact",
    ),
    14: (DatabaseUnreachable, "cannot be opened", "check that its folder exists and may be entered"),
    26: (DatabaseError, "is not a SQLite database", "move the file away, or set GUARDFLOW_DATABASE_URL"),
}
_POSTGRES: tuple[tuple[str, type[DatabaseError], str, str], ...] = (
    ("53100", DiskFull, "cannot grow: its disk is full", "free some space on the server and resume"),
    ("53", DatabaseUnreachable, "has no room for another connection", "raise max_connections, or run fewer"),
    ("55P03", DatabaseLocked, "is locked by another session", "wait for it, or end that session"),
    ("40", DatabaseLocked, "kept refusing the transaction for its neighbours'", "run fewer writers at once"),
    ("57014", DatabaseLocked, "cancelled the statement", "raise statement_timeout for this role"),
    ("25006", DatabaseReadOnly, "is read-only", "connect to the primary server"),
    ("42501", DatabaseReadOnly, "refuses this role", "grant it the rights on the tables gf_*"),
    ("XX001", DatabaseError, "is damaged", "restore it from a backup"),
    ("XX002", DatabaseError, "is damaged", "run REINDEX, or restore it from a backup"),
    ("3D000", DatabaseUnreachable, "does not exist", "create it, or correct GUARDFLOW_DATABASE_URL"),
    (
        "28",
        DatabaseUnreachable,
        "refuses the login",
        "correct the user or password in GUARDFLOW_DATABASE_URL",
    ),
    ("57P", DatabaseUnreachable, "is shutting down or starting", "wait until the server is up, then resume"),
    ("08", DatabaseUnreachable, "does not answer", "check that the server is up and can be reached"),
)
_TRANSIENT_STATES = ("40001", "40P01")


class Refused(Exception):
    """A statement failed by its content (a constraint, a value); other statements may still succeed."""


@contextmanager
def translated(url: URL) -> Generator[None]:
    """Turn what drivers raise inside the block into `DatabaseError` and its subclasses.

    Raises:
        DatabaseError: or a subclass, for everything that a driver, the pool or the file system refused.
    """
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, psycopg.Error, OSError) as error:
        known = translate(url, error)
        if _password(url) and any(p in str(error) for p in _password(url)):
            raise known from None
        raise known from error


def translate(url: URL, error: BaseException) -> DatabaseError:
    """The typed error for a driver's error, with what to do about it."""
    origin = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    name = url.render_as_string(hide_password=True)
    if isinstance(origin, sqlite3.Error):
        kind, why, hint = _of_sqlite(url, origin)
    elif isinstance(origin, psycopg.Error):
        kind, why, hint = _of_postgres(origin)
    elif isinstance(error, PoolTimeout):
        kind, why = DatabaseUnreachable, "has no free connection left"
        hint = "run fewer stages at once"
    elif isinstance(origin, OSError):
        kind, why, hint = _of_file_system(origin)
    else:
        kind, why, hint = DatabaseError, "refused", "report this with the text above"
    return kind(f"database {name!r} {why} ({_scrub(url, origin)})", hint=hint)


def is_fatal(error: DatabaseError) -> bool:
    """Whether the whole transaction is lost, rather than one statement refused for its content."""
    return type(error) is not DatabaseError or "is damaged" in error.message


def is_transient(error: BaseException) -> bool:
    """Whether PostgreSQL gave this transaction up for another's sake, so that it is worth repeating."""
    origin = error.orig if isinstance(error, DBAPIError) else error
    return isinstance(origin, psycopg.Error) and origin.sqlstate in _TRANSIENT_STATES


def _of_sqlite(url: URL, error: sqlite3.Error) -> tuple[type[DatabaseError], str, str]:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == 10 and _no_room(url):  # SQLITE_IOERR: quotas and file size limits come as this
        code = 13
    if code == 14 and url.database and not may_write(Path(url.database)):
        code = 8  # a WAL file cannot even be opened where its side files cannot be written
    if code == 10:
        return DatabaseError, "cannot be read or written", "check the disk; network file systems do not work"
    return _SQLITE.get(code, (DatabaseError, "refused", "report this with the text above"))


def _of_postgres(error: psycopg.Error) -> tuple[type[DatabaseError], str, str]:
    state = error.sqlstate
    if state is None:
        if isinstance(error, psycopg.OperationalError):
            return DatabaseUnreachable, "does not answer", "check that the server is up and can be reached"
        return DatabaseError, "refused", "report this with the text above"
    for prefix, kind, why, hint in _POSTGRES:
        if state.startswith(prefix):
            return kind, why, hint
    return DatabaseError, "refused", "report this with the text above"


def _of_file_system(error: OSError) -> tuple[type[DatabaseError], str, str]:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DiskFull, "cannot be created: the disk is full", "free some space"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DatabaseReadOnly, "cannot be created here", "make its folder writable, or set GUARDFLOW_HOME"
    return DatabaseUnreachable, "cannot be opened", "check that its folder exists and may be entered"


def may_write(path: Path) -> bool:
    """Whether this process may write the file and the folder it is in; True for what does not exist."""
    effective = os.access in os.supports_effective_ids
    there = [p for p in (path, path.parent) if p.exists()]
    return all(os.access(p, os.W_OK, effective_ids=effective) for p in there)


def _no_room(url: URL) -> bool:
    """Whether the file system of a SQLite file, or this process's own limit, leaves no room for it."""
    if not url.database:
        return False
    try:
        import resource  # only on Unix

        limit = resource.getrlimit(resource.RLIMIT_FSIZE)[0]
        if limit != resource.RLIM_INFINITY:
            return True
    except ImportError:
        pass
    try:
        return shutil.disk_usage(Path(url.database).parent).free < 1 << 20
    except OSError:
        return False


def _password(url: URL) -> tuple[str, ...]:
    secret = str(url.password or "")
    return (secret, quote(secret, safe=""), quote_plus(secret)) if secret else ()


def _scrub(url: URL, error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    for secret in _password(url):
        text = text.replace(secret, "***")
    return text
