"""Votes: rules, matchers and merges. Pure: flow casts the ballots and asks the models."""

from guardflow.vote.matchers import align, exact, follow, meaning, within
from guardflow.vote.poll import Poll
from guardflow.vote.polling import (
    AllSpoiled,
    Ballot,
    Cast,
    Compare,
    Decided,
    Split,
    Spoiled,
    Standing,
    Undecided,
)
from guardflow.vote.rules import ahead_by, confident, k_for, majority, quorum, unanimous
from guardflow.vote.vote import Seat, Vote

__all__ = [
    "AllSpoiled",
    "Ballot",
    "Cast",
    "Compare",
    "Decided",
    "Poll",
    "Seat",
    "Split",
    "Spoiled",
    "Standing",
    "Undecided",
    "Vote",
    "ahead_by",
    "align",
    "confident",
    "exact",
    "follow",
    "k_for",
    "majority",
    "meaning",
    "quorum",
    "unanimous",
    "within",
]
