"""Crash points: what arms them, what they count, and that they cost nothing unarmed."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from guardflow import crashpoints
from guardflow.crashpoints import CrashPoint

CODE = (
    "from guardflow.crashpoints import hit\nfor i in range(4):\n    print(i, flush=True); hit('a'); hit('b')"
)


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    crashpoints.disarm()


def run(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CODE],
        check=False,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.mark.parametrize(
    ("armed", "printed"), [("a:1", "0\n"), ("a", "0\n"), ("b:3", "0\n1\n2\n"), ("*:4", "0\n1\n")]
)
def test_the_environment_kills_at_the_nth_hit(armed: str, printed: str) -> None:
    ended = run(GUARDFLOW_CRASH=armed)
    assert ended.returncode == -9
    assert ended.stdout == printed


@pytest.mark.parametrize("armed", ["", "a:5", "c:1"])
def test_a_point_that_is_not_reached_kills_nobody(armed: str) -> None:
    assert run(GUARDFLOW_CRASH=armed).returncode == 0


def test_the_log_holds_every_hit_in_order_up_to_the_death(tmp_path: Path) -> None:
    log = tmp_path / "log"
    run(GUARDFLOW_CRASH_LOG=str(log))
    assert log.read_text().split() == ["a", "b"] * 4
    run(GUARDFLOW_CRASH_LOG=str(log), GUARDFLOW_CRASH="b:1")
    assert log.read_text().split() == ["a", "b"] * 5


def test_recording_can_be_switched_off(tmp_path: Path) -> None:
    log = tmp_path / "log"
    crashpoints.record(str(log))
    crashpoints.hit("x")
    crashpoints.disarm()
    crashpoints.hit("y")
    assert log.read_text() == "x\n"


def test_arming_counts_from_zero_again() -> None:
    crashpoints.arm("p", 3)
    crashpoints.hit("p")
    crashpoints.hit("p")
    crashpoints.arm("p", 3)
    crashpoints.hit("p")
    crashpoints.hit("p")  # the process is alive: the first two did not count


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("a:2", CrashPoint("a", 2)),
        ("a", CrashPoint("a", 1)),
        ("a:b:2", CrashPoint("a:b", 2)),
        ("a:b", CrashPoint("a:b")),
    ],
)
def test_a_point_is_written_as_name_and_nth(text: str, point: CrashPoint) -> None:
    assert CrashPoint.parse(text) == point
    assert CrashPoint.parse(str(point)) == point


@pytest.mark.parametrize("text", ["", ":1", "a:0"])
def test_a_point_without_name_or_with_nth_0_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no crash point"):
        CrashPoint.parse(text)


def test_an_unarmed_point_costs_hardly_more_than_calling_a_function() -> None:
    def nothing(name: str) -> None:
        pass

    def best(called: Callable[[str], None]) -> float:
        times: list[float] = []
        for _ in range(7):
            began = time.perf_counter()
            for _ in range(5_000):
                called("a")
            times.append(time.perf_counter() - began)
        return min(times)

    assert best(crashpoints.hit) < 2.5 * best(nothing)
