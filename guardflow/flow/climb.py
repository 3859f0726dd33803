"""One call of a model stage: climb its ladder or hold its vote, and say how it ended.

Everything it decides is a function of the input and of the recorded answers, so that a stage that died
climbs the same way again over its ledger rows, without paying.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import anyio

from guardflow.agreement import Agreement
from guardflow.budget import Meter, fold
from guardflow.errors import StageError
from guardflow.kinds import Kind
from guardflow.ladder import Failure
from guardflow.records import RoundRow
from guardflow.values import Attempt, CallKey, Finding, Outcome, Status

from .ascent import Ascent, Fallen
from .asking import Answer, Conversation
from .places import AFTER_VOTE
from .scope import SECONDS_KEPT, SECONDS_USED_UP, Scope
from .verdicts import Accepted, Ended, Subject, Verdicts
from .voting import Voting, Won

if TYPE_CHECKING:
    from .llm import LLMStage, Prepared


@dataclass(frozen=True, slots=True)
class _End:
    """A moment at which a call is cut off, on the event loop's clock, and what is said then. ``own``: the stage set
    it, so that being cut off may tell something about its model."""

    at: float
    kind: Kind
    why: str
    own: bool = True


def _ends(scope: Scope, stage: LLMStage[object, object]) -> Sequence[_End]:
    """All of them; of equal ones the first counts."""
    now = anyio.current_time()
    ends = [_End(scope.deadline, Kind.BUDGET, SECONDS_USED_UP, own=False)]
    if stage.time_reserve:
        ends.append(_End(scope.until(stage.time_reserve), Kind.BUDGET, SECONDS_KEPT))
    if stage.budget is not None and stage.budget.seconds is not None:
        why = f"the seconds of stage {stage.name!r} are used up"
        ends.append(_End(now + stage.budget.seconds, Kind.BUDGET, why))
    if stage.timeout is not None:
        ends.append(_End(now + stage.timeout, Kind.TIMEOUT, f"it took longer than {stage.timeout:g} s"))
    return ends


class Climb:
    """The state of one stage call. Made for one `run`."""

    def __init__(
        self, scope: Scope, prepared: Prepared, key: CallKey, value: object, history: Sequence[Attempt]
    ) -> None:
        stage = prepared.stage
        self._prepared = prepared
        self._stage = stage
        self._value = value
        self._opened = opened = scope.round_of(key)
        meter = scope.meter
        if stage.budget is not None:
            meter = Meter(stage.budget, spent=fold(history), parent=meter, of=f"stage {stage.name!r}")
        self._ends = _ends(scope, stage)
        own_until = min((end.at for end in self._ends if end.own), default=float("inf"))
        self._talk = Conversation(
            scope, stage.name, key, opened.round if opened is not None else 0, meter, history, own_until
        )
        until = min(end.at for end in self._ends)
        self._subject = Subject(scope, prepared, value, prepared.variables(value), self._talk, until)
        self._verdicts = Verdicts(self._subject)

    async def run(self) -> Outcome[object]:
        """Climb until an answer is accepted or the ladder ends, within the stage's and the run's time."""
        with anyio.CancelScope(deadline=self._subject.until) as limit:
            opened = await self._reopened()
            if opened is not None:
                return opened
            return await (self._climb() if self._prepared.ballots is None else self._vote())
        assert limit.cancelled_caught  # the only way out of the block above without a return
        first = min(self._ends, key=lambda end: end.at)
        if first.kind & self._stage.ladder.otherwise.unless:
            return self._outcome("failed", kind=first.kind, message=first.why)
        return await self._otherwise(Failure(first.kind), first.why)

    async def _climb(self) -> Outcome[object]:
        climb = Ascent(self._subject, self._verdicts, self._prepared.ladder)
        return await self._ended(await climb.climb(self._prepared.first_call()))

    async def _vote(self) -> Outcome[object]:
        ballots = self._prepared.ballots
        assert ballots is not None
        voted = await Voting(self._subject, self._verdicts, ballots).run(self._earlier_ballots())
        if isinstance(voted, Ended):
            return await self._ended(voted)
        if isinstance(voted, Won):
            return await self._ended(voted.accepted, voted.agreement)
        return await self._ended(voted.fallen, voted.agreement)

    async def _ended(
        self, ended: Accepted | Ended | Fallen, agreement: Agreement | None = None
    ) -> Outcome[object]:
        if isinstance(ended, Accepted):
            return self._outcome("ok", value=ended.value, warnings=ended.warnings, agreement=agreement)
        if isinstance(ended, Ended):
            message = "; ".join(f.message for f in ended.findings[:3])
            return self._outcome(ended.status, kind=ended.kind, message=message, findings=ended.findings)
        failure = ended.failure
        if ended.fatal:
            return self._outcome(
                "failed", kind=failure.kind, message=ended.message, findings=failure.findings
            )
        return await self._otherwise(failure, ended.message, agreement)

    async def _otherwise(
        self, failure: Failure, why: str, agreement: Agreement | None = None
    ) -> Outcome[object]:
        """No rung is left: degrade, abstain or park, as the ladder says."""
        action = self._stage.ladder.otherwise.action
        message = (
            why or "; ".join(f"{f.where()} {f.message}" for f in failure.findings[:3]) or _plain(failure.kind)
        )
        if action == "degrade":
            return await self._degraded(failure, message)
        if failure.kind is Kind.BUDGET:
            status: Status = "over_budget"
        elif failure.retry_after == float("inf"):
            # Held back by storm control: no answer was bad, its provider is out.
            status, message = "waiting", f"{message}; resume the run when it is back"
        else:
            status = "waiting" if action == "park" else "abstained"
        return self._outcome(
            status, kind=failure.kind, message=message, findings=failure.findings, agreement=agreement
        )

    async def _degraded(self, failure: Failure, why: str) -> Outcome[object]:
        fallback = self._stage.fallback
        if fallback is None:
            raise StageError(f"stage {self._stage.name!r} has no fallback", hint="give it fallback=")
        made = fallback(self._value, failure.findings)
        value = self._stage.output.check(await made if inspect.isawaitable(made) else made)
        judged = await self._verdicts.of_value(value)
        if isinstance(judged, Accepted):
            return self._outcome(
                "degraded",
                value=judged.value,
                kind=failure.kind,
                message=why,
                findings=failure.findings,
                warnings=judged.warnings,
            )
        found = judged.findings
        return self._outcome(
            "failed",
            kind=Kind.GUARD,
            message=f"the fallback did not pass its guards: {'; '.join(f.message for f in found[:3])}",
            findings=found,
        )

    async def _reopened(self) -> Outcome[object] | None:
        """A new round: a person's answer, or the stored answers if what judges them has changed."""
        opened = self._opened
        if opened is None or opened.answer is None:
            return None
        if "value" in opened.answer:
            return await self._from_person(opened)
        if opened.answer.get("skip"):
            failure = Failure(Kind.GUARD)
            if self._stage.fallback is not None:
                return await self._degraded(failure, "skipped by a person")
            return self._outcome("abstained", kind=None, message="skipped by a person")
        if opened.answer.get("checks") in (None, "", self._stage.checks):
            return None
        votes = self._prepared.ballots is not None
        for attempt, answer in self._earlier_answers():
            start = attempt.start
            decides = start.role == "split" or start.ballot == AFTER_VOTE if votes else start.role == "answer"
            judged = await self._verdicts.of(answer) if decides else None
            if isinstance(judged, Accepted):
                return self._outcome("ok", value=judged.value, warnings=judged.warnings)
        return None

    def _earlier_answers(self) -> Iterator[tuple[Attempt, Answer]]:
        """What was answered in the rounds before this one."""
        for attempt in self._talk.history:
            earlier = attempt.start.round < self._talk.round
            if earlier and attempt.end is not None and attempt.end.completion is not None:
                yield attempt, Answer(attempt.id, attempt.end.completion, None, replayed=True)

    def _earlier_ballots(self) -> Mapping[int, Answer]:
        """The ballots of earlier rounds, if what judges them has changed: no single one of them decides."""
        opened = self._opened
        if opened is None or (opened.answer or {}).get("checks") in (None, "", self._stage.checks):
            return {}
        ballots = self._prepared.ballots
        assert ballots is not None
        return {
            attempt.start.ballot: answer
            for attempt, answer in self._earlier_answers()
            if attempt.start.role == "answer"
            and 0 <= attempt.start.ballot < ballots.vote.max
            and attempt.start.model == ballots.vote.seat(attempt.start.ballot).model.name
        }

    async def _from_person(self, opened: RoundRow) -> Outcome[object]:
        answer = cast("dict[str, object]", opened.answer)
        try:
            value = self._stage.output.check(answer["value"])
        except StageError as error:
            return self._outcome(
                "waiting", kind=Kind.SCHEMA, message=f"the answer given does not fit: {error.message}"
            )
        judged = await self._verdicts.of_value(value)
        if isinstance(judged, Accepted):
            return self._outcome("ok", value=judged.value, warnings=judged.warnings)
        return self._outcome(
            "waiting",
            kind=Kind.GUARD,
            message="the answer given did not pass the guards: "
            + "; ".join(f.message for f in judged.findings[:3]),
            findings=judged.findings,
        )

    def _outcome(
        self,
        status: Status,
        *,
        value: object = None,
        kind: Kind | None = None,
        message: str = "",
        findings: tuple[Finding, ...] = (),
        warnings: tuple[Finding, ...] = (),
        agreement: Agreement | None = None,
    ) -> Outcome[object]:
        talk = self._talk
        return Outcome(
            self._stage.name,
            status,
            value,
            kind,
            message,
            findings,
            warnings,
            tuple(talk.notes),
            talk.spend,
            agreement,
        )


def _plain(kind: Kind) -> str:
    return f"the model's answer failed as {kind.name}, and no rung of the ladder is left"
