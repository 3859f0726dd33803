"""Who executes a run: owner strings, and whether their process still lives.

An owner is ``host:boot:pid:nonce``. A process of the same boot (and the same pid namespace, so that containers
do not judge each other) is known to be dead at once; of all others only the lease's end tells.
"""

from __future__ import annotations

import os
import secrets
import socket
from functools import cache
from pathlib import Path
from typing import NamedTuple


class Owner(NamedTuple):
    """The parts of an owner string. ``nonce`` begins with the process's start time in ticks since boot."""

    host: str
    boot: str
    pid: int
    nonce: str

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """The parts, or None if it is no owner string."""
        parts = text.split(":")
        if len(parts) != 4 or not parts[2].isdecimal():
            return None
        return cls(parts[0], parts[1], int(parts[2]), parts[3])

    def __str__(self) -> str:
        return f"{self.host}:{self.boot}:{self.pid}:{self.nonce}"


def owner_id() -> str:
    """A new owner string for this process. No two calls give the same."""
    pid = os.getpid()
    started = _start_time(pid) or "-"
    return str(Owner(_host(), _boot(), pid, f"{started}-{secrets.token_hex(6)}"))


def is_dead(owner: str) -> bool:
    """Whether the owner's process is surely gone. False where this machine cannot know."""
    them = Owner.parse(owner)
    if them is None or _boot() == "-" or (them.host, them.boot) != (_host(), _boot()):
        return False
    started = _start_time(them.pid)
    if started is None:
        return True
    recorded = them.nonce.partition("-")[0]
    return recorded.isdecimal() and started != recorded


@cache
def _host() -> str:
    return socket.gethostname().replace(":", "_") or "localhost"


@cache
def _boot() -> str:
    """The boot id and the pid namespace; ``-`` where there is no /proc, so that only expiry counts."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return "-"
    return f"{boot}.{namespace}"


def _start_time(pid: int) -> str | None:
    """When the process started, in ticks since boot; None if there is none, or it is only not yet reaped."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    # the second field is the program's name in parentheses, and may itself hold both
    fields = stat.rpartition(b")")[2].split()
    if len(fields) < 20 or fields[0] in (b"Z", b"X"):
        return None
    return fields[19].decode("ascii")
