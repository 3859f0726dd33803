"""What a pipeline may ask besides stages: time, chance, sleep, signals, the budget. Each is a recorded step.

Pipeline code runs again on resume, so these give the same value the second time.
"""

from __future__ import annotations

import random as _random
import uuid as _uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import cast

import anyio

from guardflow.budget import BudgetLeft
from guardflow.errors import ReplayMismatch, StageError
from guardflow.hashing import JSON

from .protocols import Envelope
from .scope import Scope, pipeline_scope

_POLL = 0.2
"""Seconds between two looks into the mailbox while waiting for a signal."""


async def now() -> datetime:
    """The time (UTC) at which the run first got here."""
    scope = pipeline_scope("now()")
    return datetime.fromtimestamp(cast("float", await _recorded(scope, "now", scope.services.clock)), tz=UTC)


async def uuid() -> _uuid.UUID:
    """A random UUID, the same one on every replay."""
    return _uuid.UUID(
        cast("str", await _recorded(pipeline_scope("uuid()"), "uuid", lambda: str(_uuid.uuid4())))
    )


async def random() -> float:
    """A random number in [0, 1), the same one on every replay. Not for secrets."""
    return cast("float", await _recorded(pipeline_scope("random()"), "random", _random.random))


async def sleep(duration: float | timedelta) -> None:
    """Sleep until ``duration`` (seconds) after the run first got here; what is over after a crash is not slept again."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else float(duration)
    if not 0 <= seconds < float("inf"):
        raise StageError(f"sleep got {duration!r}", hint="give seconds, 0 or more")
    scope = pipeline_scope("sleep()")
    clock = scope.services.clock
    wake = cast("float", await _recorded(scope, "sleep", lambda: clock() + seconds))
    async with scope.idle():
        await anyio.sleep(max(0.0, wake - clock()))


async def wait_signal(name: str, *, timeout: float | None = None) -> JSON:
    """Wait for a signal that somebody sends to this run (``Runtime.signal``, ``guardflow runs signal``).

    Args:
        name: which signal; each is received once, in the order they were sent.
        timeout: seconds to wait, counted from when the run first got here; None waits for ever.

    Returns:
        The signal's value, or None after ``timeout``.
    """
    scope = pipeline_scope(f"wait_signal({name!r})")
    mailbox = scope.mailbox
    if mailbox is None:
        raise StageError("signals need a runtime", hint="run the pipeline by Runtime.run")
    clock = scope.services.clock
    until = cast(
        "float | None",
        await _recorded(scope, "signal", lambda: None if timeout is None else clock() + timeout),
    )
    seen = scope.signals_seen.get(name, 0)

    async def look() -> JSON:
        while True:
            # taken before the look, so that what was sent in time is received
            over = until is not None and clock() >= until
            found = await mailbox.receive(scope.run_id, name, after=seen)
            if found is not None:
                return [found[0], found[1]]
            if over:
                return None
            await anyio.sleep(_POLL)

    step = scope.engine.reserve()
    async with scope.idle():
        got = await _stored(scope, step, f"signal:{name}", look)
    if got is None:
        return None
    number, value = cast("tuple[int, JSON]", got)
    scope.signals_seen[name] = number
    return value


async def budget_left() -> BudgetLeft:
    """What was left of the run's budget when the run first got here: keep a reserve for writing with it."""
    scope = pipeline_scope("budget_left()")
    data = await _recorded(scope, "budget_left", lambda: scope.left().to_json())
    return BudgetLeft.from_json(data)


async def _recorded(scope: Scope, name: str, make: Callable[[], JSON]) -> JSON:
    async def body() -> JSON:
        return make()

    return await _stored(scope, scope.engine.reserve(), name, body)


async def _stored(scope: Scope, step: int, name: str, make: Callable[[], Awaitable[JSON]]) -> JSON:
    async def body() -> Envelope:
        return {"v": 1, "name": name, "in": "", "status": "ok", "value": await make()}

    await scope.renewed(step, name, "")
    envelope = await scope.engine.step(step, name, body)
    if envelope.get("name") != name:
        raise ReplayMismatch(
            f"{name}() is called where this run recorded {envelope.get('name')!r}",
            hint="keep the order of calls, or run `guardflow runs fork RUN --from STAGE`",
        )
    return envelope["value"]
