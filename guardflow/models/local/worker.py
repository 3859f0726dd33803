"""The one thread that computes: every loaded model of the process, one request at a time, first come, first served.

`LocalClient` uses it, from any event loop. Loading is shared: a file is in memory once, until soon after its last user went.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import anyio

from guardflow.models.local.engine import Engine

T = TypeVar("T")

LINGER = 30.0
"""Seconds a model stays loaded without a user: stages that are called one by one, outside of a run, share it."""


class Key(NamedTuple):
    """What makes two loaded models the same one."""

    weights: Path
    context: int


@dataclass(slots=True)
class _Loaded:
    engine: Future[Engine]
    users: int = 0
    leaving: threading.Timer | None = None


@dataclass(slots=True)
class _Process:
    thread: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(1, thread_name_prefix="guardflow-local")
    )
    lock: threading.Lock = field(default_factory=threading.Lock)
    loaded: dict[Key, _Loaded] = field(default_factory=dict[Key, _Loaded])


_process = _Process()


def acquire(key: Key) -> Future[Engine]:
    """The loaded model, which begins to load now if nobody uses it yet. Give it back with `release`."""
    with _process.lock:
        loaded = _process.loaded.get(key)
        if loaded is None or (loaded.engine.done() and loaded.engine.exception() is not None):
            users = 0 if loaded is None else loaded.users
            loaded = _process.loaded[key] = _Loaded(_process.thread.submit(Engine, *key), users)
        loaded.users += 1
        if loaded.leaving is not None:
            loaded.leaving.cancel()
        return loaded.engine


def release(key: Key) -> None:
    """One user less. After the last one the model stays for `LINGER` seconds, for the next one."""
    process = _process
    with process.lock:
        loaded = process.loaded.get(key)
        if loaded is None:
            return  # of the process that this one was forked from
        loaded.users -= 1
        if loaded.users == 0:
            loaded.leaving = threading.Timer(LINGER, _unload_unused, (process, key))
            loaded.leaving.daemon = True
            loaded.leaving.start()


async def compute(job: Callable[[Callable[[], bool]], T]) -> T:
    """Run a job on the thread when its turn comes.

    A cancelled caller waits until the job has noticed, which takes a token or a portion of a prompt: nothing is
    ever left computing for nobody.

    Args:
        job: is given a function that says whether to give up.
    """
    given_up = threading.Event()
    future = _process.thread.submit(job, given_up.is_set)
    try:
        await _ended(future)
        return future.result()
    finally:
        given_up.set()
        if not future.cancel() and not future.done():
            with anyio.CancelScope(shield=True):
                await _ended(future)
        # An error holds this frame, and the frame would hold the error, and both of them the model.
        del future, job


async def _ended(future: Future[T]) -> None:
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def tell(_: Future[T]) -> None:
        try:
            loop.call_soon_threadsafe(ended.set)
        except RuntimeError:
            pass  # the loop is closed: nobody waits any more

    future.add_done_callback(tell)
    await ended.wait()


def _unload_unused(process: _Process, key: Key) -> None:
    with process.lock:
        loaded = process.loaded.get(key)
        if loaded is None or loaded.users:
            return
        del process.loaded[key]
        try:
            process.thread.submit(_close, loaded.engine)  # in its turn, after whatever is computed
        except RuntimeError:
            pass  # the interpreter is going, and all memory with it


def _close(engine: Future[Engine]) -> None:
    if not engine.cancel() and engine.exception() is None:
        engine.result().close()


def _forget_in_child() -> None:
    """After a fork: the threads are gone, and freeing a model would wait for them. Its memory is left alone."""
    global _process  # noqa: PLW0603  # one process has one thread that computes
    for loaded in _process.loaded.values():
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded))
    _process = _Process()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_in_child)
