"""How long a request may wait for a provider that is out: read off the ladder it climbs. Pure.

Climbs ask it before each request. It sends nothing and counts nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from guardflow.kinds import Kind
from guardflow.ladder import Call, Failure, Ladder
from guardflow.ladder.rungs import Wait
from guardflow.models.limits import Patience

_OUT = Failure(Kind.OVERLOADED, retry_after=float("inf"))


def patience_of(ladder: Ladder, path: Sequence[str], call: Call) -> Patience:
    """Seconds to wait for an outage to end before the ladder goes on without this model.

    None where a rung leads to another model at once. Else as long as the wait rungs that are left may pause: each
    up to its cap, because what is left then is to park; but no longer than their backoff where a fallback is at
    hand.

    Args:
        ladder: resolved.
        path: the labels of the attempts so far.
        call: what is about to be asked.
    """
    outage = 0.0
    for label, rung, nth in ladder.open(path, _OUT.kind):
        if not isinstance(rung, Wait):
            if rung.fits(call, _OUT):
                return Patience()
            continue
        left = range(max(rung.times - path.count(label), 1))
        if ladder.otherwise.action == "degrade":
            outage += sum(min(rung.cap, rung.base * 2.0 ** min(nth - 1 + n, 60)) for n in left)
        else:
            outage += rung.cap * len(left)
    return Patience(outage=outage)
