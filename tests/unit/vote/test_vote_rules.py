"""Rules: when they are met, when they can still be, and how many ballots that takes."""

from __future__ import annotations

import math
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from voting import FAST

from guardflow import LadderError, Vote, ahead_by, confident, k_for, majority, quorum, unanimous
from guardflow.vote.rules import Group, Rule, fewest

RULES: list[Rule] = [
    ahead_by(1),
    ahead_by(2),
    ahead_by(3),
    majority(3),
    majority(4),
    quorum(2, 5),
    quorum(4, 5),
    confident(0.9),
    confident(0.95),
    unanimous(3),
]
some_groups = st.lists(st.builds(Group, st.floats(0.25, 4.0), st.integers(1, 4)), min_size=0, max_size=4)


def even(*counts: int) -> list[Group]:
    return [Group(float(count), count) for count in sorted(counts, reverse=True)]


@pytest.mark.parametrize(
    ("rule", "won", "open_"),
    [
        (ahead_by(2), [(2,), (3, 1), (4, 2, 2)], [(1,), (2, 1), (3, 2)]),
        (majority(5), [(3,), (3, 2)], [(2,), (2, 2)]),
        (majority(4), [(3,), (3, 1)], [(2,), (2, 2)]),
        (quorum(4, 5), [(4,), (4, 1)], [(3,), (3, 1)]),
        (quorum(2, 5), [(2,), (2, 1), (3, 2)], [(1, 1), (2, 2)]),
        (confident(0.9), [(3,), (5, 1)], [(2,), (3, 1)]),
        (unanimous(3), [(3,)], [(2,), (2, 1), (3, 1)]),
    ],
    ids=str,
)
def test_a_rule_is_met_by_what_it_says_and_by_nothing_less(
    rule: Rule, won: list[tuple[int, ...]], open_: list[tuple[int, ...]]
) -> None:
    for counts in won:
        assert rule.wins(even(*counts), ()), counts
    for counts in open_:
        assert not rule.wins(even(*counts), [1.0] * 9), counts


@pytest.mark.parametrize("agreeing", range(1, 6))
def test_confidence_is_that_of_the_beta_criterion(agreeing: int) -> None:
    exact = 1 - 0.5 ** (agreeing + 1)  # .875 for two that agree, .938 for three, .969 for four
    assert confident(exact - 1e-9).least == agreeing
    assert not confident(exact + 1e-9).wins(even(agreeing), ())


def test_confidence_against_a_runner_up_is_a_sum_of_binomials() -> None:
    # P(Bin(8, 1/2) <= 5) with five against two
    exact = sum(math.comb(8, heads) for heads in range(6)) / 2**8
    assert confident(exact).wins(even(5, 2), ())
    assert not confident(exact + 1e-12).wins(even(5, 2), ())


@pytest.mark.parametrize(("v1", "v2"), [(520, 481), (505, 501), (530, 490)])
def test_of_many_ballots_confidence_is_as_good_as_exact(v1: int, v2: int) -> None:
    total = v1 + v2 + 1
    exactly = sum(math.comb(total, heads) for heads in range(v1 + 1)) / 2**total
    groups = [Group(v1, v1), Group(v2, v2)]
    assert confident(exactly - 1e-3).wins(groups, ())
    assert not confident(exactly + 1e-3).wins(groups, ())


def test_heavy_weights_are_counted_at_once() -> None:
    assert Vote({FAST: 1e6}, rule=confident(0.95)).rule.wins([Group(4e6, 4), Group(1e6, 1)], ())


def test_a_heavy_ballot_does_not_decide_alone() -> None:
    for rule in (ahead_by(2), majority(3), quorum(2, 3), confident(0.9), unanimous(2)):
        assert not rule.wins([Group(50.0, 1)], ())


def test_a_light_lead_is_no_lead() -> None:
    assert not ahead_by(2).wins([Group(2.4, 3), Group(0.6, 1)], ())
    assert ahead_by(2).wins([Group(2.6, 3), Group(0.6, 1)], ())
    assert not quorum(3, 5).wins([Group(1.5, 3), Group(2.0, 1)], ())
    assert not quorum(3, 5).wins([Group(3.0, 3)], [3.0, 3.0])  # the two that are left weigh more
    assert not confident(0.9).wins([Group(2.9, 4)], ())


def test_sums_of_weights_forgive_what_floats_lose() -> None:
    assert ahead_by(1).wins([Group(0.1 + 0.2 + 0.7, 3), Group(1e-17, 1)], ())


@settings(deadline=None)
@given(st.sampled_from(RULES), some_groups, st.lists(st.floats(0.25, 2.0), max_size=6))
def test_the_fewest_further_ballots_are_enough_and_one_less_is_not(
    rule: Rule, groups: list[Group], left: list[float]
) -> None:
    need = fewest(rule, groups, left)
    counted = left if rule.size is None else left[: max(0, rule.size - sum(g.ballots for g in groups))]

    def decides(more: int) -> bool:
        added = Group(sum(counted[:more]), more)
        ways = [
            [*groups[:i], Group(g.weight + added.weight, g.ballots + more), *groups[i + 1 :]]
            for i, g in enumerate(groups)
        ]
        ways += [[*groups, added]] if more else []
        return any(way and rule.wins(sorted(way, reverse=True), counted[more:]) for way in ways)

    enough = [more for more in range(len(counted) + 1) if decides(more)]
    assert need == (min(enough) if enough else None)


@settings(deadline=None)
@given(st.sampled_from(RULES), some_groups)
def test_no_rule_is_met_by_fewer_ballots_than_it_asks_for(rule: Rule, groups: list[Group]) -> None:
    ranked = sorted(groups, reverse=True)
    if ranked and rule.wins(ranked, ()):
        assert ranked[0].ballots >= rule.least


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_rule_can_be_met_within_its_own_bound(rule: Rule) -> None:
    assert fewest(rule, [], [1.0] * rule.bound) == rule.least <= rule.bound


def test_two_answers_never_win_at_once() -> None:
    for rule, counts in product(RULES, [(2, 2), (3, 3), (1, 1, 1), (5, 5)]):
        assert not rule.wins(even(*counts), ())


def test_k_is_that_of_the_paper() -> None:
    assert [k_for(0.9, steps) for steps in (1, 10, 1_000, 1_000_000)] == [3, 4, 6, 9]
    for p, steps in product((0.6, 0.75, 0.99), (1, 7, 500)):
        k = k_for(p, steps, target=0.95)
        right = 1 / (1 + ((1 - p) / p) ** k)  # of one vote, as gambler's ruin
        assert right**steps >= 0.95
        assert k == 1 or (1 / (1 + ((1 - p) / p) ** (k - 1))) ** steps < 0.95


@pytest.mark.parametrize(
    "make",
    [
        lambda: ahead_by(0),
        lambda: ahead_by(True),
        lambda: ahead_by(1.5),  # type: ignore[arg-type]  # what an untyped caller may write
        lambda: majority(0),
        lambda: majority("3"),  # type: ignore[arg-type]  # likewise
        lambda: quorum(4, 3),
        lambda: quorum(0, 3),
        lambda: confident(0.5),
        lambda: confident(1.0),
        lambda: confident(math.nan),
        lambda: unanimous(-1),
        lambda: k_for(0.5, 10),
        lambda: k_for(0.9, 0),
        lambda: k_for(0.9, 10, target=1.0),
    ],
)
def test_rules_that_make_no_sense_are_refused(make) -> None:
    with pytest.raises(LadderError) as refused:
        make()
    assert refused.value.hint
