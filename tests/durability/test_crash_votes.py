"""kill -9 between and inside the ballots of votes: the same decisions, and no ballot, judge or matcher paid twice."""

from __future__ import annotations

import random

import pytest
from crash_lab import Lab
from test_crash_matrix import SEED, Plan, conduct, sampled

NAME = "votes"


@pytest.mark.parametrize("lab", ["sqlite"], indirect=True)
def test_votes_killed_at_a_seeded_sample_of_places_decide_the_same_and_pay_nothing_twice(lab: Lab) -> None:
    base = lab.baseline(NAME)
    assert base.result["output"] == ["yes please", "in the middle", "it rains", "it rains"]
    tally = conduct(lab, sampled(lab, NAME, random.Random(SEED), share=0.5, each=4))
    assert tally.violations == []
    assert tally.kills >= tally.experiments >= 10


@pytest.mark.matrix
def test_the_whole_crash_matrix_of_votes(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(SEED)
    once: list[Plan] = [(NAME, at, 0) for at in lab.baseline(NAME).targets()]
    twice: list[Plan] = [(NAME, at, draw.randint(1, 60)) for _, at, _ in draw.sample(once, len(once) // 4)]
    tally = conduct(lab, [*once, *twice])
    with capsys.disabled():
        print(f"\n{lab.place.name} {NAME}: {len(once)} places to kill at; {tally}")
    assert tally.violations == []
