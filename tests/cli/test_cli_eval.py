"""``guardflow eval guards``: a table for people, a document for programs, and one's own cases and guards."""

from __future__ import annotations

import json

import pytest
from cli_project import Project

CHECKS = """
from guardflow import Finding, guard

@guard
def no_prices(text):
    if "$" in text:
        yield Finding("names a price")
"""


def labelled(project: Project, *cases: tuple[str, bool]) -> None:
    lines = [
        json.dumps({"id": f"c{i}", "answer": text, "found": found}) for i, (text, found) in enumerate(cases)
    ]
    (project.root / "cases.jsonl").write_text("\n".join(lines))


def test_the_shipped_cases_of_a_guard_are_counted(project: Project) -> None:
    shown = project("eval", "guards", "--guard", "no_pii")
    assert shown.code == 0
    assert "no_pii" in shown.out and "held-out" in shown.out and "language" not in shown.out
    assert "0.924-1.000" in shown.out


def test_the_document_has_counts_intervals_and_the_wrong_cases(project: Project) -> None:
    document = project("eval", "guards", "--json").json
    assert document["schema_version"] == 1
    scores = {(score["guard"], score["split"]): score for score in document["guards"]}
    assert {"no_pii", "no_injection", "language", "no_repetition", "json_rules"} <= {
        name for name, _ in scores
    }
    tuned = scores["no_injection", "tuned"]
    assert {"inj-h35", "inj-n027"} <= set(tuned["wrong_cases"])
    counts = [tuned[key] for key in ("right_findings", "wrong_findings", "missed", "right_passes")]
    assert sum(counts) == tuned["cases"] and counts[2] >= 2
    assert tuned["recall_interval"][0] < tuned["recall"] < tuned["recall_interval"][1]


def test_a_guard_of_the_project_is_counted_on_its_own_cases(project: Project) -> None:
    (project.root / "cli_eval_checks.py").write_text(CHECKS)
    labelled(project, ("it costs $3", True), ("it is free", False), ("three dollars", True))
    shown = project(
        "eval", "guards", "--labels", "cases.jsonl", "--guard", "cli_eval_checks:no_prices", "--json"
    )
    (score,) = shown.json["guards"]
    assert (score["precision"], score["recall"], score["wrong_cases"]) == (1.0, 0.5, ["c2"])


def test_a_text_of_a_case_cannot_act_on_the_terminal(project: Project) -> None:
    (project.root / "cases.jsonl").write_text(json.dumps({"id": "\x1b[31mred", "answer": "x", "found": True}))
    shown = project("eval", "guards", "--labels", "cases.jsonl", "--guard", "no_pii")
    assert shown.code == 0 and "\x1b" not in shown.out and "red" in shown.out


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("--guard", "no_pie"), "no labelled cases for 'no_pie'"),
        (("--labels", "none.jsonl"), "'none.jsonl' does not exist"),
        (("--labels", "cases.jsonl"), "names no guard"),
        (("--labels", "cases.jsonl", "--guard", "no_such:x"), "cannot be loaded"),
    ],
)
def test_what_cannot_be_counted_is_a_usage_error(project: Project, args: tuple[str, ...], told: str) -> None:
    labelled(project, ("a", True))
    refused = project("eval", "guards", *args)
    assert (refused.code, refused.out) == (2, "")
    assert told in " ".join(refused.err.split()).replace(" │ │ ", " ")
