"""kill -9 at every stage boundary, at every commit and inside every model call: the same result, nothing paid twice."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from crash_lab import At, CrashPoint, Lab, Tally, judged_ledger, kill_by_file
from crash_places import Left, Row

SMALL = ("qa", "everything")
PIPELINES = (*SMALL, "research")
SEED = 20_240_607
WORKERS = 2

Plan = tuple[str, At, int]
"""A pipeline, where it is killed, and the crash point of any name at which its first resume is killed too."""


def conduct(lab: Lab, plans: Iterable[Plan]) -> Tally:
    plans, tally = list(plans), Tally()
    for name, _, _ in plans:
        lab.baseline(name)
    began = time.monotonic()
    with ThreadPoolExecutor(WORKERS) as pool:
        for done in [
            pool.submit(lab.experiment, name, at, tally, second=second) for name, at, second in plans
        ]:
            done.result()
    tally.seconds = time.monotonic() - began
    return tally


def sampled(lab: Lab, name: str, draw: random.Random, *, share: float, each: int) -> list[Plan]:
    """A point of some of the names, ``each`` requests in flight, and as many that are killed twice."""
    base = lab.baseline(name)
    by_name: dict[str, list[CrashPoint]] = {}
    for point in base.points:
        by_name.setdefault(point.name, []).append(point)
    plans: list[Plan] = [
        (name, draw.choice(points), 0) for points in by_name.values() if draw.random() < share
    ]
    plans += [(name, request, 0) for request in draw.sample(range(1, base.requests + 1), each)]
    return [*plans, *((name, point, draw.randint(5, 60)) for point in draw.sample(base.points, each))]


def test_a_seeded_sample_of_kills_changes_no_result_and_pays_nothing_twice(lab: Lab) -> None:
    draw = random.Random(SEED)
    plans = [plan for name in SMALL for plan in sampled(lab, name, draw, share=0.4, each=2)]
    tally = conduct(lab, plans)
    assert tally.violations == []
    assert tally.experiments == len(plans) >= 16
    assert tally.kills >= tally.experiments
    assert sum(tally.extra[n] for n in tally.extra if n > 0) > 0  # else nothing was ever in flight


def test_a_research_run_killed_at_a_seeded_sample_of_places_leaves_the_same_files(lab: Lab) -> None:
    draw = random.Random(SEED)
    plans = sampled(lab, "research", draw, share=0.05, each=1)
    plans.append(("research", CrashPoint("deliver.after", draw.randint(1, 4)), 0))
    tally = conduct(lab, plans)
    assert tally.violations == []
    assert tally.experiments == len(plans) >= 3
    assert tally.kills >= tally.experiments
    files = lab.baseline("research").result["files"]
    assert "42 metres deep" in files["report.md"] and files["evidence.jsonl"].count("\n") >= 3


@pytest.mark.matrix
@pytest.mark.parametrize("name", PIPELINES)
def test_the_whole_crash_matrix(lab: Lab, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    draw = random.Random(SEED)
    base = lab.baseline(name)
    once: list[Plan] = [(name, at, 0) for at in base.targets()]
    twice = [(name, at, draw.randint(1, 120)) for name, at, _ in draw.sample(once, len(once) // 4)]
    # between all points, in the middle of a commit too
    whenever: list[Plan] = [(name, draw.uniform(0.02, base.seconds), 0) for _ in range(40)]
    tally = conduct(lab, [*once, *twice, *whenever])
    with capsys.disabled():
        print(f"\n{lab.place.name} {name}: {len(once)} places to kill at; {tally}")
    assert tally.violations == []
    assert tally.experiments == len(once) + len(twice) + len(whenever)
    assert tally.unhurt < len(whenever)


def test_the_points_cover_every_stage_boundary_every_commit_and_every_call(lab: Lab) -> None:
    for name in PIPELINES:
        base = lab.baseline(name)
        names = [point.name for point in base.points]
        for point in ("call", "ledger.begin", "ledger.finish"):
            assert names.count(f"{point}.before") == names.count(f"{point}.after") == base.requests
        assert names.count("step.after") == names.count("step.done") > 3
        if base.result["files"]:
            for point in ("deliver.write", "deliver.before", "deliver.after"):
                assert names.count(point) == len(base.result["files"]) + 1  # the manifest
        for point in ("run.create", "lease.claim", "item", "run.end"):
            assert names.count(f"{point}.before") == names.count(f"{point}.after") > 0


def test_a_ledger_that_paid_a_known_answer_again_would_be_noticed() -> None:
    done = Row(1, ("r", 1, -1, 0, "answer", 0, 0), {"kind": None}, 10, 10, (20, 20))
    again = Row(2, done.place, None, 0, 0, (20, 20))
    assert judged_ledger(Left([done], [], 0)) == []
    assert len(judged_ledger(Left([done, again], [], 0))) == 1
    assert judged_ledger(Left([again, Row(3, done.place, {}, 1, 1, (1, 1))], [], 0)) == []


@pytest.mark.parametrize("content", [None, ""])
def test_a_timer_that_finds_no_process_id_kills_nobody(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "pid").write_text(content)  # it is just being written
    kill_by_file(tmp_path / "pid")
