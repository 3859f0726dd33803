"""How many requests may be in flight: a true limit is found quickly, and what is refused by chance costs little."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.models.limits.concurrency import Concurrency


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1), st.integers(1, 200)), max_size=200))
def test_the_limit_stays_between_one_and_the_most(events: list[tuple[bool, float, int]]) -> None:
    limit, now = Concurrency(64, 100), 0.0
    for good, step, in_flight in events:
        now += step
        before = limit.limit
        if good:
            limit.succeeded(in_flight=in_flight)
            assert before <= limit.limit <= before + 1
        else:
            limit.refused(now, sent_at=now)
            assert limit.limit <= max(1, before)
        assert 1 <= limit.limit <= 100


def test_one_burst_of_refusals_is_one_cut() -> None:
    limit = Concurrency(64, 1024)
    for _ in range(50):
        limit.refused(2.0, sent_at=1.0)
    assert limit.limit == 32
    limit.refused(3.0, sent_at=2.5)
    assert limit.limit == 16


@given(st.floats(0, 0.3), st.integers(0, 10**6))
def test_a_cut_is_at_most_a_half_and_the_smaller_the_fewer_are_refused(share: float, seed: int) -> None:
    rng, limit, now = random.Random(seed), Concurrency(64, 64), 0.0
    for _ in range(300):
        now += 1.0
        if rng.random() < share:
            before = limit.limit
            limit.refused(now, sent_at=now)
            assert limit.limit >= max(1, before // 2)
        else:
            limit.succeeded(in_flight=limit.limit)
    before = limit.limit
    for _ in range(100):
        limit.succeeded(in_flight=1)
    limit.refused(now + 1, sent_at=now + 1)
    assert limit.limit >= min(before, int(0.95 * before))  # the others were good lately


def test_a_burst_of_refusals_after_a_good_time_deepens_its_one_cut() -> None:
    limit = Concurrency(64, 64)
    for _ in range(300):
        limit.succeeded(in_flight=64)
    limits = list[int]()
    for _ in range(60):
        limit.refused(2.0, sent_at=1.0)
        limits.append(limit.limit)
    assert limits == sorted(limits, reverse=True)
    assert limits[0] >= 62
    assert 32 <= limits[-1] <= 40


def rounds(
    limit: Concurrency, accepted: Callable[[int], int], *, wanted: int, n: int
) -> list[tuple[int, int]]:
    """The limit and how many were refused in each of n round trips, where so many want to be sent."""
    came = list[tuple[int, int]]()
    for now in range(1, n + 1):
        sent = min(limit.limit, wanted)
        good = min(accepted(sent), sent)
        for i in range(sent):
            if i < good:
                limit.succeeded(in_flight=sent - i)
            else:
                limit.refused(now + 0.5, sent_at=float(now))
        came.append((sent, sent - good))
    return came


@pytest.mark.parametrize("most", [1, 2, 5, 20, 50])
def test_a_true_limit_is_found_in_a_few_round_trips_and_rarely_overrun_then(most: int) -> None:
    came = rounds(Concurrency(64, 1024), lambda sent: most, wanted=200, n=200)
    assert min(sent for sent, _ in came[:8]) <= most  # halved each time
    later = came[8:]
    assert sum(refused for _, refused in later) <= 0.25 * sum(sent for sent, _ in later)
    assert sum(min(sent, most) for sent, _ in later) >= 0.7 * most * len(later)


@pytest.mark.parametrize("seed", range(10))
def test_refusals_by_chance_leave_room(seed: int) -> None:
    rng = random.Random(seed)
    came = rounds(
        Concurrency(64, 1024),
        lambda sent: sum(rng.random() >= 0.1 for _ in range(sent)),
        wanted=48,
        n=300,
    )
    assert sum(sent for sent, _ in came[20:]) >= 6 * len(came[20:])  # halving at each leaves 2.7


def test_it_grows_by_one_a_round_trip_and_only_where_it_is_used() -> None:
    limit = Concurrency(10, 1024)
    for _ in range(100):
        limit.succeeded(in_flight=2)
    assert limit.limit == 10
    for _ in range(12):
        limit.succeeded(in_flight=10)
    assert limit.limit == 11


def test_after_an_outage_it_begins_low_and_grows_quickly() -> None:
    limit = Concurrency(64, 1024)
    limit.refused(1.0, sent_at=0.5)
    limit.restart(4)
    assert limit.limit == 4
    for _ in range(28):
        limit.succeeded(in_flight=limit.limit)
    assert limit.limit == 32
