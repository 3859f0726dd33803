"""Durable state: the ledger, runs and leases, the response cache and artifacts, on SQLite or PostgreSQL.

Its names load SQLAlchemy when they are first used, so only `guardflow.runtime` and the commands that need a database
do; `guardflow.store.glance` needs none.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .artifacts import SqlArtifacts
    from .cache import CacheStats, SqlCache
    from .engine import Database, open_database
    from .leases import owner_id
    from .ledger import SqlLedger
    from .runs import SqlRuns
    from .store import Store, open_readonly, open_store

__all__ = [
    "CacheStats",
    "Database",
    "SqlArtifacts",
    "SqlCache",
    "SqlLedger",
    "SqlRuns",
    "Store",
    "open_database",
    "open_readonly",
    "open_store",
    "owner_id",
]

if not TYPE_CHECKING:
    _HOME = {
        "CacheStats": "cache",
        "Database": "engine",
        "SqlArtifacts": "artifacts",
        "SqlCache": "cache",
        "SqlLedger": "ledger",
        "SqlRuns": "runs",
        "Store": "store",
        "open_database": "engine",
        "open_readonly": "store",
        "open_store": "store",
        "owner_id": "leases",
    }

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
        return value
