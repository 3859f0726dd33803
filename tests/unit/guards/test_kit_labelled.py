"""What the kit's guards do on the labelled cases of their own files, so that a change for the worse is seen."""

import asyncio

import pytest

from guardflow.evals.guards import GuardScore, evaluate_guards
from guardflow.evals.labels import load_cases, shipped_labels

CASES = load_cases(f for f in shipped_labels() if f.stem in ("grounded", "dates_sane", "units_sane"))
SCORES = {(s.guard, s.split): s for s in asyncio.run(evaluate_guards(CASES))}


@pytest.mark.parametrize("guard", ["grounded", "dates_sane", "units_sane"])
def test_enough_cases_are_labelled_and_some_are_held_out(guard: str) -> None:
    assert SCORES[guard, "tuned"].cases >= 30
    assert SCORES[guard, "held-out"].cases >= 15


@pytest.mark.parametrize(
    ("guard", "missed", "wrong"), [("grounded", 0, 6), ("dates_sane", 0, 0), ("units_sane", 1, 0)]
)
def test_no_more_cases_go_wrong_than_did(guard: str, missed: int, wrong: int) -> None:
    score: GuardScore = SCORES[guard, "tuned"]
    assert (score.missed, score.wrong_findings) <= (missed, wrong), score.wrong
