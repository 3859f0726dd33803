"""Storm control between real processes: a breaker is shared, and a hedge that was cut off is paid once and not lost."""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import storm_target

from guardflow.testing import FaultServer, ForkServer, Reply
from guardflow.testing.wire import last_user_text

TARGET = str(Path(storm_target.__file__))
GOOD = Reply.json({"text": "fine"})


@pytest.fixture(params=["sqlite", "postgres"])
def durable(request: pytest.FixtureRequest) -> str | None:
    """A database that outlives its processes: None is the SQLite file in the home."""
    return request.getfixturevalue("postgres_database") if request.param == "postgres" else None


def test_a_breaker_that_one_process_opened_is_open_in_the_next(
    forks: ForkServer, durable: str | None, tmp_path: Path
) -> None:
    out = Reply.status(503).but(headers={"Retry-After": "600"})
    with FaultServer(out) as dead, FaultServer(GOOD) as alive:
        job = {"home": str(tmp_path), "database": durable, "dead": dead.base_url, "alive": alive.base_url}
        sent = list[int]()
        for run in ("first", "second"):
            told = forks.run(f"{TARGET}:outage", {**job, "run": run}).returned()
            assert isinstance(told, dict)
            assert told["output"] == ["fine"] * 15
            sent.append(dead.count)
        assert 10 <= sent[0] <= 15
        assert sent[1] == sent[0]
        assert alive.count == 30


class Slow:
    """A server that never answers the first request about the last word; its hedge it answers, or kills who asks."""

    def __init__(self, pid: Path, *, kills: bool) -> None:
        self.asked = Counter[int]()
        self._pid, self._kills = pid, kills

    def __call__(self, body: Mapping[str, Any]) -> Reply:
        found = re.search(r"^\d+$", last_user_text(dict(body)), re.MULTILINE)
        assert found is not None
        word = int(found[0])
        self.asked[word] += 1
        if word < storm_target.HEDGED:
            return GOOD
        if self._kills and self.asked[word] == 2:
            os.kill(int(self._pid.read_text()), signal.SIGKILL)
            return Reply.dropped()
        return GOOD.but(delay=60) if self.asked[word] == 1 else GOOD


@pytest.mark.parametrize("when", ["before the answer", "after the answer"])
def test_a_run_killed_around_the_answer_to_a_hedge_asks_again_only_for_what_nobody_answered(
    forks: ForkServer, durable: str | None, tmp_path: Path, when: str
) -> None:
    unanswered = when == "before the answer"
    slow = Slow(tmp_path / "pid", kills=unanswered)
    if not unanswered:
        (tmp_path / "dies").touch()
    with FaultServer(answer=slow) as server:
        job = {"home": str(tmp_path), "database": durable, "server": server.base_url, "run": "h"}
        assert forks.run(f"{TARGET}:hedged", job).killed
        before = slow.asked.copy()
        assert before[storm_target.HEDGED] == 2
        told = forks.run(f"{TARGET}:hedged", job).returned()
        sent = server.count
    assert isinstance(told, dict)
    assert told["output"] == ["fine"] * (storm_target.HEDGED + 1)
    assert slow.asked - before == ({storm_target.HEDGED: 1} if unanswered else {})
    assert isinstance(told["calls"], int)
    assert (
        sent <= told["calls"] <= sent + 4
    )  # both of a pair, and perhaps hedges that were cut off on their way
    assert told["in_doubt"]
