"""Numbers that come from the source: every numeral of an answer stands in what it was made from.

Reports use it, so that no figure is made up. It compares values, not spellings; it reads no number words.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal
from typing import TypeVar, cast, overload

from guardflow.guards.context import GuardContext
from guardflow.guards.core import Guard
from guardflow.guards.kit.numerals import DecimalMark, Numeral, numerals
from guardflow.guards.kit.text import normalize
from guardflow.guards.paths import leaves
from guardflow.values import Finding

InT = TypeVar("InT")
Stated = str | int | float | Decimal

_NAMED = re.compile(r"(?<![\w])[^\W\d_]+\d\w*")
"""Names with digits in them: Q3, H2O, GPT4."""
_EXACT = Context(prec=400)


@dataclass(slots=True)
class _Known:
    """What a source states."""

    values: set[Decimal | str] = field(default_factory=set[Decimal | str])
    names: set[str] = field(default_factory=set[str])

    def add(self, stated: Stated, decimal: DecimalMark) -> None:
        if isinstance(stated, str):
            values, names = _stated(stated, decimal)
            self.values |= values
            self.names |= names
        else:
            self.values.add(_number(stated))

    def has(self, value: Decimal | str, *, rounded: bool) -> bool:
        """Whether the value is stated. A value without a sign may be stated with one: "a loss of 5" is -5."""
        if value in self.values:
            return True
        if isinstance(value, str):
            return False
        if not value.is_signed() and value.copy_negate() in self.values:
            return True
        return rounded and any(_rounds_to(v, value) for v in self.values if isinstance(v, Decimal))

    def supports(self, numeral: Numeral, *, rounded: bool) -> bool:
        if self.has(numeral.value, rounded=rounded):
            return True
        return bool(numeral.parts) and all(self.has(part, rounded=rounded) for part in numeral.parts)


@functools.lru_cache(maxsize=64)
def _stated(text: str, decimal: DecimalMark) -> tuple[frozenset[Decimal | str], frozenset[str]]:
    """The numbers and names of a text. The last few are kept: every attempt is checked against one input."""
    text = normalize(text).text
    found = list(numerals(text, decimal=decimal))
    values = {n.value for n in found} | {part for n in found for part in n.parts}
    return frozenset(values), frozenset(name.lower() for name in _NAMED.findall(text))


def _number(stated: float | Decimal) -> Decimal:
    return Decimal(repr(stated)) if isinstance(stated, float) else Decimal(stated)


def _rounds_to(exact: Decimal, shown: Decimal) -> bool:
    """Whether ``shown`` is ``exact`` at the precision it is shown with, rounded either way at a tie."""
    if not exact.is_finite():
        return False
    if not shown.is_signed():
        exact = exact.copy_abs()
    step = Decimal((0, (1,), int(shown.as_tuple().exponent)))
    return any(
        exact.quantize(step, rounding=way, context=_EXACT) == shown
        for way in (ROUND_HALF_UP, ROUND_HALF_EVEN)
    )


@overload
def numbers_from(
    at: str | None = None,
    /,
    *,
    source: str | None = None,
    allow: Iterable[Stated] = (),
    decimal: DecimalMark = ".",
    rounded: bool = False,
    name: str = "numbers_from",
) -> Guard[object, object]: ...
@overload
def numbers_from(
    at: str | None = None,
    /,
    *,
    source: Callable[[InT], Stated | Iterable[Stated]],
    allow: Iterable[Stated] = (),
    decimal: DecimalMark = ".",
    rounded: bool = False,
    name: str = "numbers_from",
) -> Guard[object, InT]: ...
def numbers_from(
    at: str | None = None,
    /,
    *,
    source: str | Callable[..., Stated | Iterable[Stated]] | None = None,
    allow: Iterable[Stated] = (),
    decimal: DecimalMark = ".",
    rounded: bool = False,
    name: str = "numbers_from",
) -> object:
    """A guard: every numeral of the answer stands in the source, in whatever notation.

    ``1,000``, ``1000``, ``1 000`` and ``1 thousand`` are one number; ``1.5 million`` is 1500000 and not 1.5;
    a percent sign is not compared, a minus sign only where the answer has one. Names with digits (``Q3``)
    have to stand in the source as they are.

    Args:
        at: where to look in the answer, as a pattern; None is all its strings. Numeric fields are looked at
            where a pattern names them.
        source: where the numbers are in the stage's input, as a pattern or a function of the input; None is
            everything in it, numbers and strings.
        allow: numbers and texts that may be used beside the source.
        decimal: what ``1.500`` means where its shape does not tell.
        rounded: whether a source's number may be shown with fewer digits.
        name: what findings call the guard.

    >>> guard = numbers_from("summary", source="facts")
    >>> answer = {"summary": "Sales rose 12 % to 1.5 million, from 1.3 million."}
    >>> facts = {"facts": {"sales": 1500000, "growth": "12%"}}
    >>> [f.message for f in guard(answer, GuardContext(facts))]
    ["'1.3 million' is not a number of the source"]
    """
    allowed = tuple(allow)

    def known(given: object) -> _Known:
        stated = source(given) if callable(source) else [leaf.value for leaf in leaves(given, source)]
        several: Iterable[object] = (stated,) if isinstance(stated, (str, int, float, Decimal)) else stated
        found = _Known()
        for item in (*several, *allowed):
            if isinstance(item, (str, int, float, Decimal)) and not isinstance(item, bool):
                found.add(item, decimal)
        return found

    def check(answer: object, ctx: GuardContext[object]) -> Iterator[Finding]:
        facts: _Known | None = None
        for where, leaf in leaves(answer, at):
            if isinstance(leaf, bool) or not isinstance(leaf, (str, int, float, Decimal)):
                continue
            if isinstance(leaf, str):
                text = normalize(leaf).text
                found = list(numerals(text, decimal=decimal))
                names = cast("list[str]", _NAMED.findall(text))
            elif at is not None:
                found, names = [Numeral(str(leaf), 0, 0, _number(leaf))], []
            else:
                continue
            if not found and not names:
                continue
            facts = facts or known(ctx.input)
            for numeral in found:
                if not facts.supports(numeral, rounded=rounded):
                    yield Finding(
                        f"{numeral.text!r} is not a number of the source", at=where, evidence=numeral.text
                    )
            for named in names:
                if named.lower() not in facts.names:
                    yield Finding(f"{named!r} is not in the source", at=where, evidence=named)

    return Guard(check, name=name)
