"""Hedges at the gate: one that was not sent is not used up, and only answers tell how long answers take."""

from __future__ import annotations

import pytest

from guardflow import Kind
from guardflow.models.limits import Gate, Limits, Permit, Policy

pytestmark = pytest.mark.anyio


class Clock:
    """A clock that stands still unless a test moves it."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


async def test_a_hedge_that_is_not_sent_is_not_used_up() -> None:
    poor = Gate("openai/x", Limits(), Policy(retry_start=0.0, retry_per_second=0.0, hedge_start=1.0), Clock())
    assert poor.enter_hedge(1) is None  # the retry budget is spent
    assert poor.hedging.take()
    poor.hedging.give_back()
    rich = Gate("openai/x", Limits(), Policy(hedge_start=1.0), Clock())
    hedge = rich.enter_hedge(1)
    assert hedge is not None
    assert rich.enter_hedge(1) is None
    rich.give_up(hedge, sent=False)
    assert rich.enter_hedge(1) is not None


async def test_only_answers_tell_how_long_answers_take() -> None:
    clock = Clock()
    known = Gate("openai/x", Limits(), Policy(), clock)
    for kind in [None] * 20 + [Kind.BAD_REQUEST] * 200:
        permit = await known.enter(10)
        assert isinstance(permit, Permit)
        clock.now += 1.0 if kind is None else 0.01
        known.leave(permit, kind)
    assert known.hedging.delay() == 1.0
