"""How many requests may be in flight: additive increase, and a cut as deep as many are refused. Pure.

`Gate` asks it, and passes the clock in. As data center TCP does (RFC 8257): one cut a round trip, by half of the share
that was refused lately. A limit is found by halving; a reply that is refused by chance costs little.
"""

from __future__ import annotations

import math

_MEMORY = 32
"""Over about so many replies the share of refused ones is taken."""
_CAREFUL = 12
"""Below this limit it grows by this part of itself a round trip, not by 1: that would be most of it."""


class Concurrency:
    """A limit that follows what the provider can take.

    Args:
        start: requests in flight to begin with.
        most: never more than this.
    """

    __slots__ = ("_before", "_cut_at", "_limit", "_most", "_refused", "_threshold")

    def __init__(self, start: int, most: int) -> None:
        self._most = float(most)
        self._limit = float(min(start, most))
        self._threshold = self._limit
        self._before = self._limit
        self._refused = 1.0  # nothing is known: the first cut is a half
        self._cut_at = -math.inf

    @property
    def limit(self) -> int:
        """Requests that may be in flight now, at least 1."""
        return int(self._limit)

    def cap(self, most: int) -> None:
        """Never more than this from now on."""
        self._most = min(self._most, float(most))
        self._limit = min(self._limit, self._most)

    def succeeded(self, *, in_flight: int) -> None:
        """A request was answered while so many were in flight: more are tried only where the limit is used."""
        self._refused -= self._refused / _MEMORY
        if 2 * in_flight < self._limit:
            return
        more = 1.0 if self._limit < self._threshold else 1.0 / max(self._limit, _CAREFUL)
        self._limit = min(self._limit + more, self._most)

    def refused(self, now: float, *, sent_at: float) -> None:
        """A request was turned away: at most half of the limit goes, however many were turned away with it.

        Those sent before the last cut belong to it: each shows better how deep it should have been.
        """
        self._refused += (1.0 - self._refused) / _MEMORY
        if sent_at > self._cut_at:
            self._cut_at, self._before = now, self._limit
        cut = max(1.0, self._before * (1.0 - self._refused / 2))
        if cut < self._limit:
            self._limit = self._threshold = cut

    def restart(self, start: int) -> None:
        """Begin low after an outage, and grow quickly up to what was left by the last cut."""
        self._threshold = max(self._threshold, 1.0)
        self._limit = max(1.0, min(self._limit, float(start)))
