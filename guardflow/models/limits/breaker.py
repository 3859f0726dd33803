"""The breaker of one model: closed, open, half-open with one probe at a time. Pure; the clock is passed in.

`Gate` asks it before a request and tells it afterwards. After M. Nygard, "Release It!" (2007), ch. 5.
"""

from __future__ import annotations

from collections import deque
from typing import Literal, NamedTuple

from guardflow.models.limits.policy import Policy

State = Literal["closed", "open", "probing"]
"""Open turns half-open by itself when its time is over: then the next request is the probe."""


class News(NamedTuple):
    """The latest change of a breaker, as processes tell each other; times are on the teller's clock."""

    state: State
    at: float
    until: float
    cooldown: float


class Breaker:
    """Opens when at least ``share`` of at least ``calls`` calls of the last ``window`` seconds failed."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._ended: deque[tuple[float, bool]] = deque()
        self._failed = 0
        self._cooldown = policy.cooldown
        self._probes = 0
        """In flight, those that were replaced too."""
        self.state: State = "closed"
        self.until = 0.0
        """When an open breaker lets its probe through."""
        self.changed_at = float("-inf")
        self.why = ""
        self.adopted = False
        """Whether another process made the latest change: only who made it tells of it, or it would go round."""

    @property
    def news(self) -> News:
        """The latest change."""
        return News(self.state, self.changed_at, self.until, self._cooldown)

    def delay(self, now: float) -> float:
        """Seconds until a request may be sent at the latest: 0 for now.

        A probe in flight may be answered before. One that is not within the cool-down is replaced, or it would keep
        everybody waiting for as long as it hangs.
        """
        if self.state == "closed":
            return 0.0
        return max(0.0, (self.changed_at + self._cooldown if self.state == "probing" else self.until) - now)

    def admit(self, now: float) -> bool:
        """Note that a request is sent, which `delay` allowed. Whether it is the probe."""
        if self.state == "closed":
            return False
        if self.state == "probing":
            self._cooldown = self._longer()
        self._probes += 1
        self._turn("probing", now)
        return True

    def ended(self, now: float, *, failed: bool | None, probe: bool, not_before: float = 0.0) -> bool:
        """Note how a request ended.

        Args:
            failed: whether it failed as TRANSIENT; None if nobody knows (it was cancelled, or never sent).
            probe: what `admit` said of it.
            not_before: when the longest Retry-After that is known will have passed.

        Returns:
            Whether the breaker changed.
        """
        self._probes -= probe
        if probe and self.state != "closed":
            return self._probed(now, failed=failed, not_before=not_before)
        if self.state != "closed":
            # One that was sent before it opened: it tells nothing new, but its Retry-After counts.
            if self.state == "open":
                self.until = max(self.until, not_before)
            return False
        if failed is None:
            return False
        self._note(now, failed=failed)
        n = len(self._ended)
        if not failed or n < self._policy.calls or self._failed < self._policy.share * n:
            return False
        self.why = f"{self._failed} of {n} requests failed within {self._policy.window:g} s"
        self._cooldown = self._policy.cooldown
        self._open(now, not_before)
        return True

    def adopt(self, news: News, *, grace: float) -> bool:
        """Follow another process, if its change is newer than ours; it may probe first, we ``grace`` later.

        Returns:
            Whether the breaker changed.
        """
        if news.at <= self.changed_at or self.state == "probing":
            return False
        before = self.state
        self._cooldown = news.cooldown
        if news.state == "closed":
            self._turn("closed", news.at)
        else:
            # A probe of somebody who dies with it must not keep us waiting for ever.
            until = news.until if news.state == "open" else news.at + self._policy.longest_cooldown
            self.until = until + grace
            self.why = "another process found that it does not answer"
            self._turn("open", news.at)
        self.adopted = True
        return self.state != before

    def _probed(self, now: float, *, failed: bool | None, not_before: float) -> bool:
        if failed is None:
            if self._probes:  # it had been replaced
                return False
            self._turn("open", now)  # its time is over already: the next request is the probe
        elif failed:
            self._cooldown = self._longer()
            self._open(now, not_before)
        else:
            self._cooldown = self._policy.cooldown
            self._turn("closed", now)
        return True

    def _longer(self) -> float:
        return min(self._cooldown * 2, self._policy.longest_cooldown)

    def _open(self, now: float, not_before: float) -> None:
        self.until = max(now + self._cooldown, not_before)
        self._turn("open", now)

    def _turn(self, state: State, at: float) -> None:
        self.state, self.changed_at, self.adopted = state, at, False
        self._ended.clear()
        self._failed = 0

    def _note(self, now: float, *, failed: bool) -> None:
        self._ended.append((now, failed))
        self._failed += failed
        oldest = now - self._policy.window
        while self._ended[0][0] < oldest:
            self._failed -= self._ended.popleft()[1]
