"""A process that is stopped, taken over and wakes up again: one result, at most the calls in flight paid twice.

The signals are real SIGSTOP and SIGCONT, in the middle of a fan_out of 100 items.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from crash_lab import Lab, judged_ledger
from crash_model import Teacher
from crash_places import EXECUTE, Spot, stop

from guardflow.hashing import JSON
from guardflow.testing import Reply

ITEMS, LIMIT, STOP_AT, LEASE = 100, 10, 40, 1.0
HELD = 3600.0
"""Seconds that the calls in flight at the stop wait for their answers, unless the test releases them."""


class Stopping(Teacher):
    """Answers until so many requests came; then it keeps the callers waiting, until `release`."""

    def __init__(self, spot: Spot) -> None:
        super().__init__(spot.home / "pid")
        self.holding = True
        self.held = 0
        self.full = threading.Event()

    def _reply(self, body: Mapping[str, Any]) -> Reply:
        reply = super()._reply(body)
        if not self.holding or self.server.count <= STOP_AT:
            return reply.but(delay=0.01)
        self.held += 1
        if self.held == LIMIT:
            self.full.set()  # every worker waits now
        return reply.but(delay=HELD)


def wake(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def take_over(lab: Lab, job: Mapping[str, JSON]) -> Any:
    """Ask for the run until it is given: at first the lease of the stopped process still holds."""
    while True:
        end: Any = lab.forks.run(EXECUTE, dict(job)).returned()
        if end.get("error") != "RunIsLive":
            return end


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.005)


@pytest.mark.parametrize(
    "wakes", ["while the new owner works", "when all is done", "when its answers have come"]
)
def test_a_zombie_inside_a_fan_out_writes_no_result_and_sends_nothing_more(lab: Lab, wakes: str) -> None:
    with lab.place.fresh() as spot:
        teacher = Stopping(spot)
        with teacher.server as server, ThreadPoolExecutor(2) as pool:
            job = spot.job("wide", server, lease=LEASE)
            zombie = pool.submit(lab.forks.run, EXECUTE, job)
            assert teacher.full.wait(120)
            pid = int(teacher.pid.read_text())
            stop(pid, spot)
            try:
                teacher.holding = False
                before = server.count
                assert before == STOP_AT + LIMIT
                taking = pool.submit(take_over, lab, job)
                if wakes == "while the new owner works":
                    wait_for(lambda: server.count > before + LIMIT)
                    wake(pid)
                result = taking.result()
                if wakes == "when its answers have come":
                    server.release()
                    wait_for(lambda: server.in_flight == 0)
            finally:
                wake(pid)
            total = server.count
            woken: Any = zombie.result().returned()
            assert result["status"] == "ok", result
            assert result["output"] == [f"tag w-{i}" for i in range(ITEMS)]
            assert woken.get("error") in ("LeaseLost", "RunIsLive"), woken
            assert server.count == total == ITEMS + LIMIT
            assert Counter(server.by_key.values()) == {1: ITEMS - LIMIT, 2: LIMIT}
            left = spot.left()
            assert left.runs == [(spot.run, "ended", "ok")]
            assert left.superseded == 0
            assert len({row.place for row in left.rows}) == ITEMS
            assert spot.read("SELECT count(*) FROM gf_items WHERE run_id LIKE ?") == [(ITEMS,)]
            again: Any = lab.forks.run(EXECUTE, job).returned()
            assert again["output"] == result["output"]
            assert server.count == total


def test_a_stopped_process_keeps_its_run_until_its_lease_is_over(lab: Lab) -> None:
    with lab.place.fresh() as spot:
        teacher = Stopping(spot)
        with teacher.server as server, ThreadPoolExecutor(1) as pool:
            job = spot.job("wide", server, lease=600.0)
            running = pool.submit(lab.forks.run, EXECUTE, job)
            assert teacher.full.wait(120)
            pid = int(teacher.pid.read_text())
            stop(pid, spot)
            refused: Any = lab.forks.run(EXECUTE, job).returned()
            teacher.holding = False
            server.release()
            wake(pid)
            ended: Any = running.result().returned()
            assert refused["error"] == "RunIsLive"
            assert ended["output"] == [f"tag w-{i}" for i in range(ITEMS)]
            assert server.count == ITEMS
            assert judged_ledger(spot.left()) == []
