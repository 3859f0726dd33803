"""What a host's robots.txt permits, asked once per origin (RFC 9309).

`guardflow.sources.web` fetches the file and asks. 4xx permits all, 5xx and silence permit nothing.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from protego import Protego

MOST_BYTES = 500 * 1024
MOST_DELAY = 10.0
"""Seconds that a Crawl-delay is honoured for; more would stop any run."""
_MOST_ORIGINS = 1_000
_LASTS = 24 * 3600.0
_FAILURE_LASTS = 60.0
"""Seconds after which a host that did not answer is asked again."""


@dataclass(frozen=True, slots=True)
class RobotsAnswer:
    """What came back for a robots.txt: the status after redirects, 0 if there was no answer, and the text."""

    status: int
    text: str = ""


FetchRobots = Callable[[str], Awaitable[RobotsAnswer]]


@dataclass(frozen=True, slots=True)
class Rules:
    """One origin's rules; None for rules means that all is permitted, or nothing."""

    parsed: Protego | None
    otherwise: bool

    def permit(self, url: str, agent: str) -> bool:
        return self.parsed.can_fetch(url, agent) if self.parsed is not None else self.otherwise

    def delay(self, agent: str) -> float:
        """Seconds between two requests that the host asks for."""
        asked = self.parsed.crawl_delay(agent) if self.parsed is not None else None
        return min(asked, MOST_DELAY) if asked and asked > 0 else 0.0  # NaN is not above 0


class Robots:
    """The rules of the origins that were asked so far.

    Args:
        fetch: gets ``<origin>/robots.txt``; it follows redirects under the same guard as pages.
    """

    def __init__(self, fetch: FetchRobots) -> None:
        self._fetch = fetch
        self._known: OrderedDict[str, tuple[Rules, float]] = OrderedDict()  # with the time until it holds
        self._locks: dict[str, anyio.Lock] = {}

    async def rules(self, origin: str) -> Rules:
        """The rules of ``scheme://host:port``; asked for once, however many want them at the same time."""
        if (known := self._remembered(origin)) is not None:
            return known
        lock = self._locks.setdefault(origin, anyio.Lock())
        try:
            async with lock:
                if (known := self._remembered(origin)) is None:
                    known = parse(await self._fetch(f"{origin}/robots.txt"))
                    lasts = _LASTS if known.parsed is not None or known.otherwise else _FAILURE_LASTS
                    self._known[origin] = (known, time.monotonic() + lasts)
                    if len(self._known) > _MOST_ORIGINS:
                        self._known.popitem(last=False)
                return known
        finally:
            if not lock.statistics().tasks_waiting:
                self._locks.pop(origin, None)

    def _remembered(self, origin: str) -> Rules | None:
        rules, until = self._known.get(origin, (None, 0.0))
        return rules if until > time.monotonic() else None


def parse(answer: RobotsAnswer) -> Rules:
    """The rules that an answer stands for."""
    if 400 <= answer.status < 500:
        return Rules(None, otherwise=True)
    if not 200 <= answer.status < 300:
        return Rules(None, otherwise=False)
    from protego import Protego

    return Rules(Protego.parse(answer.text[:MOST_BYTES]), otherwise=True)
