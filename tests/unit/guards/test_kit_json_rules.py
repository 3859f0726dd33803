"""Rules on JSON paths: what they find and where, and what is refused when they are made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from guardflow.errors import StageError
from guardflow.guards.kit import Rule, json_rules
from guardflow.guards.kit.json_path import nodes, parse_path


class Line(BaseModel):
    amount: float
    note: str | None = None


class Bill(BaseModel):
    lines: list[Line]
    total: float


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [{"a": [{"b": 1}, {"b": 2}, {"c": 3}], "x y": {"b": 4}}]),
        ("$.a[*].b", [1, 2]),
        ("$.a[0].b", [1]),
        ("$.a[-1].c", [3]),
        ("$.a[9]", []),
        ("$.a[1:].b", [2]),
        ("$.a[:-1].b", [1, 2]),
        ('$["x y"].b', [4]),
        ("$['x y']['b']", [4]),
        ("$..b", [1, 2, 4]),
        ("$.a.*.c", [3]),
        ("$.missing.b", []),
    ],
)
def test_paths_name_nodes_in_order(path: str, found: list[object]) -> None:
    value = {"a": [{"b": 1}, {"b": 2}, {"c": 3}], "x y": {"b": 4}}
    assert [node.value for node in nodes(value, path)] == found


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a.b",
        "$.",
        "$a",
        "$.a[",
        "$.a[?(@.b>1)]",
        "$.a[(1)]",
        "$...a",
        "$.a[1.5]",
        "$.a b",
        "$[']",
        "$.1a",
    ],
)
def test_a_path_that_cannot_be_read_is_refused_when_the_guard_is_made(path: str) -> None:
    with pytest.raises(StageError, match="is not a JSON path"):
        json_rules({path: Rule(required=True)})


@given(st.text("$.[]*'\"abc019:-?()@ ", max_size=12))
def test_any_text_is_a_path_or_refused(text: str) -> None:
    try:
        parse_path(text)
    except StageError:
        return
    list(nodes({"a": [1, {"b": 2}]}, text))


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"least": 2, "most": 1},
        {"least": "ten"},
        {"least": float("nan")},
        {"matches": "("},
        {"one_of": []},
        {"one_of": "abc"},
        {"sums_to": "$.a[*]"},
        {"sums_to": "total"},
        {"sums_to": "$.t", "tolerance": -1},
    ],
)
def test_a_rule_that_cannot_hold_is_refused(rule) -> None:
    with pytest.raises(StageError):
        Rule(**rule)


def test_no_rules_at_all_are_refused() -> None:
    with pytest.raises(StageError, match="has no rules"):
        json_rules({})


def test_a_misspelt_field_of_a_model_does_not_pass_everything() -> None:
    bill = Bill(lines=[Line(amount=1)], total=1)
    with pytest.raises(StageError, match="a Line has no 'amuont'"):
        list(json_rules({"$.lines[*].amuont": Rule(least=0)})(bill))


@given(st.lists(st.decimals(0, 1000, places=2), max_size=8), st.integers(-3, 3))
def test_a_sum_is_exact_in_decimals(amounts, off: int) -> None:
    total = float(sum(amounts)) + off
    bill = Bill(lines=[Line(amount=float(amount)) for amount in amounts], total=round(total, 2))
    found = list(json_rules({"$.lines[*].amount": Rule(sums_to="$.total")})(bill))
    assert [f.at for f in found] == ([("total",)] if off else [])


def test_findings_of_several_rules_say_where_and_what() -> None:
    guard = json_rules(
        {
            "$.lines[*].note": Rule(required=True, matches="[a-z]+"),
            "$.lines[*].amount": Rule(least=0, most="10.5", unique=True),
        }
    )
    bill = Bill(lines=[Line(amount=10.5, note="A"), Line(amount=10.5), Line(amount=-1, note="b")], total=0)
    assert [(f.where(), f.message) for f in guard(bill)] == [
        ("$.lines[1].note", "is empty, a value is needed"),
        ("$.lines[0].note", "does not match /[a-z]+/"),
        ("$.lines[2].amount", "is -1.0, at least 0 is needed"),
        ("$.lines[1].amount", "is the same as $.lines[0].amount"),
    ]


def test_infinity_is_no_number_and_truth_is_not_one() -> None:
    guard = json_rules({"$[*]": Rule(least=0)})
    assert [f.message for f in guard([float("inf"), float("nan"), True, 0])] == ["is not a number"] * 3
