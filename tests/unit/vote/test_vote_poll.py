"""Where a vote stands: waves, spoiled ballots, splits, and that the order of ballots changes nothing."""

from __future__ import annotations

import random
from collections import Counter
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from voting import FAST, OTHER, STRONG, cast, spoilt, take

from guardflow import (
    Kind,
    LadderError,
    Model,
    Vote,
    ahead_by,
    align,
    confident,
    follow,
    majority,
    meaning,
    quorum,
    unanimous,
    within,
)
from guardflow.vote import AllSpoiled, Ballot, Cast, Compare, Decided, Split, Spoiled, Standing, Undecided
from guardflow.vote.rules import Rule

RULES: list[Rule] = [
    ahead_by(1),
    ahead_by(2),
    ahead_by(3),
    majority(3),
    majority(5),
    quorum(2, 4),
    confident(0.9),
    unanimous(2),
]


class Claim(BaseModel):
    url: str
    text: str


class Brief(BaseModel):
    verdict: Literal["yes", "no", "maybe"]
    score: float
    amount: int
    unit: str
    summary: str
    claims: list[Claim]
    points: list[Claim]
    tags: list[str]
    facts: dict[str, int]
    note: str


FIELDS = {
    "score": within(abs=0.1),
    "summary": meaning(OTHER),
    "claims": align(key="url"),
    "note": follow,
}
briefs = st.builds(
    Brief,
    verdict=st.sampled_from(["yes", "no", "maybe"]),
    score=st.sampled_from([0.1, 0.15, 0.22, 0.3, 0.9]),
    amount=st.integers(1, 2),
    unit=st.sampled_from(["m", "km"]),
    summary=st.sampled_from(["rain now", "rain later", "sun", "sun  ", "fog and rain"]),
    claims=st.lists(
        st.builds(Claim, url=st.sampled_from("abc"), text=st.sampled_from(["one", "one two", "three"])),
        max_size=3,
    ),
    points=st.lists(
        st.builds(
            Claim, url=st.sampled_from(["aa", "ab", "bb"]), text=st.sampled_from(["one", "ones", "tone"])
        ),
        max_size=3,
    ),
    tags=st.lists(st.sampled_from("xyz"), max_size=3),
    facts=st.dictionaries(st.sampled_from("pq"), st.integers(0, 1), max_size=2),
    note=st.sampled_from("stuv"),
)
kinds = st.sampled_from([Kind.SCHEMA, Kind.GUARD, Kind.REFUSED, Kind.TIMEOUT])


@st.composite
def polls(
    draw: st.DrawFn, values: st.SearchStrategy[object], lengths: tuple[int, ...] = (10, 20, 50, 90)
) -> list[Ballot]:
    numbers = draw(st.lists(st.integers(0, 6), unique=True, max_size=7))
    alike = draw(st.lists(values, min_size=1, max_size=3))
    ballots: list[Ballot] = []
    for number in numbers:
        if draw(st.integers(0, 4)) == 0:
            ballots.append(Spoiled(number, FAST, draw(kinds)))
        else:
            value = draw(st.sampled_from(alike))
            held = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            ballots.append(Cast(number, FAST, held, draw(st.sampled_from(lengths))))
    return ballots


def on_rain(question: Compare) -> bool:
    return ("rain" in question.a) == ("rain" in question.b)


# --- order ----------------------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(polls(briefs), st.sampled_from(RULES), st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_ballots_changes_nothing(
    ballots: list[Ballot], rule: Rule, shuffle: random.Random, heavy: bool
) -> None:
    panel = {FAST: 0.75, STRONG: 1.5} if heavy else {FAST: 1.0}
    vote = Vote(panel, rule=rule, max=9, fields=FIELDS, whole=("amount", "unit"))
    shuffled = shuffle.sample(ballots, len(ballots))
    asked, again = list[Compare](), list[Compare]()
    one = take(vote, Brief, ballots, same=on_rain, asked=asked)
    other = take(vote, Brief, shuffled, same=on_rain, asked=again)
    assert one == other
    assert asked == again


@settings(max_examples=100, deadline=None)
@given(polls(briefs), st.sampled_from(RULES), st.randoms(use_true_random=False))
def test_who_of_equal_voters_said_what_changes_nothing(
    ballots: list[Ballot], rule: Rule, shuffle: random.Random
) -> None:
    vote = Vote(FAST, rule=rule, max=9, fields=FIELDS, whole=("amount", "unit"))
    numbers = shuffle.sample([ballot.ballot for ballot in ballots], len(ballots))
    swapped = [_numbered(ballot, number) for ballot, number in zip(ballots, numbers, strict=True)]
    assert _said(take(vote, Brief, ballots, same=on_rain)) == _said(take(vote, Brief, swapped, same=on_rain))


def _numbered(ballot: Ballot, number: int) -> Ballot:
    if isinstance(ballot, Cast):
        return Cast(number, ballot.model, ballot.value, ballot.length)
    return Spoiled(number, ballot.model, ballot.kind)


def _said(standing: Standing) -> object:
    """The outcome without the numbers of ballots."""
    if isinstance(standing, Decided):
        return standing.value, standing.agreement.share, [ballot.value for ballot in standing.nearest]
    if isinstance(standing, Split):
        return standing.candidates, standing.agreement.share
    return standing if isinstance(standing, Undecided) else standing.kind


# --- what every poll keeps to -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(polls(st.sampled_from(["a", "b", "c"]), lengths=(10, 20, 30)), st.sampled_from(RULES))
def test_no_more_ballots_are_asked_for_than_max_and_only_such_as_can_still_decide(
    ballots: list[Ballot], rule: Rule
) -> None:
    vote = Vote(FAST, rule=rule, max=9)
    standing = take(vote, str, ballots)
    free = [number for number in range(vote.max) if number not in {ballot.ballot for ballot in ballots}]
    valid = sum(isinstance(ballot, Cast) for ballot in ballots)
    room = len(free) if rule.size is None else max(0, rule.size - valid)
    if isinstance(standing, Undecided):
        assert 1 <= standing.more <= min(len(free), room)
        ends = [
            take(vote, str, [*ballots, *(Cast(n, FAST, answer, 20) for n in free[: standing.more])])
            for answer in ("a", "b", "c", "d")
        ]
        assert any(isinstance(end, Decided) for end in ends)
    elif isinstance(standing, Split):
        for answer in ("a", "b", "c", "d"):
            more = [Cast(n, FAST, answer, 20) for n in free[:room]]
            assert not isinstance(take(vote, str, [*ballots, *more]), Decided)


@settings(max_examples=200, deadline=None)
@given(polls(st.sampled_from(["a", "b", "c"])), st.sampled_from(RULES))
def test_nothing_is_decided_by_fewer_ballots_than_the_rule_asks_for(
    ballots: list[Ballot], rule: Rule
) -> None:
    standing = take(Vote({FAST: 5.0, STRONG: 5.0}, rule=rule, max=9), str, ballots)
    if isinstance(standing, Decided):
        for_it = [b for b in ballots if isinstance(b, Cast) and b.value == standing.value]
        assert len(for_it) >= rule.least


@settings(max_examples=200, deadline=None)
@given(polls(st.sampled_from(["a", "b"])), st.sampled_from(RULES))
def test_spoiled_ballots_decide_nothing(ballots: list[Ballot], rule: Rule) -> None:
    vote = Vote(FAST, rule=rule, max=9)
    standing = take(vote, str, ballots)
    if isinstance(standing, Decided):
        clean = [ballot for ballot in ballots if isinstance(ballot, Cast)]
        assert take(vote, str, clean).value == standing.value
        assert {ballot.ballot for ballot in standing.nearest} <= {ballot.ballot for ballot in clean}


# --- waves ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "answers", "more"),
    [
        (ahead_by(2), "", 2),
        (ahead_by(2), "a", 1),
        (ahead_by(2), "ab", 2),
        (ahead_by(3), "aab", 2),
        (majority(5), "", 3),
        (majority(5), "ab", 2),
        (majority(5), "aabb", 1),
        (confident(0.95), "aaa", 1),
        (unanimous(3), "a", 2),
    ],
)
def test_a_wave_is_the_fewest_that_could_decide(rule: Rule, answers: str, more: int) -> None:
    assert take(Vote(FAST, rule=rule), str, cast(*answers)) == Undecided(more)


@pytest.mark.parametrize(
    ("rule", "most", "answers"),
    [
        (ahead_by(2), 7, "aaabbb"),
        (ahead_by(3), 9, "aabbccdd"),
        (majority(3), 4, "abc"),
        (unanimous(5), 7, "ab"),
        (quorum(4, 5), 7, "aabb"),
    ],
)
def test_a_vote_that_nobody_can_win_any_more_is_split_at_once(rule: Rule, most: int, answers: str) -> None:
    standing = take(Vote(FAST, rule=rule, max=most), str, cast(*answers))
    assert isinstance(standing, Split)
    assert standing.candidates == tuple(sorted(set(answers)))


def test_the_candidates_of_a_split_are_the_distinct_answers_heaviest_first() -> None:
    vote = Vote({FAST: 1.0, STRONG: 1.5}, rule=unanimous(3))
    standing = take(vote, str, cast("x", "b", "x"))
    assert isinstance(standing, Split)
    assert standing.candidates == ("x", "b")
    assert standing.agreement.share == pytest.approx(2 / 3.5)


def test_seats_that_weigh_more_decide_sooner() -> None:
    vote = Vote({FAST: 0.6, STRONG: 1.5}, rule=ahead_by(2))
    assert isinstance(take(vote, str, cast("a", "a")), Decided)
    light = Vote({FAST: 0.6, STRONG: 1.0}, rule=ahead_by(2))
    assert take(light, str, cast("a", "a")) == Undecided(1)


def test_ballots_in_flight_are_part_of_the_wave() -> None:
    vote = Vote({FAST: 0.5, STRONG: 2.0}, rule=ahead_by(2), max=5)
    late = [Cast(1, STRONG, "a", 9)]
    assert take(vote, str, late) == Undecided(1), "number 0, which is on its way"


def test_all_fields_are_decided_by_the_same_ballots() -> None:
    class Two(BaseModel):
        a: int
        b: int

    vote = Vote(FAST, rule=ahead_by(2))
    answers = [{"a": 1, "b": 1}, {"a": 1, "b": 2}, {"a": 2, "b": 1}]
    assert take(vote, Two, cast(*answers)) == Undecided(1)
    standing = take(vote, Two, cast(*answers, {"a": 1, "b": 1}))
    assert isinstance(standing, Decided)
    assert standing.agreement.share == pytest.approx(0.75)


# --- spoiled --------------------------------------------------------------------------------------------------


def test_spoiled_ballots_are_replaced_until_max() -> None:
    vote = Vote(FAST, rule=majority(3))
    assert take(vote, str, [*cast("a"), spoilt(1)]) == Undecided(1)
    assert isinstance(take(vote, str, [*cast("a"), spoilt(1), Cast(2, FAST, "a", 9)]), Decided)


def test_when_too_few_ballots_are_left_the_commonest_failure_is_the_votes_own() -> None:
    vote = Vote(FAST, rule=ahead_by(2), max=4)
    spoils = [spoilt(0, Kind.GUARD), spoilt(1, Kind.SCHEMA), spoilt(2, Kind.SCHEMA)]
    assert take(vote, str, spoils) == AllSpoiled(Kind.SCHEMA)
    assert take(vote, str, spoils[:2]) == Undecided(2)
    tie = [spoilt(0, Kind.GUARD), spoilt(1, Kind.TIMEOUT), spoilt(2, Kind.REFUSED)]
    assert take(vote, str, tie) == AllSpoiled(Kind.GUARD)


def test_too_few_valid_ballots_are_no_split() -> None:
    vote = Vote(FAST, rule=ahead_by(2), max=3)
    standing = take(vote, str, [spoilt(0, Kind.REFUSED), spoilt(2, Kind.REFUSED), Cast(1, FAST, "a", 9)])
    assert isinstance(standing, AllSpoiled)
    assert standing.kind is Kind.REFUSED
    assert standing.agreement is not None
    assert (standing.agreement.ballots, standing.agreement.spoiled) == (1, 2)


def test_an_answer_far_longer_than_the_others_is_spoiled() -> None:
    vote = Vote(FAST, rule=majority(3), max=4)
    short = [Cast(0, FAST, "a", 10), Cast(1, FAST, "b", 10)]
    assert isinstance(take(vote, str, [*short, Cast(2, FAST, "a", 30)]), Decided)
    assert take(vote, str, [*short, Cast(2, FAST, "a", 31)]) == Undecided(1)
    assert isinstance(take(Vote(FAST), str, [Cast(0, FAST, "a", 1), Cast(1, FAST, "a", 99)]), Decided)


def test_only_long_answers_left_out_is_a_failure_of_a_guard() -> None:
    vote = Vote(FAST, rule=unanimous(3), max=3)
    ballots = [Cast(n, FAST, "a", length) for n, length in enumerate((10, 10, 100))]
    standing = take(vote, str, ballots)
    assert isinstance(standing, AllSpoiled)
    assert standing.kind is Kind.GUARD


# --- what comes back --------------------------------------------------------------------------------------------


def test_the_ballots_nearest_to_the_composite_come_first() -> None:
    vote = Vote(FAST, rule=majority(3), fields=FIELDS)

    def brief(**held: object) -> dict[str, object]:
        whole = {"verdict": "yes", "score": 0.5, "amount": 1, "unit": "m", "summary": "s", "note": "n"}
        return {**whole, "claims": [], "points": [], "tags": [], "facts": {}, **held}

    answers = [brief(verdict="no", amount=2), brief(unit="km"), brief()]
    standing = take(vote, Brief, cast(*answers))
    assert isinstance(standing, Decided)
    assert standing.value == brief()
    assert [ballot.ballot for ballot in standing.nearest] == [2, 1, 0]


def test_a_ballot_that_came_after_all_ballots_is_not_counted() -> None:
    vote = Vote(FAST, rule=unanimous(2), max=2)
    late = [*cast("a", "a"), Cast(2, FAST, "b", 9)]
    standing = take(vote, str, late)
    assert isinstance(standing, Decided)
    assert standing.agreement.ballots == 2


def test_two_ballots_with_one_number_are_a_mistake() -> None:
    with pytest.raises(LadderError, match="the same number"):
        take(Vote(FAST), str, [*cast("a"), *cast("b")])


# --- how good it is -------------------------------------------------------------------------------------------


def simulated(p: float, vote: Vote, trials: int) -> tuple[float, float]:
    """Share of right answers and ballots a vote, with four answers and errors spread 2:1:1. A split takes its first."""
    draw, poll = random.Random(11), vote.bind(str)
    right = calls = 0
    for _ in range(trials):
        truth, *wrong = draw.sample("abcd", 4)
        ballots: list[Cast] = []
        while True:
            with pytest.raises(StopIteration) as end:
                next(poll.poll(ballots))
            standing = end.value.value
            if not isinstance(standing, Undecided):
                break
            for _ in range(standing.more):
                said = truth if draw.random() < p else draw.choices(wrong, (2, 1, 1))[0]
                ballots.append(Cast(len(ballots), FAST, said, 1))
        answer = standing.value if isinstance(standing, Decided) else standing.candidates[0]
        right += answer == truth
        calls += len(ballots)
    return right / trials, calls / trials


@pytest.mark.parametrize(
    ("p", "accuracy", "calls"), [(0.7, 0.940, 3.6), (0.8, 0.980, 3.0), (0.9, 0.996, 2.5)]
)
def test_simulated_votes_are_as_right_as_the_reference_says(p: float, accuracy: float, calls: float) -> None:
    got, asked = simulated(p, Vote(FAST, rule=ahead_by(2), max=9), 2_000)
    assert got == pytest.approx(accuracy, abs=0.015)
    assert asked == pytest.approx(calls, abs=0.12)


def test_the_parts_of_the_panel_are_asked_in_turn() -> None:
    vote = Vote([FAST, STRONG, Model("x/y")], max=9)
    assert Counter(vote.seat(n).model.name for n in range(9)) == {"fast": 3, "strong": 3, "x/y": 3}
