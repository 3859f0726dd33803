"""One request on its way: through the model's gate, reserved, written down, sent, settled. And its hedge, if any.

`Conversation.ask` uses it. Every request is a ledger row, a hedge too; nothing here repeats one that has failed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import anyio

from guardflow.budget import Meter
from guardflow.crashpoints import hit
from guardflow.errors import BudgetExceeded, ModelCallError
from guardflow.kinds import Kind
from guardflow.models.limits import AskPatience, Gate, Permit, Refusal
from guardflow.models.price import cost, price_of, reservation
from guardflow.values import Asked, AttemptEnd, AttemptStart, Model, Price, Request, Reservation, Spend

from .scope import Scope

HEDGE = "hedge"
"""How the attempt of a hedge is labelled."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was written down, and what came of it. ``waited`` says that a pause before the next try was
    made already."""

    row: int
    start: AttemptStart
    end: AttemptEnd
    waited: bool = False


@dataclass(frozen=True, slots=True)
class Post:
    """Sends the requests of one stage call.

    Args:
        tell: told of every request that is about to be sent.
        spent: told of what every request cost.
        until: when the stage's own timeout cuts it off, on the event loop's clock.
    """

    scope: Scope
    meter: Meter
    tell: Callable[[AttemptStart], None]
    spent: Callable[[Spend], None]
    until: float = float("inf")

    async def send(self, request: Request, start: AttemptStart, patience: AskPatience) -> Sent:
        """Send it once, when its model's gate lets it through. Nothing is reserved or written before that: a row
        that is ``started`` counts as sent after a crash.

        Raises:
            BudgetExceeded: the budget has no room for it.
            ConfigError: the model's declared limits can never let it through.
        """
        services, model = self.scope.services, request.model
        price = "free" if model.price == "free" else model.price or price_of(model)
        letter = _Letter(request, price, reservation(request, price), asked_of(request, services.shown))
        gate = services.models.gate(model)
        if gate is None:
            return await self._post(letter, replace(start, reserved=letter.reserved), _Passage())
        retry = start.rung.startswith("wait")
        found = await gate.enter(letter.reserved.tokens, retry=retry, patience=patience)
        if isinstance(found, Refusal):
            return await self._held_back(letter, start, found)
        start = replace(start, reserved=letter.reserved, started_at=services.clock())
        passage = _Passage(gate, found)
        delay = gate.hedging.delay() if model.hedge and start.role == "answer" else None
        if delay is None:
            return await self._post(letter, start, passage)
        return await self._hedged(letter, start, passage, gate, delay)

    async def _held_back(self, letter: _Letter, start: AttemptStart, refusal: Refusal) -> Sent:
        """No request was made; the row is there so that a resume climbs the same way."""
        services = self.scope.services
        end = AttemptEnd(
            services.clock(),
            kind=Kind.OVERLOADED,
            error=refusal.message,
            nano_usd=0,
            unsent=True,
            asked=letter.asked,
        )
        row = await services.ledger.record(start, end, epoch=self.scope.engine.epoch)
        return Sent(row, start, end, waited=True)

    async def _post(
        self, letter: _Letter, start: AttemptStart, passage: _Passage, lane: _Lane | None = None
    ) -> Sent:
        services, epoch = self.scope.services, self.scope.engine.epoch
        try:
            self.meter.reserve(letter.reserved, model=letter.request.model.name)
        except BudgetExceeded:
            passage.close(sent=False)
            raise
        end: AttemptEnd | None = None
        lost = AttemptEnd(0.0)
        row, waited = 0, False
        self.tell(start)
        try:
            with anyio.CancelScope(shield=lane is not None and lane.is_hedge):
                row = await services.ledger.begin(start, epoch=epoch)
            if lane is not None and lane.is_lost:
                end = AttemptEnd(services.clock(), nano_usd=0, unsent=True, asked=letter.asked)
            else:
                came, waited = await self._sent(letter, passage)
                if came.completion is None or lane is None or lane.wins():
                    end = came
            if end is not None:
                await services.ledger.finish(row, end)
        finally:
            # A cancelled request may have been paid: it is settled at what was reserved, and shown as such.
            passage.close(sent=row > 0 and end is None, overdue=anyio.current_time() >= self.until)
            spent = spend_of(letter.reserved, end)
            self.meter.settle(letter.reserved, spent)
            self.spent(spent)
            if end is None and row:
                with anyio.CancelScope(shield=True):
                    lost = AttemptEnd(services.clock(), abandoned=True, asked=letter.asked)
                    await services.ledger.finish(row, lost)
        return Sent(row, start, end or lost, waited)

    async def _sent(self, letter: _Letter, passage: _Passage) -> tuple[AttemptEnd, bool]:
        """What came of it, and whether it is played back from a recording, where nobody waits."""
        services, request = self.scope.services, letter.request
        hit("call.before")
        try:
            completion = await services.models.client(request.model).send(request)
        except ModelCallError as error:
            passage.leave(error.kind or Kind.BUG, retry_after=error.retry_after)
            return _failed(error, services.clock(), letter.asked), error.recorded
        finally:
            hit("call.after")
        usage = completion.usage
        passage.leave(None, used=usage.total if usage is not None else None)
        nano = letter.reserved.nano_usd if usage is None else cost(usage, letter.price)
        end = AttemptEnd(
            services.clock(), completion=completion, usage=usage, nano_usd=nano, asked=letter.asked
        )
        return end, False

    async def _hedged(
        self, letter: _Letter, start: AttemptStart, passage: _Passage, gate: Gate, delay: float
    ) -> Sent:
        """Send it, and once more if no answer has come after ``delay`` seconds: the first answer counts.

        Only one of the two rows ever holds a completion, so that a resume takes the one that was used.
        """
        race, sent, errors = _Race(), dict[int, Sent](), list[Exception]()

        async def second() -> None:
            with race.scopes[1]:
                await anyio.sleep(delay)
                permit = gate.enter_hedge(letter.reserved.tokens)
                if permit is None:
                    return
                race.hedges = True
                hedge = replace(start, rung=HEDGE, started_at=self.scope.services.clock())
                try:
                    sent[1] = await self._post(letter, hedge, _Passage(gate, permit), _Lane(race, 1))
                except Exception as error:  # noqa: BLE001  # no budget, or no lease: the first finds out by itself
                    if race.winner == 1:  # unless it has been cancelled for this one
                        errors.append(error)

        async with anyio.create_task_group() as group:
            group.start_soon(second)
            try:
                with race.scopes[0]:
                    sent[0] = await self._post(letter, start, passage, _Lane(race, 0))
            except Exception as error:  # noqa: BLE001  # raised below, without the group around it
                errors.append(error)
            if errors or not race.hedges:
                race.scopes[1].cancel()
        if errors:
            raise errors[0]
        return sent[race.winner or 0]


@dataclass(frozen=True, slots=True)
class _Letter:
    request: Request
    price: Price | Literal["free"] | None
    reserved: Reservation
    asked: Asked


@dataclass(slots=True)
class _Passage:
    """A permit that is given back exactly once, if there is a gate at all."""

    gate: Gate | None = None
    permit: Permit | None = None

    def leave(self, kind: Kind | None, *, retry_after: float | None = None, used: int | None = None) -> None:
        if self.gate is not None and self.permit is not None:
            permit, self.permit = self.permit, None
            self.gate.leave(permit, kind, retry_after=retry_after, used=used)

    def close(self, *, sent: bool, overdue: bool = False) -> None:
        if self.gate is not None and self.permit is not None:
            permit, self.permit = self.permit, None
            self.gate.give_up(permit, sent=sent, overdue=overdue)


@dataclass(slots=True)
class _Race:
    """A request (0) and its hedge (1)."""

    scopes: tuple[anyio.CancelScope, anyio.CancelScope] = field(
        default_factory=lambda: (anyio.CancelScope(), anyio.CancelScope())
    )
    winner: int | None = None
    hedges: bool = False


@dataclass(frozen=True, slots=True)
class _Lane:
    race: _Race
    number: int

    @property
    def is_hedge(self) -> bool:
        return self.number == 1

    @property
    def is_lost(self) -> bool:
        return self.race.winner not in (None, self.number)

    def wins(self) -> bool:
        """An answer is here: whether it is the first. Then the other request is cancelled at once."""
        if self.race.winner is None:
            self.race.winner = self.number
            self.race.scopes[1 - self.number].cancel()
        return not self.is_lost


def asked_of(request: Request, shown: Callable[[Model], Model]) -> Asked:
    """What the request was made of; ``shown`` gives its model as a row may hold it."""
    schema = request.schema
    return Asked(
        shown(request.model),
        request.max_tokens,
        request.temperature,
        request.sample,
        None if schema is None else schema.hash,
    )


def spend_of(reserved: Reservation, end: AttemptEnd | None) -> Spend:
    """What an attempt counts for. None: it was cancelled, and may have been paid."""
    if end is not None and end.unsent:
        return Spend()
    if end is None or end.abandoned:
        nano, tokens = reserved.nano_usd, reserved.tokens
        in_doubt = nano or 0
    else:
        nano, tokens, in_doubt = end.nano_usd, end.usage.total if end.usage else 0, 0
    return Spend(nano or 0, tokens, 1, int(nano is None), in_doubt)


def _failed(error: ModelCallError, now: float, asked: Asked) -> AttemptEnd:
    """A time-out may have been paid, so it keeps its reservation; every other failure cost nothing."""
    kind = error.kind or Kind.BUG
    return AttemptEnd(
        ended_at=now,
        kind=kind,
        error=error.message,
        retry_after=error.retry_after,
        nano_usd=0,
        abandoned=kind is Kind.TIMEOUT,
        unsent=error.unsent,
        dropped=error.dropped,
        asked=asked,
    )
