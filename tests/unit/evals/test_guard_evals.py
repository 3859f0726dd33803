"""Guards are counted on labelled cases; cases and guards that are none are refused with what to do."""

import asyncio
import json
from pathlib import Path

import pytest

from guardflow.errors import StageError, UsageError
from guardflow.evals import Case, GuardScore, evaluate_guards, load_cases, shipped_labels

OURS = ("json_rules", "language", "no_injection", "no_pii", "no_repetition")
SHIPPED = load_cases(shipped_labels())


CHECKS = """
from guardflow import Finding, Model, guard
from guardflow.guards import kit

@guard
def shouts(text):
    if text.isupper():
        yield Finding("shouts")

@guard
def breaks(text):
    raise ZeroDivisionError(text)

@guard(asks=1)
async def rude(text, ctx):
    if await ctx.ask(Model("judge"), "Is it rude?", bool, text=text):
        yield Finding("is rude")

def short(most):
    return kit.length("text", chars=(None, most))

def nothing():
    return 3

three = 3
"""


@pytest.fixture(autouse=True)
def checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "eval_checks.py").write_text(CHECKS)
    monkeypatch.syspath_prepend(tmp_path)


def scored(cases: list[Case], **named) -> list[GuardScore]:
    return asyncio.run(evaluate_guards(cases, **named))


def case(answer, found: bool, **more) -> Case:
    return Case(id=f"{answer}", answer=answer, found=found, **more)


def test_the_four_counts_and_what_is_made_of_them() -> None:
    cases = [case("A", True), case("B", True), case("c", True), case("D", False), case("e", False)]
    (score,) = scored(cases, guard="eval_checks:shouts")
    assert (score.right_findings, score.wrong_findings, score.missed, score.right_passes) == (2, 1, 1, 1)
    assert score.precision == score.recall == 2 / 3 and score.wrong == ("c", "D")
    assert score.precision_interval.low < 2 / 3 < score.precision_interval.high


def test_splits_and_guards_are_counted_apart() -> None:
    cases = [
        case("A", True, guard="eval_checks:shouts"),
        case("B", True, guard="eval_checks:shouts", split="held-out"),
        case("a@b.de", True, guard="no_pii"),
    ]
    assert [(s.guard, s.split, s.cases) for s in scored(cases)] == [
        ("eval_checks:shouts", "tuned", 1),
        ("eval_checks:shouts", "held-out", 1),
        ("no_pii", "tuned", 1),
    ]


def test_a_share_of_nothing_is_unknown() -> None:
    (score,) = scored([case("a", False)], guard="eval_checks:shouts")
    assert score.precision is None and score.recall is None and score.precision_interval == (0, 1)


def test_a_guard_is_made_as_each_case_says() -> None:
    cases = [
        case({"text": "abc"}, True, args=[2]),
        case({"text": "abcd"}, False, options={"most": 4}),
        case({"text": "abcde"}, True, options={"most": 4}),
    ]
    (score,) = scored(cases, guard="eval_checks:short")
    assert score.wrong == () and score.cases == 3


def test_a_guard_that_asks_is_answered_by_whom_it_is_given() -> None:
    async def ask(model, text, answer, /, *, variables, guard):
        return "stupid" in variables["text"]

    cases = [case("stupid", True), case("kind", False)]
    (score,) = scored(cases, guard="eval_checks:rude", ask=ask)
    assert score.wrong == ()
    with pytest.raises(StageError, match="no run to ask in"):
        scored(cases, guard="eval_checks:rude")


@pytest.mark.parametrize(
    ("named", "more", "told"),
    [
        ("no_pie", {}, "the kit has no guard 'no_pie'"),
        ("redact", {}, "cannot be made"),
        ("no_such:x", {}, "cannot be loaded"),
        ("eval_checks:no_such", {}, "cannot be loaded"),
        ("eval_checks:shouts", {"args": [1]}, "takes no options"),
        ("eval_checks:three", {}, "is no guard and makes none"),
        ("eval_checks:nothing", {}, "makes a int, not a guard"),
        ("eval_checks:short", {}, "cannot be made"),
        ("eval_checks:breaks", {}, "crashed on case 'A' with ZeroDivisionError"),
        (None, {}, "names no guard"),
    ],
)
def test_a_guard_that_is_none_is_refused(named, more, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        scored([case("A", True, **more)], guard=named)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "no labelled cases"),
        ("{}", "labels.jsonl:1 is no labelled case: id"),
        ("nonsense", "labels.jsonl:1 is no labelled case"),
        ('{"id": "a", "answer": 1, "found": "yes"}', "found"),
        ('{"id": "a", "answer": 1, "found": true, "splitt": "tuned"}', "splitt"),
        (
            '{"id": "a", "answer": 1, "found": true}\n\n{"id": "a", "answer": 2, "found": true}',
            ":3 has the id 'a' again",
        ),
    ],
)
def test_labels_that_are_none_are_refused_with_their_line(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(text)
    with pytest.raises(UsageError, match=told):
        load_cases([file])


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_cases([tmp_path])


def test_a_line_separator_inside_a_text_ends_no_line(tmp_path: Path) -> None:
    file = tmp_path / "labels.jsonl"
    file.write_text(json.dumps({"id": "a", "answer": "x\u2028y", "found": False}, ensure_ascii=False))
    assert load_cases([file])[0].answer == "x\u2028y"


@pytest.mark.parametrize("name", OURS)
def test_every_guard_has_enough_cases_of_both_kinds_and_some_are_held_out(name: str) -> None:
    cases = [case for case in SHIPPED if case.guard == name]
    tuned = [case for case in cases if case.split == "tuned"]
    assert len(tuned) >= 40 and len(cases) - len(tuned) >= 15
    for found in (True, False):
        assert sum(case.found is found for case in tuned) >= 15
        assert sum(case.found is found for case in cases) >= 20


def test_no_more_cases_go_wrong_than_did() -> None:
    wrong = {
        (score.guard, score.split): set(score.wrong)
        for score in scored([case for case in SHIPPED if case.guard in OURS])
        if score.wrong
    }
    assert wrong.pop(("no_injection", "tuned")) == {
        *("inj-n027", "inj-p046"),  # tools named without being called one
        *("inj-h35", "inj-p051", "inj-q050"),  # as anybody would write to people
        *("inj-q005", "inj-q029", "inj-r001", "inj-r021"),  # in words that it does not know
        *("inj-r025", "inj-r029", "inj-r032"),
    }
    assert {split for _, split in wrong} <= {"held-out", "held-out-2", "held-out-3"}
