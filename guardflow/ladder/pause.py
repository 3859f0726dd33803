"""How long a `wait` rung pauses before it sends the same request again. Pure: the generator is passed in.

Flow calls it and sleeps. Full jitter as in M. Brooker, "Exponential Backoff And Jitter" (AWS, 2015).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardflow.ladder.rung import Rung
from guardflow.ladder.rungs import Wait

if TYPE_CHECKING:
    from random import Random

_LAST_DOUBLING = 60
"""Doubling further would overflow long before it could matter."""


def pause_before(rung: Rung, nth: int, retry_after: float | None, rng: Random) -> float:
    """Seconds to pause before the request that ``rung`` leads to; 0 for every rung but `wait`.

    Without Retry-After the pause is uniform in 0 .. min(cap, base * 2**(nth - 1)). With it, the provider's
    number is the minimum and the jitter comes on top, because everybody it refused was told the same
    moment. The pause never exceeds ``cap``: a longer Retry-After is not cut short, it makes the rung not
    match at all (`Wait.fits`), and the ladder moves on, to a `switch` if it has one.

    Args:
        rung: the rung taken.
        nth: the how many-th use of it on this model, from 1.
        retry_after: seconds the provider asked for, if it did.
        rng: draws the jitter.
    """
    if not isinstance(rung, Wait):
        return 0.0
    least = rung.asked(retry_after)
    widest = min(rung.cap, rung.base * 2.0 ** min(nth - 1, _LAST_DOUBLING))
    return least + rng.uniform(0.0, min(widest, max(rung.cap - least, 0.0)))
