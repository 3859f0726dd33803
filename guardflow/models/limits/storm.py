"""The gates of all models that a runtime asks, and what they tell the other processes of the same database.

`guardflow.models.routing.Models` holds one. It never opens a database: the runtime exchanges what `Storm.news` says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, cast

from guardflow.hashing import JSON, value_hash
from guardflow.models.limits.breaker import News, State
from guardflow.models.limits.gate import Gate
from guardflow.models.limits.policy import DEFAULT_POLICY, Limits, Policy
from guardflow.records import Said
from guardflow.values import Model

_UNLIMITED = frozenset({"local"})
"""Providers in this process: they queue by themselves."""
_UNSHARED = frozenset({"scripted"})
_LARGEST = 1e15
"""Of a number that may be meant: neither NaN nor an infinity is smaller."""


class Board(Protocol):
    """Where processes that share a database tell each other about models."""

    async def exchange(self, mine: Mapping[str, Mapping[str, JSON]]) -> Sequence[Said]:
        """Write what changed here, by key, and read what other processes said lately."""
        ...


class Storm:
    """The gates of this process, one for each model and address.

    Args:
        policy: the numbers; the defaults outside of tests.
        clock: seconds that never go back.
    """

    def __init__(self, policy: Policy = DEFAULT_POLICY, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy
        self._clock = clock
        self._gates: dict[tuple[str, str | None], Gate] = {}
        self._heard: dict[tuple[str, str], tuple[int, int]] = {}
        self._told: dict[str, Mapping[str, JSON]] = {}
        self._seen: dict[tuple[str, str | None], tuple[int, int]] = {}
        self._early: tuple[Sequence[Said], float] = ((), 0.0)
        """What was said last, and when: it counts for models that are asked later, too."""

    def gate(self, model: Model) -> Gate | None:
        """The gate in front of a resolved model; None for one that runs in this process."""
        gate = self._gates.get((model.name, model.api_base))
        if gate is None:
            if model.provider in _UNLIMITED:
                return None
            gate = self._opened(model)
        elif model.rpm is not None or model.tpm is not None or model.concurrency is not None:
            gate.declare(Limits.of(model))
        return gate

    @property
    def gates(self) -> Sequence[Gate]:
        """All of them, in order of first use."""
        return tuple(self._gates.values())

    @property
    def is_busy(self) -> bool:
        """Whether anything is going on that other processes should know of, or that depends on them."""
        taken = {name: gate.taken for name, gate in self._gates.items() if not _is_unshared(name[0])}
        return taken != self._seen or any(
            gate.in_flight or gate.waiting or gate.breaker.state != "closed" for gate in self._gates.values()
        )

    def news(self, *, epoch: float) -> Mapping[str, Mapping[str, JSON]]:
        """What changed since the last time this was asked, by key.

        Args:
            epoch: seconds since the epoch, now: processes share no other clock.
        """
        offset = epoch - self._clock()
        fresh: dict[str, Mapping[str, JSON]] = {}
        for (name, base), gate in self._gates.items():
            if _is_unshared(name):
                continue
            self._seen[name, base] = gate.taken
            key, state = _key(name, base), _state(gate, offset)
            if not _same(self._told.get(key), state):
                fresh[key] = self._told[key] = state
        return fresh

    def forget(self, news: Mapping[str, Mapping[str, JSON]]) -> None:
        """What `news` gave did not arrive: say it again the next time."""
        for key in news:
            self._told.pop(key, None)
        self._seen.clear()

    def hear(self, said: Sequence[Said], *, epoch: float) -> None:
        """Take in what other processes said: breakers, Retry-After, and what they sent."""
        self._early = (said, epoch - self._clock())
        speaking = {(key, owner) for key, owner, _ in said}
        self._heard = {one: sent for one, sent in self._heard.items() if one in speaking}
        self._hear_all(said, epoch - self._clock())

    def _hear_all(self, said: Sequence[Said], offset: float) -> None:
        gates = {_key(name, base): gate for (name, base), gate in self._gates.items()}
        ranks: dict[str, int] = {}
        for key, owner, state in sorted(said, key=lambda one: one.owner):
            gate = gates.get(key)
            if gate is None:
                continue
            ranks[key] = ranks.get(key, 0) + (state.get("breaker") in ("open", "probing"))
            self._hear(gate, key, owner, state, offset=offset, rank=ranks[key])

    def _opened(self, model: Model) -> Gate:
        gate = Gate(model.name, Limits.of(model), self._policy, self._clock)
        self._gates[model.name, model.api_base] = gate
        key = _key(model.name, model.api_base)
        said, offset = self._early
        self._hear_all([one for one in said if one.key == key], offset)
        return gate

    def _hear(
        self, gate: Gate, key: str, owner: str, state: Mapping[str, JSON], *, offset: float, rank: int
    ) -> None:
        latest = self._clock() + self._policy.longest_pause  # the clocks of machines may differ by anything
        gate.pause(min(_number(state, "paused_until") - offset, latest))
        sent = (int(_number(state, "requests")), int(_number(state, "tokens")))
        before = self._heard.get((key, owner))
        self._heard[key, owner] = sent
        if before is not None:
            gate.charge(sent[0] - before[0], sent[1] - before[1])
        if state.get("breaker") not in ("closed", "open", "probing"):
            return
        news = News(
            cast("State", state["breaker"]),
            _number(state, "changed_at") - offset,
            min(_number(state, "until") - offset, latest),
            max(_number(state, "cooldown"), self._policy.cooldown),
        )
        gate.follow(news, grace=self._policy.grace * rank)


def _is_unshared(name: str) -> bool:
    return name.partition("/")[0] in _UNSHARED


def _key(name: str, base: str | None) -> str:
    """An address may hold a secret, which no row may."""
    return name if base is None else f"{name} {value_hash(base)[:12]}"


def _state(gate: Gate, offset: float) -> Mapping[str, JSON]:
    news = gate.breaker.news
    return {
        "breaker": "as told" if gate.breaker.adopted else news.state,
        "changed_at": max(news.at + offset, 0.0),
        "until": news.until + offset,
        "cooldown": news.cooldown,
        "paused_until": max(gate.paused_until + offset, 0.0),
        "requests": gate.taken[0],
        "tokens": gate.taken[1],
    }


def _same(old: Mapping[str, JSON] | None, new: Mapping[str, JSON]) -> bool:
    """Whether nothing changed; the two clocks drift apart by less than anybody would notice."""
    if old is None:
        return not new["requests"]
    for name, value in new.items():
        was = old[name]
        if isinstance(value, float) and isinstance(was, float):
            if abs(value - was) > 0.5:
                return False
        elif value != was:
            return False
    return True


def _number(state: Mapping[str, JSON], name: str) -> float:
    value = state.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        return 0.0
    return float(value) if abs(value) < _LARGEST else 0.0
