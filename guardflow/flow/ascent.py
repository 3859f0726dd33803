"""One climb over a ladder: a request, its verdict, and the rung that follows, until one is accepted or none is left.

A stage call climbs once; each ballot of a vote, and its tie-break, climb by themselves. What a climb decides is a
function of the recorded answers, so that a stage that died climbs the same way again without paying.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

import anyio

from guardflow.kinds import Kind
from guardflow.ladder import Call, Failure, Ladder, Move, Stop, next_move
from guardflow.values import Request, Role

from .asking import Answer
from .judging import Turnstile
from .patience import patience_of
from .question import fence_evidence
from .verdicts import Accepted, Ended, Judged, Subject, Verdicts


@dataclass(frozen=True, slots=True)
class Fallen:
    """No rung is left. ``fatal`` failures may be hidden by no fallback either."""

    failure: Failure
    message: str
    fatal: bool = False


class Ascent:
    """One climb, from its first request or from a failure that is there already.

    Args:
        ladder: resolved; what to do about each failure.
        role: what its attempts are.
        ballot: which ballot they belong to.
        turnstile: what a ballot waits at before anything new is sent, and where the budget has no room for it now. An
            answer that had to be repaired is a failure behind a turnstile.
        patience: whose rungs say how long a provider that is out is waited for; the ladder's own by default.
    """

    def __init__(
        self,
        subject: Subject,
        verdicts: Verdicts,
        ladder: Ladder,
        *,
        role: Role = "answer",
        ballot: int = 0,
        turnstile: Turnstile | None = None,
        patience: Ladder | None = None,
    ) -> None:
        self._subject, self._verdicts, self._ladder = subject, verdicts, ladder
        self._role: Role = role
        self._ballot, self._turnstile = ballot, turnstile
        self._patience = patience or ladder
        self._path: list[str] = []
        self._sent = 0

    async def climb(self, call: Call) -> Accepted | Ended | Fallen:
        """Ask, and climb as long as answers fail."""
        while True:
            answer, judged = await self._asked(call)
            if not isinstance(judged, Failure):
                return judged
            self._path.append(call.rung)
            without = f"drop:{','.join(answer.dropped)}"
            if answer.dropped and without not in self._path:
                # Not a rung: the model refused a parameter, and the client leaves it out from now on.
                call = replace(call, rung=without)
                continue
            following = await self._following(call, judged, answer.message, waited=answer.waited)
            if isinstance(following, Fallen):
                return following
            call = following

    async def after(
        self, call: Call, failure: Failure, message: str, *, used: Sequence[str]
    ) -> Accepted | Ended | Fallen:
        """Climb on as if ``call`` had been asked and had failed so.

        Args:
            used: the labels of rungs that were used up on the way.
        """
        self._path += [call.rung, *used]
        following = await self._following(call, failure, message, waited=True)
        return following if isinstance(following, Fallen) else await self.climb(following)

    async def _asked(self, call: Call) -> tuple[Answer, Judged]:
        subject, turnstile = self._subject, self._turnstile
        request = subject.prepared.request(call, subject.variables)
        prompt_hash = subject.prepared.prompt.hash(call.variant)
        while True:
            known = subject.talk.knows(self._role, self._ballot, self._sent, request.hash)
            if turnstile is not None and not known:
                await turnstile.enter()
            async with AsyncExitStack() as stack:
                # Never held at a turnstile: two calls that wait for each other's locks there would wait for ever.
                if not known and subject.scope.cache_mode in ("use", "only"):
                    await stack.enter_async_context(subject.scope.services.locks.holding(request.hash))
                answer = await subject.talk.ask(
                    request,
                    rung=call.rung,
                    n=self._sent,
                    prompt_hash=prompt_hash,
                    role=self._role,
                    ballot=self._ballot,
                    patience=partial(patience_of, self._patience, self._path, call),
                )
                judged = await self._judged(answer, request)
            no_room = answer.kind is Kind.BUDGET and not answer.row
            if turnstile is None or not no_room or not await turnstile.room():
                self._sent += 1
                return answer, judged

    async def _judged(self, answer: Answer, request: Request) -> Judged:
        return await self._verdicts.judge(answer, request, strict=self._turnstile is not None)

    async def _following(self, call: Call, failure: Failure, message: str, *, waited: bool) -> Call | Fallen:
        """The next call, after the pause before it; an answer that was read back has been waited for already."""
        move = self._next(call, failure)
        if not isinstance(move, Move):
            return Fallen(failure, message, fatal=isinstance(move, Stop))
        pause = 0.0 if waited else move.pause(_rng)
        if pause > 0:
            await anyio.sleep(pause)
        return move.call

    def _next(self, call: Call, failure: Failure) -> Move | Stop | object:
        move = next_move(self._ladder, self._path, call, failure, fence=fence_evidence)
        if isinstance(move, Move) and move.call.rung.startswith("wait"):
            least = failure.retry_after or 0.0
            if anyio.current_time() + least >= self._subject.until:
                useless = Failure(failure.kind, failure.text, failure.findings, float("inf"))
                return next_move(self._ladder, self._path, call, useless, fence=fence_evidence)
        return move


_rng = random.Random()  # noqa: S311  # jitter, not a secret
