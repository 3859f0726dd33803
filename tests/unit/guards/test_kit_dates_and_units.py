"""Dates and quantities that cannot be true; beside the labelled cases, what those cannot say."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.errors import StageError
from guardflow.guards import GuardContext
from guardflow.guards.kit import dates_sane, find_dates, find_quantities, units_sane


def messages(guard: Any, value: object, given: object = None) -> list[tuple[str, str]]:
    return [(f.where(), f.message) for f in guard(value, GuardContext(given))]


@given(st.dates(min_value=date(1000, 1, 1)))
def test_every_day_is_read_in_every_unambiguous_shape(day: date) -> None:
    shapes = [
        day.isoformat(),
        f"{day:%d.%m.%Y}",
        f"{day.day} {day:%B} {day.year}",
        f"{day:%B} {day.day}, {day.year}",
    ]
    for shape in shapes:
        assert [d.day for d in find_dates(f"On {shape} it began.")] == [day], shape
    assert [d.day for d in find_dates(f"{day:%d/%m/%Y}", ambiguous="day-first")] == [day]
    assert [d.day for d in find_dates(f"{day:%m/%d/%Y}", ambiguous="month-first")] == [day]


@given(st.dates(min_value=date(1000, 1, 1)))
def test_a_weekday_has_to_fit(day: date) -> None:
    assert not messages(dates_sane(), f"{day:%A}, {day.day} {day:%B} {day.year}")
    other = day + timedelta(days=1) if day.year < 9999 else day - timedelta(days=1)
    assert messages(dates_sane(), f"{other:%A}, {day.day} {day:%B} {day.year}") == [("$", f"is a {day:%A}")]


@given(st.text(max_size=200))
def test_any_text_can_be_searched_for_dates_and_quantities(text: str) -> None:
    list(find_dates(text))
    list(find_quantities(text))
    list(units_sane(bounds={"%": (0, 100)})({"t": text}))


@pytest.mark.parametrize("as_of", [date(2024, 6, 1), "day", lambda given: given["day"]])
def test_the_day_comes_from_the_settings_or_from_the_input(as_of: Any) -> None:
    guard = dates_sane("d", as_of=as_of)
    for day in (date(2024, 6, 1), "2024-06-01", datetime(2024, 6, 1, 12, tzinfo=UTC)):
        value = {"d": date(2024, 6, 2)}
        if isinstance(as_of, date) or as_of == "day" or not isinstance(day, str):
            assert messages(guard, value, {"day": day}) == [("$.d", "is after 2024-06-01")]
    assert not messages(guard, {"d": "1 June 2024"}, {"day": date(2024, 6, 1)})


def test_moments_count_by_their_day_in_utc() -> None:
    late = datetime(2024, 6, 1, 23, tzinfo=timezone(timedelta(hours=-5)))
    assert messages(dates_sane(as_of=date(2024, 6, 1)), {"d": late}) == [("$.d", "is after 2024-06-01")]


@pytest.mark.parametrize("given_day", [None, "soon", 4, {}])
def test_an_input_without_a_day_is_a_crash_not_a_pass(given_day: object) -> None:
    with pytest.raises(StageError):
        messages(dates_sane(as_of="day"), {"d": "2024-01-01"}, {"day": given_day})


def test_pairs_are_compared_item_by_item() -> None:
    value = {
        "trips": [
            {"a": "2024-01-05", "b": "2024-01-06"},
            {"a": "2024-01-01", "b": None},
            {"a": "2024-02-02", "b": "2024-02-01"},
        ]
    }
    guard = dates_sane(order=[("trips[*].a", "trips[*].b")])
    assert messages(guard, value) == [("$.trips[2].b", "is before its start, 2024-02-02")]


def test_ages_fit_births_and_are_ages_of_people() -> None:
    guard = dates_sane(as_of=date(2024, 6, 1), ages=[("born", "age")])
    assert not messages(guard, {"born": "1990-06-01", "age": 34})
    assert not messages(guard, {"born": "1990-06-02", "age": 33})
    assert messages(guard, {"born": "1990-06-02", "age": 34}) == [
        ("$.age", "does not fit the birth on 1990-06-02: that is 33 years by 2024-06-01")
    ]
    assert messages(guard, {"born": None, "age": 130}) == []
    assert messages(guard, {"born": "1890-01-01", "age": 134}) == [("$.age", "is no age of a person: 134")]
    with pytest.raises(StageError, match="no day to count from"):
        dates_sane(ages=[("born", "age")])


def test_dates_before_the_earliest_are_found() -> None:
    assert messages(dates_sane(earliest=date(2000, 1, 1)), "1999-12-31") == [("$", "is before 2000-01-01")]


@given(st.decimals(min_value=-1000, max_value=1000, places=2), st.sampled_from(["g", "kg", "lb", "t"]))
def test_a_bound_holds_for_every_unit_of_what_it_measures(amount: Decimal, unit: str) -> None:
    kilos = amount * Decimal({"g": "0.001", "kg": "1", "lb": "0.45359237", "t": "1000"}[unit])
    guard = units_sane("w", unit=unit, bounds={"kg": (0, 500)})
    assert bool(messages(guard, {"w": amount})) is not (0 <= kilos <= 500)


def test_both_ends_of_a_bound_are_allowed() -> None:
    assert not messages(units_sane(bounds={"kg": (1, 5)}), {"a": "1 kg", "b": "5000 g"})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Decimal("NaN")])
def test_what_is_no_amount_is_found(value: object) -> None:
    assert messages(units_sane("w", unit="kg"), {"w": value}) == [("$.w", "is no amount")]


def test_bare_numbers_without_a_unit_and_truth_values_are_left_alone() -> None:
    assert not messages(units_sane(bounds={"kg": (0, 5)}), {"n": -50, "t": "minus 50"})
    assert not messages(units_sane("w", unit="kg"), {"w": True})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "kg"}, "no place"),
        ({"bounds": {"furlong": (0, 1)}}, "does not know the unit 'furlong'"),
        ({"bounds": {"kg": (None, None)}}, "no bound"),
        ({"bounds": {"kg": (2, 1)}}, "nothing is from 2 to 1 kg"),
        ({"currencies": ["XXX"]}, "does not know the currency 'XXX'"),
    ],
)
def test_settings_that_make_no_sense_are_refused_at_once(options: Any, message: str) -> None:
    with pytest.raises(StageError, match=message):
        units_sane(**options)
