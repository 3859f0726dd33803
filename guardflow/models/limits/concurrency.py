"""How many requests may be in flight: additive increase, multiplicative decrease. Pure; the clock is passed in.

`Gate` asks it. As TCP does (V. Jacobson, "Congestion Avoidance and Control", 1988): one cut a round trip.
"""

from __future__ import annotations

import math


class Concurrency:
    """A limit that follows what the provider can take.

    Args:
        start: requests in flight to begin with.
        most: never more than this.
    """

    __slots__ = ("_cut_at", "_limit", "_most", "_threshold")

    def __init__(self, start: int, most: int) -> None:
        self._most = float(most)
        self._limit = float(min(start, most))
        self._threshold = self._limit
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
        if 2 * in_flight < self._limit:
            return
        more = 1.0 if self._limit < self._threshold else 1.0 / self._limit
        self._limit = min(self._limit + more, self._most)

    def refused(self, now: float, *, sent_at: float) -> None:
        """A request was turned away. Those sent before the last cut say nothing new."""
        if sent_at <= self._cut_at:
            return
        self._cut_at = now
        self._limit = self._threshold = max(1.0, self._limit / 2)

    def restart(self, start: int) -> None:
        """Begin low after an outage, and grow quickly up to half of what was possible before."""
        self._threshold = max(self._threshold, 1.0)
        self._limit = max(1.0, min(self._limit, float(start)))
