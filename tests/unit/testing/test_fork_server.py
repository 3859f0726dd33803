"""The fork server runs jobs in real processes and tells the truth about how they end."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from guardflow.crashpoints import CrashPoint
from guardflow.errors import RunError, UsageError
from guardflow.testing import ForkServer, Job, enumerate_points, run_and_kill

TARGETS = str(Path(__file__).with_name("fork_targets.py"))
WAIT = 120.0
"""Seconds after which something hangs; far more than it takes on a slow machine."""


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    with ForkServer(["guardflow", "anyio", "pydantic", TARGETS], timeout=WAIT) as server:
        yield server


def test_a_function_gets_its_arguments_and_gives_its_result(server: ForkServer) -> None:
    ended = server.run(f"{TARGETS}:add", 2, 3)
    assert (ended.returned(), ended.code, ended.signal, ended.killed) == (5, 0, None, False)


def test_a_coroutine_is_run_to_its_end_and_modules_are_found_by_name(server: ForkServer) -> None:
    assert server.run(f"{TARGETS}:add_later", 2, 3).returned() == 5
    assert server.run("operator:mul", 6, 7).returned() == 42


def test_a_large_result_comes_back_whole(server: ForkServer) -> None:
    assert server.run(f"{TARGETS}:big").returned() == "x" * 3_000_000


def test_every_job_has_its_own_process_environment_and_folder(server: ForkServer, tmp_path: Path) -> None:
    one = server.run(f"{TARGETS}:facts", env={"GF_TEST": "1"}, cwd=tmp_path).returned()
    two = server.run(f"{TARGETS}:facts").returned()
    assert isinstance(one, dict) and isinstance(two, dict)
    assert one["pid"] != two["pid"]
    assert (one["env"], two["env"]) == ("1", None)
    assert one["cwd"] == str(tmp_path.resolve())
    assert one["threads"] == 1
    assert one["preloaded"] == ["pydantic"]


def test_a_failure_is_code_1_with_its_traceback(server: ForkServer) -> None:
    ended = server.run(f"{TARGETS}:print_and_fail")
    assert (ended.code, ended.signal, ended.result) == (1, None, None)
    assert "about to fail" in ended.output
    assert "ValueError: on purpose" in ended.output
    with pytest.raises(RunError, match="(?s)ended with code 1.*on purpose"):
        ended.returned()


def test_exit_codes_and_signals_are_told_apart(server: ForkServer) -> None:
    assert server.run(f"{TARGETS}:exit_with", 7).code == 7
    terminated = server.run(f"{TARGETS}:die_by", int(signal.SIGTERM))
    assert (terminated.code, terminated.signal, terminated.killed) == (None, signal.SIGTERM, False)
    killed = server.run(f"{TARGETS}:die_by", int(signal.SIGKILL))
    assert (killed.code, killed.signal, killed.killed) == (None, signal.SIGKILL, True)


def test_a_target_that_does_not_exist_says_so(server: ForkServer) -> None:
    with pytest.raises(RunError, match="no_such_function"):
        server.run(f"{TARGETS}:no_such_function").returned()


def lives(process: int) -> bool:
    """Whether it runs: one that is dead, and whose end nobody has read yet, has no command line."""
    try:
        return bool(Path(f"/proc/{process}/cmdline").read_bytes())
    except (FileNotFoundError, ProcessLookupError):
        return False


def living(folder: Path) -> list[str]:
    """The processes that left their number there and have not ended."""
    return [name for name in os.listdir(folder) if lives(int(name))]


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize(("target", "processes"), [("wait_for_ever", 1), ("wait_with_a_child", 2)])
def test_a_job_that_takes_too_long_is_killed_and_is_no_crash(
    server: ForkServer, tmp_path: Path, target: str, processes: int
) -> None:
    limit = 0.1
    while len(os.listdir(tmp_path)) < processes:  # a slow machine needs more time to begin it
        limit *= 2
        with pytest.raises(TimeoutError, match=f"still running after {limit:g} s"):
            server.run(f"{TARGETS}:{target}", str(tmp_path), timeout=limit)
    until(lambda: not living(tmp_path))
    assert server.run(f"{TARGETS}:add", 1, 1).returned() == 2


def test_two_jobs_run_at_a_time_and_no_more_whoever_asks(server: ForkServer, tmp_path: Path) -> None:
    def job(number: int) -> tuple[float, float]:
        began, ended = server.run(f"{TARGETS}:meet", str(tmp_path), 2).returned()  # type: ignore[misc]  # two numbers
        return began, ended

    with ThreadPoolExecutor(4) as pool:
        spans = list(pool.map(job, range(4)))
    assert max(sum(began <= at < ended for began, ended in spans) for at, _ in spans) == 2


def test_run_all_keeps_the_order_of_the_jobs(server: ForkServer) -> None:
    assert [e.returned() for e in server.run_all(Job(f"{TARGETS}:add", (i, 0)) for i in range(20))] == [
        *range(20)
    ]


def test_points_are_listed_in_order_with_their_count(server: ForkServer, tmp_path: Path) -> None:
    points = enumerate_points(server, f"{TARGETS}:three_steps", str(tmp_path / "steps"))
    assert points == [CrashPoint(f"step.{side}", nth) for nth in (1, 2, 3) for side in ("before", "after")]


@pytest.mark.parametrize(("at", "done"), [("step.before:1", 0), ("step.after:1", 1), ("step.before:3", 2)])
def test_the_child_dies_exactly_there(server: ForkServer, tmp_path: Path, at: str, done: int) -> None:
    path = tmp_path / "steps"
    path.touch()
    ended = run_and_kill(server, f"{TARGETS}:three_steps", str(path), at=at)
    assert ended.signal == signal.SIGKILL
    assert ended.result is None
    assert len(path.read_text().split()) == done


def test_output_up_to_the_death_is_kept(server: ForkServer) -> None:
    assert run_and_kill(server, f"{TARGETS}:steps_out_of_order", at="x").output == "half a line of"


def test_a_point_that_was_never_reached_is_an_error(server: ForkServer, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="was to die at 'step.after:9', but ended with code 0"):
        run_and_kill(server, f"{TARGETS}:three_steps", str(tmp_path / "steps"), at="step.after:9")


def test_our_own_crash_variables_do_not_reach_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GUARDFLOW_CRASH", "step.before:1")
    with ForkServer([TARGETS]) as server:
        assert server.run(f"{TARGETS}:three_steps", "/dev/null").returned() == 3


def test_a_hundred_real_kills_take_less_than_a_hundred_starts(server: ForkServer) -> None:
    imports = "import guardflow, anyio, pydantic"
    began = time.monotonic()
    for _ in range(3):
        subprocess.run([sys.executable, "-c", imports], check=True)
    starts = (time.monotonic() - began) / 3
    began = time.monotonic()
    job = Job(f"{TARGETS}:three_steps", ("/dev/null",), {"GUARDFLOW_CRASH": "step.after:2"})
    ended = server.run_all([job] * 100)
    assert all(end.killed for end in ended)
    assert (time.monotonic() - began) / 100 < starts


def test_a_preload_that_fails_or_starts_threads_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="(?s)no_such_module.*ModuleNotFoundError"):
        ForkServer(["no_such_module"]).start()
    threaded = tmp_path / "threaded.py"
    threaded.write_text(
        "import threading, time\nthreading.Thread(target=time.sleep, args=(9,), daemon=True).start()"
    )
    with pytest.raises(UsageError, match="started 1 threads"):
        ForkServer([str(threaded)]).start()


def test_a_closed_server_runs_nothing_and_leaves_no_process() -> None:
    with ForkServer([]) as server:
        pid = server.run("os:getppid").returned()
        server.close()
    assert not Path(f"/proc/{pid}").exists()
    with pytest.raises(UsageError, match="does not run"):
        server.run("os:getpid")


def test_close_kills_what_still_runs(tmp_path: Path) -> None:
    with ForkServer([TARGETS], timeout=WAIT) as server:
        failed: list[BaseException] = []

        def job() -> None:
            try:
                server.run(f"{TARGETS}:wait_for_ever", str(tmp_path))
            except RunError as error:
                failed.append(error)

        thread = threading.Thread(target=job)
        thread.start()
        until(lambda: os.listdir(tmp_path))
        server.close()
        thread.join(WAIT)
    until(lambda: not living(tmp_path))
    assert len(failed) == 1


def test_the_server_ends_when_the_tests_are_killed() -> None:
    code = (
        "import os, signal; from guardflow.testing import ForkServer\n"
        "server = ForkServer([]).start(); print(server.run('os:getppid').returned(), flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=WAIT
    )
    until(lambda: not lives(int(ended.stdout)))
