"""One call of a stage whose model is a vote: hold it, check what won, break a tie, else climb on with one model.

The climb of the stage calls it where it would ask a single model. Whatever it returns has passed schema and guards.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pydantic import ValidationError

from guardflow.agreement import Agreement
from guardflow.hashing import JSON
from guardflow.kinds import Kind
from guardflow.ladder import Failure, Grow, Ladder, Wait
from guardflow.values import Finding
from guardflow.vote import AllSpoiled, Decided, Split

from .ascent import Ascent, Fallen
from .asking import Answer
from .codec import findings_of
from .panel import Counted, Panel
from .places import AFTER_VOTE
from .question import fence_evidence
from .tiebreak import tie_break
from .verdicts import Accepted, Ended, Judged, Subject, Verdicts

if TYPE_CHECKING:
    from .llm import Ballots


@dataclass(frozen=True, slots=True)
class Won:
    """A value. ``agreement`` is None where neither the ballots nor the tie-break decided, but the ladder."""

    accepted: Accepted
    agreement: Agreement | None


@dataclass(frozen=True, slots=True)
class Lost:
    """No value, and how far the ballots agreed."""

    fallen: Fallen
    agreement: Agreement | None = None


class Voting:
    """One vote of one stage call. Made for one `run`."""

    def __init__(self, subject: Subject, verdicts: Verdicts, ballots: Ballots) -> None:
        self._subject, self._verdicts, self._ballots = subject, verdicts, ballots

    async def run(self, earlier: Mapping[int, Answer]) -> Won | Ended | Lost:
        """Hold the vote, and see it through.

        Args:
            earlier: answers of an earlier round by ballot, to be checked again.
        """
        counted = await Panel(self._subject, self._ballots, earlier).run()
        if isinstance(counted, Ended):
            return counted
        if isinstance(counted, Fallen):
            return Lost(counted)
        standing = counted.standing
        if isinstance(standing, Decided):
            return await self._composite(standing, counted.accepted)
        if isinstance(standing, Split) and self._ballots.vote.split is not None:
            broken = await self._tie_broken(standing)
            if not (isinstance(broken, Lost) and _goes_on(broken.fallen)):
                return broken
        return await self._by_ladder(standing, counted)

    async def _composite(self, decided: Decided, accepted: Mapping[int, Accepted]) -> Won | Ended | Lost:
        """What won, if it passes as a whole; a value that a ballot gave has passed already."""
        nearest = decided.nearest[0]
        if _text(nearest.value) == _text(decided.value):
            return Won(accepted[nearest.ballot], decided.agreement)
        judged = await self._judged(decided.value)
        if isinstance(judged, Accepted):
            return Won(judged, decided.agreement)
        if isinstance(judged, Ended) and judged.is_outage:
            broke = judged.kind is Kind.BUDGET
            return Lost(Fallen(Failure(judged.kind), judged.findings[0].message)) if broke else judged
        if isinstance(judged, Failure) and judged.kind & Kind.FATAL:
            return Lost(Fallen(judged, judged.findings[0].message if judged.findings else "", fatal=True))
        return Won(_instead(accepted[nearest.ballot], nearest.ballot, judged.findings), decided.agreement)

    async def _judged(self, value: JSON) -> Judged:
        text = json.dumps(value)
        try:
            made = self._subject.prepared.stage.output.parse(text)
        except ValidationError as error:
            return Failure(Kind.SCHEMA, text, findings_of(error))
        return await self._verdicts.of_value(made, text=text)

    async def _tie_broken(self, split: Split) -> Won | Ended | Lost:
        prepared = self._subject.prepared
        call = prepared.split_call(self._ballots.vote)
        seed = prepared.request(call, self._subject.variables).hash
        shown = tie_break(split.candidates, seed=seed, fence=fence_evidence)
        ladder, patience = self._ballots.ladder, prepared.ladder
        climb = Ascent(self._subject, self._verdicts, ladder, role="split", patience=patience)
        ended = await climb.climb(replace(call, turns=(shown,)))
        if isinstance(ended, Accepted):
            return Won(ended, replace(split.agreement, decided="split"))
        return Lost(ended, split.agreement) if isinstance(ended, Fallen) else ended

    async def _by_ladder(self, standing: Split | AllSpoiled, counted: Counted) -> Won | Ended | Lost:
        """The panel's kind of failure climbs the stage's ladder, where every rung asks one model."""
        prepared = self._subject.prepared
        failure, message = _failure(standing, counted, str(self._ballots.vote.rule))
        climb = Ascent(self._subject, self._verdicts, prepared.ladder, ballot=AFTER_VOTE)
        call = prepared.single_call(self._ballots.vote)
        ended = await climb.after(call, failure, message, used=ballots_own(prepared.ladder))
        if isinstance(ended, Accepted):
            return Won(ended, None)
        return Lost(ended, standing.agreement) if isinstance(ended, Fallen) else ended


def ballots_own(ladder: Ladder) -> Sequence[str]:
    """The labels of the waits and growths, as often as they may be used: each ballot had its own."""
    pairs = zip(ladder.labels, ladder.rungs, strict=True)
    return [label for label, rung in pairs if isinstance(rung, Wait | Grow) for _ in range(rung.times)]


def _goes_on(fallen: Fallen) -> bool:
    """Whether the ladder may try after the tie-break failed so."""
    return not fallen.fatal and fallen.failure.kind is not Kind.BUDGET


def _failure(standing: Split | AllSpoiled, counted: Counted, rule: str) -> tuple[Failure, str]:
    if isinstance(standing, Split):
        agreement = standing.agreement
        findings = tuple(
            _disagreement(at, field.share) for at, field in agreement.fields.items() if field.dissent
        )
        said = f"{agreement.ballots} ballots gave {len(standing.candidates)} different answers, and none won by {rule}"
        return Failure(Kind.DISAGREED, None, findings), said
    alike = (f for _, f in sorted(counted.failures.items()) if f.kind is standing.kind)
    failure = next(alike, Failure(standing.kind))
    # How long a provider asked one ballot to wait says nothing about the next model; that none could be sent does.
    out = all(f.retry_after == math.inf for f in counted.failures.values()) and not counted.accepted
    failure = replace(failure, retry_after=math.inf if out and counted.failures else None)
    why = "; ".join(f"{f.where()} {f.message}" for f in failure.findings[:3])
    spoiled = f"too few of the ballots are valid; most failed as {standing.kind.name}"
    return failure, f"{spoiled}: {why}" if why else spoiled


def _disagreement(at: str, share: float) -> Finding:
    return Finding(
        f"the ballots disagree on {at}: its commonest answer has {share:.0%} of them", guard="vote"
    )


def _instead(accepted: Accepted, ballot: int, findings: Sequence[Finding]) -> Accepted:
    why = "; ".join(f"{f.where()} {f.message}" for f in findings[:3])
    note = Finding(
        f"the fields that won do not pass together ({why}): ballot {ballot}, the nearest to them, is used instead",
        guard="vote",
    )
    return replace(accepted, warnings=(*accepted.warnings, note))


def _text(value: JSON) -> str:
    """Equal for equal JSON only: in Python 1 is True, and 1.0 too."""
    return json.dumps(value, sort_keys=True)
