"""The numbers of storm control, and what a model declares about its own limits. Data only.

`Policy` holds what guardflow chose, each with its reason; tests choose others. `Limits` come from settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from guardflow.errors import ConfigError
from guardflow.values import Model


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What storm control does where nothing is declared. Times are seconds.

    Args:
        window: how far back the breaker looks.
        calls: how many calls must have ended in the window before it may open. A lone stage with ``wait(4)``
            ends 5, so that all its declared requests are sent.
        share: the part of them that must have failed as TRANSIENT.
        cooldown: how long it stays open at first; doubled each time a probe fails, up to ``longest_cooldown``.
        longest_pause: a Retry-After beyond this is taken as this: one wrong header must not stop a worker for ever.
        concurrency: requests in flight to start with; no more than ``most_concurrency`` ever.
        after_outage: requests in flight to start again with when a breaker has closed.
        retry_earns: what each first try adds to the retry budget; a retry or a hedge takes 1. With 0.1 they are
            10 % of the traffic in the long run (Finagle's RetryBudget; "Site Reliability Engineering", ch. 21).
        retry_start: the balance to begin with, which time restores at ``retry_per_second``: Finagle's
            ``minRetriesPerSec``. It leaves a stage that is alone the waits it has declared.
        retry_most: what can be saved up.
        hedge_after: latencies that must be known before the first hedge.
        hedge_share: hedges for each first try, at most. A little above the twentieth of replies that are beyond
            p95: with just a twentieth, luck and hedges of what was nearly there use them up, and slow ones go without.
        hedge_start: hedges to begin with; up to ``hedge_burst`` can be saved up, as slow replies come in clumps.
        grace: what another process of the same database waits longer before it probes too.
    """

    window: float = 30.0
    calls: int = 10
    share: float = 0.5
    cooldown: float = 5.0
    longest_cooldown: float = 60.0
    longest_pause: float = 3600.0
    concurrency: int = 64
    most_concurrency: int = 1024
    after_outage: int = 4
    retry_earns: float = 0.1
    retry_start: float = 10.0
    retry_most: float = 30.0
    retry_per_second: float = 5.0
    hedge_after: int = 20
    hedge_share: float = 0.055
    hedge_start: float = 10.0
    hedge_burst: float = 20.0
    grace: float = 3.0


DEFAULT_POLICY = Policy()


@dataclass(frozen=True, slots=True)
class Limits:
    """What is declared about one model; None is not limited."""

    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None

    @classmethod
    def of(cls, model: Model) -> Limits:
        """The limits that a resolved model carries."""
        return cls(model.rpm, model.tpm, model.concurrency)

    def tightest(self, other: Limits) -> Limits:
        """Both at once: two roles may name one model."""
        return Limits(
            _least(self.rpm, other.rpm),
            _least(self.tpm, other.tpm),
            _least(self.concurrency, other.concurrency),
        )

    def check(self, tokens: int, *, model: str) -> None:
        """Refuse a request that could wait for ever.

        Raises:
            ConfigError: it reserves more tokens than a whole minute allows.
        """
        if self.tpm is not None and tokens > self.tpm:
            raise ConfigError(
                f"a request to {model!r} may take {tokens} tokens, and tpm={self.tpm} allows fewer in a minute",
                hint="raise tpm to what the provider grants, lower max_tokens, or shorten the prompt",
            )


class Patience(NamedTuple):
    """How many seconds a request may wait for a provider in trouble; for our own limits it waits in any case.

    Args:
        outage: for an open breaker or a spent retry budget. 0 where another model can be asked at once.
        pause: for a Retry-After that has not passed.
    """

    outage: float = 0.0
    pause: float = 30.0


IMPATIENT = Patience()
"""For requests that nobody said anything about."""

AskPatience: TypeAlias = Patience | Callable[[], Patience]
"""A patience, or how to find it out: most requests never need any."""


def _least(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return min(one, other)
