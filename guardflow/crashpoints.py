"""Named places where a test may kill the process with a real SIGKILL, to prove that a resume loses nothing.

Every layer calls `hit`; it costs one test of a global while nothing is armed. Armed by the environment
(``GUARDFLOW_CRASH=name:nth``, ``GUARDFLOW_CRASH_LOG=path``) or by `arm` and `record`. Imports only the stdlib.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Mapping
from typing import NamedTuple

ENV_CRASH = "GUARDFLOW_CRASH"
ENV_LOG = "GUARDFLOW_CRASH_LOG"
ANY = "*"
"""Stands for every name: ``*:17`` kills at the 17th hit, whatever its name."""


class CrashPoint(NamedTuple):
    """The ``nth`` time (from 1) that a process comes through the place called ``name``."""

    name: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.name}:{self.nth}"

    @classmethod
    def parse(cls, text: str) -> CrashPoint:
        """Read ``name:nth`` or ``name``. The name may hold colons.

        Raises:
            ValueError: there is no name, or ``nth`` is 0.
        """
        name, colon, nth = text.rpartition(":")
        point = cls(name, int(nth)) if colon and nth.isdigit() else cls(text)
        if not point.name or point.nth < 1:
            raise ValueError(f"{text!r} is no crash point: write name:nth, where nth counts from 1")
        return point


_watching = False
_lock = threading.Lock()
_armed: CrashPoint | None = None
_log: int | None = None
_seen: dict[str, int] = {}


def hit(name: str) -> None:
    """Come through the place called ``name``; if it is armed, the process dies here and now."""
    if _watching:
        _watched_hit(name)


def arm(name: str, nth: int = 1) -> None:
    """Die at the ``nth`` hit of ``name``, counted from now. `ANY` counts every hit.

    Raises:
        ValueError: ``nth`` is below 1.
    """
    global _armed, _watching
    with _lock:
        _armed = CrashPoint.parse(f"{name}:{nth}")
        _seen.clear()
        _watching = True


def record(path: str) -> None:
    """Append the name of every hit from now on to the file at ``path``, one a line, also from child processes."""
    global _log, _watching
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with _lock:
        _close_log()
        _log = descriptor
        _watching = True


def disarm() -> None:
    """Neither die nor record any more."""
    global _armed, _watching
    with _lock:
        _armed = None
        _close_log()
        _seen.clear()
        _watching = False


def arm_from(environ: Mapping[str, str]) -> None:
    """Arm and record as the environment says; what it does not say is switched off. Import does this once."""
    disarm()
    if crash := environ.get(ENV_CRASH):
        arm(*CrashPoint.parse(crash))
    if log := environ.get(ENV_LOG):
        record(log)


def _watched_hit(name: str) -> None:
    with _lock:
        if _log is not None:
            os.write(_log, f"{name}\n".encode())  # one write: lines of several processes do not mix
        if _armed is None or _armed.name not in (name, ANY):
            return
        seen = _seen[_armed.name] = _seen.get(_armed.name, 0) + 1
        if seen == _armed.nth:
            os.kill(os.getpid(), signal.SIGKILL)


def _close_log() -> None:
    global _log
    if _log is not None:
        os.close(_log)
        _log = None


arm_from(os.environ)
