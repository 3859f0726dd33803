"""One request of a stage call: found in the ledger, found in the cache, or reserved, written down and sent.

The climb and `GuardContext.ask` use it. It never repeats a request and never judges an answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import anyio.lowlevel

from guardflow.budget import Meter
from guardflow.errors import BudgetExceeded
from guardflow.events import AttemptEnded, AttemptStarted
from guardflow.kinds import Kind
from guardflow.models.limits import IMPATIENT, AskPatience
from guardflow.values import (
    Attempt,
    AttemptEnd,
    AttemptNote,
    AttemptStart,
    CallKey,
    Completion,
    Request,
    Reservation,
    Role,
    Spend,
    Verdict,
)

from .scope import Scope
from .sending import HEDGE, Post, asked_of, spend_of


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request. ``row`` is 0 when nothing was written (the budget refused); ``note`` is the
    place of its line among the conversation's, -1 for none. ``waited`` says that a pause before the next try
    has been made already, when this was recorded."""

    row: int
    completion: Completion | None
    kind: Kind | None
    message: str = ""
    retry_after: float | None = None
    replayed: bool = False
    waited: bool = False
    cached: bool = False
    dropped: tuple[str, ...] = ()
    note: int = -1


@dataclass(slots=True)
class Conversation:
    """All requests of one stage call in one round, with what an earlier execution of it left behind.

    ``history`` are the ledger rows of this call, ``until`` is when its own timeout ends it, on the event loop's
    clock. ``notes`` and ``spend`` grow with every answer.
    """

    scope: Scope
    stage: str
    key: CallKey
    round: int
    meter: Meter
    history: Sequence[Attempt] = ()
    until: float = math.inf
    notes: list[AttemptNote] = field(default_factory=list[AttemptNote])
    spend: Spend = field(default_factory=Spend)
    _left: dict[tuple[Role, int, int], list[Attempt]] | None = None

    async def ask(
        self,
        request: Request,
        *,
        rung: str,
        n: int,
        prompt_hash: str,
        role: Role = "answer",
        ballot: int = 0,
        patience: AskPatience = IMPATIENT,
    ) -> Answer:
        """The answer to ``request``, at most one HTTP request away (and its hedge, if its model has them).

        ``patience`` is for a provider in trouble: after it the answer is OVERLOADED, and no request was made.

        An answer that was paid before is found again by its place (role, ballot, n) and by what was asked.
        From the first difference on, what was recorded is history: marked superseded, and never used.
        """
        recorded = self._take(role, ballot, n, request.hash)
        if recorded is not None and recorded.end is not None:
            return self._replay(recorded, recorded.end)
        start = AttemptStart(
            key=self.key,
            round=self.round,
            role=role,
            ballot=ballot,
            n=n,
            stage=self.stage,
            rung=rung,
            model=request.model.name,
            request_hash=request.hash,
            prompt_hash=prompt_hash,
            reserved=Reservation(0, 0),
            started_at=self.scope.services.clock(),
        )
        mode = self.scope.cache_mode
        if mode in ("use", "only"):
            found = await self.scope.services.cache.get(request.hash)
            if found is not None:
                return await self._from_cache(request, start, found)
            if mode == "only":
                message = "the answer is not in the response cache, and the cache mode is 'only'"
                return Answer(0, None, Kind.NOT_FOUND, message)
        return await self._send(request, start, patience)

    def knows(self, role: Role, ballot: int, n: int, request_hash: str) -> bool:
        """Whether `ask` would find its answer in the ledger, so that nothing would be sent."""
        rows = self._recorded().get((role, ballot, n), ())
        return any(_is_answered(a) and a.start.request_hash == request_hash for a in rows)

    def _recorded(self) -> dict[tuple[Role, int, int], list[Attempt]]:
        """The rows of this round that nobody has taken yet, by their places."""
        if self._left is None:
            self._left = {}
            for attempt in self.history:
                s = attempt.start
                if s.round == self.round and not attempt.superseded:
                    self._left.setdefault((s.role, s.ballot, s.n), []).append(attempt)
        return self._left

    def _take(self, role: Role, ballot: int, n: int, request_hash: str) -> Attempt | None:
        left = self._recorded()
        rows = left.pop((role, ballot, n), [])
        if not rows:
            return None
        same = [a for a in rows if a.start.request_hash == request_hash]
        done = [a for a in same if _is_answered(a)]
        if same:
            used = _used(done)
            if used is not None and any(a.start.rung == HEDGE for a in same):
                for other in same:
                    if other is not used and other.end is not None:
                        self._pay(spend_of(other.start.reserved, other.end))
            return used
        later = [k for k in left if k[0] == role and k[1] == ballot and k[2] > n]
        stale = [a.id for a in rows] + [a.id for k in later for a in left.pop(k)]
        self.scope.services.ledger.supersede(stale)
        return None

    def _replay(self, attempt: Attempt, end: AttemptEnd) -> Answer:
        note = self._note(attempt.start, end, replayed=True)
        return Answer(
            attempt.id,
            end.completion,
            end.kind,
            end.error or "",
            _retry_after(end),
            replayed=True,
            waited=True,
            cached=end.cached,
            dropped=end.dropped,
            note=note,
        )

    async def _from_cache(self, request: Request, start: AttemptStart, completion: Completion) -> Answer:
        end = AttemptEnd(
            ended_at=start.started_at,
            completion=completion,
            usage=completion.usage,
            nano_usd=0,
            cached=True,
            asked=asked_of(request, self.scope.services.shown),
        )
        row = await self.scope.services.ledger.record(start, end, epoch=self.scope.engine.epoch)
        return Answer(row, completion, None, cached=True, note=self._note(start, end))

    async def _send(self, request: Request, start: AttemptStart, patience: AskPatience) -> Answer:
        # where no time is left nothing is written down: what is not sent is not in doubt either
        await anyio.lowlevel.checkpoint_if_cancelled()
        post = Post(self.scope, self.meter, self._tell_started, self._pay, self.until)
        try:
            sent = await post.send(request, start, patience)
        except BudgetExceeded as refusal:
            return Answer(0, None, Kind.BUDGET, refusal.message)
        end = sent.end
        return Answer(
            sent.row,
            end.completion,
            end.kind,
            end.error or "",
            _retry_after(end),
            waited=sent.waited,
            dropped=end.dropped,
            note=self._note(sent.start, end),
        )

    def _pay(self, spent: Spend) -> None:
        self.spend = self.spend + spent

    def judge(self, answer: Answer, verdict: Verdict) -> None:
        """Write down what became of an answer; the line about its attempt carries it too."""
        if verdict.kind is None and not verdict.note:
            return
        if answer.note >= 0:
            kind = verdict.kind.name if verdict.kind is not None else None
            self.notes[answer.note] = replace(self.notes[answer.note], kind=kind, note=verdict.note)
        if answer.row and not answer.replayed:
            self.scope.services.ledger.judge(answer.row, verdict)

    def _tell_started(self, start: AttemptStart) -> None:
        if self.scope.services.watch is not None:
            key = self.key
            self.scope.tell(
                AttemptStarted(
                    key.run_id,
                    key.step,
                    key.item,
                    self.stage,
                    start.role,
                    start.rung,
                    start.model,
                    start.ballot if start.role == "answer" else 0,
                )
            )

    def _tell_ended(self, note: AttemptNote) -> None:
        if self.scope.services.watch is not None:
            key = self.key
            self.scope.tell(
                AttemptEnded(
                    key.run_id,
                    key.step,
                    key.item,
                    self.stage,
                    note.role,
                    note.rung,
                    note.model,
                    note.kind,
                    note.tokens,
                    note.nano_usd,
                    note.cached,
                    note.ballot,
                )
            )

    def _note(self, start: AttemptStart, end: AttemptEnd, *, replayed: bool = False) -> int:
        usage = end.usage
        self.notes.append(
            AttemptNote(
                n=start.n,
                role=start.role,
                rung=start.rung,
                model=start.model,
                kind=end.kind.name if end.kind is not None else None,
                tokens=usage.total if usage is not None and not end.cached else 0,
                nano_usd=end.nano_usd,
                cached=end.cached,
                ballot=start.ballot if start.role == "answer" else 0,
            )
        )
        if not replayed:
            self._tell_ended(self.notes[-1])
        elif not end.cached:
            self._pay(spend_of(start.reserved, end))
        return len(self.notes) - 1


def _used(done: Sequence[Attempt]) -> Attempt | None:
    """The attempt at a place whose answer was used: of a request and its hedge, the one that has a completion."""
    good = [a for a in done if a.end is not None and a.end.completion is not None]
    first = [a for a in done if a.start.rung != HEDGE]
    return next(iter((good or first or done)[-1:]), None)


def _is_answered(attempt: Attempt) -> bool:
    return attempt.end is not None and bool(attempt.end.completion or attempt.end.kind)


def _retry_after(end: AttemptEnd) -> float | None:
    """What storm control held back is not waited for: the ladder goes on to what does not wait."""
    return math.inf if end.unsent else end.retry_after
