"""What the fork server's children run in its tests."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import anyio

from guardflow.testing import crash_point


def add(a: int, b: int) -> int:
    return a + b


async def add_later(a: int, b: int) -> int:
    await anyio.sleep(0.001)
    return a + b


def facts() -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "env": os.environ.get("GF_TEST"),
        "cwd": os.getcwd(),
        "threads": threading.active_count(),
        "preloaded": [name for name in ("pydantic", "dbos", "sqlalchemy", "litellm") if name in sys.modules],
    }


def print_and_fail() -> None:
    print("about to fail")
    raise ValueError("on purpose")


def exit_with(code: int) -> None:
    raise SystemExit(code)


def die_by(number: int) -> None:
    os.kill(os.getpid(), number)
    signal.pause()


def wait_for_ever(folder: str) -> None:
    """Says which process it is, as the name of a file; never ends by itself."""
    Path(folder, str(os.getpid())).touch()
    while True:
        signal.pause()


def wait_with_a_child(folder: str) -> None:
    os.fork()
    wait_for_ever(folder)


def meet(folder: str, others: int) -> tuple[float, float]:
    """When it began and ended, on the clock that all processes share: not before so many have begun."""
    began = time.monotonic()
    Path(folder, str(os.getpid())).touch()
    while len(os.listdir(folder)) < others:
        time.sleep(0.01)
    time.sleep(0.05)
    return began, time.monotonic()


def big() -> str:
    return "x" * 3_000_000


def three_steps(path: str) -> int:
    """Counts its steps in a file, and dies wherever it is told to."""
    for step in range(3):
        crash_point("step.before")
        with open(path, "a") as file:
            file.write(f"{step}\n")
        crash_point("step.after")
    return 3


def steps_out_of_order() -> None:
    print("half a line of", end="", flush=True)
    crash_point("x")
