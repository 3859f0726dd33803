"""What becomes of an answer: accepted, a failure for the ladder, or the end of the stage. Written down, and cached.

Single climbs, ballots, tie-breaks, fallbacks and answers of persons all pass through here, and nothing gets by.
It never asks the stage's model and never decides what follows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from guardflow.classify import kind_of_completion
from guardflow.errors import GuardCrashed, ModelCallError
from guardflow.guards import GuardContext, check
from guardflow.kinds import Kind
from guardflow.ladder import Failure
from guardflow.values import Finding, Request, Status, Verdict

from .asking import Answer, Conversation
from .judging import Judge, Turnstile
from .repair import read_answer
from .scope import Scope

if TYPE_CHECKING:
    from .llm import Prepared


@dataclass(frozen=True, slots=True)
class Subject:
    """One call of a model stage: what is asked, in which conversation, and until when (on the loop's clock)."""

    scope: Scope
    prepared: Prepared
    value: object
    variables: Mapping[str, object]
    talk: Conversation
    until: float = float("inf")


@dataclass(frozen=True, slots=True)
class Accepted:
    """A value that passed. ``repaired`` says that its text had to be repaired to be read: no vote counts it.
    ``length`` is that of the text, in characters."""

    value: object
    warnings: tuple[Finding, ...] = ()
    note: str = ""
    repaired: bool = False
    length: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """A guard ended the stage: it refuses, it fails, or its judge is out."""

    status: Status
    findings: tuple[Finding, ...]
    kind: Kind = Kind.GUARD

    @property
    def is_outage(self) -> bool:
        """Whether a judge gave no answer, so that nothing is known about the value."""
        return self.kind is not Kind.GUARD


Judged: TypeAlias = Accepted | Ended | Failure


class Verdicts:
    """Judges the answers of one stage call, or of one ballot of it.

    Args:
        lane: which ballot's questions to judges these are, from 1; 0 where there is one answer at a time.
        turnstile: what a ballot waits at before anything new is sent.
    """

    def __init__(self, subject: Subject, *, lane: int = 0, turnstile: Turnstile | None = None) -> None:
        self._talk, self._scope = subject.talk, subject.scope
        self._stage = stage = subject.prepared.stage
        self._guarded = GuardContext(
            subject.value,
            stage=stage.name,
            ask=Judge(subject.talk, lane=lane, turnstile=turnstile),
            resources=subject.scope.services.resources,
        )

    async def judge(self, answer: Answer, request: Request, *, strict: bool = False) -> Judged:
        """Accept the answer, or say what failed, and write that down.

        Args:
            strict: an answer that had to be repaired fails as what it was before.
        """
        judged = await self.of(answer)
        if strict and isinstance(judged, Accepted) and judged.repaired:
            text = answer.completion.text if answer.completion is not None else None
            why = Finding(f"{judged.note}: no vote counts that", guard="vote")
            judged = Failure(Kind.MALFORMED, text, (why,))
        if isinstance(judged, Failure):
            self._talk.judge(answer, Verdict(judged.kind, judged.findings))
        elif isinstance(judged, Ended):
            self._talk.judge(answer, Verdict(judged.kind, judged.findings, judged.status))
        else:
            self._talk.judge(answer, Verdict(None, judged.warnings, judged.note))
            completion, mode = answer.completion, self._scope.cache_mode
            if not answer.cached and completion is not None and mode in ("use", "refresh"):
                await self._scope.services.cache.put(request.hash, request.model.name, completion)
        return judged

    async def of(self, answer: Answer) -> Judged:
        """What becomes of an answer, without a word to the ledger."""
        completion, schema = answer.completion, self._stage.question.schema
        if completion is None:
            return Failure(answer.kind or Kind.BUG, None, (), answer.retry_after)
        kind = kind_of_completion(completion, expects_json=schema is not None)
        text = completion.text or ""
        if kind is not None:
            return Failure(kind, text or None, ())
        note = f"dropped: {', '.join(completion.dropped)}" if completion.dropped else ""
        if schema is None:
            return await self.of_value(text, text=text, note=note)
        parsed = read_answer(text, self._stage.question.parse)
        if parsed.kind is not None:
            return Failure(parsed.kind, text, parsed.findings)
        note = "; ".join(filter(None, (note, parsed.note)))
        return await self.of_value(parsed.value, text=text, note=note, repaired=bool(parsed.note))

    async def of_value(
        self, value: object, *, text: str = "", note: str = "", repaired: bool = False
    ) -> Judged:
        """What the guards say about a value of the output type, wherever it comes from."""
        if not self._stage.guards:
            return Accepted(value, (), note, repaired, len(text))
        try:
            checked = await check(
                value,
                self._stage.guards,
                self._guarded,
                revalidate=self._stage.output.adapter.validate_python,
            )
        except GuardCrashed as crash:
            return Failure(Kind.BUG, None, (Finding(crash.message),))
        except ModelCallError as outage:
            # The judge's outage is not the answer's fault: it must not burn answer attempts.
            kind = outage.kind or Kind.BUG
            status: Status = "over_budget" if kind is Kind.BUDGET else "failed"
            return Ended(status, (Finding(outage.message, guard="judge"),), kind)
        if checked.action == "pass":
            mends = checked.repaired
            mended = f"{mends[0].guard} repaired {len(mends)}" if mends else ""
            note = "; ".join(filter(None, (note, mended)))
            return Accepted(checked.value, checked.warnings, note, repaired, len(text))
        if checked.action == "reject":
            return Failure(Kind.GUARD, text, checked.findings)
        return Ended("abstained" if checked.action == "refuse" else "failed", checked.findings)
