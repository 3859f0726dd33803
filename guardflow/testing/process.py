"""The fault server in a process of its own: for benchmarks, and for tests that kill the code under test.

``python -m guardflow.testing.server`` runs `main`; `FaultProcess` starts that and reads its counts over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from guardflow.errors import UsageError
from guardflow.testing.reply import Reply
from guardflow.testing.script import Rule, Script, script_to_json
from guardflow.testing.server import FaultServer


def main(argv: list[str] | None = None) -> None:
    """Serve until killed. Prints the port as the first line of stdout, once it listens."""
    parser = argparse.ArgumentParser(prog="python -m guardflow.testing.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--script", type=Path, help="a JSON file; see guardflow.testing.script")
    parser.add_argument("--keep", type=int, default=1_000, help="requests to keep for GET /_requests")
    parser.add_argument("--with-parent", action="store_true", help="end when the starting process ends")
    given = parser.parse_args(argv)
    try:
        script = Script.from_json(json.loads(given.script.read_text())) if given.script else Script()
    except (UsageError, OSError, ValueError) as error:
        print(f"guardflow.testing.server: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    server = FaultServer(port=given.port, keep=given.keep, script=script)

    async def serve() -> None:
        if given.with_parent:
            watch_parent(server)
        await server.serve(on_ready=lambda: print(server.port, flush=True))

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        raise SystemExit(130) from None


def watch_parent(server: FaultServer) -> None:
    """Look twice a second whether the starting process is still there."""
    loop, parent = asyncio.get_running_loop(), os.getppid()

    def look() -> None:
        if os.getppid() != parent:
            server.stop()
        else:
            loop.call_later(0.5, look)

    look()


class FaultProcess:
    """A fault server in its own process, started and read from here. It ends with the block, or with us.

        with FaultProcess(Reply.echo().but(delay=0.3)) as server:
            ...  # send requests to server.base_url
        print(server.stats()["requests"])

    Args:
        replies: as for `FaultServer`. Functions cannot be given: they do not cross processes.
        rules: as for `FaultServer`.
        keep: how many requests to keep for `requests`.
    """

    def __init__(self, *replies: Reply, rules: Sequence[Rule] = (), keep: int = 1_000) -> None:
        self._spec = script_to_json(replies, rules=rules)
        self._keep = keep
        self._process: subprocess.Popen[str] | None = None
        self.port = 0

    @property
    def base_url(self) -> str:
        """What an OpenAI client wants as its base: ``http://127.0.0.1:PORT/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def pid(self) -> int:
        """The process, for reading its CPU time."""
        return self._process.pid if self._process is not None else 0

    def stats(self) -> dict[str, Any]:
        """``requests``, ``in_flight``, ``max_in_flight`` and ``by_key``, now."""
        return cast("dict[str, Any]", self._ask("GET", "/_stats"))

    def requests(self) -> list[dict[str, Any]]:
        """The last requests: ``body``, ``at``, ``key``."""
        return cast("list[dict[str, Any]]", self._ask("GET", "/_requests"))

    def reset(self) -> None:
        """Forget all counts and requests."""
        self._ask("POST", "/_reset")

    def script(self, *replies: Reply, rules: Sequence[Rule] = ()) -> None:
        """Answer the next requests like this. Counts go on."""
        self._ask("POST", "/_script", script_to_json(replies, rules=rules))

    def start(self) -> Self:
        """Start it and wait until it listens. ``with`` does this."""
        if self._process is not None:
            return self
        command = [
            sys.executable,
            "-m",
            "guardflow.testing.server",
            "--with-parent",
            "--keep",
            str(self._keep),
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line.strip().isdigit():
            code = self._process.wait()
            self.close()
            raise UsageError(f"the fault server ended with code {code}", hint="read what it wrote to stderr")
        self.port = int(line)
        self._ask("POST", "/_script", self._spec)
        return self

    def close(self) -> None:
        """Kill it. Idempotent."""
        if self._process is not None:
            process, self._process = self._process, None
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()

    def _ask(self, method: str, path: str, body: object = None) -> object:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body=None if body is None else json.dumps(body))
            response = connection.getresponse()
            said = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise UsageError(f"the fault server refused {path!r}: {said['error']['message']}")
        return said

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
