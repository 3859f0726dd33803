"""Guards that ask a model are scored: what a right judge reaches, and what one that invents its quotes does."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest
from judge_script import inventing, knowing

from guardflow import Budget, ModelCallError, RunResult, Runtime
from guardflow.errors import UsageError
from guardflow.evals import Case, GuardScore, evaluate_guards, load_cases, shipped_labels
from guardflow.evals.asking import Cases, look_at_cases
from guardflow.evals.guards import scores
from guardflow.evals.named import guarded
from guardflow.kinds import Kind
from guardflow.testing import Scripted

CALM = {"name": "calm", "passes": "It is calm.", "fails": "It is loud."}
ASKED = [one.case for one in guarded(load_cases(shipped_labels())) if one.asks]
UNASKED = {"gm-03"}
"""A good paraphrase that `grounded` turns down by its words, a weekday, before any model could confirm it."""


def judged(answer: str, *, found: bool, **more: Any) -> Case:
    return Case(id=answer, guard="judged", answer=answer, args=[[CALM]], found=found, **more)


def ran(cases: list[Case], script: Any, **more: Any) -> tuple[RunResult[Any], Scripted]:
    model = script if isinstance(script, Scripted) else Scripted(script)

    async def main() -> RunResult[Any]:
        async with Runtime("memory", models={"*": model}) as runtime:
            return await runtime.run(look_at_cases, Cases(cases=cases), **more)

    return asyncio.run(main()), model


def scored(cases: list[Case], script: Any) -> list[GuardScore]:
    result, _ = ran(cases, script)
    return scores(zip(guarded(cases), result.unwrap(), strict=True))


def test_a_judge_that_is_always_right_reaches_one() -> None:
    result = {score.guard: score for score in scored(ASKED, knowing(ASKED))}
    assert set(result) == {"grounded", "judged"}
    assert result["judged"].precision == result["judged"].recall == 1.0
    assert result["judged"].cases == 28 and result["judged"].unusable == ()
    assert result["grounded"].recall == 1.0 and set(result["grounded"].wrong) == UNASKED


def test_a_judge_that_invents_its_quotes_is_neither_right_nor_wrong() -> None:
    result = {score.guard: score for score in scored(ASKED, inventing(ASKED))}
    nothing = result["judged"]
    assert len(nothing.unusable) == nothing.cases == 28
    assert (nothing.unusable_faults, nothing.unusable_clean) == (14, 14)
    assert nothing.precision is None and nothing.recall == 0.0 and nothing.wrong == ()
    # `grounded` takes a confirmation for nothing if its quote is not in the source: all is found, none unusable.
    assert result["grounded"].recall == 1.0 and result["grounded"].right_passes == 0


def test_an_unusable_judgement_counts_against_recall_where_there_was_something_to_find() -> None:
    cases = [judged(text, found=found) for text, found in (("AHA", True), ("OHO", True), ("hm", False))]

    def answer(request: Any) -> Any:
        told = str(request.messages)
        said = {
            "criterion": "calm",
            "quote": "AHA" if "AHA" in told else "?",
            "reason": "r",
            "verdict": "fail",
        }
        return {"judgements": [said]}

    (score,) = scored(cases, answer)
    assert (score.right_findings, score.unusable_faults, score.unusable_clean) == (1, 1, 1)
    assert (score.precision, score.recall, score.cases) == (1.0, 0.5, 3)
    assert score.unusable == ("OHO", "hm") and score.wrong == ()


@pytest.mark.parametrize("kind", [Kind.MALFORMED, Kind.TRUNCATED, Kind.REFUSED, Kind.CONTEXT])
def test_a_judge_that_was_reached_and_said_nothing_to_rest_on_is_unusable(kind: Kind) -> None:
    (score,) = scored([judged("AHA", found=True)], lambda _: kind)
    assert score.unusable == ("AHA",)


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.NOT_FOUND, Kind.QUOTA, Kind.BUG])
def test_a_judge_that_cannot_be_reached_ends_the_evaluation(kind: Kind) -> None:
    cases = [judged(f"A{i}", found=True) for i in range(40)]
    model = Scripted(lambda _: kind)
    with pytest.raises(ModelCallError) as ended:
        ran(cases, model)
    assert ended.value.kind is kind
    assert len(model.requests) < 40  # those in flight, and not one for each case

    async def ask(*_: object, **__: object) -> Any:
        raise ModelCallError("out", kind=kind)

    with pytest.raises(ModelCallError, match="out"):
        asyncio.run(evaluate_guards(cases, ask=ask))


def test_the_budget_holds_and_is_no_verdict() -> None:
    cases = [judged(f"A{i}", found=True) for i in range(9)]
    result, model = ran(cases, inventing(cases), budget=Budget(calls=4))
    assert result.status == "over_budget" and len(model.requests) <= 4


def test_every_question_is_an_attempt_and_asks_whom_the_case_names() -> None:
    cases = [judged("AHA", found=True), judged("OHO", found=True, options={"model": "other"})]
    result, _ = ran(cases, knowing(cases))
    assert Counter(a.start.model for a in result.attempts) == {"scripted/judge": 1, "scripted/other": 1}
    assert {a.start.role for a in result.attempts} == {"guard"}


def test_a_guard_is_scored_apart_with_a_model_and_without() -> None:
    plain = Case(id="a", guard="grounded", answer="The sky is blue.", input="The sky is blue.", found=False)
    asking = plain.model_copy(update={"id": "b", "options": {"model": "judge"}})
    assert [(s.asks, s.cases) for s in asyncio.run(evaluate_guards([plain, asking]))] == [
        (False, 1),
        (True, 1),
    ]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ([[{"name": "calm"}]], "0.passes: Field required|passes"),
        ([[{**CALM, "quoted": "never"}]], "quoted"),
        ([3], "tuple"),
        ([], "rubric"),
    ],
)
def test_a_rubric_that_is_none_is_refused_before_anything_is_asked(args: list[Any], told: str) -> None:
    case = Case(id="a", guard="judged", answer="x", args=args, found=True)
    with pytest.raises(UsageError, match=told):
        guarded([case])


def test_the_labels_for_judges_are_of_both_sorts_and_none_was_tuned_on() -> None:
    for guard, most in (("judged", 8), ("grounded", 28)):
        cases = [case for case in ASKED if case.guard == guard]
        assert len(cases) == 28 and sum(case.found for case in cases) == 14
        assert {case.split for case in cases} == {"held-out"}
        assert max(Counter(str(case.args) for case in cases).values()) <= most
