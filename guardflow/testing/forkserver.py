"""The process behind `guardflow.testing.crash.ForkServer`: it has imported everything and forks a child per job.

Started as ``python -m guardflow.testing.forkserver SOCKET PRELOAD...``; ends when its stdin closes. It has one
thread and no event loop, ever: a fork copies only the thread that forks, and locks of others would stay locked.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import inspect
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NoReturn, cast

from guardflow import crashpoints


@dataclass(slots=True)
class _Child:
    """A running job: who asked for it, and over which connection."""

    pid: int
    connection: socket.socket


def serve(address: str, preload: list[str]) -> None:
    """Import ``preload``, listen at ``address`` (AF_UNIX), say so on stdout, fork until stdin closes."""
    for name in preload:
        load(name)
    _check_alone(preload)
    gc.collect()
    gc.freeze()  # so that a child's collector does not copy every page of ours
    woken, waker = socket.socketpair()
    woken.settimeout(0)
    waker.settimeout(0)
    signal.signal(signal.SIGCHLD, _wake)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(address)
    listener.listen(64)
    _Server(listener, woken).run()


class _Server:
    def __init__(self, listener: socket.socket, woken: socket.socket) -> None:
        self.listener = listener
        self.woken = woken
        self.children: dict[int, _Child] = {}
        self.select = selectors.DefaultSelector()

    def run(self) -> None:
        self.select.register(self.listener, selectors.EVENT_READ, self.accept)
        self.select.register(self.woken, selectors.EVENT_READ, self.reap)
        self.select.register(sys.stdin, selectors.EVENT_READ, None)
        print("ready", flush=True)
        while True:
            for key, _ in self.select.select():
                if key.data is None:  # stdin closed: whoever started us is gone
                    for child in self.children.values():
                        _kill_group(child.pid)
                    return
                key.data()

    def accept(self) -> None:
        connection, _ = self.listener.accept()
        with connection.makefile(
            "rb"
        ) as lines:  # a job is one line, written at once: no need to wait for others
            line = lines.readline()
        if not line:
            connection.close()
            return
        pid = os.fork()
        if pid == 0:
            self.close_in_child()
            _run_child(connection, json.loads(line))
        child = self.children[pid] = _Child(pid, connection)
        self.select.register(connection, selectors.EVENT_READ, lambda: self.give_up(child))

    def give_up(self, child: _Child) -> None:
        """The other end hung up: nobody waits for this child any more."""
        if child.connection.fileno() < 0:
            return  # `reap` has just closed it: both came with one `select`
        self.select.unregister(child.connection)
        child.connection.close()
        if child.pid in self.children:
            _kill_group(child.pid)

    def reap(self) -> None:
        self.woken.recv(4096)
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            child = self.children.pop(pid, None)
            if child is None or child.connection.fileno() < 0:
                continue
            self.select.unregister(child.connection)
            code = os.waitstatus_to_exitcode(status)
            report = {"exit": code if code >= 0 else None, "signal": -code if code < 0 else None}
            try:
                child.connection.sendall(b"\n" + json.dumps(report).encode() + b"\n")
            except OSError:
                pass  # it hung up meanwhile, and the child is gone already
            child.connection.close()

    def close_in_child(self) -> None:
        """A child must not hold what is the server's: its port, its clients, its signal wiring."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self.select.close()
        self.listener.close()
        self.woken.close()
        for child in self.children.values():
            child.connection.close()


def _run_child(connection: socket.socket, job: Mapping[str, Any]) -> NoReturn:
    """Run one job to its end. Never returns: the server's own stack must not unwind in a child."""
    code = 1
    try:
        os.setpgid(0, 0)
        output = os.open(job["output"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(output, 1)
        os.dup2(output, 2)
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.environ.update(job["env"])
        if job["cwd"]:
            os.chdir(job["cwd"])
        crashpoints.arm_from(os.environ)
        result = call(job["target"], job["args"])
        connection.sendall(json.dumps({"result": result}).encode())
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  # the last frame of this process: whatever it was, it is printed
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def call(target: str, args: list[Any]) -> object:
    """Call ``module:function`` or ``path/to/file.py:function``; a coroutine is run to its end."""
    place, _, name = target.rpartition(":")
    function = cast("Callable[..., object]", getattr(load(place), name))
    made = function(*args)
    if inspect.iscoroutine(made):
        import asyncio

        return asyncio.run(cast("Coroutine[Any, Any, object]", made))
    return made


def load(place: str) -> ModuleType:
    """Import a module by its name, or a file by its path (once)."""
    if not place.endswith(".py"):
        return importlib.import_module(place)
    name = "guardflow_forked_" + "".join(c if c.isalnum() else "_" for c in os.path.abspath(place))
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, place)
    if spec is None or spec.loader is None:
        raise ImportError(f"{place!r} is no Python file")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _check_alone(preload: list[str]) -> None:
    """Refuse to fork beside other threads: their locks would never open in the child."""
    count = threading.active_count()
    try:
        with open("/proc/self/status") as status:
            count = max(count, *(int(line.split()[1]) for line in status if line.startswith("Threads:")))
    except OSError:
        pass  # not Linux: only Python's own threads can be counted
    if count != 1:
        raise RuntimeError(
            f"importing {preload!r} started {count - 1} threads: preload modules that start none"
        )


def _wake(number: int, frame: object) -> None:
    """Nothing: but with a handler installed, SIGCHLD writes to the wakeup socket."""


def _kill_group(pid: int) -> None:
    for kill in (
        os.kill,
        os.killpg,
    ):  # in this order: one that leads no group yet must not begin one in between
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # gone already, or never the leader of a group


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2:])
