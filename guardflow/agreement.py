"""How sure a vote was: carried by an outcome, stored with it, shown by `runs show`. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from guardflow.hashing import JSON


@dataclass(frozen=True, slots=True)
class Dissent:
    """What some ballots said instead of what won: the value as JSON, its weight, and who said so."""

    value: JSON
    weight: float
    ballots: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FieldAgreement:
    """How much the valid ballots of a vote agreed on one field.

    Args:
        share: weight of the ballots that agree with the winner, of the weight of all valid ballots: 0 to 1.
        entropy: Shannon entropy of the groups of equal answers, in bits; 0 when all agree.
        dissent: the groups that lost, heaviest first.
    """

    share: float
    entropy: float
    dissent: tuple[Dissent, ...] = ()


@dataclass(frozen=True, slots=True)
class Agreement:
    """How sure a vote was.

    Args:
        share: the lowest share of any field that voted.
        entropy: the highest entropy of any field that voted, in bits.
        ballots: how many valid ballots were counted.
        spoiled: how many were cast and not counted (invalid, refused, rejected by guards, repaired, too long).
        fields: by JSON path, ``$`` for a value that voted as a whole.
        decided: by the rule, or by the model that was asked because the ballots were split.
    """

    share: float
    entropy: float
    ballots: int
    spoiled: int
    fields: Mapping[str, FieldAgreement]
    decided: Literal["rule", "split"] = "rule"
