"""What is stored beside attempts: finished items, rounds, runs, leases, and what processes say. Frozen nouns.

The engine, the store and the runtime read and write them; nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from guardflow.hashing import JSON, value_hash
from guardflow.values import CallKey, Status


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One finished item of a fan_out: ``outcome`` is the stored envelope (JSON), keyed by index and input hash."""

    key: CallKey
    round: int
    input_hash: str
    outcome: Mapping[str, JSON]


@dataclass(frozen=True, slots=True)
class RoundRow:
    """A stage call that ended was opened again: by a resume, or by a person's answer.

    ``answer`` is None for a plain retry; else ``{"value": ...}`` or ``{"skip": true}``.
    """

    key: CallKey
    round: int
    reason: Literal["resume", "answer"]
    answer: Mapping[str, JSON] | None = None


RunState = Literal["pending", "running", "ended"]


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run as stored. ``input`` and ``output`` are JSON; ``error`` is a message.

    ``active_seconds`` is the time the run was really executing, summed over resumes. A child run has a
    ``parent``; the lease (``owner``, ``epoch``) is that of its ``root``.
    """

    run_id: str
    pipeline: str
    input: JSON
    input_hash: str
    state: RunState
    status: Status | None
    output: JSON
    error: str
    root: str
    parent: str | None
    forked_from: str | None
    owner: str | None
    epoch: int
    active_seconds: float
    options: Mapping[str, JSON]
    created_at: float
    ended_at: float | None


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to execute a run: ``owner`` is ``host:boot:pid:nonce``. ``epoch`` grows by 1 at every claim."""

    run_id: str
    owner: str
    epoch: int


class Said(NamedTuple):
    """What one process says about one model, for those that share its database: ``key`` is the model's."""

    key: str
    owner: str
    state: Mapping[str, JSON]


def input_hash(value: JSON) -> str:
    """The identity of a stage's or a run's input."""
    return value_hash(value)
