"""Ctrl-C and SIGTERM. While a run executes, the first stops it so that it can go on, the second ends the process.

Before and after that, one is enough: `main` begins with `end_at_once`. Loads nothing that takes time.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

INTERRUPTED = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)

Words = Callable[[], str]


def end_at_once(words: Words = lambda: "interrupted") -> None:
    """From now on a signal says ``words`` and ends the process: what is stored survives that at any moment.

    No exception is raised: libraries that are being imported, callbacks and clean-ups would swallow it.
    """

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        _tell(words())
        # Not sys.exit: a thread that hangs, or a clean-up that waits, would keep the process.
        os._exit(INTERRUPTED)

    _listen(end)


def end_by_unwinding() -> None:
    """From now on a signal ends the process by an exception: for commands that have something to clean up."""

    def end(_number: int, _frame: FrameType | None) -> NoReturn:
        end_at_once()
        _tell("interrupted")
        raise SystemExit(INTERRUPTED)

    _listen(end)


@contextmanager
def interruptible(stop: Callable[[], None], words: Words) -> Generator[None]:
    """Call ``stop`` in the running event loop at the first signal inside the block.

    Any later one ends the process, also after the block.

    Args:
        stop: ends the block soon.
        words: what is said then.
    """
    import asyncio

    from .output import say

    loop = asyncio.get_running_loop()

    def stop_gently() -> None:
        say("\nstopping; Ctrl-C again ends at once")
        stop()

    def first(_number: int, _frame: FrameType | None) -> None:
        # Runs between any two instructions, so it prints nothing: the loop does.
        end_at_once(words)
        loop.call_soon_threadsafe(stop_gently)

    _listen(first)
    try:
        yield
    finally:
        end_at_once(words)


def leave_within(seconds: float) -> None:
    """End the process after this time, whatever its threads do: all that is stored is stored, all is said."""
    ending = threading.Timer(seconds, os._exit, (INTERRUPTED,))
    ending.daemon = True
    ending.start()


def _listen(handler: Callable[[int, FrameType | None], None]) -> None:
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            signal.signal(number, handler)


def _tell(words: str) -> None:
    show_cursor = "\x1b[?25h\n" if os.isatty(2) else ""  # the live tree hides it
    with suppress(OSError):
        os.write(2, f"{show_cursor}{words}\n".encode())
