"""Durable state: the ledger, runs and leases, the response cache and artifacts, on SQLite or PostgreSQL.

Importing it loads SQLAlchemy, so only `guardflow.runtime` and the commands do, when they need a database.
"""

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
