"""`next_move`: given what was tried and what failed, the next request, or how the stage ends. Pure.

Flow calls it once after every failed attempt, live or read back from the ledger: equal histories give
equal moves, so a resumed stage asks for what it asked before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guardflow.kinds import Kind
from guardflow.ladder.ladder import Ladder, Otherwise
from guardflow.ladder.pause import pause_before
from guardflow.ladder.reask import Fence
from guardflow.ladder.rung import Rung

if TYPE_CHECKING:
    from random import Random

    from guardflow.ladder.call import Call, Failure


@dataclass(frozen=True, slots=True)
class Move:
    """One rung up: send ``call`` after ``pause(rng)`` seconds.

    Args:
        call: what to send; ``call.rung`` is the label to put on the attempt and to append to the history.
        rung: the rung taken.
        nth: the how many-th use of it this is, from 1 (for `wait`: on this model).
        retry_after: what the provider asked for, in seconds.
    """

    call: Call
    rung: Rung
    nth: int
    retry_after: float | None

    def pause(self, rng: Random) -> float:
        """Seconds to pause first; 0 for every rung but `wait`."""
        return pause_before(self.rung, self.nth, self.retry_after, rng)


@dataclass(frozen=True, slots=True)
class Stop:
    """A failure that neither a rung nor ``otherwise`` may hide: the stage ends as failed."""

    kind: Kind


def next_move(
    ladder: Ladder, history: Sequence[str], call: Call, failure: Failure, *, fence: Fence = str
) -> Move | Otherwise | Stop:
    """Decide what follows a failed attempt.

    Args:
        ladder: resolved, where it switches (`Ladder.resolved`).
        history: the labels of all attempts of this climb in order, ``start`` included (or not).
        call: what the last attempt was made of.
        failure: how it failed.
        fence: wraps evidence in re-ask texts.

    Returns:
        A `Move`; or the ladder's `Otherwise` when no rung is left or the budget is spent; or a `Stop` for
        AUTH, NOT_FOUND, BAD_REQUEST and BUG, and for kinds that ``otherwise`` may not hide.
    """
    if failure.kind & Kind.FATAL:
        return Stop(failure.kind)
    for label, rung, nth in ladder.open(history, failure.kind):
        if rung.fits(call, failure):
            moved = rung.apply(call, failure, fence=fence)
            if moved.rung != label:  # the second rung of its sort: reask#2
                moved = replace(moved, rung=label)
            return Move(moved, rung, nth, failure.retry_after)
    return Stop(failure.kind) if failure.kind & ladder.otherwise.unless else ladder.otherwise
