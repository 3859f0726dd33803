"""What runs again when an ended run is opened: the stage calls that ended without a value, and only they.

Reads stored steps and items, and plans the rounds to open. It executes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, cast

from guardflow.flow.envelope import findings_from
from guardflow.flow.protocols import Envelope
from guardflow.hashing import JSON
from guardflow.records import ItemRow, RoundRow
from guardflow.values import CallKey

from .backend import Backend
from .result import Parked

_FINE = ("ok", "degraded")


@dataclass(frozen=True, slots=True)
class EndedCall:
    """A stage call that ended without a value, in its latest round."""

    key: CallKey
    envelope: Envelope
    round: int
    """The latest round that was opened for it; the one it ended in is the envelope's."""

    @property
    def stale(self) -> bool:
        """Whether a round was opened that it never ran: the process died while the run was being opened."""
        return self.round > cast("int", self.envelope.get("round", 0))

    @property
    def stage(self) -> str:
        return str(self.envelope.get("name"))

    @property
    def waits(self) -> bool:
        return self.envelope.get("status") == "waiting"

    def parked(self) -> Parked:
        message = str(self.envelope.get("message", ""))
        found = findings_from(self.envelope.get("findings"))
        return Parked(self.key.run_id, self.stage, self.key.step, self.key.item, message, found)


@dataclass(slots=True)
class Ended:
    """All that ended without a value in a run's tree.

    ``links`` lead from a child run to its parent's run id and step; ``races`` are `first_of` steps without a
    winner, by run.
    """

    calls: list[EndedCall] = field(default_factory=list[EndedCall])
    links: dict[str, tuple[str, int]] = field(default_factory=dict[str, tuple[str, int]])
    races: list[tuple[str, int]] = field(default_factory=list[tuple[str, int]])


@dataclass(frozen=True, slots=True)
class Plan:
    """Which steps of which runs run again, and the rounds that opens."""

    steps: Mapping[str, Collection[int]]
    rounds: Sequence[RoundRow]

    def children(self, root: str) -> Mapping[str, Collection[int]]:
        """The steps of all runs but the root."""
        return {run: steps for run, steps in self.steps.items() if run != root}


def unfinished_reopening(ended: Ended) -> Plan | None:
    """The plan of an opening that was cut short: its rounds are there, its checkpoints were not dropped yet."""
    stale = [call for call in ended.calls if call.stale]
    return Plan(plan_for(ended, stale, reason="answer").steps, ()) if stale else None


async def find_ended(backend: Backend, root: str) -> Ended:
    """Look through the stored steps of a run and of its unfinished child runs."""
    ended = Ended()
    runs = await backend.runs.tree(root)
    for run in runs:
        if run.run_id == root or run.status not in _FINE:
            await _scan(backend, run.run_id, ended)
            if run.parent is not None and run.run_id != root:
                ended.links[run.run_id] = (run.parent, int(run.run_id.rsplit("-", 2)[1]))
    return ended


def plan_for(
    ended: Ended,
    calls: Collection[EndedCall],
    *,
    reason: Literal["resume", "answer"],
    answer: Mapping[str, JSON] | None = None,
) -> Plan:
    """Open a round for each of ``calls``; what they stand in runs again, everything else is replayed."""
    steps: dict[str, set[int]] = {}
    rounds: list[RoundRow] = []
    for call in calls:
        checks = call.envelope.get("checks", "")
        said: Mapping[str, JSON] = {**(answer or {"retry": True}), "checks": checks}
        rounds.append(RoundRow(call.key, call.round + 1, reason, said))
        steps.setdefault(call.key.run_id, set()).add(call.key.step)
    for run_id, step in ended.races:
        if reason == "resume" or run_id in steps:
            steps.setdefault(run_id, set()).add(step)
    for child, (parent, step) in reversed(ended.links.items()):
        if reason == "resume" or child in steps:
            steps.setdefault(child, set())
            steps.setdefault(parent, set()).add(step)
    return Plan(steps, rounds)


async def _scan(backend: Backend, run_id: str, ended: Ended) -> None:
    latest: dict[tuple[int, int], int] = {}
    for row in await backend.ledger.rounds(run_id):
        latest[row.key.step, row.key.item] = row.round
    for step in await backend.executions.steps(run_id):
        envelope = step.envelope
        if envelope is None or envelope.get("status") in _FINE:
            continue
        sort = step.name.split(":", 1)[0]
        if sort == "stage":
            key = CallKey(run_id, step.id)
            ended.calls.append(EndedCall(key, envelope, latest.get((step.id, -1), 0)))
        elif sort == "fan_out":
            for row in _latest_rounds(await backend.ledger.items(run_id, step.id)):
                if row.outcome.get("status") not in _FINE:
                    opened = latest.get((step.id, row.key.item), row.round)
                    ended.calls.append(EndedCall(row.key, {**row.outcome, "round": row.round}, opened))
        elif step.name == "first_of":
            ended.races.append((run_id, step.id))


def _latest_rounds(rows: Sequence[ItemRow]) -> Collection[ItemRow]:
    last: dict[int, ItemRow] = {}
    for row in rows:
        last[row.key.item] = row
    return last.values()
