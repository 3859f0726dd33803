"""The state machines of storm control keep their promises for every order of events. Pure: the clock is a number."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow import ConfigError, Model
from guardflow.models.limits import Limits, Policy
from guardflow.models.limits.breaker import Breaker, News
from guardflow.models.limits.hedging import Hedging
from guardflow.models.limits.rate import Rate
from guardflow.models.limits.retries import RetryBudget
from guardflow.models.roles import resolve
from guardflow.settings import load_settings

POLICY = Policy()
STEPS = st.lists(st.floats(0, 20), min_size=1, max_size=120)

# --- rates ------------------------------------------------------------------------------------------


@given(per_minute=st.integers(1, 600), steps=STEPS, greed=st.integers(1, 30))
def test_no_minute_has_more_requests_than_declared(per_minute: int, steps: list[float], greed: int) -> None:
    rate, now, sent = Rate(per_minute, now=0.0), 0.0, list[float]()
    for step in steps:
        now += step
        for _ in range(greed):
            if rate.take(1, now=now):
                sent.append(now)
    for at in sent:
        assert sum(at <= other < at + 60 - 1e-6 for other in sent) <= per_minute


@given(per_minute=st.integers(1, 600), wanted=st.integers(1, 50))
def test_who_waits_as_told_may_go(per_minute: int, wanted: int) -> None:
    rate, now = Rate(per_minute, now=0.0), 0.0
    for _ in range(wanted):
        now += rate.delay(1, now=now)
        assert rate.take(1, now=now)
    assert now <= 60 * wanted / (per_minute - max(1.0, per_minute / 10) + 1) + 1e-6


def test_tokens_taken_by_estimate_come_back() -> None:
    rate = Rate(6000, now=0.0)
    assert rate.take(600, now=0.0)
    assert not rate.take(1, now=0.0)
    rate.correct(550)
    assert rate.take(550, now=0.0)
    rate.correct(-600)  # another process
    assert rate.delay(1, now=0.0) > 6


@given(per_minute=st.integers(1, 10**6), elsewhere=st.floats(0, 1e15), wanted=st.integers(1, 1000))
def test_whatever_was_used_elsewhere_is_forgotten_after_a_minute_or_two(
    per_minute: int, elsewhere: float, wanted: int
) -> None:
    rate = Rate(per_minute, now=0.0)
    rate.correct(-elsewhere)
    waited = rate.delay(min(wanted, per_minute), now=0.0)
    assert (
        waited
        <= 60 * (per_minute + max(1.0, per_minute / 10)) / (per_minute - max(1.0, per_minute / 10) + 1) + 1e-6
    )
    assert waited >= (60 if elsewhere > 2 * per_minute else 0)


def test_a_request_above_the_burst_goes_alone_and_is_paid_back() -> None:
    rate = Rate(6000, now=0.0)
    assert rate.take(3000, now=0.0)
    assert rate.delay(600, now=0.0) == pytest.approx(3000 / (5401 / 60))


# --- the retry budget -------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.sampled_from(["first", "retry"]), st.floats(0, 0.5)), max_size=400))
def test_retries_are_a_tenth_and_the_start_and_five_a_second(events: list[tuple[str, float]]) -> None:
    budget, now, firsts, retries = RetryBudget(POLICY, now=0.0), 0.0, 0, 0
    for event, step in events:
        now += step
        if event == "first":
            budget.earn()
            firsts += 1
        elif budget.reserve(now=now, most=0.0) is not None:
            retries += 1
        assert retries <= POLICY.retry_start + POLICY.retry_earns * firsts + 5 * now + 1e-6
        assert budget.balance <= POLICY.retry_most + POLICY.retry_earns


def test_a_lone_stage_has_its_declared_waits_and_who_waits_gets_one_in_turn() -> None:
    budget = RetryBudget(POLICY, now=0.0)
    assert [budget.reserve(now=0.0, most=0.0) for _ in range(10)] == [0.0] * 10
    assert budget.reserve(now=0.0, most=0.0) is None
    assert [budget.reserve(now=0.0, most=9.0) for _ in range(3)] == pytest.approx([0.2, 0.4, 0.6])
    budget.give_back()
    assert budget.reserve(now=0.0, most=9.0) == pytest.approx(0.6)


# --- the breaker ------------------------------------------------------------------------------------


def opened(now: float = 0.0, *, not_before: float = 0.0) -> Breaker:
    breaker = Breaker(POLICY)
    for _ in range(10):
        breaker.ended(now, failed=True, probe=False, not_before=not_before)
    assert breaker.state == "open"
    return breaker


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 6)), max_size=80))
def test_it_opens_exactly_at_half_of_ten_calls_in_thirty_seconds(events: list[tuple[bool, float]]) -> None:
    breaker, now, seen = Breaker(POLICY), 0.0, list[tuple[float, bool]]()
    for failed, step in events:
        now += step
        seen.append((now, failed))
        breaker.ended(now, failed=failed, probe=False)
        recent = [bad for at, bad in seen if at >= now - 30]
        if failed and len(recent) >= 10 and 2 * sum(recent) >= len(recent):
            assert breaker.state == "open"
            return
        assert breaker.state == "closed"


@given(st.lists(st.sampled_from(["ask", "good", "bad", "lost", "late", "tick"]), max_size=100))
def test_there_is_one_probe_unless_it_hangs_for_longer_than_the_cool_down(events: list[str]) -> None:
    breaker, now, probes = opened(), 0.0, list[float]()
    for event in events:
        if event == "tick":
            now += 4.0
        elif event == "ask" and breaker.state != "closed" and breaker.delay(now) <= 0:
            assert all(now - sent >= POLICY.cooldown for sent in probes)
            assert breaker.admit(now)
            probes.append(now)
            assert breaker.delay(now) >= POLICY.cooldown
        elif event == "late":
            breaker.ended(now, failed=True, probe=False)
        elif probes and event in ("good", "bad", "lost"):
            failed = {"good": False, "bad": True, "lost": None}[event]
            breaker.ended(now, failed=failed, probe=True)
            probes.pop(0)
            assert (breaker.state == "closed") == (event == "good")
        if breaker.state == "closed":
            return
        assert breaker.state == "open" or probes


def test_a_probe_that_hangs_is_replaced_later_each_time_and_a_good_answer_of_either_closes() -> None:
    breaker, now, sent = opened(), 0.0, list[float]()
    for _ in range(6):
        now += breaker.delay(now)
        assert breaker.admit(now)
        sent.append(now)
    assert sent == [5, 10, 20, 40, 80, 140]
    assert not breaker.ended(now, failed=None, probe=True)  # one of the replaced ones is cancelled
    assert breaker.state == "probing"
    assert breaker.ended(now, failed=False, probe=True)
    assert breaker.state == "closed"
    breaker.ended(now, failed=True, probe=True)  # a failure among others now
    assert breaker.state == "closed"


def test_a_failed_probe_doubles_the_cool_down_and_a_good_one_closes() -> None:
    breaker, now, delays = opened(), 0.0, list[float]()
    for _ in range(6):
        delays.append(breaker.delay(now))
        now += breaker.delay(now)
        assert breaker.admit(now)
        assert breaker.delay(now) == max(5, delays[-1])  # unless it is answered before
        breaker.ended(now, failed=True, probe=True)
    assert delays == [5, 10, 20, 40, 60, 60]
    now += breaker.delay(now)
    breaker.admit(now)
    breaker.ended(now, failed=False, probe=True)
    assert (breaker.state, breaker.delay(now)) == ("closed", 0.0)


def test_the_longest_retry_after_is_honoured() -> None:
    assert opened(not_before=45.0).delay(0.0) == 45.0
    breaker = opened()
    breaker.ended(1.0, failed=True, probe=False, not_before=31.0)  # was sent before it opened
    assert breaker.delay(1.0) == 30.0


def test_a_probe_that_was_cancelled_leaves_its_place_to_the_next() -> None:
    breaker = opened()
    assert breaker.admit(5.0)
    breaker.ended(6.0, failed=None, probe=True)
    assert breaker.delay(6.0) == 0.0


def test_the_newest_change_counts_between_processes() -> None:
    ours, news = opened(10.0), News("closed", 9.0, 0.0, 5.0)
    assert not ours.adopt(news, grace=3.0)
    assert ours.adopt(News("closed", 11.0, 0.0, 5.0), grace=3.0)
    assert ours.state == "closed"
    ours.adopt(News("open", 12.0, 17.0, 5.0), grace=3.0)
    assert ours.delay(12.0) == 8.0  # whoever opened it probes first
    ours.adopt(News("probing", 17.0, 17.0, 5.0), grace=3.0)
    assert ours.delay(17.0) == 63.0  # unless it dies with its probe


# --- hedging ----------------------------------------------------------------------------------------


def test_the_delay_is_the_smaller_of_p95_and_three_medians() -> None:
    hedging = Hedging(POLICY)
    for n in range(20):
        assert hedging.delay() is None
        hedging.took(1.0 if n < 18 else 10.0)
    assert hedging.delay() == 3.0
    for _ in range(400):
        hedging.took(1.0)
    for _ in range(1000):
        hedging.earn()
    assert hedging.delay() == 1.0


def test_the_fewer_hedges_are_left_the_surer_it_must_be_that_a_request_is_slow() -> None:
    hedging, delays = Hedging(POLICY), list[float]()
    for _ in range(256):
        hedging.took(1.0)
    while hedging.take():
        delays.append(hedging.delay() or 0.0)
    assert len(delays) == POLICY.hedge_start
    assert delays == sorted(delays)
    assert delays[-1] == 3.0
    hedging.give_back()
    assert hedging.delay() == delays[-2]


@given(st.lists(st.booleans(), max_size=600))
def test_hedges_are_a_share_and_the_start_and_never_more_than_the_burst_at_once(events: list[bool]) -> None:
    hedging, firsts, hedges, row = Hedging(POLICY), 0, 0, 0
    for first in events:
        if first:
            hedging.earn()
            firsts += 1
            row = 0
        else:
            sent = hedging.take()
            hedges += sent
            row += sent
        assert hedges <= POLICY.hedge_start + POLICY.hedge_share * firsts + 1e-6
        assert row <= POLICY.hedge_burst


@given(
    seconds=st.lists(st.floats(0.001, 100), min_size=20, max_size=300),
    events=st.lists(st.sampled_from(["earn", "take", "give_back"]), max_size=200),
)
def test_the_delay_is_between_p95_and_three_medians(seconds: list[float], events: list[str]) -> None:
    hedging = Hedging(POLICY)
    for one in seconds:
        hedging.took(one)
    ranked = sorted(seconds[-256:])
    p95, thrice = ranked[min(int(0.95 * len(ranked)), len(ranked) - 1)], 3 * ranked[len(ranked) // 2]
    for event in events:
        getattr(hedging, event)()
        delay = hedging.delay()
        assert delay is not None
        assert min(p95, thrice) - 1e-9 <= delay <= thrice + 1e-9


@pytest.mark.parametrize("seed", range(5))
def test_where_a_twentieth_is_slow_nearly_all_of_it_is_hedged_and_an_overloaded_provider_is_spared(
    seed: int,
) -> None:
    """Requests one after the other, each as long as it takes or until its hedge is in: what is left of p99."""

    def tail(share: float, n: int = 2000) -> tuple[float, float]:
        rng, hedging, took, hedges = random.Random(seed), Hedging(POLICY), list[float](), 0

        def reply() -> float:
            return rng.uniform(1.0, 1.1) * (10 if rng.random() < share else 1)

        for _ in range(n):
            hedging.earn()
            delay, seconds = hedging.delay(), reply()
            if delay is not None and delay < seconds and hedging.take():
                hedges += 1
                second = reply()
                hedging.took(min(second, seconds - delay))
                seconds = min(seconds, delay + second)
            hedging.took(seconds)
            took.append(seconds)
        return sorted(took)[n * 99 // 100], hedges / n

    p99, extra = tail(0.05)
    assert p99 <= 4.5
    assert extra <= 0.065
    assert tail(0.3)[1] <= 0.055 + 10 / 2000


# --- what is declared -------------------------------------------------------------------------------


def test_two_roles_of_one_model_hold_to_the_tightest() -> None:
    assert Limits(10, None, 3).tightest(Limits(5, 100, None)) == Limits(5, 100, 3)


def test_a_request_that_could_wait_for_ever_is_refused_with_what_to_do() -> None:
    with pytest.raises(ConfigError, match=r"may take 200 tokens, and tpm=100 .*: raise tpm .* or shorten"):
        Limits(tpm=100).check(200, model="openai/x")


@pytest.mark.parametrize("bad", [{"rpm": 0}, {"tpm": -1}, {"concurrency": 0}, {"rpm": True}, {"tpm": 1.5}])
def test_a_limit_that_lets_nothing_through_is_refused_at_once(bad: dict[str, int]) -> None:
    with pytest.raises(ConfigError, match=f"given {next(iter(bad))}="):
        Model("fast", **bad)  # type: ignore[arg-type]  # on purpose


def test_limits_that_contradict_each_other_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="tpm=100 and max_tokens=200"):
        Model("fast", tpm=100, max_tokens=200)


@pytest.mark.parametrize(
    ("declared", "why"),
    [
        ({"rpm": 0}, r"'models.fast.rpm' does not fit \(in flag\)"),
        ({"concurrency": -2}, r"'models.fast.concurrency' does not fit"),
        (
            {"tpm": 100, "max_tokens": 200},
            r"'models.fast.tpm' does not fit .*max_tokens=200, more than a whole minute",
        ),
    ],
)
def test_settings_that_let_nothing_through_are_refused_when_they_are_read(
    declared: dict[str, int], why: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=why):
        load_settings(tmp_path, models={"fast": declared})


def test_a_role_carries_its_limits_and_the_stage_may_say_otherwise(tmp_path: Path) -> None:
    spec = {"name": "house", "api_base": "http://127.0.0.1:1", "rpm": 5, "tpm": 5000, "hedge": True}
    settings = load_settings(tmp_path, models={"fast": spec})
    found = resolve(Model("fast", rpm=3, hedge=False), settings)
    assert (found.rpm, found.tpm, found.concurrency, found.hedge) == (3, 5000, None, False)
    with pytest.raises(ConfigError, match="tpm=500 and max_tokens=1024"):
        resolve(Model("openai/house", api_base="http://127.0.0.1:1", tpm=500), settings)
