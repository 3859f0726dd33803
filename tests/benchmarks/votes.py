"""Votes against fixed panels on seeded models with known error rates: how often they are right, and what they ask.

`run.py --only votes` prints it. The counting is guardflow's own `Poll`; no model is asked. Both sides see the same
ballots, so that their difference is one of counting and not of luck.
"""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from harness import Row

from guardflow import Model, Vote, ahead_by
from guardflow.stats import wilson
from guardflow.vote import Cast, Decided, Split, Undecided

Answers = Enum("Answers", ["A", "B", "C", "D"])
LABELS = tuple(answer.name for answer in Answers)
WRONG = (0.5, 0.25, 0.25)
"""How errors spread over the three wrong answers. With it the fixed panels come out as in the literature notes."""
MODEL = Model("bench/seeded")
MIXED = ((0.8, 0.95), (0.2, 0.35))
"""Share of items, and how often a ballot is right on them: most are easy, some are beyond the model."""
WORLDS: dict[str, Sequence[tuple[float, float]]] = {
    **{f"p={p}": ((1.0, p),) for p in (0.6, 0.7, 0.8, 0.9, 0.95)},
    "mixed": MIXED,
}
Z = 1.959964
"""For 95 % intervals."""


@dataclass(frozen=True)
class Comparison:
    """A vote against a majority of ``panel``. Only those with the vote's own `max` have a target."""

    vote: Vote
    panel: int
    aimed: bool = True


COMPARISONS = (
    Comparison(Vote(MODEL, rule=ahead_by(2)), 5),
    Comparison(Vote(MODEL, rule=ahead_by(3)), 9),
    Comparison(Vote(MODEL, rule=ahead_by(3), max=9), 9, aimed=False),
)


@dataclass(frozen=True)
class Counted:
    """What a vote made of a sequence of ballots."""

    answer: str
    calls: int
    split: bool


@functools.cache
def counted(vote: Vote, said: tuple[str, ...]) -> Counted:
    """Let `Poll` ask for ballots, in waves, until it is done. What a split would hand on is taken as the answer."""
    poll = vote.bind(str)
    ballots: list[Cast] = []
    while True:
        try:
            next(poll.poll(ballots))
        except StopIteration as end:
            standing = end.value
        if isinstance(standing, Undecided):
            ballots += [Cast(n, MODEL, said[n], 1) for n in range(len(ballots), len(ballots) + standing.more)]
        elif isinstance(standing, Decided):
            return Counted(standing.value, len(ballots), split=False)
        else:
            assert isinstance(standing, Split), standing
            return Counted(standing.candidates[0], len(ballots), split=True)


@dataclass
class Tally:
    """Sums over the trials of one comparison."""

    right: list[int] = field(default_factory=list)
    panel_right: list[int] = field(default_factory=list)
    calls: list[int] = field(default_factory=list)
    split: int = 0
    split_right: int = 0


def trials(world: Sequence[tuple[float, float]], vote: Vote, panel: int, count: int, seed: int) -> Tally:
    """Vote ``count`` times, against a majority of ``panel`` with ties drawn by lot."""
    draw = random.Random(seed)
    tally = Tally()
    most = max(panel, vote.max)
    for _ in range(count):
        p = draw.choices([p for _, p in world], [share for share, _ in world])[0]
        truth, *wrong = draw.sample(LABELS, len(LABELS))
        said = tuple(truth if draw.random() < p else draw.choices(wrong, WRONG)[0] for _ in range(most))
        ours = counted(vote, said[: vote.max])
        votes = [said[:panel].count(label) for label in LABELS]
        tied = [label for label, got in zip(LABELS, votes, strict=True) if got == max(votes)]
        tally.right.append(ours.answer == truth)
        tally.panel_right.append(draw.choice(tied) == truth)
        tally.calls.append(ours.calls)
        tally.split += ours.split
        tally.split_right += ours.split and ours.answer == truth
    return tally


def mean(values: Sequence[float]) -> tuple[float, float, float]:
    """The mean, and its 95 % interval by the normal distribution."""
    average = math.fsum(values) / len(values)
    spread = math.sqrt(math.fsum((v - average) ** 2 for v in values) / (len(values) - 1) / len(values))
    return average, average - Z * spread, average + Z * spread


def measure(count: int, seed: int = 20261122) -> list[Row]:
    """Two rows a comparison. A row shows the estimate, and its 95 % interval as lowest..highest."""
    rows: list[Row] = []
    for comparison in COMPARISONS:
        vote, panel = comparison.vote, comparison.panel
        for name, world in WORLDS.items():
            tally = trials(world, vote, panel, count, seed)
            differences = [100 * (a - b) for a, b in zip(tally.right, tally.panel_right, strict=True)]
            saved = [1 - calls / panel for calls in tally.calls]
            decided = count - tally.split
            detail = (
                f"{_share(sum(tally.right), count)} / {_share(sum(tally.panel_right), count)}; "
                f"split {100 * tally.split / count:.1f} %, "
                f"else {100 * (sum(tally.right) - tally.split_right) / decided:.1f} %"
            )
            what = f"{name}: {vote.rule} of {vote.max} right, less best of {panel}, in points"
            rows.append(Row(what, mean(differences), least=-0.5 if comparison.aimed else None, detail=detail))
            fewer = None if name == "mixed" else 0.15 if name == "p=0.6" else 0.28
            least = fewer if comparison.aimed else None
            calls = f"{sum(tally.calls) / count:.2f} calls / {panel}"
            rows.append(Row("  share of calls saved", mean(saved), least=least, detail=calls))
    return rows


def _share(right: int, count: int) -> str:
    low, high = wilson(right, count)
    return f"{100 * right / count:.1f} % [{100 * low:.1f}, {100 * high:.1f}]"
