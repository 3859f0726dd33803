"""`Ladder`: an ordered tuple of rungs, checked when it is made. Data, no behaviour of its own.

Stages declare one; `guardflow.ladder.climb` decides with it. It never counts: uses are read off the history.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from guardflow.errors import LadderError
from guardflow.hashing import value_hash
from guardflow.kinds import Kind
from guardflow.ladder.rung import Rung, kind_text
from guardflow.ladder.rungs import Grow, Switch, Wait
from guardflow.ladder.verbs import grow, reask, resample, shrink, wait
from guardflow.values import Model

_NO_KIND = Kind(0)


@dataclass(frozen=True, slots=True)
class Otherwise:
    """What a stage does when no rung is left. Make one with `abstain`, `degrade` or `park`.

    ``unless`` are the kinds that it may not hide: they end the stage as failed.
    """

    action: Literal["abstain", "degrade", "park"]
    unless: Kind = _NO_KIND

    def __str__(self) -> str:
        return f"{self.action}({f'unless={kind_text(self.unless)}' if self.unless else ''})"


_ABSTAIN = Otherwise("abstain")


def abstain() -> Otherwise:
    """End the stage without a value, and say why."""
    return _ABSTAIN


def degrade(*, unless: Kind = _NO_KIND) -> Otherwise:
    """End with the stage's fallback: marked as degraded, and guarded like an answer.

    Args:
        unless: kinds that the fallback may not stand in for, besides those in ``Kind.FATAL``. They end the stage
            as failed, without a value, so that a resume asks again.

    Raises:
        LadderError: ``unless`` is no kind.

    Example:
        >>> Ladder(wait(2), otherwise=degrade(unless=Kind.CONNECTION)).explain(Kind.CONNECTION)
        ('start', 'wait', 'wait', 'failed')
    """
    if not isinstance(unless, Kind):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise LadderError(
            f"degrade() is given unless={unless!r}", hint="use kinds, such as unless=Kind.CONNECTION"
        )
    return Otherwise("degrade", unless)


def park() -> Otherwise:
    """Wait for a person: the run ends as waiting, and goes on when somebody answers."""
    return Otherwise("park")


class OpenRung(NamedTuple):
    """A rung that matches a kind and has uses left: its label, and the how many-th use this would be."""

    label: str
    rung: Rung
    nth: int


@dataclass(frozen=True, slots=True, init=False, repr=False)
class Ladder:
    """What to do when an answer fails: the first rung that matches the failure and has uses left.

    Args:
        rungs: in order of preference. Several rungs of one sort are told apart as ``reask`` and ``reask#2``.
        otherwise: what to do when none is left. It sees every kind but those in ``Kind.FATAL``.

    Raises:
        LadderError: a rung that could never be used, or two that cannot be told apart.

    Example:
        >>> ladder = Ladder(wait(2), reask(1, on=Kind.GUARD), otherwise=park())
        >>> ladder.explain(Kind.GUARD)
        ('start', 'reask', 'park')
        >>> ladder.bound
        4
    """

    rungs: tuple[Rung, ...]
    otherwise: Otherwise
    labels: tuple[str, ...] = field(compare=False)
    """The rungs' labels, in order, each of them once."""

    def __init__(self, *rungs: Rung, otherwise: Otherwise = _ABSTAIN) -> None:
        for rung in rungs:
            if not isinstance(rung, Rung):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
                raise LadderError(
                    f"a ladder is given {rung!r}, which is no rung",
                    hint="use wait(), grow(), shrink(), reask(), resample(), rephrase() or switch()",
                )
        if not isinstance(otherwise, Otherwise):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise LadderError(
                f"a ladder is given otherwise={otherwise!r}", hint="use abstain(), degrade() or park()"
            )
        _check_switches(rungs)
        object.__setattr__(self, "rungs", rungs)
        object.__setattr__(self, "otherwise", otherwise)
        object.__setattr__(self, "labels", _labels(rungs))

    @property
    def bound(self) -> int:
        """The most requests one climb can make, the first one included."""
        return 1 + sum(rung.requests for rung in self.rungs)

    @property
    def models(self) -> tuple[Model, ...]:
        """The models it may switch to, in order."""
        return tuple(rung.model for rung in self.rungs if isinstance(rung, Switch))

    @property
    def ballot(self) -> Ladder:
        """What one ballot of a vote climbs: the `wait` and `grow` rungs alone."""
        return Ladder(*(rung for rung in self.rungs if isinstance(rung, Wait | Grow)))

    @property
    def version(self) -> str:
        """Content hash of the ladder as it was declared: another hash is another policy."""
        rungs = [rung.spec() for rung in self.rungs]
        end = self.otherwise
        unless = {"unless": kind_text(end.unless)} if end.unless else {}
        return value_hash({"v": 1, "rungs": rungs, "otherwise": end.action, **unless})

    def resolved(self, resolve: Callable[[Model], Model]) -> Ladder:
        """The same ladder with every role replaced by the model it stands for; prepare it once a stage.

        ``resolve`` keeps the role in `Model.role`, so labels stay what they were.
        """
        rungs = (
            replace(rung, model=resolve(rung.model)) if isinstance(rung, Switch) else rung
            for rung in self.rungs
        )
        return Ladder(*rungs, otherwise=self.otherwise)

    def open(self, history: Sequence[str], kind: Kind) -> Iterator[OpenRung]:
        """The rungs that match ``kind`` and have uses left, in order.

        Args:
            history: the labels of the attempts so far; what is no label of this ladder counts for nothing.
            kind: what failed last.
        """
        pairs = tuple(zip(self.labels, self.rungs, strict=True))
        switched, waits = 0, None
        for label, rung in pairs:
            if isinstance(rung, Switch) and label in history:
                at = len(history) - 1 - history[::-1].index(label)
                if at >= switched:
                    switched, waits = at, rung.waits
        taken, recent = Counter(history), Counter(history[switched:])
        if waits is not None:
            waits -= sum(recent[label] for label, rung in pairs if isinstance(rung, Wait))
        for label, rung in pairs:
            if not kind & rung.on:
                continue
            if isinstance(rung, Wait):
                if (rung.times - taken[label] if waits is None else waits) > 0:
                    yield OpenRung(label, rung, recent[label] + 1)
            elif taken[label] < rung.times:
                yield OpenRung(label, rung, taken[label] + 1)

    def explain(self, kind: Kind) -> tuple[str, ...]:
        """The climb of a stage whose every answer fails with ``kind``, where each rung has something to change.

        Returns:
            The labels, from ``start`` to what ``otherwise`` does, or to ``failed`` where that may not hide the kind.

        Raises:
            LadderError: ``kind`` is not one single kind.
        """
        if kind not in tuple(Kind):
            singles = ", ".join(str(single.name) for single in Kind)
            raise LadderError(f"{kind!r} is not one kind of failure", hint=f"ask about one of {singles}")
        path = ["start"]
        if kind & Kind.FATAL:
            return (*path, "failed")
        while (step := next(self.open(path, kind), None)) is not None:
            path.append(step.label)
        return (*path, "failed" if kind & self.otherwise.unless else self.otherwise.action)

    def __str__(self) -> str:
        return " > ".join(str(step) for step in (*self.rungs, self.otherwise))

    def __repr__(self) -> str:
        return (
            f"Ladder({', '.join(map(str, self.rungs))}{', ' if self.rungs else ''}otherwise={self.otherwise})"
        )


def _labels(rungs: Sequence[Rung]) -> tuple[str, ...]:
    seen: Counter[str] = Counter()
    labels: list[str] = []
    for rung in rungs:
        seen[rung.label] += 1
        nth = seen[rung.label]
        if nth > 1 and rung.label != rung.verb:
            raise LadderError(
                f"a ladder has {rung.label!r} twice",
                hint="join their on= in one rung, or use another variant or model",
            )
        labels.append(rung.label if nth == 1 else f"{rung.label}#{nth}")
    return tuple(labels)


def _check_switches(rungs: Sequence[Rung]) -> None:
    """Refuse waits and switches that each leave the other nothing to do."""
    switches = [rung for rung in rungs if isinstance(rung, Switch)]
    waiting = any(isinstance(rung, Wait) for rung in rungs)
    for rung in switches:
        if rung.waits and not waiting:
            raise LadderError(
                f"{rung.label!r} has waits={rung.waits}, but the ladder has no wait() to use them",
                hint="put wait(...) above it, or leave out waits=",
            )
    if any(rung.waits for rung in switches):
        return
    before = Kind(0)
    for rung in rungs:
        if isinstance(rung, Switch):
            before |= rung.on
        elif isinstance(rung, Wait) and rung.on in before:
            raise LadderError(
                f"{rung} could never be used: a switch above it answers the same failures, and allows no waits",
                hint="put wait(...) above switch(...), or give the switch waits=",
            )


DEFAULT_LADDER = Ladder(
    wait(4, on=Kind.TRANSIENT),
    grow(2.0, on=Kind.TRUNCATED, times=2),
    shrink(0.7, on=Kind.CONTEXT, times=2),
    reask(2, on=Kind.INVALID | Kind.GUARD),
    resample(1, on=Kind.INVALID | Kind.GUARD | Kind.BLOCKED, temperature=0.7),
    otherwise=abstain(),
)
"""What a stage climbs that declares no ladder: cheap rungs first, one model only (switching spends another
model's price, so it is declared), and no answer rather than a bad one."""
