"""One request of a stage call: found in the ledger, found in the cache, or reserved, written down and sent.

The climb and `GuardContext.ask` use it. It never repeats a request and never judges an answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import anyio

from guardflow.budget import Meter
from guardflow.crashpoints import hit
from guardflow.errors import BudgetExceeded, ModelCallError
from guardflow.events import AttemptEnded, AttemptStarted
from guardflow.kinds import Kind
from guardflow.models.price import cost, price_of, reservation
from guardflow.values import (
    Asked,
    Attempt,
    AttemptEnd,
    AttemptNote,
    AttemptStart,
    CallKey,
    Completion,
    Price,
    Request,
    Reservation,
    Role,
    Spend,
    Verdict,
)

from .scope import Scope


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

    ``history`` are the ledger rows of this call. ``notes`` and ``spend`` grow with every answer.
    """

    scope: Scope
    stage: str
    key: CallKey
    round: int
    meter: Meter
    history: Sequence[Attempt] = ()
    notes: list[AttemptNote] = field(default_factory=list[AttemptNote])
    spend: Spend = field(default_factory=Spend)
    _left: dict[tuple[Role, int, int], list[Attempt]] | None = None

    async def ask(
        self, request: Request, *, rung: str, n: int, prompt_hash: str, role: Role = "answer", ballot: int = 0
    ) -> Answer:
        """The answer to ``request``, at most one HTTP request away.

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
        return await self._send(request, start)

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
            return done[-1] if done else None
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
            end.retry_after,
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
            asked=self._asked(request),
        )
        row = await self.scope.services.ledger.record(start, end, epoch=self.scope.engine.epoch)
        return Answer(row, completion, None, cached=True, note=self._note(start, end))

    async def _send(self, request: Request, start: AttemptStart) -> Answer:
        services, epoch = self.scope.services, self.scope.engine.epoch
        price = "free" if request.model.price == "free" else request.model.price or price_of(request.model)
        reserved = reservation(request, price)
        try:
            self.meter.reserve(reserved, model=request.model.name)
        except BudgetExceeded as refusal:
            return Answer(0, None, Kind.BUDGET, refusal.message)
        end: AttemptEnd | None = None
        asked, row = self._asked(request), 0
        start = replace(start, reserved=reserved)
        self._tell_started(start)
        try:
            row = await services.ledger.begin(start, epoch=epoch)
            sent, waited = await self._sent(request, reserved, price)
            ended = end = replace(sent, asked=asked)
            await services.ledger.finish(row, end)
        finally:
            # A cancelled request may have been paid: it is settled at what was reserved, and shown as such.
            spent = _spent(reserved, end)
            self.meter.settle(reserved, spent)
            self.spend = self.spend + spent
            if end is None and row:
                with anyio.CancelScope(shield=True):
                    lost = AttemptEnd(services.clock(), abandoned=True, asked=asked)
                    await services.ledger.finish(row, lost)
        return Answer(
            row,
            ended.completion,
            ended.kind,
            ended.error or "",
            ended.retry_after,
            waited=waited,
            dropped=ended.dropped,
            note=self._note(start, ended),
        )

    async def _sent(
        self, request: Request, reserved: Reservation, price: Price | Literal["free"] | None
    ) -> tuple[AttemptEnd, bool]:
        """What came of it, and whether it is played back from a recording, where nobody waits."""
        services = self.scope.services
        hit("call.before")
        try:
            completion = await services.models.client(request.model).send(request)
        except ModelCallError as error:
            return _failed(error, services.clock()), error.recorded
        finally:
            hit("call.after")
        usage = completion.usage
        nano = reserved.nano_usd if usage is None else cost(usage, price)
        return AttemptEnd(services.clock(), completion=completion, usage=usage, nano_usd=nano), False

    def _asked(self, request: Request) -> Asked:
        """An address may hold a password, which no row may."""
        model, schema = request.model, request.schema
        if model.api_base is not None:
            model = replace(model, api_base=self.scope.services.redact(model.api_base))
        return Asked(
            model,
            request.max_tokens,
            request.temperature,
            request.sample,
            None if schema is None else schema.hash,
        )

    def judge(self, answer: Answer, verdict: Verdict) -> None:
        """Write down what became of an answer; the line about its attempt carries it too."""
        if answer.note >= 0:
            kind = verdict.kind.name if verdict.kind is not None else None
            self.notes[answer.note] = replace(self.notes[answer.note], kind=kind, note=verdict.note)
        if answer.row and not answer.replayed and (verdict.kind is not None or verdict.note):
            self.scope.services.ledger.judge(answer.row, verdict)

    def _tell_started(self, start: AttemptStart) -> None:
        if self.scope.services.watch is not None:
            key = self.key
            self.scope.tell(
                AttemptStarted(
                    key.run_id, key.step, key.item, self.stage, start.role, start.rung, start.model
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
            self.spend = self.spend + _spent(start.reserved, end)
        return len(self.notes) - 1


def _is_answered(attempt: Attempt) -> bool:
    return attempt.end is not None and bool(attempt.end.completion or attempt.end.kind)


def _failed(error: ModelCallError, now: float) -> AttemptEnd:
    """A time-out may have been paid, so it keeps its reservation; every other failure cost nothing."""
    kind = error.kind or Kind.BUG
    return AttemptEnd(
        ended_at=now,
        kind=kind,
        error=error.message,
        retry_after=error.retry_after,
        nano_usd=0,
        abandoned=kind is Kind.TIMEOUT,
        dropped=error.dropped,
    )


def _spent(reserved: Reservation, end: AttemptEnd | None) -> Spend:
    if end is None or end.abandoned:
        nano, tokens = reserved.nano_usd, reserved.tokens
        in_doubt = nano or 0
    else:
        nano, tokens, in_doubt = end.nano_usd, end.usage.total if end.usage else 0, 0
    return Spend(nano or 0, tokens, 1, int(nano is None), in_doubt)
