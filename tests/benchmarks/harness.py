"""How a peer is measured: in a process of its own, in turns with the others, medians of what it reports.

`run` uses it. A peer reports lists of numbers by metric; nothing here knows what they mean.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

WORKER = Path(__file__).with_name("worker.py")


class Stopwatch:
    """Wall time, and CPU time (user and system, all threads) of this process, since it was made."""

    def __init__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def cpu(self) -> float:
        """Seconds of CPU."""
        return time.process_time() - self._cpu

    def wall(self) -> float:
        """Seconds."""
        return time.perf_counter() - self._wall


def ask(peer: str, folder: Path, **options: object) -> Mapping[str, float]:
    """Run a peer in a new process and give the median of each of its metrics.

    Args:
        peer: its name in `worker.PEERS`.
        folder: where it works: it may write what it likes there.
        options: JSON values for the peer.
    """
    return ask_each(folder, (peer, options))[0]


def ask_each(folder: Path, *peers: tuple[str, Mapping[str, object]]) -> Sequence[Mapping[str, float]]:
    """The same for several peers one after the other in one new process, which imports what they use once."""
    folder.mkdir(parents=True, exist_ok=True)
    pairs = [part for peer, options in peers for part in (peer, json.dumps(options))]
    command = [sys.executable, str(WORKER), *pairs]
    ran = subprocess.run(
        command, cwd=folder, env=environment(), stdout=subprocess.PIPE, text=True, check=False
    )
    if ran.returncode:
        names = ", ".join(peer for peer, _ in peers)
        raise RuntimeError(f"{names} ended with code {ran.returncode}: read what was written above")
    said: Sequence[Mapping[str, Sequence[float]]] = [
        json.loads(line) for line in ran.stdout.splitlines()[-len(peers) :]
    ]
    return [{metric: statistics.median(values) for metric, values in one.items()} for one in said]


@cache
def environment() -> Mapping[str, str]:
    """What the processes of peers find: a place for bytecode, where this one was told to write none.

    Else each of them compiles litellm for itself, which takes longer than measuring it.
    """
    found = dict(os.environ)
    if found.pop("PYTHONDONTWRITEBYTECODE", ""):
        found["PYTHONPYCACHEPREFIX"] = folder = tempfile.mkdtemp(prefix="gfbytecode")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return found


@dataclass
class Series:
    """What the repetitions of a benchmark gave: one number a repetition, for each peer and metric."""

    numbers: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, peer: str, metrics: Mapping[str, float]) -> None:
        for metric, value in metrics.items():
            self.numbers.setdefault((peer, metric), []).append(value)

    def median(self, peer: str, metric: str) -> float:
        return statistics.median(self.numbers[peer, metric])

    def ratios(self, ours: tuple[str, str], theirs: tuple[str, str]) -> list[float]:
        """Ours over theirs, each pair from one repetition, so that a machine that slows down slows both."""
        pairs = zip(self.numbers[ours], self.numbers[theirs], strict=True)
        return [mine / other for mine, other in pairs]


@dataclass(frozen=True)
class Row:
    """A line of the table. ``least`` and ``most`` are the target; neither is context."""

    what: str
    values: Sequence[float]
    most: float | None = None
    least: float | None = None
    detail: str = ""

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none."""
        if self.most is not None:
            return self.value <= self.most
        return None if self.least is None else self.value >= self.least


def table(rows: Sequence[Row]) -> str:
    """The rows as text, a line each."""
    lines = [("what", "median", "lowest..highest", "target", "", "detail")]
    for row in rows:
        target = "" if row.met is None else f">= {row.least:g}" if row.most is None else f"<= {row.most:g}"
        verdict = {True: "met", False: "MISSED", None: ""}[row.met]
        spread = f"{min(row.values):.3f}..{max(row.values):.3f}"
        lines.append((row.what, f"{row.value:.3f}", spread, target, verdict, row.detail))
    widths = [max(len(line[column]) for line in lines) for column in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(line, widths, strict=False)), line[5]]).rstrip()
        for line in lines
    )
