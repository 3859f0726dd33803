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
    time.sleep(5)


def sleep(seconds: float, path: str) -> None:
    time.sleep(seconds)
    Path(path).write_text("woke up")


def span(seconds: float) -> tuple[float, float]:
    """When it began and ended, on the clock that all processes share."""
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic()


def start_a_sleeper_and_wait(path: str) -> None:
    if os.fork() == 0:
        time.sleep(0.6)
        Path(path).write_text("the grandchild lived on")
        os._exit(0)
    signal.pause()


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
