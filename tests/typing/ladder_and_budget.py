"""How ladders and budgets look to mypy and pyright. Never run; an ignore that is not needed is an error."""

from decimal import Decimal
from typing import assert_type

from guardflow import (
    Budget,
    BudgetLeft,
    Kind,
    Ladder,
    Model,
    abstain,
    degrade,
    grow,
    park,
    reask,
    rephrase,
    resample,
    shrink,
    switch,
    wait,
)

STRONG = Model("strong")

ladder = Ladder(
    wait(4, on=Kind.TRANSIENT, cap=20),
    grow(2.0, on=Kind.TRUNCATED),
    shrink(0.7),
    reask(2, on=Kind.INVALID | Kind.GUARD),
    resample(1, on=Kind.GUARD, temperature=0.7),
    rephrase("strict", on=Kind.INVALID | Kind.REFUSED),
    switch(STRONG, on=Kind.ANSWERABLE, waits=2),
    otherwise=abstain(),
)
assert_type(ladder.explain(Kind.GUARD), tuple[str, ...])
assert_type(ladder.bound, int)
assert_type(Ladder(otherwise=park()), Ladder)

reask(2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # on= is what a re-ask is for
reask(2, Kind.GUARD)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # on= is named
switch("strong", on=Kind.GUARD)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a Model
reask(2, on="guard")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a Kind
Ladder(otherwise="abstain")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # abstain()
Ladder(degrade())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # otherwise= is named
ladder.otherwise = park()  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # frozen

Budget(usd=0.50, seconds=90, calls=40)
Budget(usd=Decimal("0.50"), unpriced="allow")
Budget(0.50)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # a bare number says no unit
Budget(calls=1.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # whole
Budget(unpriced="maybe")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # deny or allow


def dollars(left: BudgetLeft) -> Decimal:
    """None means no limit, so it has to be told apart."""
    return left.usd  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # may be None
