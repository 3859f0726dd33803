"""Ctrl-C while a run executes: the first stops it so that it can go on later, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

from .output import say

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruptible(stop: Callable[[], None]) -> Generator[None]:
    """Call ``stop`` in the running event loop at the first Ctrl-C or SIGTERM inside the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()

    def stop_gently() -> None:
        say("\nstopping; Ctrl-C again ends at once")
        stop()

    def first(_number: int, _frame: FrameType | None) -> None:
        # Runs between any two instructions, so it prints nothing: the loop does.
        for number in _SIGNALS:
            signal.signal(number, _second)
        loop.call_soon_threadsafe(stop_gently)

    before = {number: signal.signal(number, first) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _second(_number: int, _frame: FrameType | None) -> None:
    if os.isatty(2):
        os.write(2, b"\x1b[?25h\n")  # the live tree hides the cursor
    # Not sys.exit: a thread that hangs, or a clean-up that waits, would keep the process.
    os._exit(INTERRUPTED)
