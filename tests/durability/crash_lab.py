"""The bench of the crash tests: one experiment kills a child for real, lets another finish, and says what was wrong.

What it holds a run to: the same result, no answer paid twice, and a ledger that agrees with the model's own bill.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash_model import Teacher
from crash_places import EXECUTE, TARGET, Left, Place, Spot
from crash_research import judged_folder

from guardflow.crashpoints import ENV_CRASH
from guardflow.testing import ChildExit, CrashPoint, ForkServer, enumerate_points

PRELOAD = (str(Path(__file__).with_name("crash_warm.py")), "psycopg", TARGET)

At = CrashPoint | int | float
"""Where a child is killed: at a point, while request n is in flight, or so many seconds after its start."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """The uninterrupted run of a pipeline on a place."""

    pipeline: str
    points: Sequence[CrashPoint]
    result: Mapping[str, Any]
    requests: int
    known: tuple[int, int]
    """Tokens and billionths of a dollar of the requests whose end is written down."""
    seconds: float

    def targets(self) -> list[At]:
        """Every place to kill at: each point, and each request while it is in flight."""
        return [*self.points, *range(1, self.requests + 1)]


@dataclass(slots=True)
class Tally:
    """What many experiments found together."""

    experiments: int = 0
    double: int = 0
    kills: int = 0
    unhurt: int = 0
    extra: Counter[int] = field(default_factory=Counter[int])
    violations: list[str] = field(default_factory=list[str])
    seconds: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __str__(self) -> str:
        return (
            f"{self.experiments} experiments ({self.double} killed again while resuming, {self.unhurt} too late "
            f"to hurt), {self.kills} kills, extra calls {dict(sorted(self.extra.items()))}, "
            f"{len(self.violations)} violations, {self.seconds:.0f} s"
        )


class Lab:
    """Runs experiments on one place."""

    def __init__(self, forks: ForkServer, place: Place) -> None:
        self.forks = forks
        self.place = place
        self._baselines: dict[str, Baseline] = {}

    def baseline(self, pipeline: str) -> Baseline:
        """The uninterrupted run, made once."""
        known = self._baselines.get(pipeline)
        if known is None:
            known = self._baselines[pipeline] = self._uninterrupted(pipeline)
        return known

    def _uninterrupted(self, pipeline: str) -> Baseline:
        with self.place.fresh() as spot:
            teacher = Teacher(spot.home / "pid")
            with teacher.server:
                return self._observed(pipeline, spot, teacher)

    def _observed(self, pipeline: str, spot: Spot, teacher: Teacher) -> Baseline:
        server = teacher.server
        job = spot.job(pipeline, server)
        began = time.monotonic()
        points = enumerate_points(self.forks, EXECUTE, job)
        seconds = time.monotonic() - began
        sent = server.count
        result = self.forks.run(EXECUTE, job).returned()  # it has ended: its result again
        assert isinstance(result, dict)
        assert result["status"] in ("ok", "degraded"), result
        assert server.count == sent, "a finished run was paid again"
        left = spot.left()
        assert not [row for row in left.rows if row.open]
        assert left.kept == sent
        assert _judged_files(spot, result, delivered=True) == []
        return Baseline(pipeline, points, result, sent, _known(left), seconds)

    def experiment(self, pipeline: str, at: At, tally: Tally, *, second: int = 0) -> None:
        """Kill a run at ``at``, perhaps once more while it is resumed, and hold what comes out to the promises.

        Args:
            second: kill the first resume at its so-manieth crash point of any name; 0 does not.
        """
        base = self.baseline(pipeline)
        what = (
            f"{self.place.name} {pipeline} killed at {at}{f', resume killed at *:{second}' if second else ''}"
        )
        try:
            wrong, extra, kills = self._experiment(base, at, second)
        except Exception as error:  # noqa: BLE001  # one experiment's trouble is a finding, not the end of all
            wrong, extra, kills = [f"{type(error).__name__}: {error} {getattr(error, 'hint', '')}"], 0, 0
        with tally.lock:
            tally.experiments += 1
            tally.kills += kills
            tally.unhurt += kills == 0
            tally.double += kills > 1
            tally.extra[extra] += 1
            tally.violations += [f"{what}: {each}" for each in wrong]

    def _experiment(self, base: Baseline, at: At, second: int) -> tuple[list[str], int, int]:
        wrong: list[str] = []
        with self.place.fresh() as spot:
            teacher = Teacher(spot.home / "pid")
            with teacher.server as server:
                job = spot.job(base.pipeline, server)
                lost = kills = 0
                if self._kill(teacher, job, at).killed:
                    kills += 1
                    teacher.settle()
                    left = spot.left()
                    lost += _unrecorded(left, server.count, 0, wrong)
                    wrong += _judged_files(spot, base.result, delivered=False)
                    if second:
                        before = server.count - left.kept
                        if self.forks.run(EXECUTE, job, env={ENV_CRASH: f"*:{second}"}).killed:
                            kills += 1
                            teacher.settle()
                            lost += _unrecorded(spot.left(), server.count, before, wrong)
                            wrong += _judged_files(spot, base.result, delivered=False)
                elif not isinstance(at, float):
                    wrong.append("it was not killed: the point was never reached")
                result = self.forks.run(EXECUTE, job).returned()
                assert isinstance(result, dict)
                wrong += self._judge(base, spot.left(), result, teacher, lost)
                wrong += _judged_files(spot, base.result, delivered=True)
                return wrong, server.count - base.requests, kills

    def _kill(self, teacher: Teacher, job: Mapping[str, Any], at: At) -> ChildExit:
        match at:
            case CrashPoint():
                return self.forks.run(EXECUTE, dict(job), env={ENV_CRASH: str(at)})
            case int():
                teacher.kill_at = at
                ended = self.forks.run(EXECUTE, dict(job))
                teacher.kill_at = 0
                return ended
            case _:
                killer = threading.Timer(at, kill_by_file, [teacher.pid])
                killer.start()
                try:
                    return self.forks.run(EXECUTE, dict(job))
                finally:
                    killer.cancel()
                    killer.join()

    def _judge(
        self, base: Baseline, left: Left, result: Mapping[str, Any], teacher: Teacher, lost: int
    ) -> list[str]:
        wrong = [
            f"{key} is {result.get(key)!r} ({result.get('message')!r}), not {base.result[key]!r}"
            for key in ("status", "output", "degraded", "files")
            if result.get(key) != base.result[key]
        ]
        extra = teacher.server.count - base.requests
        if extra > lost:
            wrong.append(f"{extra} requests more than uninterrupted, and {lost} were in flight at the kill")
        wrong += judged_ledger(left)
        if any(state != "ended" for _, state, _ in left.runs):
            wrong.append(f"runs that did not end: {left.runs}")
        known = _known(left)
        if known != base.known:
            wrong.append(f"known tokens and cost are {known}, uninterrupted {base.known}")
        doubt = [row for row in left.rows if row.doubtful]
        most = [sum(row.reserved[i] for row in doubt) for i in (0, 1)]
        spend = result["spend"]
        told = (spend["tokens"], spend["nano"], spend["in_doubt"], spend["calls"])
        if told != (known[0] + most[0], known[1] + most[1], most[1], len(left.rows)):
            wrong.append(f"the run says it spent {told}; its ledger {known} and {most} in doubt")
        for i, sold in enumerate((teacher.tokens, teacher.nano)):
            if not known[i] <= sold <= known[i] + most[i]:
                wrong.append(f"the server sold {sold}, the ledger knows {known[i]} and doubts {most[i]}")
        return wrong


def judged_ledger(left: Left) -> list[str]:
    """What is wrong with a ledger in itself: a call that was paid after its answer was there."""
    wrong: list[str] = []
    done: dict[tuple[object, ...], int] = {}
    for row in left.rows:
        if row.place in done:
            wrong.append(f"row {row.id} was sent although row {done[row.place]} had the answer: {row.place}")
        if not row.doubtful:
            done[row.place] = row.id
    if left.superseded:
        wrong.append(f"{left.superseded} rows were superseded although nothing changed")
    return wrong


def _judged_files(spot: Spot, whole: Mapping[str, Any], *, delivered: bool) -> list[str]:
    """What is wrong with the folder that the run writes, if it writes one."""
    files = whole["files"]
    return judged_folder(spot.home, files, delivered=delivered) if files else []


def _known(left: Left) -> tuple[int, int]:
    sure = [row for row in left.rows if not row.doubtful]
    return sum(row.tokens for row in sure), sum(row.nano for row in sure)


def _unrecorded(left: Left, sent: int, before: int, wrong: list[str]) -> int:
    """How many requests were sent whose end is not written down; each of them must have been announced."""
    missing = sent - left.kept - before
    begun = sum(row.open for row in left.rows)
    if missing > begun - before or missing < 0:
        wrong.append(f"{missing} requests were in flight, and only {begun - before} rows were open")
    return missing


def kill_by_file(path: Path) -> None:
    """Kill the child that left its process id in this file, if there is one."""
    try:
        os.kill(int(path.read_text()), signal.SIGKILL)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        pass  # not started, or done already; a file that is just being written is empty
