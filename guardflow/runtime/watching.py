"""Live events of runs, from the process that executes them to whoever watches. Nothing is stored."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import anyio
from anyio.streams.memory import MemoryObjectSendStream

from guardflow.events import Event, RunFinished

_BUFFER = 10_000
"""Events a slow watcher may lag behind before it misses some."""


class Watchers:
    """The open streams of watchers, by run."""

    def __init__(self) -> None:
        self._streams: dict[str, list[MemoryObjectSendStream[Event]]] = {}
        self._parents: dict[str, str] = {}

    def adopt(self, child: str, *, parent: str) -> None:
        """Show the events of a child run to who watches its parent, until the child ends."""
        self._parents[child] = parent

    def publish(self, event: Event) -> None:
        """Hand an event to the watchers of its run and of the runs above it; never blocks."""
        run: str | None = event.run_id
        while run is not None:
            for stream in self._streams.get(run, ()):
                try:
                    stream.send_nowait(event)
                except (anyio.WouldBlock, anyio.BrokenResourceError):
                    continue
            run = self._parents.get(run)
        if isinstance(event, RunFinished):
            self._parents.pop(event.run_id, None)

    async def watch(self, run_id: str) -> AsyncGenerator[Event]:
        """The run's events and those of its child runs from now on, up to its end."""
        send, receive = anyio.create_memory_object_stream[Event](_BUFFER)
        self._streams.setdefault(run_id, []).append(send)
        try:
            async with receive:
                async for event in receive:
                    yield event
                    if isinstance(event, RunFinished) and event.run_id == run_id:
                        return
        finally:
            send.close()
            streams = self._streams.get(run_id, [])
            if send in streams:
                streams.remove(send)
            if not streams:
                self._streams.pop(run_id, None)

    def end(self, run_id: str) -> None:
        """Nothing more will come of a run: whoever watches it reads what is there already, and ends."""
        for stream in self._streams.pop(run_id, ()):
            stream.close()
