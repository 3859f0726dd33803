"""Ladders: what to ask next after an answer failed, decided by what failed. Pure.

Rungs are data, `next_move` is the one decision, and the history of labels is its only memory, so that a
climb can be replayed from the ledger. Stages and votes call it; it never sends, sleeps or draws at random.
"""

from guardflow.ladder.call import Call, Failure
from guardflow.ladder.climb import Move, Stop, next_move
from guardflow.ladder.ladder import DEFAULT_LADDER, Ladder, Otherwise, abstain, degrade, park
from guardflow.ladder.pause import pause_before
from guardflow.ladder.reask import Fence, note_text, reask_text
from guardflow.ladder.rung import Rung
from guardflow.ladder.rungs import Grow, Reask, Rephrase, Resample, Shrink, Switch, Wait
from guardflow.ladder.verbs import grow, reask, rephrase, resample, shrink, switch, wait

__all__ = [
    "DEFAULT_LADDER",
    "Call",
    "Failure",
    "Fence",
    "Grow",
    "Ladder",
    "Move",
    "Otherwise",
    "Reask",
    "Rephrase",
    "Resample",
    "Rung",
    "Shrink",
    "Stop",
    "Switch",
    "Wait",
    "abstain",
    "degrade",
    "grow",
    "next_move",
    "note_text",
    "park",
    "pause_before",
    "reask",
    "reask_text",
    "rephrase",
    "resample",
    "shrink",
    "switch",
    "wait",
]
