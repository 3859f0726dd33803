"""``guardflow`` in a process of its own that gives itself signals at chosen moments, and asks no provider.

When: ``{"import": MODULE}``, as a module is first looked for; ``{"at": "NAME:NTH"}``, at a crash point;
``{"call": NTH}``, while that model call is in flight; ``"signals"`` says how many, ``"sort"`` of which sort.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any, cast


class Interrupting:
    """Sends the signal when a module is first looked for. It finds nothing itself."""

    def __init__(self, module: str, interrupt: Callable[[], None]) -> None:
        self._module, self._interrupt = module, interrupt

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name == self._module:
            cast("list[object]", sys.meta_path).remove(self)
            self._interrupt()
        return None


def main(when: dict[str, Any], *args: str) -> None:
    """Run the command line; ends by SystemExit, or at once."""
    sys.argv = ["guardflow", *args]
    number = getattr(signal, when.get("sort", "SIGINT"))

    def interrupt() -> None:
        for _ in range(when.get("signals", 1)):
            os.kill(os.getpid(), number)

    if "import" in when:
        cast("list[object]", sys.meta_path).insert(0, Interrupting(when["import"], interrupt))
    if "at" in when:
        from guardflow import crashpoints

        name, _, nth = when["at"].rpartition(":")
        vars(crashpoints)["signal"] = SimpleNamespace(SIGKILL=number)
        crashpoints.arm(name, int(nth))
    from research_script import obliging

    from guardflow.models.routing import override_clients
    from guardflow.testing import Scripted

    calls = 0

    async def answer(request: Any) -> object:
        nonlocal calls
        calls += 1
        if calls == when.get("call"):
            interrupt()
            await asyncio.sleep(6000)
        return obliging(str([message.content for message in request.messages]))

    override_clients.set({"*": Scripted(answer)})
    from guardflow.cli import main as guardflow

    guardflow()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), *sys.argv[2:])
