"""Dates that can be: days that exist, in the right order, not after the day of the question, and not ambiguous.

Standard library only: dates are read by a few strict shapes, because a lenient parser finds dates everywhere. The
guard reads no clock, so that a stored answer is judged tomorrow as it is today.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from typing import Literal, NamedTuple, TypeVar, overload

from guardflow.errors import StageError
from guardflow.guards.context import GuardContext
from guardflow.guards.core import Guard
from guardflow.guards.paths import leaves, select
from guardflow.values import Finding, Path

InT = TypeVar("InT")

Ambiguous = Literal["refused", "day-first", "month-first"]
"""What ``03/04/2024`` is: a finding, 3 April, or 4 March."""

OLDEST = 125
"""Years that a person can be old."""
_MONTHS = {
    name: n
    for n, names in enumerate(
        (
            "january jan januar janvier enero", "february feb februar février febrero", "march mar märz mars marzo",
            "april apr avril abril", "may mai mayo", "june jun juni juin junio", "july jul juli juillet julio",
            "august aug août agosto", "september sep sept septembre septiembre",
            "october oct oktober octobre octubre", "november nov novembre noviembre",
            "december dec dezember décembre diciembre",
        ),
        1,
    )
    for name in names.split()
}  # fmt: skip
_NAME = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY = rf"(?:(?P<weekday>{'|'.join(_DAYS)}),?\s+)?"
_DATE = re.compile(
    rf"(?<![\w.,/-]){_WEEKDAY}(?:"
    r"(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})(?:[T ](?P<hour>\d{2}):(?P<minute>\d{2}))?(?![\w/-])"
    r"|(?P<a>\d{1,2})(?P<mark>[/.-])(?P<b>\d{1,2})(?P=mark)(?P<year>\d{4})(?![\w/-])"
    rf"|(?P<day1>\d{{1,2}})(?:st|nd|rd|th|\.)?\s+(?:of\s+|de\s+)?(?P<name1>{_NAME})\.?(?:\s+de)?(?:,?\s+(?P<year1>\d{{4}}))?(?!\w)"
    rf"|(?P<name2>{_NAME})\.?\s+(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<year2>\d{{4}}))?(?![\w.:]\d|\d|st|nd|rd|th)"
    r")",
    re.IGNORECASE,
)


class Dated(NamedTuple):
    """A date in a text: as written, what it is, or what is wrong with it."""

    text: str
    day: date | None
    problem: str | None = None


def find_dates(text: str, *, ambiguous: Ambiguous = "refused") -> Iterator[Dated]:
    """The dates of a text: ISO dates, numeric ones with a year of four digits, and days with a month's name.

    Dates without a year are only checked for days that no year has.

    >>> [(d.text, d.problem) for d in find_dates("From 2024-02-30 to March 3, 2024, or 03/04/2024.")]
    [('2024-02-30', 'is no day of the calendar'), ('March 3, 2024', None), ('03/04/2024', 'may be 3 April or 4 March')]
    """
    for found in _DATE.finditer(text):
        yield _read(found, ambiguous)


def _read(found: re.Match[str], ambiguous: Ambiguous) -> Dated:
    text = found.group()
    if found["y"] is not None:
        year, month, day = int(found["y"]), int(found["m"]), int(found["d"])
        if found["hour"] is not None and (int(found["hour"]) > 24 or int(found["minute"]) > 59):
            return Dated(text, None, "is no time of day")
    elif found["a"] is not None:
        one, other, year = int(found["a"]), int(found["b"]), int(found["year"])
        day_first = found["mark"] == "." or one > 12 or ambiguous == "day-first"
        if not day_first and ambiguous == "refused" and other <= 12 and one != other:
            names = [n.capitalize() for n in ("", *_ENGLISH)]
            return Dated(text, None, f"may be {one} {names[other]} or {other} {names[one]}")
        day, month = (one, other) if day_first and other <= 12 else (other, one)
    else:
        name, number, given = (
            (found["name1"], found["day1"], found["year1"])
            if found["name1"] is not None
            else (found["name2"], found["day2"], found["year2"])
        )
        month, day = _MONTHS[name.lower()], int(number)
        year = int(given) if given else 2000  # a leap year: it has every day that any year has
        if given is None:
            return Dated(text, None, None if _day(year, month, day) else "is no day of the calendar")
    day_of = _day(year, month, day)
    if day_of is None:
        return Dated(text, None, "is no day of the calendar")
    said = found["weekday"]
    if said is not None and _DAYS[day_of.weekday()] != said.lower():
        return Dated(text, day_of, f"is a {_DAYS[day_of.weekday()].capitalize()}")
    return Dated(text, day_of)


_ENGLISH = ("january february march april may june july august september october november december").split()  # noqa: SIM905 - reads better


def _day(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


AsOf = date | str
"""A day, or a path pattern that names one in the stage's input."""


@overload
def dates_sane(
    at: str | None = None,
    /,
    *,
    as_of: AsOf | None = None,
    earliest: date | None = None,
    order: Sequence[tuple[str, str]] = (),
    ages: Sequence[tuple[str, str]] = (),
    ambiguous: Ambiguous = "refused",
    name: str = "dates_sane",
) -> Guard[object, object]: ...
@overload
def dates_sane(
    at: str | None = None,
    /,
    *,
    as_of: Callable[[InT], date],
    earliest: date | None = None,
    order: Sequence[tuple[str, str]] = (),
    ages: Sequence[tuple[str, str]] = (),
    ambiguous: Ambiguous = "refused",
    name: str = "dates_sane",
) -> Guard[object, InT]: ...
def dates_sane(
    at: str | None = None,
    /,
    *,
    as_of: AsOf | Callable[..., date] | None = None,
    earliest: date | None = None,
    order: Sequence[tuple[str, str]] = (),
    ages: Sequence[tuple[str, str]] = (),
    ambiguous: Ambiguous = "refused",
    name: str = "dates_sane",
) -> object:
    """A guard: dates in texts and in date fields can be true.

    Found are days that no calendar has, weekdays that do not fit, dates after ``as_of`` or before ``earliest``,
    ends before their starts, ages that do not fit a birth, and numeric dates that can be read in two ways.

    Args:
        at: where to look, as a path pattern; None is everywhere.
        as_of: the day after which no date may lie: a day, a pattern that names one in the stage's input, or a
            function of the input. None is no bound; record the day in the input (from `now`) to have one.
        earliest: the day before which no date may lie.
        order: pairs of patterns, ``("trips[*].start", "trips[*].end")``: of each item, the first is not later.
        ages: pairs of patterns, ``("people[*].born", "people[*].age")``: years that fit, as of ``as_of``.
        ambiguous: how ``03/04/2024`` is read.
        name: what findings call the guard.

    Raises:
        StageError: ``ages`` without ``as_of``.

    >>> guard = dates_sane(as_of=date(2024, 6, 1), order=[("start", "end")])
    >>> [(f.where(), f.message) for f in guard({"start": "2024-05-04", "end": "2024-04-30"}, GuardContext(None))]
    [('$.end', 'is before its start, 2024-05-04')]
    >>> [f.message for f in guard({"start": "2025-01-01", "end": None}, GuardContext(None))]
    ['is after 2024-06-01']
    """
    if ages and as_of is None:
        raise StageError(f"guard {name!r} checks ages but has no day to count from", hint="give as_of=")

    def today(given: object) -> date | None:
        if as_of is None:
            return None
        if not isinstance(as_of, str):
            return _plain(as_of(given) if callable(as_of) else as_of, name)
        named = [leaf.value for leaf in select(given, as_of)]
        if len(named) != 1:
            raise StageError(
                f"guard {name!r}: {as_of!r} names {len(named)} days", hint="name one day of the input"
            )
        return _plain(named[0], name)

    def check(answer: object, ctx: GuardContext[object]) -> Iterator[Finding]:
        last = today(ctx.input)
        for where, leaf in leaves(answer, at):
            for found in _dates_of(leaf, ambiguous):
                problem = found.problem or _out_of_bounds(found.day, earliest, last)
                if problem:
                    yield Finding(problem, at=where, evidence=found.text)
        for first, second in order:
            for (_, start), (where, end) in _pairs(answer, first, second):
                one, other = _one(start, ambiguous), _one(end, ambiguous)
                if one and other and other < one:
                    yield Finding(f"is before its start, {one}", at=where, evidence=str(end))
        for first, second in ages:
            for (_, born), (where, age) in _pairs(answer, first, second):
                if problem := _misfit(_one(born, ambiguous), age, last):
                    yield Finding(problem, at=where, evidence=str(age))

    return Guard(check, name=name)


def _plain(value: object, name: str) -> date:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            value = None
    day = _as_day(value)
    if day is None:
        raise StageError(f"guard {name!r}: as_of is not a day", hint="give a date, a datetime or an ISO date")
    return day


def _as_day(value: object) -> date | None:
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).date()
    return value if isinstance(value, date) else None


def _dates_of(leaf: object, ambiguous: Ambiguous) -> Iterator[Dated]:
    if isinstance(leaf, str):
        yield from find_dates(leaf, ambiguous=ambiguous)
    elif (day := _as_day(leaf)) is not None:
        yield Dated(str(leaf), day)


def _out_of_bounds(day: date | None, earliest: date | None, last: date | None) -> str | None:
    if day is None:
        return None
    if last is not None and day > last:
        return f"is after {last}"
    return f"is before {earliest}" if earliest is not None and day < earliest else None


def _one(value: object, ambiguous: Ambiguous) -> date | None:
    """The only date of a node; None if there is none, or several."""
    found = [dated.day for dated in _dates_of(value, ambiguous) if dated.day is not None]
    return found[0] if len(found) == 1 else None


def _pairs(
    answer: object, first: str, second: str
) -> Iterator[tuple[tuple[Path, object], tuple[Path, object]]]:
    """The nodes of two patterns that belong to the same item: their indices are the same."""
    left = {_item(leaf.at): leaf for leaf in select(answer, first) if leaf.value is not None}
    for leaf in select(answer, second):
        if leaf.value is not None and (other := left.get(_item(leaf.at))) is not None:
            yield other, leaf


def _item(at: Path) -> Path:
    return at[: max((i + 1 for i, part in enumerate(at) if isinstance(part, int)), default=0)]


def _misfit(born: date | None, age: object, last: date | None) -> str | None:
    if isinstance(age, bool) or not isinstance(age, (int, float)):
        return None
    if not 0 <= age <= OLDEST:
        return f"is no age of a person: {age}"
    if born is None or last is None:
        return None
    years = last.year - born.year - ((last.month, last.day) < (born.month, born.day))
    return (
        None if abs(years - age) < 1 else f"does not fit the birth on {born}: that is {years} years by {last}"
    )
