"""``guardflow eval guards --model``: judges are scored and paid once; what cannot be asked is no score."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cli_project import WAIT, Project
from judge_script import inventing, knowing

from guardflow.evals import Case
from guardflow.models.routing import override_clients
from guardflow.testing import FaultServer, Reply, Scripted

CALM = {"name": "calm", "passes": "It is calm.", "fails": "It is loud."}
CASES = [
    Case(id=answer, guard="judged", answer=answer, args=[[CALM]], found=found)
    for answer, found in (("AHA", True), ("OHO", True), ("hm", False))
]
PLAIN = Case(id="mail", guard="no_pii", answer="ada@example.org", found=True)
EVAL = ("eval", "guards", "--labels", "cases.jsonl")


@pytest.fixture
def project(project: Project) -> Project:
    (project.root / "cases.jsonl").write_text("\n".join(c.model_dump_json() for c in (*CASES, PLAIN)))
    return project


@pytest.fixture
def judge() -> Iterator[Scripted]:
    model = Scripted(knowing(CASES))
    token = override_clients.set({"*": model})
    yield model
    override_clients.reset(token)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, project: Project) -> Iterator[FaultServer]:
    with FaultServer() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "sk-wrong")
        yield server


def test_without_a_model_the_table_says_what_is_left_out_and_how_to_have_it(project: Project) -> None:
    shown = project(*EVAL)
    assert shown.code == 0 and "no_pii" in shown.out and "judged" not in shown.out
    assert "left out: 3 cases whose guard asks a model; --model NAME asks it" in shown.out
    document = project(*EVAL, "--json").json
    assert document["left_out"] == 3 and document["asked"] is None
    assert project("eval", "guards", "--guard", "no_pii").out.count("left out") == 0


def test_where_every_case_asks_a_model_one_has_to_be_named(project: Project) -> None:
    refused = project("eval", "guards", "--guard", "judged")
    assert (refused.code, refused.out) == (2, "")
    assert "all 28 cases ask a model, and none was named" in refused.err and "--model" in refused.err


def test_with_a_model_its_guards_are_scored_and_what_it_cost_is_told(
    project: Project, judge: Scripted
) -> None:
    shown = project(*EVAL, "--model", "judge")
    assert shown.code == 0, shown.err
    row = next(line for line in shown.out.splitlines() if "judged" in line).split()
    assert row == ["judged", "+", "model", "tuned", "3", "1.000", "(2/2)", "1.000", "(2/2)", "0"]
    assert all(len(line) <= 80 for line in (line.rstrip() for line in shown.out.splitlines()))
    assert "left out" not in shown.out
    assert "scripted/judge was asked: run eval-guards-" in shown.err and "3 calls" in shown.err
    assert "3/3" in shown.err  # the progress
    assert len(judge.requests) == 3


def test_what_was_asked_once_is_not_asked_again(project: Project, judge: Scripted) -> None:
    first = project(*EVAL, "--model", "judge", "--json").json
    assert first["asked"]["models"] == ["scripted/judge"] and first["asked"]["spend"]["calls"] == 3
    again = project(*EVAL, "--model", "judge", "--json").json
    assert len(judge.requests) == 3 and again["asked"]["spend"]["calls"] == 0
    assert again["guards"] == first["guards"]
    assert project(*EVAL, "--model", "judge", "--cache", "off").code == 0
    assert len(judge.requests) == 6


def test_judgements_that_cannot_be_used_have_a_column_of_their_own(project: Project) -> None:
    token = override_clients.set({"*": Scripted(inventing(CASES))})
    try:
        shown, document = (
            project(*EVAL, "--model", "judge"),
            project(*EVAL, "--model", "judge", "--json").json,
        )
    finally:
        override_clients.reset(token)
    assert "unusable" in shown.out
    row = next(line for line in shown.out.splitlines() if "judged" in line).split()
    assert row == ["judged", "+", "model", "tuned", "3", "-", "0.000", "(0/2)", "3"]
    assert "unusable, judged + model tuned: AHA OHO hm" in shown.out
    (score,) = [score for score in document["guards"] if score["guard"] == "judged"]
    assert (score["unusable"], score["unusable_faults"], score["precision"], score["recall"]) == (
        3,
        2,
        None,
        0,
    )
    assert score["unusable_cases"] == ["AHA", "OHO", "hm"] and score["wrong_cases"] == []


def test_a_role_alone_stands_for_every_other_one(project: Project) -> None:
    (project.root / "guardflow.toml").write_text('[models.fast]\nname = "local/smollm2"\ntemperature = 0.5\n')
    from guardflow.cli.evals import judged_by

    settings = judged_by(["fast"])
    assert {role: model.name for role, model in settings.models.items()} == {
        "fast": "local/smollm2",
        "judge": "local/smollm2",
        "strong": "local/smollm2",
    }
    assert settings.models["judge"].temperature == 0.5
    assert judged_by(["judge=openai/gpt-5"]).models["judge"].name == "openai/gpt-5"


@pytest.mark.parametrize(
    ("reply", "kind"),
    [(Reply.status(401), "AUTH"), (Reply.quota(), "QUOTA"), (Reply.status(404), "NOT_FOUND")],
)
def test_a_judge_that_refuses_to_be_asked_is_an_error_and_no_score(
    project: Project, server: FaultServer, reply: Reply, kind: str
) -> None:
    server.script(answer=lambda _: reply)
    shown = project(*EVAL, "--model", "openai/gpt-5-mini")
    assert (shown.code, shown.out) == (1, "")
    assert f"({kind})" in shown.err and "error: nothing is scored: the judge" in shown.err
    assert "give the same command again" in " ".join(shown.err.split())
    assert "sk-wrong" not in shown.err and "runs resume" not in shown.err
    assert len(server.requests) <= 3


def test_a_budget_that_is_used_up_ends_it_with_its_own_code(project: Project, judge: Scripted) -> None:
    shown = project(*EVAL, "--model", "judge", "--budget-calls", "1")
    assert (shown.code, shown.out) == (5, "")
    assert "over_budget" in shown.err and "with a higher budget, give the same command again" in shown.err
    assert len(judge.requests) == 1
    more: Any = project(*EVAL, "--model", "judge", "--json").json
    assert more["asked"]["spend"]["calls"] == 2  # the first answer was kept
    assert json.dumps(more)


def test_ctrl_c_says_how_to_go_on_and_offers_no_resume(project: Project, server: FaultServer) -> None:
    server.script(answer=lambda _: Reply.slow(WAIT, then=Reply.text("too late")))
    process = project.spawn(*EVAL, "--model", "openai/gpt-5-mini")
    ends = time.monotonic() + WAIT
    while server.count < len(CASES):
        assert process.poll() is None, project.finish(process)
        assert time.monotonic() < ends
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    stopped = project.finish(process)
    assert (stopped.code, stopped.out) == (130, "")
    assert "interrupted; give the same command again" in stopped.err
    assert "runs resume" not in stopped.err and "Traceback" not in stopped.err


def test_a_model_that_nobody_asks_is_told_to_be_superfluous(project: Project, judge: Scripted) -> None:
    shown = project("eval", "guards", "--guard", "units_sane", "--model", "judge")
    assert shown.code == 0 and "units_sane" in shown.out
    assert "no guard of these cases asks a model" in shown.err
    assert judge.requests == ()
