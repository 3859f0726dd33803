"""Wilson's interval: its published values, and what holds of every interval."""

from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.stats import wilson

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@pytest.mark.parametrize(
    ("successes", "total", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_table_of_newcombe_1998(successes: int, total: int, low: float, high: float) -> None:
    found = wilson(successes, total)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(COUNTS)
def test_it_lies_in_0_to_1_holds_the_share_and_mirrors(counts: tuple[int, int]) -> None:
    k, n = counts
    found, mirrored = wilson(k, n), wilson(n - k, n)
    assert 0 <= found.low <= k / n <= found.high <= 1
    assert found.low == pytest.approx(1 - mirrored.high) and found.high == pytest.approx(1 - mirrored.low)


@given(COUNTS)
def test_more_confidence_and_fewer_cases_make_it_wider(counts: tuple[int, int]) -> None:
    k, n = counts
    usual, sure, more = wilson(k, n), wilson(k, n, confidence=0.99), wilson(4 * k, 4 * n)
    assert sure.high - sure.low > usual.high - usual.low > more.high - more.low


def test_it_holds_the_true_share_about_as_often_as_it_says() -> None:
    share, n = 0.9, 60
    held = sum(
        comb(n, k) * share**k * (1 - share) ** (n - k)
        for k in range(n + 1)
        if wilson(k, n).low <= share <= wilson(k, n).high
    )
    assert 0.92 <= held <= 0.98


def test_of_no_cases_it_knows_nothing_and_of_impossible_ones_it_refuses() -> None:
    assert wilson(0, 0) == (0, 1)
    for counts in ((2, 1), (-1, 1), (0, -1)):
        with pytest.raises(ValueError, match="no share"):
            wilson(*counts)
