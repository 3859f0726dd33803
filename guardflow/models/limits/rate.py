"""Requests or tokens a minute: a token bucket with smooth refill. Pure; the clock is passed in.

`Gate` holds one for requests and one for tokens. Tokens are taken by estimate and corrected afterwards.
"""

from __future__ import annotations


class Rate:
    """At most ``per_minute`` in any 60 seconds: a tenth may go at once, the rest is spread over the minute.

    What is larger than that tenth goes when the bucket is full, and is paid back before the next.

    Example:
        >>> rate = Rate(60, now=0.0)
        >>> [rate.delay(1, now=0.0) for _ in range(7) if rate.take(1, now=0.0)][-1] > 0
        True
    """

    __slots__ = ("_at", "_burst", "_least", "_level", "_per_second")

    def __init__(self, per_minute: int, *, now: float) -> None:
        self._burst = max(1.0, per_minute / 10)
        self._per_second = (per_minute - self._burst + 1) / 60
        self._level = self._burst
        self._least = -float(per_minute)
        self._at = now

    def delay(self, amount: float, *, now: float) -> float:
        """Seconds until ``amount`` may be taken; 0 for now."""
        self._refill(now)
        missing = min(amount, self._burst) - self._level
        return 0.0 if missing <= 1e-9 else missing / self._per_second

    def take(self, amount: float, *, now: float) -> bool:
        """Take ``amount`` if it may be taken now."""
        if self.delay(amount, now=now) > 0:
            return False
        self._level -= amount
        return True

    def correct(self, amount: float) -> None:
        """Give back what was taken and not used; a negative amount was used beyond it, here or elsewhere.

        However much that was, it is forgotten after little more than a minute, as the provider forgets it.
        """
        self._level = max(min(self._level + amount, self._burst), self._least)

    def _refill(self, now: float) -> None:
        if now > self._at:
            self._level = min(self._burst, self._level + (now - self._at) * self._per_second)
            self._at = now
