"""`first_of`: the first of several stage calls to end well, recorded, so that a replay does not race again."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Generic, TypeVar, cast

import anyio

from guardflow.errors import StageEnded, StageError

from .protocols import Envelope
from .scope import pipeline_scope

T = TypeVar("T")


async def first_of(*calls: Coroutine[object, None, T]) -> T:
    """Run stage calls side by side; return the first value, cancel the rest.

    Which one won is recorded: a replay awaits only the winner, whose result is stored, and pays nothing.

    Args:
        calls: stage calls made in this very expression, ``first_of(fast(q), slow(q))``.

    Raises:
        StageEnded: none of them ended with a value; the last one's end.
    """
    scope = pipeline_scope("first_of")
    if not calls:
        raise StageError("first_of got nothing to run", hint="give it at least one stage call")
    step = scope.engine.reserve()
    await scope.renewed(step, "first_of", "")
    stored = await scope.engine.peek(step)
    if stored is not None and stored.get("winner") is not None:
        winner = cast("int", stored["winner"])
        for index, call in enumerate(calls):
            if index != winner:
                call.close()
        await scope.engine.step(step, "first_of", _never)
        return await calls[winner]
    race: _Race[T] = _Race()
    async with anyio.create_task_group() as group:
        for index, call in enumerate(calls):
            group.start_soon(race.run, index, call, group.cancel_scope)
    if race.error is not None:
        raise race.error

    async def body() -> Envelope:
        status = "ok" if race.winner is not None else "failed"
        return {"v": 1, "name": "first_of", "in": "", "status": status, "winner": race.winner}

    await scope.engine.step(step, "first_of", body)
    if race.winner is None:
        raise cast("StageEnded", race.ended)
    return cast("T", race.value)


async def _never() -> Envelope:
    raise StageError("first_of was about to race again on replay", hint="report this as a bug")


class _Race(Generic[T]):
    def __init__(self) -> None:
        self.winner: int | None = None
        self.value: T | None = None
        self.ended: StageEnded | None = None
        self.error: Exception | None = None

    async def run(self, index: int, call: Coroutine[object, None, T], scope: anyio.CancelScope) -> None:
        try:
            value = await call
        except StageEnded as ended:
            self.ended = ended
            return
        except Exception as error:  # noqa: BLE001  # raised by `first_of`, without the group around it
            self.error = error
            scope.cancel()
            return
        if self.winner is None:
            self.winner, self.value = index, value
            scope.cancel()
