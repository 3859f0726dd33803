"""The model of the crash tests: a fault server that says the same to the same question, and counts what it sells.

It runs in the test's own process, so that killing a child changes nothing here.
"""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import crash_research
import crash_votes

from guardflow.testing import FaultServer, Reply
from guardflow.testing.wire import last_user_text
from guardflow.values import Usage

NANO_IN, NANO_OUT = 1000, 2000
"""Billionths of a dollar a token, as `crash_target.settings_for` prices the model."""


class Teacher:
    """What the fault server says: a function of what is asked, but for one 429; it counts all it sells.

    Args:
        pid: the file in which the running child leaves its process id.
    """

    def __init__(self, pid: Path) -> None:
        self.pid = pid
        self.server = FaultServer(answer=self.answer)
        self.kill_at = 0
        """Kill the child while this request (from 1) is in its hands; 0 never does."""
        self.tokens = self.nano = 0
        self.refused: set[str] = set()
        self.delay = 0.0

    def answer(self, body: Mapping[str, Any]) -> Reply:
        if self.server.count == self.kill_at:
            os.kill(int(self.pid.read_text()), signal.SIGKILL)
            self._sold(Usage(50, 5))  # a provider would have answered, and sent its bill
            return Reply.dropped()
        reply = self._reply(body)
        if reply.code == 200:
            usage = Usage(input=len(last_user_text(dict(body))), output=7 + len(body["messages"]))
            self._sold(usage)
            reply = reply.but(usage=usage)
        return reply.but(delay=max(reply.delay, self.delay))

    def _sold(self, usage: Usage) -> None:
        self.tokens += usage.total
        self.nano += usage.input * NANO_IN + usage.output * NANO_OUT

    def settle(self) -> None:
        """Wait until everything that a dead child had sent is read and counted."""
        with closing(
            HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        ) as last:  # it queues behind all others
            last.request("GET", "/_stats")
            last.getresponse().read()
        until = time.monotonic() + 60
        while self.server._connections:
            assert time.monotonic() < until, "a connection of a dead child stays open"
            time.sleep(0.002)

    def _reply(self, body: Mapping[str, Any]) -> Reply:
        messages: Sequence[Mapping[str, str]] = body["messages"]
        first, again = messages[0]["content"], len(messages) > 2
        text = last_user_text(dict(body)) if not again else messages[1]["content"]
        if (said := crash_research.reply(first, text, again=again)) is not None:
            return said
        if (cast := crash_votes.reply(body, self.refused)) is not None:
            return cast
        if "You plan searches" in first:
            return Reply.json({"queries": ["north rivers", "south rivers", "east lakes", "salt lakes"]})
        if "Copy the one sentence" in first:
            page = re.search(r"\w+ (?:rivers|lakes) (?:flow|lie) \w+\. [^.\n]+\.", text)
            assert page is not None
            if "south" in page[0] and not again:
                return Reply.json({"quote": "Rivers are long in the south."})  # which the guard rejects
            return Reply.json({"quote": page[0].split(". ")[0]})
        if "from the numbered quotes" in first:
            if not again:
                return Reply.text('{"text": "They fl')
            return Reply.json({"text": "They flow north and south.", "quotes": [0, 1]})
        return self._task(first, text, again=again)

    def _task(self, first: str, text: str, *, again: bool) -> Reply:
        name = re.search(r"TASK (\w+)", first)
        assert name is not None
        if name[1] == "judge":
            return Reply.json({"text": "kind" if "please" in first + text else "rude"})
        found = re.search(r"w-[\w-]+", text)
        assert found is not None
        word = found[0]
        match name[1], word, again:
            case "write", "w-word-1", False:
                return Reply.json({"wrong": 1})
            case "judged", _, False:
                return Reply.json({"text": f"{word} rudely"})
            case "judged", _, True:
                return Reply.json({"text": f"{word} please"})
            case "tag", "w-word-b", _ if word not in self.refused:
                self.refused.add(word)
                return Reply.rate_limited(retry_after=0)
            case "tag", "w-word-d", _:
                return Reply.refusal()
            case "tortoise", _, _:
                return Reply.slow(600, then=Reply.json({"text": "tortoise"}))
            case "hare", _, _:
                alone = self.server.in_flight == 0  # the tortoise, which is asked too, is still on its way
                return Reply.slow(5 if alone else 0.02, then=Reply.json({"text": f"{word} hare"}))
            case _:
                return Reply.json({"text": f"{name[1]} {word}"})
