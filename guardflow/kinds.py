"""The kinds of failure a model call can have, and their groups.

Ladders match on them, attempts carry them, telemetry names them. A Flag, so that policy is data:
``reask(2, on=Kind.INVALID | Kind.GUARD)``.
"""

from __future__ import annotations

from enum import Flag, auto


class Kind(Flag):
    """What failed. Single kinds first, then the groups (unions) that ladders speak in."""

    RATE_LIMIT = auto()
    QUOTA = auto()
    TIMEOUT = auto()
    CONNECTION = auto()
    OVERLOADED = auto()
    TRUNCATED = auto()
    EMPTY = auto()
    MALFORMED = auto()
    SCHEMA = auto()
    REFUSED = auto()
    FILTERED = auto()
    GUARD = auto()
    DISAGREED = auto()
    CONTEXT = auto()
    AUTH = auto()
    NOT_FOUND = auto()
    BAD_REQUEST = auto()
    BUDGET = auto()
    BUG = auto()

    TRANSIENT = RATE_LIMIT | TIMEOUT | CONNECTION | OVERLOADED
    INVALID = EMPTY | MALFORMED | SCHEMA
    BLOCKED = REFUSED | FILTERED
    ANSWERABLE = INVALID | BLOCKED | TRUNCATED | GUARD | DISAGREED
    FATAL = AUTH | NOT_FOUND | BAD_REQUEST | BUG
    """What no ladder and no fallback may hide: a wrong key must not become a degraded report."""


def single_kinds() -> tuple[Kind, ...]:
    """The 19 single kinds, in declaration order (iterating a Flag yields its single members)."""
    return tuple(Kind)
