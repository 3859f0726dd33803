"""Kill real processes at named points, hundreds of times: the tools of a crash matrix.

`ForkServer` runs jobs in forked children and says truthfully how each ended; `enumerate_points` lists where a
job can be killed; `run_and_kill` kills it there. No mocks: the signal is SIGKILL.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

from guardflow.crashpoints import ENV_CRASH, ENV_LOG, CrashPoint
from guardflow.crashpoints import hit as crash_point
from guardflow.errors import RunError, UsageError
from guardflow.hashing import JSON

__all__ = ["ChildExit", "CrashPoint", "ForkServer", "Job", "crash_point", "enumerate_points", "run_and_kill"]

PRELOAD = ("guardflow", "pydantic", "anyio", "sqlalchemy", "dbos")
"""What a fork server has imported by default: what every durable run needs, without litellm."""


@dataclass(frozen=True, slots=True)
class ChildExit:
    """How a child ended: killed by ``signal``, or with exit ``code`` (the other one is None).

    ``result`` is what the target returned, if it returned; ``output`` is all it printed; ``seconds`` is the wall
    time from the request for the fork to the end.
    """

    signal: int | None
    code: int | None
    result: JSON
    output: str
    seconds: float

    @property
    def killed(self) -> bool:
        """Whether SIGKILL ended it."""
        return self.signal == signal.SIGKILL

    def returned(self) -> JSON:
        """The result.

        Raises:
            RunError: the child did not return; the message ends with what it printed.
        """
        if self.code != 0:
            how = (
                f"was killed by signal {self.signal}" if self.code is None else f"ended with code {self.code}"
            )
            raise RunError(f"the child {how}", hint=f"see its output:\n{self.output[-4000:]}")
        return self.result


@dataclass(frozen=True, slots=True)
class Job:
    """A target, its JSON arguments and extra environment, for `ForkServer.run_all`."""

    target: str
    args: Sequence[JSON] = ()
    env: Mapping[str, str] = field(default_factory=dict[str, str])


class ForkServer:
    """A process that has done all imports and forks a child per job, in milliseconds.

    A target is ``module:function`` or ``path/to/file.py:function``; sync or async. Arguments and result are JSON.
    `run` may be called from several threads; no more than ``concurrency`` children run at a time.

        with ForkServer(["guardflow", "my_pipeline"]) as server:
            assert server.run("my_pipeline:once", 7).returned() == {"ok": True}

    Args:
        preload: modules (or .py files) that children find imported. They must start no threads.
        timeout: seconds a child may take.
        concurrency: how many children may run at a time.
    """

    def __init__(
        self, preload: Sequence[str] = PRELOAD, *, timeout: float = 60.0, concurrency: int = 2
    ) -> None:
        self._preload = tuple(preload)
        self._timeout = timeout
        self._concurrency = concurrency
        self._slots = threading.BoundedSemaphore(concurrency)
        self._numbers = count()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def start(self) -> Self:
        """Start the process and wait until it has imported everything. ``with`` does this.

        Raises:
            UsageError: an import failed or started threads, or this system cannot fork.
        """
        if self._process is not None:
            return self
        if not hasattr(os, "fork"):
            raise UsageError("this system cannot fork", hint="run crash tests on Linux or macOS")
        self._folder = tempfile.TemporaryDirectory(prefix="gf-fork-")
        path = os.pathsep.join(part for part in sys.path if part)
        errors = Path(self._folder.name, "errors")
        with errors.open("wb") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "guardflow.testing.forkserver", self._address, *self._preload],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                env={**_environment(), "PYTHONPATH": path},
                start_new_session=True,  # Ctrl-C is for the tests; the server ends when its stdin closes
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            said = errors.read_text(errors="replace")[-4000:]
            self.close()
            raise UsageError(f"the fork server could not import {self._preload!r}", hint=f"it said:\n{said}")
        return self

    def close(self) -> None:
        """End the process and every child. Idempotent."""
        if self._process is not None:
            process, self._process = self._process, None
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()
            try:
                process.wait(30)  # killed, it would leave its children behind
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def run(
        self,
        target: str,
        *args: JSON,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        timeout: float | None = None,
    ) -> ChildExit:
        """Fork a child that calls the target, and wait for its end.

        Raises:
            TimeoutError: it took too long; it was killed, with its process group. Never reported as a crash.
        """
        if self._folder is None:
            raise UsageError("the fork server does not run", hint="use it in a `with` block")
        output = Path(self._folder.name, f"output-{next(self._numbers)}")
        job = {
            "target": target,
            "args": list(args),
            "env": dict(env or {}),
            "cwd": os.fspath(cwd) if cwd is not None else None,
            "output": str(output),
        }
        line = json.dumps(job).encode() + b"\n"
        limit = self._timeout if timeout is None else timeout
        with self._slots:
            began = time.monotonic()
            said = self._exchange(line, deadline=began + limit)
            seconds = time.monotonic() - began
        try:
            text = output.read_text(errors="replace")
        except FileNotFoundError:  # the child did not come that far, or the folder went with the server
            text = ""
        output.unlink(missing_ok=True)
        if said is None:
            raise TimeoutError(
                f"the child that ran {target!r} was still running after {limit:g} s and was killed: "
                f"give it more time (timeout=), or look at what it waits for. It printed:\n{text[-4000:]}"
            )
        return _read_exit(said, text, seconds)

    def run_all(self, jobs: Iterable[Job]) -> list[ChildExit]:
        """Run all jobs, ``concurrency`` at a time; the ends in the order of the jobs."""

        def run(job: Job) -> ChildExit:
            return self.run(job.target, *job.args, env=job.env)

        with ThreadPoolExecutor(self._concurrency) as pool:
            return list(pool.map(run, jobs))

    @property
    def _address(self) -> str:
        assert self._folder is not None
        return os.path.join(self._folder.name, "socket")

    def _exchange(self, line: bytes, *, deadline: float) -> bytes | None:
        """Send a job; return everything that came back until the end, or None at the deadline."""
        parts: list[bytes] = []
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(self._address)
            connection.sendall(line)
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    return None  # hanging up makes the server kill the child
                connection.settimeout(left)
                try:
                    part = connection.recv(65536)
                except TimeoutError:
                    return None
                if not part:
                    return b"".join(parts)
                parts.append(part)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def enumerate_points(
    server: ForkServer, target: str, *args: JSON, env: Mapping[str, str] | None = None
) -> list[CrashPoint]:
    """Run the target once, uninterrupted, and list every crash point it came through, in order.

    Raises:
        RunError: the target failed.
    """
    descriptor, path = tempfile.mkstemp(prefix="gf-points-")
    os.close(descriptor)
    try:
        server.run(target, *args, env={**(env or {}), ENV_LOG: path}).returned()
        names = Path(path).read_text().split("\n")[:-1]
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    seen: Counter[str] = Counter()
    points: list[CrashPoint] = []
    for name in names:
        seen[name] += 1
        points.append(CrashPoint(name, seen[name]))
    return points


def run_and_kill(
    server: ForkServer, target: str, *args: JSON, at: CrashPoint | str, env: Mapping[str, str] | None = None
) -> ChildExit:
    """Run the target and kill it, by SIGKILL from inside, when it comes to ``at``.

    Raises:
        RunError: it ended otherwise: it never came to that point, or it failed before.
    """
    ended = server.run(target, *args, env={**(env or {}), ENV_CRASH: str(at)})
    if not ended.killed:
        how = f"signal {ended.signal}" if ended.code is None else f"code {ended.code}"
        raise RunError(
            f"{target!r} was to die at {str(at)!r}, but ended with {how}",
            hint=f"list the points it comes through with `enumerate_points`; it printed:\n{ended.output[-4000:]}",
        )
    return ended


def _environment() -> dict[str, str]:
    """Ours, without what would arm the server itself or its children unasked."""
    return {name: value for name, value in os.environ.items() if name not in (ENV_CRASH, ENV_LOG)}


def _read_exit(said: bytes, output: str, seconds: float) -> ChildExit:
    """The last line is the server's report; before it stands the child's result, whole only if it returned."""
    lines = said.strip(b"\n").split(b"\n")
    if not lines[-1].startswith(b'{"exit"'):
        raise RunError("the fork server died", hint=f"the child printed:\n{output[-4000:]}")
    report = cast("dict[str, Any]", json.loads(lines[-1]))
    result: JSON = None
    if report["exit"] == 0 and len(lines) > 1:
        result = json.loads(lines[0])["result"]
    return ChildExit(report["signal"], report["exit"], result, output, seconds)
