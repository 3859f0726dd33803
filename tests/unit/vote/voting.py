"""What the tests of votes share: ballots in a line, and a poll whose questions are answered by a function."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from guardflow import Kind, Model, Vote
from guardflow.hashing import JSON
from guardflow.vote import Ballot, Cast, Compare, Spoiled, Standing

FAST, STRONG, OTHER = Model("fast"), Model("strong"), Model("other")


def cast(*values: JSON, length: int = 100) -> list[Ballot]:
    """Valid ballots with these values, numbered from 0."""
    return [Cast(n, FAST, value, length) for n, value in enumerate(values)]


def spoilt(ballot: int, kind: Kind = Kind.SCHEMA) -> Spoiled:
    return Spoiled(ballot, FAST, kind)


def never(question: Compare) -> bool:
    raise AssertionError(f"nobody should be asked {question}")


def take(
    vote: Vote,
    output: type[object],
    ballots: Sequence[Ballot],
    *,
    same: Callable[[Compare], bool] = never,
    asked: list[Compare] | None = None,
) -> Standing:
    """Where the vote stands; questions are answered by ``same`` and noted in ``asked``."""
    poll = vote.bind(output).poll(ballots)
    try:
        question = next(poll)
        while True:
            if asked is not None:
                asked.append(question)
            question = poll.send(same(question))
    except StopIteration as end:
        return end.value
