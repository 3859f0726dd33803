"""Budgets: what a run may spend, reserved before a request is sent and settled after it. Pure.

Flow owns the meters. Nothing here sends, stores or looks at a clock: ``seconds`` is flow's deadline.
A `Meter` is not thread-safe; it belongs to one event loop and never awaits, so no other task can come between.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

from guardflow.errors import BudgetExceeded, UnpricedModel, UsageError
from guardflow.values import NANO, Attempt, Reservation, Spend

if TYPE_CHECKING:
    from guardflow.hashing import JSON

Unpriced = Literal["deny", "allow"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that a run, a stage or a slice of either may spend. What is None is not limited.

    Args:
        usd: US dollars; kept as an exact `Decimal`. Parts of a billionth are cut off.
        tokens: input and output tokens together.
        seconds: active time, summed over resumes; flow holds it as a deadline.
        calls: model requests. An answer from the cache is none.
        unpriced: what to do under a ``usd`` limit with a model whose price is unknown: refuse it, or let it
            pass and count it apart. An unknown price is never 0.

    Raises:
        UsageError: a limit is negative, not a number, or without end.

    Example:
        >>> Budget(usd=0.50, calls=40).nano_usd
        500000000
    """

    usd: float | Decimal | None = None
    tokens: int | None = None
    seconds: float | None = None
    calls: int | None = None
    unpriced: Unpriced = "deny"

    def __post_init__(self) -> None:
        _check_limit("usd", self.usd, (int, float, Decimal))
        _check_limit("tokens", self.tokens, (int,))
        _check_limit("seconds", self.seconds, (int, float))
        _check_limit("calls", self.calls, (int,))
        if self.unpriced not in get_args(Unpriced):
            raise UsageError(f"a budget has unpriced={self.unpriced!r}", hint="use 'deny' or 'allow'")
        if self.usd is not None and not isinstance(self.usd, Decimal):
            object.__setattr__(self, "usd", Decimal(str(self.usd)))

    @property
    def nano_usd(self) -> int | None:
        """The ``usd`` limit in whole billionths."""
        return None if self.usd is None else int(Decimal(self.usd) * NANO)

    def to_json(self) -> Mapping[str, JSON]:
        """The limits that are set, as JSON; dollars as a string, so that they stay exact."""
        limits: dict[str, JSON] = {"usd": None if self.usd is None else str(self.usd)}
        limits |= {"tokens": self.tokens, "seconds": self.seconds, "calls": self.calls}
        return {name: limit for name, limit in limits.items() if limit is not None} | {
            "unpriced": self.unpriced
        }

    @classmethod
    def from_json(cls, data: Mapping[str, JSON]) -> Budget:
        """The inverse of `to_json`; numbers are accepted for ``usd`` too.

        Raises:
            UsageError: an unknown name, or a limit that is none.
        """
        known = ("usd", "tokens", "seconds", "calls", "unpriced")
        if unknown := sorted(set(data) - set(known)):
            raise UsageError(f"a budget has no {unknown[0]!r}", hint=f"use {', '.join(known)}")
        return cls(
            usd=_decimal(data.get("usd")),
            tokens=data.get("tokens"),  # pyright: ignore[reportArgumentType]  # checked by __post_init__
            seconds=data.get("seconds"),  # pyright: ignore[reportArgumentType]  # likewise
            calls=data.get("calls"),  # pyright: ignore[reportArgumentType]  # likewise
            unpriced=data.get("unpriced", "deny"),  # pyright: ignore[reportArgumentType]  # likewise
        )


def _check_limit(name: str, limit: float | Decimal | None, allowed: tuple[type, ...]) -> None:
    if limit is None:
        return
    if isinstance(limit, bool) or not isinstance(limit, allowed):
        what = "a number" if float in allowed else "a whole number"
        raise UsageError(f"a budget has {name}={limit!r}", hint=f"use {what}, or leave it out for no limit")
    if not _is_finite(limit) or limit < 0:
        raise UsageError(
            f"a budget has {name}={limit!r}", hint="use a number from 0, or leave it out for no limit"
        )


def _is_finite(limit: float | Decimal) -> bool:
    # math.isfinite converts to float first, which fails on long integers and on signalling NaNs
    return isinstance(limit, int) or (
        limit.is_finite() if isinstance(limit, Decimal) else math.isfinite(limit)
    )


def _decimal(value: JSON) -> Decimal | None:
    if value is None:
        return None
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool):
            return Decimal(str(value))
    except ArithmeticError:
        pass  # told below, like every other value that is no number
    raise UsageError(f"a budget has usd={value!r}", hint="use a number of US dollars such as 0.50")


def fold(attempts: Iterable[Attempt]) -> Spend:
    """What attempts have cost together: over all rounds, superseded ones too, because they were paid.

    An attempt in doubt (started, never finished) or abandoned counts at its reservation, and its money is
    in ``in_doubt`` as well. An answer from the cache counts for nothing, nor does what was not sent.
    """
    nano = tokens = calls = unpriced = in_doubt = 0
    for attempt in attempts:
        if not attempt.paid:
            continue
        calls += 1
        tokens += attempt.tokens
        cost = attempt.nano_usd
        if cost is None:
            unpriced += 1
            continue
        nano += cost
        if attempt.end is None or attempt.end.abandoned:
            in_doubt += cost
    return Spend(nano, tokens, calls, unpriced, in_doubt)


class BudgetLeft(NamedTuple):
    """What can still be reserved, the tightest of a meter and its parents; None is not limited.

    ``seconds`` is the active time until the run's deadline, never below 0; only a run knows it.
    """

    usd: Decimal | None
    tokens: int | None
    calls: int | None
    seconds: float | None = None

    def to_json(self) -> Mapping[str, JSON]:
        """Plain JSON; ``usd`` as a decimal string."""
        return {
            "usd": None if self.usd is None else str(self.usd),
            "tokens": self.tokens,
            "calls": self.calls,
            "seconds": self.seconds,
        }

    @classmethod
    def from_json(cls, data: JSON) -> BudgetLeft:
        """What `to_json` made.

        Raises:
            UsageError: it is something else.
        """
        match data:
            case {
                "usd": None | str() as usd,
                "tokens": None | int() as tokens,
                "calls": None | int() as calls,
                **rest,
            }:
                seconds = rest.get("seconds")
                until = float(seconds) if isinstance(seconds, (int, float)) else None
                return cls(None if usd is None else Decimal(usd), tokens, calls, until)
            case _:
                raise UsageError(
                    "what was recorded is not a rest of a budget", hint="fork the run from before it"
                )


class Meter:
    """Counts against one budget, and against every parent's: a stage within a run, a child within its parent.

    Every `reserve` must be followed by exactly one `settle`, whatever became of the request.

    Args:
        budget: None limits nothing, but counts.
        spent: what was spent before this process, from `fold`. It is not passed on to the parent, which
            has a fold of its own.
        parent: the meter this one is a part of.
        of: whose budget this is, for the error: ``run``, ``stage 'plan'``.
    """

    __slots__ = ("_calls", "_chain", "_deny", "_limits", "_nano", "_spent", "_tokens", "budget", "of")

    def __init__(
        self,
        budget: Budget | None,
        *,
        spent: Spend | None = None,
        parent: Meter | None = None,
        of: str = "run",
    ) -> None:
        self.budget = budget
        self.of = of
        self._spent = Spend() if spent is None else spent
        self._nano = self._tokens = self._calls = 0  # reserved and not settled yet
        self._limits = (
            (None, None, None) if budget is None else (budget.nano_usd, budget.tokens, budget.calls)
        )
        self._deny = budget is not None and budget.usd is not None and budget.unpriced == "deny"
        self._chain: tuple[Meter, ...] = (self,) if parent is None else (self, *parent._chain)

    @property
    def spend(self) -> Spend:
        """What was spent: given at the start, and settled since. What is in flight is not in it."""
        return self._spent

    @property
    def in_flight(self) -> int:
        """Requests reserved and not settled yet."""
        return self._calls

    def reserve(self, r: Reservation, *, model: str) -> None:
        """Set aside what one request to ``model`` may cost. All meters of the chain take it, or none.

        Raises:
            BudgetExceeded: it does not fit; the message names the limit, what is spent, reserved and asked.
            UnpricedModel: there is a usd limit and no price.
        """
        for meter in self._chain:
            meter._check(r, model)
        nano = r.nano_usd or 0
        for meter in self._chain:
            meter._nano += nano
            meter._tokens += r.tokens
            meter._calls += 1

    def settle(self, r: Reservation, actual: Spend) -> None:
        """Replace a reservation by what the request really cost: ``Spend()`` if it was never sent.

        Raises:
            ValueError: nothing like ``r`` is reserved.
        """
        nano = r.nano_usd or 0
        if self._calls < 1 or self._tokens < r.tokens or self._nano < nano:
            raise ValueError(f"settle() of {r!r} without its reserve()")
        for meter in self._chain:
            meter._nano -= nano
            meter._tokens -= r.tokens
            meter._calls -= 1
            meter._spent += actual

    def could_fit(self, r: Reservation) -> bool:
        """Whether ``r`` would fit if all that is in flight came out free: then waiting for it may make room."""
        for meter in self._chain:
            usd, tokens, calls = meter._limits
            spent = meter._spent
            if meter._deny and r.nano_usd is None:
                return False
            if usd is not None and spent.nano_usd + (r.nano_usd or 0) > usd:
                return False
            if tokens is not None and spent.tokens + r.tokens > tokens:
                return False
            if calls is not None and spent.calls + 1 > calls:
                return False
        return True

    def left(self) -> BudgetLeft:
        """What can still be reserved now, never below 0."""
        usd = tokens = calls = None
        for meter in self._chain:
            spent, (most_usd, most_tokens, most_calls) = meter._spent, meter._limits
            usd = _tightest(usd, most_usd, spent.nano_usd + meter._nano)
            tokens = _tightest(tokens, most_tokens, spent.tokens + meter._tokens)
            calls = _tightest(calls, most_calls, spent.calls + meter._calls)
        return BudgetLeft(None if usd is None else Decimal(usd) / NANO, tokens, calls)

    def _check(self, r: Reservation, model: str) -> None:
        usd, tokens, calls = self._limits
        spent = self._spent
        if self._deny and r.nano_usd is None:
            raise UnpricedModel(
                f"the {self.of} has a budget in usd, and the price of {model!r} is unknown",
                hint="set its price (\"free\" for a model of your own), or use Budget(unpriced='allow')",
            )
        if usd is not None and spent.nano_usd + self._nano + (r.nano_usd or 0) > usd:
            told = (_usd(n) for n in (usd, r.nano_usd or 0, spent.nano_usd, self._nano))
            raise self._exceeded("usd", model, *told)
        if tokens is not None and spent.tokens + self._tokens + r.tokens > tokens:
            told = map(str, (tokens, r.tokens, spent.tokens, self._tokens))
            raise self._exceeded("tokens", model, *told)
        if calls is not None and spent.calls + self._calls + 1 > calls:
            told = map(str, (calls, 1, spent.calls, self._calls))
            raise self._exceeded("calls", model, *told)

    def _exceeded(
        self, limit: str, model: str, most: str, asked: str, spent: str, reserved: str
    ) -> BudgetExceeded:
        return BudgetExceeded(
            f"the {self.of} has a budget of {limit}={most}, and the next request to {model!r} may take {asked} "
            f"on top of {spent} spent and {reserved} reserved by requests in flight",
            hint="raise the budget and resume, or lower max_tokens",
        )


def _tightest(left: int | None, most: int | None, used: int) -> int | None:
    if most is None:
        return left
    mine = max(most - used, 0)
    return mine if left is None else min(left, mine)


def _usd(nano: int) -> str:
    return f"${Decimal(nano) / NANO:f}"
