"""Who gets typed answers out of a server that fails half of the time: guardflow, instructor, pydantic-ai, best of 5.

`run.py --only faulty` prints it. Every contestant gets its own server, and all servers draw the same faults. Shares
have Wilson intervals; a difference is one of the same questions, with its interval.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from harness import WORKER, Row
from invoices import SHARES, drawn
from votes import mean

from guardflow.stats import wilson
from guardflow.testing import FaultServer, Reply

PYDANTIC_AI = "BENCH_PYDANTIC_AI"
"""The environment variable that names a Python with pydantic-ai, where this one has none."""
DELAY, LATE = 0.05, 2.0
"""Seconds of a reply, and of one that comes too late."""


@dataclass(frozen=True)
class Contestant:
    """A peer, its options, and what the table calls it."""

    name: str
    peer: str
    options: Mapping[str, object] = field(default_factory=dict[str, object], hash=False)


# Nearly half of the ballots are spoiled here: eleven leave room for two more right answers than any other.
OURS = Contestant(
    "guardflow, vote ahead_by(2) of 11", "faulty-guardflow", {"rule": "ahead_by(2)", "most": 11}
)
RIVALS = (
    Contestant("best of 5", "faulty-best"),
    Contestant("best of 5 with the check", "faulty-best", {"checked": True}),
    Contestant("instructor, max_retries=5", "faulty-instructor"),
    Contestant("pydantic-ai, FallbackModel", "faulty-pydantic-ai"),
    Contestant("guardflow, ladder without a vote", "faulty-guardflow"),
)
CONTESTANTS = (
    OURS,
    Contestant("guardflow, vote majority(3) of 8", "faulty-guardflow", {"rule": "majority(3)", "most": 8}),
    *RIVALS,
)


@dataclass
class Faults:
    """What one server says: the n-th request about an invoice is answered alike whoever asks."""

    asked: Counter[int] = field(default_factory=Counter[int])

    def __call__(self, body: Mapping[str, object]) -> Reply:
        found = re.search(r"Invoice no\. (\d+) of", json.dumps(body["messages"]))
        assert found is not None, body
        number = int(found[1])
        fault, content = drawn(number, self.asked[number])
        self.asked[number] += 1
        match fault:
            case "refused":
                reply = Reply.refusal()
            case "limited":
                reply = Reply.rate_limited()
            case "late":
                return Reply.text(content).but(delay=LATE)
            case _:
                reply = Reply.text(content)
        return reply.but(delay=DELAY)


@dataclass(frozen=True)
class Result:
    """What a contestant made of each question (1 right, -1 wrong, 0 nothing), and what it asked for it."""

    came: Sequence[float]
    calls: Sequence[int]
    p95: float

    def share(self, what: int) -> tuple[float, float, float]:
        """The share of such questions, and its 95 % interval."""
        count, of = sum(one == what for one in self.came), len(self.came)
        return (count / of, *wilson(count, of))


def faulty_rows(questions: int, folder: Path) -> Sequence[Row]:
    """A line for each contestant, and ours against each rival."""
    results = {one: compete(one, questions, folder / str(n)) for n, one in enumerate(CONTESTANTS)}
    lines: list[Row] = []
    for one, result in results.items():
        if result is None:
            absent = f"not measured: name a Python that has it in {PYDANTIC_AI}"
            lines.append(Row(f"  {one.name}", [float("nan")], detail=absent))
            continue
        said = f"{_percent('wrong', result.share(-1))}; {_percent('none', result.share(0))}; "
        said += f"{sum(result.calls) / questions:.2f} calls, p95 {result.p95:.2f} s"
        lines.append(Row(f"  {one.name}", result.share(1), detail=said))
    ours = results[OURS]
    assert ours is not None
    for rival in RIVALS:
        if (theirs := results[rival]) is not None:
            lines += _against(rival.name, ours, theirs)
    head = ", ".join(f"{100 * share:g} % {fault}" for fault, share in SHARES.items())
    title = f"share right of {questions} questions, the server being faulty"
    return [Row(title, [SHARES["right"]], detail=f"a single answer: {head}"), *lines]


def compete(one: Contestant, questions: int, folder: Path) -> Result | None:
    """Let a contestant ask a fresh server. None if it is not installed."""
    python = _python_of(one.peer)
    if python is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    faults = Faults()
    with FaultServer(answer=faults, keep=1) as server:
        options = {"server": server.base_url, "questions": questions, **one.options}
        command = [python, str(WORKER), one.peer, json.dumps(options)]
        ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{one.name!r} ended with code {ran.returncode}: {ran.stderr}")
    said: Mapping[str, Sequence[float]] = json.loads(ran.stdout.splitlines()[-1])
    numbers = range(questions)
    return Result([said[str(n)][0] for n in numbers], [faults.asked[n] for n in numbers], said["p95"][0])


def _against(name: str, ours: Result, theirs: Result) -> list[Row]:
    def points(what: int) -> tuple[float, float, float]:
        pairs = zip(ours.came, theirs.came, strict=True)
        return mean([100.0 * ((mine == what) - (other == what)) for mine, other in pairs])

    fewer = mean([float(mine - other) for mine, other in zip(ours.calls, theirs.calls, strict=True)])
    calls = f"{sum(ours.calls) / len(ours.calls):.2f} / {sum(theirs.calls) / len(theirs.calls):.2f}"
    return [
        Row(f"the vote less {name}: right, in points", points(1), least=0),
        Row("  wrong let through, in points", points(-1), most=0),
        Row("  calls a question", fewer, most=0, detail=calls),
        Row("  p95, s", [ours.p95 - theirs.p95], detail=f"{ours.p95:.2f} / {theirs.p95:.2f}"),
    ]


def _python_of(peer: str) -> str | None:
    if peer != "faulty-pydantic-ai":
        return sys.executable
    return os.environ.get(PYDANTIC_AI) or (sys.executable if find_spec("pydantic_ai") else None)


def _percent(what: str, share: tuple[float, float, float]) -> str:
    return "{} {:.1f} % [{:.1f}, {:.1f}]".format(what, *(100 * part for part in share))
