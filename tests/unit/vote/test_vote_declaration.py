"""A vote as it is declared: seats, samples, weights of families, its version, and what is refused."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from enum import Enum
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field
from voting import FAST, OTHER, STRONG

from guardflow import (
    LadderError,
    Model,
    Vote,
    ahead_by,
    align,
    confident,
    exact,
    follow,
    k_for,
    majority,
    meaning,
    quorum,
    unanimous,
    within,
)


class Color(Enum):
    RED = "red"


class City(BaseModel):
    name: str
    people: int


class Claim(BaseModel):
    url: str
    text: str
    score: float


class Report(BaseModel):
    verdict: Literal["yes", "no"]
    sure: bool
    color: Color
    score: Annotated[float | None, Field(ge=0)]
    summary: str
    city: City
    old: City | None
    claims: list[Claim]
    tags: list[str]
    facts: dict[str, float]


def test_seats_go_round_the_panel_and_samples_count_up() -> None:
    vote = Vote({FAST: 1.0, STRONG: 1.5})
    seats = [vote.seat(ballot) for ballot in range(5)]
    assert [(seat.model, seat.sample, seat.weight) for seat in seats] == [
        (FAST, 0, 1.0),
        (STRONG, 0, 1.5),
        (FAST, 1, 1.0),
        (STRONG, 1, 1.5),
        (FAST, 2, 1.0),
    ]


@settings(deadline=None)
@given(st.lists(st.sampled_from([FAST, STRONG, OTHER]), min_size=1, max_size=5))
def test_no_two_ballots_are_the_same_sample_of_a_model(panel: list[Model]) -> None:
    vote = Vote(panel)
    for voting in (vote, vote.resolved(lambda model: Model("openai/gpt-5-mini", role=model.name))):
        seats = [voting.seat(ballot) for ballot in range(20)]
        asked = Counter((seat.model.name, seat.sample) for seat in seats)
        assert set(asked.values()) == {1}
        for name in {seat.model.name for seat in seats}:
            samples = [seat.sample for seat in seats if seat.model.name == name]
            assert samples == list(range(len(samples)))


def test_models_of_one_family_share_a_discounted_weight_where_there_are_others() -> None:
    names = {"fast": "openai/gpt-5-mini", "strong": "openai/gpt-5", "other": "anthropic/claude-sonnet-4-5"}

    def resolve(model: Model) -> Model:
        return Model(names[model.name], role=model.name)

    vote = Vote([FAST, STRONG, OTHER])
    assert [vote.seat(n).weight for n in range(3)] == [1, 1, 1], "roles have no family yet"
    assert [vote.resolved(resolve).seat(n).weight for n in range(3)] == [0.75, 0.75, 1.0]
    for discount, shared in ((1.0, 1.0), (0.0, 0.5)):
        weights = Vote([FAST, STRONG, OTHER], family_discount=discount).resolved(resolve).weights
        assert weights == (shared, shared, 1.0)
    assert Vote([FAST, STRONG]).resolved(resolve).weights == (1, 1), "one family: nobody to weigh against"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("anthropic/claude-sonnet-4-5", "openrouter/anthropic/claude-haiku-4-5"),
        ("anthropic/claude-sonnet-4-5", "bedrock/anthropic.claude-haiku-4-5"),
        ("openai/gpt-5", "azure/gpt-5-mini"),
    ],
)
def test_a_reseller_is_no_family(one: str, other: str) -> None:
    assert Vote([Model(one), Model(other), Model("mistral/large")]).weights == (0.75, 0.75, 1.0)


def test_a_server_of_ones_own_is_no_family() -> None:
    local = Model("openai/qwen3-8b", api_base="http://127.0.0.1:8080/v1")
    assert Vote([local, Model("openai/gpt-5"), Model("openai/gpt-5-mini")]).weights == (1.0, 0.75, 0.75)


def test_a_discount_that_makes_the_rule_unreachable_is_refused_before_anything_is_asked() -> None:
    vote = Vote([FAST, STRONG, OTHER], rule=ahead_by(3), max=3)
    with pytest.raises(LadderError, match="could not be decided by 3 ballots"):
        vote.resolved(lambda model: Model(f"{'x' if model is OTHER else 'y'}/{model.name}"))


def test_every_model_is_named_once() -> None:
    vote = Vote([FAST, STRONG], split=STRONG, fields={"summary": meaning(OTHER), "city.name": meaning(FAST)})
    assert vote.models == (FAST, STRONG, OTHER)
    resolved = vote.resolved(lambda model: Model(f"openai/{model.name}", role=model.name))
    assert [model.name for model in resolved.models] == ["openai/fast", "openai/strong", "openai/other"]


def test_a_vote_is_hashable_and_equal_by_what_it_says() -> None:
    one = Vote({FAST: 1, STRONG: 2}, fields={"a": exact, "b": within(abs=1)}, whole=["a", "b"])
    other = Vote({FAST: 1, STRONG: 2}, fields={"b": within(abs=1), "a": exact}, whole=["a", "b"])
    assert one == other
    assert len({one, other}) == 1
    assert one.version == other.version


def test_every_part_of_the_policy_is_in_the_version() -> None:
    base = {"rule": majority(3), "fields": {"summary": meaning(FAST)}, "split": STRONG}
    votes = [
        Vote(FAST, **base),
        Vote([FAST, FAST], **base),
        Vote({FAST: 2.0}, **base),
        Vote(replace(FAST, temperature=0.1), **base),
        Vote(FAST, **{**base, "rule": majority(5)}),
        Vote(FAST, **{**base, "rule": unanimous(3)}),
        Vote(FAST, **base, max=5),
        Vote(FAST, **{**base, "fields": {"summary": meaning(STRONG)}}),
        Vote(FAST, **{**base, "fields": {"summary": exact}}),
        Vote(FAST, **{**base, "split": None}),
        Vote(FAST, **base, whole=("verdict", "sure")),
        Vote(FAST, **base, temperature=0.9),
        Vote(FAST, **base, family_discount=0.1),
    ]
    assert len({vote.version for vote in votes}) == len(votes)


@pytest.mark.parametrize(
    ("rule", "most"),
    [
        (ahead_by(2), 7),
        (ahead_by(3), 11),
        (majority(5), 7),
        (quorum(2, 3), 4),
        (confident(0.95), 9),
        (majority(99), 100),
    ],
    ids=str,
)
def test_the_rule_says_how_many_ballots_are_cast_at_most(rule, most: int) -> None:
    assert Vote(FAST, rule=rule).max == most


REFUSED = {
    "a name": lambda: Vote("fast"),  # type: ignore[arg-type]  # what an untyped caller may write
    "no models": lambda: Vote([]),
    "no models by weight": lambda: Vote({}),
    "no model": lambda: Vote(["fast"]),  # type: ignore[list-item]  # what an untyped caller may write
    "weight of zero": lambda: Vote({FAST: 0.0}),
    "negative weight": lambda: Vote({FAST: -1.0}),
    "weight that is no number": lambda: Vote({FAST: math.nan}),
    "endless weight": lambda: Vote({FAST: math.inf}),
    "weight that is a truth value": lambda: Vote({FAST: True}),
    "no rule": lambda: Vote(FAST, rule=2),  # type: ignore[arg-type]  # likewise
    "k above max": lambda: Vote(FAST, rule=ahead_by(3), max=2),
    "k above the weights": lambda: Vote({FAST: 0.25}, rule=ahead_by(2), max=7),
    "n above any max": lambda: Vote(FAST, rule=majority(101)),
    "n above max": lambda: Vote(FAST, rule=quorum(3, 5), max=4),
    "confidence above max": lambda: Vote(FAST, rule=confident(0.99), max=3),
    "max of zero": lambda: Vote(FAST, max=0),
    "max beyond reason": lambda: Vote(FAST, max=101),
    "max that is no whole number": lambda: Vote(FAST, max=3.0),  # type: ignore[arg-type]  # likewise
    "cold": lambda: Vote(FAST, temperature=0.0),
    "hot": lambda: Vote(FAST, temperature=2.5),
    "discount above one": lambda: Vote(FAST, family_discount=1.5),
    "no matcher": lambda: Vote(FAST, fields={"a": 0.1}),  # type: ignore[dict-item]  # likewise
    "no tolerance": within,
    "negative tolerance": lambda: within(abs=-1),
    "tolerance that is no number": lambda: within(rel=math.nan),
    "tolerance of everything": lambda: within(rel=1.0),
    "meaning of no model": lambda: meaning("fast"),  # type: ignore[arg-type]  # likewise
    "floor of zero": lambda: align(floor=0),
    "floor above one": lambda: align(floor=1.1),
    "a key twice": lambda: align(key=("url", "url")),
    "one field together": lambda: Vote(FAST, whole=[("a",)]),
    "text as fields": lambda: Vote(FAST, whole="ab"),
    "None for a panel": lambda: Vote(None),  # type: ignore[arg-type]  # likewise
    "a vote in a vote": lambda: Vote(Vote(FAST)),  # type: ignore[arg-type]  # likewise
    "a weight beyond floats": lambda: Vote({FAST: 10**400}),
    "a list of fields": lambda: Vote(FAST, fields=["a"]),  # type: ignore[arg-type]  # likewise
    "a field with no name": lambda: Vote(FAST, fields={"": exact}),
    "a field that is a number": lambda: Vote(FAST, fields={5: exact}),  # type: ignore[dict-item]  # likewise
    "a number as fields together": lambda: Vote(FAST, whole=5),  # type: ignore[arg-type]  # likewise
    "numbers as fields together": lambda: Vote(FAST, whole=(1, 2)),  # type: ignore[arg-type]  # likewise
    "confidence in words": lambda: confident("0.9"),  # type: ignore[arg-type]  # likewise
    "tolerance in words": lambda: within(abs="1"),  # type: ignore[arg-type]  # likewise
    "floor in words": lambda: align(floor="most"),  # type: ignore[arg-type]  # likewise
    "a key that is a number": lambda: align(key=5),  # type: ignore[arg-type]  # likewise
    "a chance in words": lambda: k_for("0.9", 3),  # type: ignore[arg-type]  # likewise
    "split by no model": lambda: Vote(FAST, split="strong"),  # type: ignore[arg-type]  # likewise
}


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_what_could_never_work_is_refused_when_it_is_written(make) -> None:
    with pytest.raises(LadderError) as refused:
        make()
    assert refused.value.hint


@pytest.mark.parametrize(
    ("fields", "whole", "why"),
    [
        ({"sumary": exact}, (), "has no field 'sumary'"),
        ({"city.mayor": exact}, (), "has no field 'city.mayor'"),
        ({"claims[*].title": exact}, (), "has no field"),
        ({"summary.x": exact}, (), "votes as one or is not there"),
        ({"city": exact, "city.name": exact}, (), "votes as one"),
        ({"score": exact, "$.score": within(abs=1)}, (), "two rules for one field"),
        ({"old.name": exact}, (), "votes as one"),
        ({"summary": within(abs=1)}, (), "is no number"),
        ({"sure": within(abs=1)}, (), "is no number"),
        ({"color": meaning(FAST)}, (), "is no free text"),
        ({"verdict": meaning(FAST)}, (), "is no free text"),
        ({"score": meaning(FAST)}, (), "is no free text"),
        ({"score": align()}, (), "is no list or dict"),
        ({"city": within(abs=1)}, (), "is a record"),
        ({"city": align(key="name")}, (), "is a record"),
        ({"claims": within(abs=1)}, (), "is a list"),
        ({"facts": meaning(FAST)}, (), "is a dict"),
        ({"claims": align(key="title")}, (), "which they do not have"),
        ({"tags": align(key="name")}, (), "which they do not have"),
        ({"facts": align(key="name")}, (), "aligned by its own keys"),
        ({"claims": align(key="text"), "claims[*].text": meaning(FAST)}, (), "not compared by its value"),
        ({"claims[*].url": follow, "claims[*].text": follow, "claims[*].score": follow}, (), "items of"),
        ({"facts[*]": follow}, (), "entries of"),
        ({}, ("verdict", "sumary"), "does not have"),
        ({}, (("verdict", "sure"), ("sure", "score")), "twice"),
        ({}, (("city", "sure"), ("city.name", "score")), "twice"),
        ({"sure": follow}, ("verdict", "sure"), "follows"),
    ],
)
def test_a_rule_that_does_not_fit_the_type_is_refused_when_the_stage_is_made(fields, whole, why: str) -> None:
    vote = Vote(FAST, fields=fields, whole=whole)
    with pytest.raises(LadderError, match=why) as refused:
        vote.bind(Report)
    assert refused.value.hint


def test_a_vote_in_which_nothing_votes_is_refused() -> None:
    with pytest.raises(LadderError, match="no field of 'City' votes"):
        Vote(FAST, fields={"name": follow, "people": follow}).bind(City)


def test_rules_that_fit_are_taken() -> None:
    fields = {
        "verdict": exact,
        "score": within(abs=0.05),
        "summary": meaning(FAST),
        "city.people": within(rel=0.1),
        "old": follow,
        "claims": align(key="url", floor=0.5),
        "claims[*].score": within(rel=0.1),
        "tags": exact,
        "facts.*": within(rel=0.1),
    }
    shape = Vote(FAST, fields=fields, whole=("sure", "color")).bind(Report).shape
    assert [unit.paths for unit in shape.units] == [
        (("verdict",),),
        (("sure",), ("color",)),
        (("score",),),
        (("summary",),),
        (("city", "name"),),
        (("city", "people"),),
        (("claims",),),
        (("tags",),),
        (("facts",),),
    ]
