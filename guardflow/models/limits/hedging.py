"""When a second, identical request is worth sending, and how many of them: pure, fed by `Gate`.

J. Dean and L. A. Barroso, "The Tail at Scale" (2013): hedge what takes longer than most do.
"""

from __future__ import annotations

from collections import deque

from guardflow.models.limits.policy import Policy

_KEPT = 256
"""Latencies that are looked at: the last ones."""
_FRESH = 8
"""How many new ones make the delay worth computing again."""


class Hedging:
    """The latencies of one model, and the hedges that its traffic has earned."""

    __slots__ = ("_new", "_p95", "_policy", "_saved", "_seconds", "_thrice")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._seconds: deque[float] = deque(maxlen=_KEPT)
        self._saved = min(policy.hedge_start, policy.hedge_burst)
        self._p95 = self._thrice = 0.0
        self._new = _FRESH

    def took(self, seconds: float) -> None:
        """A request was answered after so long, or was given up then: it would have taken longer still.

        Errors are no answers, however quickly they come.
        """
        self._seconds.append(seconds)
        self._new += 1

    def delay(self) -> float | None:
        """Seconds after which to hedge: the smaller of p95 and three medians. None until enough is known.

        The fewer hedges are saved up, the nearer it is to three medians: the last ones go to what is slow for sure,
        not to the edge of normal.
        """
        if len(self._seconds) < self._policy.hedge_after:
            return None
        if self._new >= _FRESH:
            ranked = sorted(self._seconds)
            self._p95 = ranked[min(int(0.95 * len(ranked)), len(ranked) - 1)]
            self._thrice = 3 * ranked[len(ranked) // 2]
            self._new = 0
        wealth = self._saved / max(self._policy.hedge_burst, 1.0)
        return self._thrice - max(self._thrice - self._p95, 0.0) * wealth

    def earn(self) -> None:
        """A first try is sent."""
        self._saved = min(self._saved + self._policy.hedge_share, self._policy.hedge_burst)

    def take(self) -> bool:
        """Take one hedge, if one was earned."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True

    def give_back(self) -> None:
        """The hedge was not sent."""
        self._saved = min(self._saved + 1.0, self._policy.hedge_burst)
