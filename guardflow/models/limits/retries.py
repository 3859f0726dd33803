"""The retry budget of one model: retries and hedges are a tenth of the traffic. Pure; the clock is passed in.

`Gate` holds one. As in Finagle's RetryBudget, and "Site Reliability Engineering" (2016), ch. 21.
"""

from __future__ import annotations

from guardflow.models.limits.policy import Policy


class RetryBudget:
    """First tries earn, retries and hedges spend. Time restores the starting balance, for who sends little.

    Example:
        >>> budget = RetryBudget(Policy(retry_start=1.0), now=0.0)
        >>> budget.reserve(now=0.0, most=0.0), budget.reserve(now=0.0, most=0.1)
        (0.0, None)
    """

    __slots__ = ("_at", "_balance", "_policy")

    def __init__(self, policy: Policy, *, now: float) -> None:
        self._policy = policy
        self._balance = policy.retry_start
        self._at = now

    @property
    def balance(self) -> float:
        """Retries that could be sent now; below 0 for those that wait for theirs."""
        return self._balance

    def earn(self) -> None:
        """A first try is sent."""
        if self._balance < self._policy.retry_most:
            self._balance += self._policy.retry_earns

    def reserve(self, *, now: float, most: float) -> float | None:
        """Take the price of one retry, and say in how many seconds it will have been earned at the latest.

        Returns:
            0 for now; None if it would take longer than ``most``, and then nothing is taken.
        """
        self._restore(now)
        missing = 1.0 - self._balance
        if missing <= 1e-9:
            seconds = 0.0
        elif self._policy.retry_per_second <= 0:
            return None
        else:
            seconds = missing / self._policy.retry_per_second
        if seconds > most:
            return None
        self._balance -= 1.0
        return seconds

    def give_back(self) -> None:
        """The retry was not sent."""
        self._balance += 1.0

    def _restore(self, now: float) -> None:
        if now > self._at:
            if self._balance < self._policy.retry_start:
                more = (now - self._at) * self._policy.retry_per_second
                self._balance = min(self._policy.retry_start, self._balance + more)
            self._at = now
