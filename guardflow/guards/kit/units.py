"""Quantities that can be: no negative lengths, no cold below absolute zero, one system of units, declared bounds.

Standard library only: a table of units and factors, since what is checked is a number beside a unit, not an algebra
of dimensions. Quantities are found in texts by their unit; fields that hold a bare number have to name it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from guardflow.errors import StageError
from guardflow.guards.core import Guard
from guardflow.guards.kit.numerals import numerals
from guardflow.guards.kit.text import normalize
from guardflow.guards.paths import leaves
from guardflow.values import Finding

_SAME = Decimal("0.06")
"""How far two amounts may lie apart, of the greater, to be one amount in two units: writers round."""


class Unit(NamedTuple):
    """A unit: what it measures, what it is worth in the base unit, and whose system it is of."""

    name: str
    dimension: str
    factor: Decimal
    system: str
    offset: Decimal = Decimal(0)


_TABLE = """
    length metric: mm millimetre millimetres millimeter millimeters=0.001; cm centimetre centimetres centimeter centimeters=0.01; m metre metres meter meters=1; km kilometre kilometres kilometer kilometers=1000
    length imperial: inch inches=0.0254; ft foot feet=0.3048; yd yard yards=0.9144; mi mile miles=1609.344
    mass metric: mg milligram milligrams=0.000001; g gram grams=0.001; kg kilogram kilograms kilo kilos=1; t tonne tonnes=1000
    mass imperial: oz ounce ounces=0.028349523125; lb lbs pound_mass=0.45359237
    volume metric: ml millilitre millilitres milliliter milliliters=0.001; l litre litres liter liters=1
    volume imperial: gal gallon gallons=3.785411784; pint pints=0.473176473
    time any: ms millisecond milliseconds=0.001; s sec second seconds=1; min minute minutes=60; h hr hour hours=3600; day days=86400; week weeks=604800; month months=2629746; year years=31556952
    speed metric: km/h kph=0.277777777778; m/s=1
    speed imperial: mph=0.44704
    data any: B byte bytes=1; kB KB kilobyte kilobytes=1000; MB megabyte megabytes=1000000; GB gigabyte gigabytes=1000000000; TB terabyte terabytes=1000000000000
    temperature metric: °C celsius=1@273.15; K kelvin=1
    temperature imperial: °F fahrenheit=0.555555555556@255.372222222
    percent any: % percent=1
"""
_CODES = "EUR USD GBP JPY CHF INR CNY SEK NOK DKK PLN CAD AUD"
_CURRENCIES = {code: code for code in _CODES.split()} | {
    "€": "EUR",
    "$": "USD",
    "£": "GBP",
    "¥": "JPY",
    "₹": "INR",
    "euro": "EUR",
    "euros": "EUR",
    "dollar": "USD",
    "dollars": "USD",
    "yen": "JPY",
    "pounds": "GBP",
    "rupees": "INR",
}
_NEVER_NEGATIVE = frozenset(("length", "mass", "volume", "data", "time"))


def _units() -> dict[str, Unit]:
    units: dict[str, Unit] = {}
    for line in _TABLE.strip().splitlines():
        head, _, kinds = line.strip().partition(": ")
        dimension, system = head.split()
        for kind in kinds.split("; "):
            names, _, worth = kind.partition("=")
            factor, _, offset = worth.partition("@")
            for name in names.split():
                units[name] = Unit(names.split()[0], dimension, Decimal(factor), system, Decimal(offset or 0))
    return units


_UNITS = _units()
_AFTER = re.compile(r"[ -]?(?P<unit>km/h|m/s|°\s?[CF]|%|[A-Za-z]+|[€$£¥₹])(?![\w/])")
_BEFORE = re.compile(r"(?P<unit>[€$£¥₹]|\b[A-Z]{3})\s?$")


class Quantity(NamedTuple):
    """A number with its unit or its currency, as written and in the base unit."""

    text: str
    value: Decimal
    unit: Unit
    aside: bool = False
    """Whether it stands in brackets, as a conversion does."""

    @property
    def base(self) -> Decimal:
        """The amount in the base unit of its dimension."""
        return self.value * self.unit.factor + self.unit.offset


def find_quantities(text: str) -> Iterator[Quantity]:
    """The quantities of a text: numerals with a unit of the table behind them, or a currency on either side.

    >>> [(q.text, q.unit.dimension) for q in find_quantities("5 km in 20 minutes for $3")]
    [('5 km', 'length'), ('20 minutes', 'time'), ('$3', 'USD')]
    """
    text = normalize(text).text
    for number in numerals(text):
        if isinstance(number.value, str):
            continue
        value = number.value
        aside = (
            text[max(0, number.start - 12) : number.start]
            .rstrip(" ~≈$€£¥₹")
            .endswith(("(", "(about", "(approx.", "[", "=", "/"))
        )
        before = _BEFORE.search(text, max(0, number.start - 4), number.start)
        if before is not None and before["unit"] in _CURRENCIES:
            yield Quantity(text[before.start() : number.end], value, _money(before["unit"]), aside)
            continue
        if number.text.startswith("-") and number.text[1:2] in _CURRENCIES:
            yield Quantity(number.text, value, _money(number.text[1]), aside)
            continue
        after = _AFTER.match(text, number.end)
        unit = None if after is None else _unit(after["unit"])
        if after is not None and unit is not None:
            yield Quantity(text[number.start : after.end()], value, unit, aside)


def _unit(name: str) -> Unit | None:
    name = name.replace(" ", "")
    if name in _CURRENCIES:
        return _money(name)
    return _UNITS.get(name) or (_UNITS.get(name.lower()) if len(name) > 2 else None)


def _money(name: str) -> Unit:
    code = _CURRENCIES[name]
    return Unit(code, code, Decimal(1), "money")


Bound = tuple[float | None, float | None]
"""The least and the most, both allowed; None is no bound."""


class _Limit(NamedTuple):
    least: Decimal | None
    most: Decimal | None
    unit: Unit
    told: str


def units_sane(
    at: str | None = None,
    /,
    *,
    unit: str | None = None,
    bounds: Mapping[str, Bound] | None = None,
    currencies: Iterable[str] | None = None,
    name: str = "units_sane",
) -> Guard[object, object]:
    """A guard: quantities in texts, and in number fields that name a unit, can be true.

    Found are negative lengths, masses, volumes, times and data sizes, temperatures below absolute zero, what is
    outside of a bound, metric and imperial units in one text (unless one converts the other, as in
    ``5 km (3.1 miles)``; a conversion that does not fit is found too), and currencies that are not expected.

    Args:
        at: where to look, as a path pattern; None is everywhere.
        unit: the unit of bare numbers at ``at``, as ``"cm"``; without it bare numbers are left alone.
        bounds: the least and the most for a unit, both allowed, and so for what it measures: ``{"kg": (0, 500)}``
            holds for grams and pounds too. ``{"%": (0, 100)}`` bounds percentages, which are free otherwise.
        currencies: codes that may occur, as ``["EUR"]``; None allows any, but one text keeps to one.
        name: what findings call the guard.

    Raises:
        StageError: an unknown unit or currency, a bound that nothing can meet, or ``unit`` without ``at``.

    >>> guard = units_sane(bounds={"kg": (0, 500)})
    >>> [f.message for f in guard({"a": "It weighs 2 t.", "b": "-3 m", "c": "5 km (3.1 miles)"})]
    ['is more than 500 kg', 'no length is negative']
    """
    if unit is not None and at is None:
        raise StageError(f"guard {name!r} has unit={unit!r} but no place", hint="say which numbers have it")
    of_numbers = None if unit is None else _known(unit, name)
    limits = [_limit(bound_unit, bound, name) for bound_unit, bound in (bounds or {}).items()]
    allowed = None if currencies is None else frozenset(currencies)
    if unknown := sorted((allowed or frozenset()) - set(_CURRENCIES.values())):
        raise StageError(
            f"guard {name!r} does not know the currency {unknown[0]!r}", hint="give codes as EUR"
        )

    def check(answer: object) -> Iterator[Finding]:
        for where, leaf in leaves(answer, at):
            if isinstance(leaf, str):
                found = list(find_quantities(leaf))
            elif (
                of_numbers is not None
                and isinstance(leaf, (int, float, Decimal))
                and not isinstance(leaf, bool)
            ):
                found = [Quantity(f"{leaf} {of_numbers.name}", Decimal(str(leaf)), of_numbers)]
            else:
                continue
            for quantity in found:
                if problem := _problem(quantity, limits, allowed):
                    yield Finding(problem, at=where, evidence=quantity.text)
            for problem, quantity in _mixed(found):
                yield Finding(problem, at=where, evidence=quantity.text)

    return Guard(check, name=name)


def _known(unit: str, name: str) -> Unit:
    known = _unit(unit)
    if known is None:
        raise StageError(
            f"guard {name!r} does not know the unit {unit!r}", hint="give one as 'km', 'kg', '°C' or 'EUR'"
        )
    return known


def _limit(unit: str, bound: Bound, name: str) -> _Limit:
    least, most = (None if side is None else Decimal(str(side)) for side in bound)
    if least is None and most is None:
        raise StageError(f"guard {name!r} has no bound for {unit!r}", hint="give one, as (0, None)")
    if least is not None and most is not None and most < least:
        raise StageError(f"guard {name!r}: nothing is from {least} to {most} {unit}", hint="swap the bounds")
    return _Limit(least, most, _known(unit, name), unit)


def _problem(quantity: Quantity, limits: Iterable[_Limit], allowed: frozenset[str] | None) -> str | None:
    unit = quantity.unit
    if not quantity.value.is_finite():
        return "is no amount"
    if unit.dimension in _NEVER_NEGATIVE and quantity.value < 0:
        return f"no {unit.dimension} is negative"
    if unit.dimension == "temperature" and quantity.base < 0:
        return "is below absolute zero"
    if unit.system == "money" and allowed is not None and unit.name not in allowed:
        return f"is in {unit.name}, where {' or '.join(sorted(allowed))} is expected"
    for limit in limits:
        if limit.unit.dimension != unit.dimension:
            continue
        amount = (quantity.base - limit.unit.offset) / limit.unit.factor
        if limit.least is not None and amount < limit.least:
            return f"is less than {limit.least} {limit.told}"
        if limit.most is not None and amount > limit.most:
            return f"is more than {limit.most} {limit.told}"
    return None


def _mixed(found: list[Quantity]) -> Iterator[tuple[str, Quantity]]:
    """Quantities of one text whose units do not belong together."""
    money = [quantity for quantity in found if quantity.unit.system == "money"]
    for one, other in pairwise(money):
        if one.unit.name != other.unit.name and not other.aside:
            yield f"is in {other.unit.name} after an amount in {one.unit.name}", other
    for dimension in dict.fromkeys(
        q.unit.dimension for q in found if q.unit.system in ("metric", "imperial")
    ):
        same = [quantity for quantity in found if quantity.unit.dimension == dimension]
        for one, other in pairwise(same):
            if one.unit.system == other.unit.system or _converts(one, other):
                continue
            yield (
                f"is in {other.unit.name} after an amount in {one.unit.name}, and does not convert it",
                other,
            )


def _converts(one: Quantity, other: Quantity) -> bool:
    if one.unit.dimension == "temperature":
        return abs(one.base - other.base) <= 1
    return abs(one.base - other.base) <= _SAME * max(abs(one.base), abs(other.base))
