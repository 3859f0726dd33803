"""The ids of runs at a glance: for the shell's completion, which has no time to load SQLAlchemy or to wait.

It opens a SQLite file for reading only, never makes one, and knows nothing of PostgreSQL.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

MOST = 200


def newest_run_ids(file: Path, *, prefix: str = "") -> Sequence[str]:
    """Ids of root runs that begin so, newest first, at most `MOST`.

    Raises:
        sqlite3.Error: there is no such file, it is busy, or it holds no runs.
    """
    uri = f"{file.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, timeout=0.1)) as connection:
        rows = connection.execute(
            "SELECT run_id FROM gf_runs WHERE parent IS NULL AND substr(run_id, 1, ?) = ? "
            "ORDER BY created_at DESC LIMIT ?",
            (len(prefix), prefix, MOST),
        )
        return [str(run_id) for (run_id,) in rows]
