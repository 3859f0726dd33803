"""Counting: ballots in, where the vote stands out. Questions that only a model can answer are yielded."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .polling import Ballot, Compare, Standing

if TYPE_CHECKING:
    from .shape import Shape
    from .vote import Vote


@dataclass(frozen=True, slots=True)
class Poll:
    """A vote over one output type. Made by `Vote.bind`."""

    vote: Vote
    shape: Shape

    def poll(self, ballots: Sequence[Ballot]) -> Generator[Compare, bool, Standing]:
        """Where the vote stands with the ballots that are in, in any order.

        Yields:
            `Compare`, where two texts have to be compared by a model; send the answer. No pair is asked about twice.

        Returns:
            `Undecided` (``more`` counts ballots that are in flight), `Decided`, `Split` or `AllSpoiled`.
        """
        raise NotImplementedError
        yield
