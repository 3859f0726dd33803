"""Rules about the nodes of an answer that a JSON path names: ranges, patterns, choices, uniqueness, sums.

`json_rules` makes one guard of many rules. A rule is data, so it can stand in a file; nothing is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from guardflow.errors import StageError
from guardflow.guards.core import Guard
from guardflow.guards.kit.json_path import missing_from, names_one, nodes, parse_path
from guardflow.guards.kit.regex import LONGEST
from guardflow.guards.paths import Leaf
from guardflow.values import Finding

Number = int | float | Decimal | str
"""A number; a text is read as a decimal one, exactly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds of every node that a path names; None is left alone unless the rule is ``required``.

    Args:
        required: there is a node, it is not None, and no item on the way lacks it.
        least: the lowest number allowed.
        most: the highest number allowed.
        matches: a regular expression for the whole of a text.
        one_of: the values allowed.
        unique: no value occurs twice.
        sums_to: a path; the numbers add up to the one there.
        tolerance: how far the sum may be off.

    Raises:
        StageError: nothing is ruled, or what no value can meet.
    """

    required: bool = False
    least: Number | None = None
    most: Number | None = None
    matches: str | None = None
    one_of: Sequence[object] | None = None
    unique: bool = False
    sums_to: str | None = None
    tolerance: Number = 0

    def __post_init__(self) -> None:
        least, most, tolerance = _given(self.least), _given(self.most), _given(self.tolerance)
        ruled = (self.least, self.most, self.matches, self.one_of, self.sums_to)
        if not (self.required or self.unique) and all(rule is None for rule in ruled):
            raise StageError("a Rule rules nothing", hint="give one, as Rule(least=0)")
        if least is not None and most is not None and least > most:
            raise StageError(f"no number is from {self.least} to {self.most}", hint="swap the bounds")
        if isinstance(self.one_of, str) or (self.one_of is not None and not self.one_of):
            raise StageError(f"one_of={self.one_of!r} is no choice", hint="give a list of the values allowed")
        if tolerance is None or tolerance < 0:
            raise StageError(f"tolerance={self.tolerance!r} is no distance", hint="give 0 or more")
        if self.sums_to is not None and not names_one(self.sums_to):
            raise StageError(f"sums_to={self.sums_to!r} names several nodes", hint="name one, as '$.total'")
        if self.matches is not None:
            try:
                re.compile(self.matches)
            except re.error as error:
                raise StageError(
                    f"{self.matches!r} is not a regular expression", hint=f"mend it: {error}"
                ) from None


def json_rules(rules: Mapping[str, Rule], /, *, name: str = "json_rules") -> Guard[object, object]:
    """A guard: the nodes that paths name follow their rules.

    Args:
        rules: JSON path (see `guardflow.guards.kit.json_path`) -> rule.
        name: what findings call the guard.

    Raises:
        StageError: there is no rule, or a path that cannot be read.

    >>> guard = json_rules({"$.items[*].price": Rule(required=True, least=0, sums_to="$.total")})
    >>> answer = {"items": [{"price": 5}, {"price": -1}], "total": 4}
    >>> [(f.where(), f.message) for f in guard(answer)]
    [('$.items[1].price', 'is -1, at least 0 is needed')]
    >>> [(f.where(), f.message) for f in guard({"items": [{"price": 5}], "total": 4})]
    [('$.total', 'is 4, but $.items[*].price adds up to 5')]
    """
    if not rules:
        raise StageError(f"guard {name!r} has no rules", hint="give some, as {'$.price': Rule(least=0)}")
    for path in rules:
        parse_path(path)

    def check(answer: object) -> Iterator[Finding]:
        for path, rule in rules.items():
            yield from _broken(answer, path, rule)

    return Guard(check, name=name)


def _broken(answer: object, path: str, rule: Rule) -> Iterator[Finding]:
    named = list(nodes(answer, path))
    found = [node for node in named if node.value is not None]
    if rule.required:
        absent = list(missing_from(answer, path))
        yield from (Finding("is missing", at=at) for at in absent)
        yield from (
            Finding("is empty, a value is needed", at=node.at) for node in named if node.value is None
        )
        if not named and not absent:
            yield Finding(f"has nothing at {path}")
    for node in found:
        yield from _broken_bounds(node, rule)
        if rule.matches is not None:
            yield from _mismatch(node, rule.matches)
        if rule.one_of is not None and not any(_same(node.value, allowed) for allowed in rule.one_of):
            allowed = ", ".join(map(repr, rule.one_of))
            yield Finding(f"is not one of {allowed}", at=node.at, evidence=str(node.value))
    if rule.unique:
        yield from _repeated(found)
    if rule.sums_to is not None:
        yield from _wrong_sum(answer, path, found, rule)


def _same(value: object, other: object) -> bool:
    return value == other and isinstance(value, bool) == isinstance(other, bool)


def _broken_bounds(node: Leaf, rule: Rule) -> Iterator[Finding]:
    least, most = _given(rule.least), _given(rule.most)
    if least is None and most is None:
        return
    number = _number(node.value)
    if number is None:
        yield Finding("is not a number", at=node.at, evidence=str(node.value))
    elif least is not None and not number >= least:
        yield Finding(f"is {number}, at least {least} is needed", at=node.at)
    elif most is not None and not number <= most:
        yield Finding(f"is {number}, at most {most} is allowed", at=node.at)


def _mismatch(node: Leaf, pattern: str) -> Iterator[Finding]:
    text = node.value if isinstance(node.value, str) else str(node.value)
    if len(text) > LONGEST:
        yield Finding(f"is longer than {LONGEST} characters", at=node.at)
    elif re.fullmatch(pattern, text) is None:
        yield Finding(f"does not match /{pattern}/", at=node.at, evidence=text)


def _repeated(found: Sequence[Leaf]) -> Iterator[Finding]:
    first: dict[str, Leaf] = {}
    for node in found:
        number = _number(node.value)
        key = (
            f"{type(node.value).__name__}:{node.value!r}"
            if number is None
            else f"number:{number.normalize()}"
        )
        if key in first:
            where = Finding("", at=first[key].at).where()
            yield Finding(f"is the same as {where}", at=node.at, evidence=str(node.value))
        else:
            first[key] = node


def _wrong_sum(answer: object, path: str, found: Sequence[Leaf], rule: Rule) -> Iterator[Finding]:
    target = next(nodes(answer, rule.sums_to or "$"), None)
    if target is None or target.value is None:
        return
    total = _number(target.value)
    numbers = [_number(node.value) for node in found]
    strange = next((node for node, number in zip(found, numbers, strict=True) if number is None), None)
    if total is None or strange is not None:
        odd = target if total is None else strange
        if odd is not None:
            yield Finding("is not a number", at=odd.at, evidence=str(odd.value))
        return
    added = sum((number for number in numbers if number is not None), Decimal(0))
    if not abs(added - total) <= (_given(rule.tolerance) or 0):
        yield Finding(f"is {total}, but {path} adds up to {added}", at=target.at)


def _number(value: object) -> Decimal | None:
    """What a value is worth; a float is what it prints as. Infinity and NaN are no numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        return None
    number = Decimal(str(value))
    return number if number.is_finite() else None


def _given(value: Number | None) -> Decimal | None:
    """A bound as it was given."""
    if value is None:
        return None
    try:
        number = _number(Decimal(value) if isinstance(value, str) else value)
    except InvalidOperation:
        number = None
    if number is None:
        raise StageError(f"{value!r} is not a number", hint="give one, as 0.5 or '0.5'")
    return number
