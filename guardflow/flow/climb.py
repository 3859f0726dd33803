"""One call of a model stage: ask, judge, and let the ladder say what to do about what failed.

Everything it decides is a function of the input and of the recorded answers, so that a stage that died
climbs the same way again over its ledger rows, without paying.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

import anyio

from guardflow.budget import Meter, fold
from guardflow.classify import kind_of_completion
from guardflow.errors import GuardCrashed, ModelCallError, StageError
from guardflow.guards import GuardContext, check
from guardflow.kinds import Kind
from guardflow.ladder import Call, Failure, Move, Stop, next_move
from guardflow.values import Attempt, CallKey, Finding, Outcome, Request, RoundRow, Status, Verdict

from .asking import Answer, Conversation
from .judging import Judge
from .question import fence_evidence
from .repair import read_answer
from .scope import Scope

if TYPE_CHECKING:
    from .llm import Prepared


@dataclass(frozen=True, slots=True)
class _Accepted:
    value: object
    warnings: tuple[Finding, ...]
    note: str


@dataclass(frozen=True, slots=True)
class _Ended:
    """A guard ended the stage: it refuses, it fails, or its judge is out."""

    status: Status
    findings: tuple[Finding, ...]
    kind: Kind = Kind.GUARD


class Climb:
    """The state of one stage call. Made for one `run`."""

    def __init__(
        self, scope: Scope, prepared: Prepared, key: CallKey, value: object, history: Sequence[Attempt]
    ) -> None:
        stage = prepared.stage
        opened = scope.round_of(key)
        self._scope = scope
        self._prepared = prepared
        self._stage = stage
        self._value = value
        self._variables = prepared.variables(value)
        self._opened = opened
        meter = scope.meter
        if stage.budget is not None:
            meter = Meter(stage.budget, spent=fold(history), parent=meter, of=f"stage {stage.name!r}")
        self._talk = Conversation(
            scope, stage.name, key, opened.round if opened is not None else 0, meter, history
        )
        self._guarded = GuardContext(
            value, stage=stage.name, ask=Judge(self._talk), resources=scope.services.resources
        )

    async def run(self) -> Outcome[object]:
        """Climb until an answer is accepted or the ladder ends, within the stage's and the run's time."""
        began = anyio.current_time()
        run_until = self._scope.deadline
        own_until = began + self._stage.timeout if self._stage.timeout is not None else float("inf")
        until = min(run_until, own_until)
        with anyio.CancelScope(deadline=until) as limit:
            return await self._climb(until)
        assert limit.cancelled_caught  # the only way out of the block above without a return
        if run_until <= own_until:
            return await self._otherwise(Failure(Kind.BUDGET), "the run's seconds are used up")
        return await self._otherwise(Failure(Kind.TIMEOUT), f"it took longer than {self._stage.timeout:g} s")

    async def _climb(self, until: float) -> Outcome[object]:
        opened = await self._reopened()
        if opened is not None:
            return opened
        call = self._prepared.first_call()
        path: list[str] = []
        while True:
            request = self._prepared.request(call, self._variables)
            prompt_hash = self._prepared.prompt.hash(call.variant)
            async with AsyncExitStack() as stack:
                if self._scope.cache_mode in ("use", "only"):
                    await stack.enter_async_context(self._scope.services.locks.holding(request.hash))
                answer = await self._talk.ask(request, rung=call.rung, n=len(path), prompt_hash=prompt_hash)
                judged = await self._judge(answer, request)
            if not isinstance(judged, Failure):
                return self._ended(judged)
            path.append(call.rung)
            without = f"drop:{','.join(answer.dropped)}"
            if answer.dropped and without not in path:
                # Not a rung: the model refused a parameter, and the client leaves it out from now on.
                call = replace(call, rung=without)
                continue
            move = self._next(path, call, judged, until)
            if isinstance(move, Move):
                await self._pause(move, answer)
                call = move.call
            elif isinstance(move, Stop):
                return self._outcome(
                    "failed", kind=move.kind, message=answer.message, findings=judged.findings
                )
            else:
                return await self._otherwise(judged, answer.message)

    def _next(self, path: Sequence[str], call: Call, failure: Failure, until: float) -> Move | Stop | object:
        ladder = self._prepared.ladder
        move = next_move(ladder, path, call, failure, fence=fence_evidence)
        if isinstance(move, Move) and move.call.rung.startswith("wait"):
            least = failure.retry_after or 0.0
            if anyio.current_time() + least >= until:
                useless = Failure(failure.kind, failure.text, failure.findings, float("inf"))
                return next_move(ladder, path, call, useless, fence=fence_evidence)
        return move

    async def _pause(self, move: Move, answer: Answer) -> None:
        """Wait as the rung says; an answer that was read back has been waited for already."""
        if answer.waited:
            return
        pause = move.pause(_rng)
        if pause > 0:
            await anyio.sleep(pause)

    async def _judge(self, answer: Answer, request: Request) -> _Accepted | _Ended | Failure:
        """Accept the answer, or say what failed, and write that down."""
        judged = await self._verdict(answer)
        if isinstance(judged, Failure):
            self._talk.judge(answer, Verdict(judged.kind, judged.findings))
        elif isinstance(judged, _Ended):
            self._talk.judge(answer, Verdict(judged.kind, judged.findings, judged.status))
        else:
            self._talk.judge(answer, Verdict(None, judged.warnings, judged.note))
            if (
                not answer.cached
                and answer.completion is not None
                and self._scope.cache_mode in ("use", "refresh")
            ):
                await self._scope.services.cache.put(request.hash, request.model.name, answer.completion)
        return judged

    async def _verdict(self, answer: Answer) -> _Accepted | _Ended | Failure:
        completion = answer.completion
        if completion is None:
            return Failure(answer.kind or Kind.BUG, None, (), answer.retry_after)
        kind = kind_of_completion(completion, expects_json=self._stage.question.schema is not None)
        text = completion.text or ""
        if kind is not None:
            return Failure(kind, text or None, ())
        note = f"dropped: {', '.join(completion.dropped)}" if completion.dropped else ""
        if self._stage.question.schema is None:
            value: object = text
        else:
            parsed = read_answer(text, self._stage.question.parse)
            if parsed.kind is not None:
                return Failure(parsed.kind, text, parsed.findings)
            value, note = parsed.value, "; ".join(filter(None, (note, parsed.note)))
        return await self._guard(value, text=text, note=note)

    async def _guard(self, value: object, *, text: str, note: str) -> _Accepted | _Ended | Failure:
        if not self._stage.guards:
            return _Accepted(value, (), note)
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
            return _Ended(status, (Finding(outage.message, guard="judge"),), kind)
        if checked.action == "pass":
            mended = (
                f"{checked.repaired[0].guard} repaired {len(checked.repaired)}" if checked.repaired else ""
            )
            return _Accepted(checked.value, checked.warnings, "; ".join(filter(None, (note, mended))))
        if checked.action == "reject":
            return Failure(Kind.GUARD, text, checked.findings)
        return _Ended("abstained" if checked.action == "refuse" else "failed", checked.findings)

    def _ended(self, judged: _Accepted | _Ended) -> Outcome[object]:
        if isinstance(judged, _Accepted):
            return self._outcome("ok", value=judged.value, warnings=judged.warnings)
        message = "; ".join(f.message for f in judged.findings[:3])
        return self._outcome(judged.status, kind=judged.kind, message=message, findings=judged.findings)

    async def _otherwise(self, failure: Failure, why: str) -> Outcome[object]:
        """No rung is left: degrade, abstain or park, as the ladder says."""
        action = self._stage.ladder.otherwise.action
        message = (
            why or "; ".join(f"{f.where()} {f.message}" for f in failure.findings[:3]) or _plain(failure.kind)
        )
        if action == "degrade":
            return await self._degraded(failure, message)
        if failure.kind is Kind.BUDGET:
            status: Status = "over_budget"
        else:
            status = "waiting" if action == "park" else "abstained"
        return self._outcome(status, kind=failure.kind, message=message, findings=failure.findings)

    async def _degraded(self, failure: Failure, why: str) -> Outcome[object]:
        fallback = self._stage.fallback
        if fallback is None:
            raise StageError(f"stage {self._stage.name!r} has no fallback", hint="give it fallback=")
        made = fallback(self._value, failure.findings)
        value = self._stage.output.check(await made if inspect.isawaitable(made) else made)
        judged = await self._guard(value, text="", note="")
        if isinstance(judged, _Accepted):
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
        for attempt in self._talk.history:
            usable = attempt.start.role == "answer" and attempt.start.round < opened.round
            if usable and attempt.end is not None and attempt.end.completion is not None:
                judged = await self._verdict(Answer(attempt.id, attempt.end.completion, None, replayed=True))
                if isinstance(judged, _Accepted):
                    return self._outcome("ok", value=judged.value, warnings=judged.warnings)
        return None

    async def _from_person(self, opened: RoundRow) -> Outcome[object]:
        answer = cast("dict[str, object]", opened.answer)
        try:
            value = self._stage.output.check(answer["value"])
        except StageError as error:
            return self._outcome(
                "waiting", kind=Kind.SCHEMA, message=f"the answer given does not fit: {error.message}"
            )
        judged = await self._guard(value, text="", note="")
        if isinstance(judged, _Accepted):
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
        )


_rng = random.Random()  # noqa: S311  # jitter, not a secret


def _plain(kind: Kind) -> str:
    return f"the model's answer failed as {kind.name}, and no rung of the ladder is left"
