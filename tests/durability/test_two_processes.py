"""Two processes never run one run: whoever comes second is told so, or is given the finished result."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

from crash_lab import Lab, judged_ledger
from crash_model import Teacher
from crash_places import EXECUTE

ROUNDS = 4
PROCESSES = 3


def test_processes_that_start_one_run_together_execute_it_once(lab: Lab) -> None:
    base = lab.baseline("qa")
    for _ in range(ROUNDS):
        with lab.place.fresh() as spot:
            teacher = Teacher(spot.home / "pid")
            teacher.delay = 600.0
            with teacher.server as server, ThreadPoolExecutor(PROCESSES) as pool:
                job = spot.job("qa", server)
                started = [pool.submit(lab.forks.run, EXECUTE, job) for _ in range(PROCESSES)]
                wait(
                    started, return_when=FIRST_COMPLETED
                )  # while one asks, another is refused: they have met
                teacher.delay = 0.0
                server.release()
                ends: list[Any] = [each.result().returned() for each in started]
                done = [end for end in ends if "status" in end]
                errors = [end for end in ends if "error" in end]
                assert [end["output"] for end in done] == [base.result["output"]] * len(done)
                assert len(done) >= 1
                assert {end["error"] for end in errors} == {"RunIsLive"}
                assert server.count == base.requests
                left = spot.left()
                assert judged_ledger(left) == []
                assert len(left.rows) == base.requests
                late: Any = lab.forks.run(EXECUTE, job).returned()
                assert late == done[0]
                assert server.count == base.requests
