"""What goes into a poll and what comes out of it: ballots, questions between them, and where the vote stands.

Flow casts the ballots and answers the questions; `guardflow.vote` counts. Nothing here does I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from guardflow.agreement import Agreement
from guardflow.hashing import JSON
from guardflow.kinds import Kind
from guardflow.values import Model


@dataclass(frozen=True, slots=True)
class Cast:
    """A valid ballot: its answer passed the schema and every guard, unrepaired.

    Args:
        ballot: its number, from 0. Which seat (model, sample) casts it follows from the number alone.
        value: the answer as JSON.
        length: characters of the raw answer: one that is far longer than the others is spoiled.
    """

    ballot: int
    model: Model
    value: JSON
    length: int


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A ballot that does not count, and why. ``kind`` is what failed last."""

    ballot: int
    model: Model
    kind: Kind
    why: str = ""


Ballot: TypeAlias = Cast | Spoiled


@dataclass(frozen=True, slots=True)
class Compare:
    """A question that only a model can answer: do two texts mean the same? The poll goes on with a bool.

    ``a`` is never greater than ``b``, so that a pair is asked about once whoever comes first.
    """

    model: Model
    at: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """More ballots are needed: ``more`` is the fewest that could still decide, those in flight among them."""

    more: int


@dataclass(frozen=True, slots=True)
class Decided:
    """The ballots have decided.

    Args:
        value: the composite, as JSON. Flow validates and guards it again.
        nearest: the cast ballots, nearest to the composite first: used in its place if it does not pass.
    """

    value: JSON
    agreement: Agreement
    nearest: tuple[Cast, ...]


@dataclass(frozen=True, slots=True)
class Split:
    """There are valid ballots, and no ballot that may still be cast could make one answer win.

    Args:
        candidates: the distinct answers, heaviest first. Answers that differ only in fields that follow, or that
            nobody had to compare any more, are one.
    """

    candidates: tuple[JSON, ...]
    agreement: Agreement


@dataclass(frozen=True, slots=True)
class AllSpoiled:
    """No ballot is valid, or too few are left to decide: ``kind`` is the commonest cause, worst first on a tie."""

    kind: Kind
    agreement: Agreement | None = None


Standing: TypeAlias = Undecided | Decided | Split | AllSpoiled
