"""How attempts of one stage call are numbered, so that a resume finds each again, and which ballot each belongs to."""

from __future__ import annotations

from guardflow.values import AttemptStart

STRIDE = 16
"""Attempts are numbered from a multiple of this for each repetition of an equal question to a judge."""
LANE = 1024 * STRIDE
"""Equal questions about different ballots are different attempts: each ballot numbers its own from a multiple of this."""
AFTER_VOTE = -1
"""The ballot number of what the ladder asks when a vote decided nothing: it is none."""


def ballot_of(start: AttemptStart) -> int | None:
    """Which ballot of a vote an attempt belongs to, from 0; None for what belongs to none, such as a tie-break."""
    if start.role == "guard" and start.n >= LANE:
        return start.n // LANE - 1
    return start.ballot if start.role == "answer" and start.ballot >= 0 else None
