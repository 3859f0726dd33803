"""Which values are the same, and which of them wins: text, numbers, meanings, fields that vote together."""

from __future__ import annotations

import math
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, RootModel
from voting import FAST, STRONG, cast, spoilt, take

from guardflow import Vote, ahead_by, exact, follow, majority, meaning, quorum, unanimous, within
from guardflow.vote import Compare, Decided, Split, Undecided


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Sum(BaseModel):
    amount: float
    currency: str


class Note(BaseModel):
    verdict: bool
    reason: str


def won(vote: Vote, output: type[object], *values, same=None) -> object:
    standing = take(vote, output, cast(*values), **({"same": same} if same else {}))
    assert isinstance(standing, Decided), standing
    return standing.value


@pytest.mark.parametrize(
    ("output", "values"),
    [
        (str, ["caf\u00e9  au lait\n", "cafe\u0301 au lait"]),
        (int, [3, 3]),
        (float, [1.0, 1]),
        (bool, [True, True]),
        (Color, ["red", "red"]),
        (tuple[int, str], [[1, "a"], [1.0, "a "]]),
        (Sum | None, [None, None]),
        (Decimal, ["4.2", "4.20"]),
        (Decimal, ["-0.0", "0"]),
        (list[Decimal], [["100.00"], ["100"]]),
    ],
)
def test_values_that_differ_by_accident_only_are_the_same(output, values) -> None:
    assert isinstance(take(Vote(FAST), output, cast(*values)), Decided)


@pytest.mark.parametrize(
    ("output", "values"),
    [
        (str, ["red", "Red"]),
        (str, ["1", "1.0"]),
        (bool | int, [True, 1]),
        (float, [0.1, 0.1000001]),
        (Sum | None, [None, {"amount": 1, "currency": "EUR"}]),
        (tuple[int, ...] | None, [None, [1]]),
        (Decimal, ["4.2", "42"]),
        (Decimal, ["1E+2", "1E+3"]),
        (Decimal, ["NaN", "1"]),
    ],
)
def test_values_that_differ_are_not(output, values) -> None:
    standing = take(Vote(FAST), output, cast(*values))
    assert standing == Undecided(2)


def test_of_equal_texts_the_commonest_spelling_wins() -> None:
    assert won(Vote(FAST, rule=unanimous(3)), str, "a  b", "a b", "a b") == "a b"
    assert won(Vote(FAST, rule=unanimous(3)), str, "a  b", "a b", "a  b") == "a  b"
    assert won(Vote(FAST, rule=unanimous(2)), str, "a  b", "a b") == "a b", "the shortest, whoever came first"
    assert won(Vote(FAST, rule=unanimous(2)), str, "a b", "a  b") == "a b"


# --- numbers --------------------------------------------------------------------------------------------------


def test_close_numbers_are_one_answer_and_their_median_wins() -> None:
    vote = Vote(FAST, rule=majority(5), fields={"$": within(abs=1)})
    standing = take(vote, float, cast(10.0, 10.4, 10.2, 90.0, 10.9))
    assert isinstance(standing, Decided)
    assert standing.value == 10.2, "the lower of the two in the middle"
    field = standing.agreement.fields["$"]
    assert field.share == pytest.approx(0.8)
    assert [(d.value, d.ballots) for d in field.dissent] == [(90.0, (3,))]


def test_the_median_is_weighted() -> None:
    vote = Vote({FAST: 1.0, STRONG: 3.0}, rule=quorum(3, 3), fields={"$": within(abs=5)})
    assert won(vote, float, 1.0, 4.0, 2.0) == 4.0


def test_a_chain_of_close_numbers_is_not_one_answer() -> None:
    vote = Vote(FAST, rule=ahead_by(4), max=9, fields={"$": within(abs=1)})
    standing = take(vote, int, cast(1, 2, 3, 4, 5))
    assert standing == Undecided(3), "three around 2, and 4 with 5: one ahead"


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=2, max_size=9))
def test_ints_stay_ints_and_the_winner_is_a_number_that_was_given(numbers: list[int]) -> None:
    vote = Vote(FAST, rule=quorum(1, 9), max=9, fields={"$": within(abs=3)})
    standing = take(vote, int, cast(*numbers))
    if isinstance(standing, Decided):
        assert type(standing.value) is int
        assert standing.value in numbers
        near = max(sum(abs(n - centre) <= 3 for n in numbers) for centre in numbers)
        assert standing.agreement.share == pytest.approx(near / len(numbers))


def test_decimals_are_numbers_though_they_are_text_in_json() -> None:
    vote = Vote(FAST, fields={"$": within(rel=0.01)})
    assert won(vote, Decimal, "100.00", "100.50") == "100.00"


@pytest.mark.parametrize(
    ("output", "values"), [(Decimal, ["10.0", "10.00", "99"]), (int, [2**60, 2**60 + 1, 5])]
)
def test_no_ballot_is_lost_where_two_spellings_are_one_number(
    output: type[object], values: list[Any]
) -> None:
    vote = Vote(FAST, rule=unanimous(3), fields={"$": within(abs=1)})
    standing = take(vote, output, cast(*values))
    assert isinstance(standing, Split)
    assert standing.agreement.fields["$"].share == pytest.approx(2 / 3)
    assert len(standing.candidates) == 2


def test_equal_sets_are_the_same_in_any_order() -> None:
    vote = Vote(FAST, fields={"$": exact})
    assert isinstance(take(vote, set[str], cast(["a", "b"], ["b", "a"])), Decided)
    assert take(vote, set[str], cast(["a", "b"], ["a", "c"])) == Undecided(2)
    assert take(vote, list[str], cast(["a", "b"], ["b", "a"])) == Undecided(2)


def test_no_number_is_not_near_any() -> None:
    vote = Vote(FAST, fields={"$": within(abs=100)})
    assert take(vote, float | None, cast(None, 0.0)) == Undecided(2)
    assert won(vote, float | None, None, None) is None


def test_what_json_cannot_hold_is_an_answer_like_any_other_and_stored_as_null() -> None:
    vote = Vote(FAST, rule=majority(3), fields={"$": within(abs=1)})
    standing = take(vote, float, cast(math.nan, 1.0, 1.5))
    assert isinstance(standing, Decided)
    assert standing.value == 1.0
    assert [dissent.value for dissent in standing.agreement.fields["$"].dissent] == [None]
    assert isinstance(take(vote, float, cast(math.inf, -math.inf, math.nan)), Split)


# --- meanings -------------------------------------------------------------------------------------------------


def by_topic(question: Compare) -> bool:
    return question.a.split()[0] == question.b.split()[0]


def test_a_model_is_asked_whether_texts_mean_the_same_and_the_medoid_wins() -> None:
    vote = Vote(FAST, rule=majority(5), fields={"$": meaning(STRONG)})
    texts = [
        "rain is likely",
        "rain is very likely",
        "rain, is very likely!",
        "sun all day",
        "rain is very likely ",
    ]
    asked: list[Compare] = []
    standing = take(vote, str, cast(*texts), same=lambda q: "sun" not in q.a + q.b, asked=asked)
    assert isinstance(standing, Decided)
    assert standing.value == "rain is very likely"
    assert standing.agreement.share == pytest.approx(0.8)
    assert all(question.model == STRONG and question.a < question.b for question in asked)
    assert len({(question.a, question.b) for question in asked}) == len(asked)


def test_equal_texts_are_not_asked_about() -> None:
    vote = Vote(FAST, fields={"$": meaning(STRONG)})
    assert won(vote, str, "the  same", "the same") == "the same"


def test_nobody_is_asked_while_the_answer_could_not_decide() -> None:
    vote = Vote(FAST, rule=ahead_by(2), fields={"reason": meaning(STRONG)})
    one, other = {"verdict": True, "reason": "a"}, {"verdict": False, "reason": "b"}
    assert take(vote, Note, cast(one)) == Undecided(1)
    assert take(vote, Note, cast(one, other)) == Undecided(2), "the verdict needs two more anyway"
    asked: list[Compare] = []
    take(vote, Note, cast(one, {**one, "reason": "c"}), same=lambda _: False, asked=asked)
    assert [(question.at, question.a, question.b) for question in asked] == [("$.reason", "a", "c")]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a one", "a two", "b one", "b two", "c"]), min_size=1, max_size=7))
def test_no_pair_of_texts_is_asked_about_twice(texts: list[str]) -> None:
    vote = Vote(FAST, rule=quorum(1, 7), max=7, fields={"reason": meaning(STRONG), "more": meaning(STRONG)})

    class Two(BaseModel):
        reason: str
        more: str

    asked: list[Compare] = []
    take(vote, Two, cast(*({"reason": t, "more": t} for t in texts)), same=by_topic, asked=asked)
    assert len({(q.model, q.a, q.b) for q in asked}) == len(asked)
    assert all(question.a < question.b for question in asked)


# --- fields ---------------------------------------------------------------------------------------------------


def test_fields_vote_apart_and_the_composite_may_be_nobodys_answer() -> None:
    vote = Vote(FAST, rule=majority(3))
    answers = [
        {"amount": 1.0, "currency": "EUR"},
        {"amount": 1.0, "currency": "USD"},
        {"amount": 2.0, "currency": "USD"},
    ]
    assert won(vote, Sum, *answers) == {"amount": 1.0, "currency": "USD"}


def test_fields_under_whole_vote_together() -> None:
    vote = Vote(FAST, rule=majority(3), whole=("amount", "currency"))
    answers = [
        {"amount": 1.0, "currency": "EUR"},
        {"amount": 1.0, "currency": "USD"},
        {"amount": 2.0, "currency": "USD"},
    ]
    standing = take(vote, Sum, cast(*answers))
    assert isinstance(standing, Split)
    assert standing.agreement.share == pytest.approx(1 / 3)
    assert won(vote, Sum, answers[1], answers[0], answers[1]) == answers[1]


def test_fields_together_may_have_a_tolerance_and_still_come_from_one_ballot() -> None:
    vote = Vote(FAST, rule=majority(3), whole=("amount", "currency"), fields={"amount": within(abs=1)})
    answers = [{"amount": a, "currency": c} for a, c in ((1.0, "EUR"), (1.5, "EUR"), (1.2, "USD"))]
    value = won(vote, Sum, *answers)
    assert value in answers[:2]


def test_a_field_that_follows_comes_from_the_ballot_nearest_to_what_won() -> None:
    vote = Vote(FAST, rule=majority(3), fields={"reason": follow})
    answers = [{"verdict": v, "reason": r} for v, r in ((False, "because no"), (True, "x"), (True, "y"))]
    standing = take(vote, Note, cast(*answers))
    assert isinstance(standing, Decided)
    assert standing.value == {"verdict": True, "reason": "x"}
    assert set(standing.agreement.fields) == {"$.verdict"}
    assert [ballot.ballot for ballot in standing.nearest] == [1, 2, 0]


def test_records_vote_field_by_field_at_any_depth() -> None:
    class Inner(BaseModel):
        a: int
        b: int

    class Outer(BaseModel):
        inner: Inner
        c: RootModel[int]

    answers = [{"inner": {"a": a, "b": b}, "c": c} for a, b, c in ((1, 2, 9), (1, 3, 8), (0, 3, 8))]
    standing = take(Vote(FAST, rule=majority(3)), Outer, cast(*answers))
    assert isinstance(standing, Decided)
    assert standing.value == {"inner": {"a": 1, "b": 3}, "c": 8}
    assert set(standing.agreement.fields) == {"$.inner.a", "$.inner.b", "$.c"}
    whole = take(Vote(FAST, rule=majority(3), fields={"inner": exact}), Outer, cast(*answers))
    assert isinstance(whole, Split)


def test_a_type_inside_of_itself_and_a_union_of_records_vote_as_one() -> None:
    tree = {"value": 1, "next": {"value": 2, "next": None}}
    assert won(Vote(FAST), Chain, tree, tree) == tree
    assert won(
        Vote(FAST),
        Either,
        {"held": {"amount": 1.0, "currency": "EUR"}},
        {"held": {"amount": 1, "currency": " EUR"}},
    )


class Chain(BaseModel):
    value: int
    next: Chain | None = None


class Either(BaseModel):
    held: Sum | Note


def test_keys_that_are_no_fields_follow_and_computed_ones_are_left_to_pydantic() -> None:
    class Loose(BaseModel, extra="allow"):
        verdict: bool
        why: str = Field(default="", exclude=True)

    standing = take(Vote(FAST), Loose, cast({"verdict": True, "more": 1}, {"verdict": True, "more": 2}))
    assert isinstance(standing, Decided)
    assert standing.value == {"verdict": True, "more": 1}


def test_entropy_is_that_of_shannon_in_bits() -> None:
    vote = Vote(FAST, rule=quorum(2, 4), max=4)
    standing = take(vote, str, cast("a", "b", "a", "c"))
    assert isinstance(standing, Decided)
    assert standing.agreement.entropy == pytest.approx(1.5)
    assert standing.agreement.share == pytest.approx(0.5)
    assert math.isclose(take(vote, str, cast("a", "a")).agreement.entropy, 0.0)


def test_agreement_counts_what_did_not() -> None:
    standing = take(Vote(FAST), str, [*cast("a", "a"), spoilt(2), spoilt(3)])
    assert isinstance(standing, Decided)
    assert (standing.agreement.ballots, standing.agreement.spoiled) == (2, 2)
