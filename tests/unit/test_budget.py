"""A budget is reserved before a request and settled after it; an unknown price is never 0."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.budget import Budget, BudgetLeft, Meter, fold
from guardflow.errors import BudgetExceeded, UnpricedModel, UsageError
from guardflow.kinds import Kind
from guardflow.values import (
    NANO,
    Attempt,
    AttemptEnd,
    AttemptStart,
    CallKey,
    Reservation,
    Spend,
    Usage,
)

CENT = NANO // 100


def attempt(end: AttemptEnd | None, *, nano: int | None = CENT, superseded: bool = False) -> Attempt:
    start = AttemptStart(
        key=CallKey("r", 1),
        round=0,
        role="answer",
        ballot=0,
        n=0,
        stage="plan",
        rung="start",
        model="m",
        request_hash="h",
        prompt_hash="p",
        reserved=Reservation(100, nano),
        started_at=0.0,
    )
    return Attempt(1, start, end, superseded=superseded)


# --- Budget ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["usd", "tokens", "seconds", "calls"])
@pytest.mark.parametrize(
    "limit", [-1, float("nan"), float("inf"), True, "5", Decimal("NaN"), Decimal("sNaN"), Decimal("-0.01")]
)
def test_a_limit_that_is_none_is_refused_and_named(name: str, limit: object) -> None:
    with pytest.raises(UsageError, match=f"{name}="):
        Budget(**{name: limit})  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("name", ["tokens", "calls"])
def test_what_is_counted_is_whole(name: str) -> None:
    with pytest.raises(UsageError, match="a whole number"):
        Budget(**{name: 1.5})  # type: ignore[arg-type]  # that is the point


def test_zero_and_no_limit_at_all_are_budgets() -> None:
    assert Budget().nano_usd is None
    assert Budget(usd=0, tokens=0, seconds=0, calls=0).nano_usd == 0


def test_an_unknown_policy_for_unpriced_models_is_refused() -> None:
    with pytest.raises(UsageError, match="'deny' or 'allow'"):
        Budget(unpriced="maybe")  # type: ignore[arg-type]  # that is the point


def test_dollars_are_exact_and_equal_however_they_were_written() -> None:
    assert Budget(usd=0.1) == Budget(usd=Decimal("0.1"))
    assert hash(Budget(usd=0.1)) == hash(Budget(usd=Decimal("0.1")))
    assert Budget(usd=0.1).nano_usd == NANO // 10


def test_parts_of_a_billionth_are_cut_off_not_rounded_up() -> None:
    assert Budget(usd=Decimal("0.0000000019")).nano_usd == 1


budgets = st.builds(
    Budget,
    usd=st.none() | st.floats(0, 1e6) | st.decimals(0, 1000, places=9),
    tokens=st.none() | st.integers(0, 10**9),
    seconds=st.none() | st.floats(0, 1e6),
    calls=st.none() | st.integers(0, 10**6),
    unpriced=st.sampled_from(["deny", "allow"]),
)


@given(budgets)
def test_a_budget_survives_json(budget: Budget) -> None:
    assert Budget.from_json(json.loads(json.dumps(budget.to_json()))) == budget


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"dollars": 1}, "has no 'dollars'"),
        ({"usd": "lots"}, "usd='lots'"),
        ({"usd": True}, "usd=True"),
        ({"usd": "NaN"}, "NaN"),
        ({"usd": [1]}, r"usd=\[1\]"),
        ({"calls": "3"}, "calls='3'"),
        ({"calls": -3}, "calls=-3"),
        ({"unpriced": None}, "unpriced=None"),
    ],
)
def test_stored_budgets_are_checked_like_new_ones(data: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        Budget.from_json(data)


# --- fold -----------------------------------------------------------------------------------------


def test_a_finished_attempt_counts_at_its_cost() -> None:
    done = attempt(AttemptEnd(1.0, usage=Usage(30, 12), nano_usd=7))
    assert fold([done, done]) == Spend(nano_usd=14, tokens=84, calls=2)


@pytest.mark.parametrize("end", [None, AttemptEnd(1.0, abandoned=True)])
def test_an_attempt_without_a_known_end_counts_at_its_reservation_and_as_in_doubt(
    end: AttemptEnd | None,
) -> None:
    assert fold([attempt(end)]) == Spend(nano_usd=CENT, tokens=100, calls=1, in_doubt=CENT)


def test_an_unknown_price_is_counted_apart_never_as_nothing() -> None:
    unpriced = attempt(AttemptEnd(1.0, usage=Usage(30, 12)), nano=None)
    assert fold([unpriced, attempt(None, nano=None)]) == Spend(tokens=142, calls=2, unpriced=2)


def test_an_answer_from_the_cache_costs_nothing_even_unpriced() -> None:
    assert fold([attempt(AttemptEnd(1.0, usage=Usage(30, 12), cached=True), nano=None)]) == Spend()


def test_superseded_attempts_were_paid_too() -> None:
    done = AttemptEnd(1.0, usage=Usage(1, 1), nano_usd=7)
    assert fold([attempt(done, superseded=True)]).nano_usd == 7


def test_a_refused_request_is_a_call_that_cost_nothing() -> None:
    assert fold([attempt(AttemptEnd(1.0, kind=Kind.RATE_LIMIT, nano_usd=0))]) == Spend(calls=1)


# --- Meter ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("budget", "said"),
    [
        (
            Budget(usd=0.05),
            r"run has a budget of usd=\$0.05, .* 'fast' may take \$0.03 on top of \$0.01 spent and \$0.03",
        ),
        (Budget(tokens=60), "tokens=60, .* may take 30 on top of 10 spent and 30 reserved"),
        (Budget(calls=2), "calls=2, .* may take 1 on top of 1 spent and 1 reserved"),
    ],
)
def test_a_request_that_does_not_fit_is_refused_with_all_the_numbers(budget: Budget, said: str) -> None:
    meter = Meter(budget, spent=Spend(CENT, 10, 1))
    r = Reservation(30, 3 * CENT)
    meter.reserve(r, model="fast")
    with pytest.raises(BudgetExceeded, match=said) as error:
        meter.reserve(r, model="fast")
    assert error.value.hint
    assert error.value.exit_code == 5


def test_a_budget_can_be_used_up_to_its_last_unit() -> None:
    meter = Meter(Budget(usd=0.02, tokens=20, calls=2))
    meter.reserve(Reservation(10, CENT), model="m")
    meter.reserve(Reservation(10, CENT), model="m")
    assert meter.left() == BudgetLeft(Decimal(0), 0, 0)
    assert meter.in_flight == 2


def test_settling_gives_back_what_was_not_used() -> None:
    meter = Meter(Budget(usd=0.10, tokens=100))
    r = Reservation(100, 10 * CENT)
    meter.reserve(r, model="m")
    meter.settle(r, Spend(CENT, 7, 1))
    assert meter.left() == BudgetLeft(Decimal("0.09"), 93, None)
    assert meter.spend == Spend(CENT, 7, 1)
    assert meter.in_flight == 0


def test_an_overshoot_is_counted_and_the_next_request_refused() -> None:
    meter = Meter(Budget(tokens=100))
    r = Reservation(90, 0)
    meter.reserve(r, model="m")
    meter.settle(r, Spend(0, 120, 1))
    assert meter.left().tokens == 0
    with pytest.raises(BudgetExceeded, match="120 spent"):
        meter.reserve(Reservation(0, 0), model="m")


def test_an_unpriced_model_is_refused_under_a_usd_budget() -> None:
    unpriced = Reservation(10, None)
    with pytest.raises(UnpricedModel, match="'local/x'"):
        Meter(Budget(usd=1.0)).reserve(unpriced, model="local/x")
    assert not Meter(Budget(usd=1.0)).could_fit(unpriced)


@pytest.mark.parametrize("budget", [None, Budget(tokens=100), Budget(usd=1.0, tokens=100, unpriced="allow")])
def test_an_unpriced_model_passes_where_dollars_do_not_matter(budget: Budget | None) -> None:
    meter = Meter(budget)
    r = Reservation(10, None)
    meter.reserve(r, model="local/x")
    meter.settle(r, Spend(0, 10, 1, unpriced=1))
    assert meter.spend.unpriced == 1


def test_a_parents_limit_holds_for_its_children_and_names_itself() -> None:
    run = Meter(Budget(calls=1), of="run")
    plan, answer = Meter(Budget(calls=5), parent=run, of="stage 'plan'"), Meter(None, parent=run)
    plan.reserve(Reservation(1, 0), model="m")
    with pytest.raises(BudgetExceeded, match="the run has"):
        answer.reserve(Reservation(1, 0), model="m")
    assert plan.left().calls == 0


def test_a_refused_reservation_changes_no_meter_of_the_chain() -> None:
    run = Meter(Budget(tokens=5))
    stage = Meter(Budget(tokens=100), parent=run)
    for refused in (Reservation(6, 0), Reservation(50, 0)):
        with pytest.raises(BudgetExceeded):
            stage.reserve(refused, model="m")
    assert (stage.in_flight, run.in_flight) == (0, 0)
    assert run.left().tokens == 5
    stage.reserve(Reservation(5, 0), model="m")


def test_what_was_spent_before_counts_in_its_own_meter_alone() -> None:
    run = Meter(Budget(calls=10), spent=Spend(calls=4))
    stage = Meter(Budget(calls=5), spent=Spend(calls=3), parent=run)
    assert stage.left().calls == 2
    assert run.left().calls == 6


def test_room_that_is_only_reserved_may_come_back() -> None:
    meter = Meter(Budget(calls=2, usd=0.02, tokens=20), spent=Spend(CENT, 10, 1))
    r = Reservation(10, CENT)
    assert meter.could_fit(r)
    meter.reserve(r, model="m")
    assert meter.could_fit(r)
    meter.settle(r, Spend(0, 0, 1))
    assert not meter.could_fit(r)
    assert not Meter(Budget(tokens=9)).could_fit(r)
    assert not Meter(None, parent=Meter(Budget(usd=0.009))).could_fit(r)


@pytest.mark.parametrize("r", [Reservation(1, 0), Reservation(0, 1), Reservation(0, 0), Reservation(0, None)])
def test_settling_what_was_not_reserved_is_a_bug_and_says_so(r: Reservation) -> None:
    with pytest.raises(ValueError, match="without its reserve"):
        Meter(None).settle(r, Spend())


reservations = st.builds(Reservation, tokens=st.integers(0, 50), nano_usd=st.integers(0, 50))
steps = st.lists(st.tuples(st.integers(0, 2), st.booleans(), reservations, st.floats(0, 1.5)), max_size=40)
limits = st.none() | st.builds(
    Budget,
    usd=st.none() | st.integers(0, 200).map(lambda nano: Decimal(nano) / NANO),
    tokens=st.none() | st.integers(0, 200),
    calls=st.none() | st.integers(0, 8),
)


@given(st.tuples(limits, limits, limits), steps)
def test_no_interleaving_of_two_stages_breaks_a_limit(
    three: tuple[Budget | None, Budget | None, Budget | None],
    plan: list[tuple[int, bool, Reservation, float]],
) -> None:
    run = Meter(three[0])
    stages = (Meter(three[1], parent=run), Meter(three[2], parent=run))
    meters = (run, *stages)
    open_by_meter: list[list[Reservation]] = [[], [], []]
    spent = [Spend(), Spend(), Spend()]
    overshoot = [Spend(), Spend(), Spend()]
    for who, settles, r, part in plan:
        chain = {0, who}
        if settles and open_by_meter[who]:
            r = open_by_meter[who].pop(0)
            actual = Spend(int((r.nano_usd or 0) * part), int(r.tokens * part), 1)
            over = Spend(max(actual.nano_usd - (r.nano_usd or 0), 0), max(actual.tokens - r.tokens, 0), 0)
            meters[who].settle(r, actual)
            for i in chain:
                spent[i] += actual
                overshoot[i] += over
        elif not settles:
            before = [(m.spend, m.in_flight, m.left()) for m in meters]
            try:
                meters[who].reserve(r, model="m")
            except BudgetExceeded:
                assert [(m.spend, m.in_flight, m.left()) for m in meters] == before
            else:
                open_by_meter[who].append(r)
        in_flight = [[r for each in open_by_meter for r in each], open_by_meter[1], open_by_meter[2]]
        for i, meter in enumerate(meters):
            assert meter.spend == spent[i]
            assert meter.in_flight == len(in_flight[i])
            budget = three[i]
            if budget is None:
                continue
            tokens = spent[i].tokens + sum(r.tokens for r in in_flight[i])
            nano = spent[i].nano_usd + sum(r.nano_usd or 0 for r in in_flight[i])
            assert budget.tokens is None or tokens <= budget.tokens + overshoot[i].tokens
            assert budget.nano_usd is None or nano <= budget.nano_usd + overshoot[i].nano_usd
            assert budget.calls is None or spent[i].calls + len(in_flight[i]) <= budget.calls


@given(limits, st.lists(reservations, max_size=20))
def test_left_says_exactly_what_still_fits(budget: Budget | None, asked: list[Reservation]) -> None:
    meter = Meter(None, parent=Meter(budget))
    for r in asked:
        left = meter.left()
        fits = (
            (left.tokens is None or r.tokens <= left.tokens)
            and (left.usd is None or (r.nano_usd or 0) <= left.usd * NANO)
            and (left.calls is None or left.calls >= 1)
        )
        try:
            meter.reserve(r, model="m")
        except BudgetExceeded:
            assert not fits
        else:
            assert fits
