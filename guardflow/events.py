"""The closed union of run events. Derived from what is recorded anyway; never a second record of it.

`Runtime.watch` yields them live; the command line and telemetry read them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from guardflow.values import Role, Status


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run began, or went on: ``resumed`` after a crash or a resume."""

    run_id: str
    pipeline: str
    resumed: bool


@dataclass(frozen=True, slots=True)
class StageStarted:
    """A stage call is being executed (it is not read back)."""

    run_id: str
    step: int
    stage: str


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """A request is about to be sent. ``ballot`` is its number in a vote, -1 for what the ladder asks after one."""

    run_id: str
    step: int
    item: int
    stage: str
    role: Role
    rung: str
    model: str
    ballot: int = 0


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """A request was answered, from ``cached`` or by the model. ``kind`` is set when it brought no completion."""

    run_id: str
    step: int
    item: int
    stage: str
    role: Role
    rung: str
    model: str
    kind: str | None
    tokens: int
    nano_usd: int | None
    cached: bool
    ballot: int = 0


@dataclass(frozen=True, slots=True)
class ItemsFinished:
    """How far a fan_out over a stage is: told when it begins, and after each item."""

    run_id: str
    step: int
    stage: str
    done: int
    total: int


@dataclass(frozen=True, slots=True)
class StageFinished:
    """A stage call ended; ``replayed`` when it was read back. ``agreement`` is the share of the ballots behind what
    won, where the stage votes."""

    run_id: str
    step: int
    stage: str
    status: Status
    replayed: bool
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class RunFinished:
    """A run ended, or waits for a person."""

    run_id: str
    status: Status


Event: TypeAlias = (
    RunStarted | StageStarted | AttemptStarted | AttemptEnded | ItemsFinished | StageFinished | RunFinished
)
