"""How far a share that was counted may be from the true one. Pure; evals and benchmarks print it."""

from __future__ import annotations

from math import sqrt
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """From ``low`` to ``high``, both shares from 0 to 1."""

    low: float
    high: float


def wilson(successes: int, total: int, *, confidence: float = 0.95) -> Interval:
    """The score interval of a binomial share (E. B. Wilson, JASA 22, 1927), without continuity correction.

    It holds for small counts and shares near 0 and 1, where the usual ``p ± 1.96 s`` leaves [0, 1].

    Args:
        successes: how often it happened.
        total: how often it could have; of 0 the share may be anything.
        confidence: how often such intervals hold the true share.

    Raises:
        ValueError: there are more successes than cases, or less than none.

    >>> low, high = wilson(9, 10)
    >>> round(low, 3), round(high, 3)
    (0.596, 0.982)
    """
    if not 0 <= successes <= total or not 0 < confidence < 1:
        raise ValueError(f"{successes} of {total} at {confidence} is no share")
    if total == 0:
        return Interval(0.0, 1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = successes / total
    middle = share + z * z / (2 * total)
    reach = z * sqrt((share * (1 - share) + z * z / (4 * total)) / total)
    scale = 1 + z * z / total
    low = 0.0 if successes == 0 else (middle - reach) / scale
    high = 1.0 if successes == total else (middle + reach) / scale
    return Interval(low, high)
