"""When a vote is decided: `ahead_by`, `majority`, `quorum`, `confident`, `unanimous`. Pure.

`Vote` is given one; the poll asks it about the groups of equal answers of every field. Weights make a ballot
count for more or less against others; they never let fewer ballots decide than the rule asks for.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from guardflow.errors import LadderError

if TYPE_CHECKING:
    from guardflow.hashing import JSON

_SLACK = 1e-9
"""Sums of weights that differ by less are equal: 0.1 + 0.2 is 0.3."""


_MOST_EXACT = 1_000
"""Of more ballots, which only heavy weights make, a binomial is as good as normal, and its sum would take minutes."""


class Group(NamedTuple):
    """Ballots that say the same: their weight together, and how many they are."""

    weight: float
    ballots: int


@dataclass(frozen=True, slots=True)
class Rule(ABC):
    """What all rules have. Make rules with the functions below."""

    @property
    @abstractmethod
    def least(self) -> int:
        """The fewest ballots that decide, when all agree."""

    @property
    @abstractmethod
    def bound(self) -> int:
        """How many ballots a vote casts at most where nobody says: room for dissent and for spoiled ballots."""

    @property
    def size(self) -> int | None:
        """How many valid ballots are counted at most; None where only `max` says."""
        return None

    @abstractmethod
    def wins(self, groups: Sequence[Group], left: Sequence[float]) -> bool:
        """Whether the first group has won.

        Args:
            groups: heaviest first, at least one.
            left: the weights of the ballots that may still count.
        """

    @abstractmethod
    def spec(self) -> dict[str, JSON]:
        """What it is, for the version of a vote."""


def ranked(groups: Sequence[Group]) -> list[Group]:
    """Heaviest first."""
    return sorted(groups, reverse=True)


def fewest(rule: Rule, groups: Sequence[Group], left: Sequence[float]) -> int | None:
    """The fewest further ballots that could decide, if they all agreed; 0 is decided, None cannot be decided.

    Args:
        groups: the groups so far, in any order.
        left: the weights of the ballots that may still be cast, in the order of their seats.
    """
    if rule.size is not None:
        left = left[: max(0, rule.size - sum(group.ballots for group in groups))]
    candidates = [*ranked(groups), Group(0.0, 0)]
    for more in range(len(left) + 1):
        added = math.fsum(left[:more])
        for index, (weight, ballots) in enumerate(candidates):
            joined = Group(math.fsum((weight, added)), ballots + more)
            after = [joined, *candidates[:index], *candidates[index + 1 :]]
            if joined.ballots and rule.wins(ranked([group for group in after if group.ballots]), left[more:]):
                return more
    return None


def _second(groups: Sequence[Group]) -> float:
    return groups[1].weight if len(groups) > 1 else 0.0


@dataclass(frozen=True, slots=True)
class AheadBy(Rule):
    """First to be ahead by k."""

    k: int

    def __post_init__(self) -> None:
        _count("ahead_by", "k", self.k)

    @property
    def least(self) -> int:
        return self.k

    @property
    def bound(self) -> int:
        return 4 * self.k - 1

    def wins(self, groups: Sequence[Group], left: Sequence[float]) -> bool:
        first = groups[0]
        return first.ballots >= self.k and first.weight - _second(groups) >= self.k - _SLACK

    def spec(self) -> dict[str, JSON]:
        return {"rule": "ahead_by", "k": self.k}

    def __str__(self) -> str:
        return f"ahead_by({self.k})"


@dataclass(frozen=True, slots=True)
class Quorum(Rule):
    """m of n; `majority` is one of them."""

    m: int
    n: int

    def __post_init__(self) -> None:
        _count("quorum", "m", self.m)
        _count("quorum", "n", self.n)
        if self.m > self.n:
            raise LadderError(
                f"quorum({self.m}, {self.n}) asks for more equal ballots than it counts",
                hint="use m <= n, such as quorum(3, 5)",
            )

    @property
    def least(self) -> int:
        return self.m

    @property
    def size(self) -> int:
        return self.n

    @property
    def bound(self) -> int:
        return self.n + self.n // 2

    def wins(self, groups: Sequence[Group], left: Sequence[float]) -> bool:
        first, second = groups[0], _second(groups)
        whole = math.fsum((*(group.weight for group in groups), *left))
        enough = first.weight >= whole * self.m / self.n - _SLACK
        return first.ballots >= self.m and enough and first.weight > second + _SLACK

    def spec(self) -> dict[str, JSON]:
        return {"rule": "quorum", "m": self.m, "n": self.n}

    def __str__(self) -> str:
        return f"quorum({self.m}, {self.n})"


@dataclass(frozen=True, slots=True)
class Confident(Rule):
    """The leader is more popular than the runner-up with probability p."""

    p: float

    def __post_init__(self) -> None:
        if not _is_real(self.p) or not 0.5 < self.p < 1:
            raise LadderError(
                f"confident() is given p={self.p!r}",
                hint="use a probability above 0.5 and below 1, such as 0.95",
            )

    @property
    def least(self) -> int:
        # n ballots that agree give 1 - 2^-(n+1)
        return next(n for n in range(1, 1_100) if _ahead(n, 0) >= self.p)

    @property
    def bound(self) -> int:
        return 2 * self.least + 1

    def wins(self, groups: Sequence[Group], left: Sequence[float]) -> bool:
        # Whole ballots only, rounded against the leader: weights are no evidence that was not cast.
        for_it = math.floor(groups[0].weight + _SLACK)
        against = math.ceil(_second(groups) - _SLACK)
        return groups[0].ballots >= self.least and _ahead(for_it, against) >= self.p

    def spec(self) -> dict[str, JSON]:
        return {"rule": "confident", "p": float(self.p)}

    def __str__(self) -> str:
        return f"confident({self.p:g})"


@dataclass(frozen=True, slots=True)
class Unanimous(Rule):
    """n ballots, all the same."""

    n: int

    def __post_init__(self) -> None:
        _count("unanimous", "n", self.n)

    @property
    def least(self) -> int:
        return self.n

    @property
    def size(self) -> int:
        return self.n

    @property
    def bound(self) -> int:
        return self.n + self.n // 2

    def wins(self, groups: Sequence[Group], left: Sequence[float]) -> bool:
        return len(groups) == 1 and groups[0].ballots >= self.n

    def spec(self) -> dict[str, JSON]:
        return {"rule": "unanimous", "n": self.n}

    def __str__(self) -> str:
        return f"unanimous({self.n})"


def ahead_by(k: int = 2) -> AheadBy:
    """An answer wins when it is ahead of every other by ``k`` ballots: 2-0, 3-1, 4-2.

    It asks few ballots where models agree and more where they do not. `Vote` casts at most ``4 * k - 1`` unless
    it is told otherwise; a lead below ``k`` is no win then, even if nobody can catch up any more.

    Source: first-to-ahead-by-k voting, Meyerson et al. 2025, arXiv 2511.09030. `k_for` says which k.

    Raises:
        LadderError: ``k`` is no whole number from 1.
    """
    return AheadBy(k)


def majority(n: int) -> Quorum:
    """An answer wins with more than half of ``n`` ballots, as soon as it has them: 3 of 5.

    `Vote` casts up to ``n // 2`` more in place of spoiled ones unless it is told otherwise.

    Raises:
        LadderError: ``n`` is no whole number from 1.
    """
    return Quorum(_count("majority", "n", n) // 2 + 1, n)


def quorum(m: int, n: int) -> Quorum:
    """An answer wins with ``m`` of ``n`` ballots, ahead of every other; with weights, also with m/n of the weight.

    `Vote` casts up to ``n // 2`` more in place of spoiled ones unless it is told otherwise.

    Raises:
        LadderError: they are no whole numbers from 1, or ``m`` is above ``n``.
    """
    return Quorum(m, n)


def confident(p: float) -> Confident:
    """An answer wins when it is more popular than the runner-up with probability ``p``.

    For v1 ballots against v2 that is P(Bin(v1 + v2 + 1, 1/2) <= v1), exact up to 1,000 of them: 2-0 is 0.875, 3-0 is 0.938,
    4-0 is 0.969. Weights are rounded to whole ballots against the leader. `Vote` casts at most twice as many ballots as
    have to agree, and one, unless it is told otherwise.

    Source: the Beta criterion of Adaptive-Consistency, Aggarwal et al. 2023, arXiv 2305.11860.

    Raises:
        LadderError: ``p`` is not between 0.5 and 1.
    """
    return Confident(p)


def unanimous(n: int) -> Unanimous:
    """An answer wins when ``n`` ballots say it and none says anything else.

    `Vote` casts up to ``n // 2`` more in place of spoiled ones unless it is told otherwise.

    Raises:
        LadderError: ``n`` is no whole number from 1.
    """
    return Unanimous(n)


def k_for(p: float, steps: int, target: float = 0.99) -> int:
    """The k of `ahead_by` with which all of ``steps`` votes are right with probability ``target``.

    Args:
        p: the probability that one valid ballot is right, against one wrong answer that all errors share.
        steps: how many votes have to be right together.
        target: the probability that they all are.

    Raises:
        LadderError: a probability or a count out of range.

    Source: Meyerson et al. 2025, arXiv 2511.09030: k = ceil(ln(t^(-1/s) - 1) / ln((1 - p) / p)).

    >>> k_for(0.9, 10), k_for(0.9, 1_000)
    (4, 6)
    """
    _count("k_for", "steps", steps)
    if not _is_real(p) or not 0.5 < p < 1:
        raise LadderError(
            f"k_for() is given p={p!r}", hint="use a probability above 0.5 and below 1: no vote mends a coin"
        )
    if not _is_real(target) or not 0 < target < 1:
        raise LadderError(f"k_for() is given target={target!r}", hint="use a probability between 0 and 1")
    odds = math.expm1(-math.log(target) / steps)  # t^(-1/s) - 1, exact for large s
    return max(1, math.ceil(math.log(odds) / math.log((1 - p) / p)))


def _ahead(v1: int, v2: int) -> float:
    total = v1 + v2 + 1
    if total > _MOST_EXACT:
        return 0.5 * math.erfc((total / 2 - v1 - 0.5) / math.sqrt(total / 2))
    return sum(math.comb(total, heads) for heads in range(v1 + 1)) / 2**total


def _is_real(value: object) -> bool:
    return isinstance(value, int | float)


def _count(name: str, argument: str, value: int) -> int:
    if type(value) is not int or value < 1:
        raise LadderError(f"{name}() is given {argument}={value!r}", hint="use a whole number from 1")
    return value
