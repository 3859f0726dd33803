"""Lists and dicts: which items stand for the same thing, which are kept, and who stands behind the result."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from voting import FAST, STRONG, cast, take

from guardflow import Vote, ahead_by, align, exact, follow, majority, meaning, unanimous, within
from guardflow.vote import Compare, Decided, Split, Undecided
from guardflow.vote.assignment import assign


class Claim(BaseModel):
    url: str
    text: str = ""
    score: float = 0.0


class Claims(BaseModel):
    claims: list[Claim]


class Line(BaseModel):
    item: str
    price: float


class Bill(BaseModel):
    lines: list[Line]


BY_URL = {"claims": align(key="url"), "claims[*].text": follow}


def claims(*urls: str, **held) -> dict[str, object]:
    return {"claims": [{"url": url, "text": "", "score": 0.0, **held} for url in urls]}


def decided(vote: Vote, output: type[object], *values, **more) -> Decided:
    standing = take(vote, output, cast(*values), **more)
    assert isinstance(standing, Decided), standing
    return standing


def urls(standing: Decided) -> list[str]:
    return [claim["url"] for claim in standing.value["claims"]]


costs = st.integers(1, 6).flatmap(
    lambda rows: st.integers(rows, 6).flatmap(
        lambda columns: st.lists(
            st.lists(st.integers(0, 20).map(float) | st.floats(0, 2), min_size=columns, max_size=columns),
            min_size=rows,
            max_size=rows,
        )
    )
)


@settings(deadline=None)
@given(costs)
def test_the_assignment_is_the_cheapest_of_all(matrix: list[list[float]]) -> None:
    columns = assign(matrix)
    assert len(set(columns)) == len(matrix)
    least = min(
        sum(row[column] for row, column in zip(matrix, way, strict=False))
        for way in permutations(range(len(matrix[0])), len(matrix))
    )
    assert sum(row[column] for row, column in zip(matrix, columns, strict=True)) == pytest.approx(least)


def test_an_assignment_needs_room() -> None:
    assert assign([]) == []
    with pytest.raises(ValueError, match="3 rows cannot be placed in 1 columns"):
        assign([[1.0], [2.0], [3.0]])


def test_items_are_kept_that_enough_ballots_have() -> None:
    vote = Vote(FAST, rule=majority(3), fields=BY_URL)
    standing = decided(vote, Claims, claims("a", "b"), claims("b", "a", "c"), claims("a", "d", "b"))
    assert urls(standing) == ["a", "b"]
    assert standing.agreement.fields["$.claims[0]"].share == 1.0


def test_the_floor_is_a_share_of_all_ballots() -> None:
    answers = [claims("a", "b"), claims("a", "b"), claims("a")]
    for floor, kept in ((0.6, ["a", "b"]), (0.7, ["a"])):
        vote = Vote(FAST, rule=ahead_by(1), fields={**BY_URL, "claims": align(key="url", floor=floor)})
        assert urls(decided(vote, Claims, *answers)) == kept


def test_ballots_whose_lists_have_nothing_in_common_decide_nothing() -> None:
    vote = Vote(FAST, rule=ahead_by(2), fields=BY_URL)
    assert take(vote, Claims, cast(claims("a"), claims("b"))) == Undecided(2)
    assert take(vote, Claims, cast(claims("a"), claims("b"), claims("c"), claims("d"))) == Undecided(2)
    assert isinstance(take(vote, Claims, cast(*(claims(url) for url in "abcdefg"))), Split)
    assert urls(decided(vote, Claims, claims(), claims())) == []


def test_a_stray_item_does_not_stop_a_vote() -> None:
    vote = Vote(FAST, rule=ahead_by(2), fields=BY_URL)
    standing = decided(vote, Claims, claims("a", "b", "c"), claims("a", "b", "c", "stray"))
    assert urls(standing) == ["a", "b", "c"]


def test_items_with_the_same_key_are_told_apart_by_the_rest() -> None:
    vote = Vote(FAST, rule=unanimous(2), fields={"claims": align(key="url")})
    one = [
        {"url": "a", "text": "the sun is hot", "score": 1.0},
        {"url": "a", "text": "ice is cold", "score": 2.0},
    ]
    standing = decided(vote, Claims, {"claims": one}, {"claims": one[::-1]})
    assert sorted(claim["text"] for claim in standing.value["claims"]) == ["ice is cold", "the sun is hot"]


def test_items_with_the_same_key_go_to_what_they_are_most_like() -> None:
    vote = Vote(FAST, rule=unanimous(2), fields=BY_URL)
    one = [{"url": "a", "text": "x", "score": 1.0}, {"url": "a", "text": "x", "score": 2.0}]
    other = [{"url": "a", "text": "y", "score": 2.0}, {"url": "a", "text": "y", "score": 1.0}]
    standing = decided(vote, Claims, {"claims": one}, {"claims": other})
    assert sorted(claim["score"] for claim in standing.value["claims"]) == [1.0, 2.0]
    assert standing.agreement.share == 1.0


def test_without_a_key_items_are_aligned_by_likeness() -> None:
    vote = Vote(FAST, rule=unanimous(2), fields={"claims[*].text": meaning(STRONG)})
    one = [
        {"url": "a", "text": "the sun is hot", "score": 1.0},
        {"url": "b", "text": "ice is cold", "score": 2.0},
    ]
    other = [{**one[1], "text": "ice is very cold"}, one[0]]
    asked: list[Compare] = []
    standing = decided(vote, Claims, {"claims": one}, {"claims": other}, same=lambda _: True, asked=asked)
    assert sorted(urls(standing)) == ["a", "b"]
    assert [(question.a, question.b) for question in asked] == [("ice is cold", "ice is very cold")]


def test_fields_of_items_are_won_by_the_heaviest_group() -> None:
    vote = Vote(FAST, rule=majority(3), fields={**BY_URL, "claims[*].score": within(abs=0.1)})
    standing = decided(vote, Claims, claims("a", score=0.5), claims("a", score=0.55), claims("a", score=0.9))
    assert standing.value["claims"][0]["score"] == 0.5
    field = standing.agreement.fields["$.claims[0].score"]
    assert field.share == pytest.approx(2 / 3)
    assert [dissent.value for dissent in field.dissent] == [0.9]


def test_of_equally_heavy_groups_the_one_with_more_ballots_wins() -> None:
    vote = Vote({FAST: 1.0, STRONG: 2.0}, rule=majority(3), fields=BY_URL)
    answers = [
        {"claims": [*claims("a", score=score)["claims"], *claims("b")["claims"]]} for score in (0.9, 0.1, 0.9)
    ]
    assert decided(vote, Claims, *answers).value["claims"][0]["score"] == 0.9


@pytest.mark.parametrize("fields", [{"lines": align(key="item")}, {}], ids=["by key", "by likeness"])
def test_items_that_agree_in_nothing_but_what_aligns_them_decide_nothing(fields) -> None:
    one, other = ({"lines": [{"item": n, "price": p} for n in "abc"]} for p in (1.0, 9.0))
    assert take(Vote(FAST, fields=fields), Bill, cast(one, other)) == Undecided(2)
    assert isinstance(take(Vote(FAST, fields=fields), Bill, cast(one, other, one, one)), Decided)


def test_who_does_not_have_an_item_dissents_from_its_fields() -> None:
    vote = Vote(FAST, rule=majority(3), fields=BY_URL)
    standing = decided(vote, Claims, claims("a", "b"), claims("a", "b"), claims("a"))
    field = standing.agreement.fields["$.claims[1].url"]
    assert field.share == pytest.approx(2 / 3)
    assert field.entropy == pytest.approx(0.9183, abs=1e-4)
    assert [(dissent.value, dissent.ballots) for dissent in field.dissent] == [(None, (2,))]
    assert standing.agreement.share == pytest.approx(2 / 3)


def test_plain_lists_are_bags_unless_they_are_to_be_exact() -> None:
    vote = Vote(FAST, rule=unanimous(2))
    assert sorted(decided(vote, list[str], ["x", "y", "x"], ["y", "x", "x"]).value) == ["x", "x", "y"]
    assert decided(vote, set[int], [1, 2], [2, 1]).value == [1, 2]
    strict = Vote(FAST, rule=unanimous(2), fields={"$": exact})
    assert not isinstance(take(strict, list[str], cast(["x", "y"], ["y", "x"])), Decided)


def test_order_is_that_of_most_lists() -> None:
    vote = Vote(FAST, rule=majority(3))
    assert decided(vote, list[str], ["c", "a", "b"], ["c", "a", "b"], ["b", "a", "c"]).value == [
        "c",
        "a",
        "b",
    ]


def test_dicts_are_aligned_by_their_keys() -> None:
    vote = Vote(FAST, rule=majority(3), fields={"$[*]": within(rel=0.05)})
    answers = [{"a": 1.0, "b": 2.0}, {"a": 1.02, "b": 2.0, "c": 3.0}, {"a": 1.04, "b": 9.0}]
    standing = decided(vote, dict[str, float], *answers)
    assert standing.value == {"a": 1.02, "b": 2.0}
    assert standing.agreement.fields["$.b"].share == pytest.approx(2 / 3)


def test_a_list_that_may_be_none_is_decided_by_most() -> None:
    vote = Vote(FAST, rule=majority(3))
    assert decided(vote, list[int] | None, None, [1], None).value is None
    assert decided(vote, list[int] | None, [1], [1], None).value == [1]


def test_a_list_that_is_split_now_may_still_come_together() -> None:
    vote = Vote(FAST, rule=ahead_by(2), max=5)
    answers = (["a", "b", "x"], ["a", "b", "y"], ["c"], ["d"])
    assert take(vote, list[str], cast(*answers)) == Undecided(1), (
        "no item has 0.6, and no two lists are equal"
    )
    assert decided(vote, list[str], *answers, ["b", "a"]).value == ["a", "b"]
    assert isinstance(take(vote, list[str], cast(["a"], ["b"], ["c"], ["d"])), Split)


def test_long_lists_are_aligned_in_reasonable_time() -> None:
    vote = Vote(FAST, rule=unanimous(2))
    many = [{"url": f"u{n}", "text": f"number {n}", "score": float(n)} for n in range(90)]
    assert len(decided(vote, list[Claim], many, many[::-1]).value) == 90
    fewer = Vote(FAST, rule=unanimous(2), fields={"$[*].text": follow})
    changed = [{**item, "text": "other"} for item in many[:40]]
    assert len(decided(fewer, list[Claim], many[:40], changed).value) == 40
