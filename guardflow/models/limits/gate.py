"""The gate in front of one (provider, model): every request enters it and leaves it.

Flow calls `enter` before a request is written down, and `leave` after it. It sends nothing and repeats nothing.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import anyio

from guardflow.kinds import Kind
from guardflow.models.limits.breaker import Breaker, News
from guardflow.models.limits.concurrency import Concurrency
from guardflow.models.limits.hedging import Hedging
from guardflow.models.limits.policy import IMPATIENT, AskPatience, Limits, Patience, Policy
from guardflow.models.limits.rate import Rate
from guardflow.models.limits.retries import RetryBudget

_SLOWING = Kind.RATE_LIMIT | Kind.OVERLOADED | Kind.TIMEOUT
"""What says that fewer requests at once would do better."""
_LEAST_NAP = 0.001


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request must not be sent now. No request was made."""

    reason: Literal["breaker", "pause", "retries"]
    message: str


@dataclass(frozen=True, slots=True)
class Permit:
    """The right to send one request, and what was set aside for it."""

    at: float
    tokens: int
    probe: bool = False
    retry: bool = False
    hedge: bool = False


class _Waiter:
    __slots__ = ("event",)

    def __init__(self) -> None:
        self.event = anyio.Event()


class Gate:
    """All that is known about one model's provider, in this process. Belongs to one event loop.

    Requests wait in line, first come first served: for a free place, for rates, for a Retry-After, and, as long
    as they have `Patience`, for a provider that is out.

    Args:
        name: the model's name, for messages.
        limits: what is declared.
        policy: what is not.
        clock: seconds that never go back.
    """

    def __init__(self, name: str, limits: Limits, policy: Policy, clock: Callable[[], float]) -> None:
        now = clock()
        self.name = name
        self.limits = Limits()
        self.breaker = Breaker(policy)
        self.retries = RetryBudget(policy, now=now)
        self.hedging = Hedging(policy)
        self.concurrency = Concurrency(policy.concurrency, policy.most_concurrency)
        self.paused_until = -math.inf
        self.in_flight = 0
        self.taken = (0, 0)
        """Requests and tokens sent so far, for the other processes."""
        self._policy = policy
        self._clock = clock
        self._requests: Rate | None = None
        self._tokens: Rate | None = None
        self._line: deque[_Waiter] = deque()
        self._answered_at = -math.inf
        self.declare(limits)

    @property
    def waiting(self) -> int:
        """Requests in line."""
        return len(self._line)

    def declare(self, limits: Limits) -> None:
        """Hold these limits too, where they are tighter."""
        tightest = self.limits.tightest(limits)
        if tightest == self.limits:
            return
        now = self._clock()
        if tightest.rpm is not None and tightest.rpm != self.limits.rpm:
            self._requests = Rate(tightest.rpm, now=now)
        if tightest.tpm is not None and tightest.tpm != self.limits.tpm:
            self._tokens = Rate(tightest.tpm, now=now)
        if tightest.concurrency is not None:
            self.concurrency.cap(tightest.concurrency)
        self.limits = tightest

    async def enter(
        self, tokens: int, *, retry: bool = False, patience: AskPatience = IMPATIENT
    ) -> Permit | Refusal:
        """Wait until a request may be sent.

        Args:
            tokens: what it may take at most.
            retry: whether it repeats one that failed, and so costs the retry budget.
            patience: how long it may wait for a provider in trouble.

        Raises:
            ConfigError: it is larger than the declared tpm.
        """
        self.limits.check(tokens, model=self.name)
        began = self._clock()
        refusal = self._refusal(began, began, patience)
        if refusal is not None:
            return refusal
        if not retry:
            return await self._in_line(tokens, began, patience, retry=False)
        seconds = self.retries.reserve(now=began, most=_found(patience).outage)
        if seconds is None:
            return Refusal("retries", f"the retry budget of {self.name!r} is used up: too much fails there")
        permitted = False
        try:
            if seconds > 0:
                await anyio.sleep(seconds)
            found = await self._in_line(tokens, began, patience, retry=True)
            permitted = isinstance(found, Permit)
        finally:
            if not permitted:
                self.retries.give_back()
        return found

    def enter_hedge(self, tokens: int) -> Permit | None:
        """The right to a second, identical request, if nothing at all stands against it."""
        now = self._clock()
        if self._line or self.breaker.state != "closed" or self._delay(now, tokens) > 0:
            return None
        if not self.hedging.take():
            return None
        if self.retries.reserve(now=now, most=0.0) is None:
            self.hedging.give_back()
            return None
        return replace(self._admitted(now, tokens, retry=True), hedge=True)

    def leave(
        self, permit: Permit, kind: Kind | None, *, retry_after: float | None = None, used: int | None = None
    ) -> None:
        """Say what came of a request: ``kind`` is None for a completion, ``used`` its tokens where known."""
        now = self._clock()
        failed = kind is not None and bool(kind & Kind.TRANSIENT)
        if kind is not Kind.TIMEOUT:  # which may have been answered and paid
            spent = used if used is not None else 0 if kind is not None else permit.tokens
            self._correct(permit.tokens - spent)
        if failed and retry_after is not None and retry_after > 0:
            until = now + min(retry_after, self._policy.longest_pause)
            self.paused_until = max(self.paused_until, until)
        if kind is not None and kind & _SLOWING:
            self.concurrency.refused(now, sent_at=permit.at)
        elif not failed:
            self._answered_at = now
            self.concurrency.succeeded(in_flight=self.in_flight)
            if kind is None:
                self.hedging.took(now - permit.at)
        self._ended(now, permit, failed=failed)

    def give_up(self, permit: Permit, *, sent: bool, overdue: bool = False) -> None:
        """The request was cancelled, or (not ``sent``) never made: it tells nothing about the provider.

        Args:
            sent: whether it was.
            overdue: whether its stage's own timeout cut it off. That is a failure where nobody else was answered
                meanwhile: else a provider that hangs for longer than its stages wait would never be found out.
        """
        now = self._clock()
        silent = overdue and self._answered_at < min(permit.at, now - self._policy.cooldown)
        if sent:
            self.hedging.took(now - permit.at)
        else:
            if permit.retry:
                self.retries.give_back()
            if permit.hedge:
                self.hedging.give_back()
            if self._requests is not None:
                self._requests.correct(1)
            self.taken = (self.taken[0] - 1, self.taken[1])
            self._correct(permit.tokens)
        self._ended(now, permit, failed=True if sent and silent else None)

    def charge(self, requests: int, tokens: int) -> None:
        """Other processes have sent this much to the same model."""
        if self._requests is not None:
            self._requests.correct(-requests)
        if self._tokens is not None:
            self._tokens.correct(-tokens)

    def pause(self, until: float) -> None:
        """Another process was told to send nothing before then."""
        self.paused_until = max(self.paused_until, until)

    def follow(self, news: News, *, grace: float) -> None:
        """Another process found out whether it answers; see `Breaker.adopt`."""
        if self.breaker.adopt(news, grace=grace):
            if self.breaker.state == "closed":
                self.concurrency.restart(self._policy.after_outage)
            self._changed()

    # -- inside --

    async def _in_line(
        self, tokens: int, began: float, patience: AskPatience, *, retry: bool
    ) -> Permit | Refusal:
        now = began
        if not self._line and self._delay(now, tokens) <= 0:
            return self._admitted(now, tokens, retry=retry)
        waiter = _Waiter()
        self._line.append(waiter)
        try:
            while True:
                now = self._clock()
                refusal = self._refusal(now, began, patience)
                if refusal is not None:
                    return refusal
                first = self._line[0] is waiter
                nap = self._delay(now, tokens) if first else math.inf
                if nap <= 0:
                    return self._admitted(now, tokens, retry=retry)
                if self.breaker.state != "closed":
                    left = began + _found(patience).outage - now
                    if left <= 0:  # it could be probed, but not now, and not by this one
                        return self._no_answer()
                    nap = min(nap, left)
                waiter.event = anyio.Event()
                with anyio.move_on_after(max(nap, _LEAST_NAP)):
                    await waiter.event.wait()
        finally:
            self._line.remove(waiter)
            self._wake_first()

    def _admitted(self, now: float, tokens: int, *, retry: bool) -> Permit:
        self.in_flight += 1
        self.taken = (self.taken[0] + 1, self.taken[1] + tokens)
        if self._requests is not None:
            self._requests.take(1, now=now)
        if self._tokens is not None:
            self._tokens.take(tokens, now=now)
        if not retry:
            self.retries.earn()
            self.hedging.earn()
        probe = self.breaker.state != "closed" and self.breaker.admit(now)
        if probe:
            self._changed()
        return Permit(now, tokens, probe, retry)

    def _delay(self, now: float, tokens: int) -> float:
        """Seconds until the first in line may go; infinity while that depends on others."""
        if self.in_flight >= self._places():
            return math.inf
        seconds = max(self.paused_until - now, 0.0)
        if self.breaker.state != "closed":
            seconds = max(seconds, self.breaker.delay(now))
        if self._requests is not None:
            seconds = max(seconds, self._requests.delay(1, now=now))
        if self._tokens is not None:
            seconds = max(seconds, self._tokens.delay(tokens, now=now))
        return seconds

    def _places(self) -> int:
        """Requests that may be in flight. A probe does not wait behind those that hang since before an outage, as long
        as no declared limit is passed."""
        if self.breaker.state == "closed":
            return self.concurrency.limit
        return self.limits.concurrency or self._policy.most_concurrency

    def _refusal(self, now: float, began: float, asked: AskPatience) -> Refusal | None:
        if self.breaker.state == "closed" and self.paused_until <= now:
            return None
        patience = _found(asked)
        if self.breaker.state != "closed":
            seconds = self.breaker.delay(now)
            left = began + patience.outage - now
            if seconds > 0 and (left <= 0 or (left < seconds and self.breaker.state == "open")):
                return self._no_answer()
        left = self.paused_until - now
        if left > 0 and now + left > began + patience.pause:
            return Refusal("pause", f"{self.name!r} asked for {left:.0f} s without requests")
        return None

    def _no_answer(self) -> Refusal:
        return Refusal("breaker", f"{self.name!r} does not answer: {self.breaker.why}")

    def _correct(self, tokens: int) -> None:
        if self._tokens is not None:
            self._tokens.correct(tokens)
        self.taken = (self.taken[0], self.taken[1] - tokens)

    def _ended(self, now: float, permit: Permit, *, failed: bool | None) -> None:
        self.in_flight -= 1
        before = self.breaker.state
        turned = self.breaker.ended(now, failed=failed, probe=permit.probe, not_before=self.paused_until)
        if not turned:
            self._wake_first()
            return
        if before != "closed" and self.breaker.state == "closed":
            self.concurrency.restart(self._policy.after_outage)
        self._changed()

    def _changed(self) -> None:
        """Let everybody in line look again: the breaker changed."""
        for waiter in self._line:
            waiter.event.set()

    def _wake_first(self) -> None:
        if self._line:
            self._line[0].event.set()


def _found(patience: AskPatience) -> Patience:
    return patience() if callable(patience) else patience
