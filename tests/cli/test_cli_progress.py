"""What a person sees while a run executes: every stage, its time and items, what it spends; never more than fits."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from types import SimpleNamespace

import pytest
from cli_project import CHECKOUT, PROGRAM, WAIT, Project

from guardflow.cli import progress
from guardflow.cli.progress import StageLine, Tree, picture
from guardflow.events import (
    AttemptEnded,
    AttemptStarted,
    Event,
    ItemsFinished,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
)


def attempt(
    run: str, step: int, *, rung: str = "start", kind: str | None = None, nano: int | None = 2_000_000
) -> list[Event]:
    start = AttemptStarted(run, step, -1, "write", "answer", rung, "m")
    return [start, AttemptEnded(run, step, -1, "write", "answer", rung, "m", kind, 100, nano, cached=False)]


def folded(*events: Event) -> Tree:
    tree = Tree("r")
    for event in events:
        tree.fold(event)
    return tree


def texts(tree: Tree, most: int = 50) -> list[str]:
    return [f"{s} more" if isinstance(s, int) else s.indent + s.text() for s in tree.shown(most)]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The display's clock, which stands at ``now``: a busy machine lets real seconds go by between two lines."""
    stands = SimpleNamespace(now=1000.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: stands.now))
    return stands


def test_a_running_stage_shows_its_time_and_what_it_spent(clock: SimpleNamespace) -> None:
    tree = folded(RunStarted("r", "p", resumed=False), StageStarted("r", 1, "stage:write"), *attempt("r", 1))
    tree.lines["r", 1].began = clock.now - 75
    assert texts(tree) == ["… write · 1 min 15 s · 1 call · 100 tokens · 0.0020 USD"]
    assert "p r" in tree.head()
    assert "1 call · 100 tokens · 0.0020 USD" in tree.head()


def test_time_stands_still_once_a_stage_has_ended(clock: SimpleNamespace) -> None:
    tree = folded(StageStarted("r", 1, "stage:write"))
    line = tree.lines["r", 1]
    line.began = clock.now
    clock.now += 5
    tree.fold(StageFinished("r", 1, "stage:write", "ok", replayed=False))
    clock.now += 60
    assert line.text() == "✓ write · 5.0 s"


def test_requests_under_way_and_what_the_ladder_does_are_shown() -> None:
    started = attempt("r", 1, rung="reask")[0]
    tree = folded(StageStarted("r", 1, "stage:write"), *attempt("r", 1, kind="SCHEMA"), started)
    assert texts(tree)[0].startswith("… write · reask · ")
    assert "· 1/2 calls" in texts(tree)[0]


def test_an_unknown_price_is_never_zero() -> None:
    tree = folded(StageStarted("r", 1, "stage:write"), *attempt("r", 1, nano=None))
    assert "unknown price" in texts(tree)[0]
    assert "unknown price" in tree.head()
    tree.fold(attempt("r", 1)[1])
    assert "0.0020 USD + 1 call of unknown price" in tree.head()


def test_answers_from_the_cache_are_no_calls(clock: SimpleNamespace) -> None:
    hit = AttemptEnded("r", 1, -1, "write", "answer", "start", "m", None, 0, 0, cached=True)
    tree = folded(StageStarted("r", 1, "stage:write"), hit)
    tree.lines["r", 1].began = clock.now
    assert texts(tree) == ["… write · 0.0 s · 1 cached"]


def test_a_fan_out_counts_its_items() -> None:
    tree = folded(StageStarted("r", 1, "fan_out:fetch"), ItemsFinished("r", 1, "fan_out:fetch", 7, 2000))
    assert texts(tree)[0].startswith("… fetch · 7/2000 · ")


def test_what_was_read_back_says_so_and_has_no_time() -> None:
    assert texts(folded(StageFinished("r", 1, "stage:plan", "ok", replayed=True))) == ["✓ plan · read back"]


def test_stages_of_child_runs_stand_below_their_run_in_whatever_order_they_come() -> None:
    first, second = "r-1-0", "r-1-1"
    tree = folded(
        RunStarted("r", "p", resumed=False),
        RunStarted(first, "child", resumed=False),
        RunStarted(second, "child", resumed=False),
        StageStarted(second, 1, "stage:a"),
        StageStarted(first, 1, "stage:a"),
        StageStarted(second, 2, "stage:b"),
        RunFinished(first, "ok"),
    )
    names = [re.sub(r" · .*", "", text) for text in texts(tree)]
    assert names == ["✓ child", "  … a", "… child", "  … a", "  … b"]


def test_more_stages_than_fit_are_counted_and_the_running_ones_stay() -> None:
    tree = Tree("r")
    for step in range(1, 101):
        tree.fold(StageStarted("r", step, f"stage:s{step}"))
        if step != 3:
            tree.fold(StageFinished("r", step, f"stage:s{step}", "ok", replayed=False))
    shown = texts(tree, 5)
    assert shown[0] == "96 more"
    assert shown[1].startswith("… s3 ")
    assert [text.split()[1] for text in shown[2:]] == ["s98", "s99", "s100"]


@pytest.mark.parametrize(("height", "width"), [(3, 20), (10, 40), (40, 120)])
def test_the_picture_fits_the_terminal(height: int, width: int) -> None:
    tree = folded(*(StageStarted("r", step, f"stage:{'long' * 20}{step}") for step in range(1, 60)))
    rows = picture(tree, height=height, width=width).plain.split("\n")
    assert len(rows) <= height
    assert all(len(row) <= width for row in rows)


def test_names_cannot_act_on_the_terminal() -> None:
    tree = folded(
        RunStarted("r", "p\x1b[31m", resumed=False), StageStarted("r", 1, "stage:x\x1b[2J\r\n[red]y")
    )
    assert "\x1b" not in tree.head() + texts(tree)[0]
    assert texts(tree)[0].startswith("… x [red]y")


def test_a_line_says_how_a_stage_ended() -> None:
    assert StageLine("s", (0,), status="abstained", began=0.0, ended=0.5).text() == "✗ s · abstained · 0.5 s"


SLOW = '''
"""A run that takes a second."""
import asyncio
from guardflow import fan_out, pipeline, stage


@stage
async def tick(n: int) -> int:
    await asyncio.sleep(0.05)
    return n


@pipeline("ticks")
async def ticks(n: int) -> int:
    return sum(await fan_out(tick, range(n), limit=1))
'''


def on_a_terminal(project: Project, environment: dict[str, str]) -> str:
    """What a command writes to stderr when that is a terminal."""
    project.pipelines(SLOW)
    (project.root / "n.json").write_text("20")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", PROGRAM, "run", "ticks", "--input", "n.json"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT), "TERM": "xterm", "COLUMNS": "60", **environment}
    seen = b""
    with subprocess.Popen(
        command, cwd=project.root, env=env, stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        os.close(theirs)
        while select.select([ours], [], [], WAIT)[0]:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        assert process.stdout is not None
        assert process.stdout.read() == b"190\n"
    os.close(ours)
    return seen.decode()


def test_a_terminal_gets_a_tree_that_is_redrawn(project: Project) -> None:
    seen = on_a_terminal(project, {})
    counts = [int(n) for n in re.findall(r"tick · (\d+)/20", seen)]
    assert counts == sorted(counts)
    assert len(set(counts)) > 2
    assert counts[-1] == 20
    assert "\x1b[?25l" in seen
    assert "ok: run ticks-" in seen.rstrip().splitlines()[-1]


@pytest.mark.parametrize("environment", [{"TERM": "dumb"}, {"CI": "1"}])
def test_a_dumb_terminal_and_ci_get_lines(project: Project, environment: dict[str, str]) -> None:
    seen = on_a_terminal(project, environment)
    assert "\x1b" not in seen
    assert seen.count("tick · 20/20") == 1


def test_no_color_has_no_colour(project: Project) -> None:
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", on_a_terminal(project, {"NO_COLOR": "1"}))
