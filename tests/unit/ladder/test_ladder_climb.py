"""A climb ends, costs at most its bound, and is a function of what happened."""

from __future__ import annotations

import copy
import itertools
import pickle
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardflow.errors import LadderError
from guardflow.kinds import Kind
from guardflow.ladder import (
    DEFAULT_LADDER,
    Call,
    Failure,
    Grow,
    Ladder,
    Move,
    Otherwise,
    Rung,
    Stop,
    Switch,
    Wait,
    abstain,
    degrade,
    grow,
    next_move,
    park,
    reask,
    rephrase,
    resample,
    shrink,
    switch,
    wait,
)
from guardflow.values import Finding, Model

FAST, STRONG, JUDGE = Model("fast"), Model("strong"), Model("judge")
START = Call(model=FAST, variant=None, temperature=None, max_tokens=100)
RUNGS = (
    wait(4, on=Kind.TRANSIENT),
    grow(2.0, on=Kind.TRUNCATED),
    shrink(0.7, on=Kind.CONTEXT),
    reask(2, on=Kind.INVALID | Kind.GUARD),
    resample(1, on=Kind.GUARD, temperature=0.7),
    rephrase("strict", on=Kind.INVALID | Kind.REFUSED),
    switch(STRONG, on=Kind.ANSWERABLE | Kind.TRANSIENT | Kind.QUOTA, waits=2),
)
LADDER = Ladder(*RUNGS, otherwise=abstain())
"""The ladder of the README."""


def failure(kind: Kind, *, retry_after: float | None = None) -> Failure:
    if kind & Kind.ANSWERABLE:
        return Failure(kind, text="bad", findings=(Finding("wrong"),))
    return Failure(kind, retry_after=retry_after)


def climb(ladder: Ladder, *kinds: Kind) -> tuple[list[str], Move | Otherwise | Stop | None, Call]:
    """Fail with one kind after the other; the labels asked, how it ended, and the last call."""
    call, history, ended = START, ["start"], None
    for kind in kinds:
        ended = next_move(ladder, history, call, failure(kind))
        if not isinstance(ended, Move):
            break
        call = ended.call
        history.append(call.rung)
    return history, ended, call


# --- examples -------------------------------------------------------------------------------------


def test_each_failure_climbs_its_own_rung() -> None:
    labels, _, call = climb(
        LADDER, Kind.TRUNCATED, Kind.MALFORMED, Kind.RATE_LIMIT, Kind.REFUSED, Kind.TRUNCATED
    )
    assert labels == ["start", "grow", "reask", "wait", "rephrase:strict", "switch:strong"]
    assert call == replace(
        START,
        model=STRONG,
        variant="strict",
        max_tokens=200,
        grown=2.0,
        findings=(Finding("wrong"),),
        rung="switch:strong",
    )


def test_an_answer_that_never_passes_its_guards_climbs_to_the_end() -> None:
    labels, ended, _ = climb(LADDER, *[Kind.GUARD] * 8)
    assert labels == ["start", "reask", "reask", "resample", "switch:strong"]
    assert ended == abstain()


def test_after_a_switch_the_new_model_has_its_own_waits_and_backoff() -> None:
    labels, ended, _ = climb(LADDER, Kind.TIMEOUT, Kind.QUOTA, *[Kind.TIMEOUT] * 3)
    assert labels == ["start", "wait", "switch:strong", "wait", "wait"]
    assert ended == abstain()
    move = next_move(LADDER, ["start", "wait", "wait", "switch:strong"], START, failure(Kind.TIMEOUT))
    assert isinstance(move, Move)
    assert move.nth == 1


def test_waits_after_a_switch_are_shared_by_all_wait_rungs() -> None:
    ladder = Ladder(
        wait(5, on=Kind.RATE_LIMIT), wait(5, on=Kind.TIMEOUT), switch(STRONG, on=Kind.QUOTA, waits=1)
    )
    labels, ended, _ = climb(ladder, Kind.QUOTA, Kind.TIMEOUT, Kind.RATE_LIMIT)
    assert labels == ["start", "switch:strong", "wait#2"]
    assert isinstance(ended, Otherwise)


def test_the_last_switch_says_how_many_waits_there_are() -> None:
    ladder = Ladder(wait(1), switch(STRONG, on=Kind.QUOTA, waits=3), switch(JUDGE, on=Kind.QUOTA, waits=1))
    labels, _, _ = climb(
        ladder, Kind.QUOTA, Kind.TIMEOUT, Kind.TIMEOUT, Kind.QUOTA, Kind.TIMEOUT, Kind.TIMEOUT
    )
    assert labels == ["start", "switch:strong", "wait", "wait", "switch:judge", "wait"]


def test_a_provider_that_asks_for_too_much_patience_is_left() -> None:
    moved = next_move(LADDER, ["start"], START, failure(Kind.RATE_LIMIT, retry_after=3600.0))
    assert isinstance(moved, Move)
    assert moved.call.rung == "switch:strong"


def test_several_rungs_of_one_sort_are_told_apart() -> None:
    ladder = Ladder(reask(1, on=Kind.INVALID), resample(1, on=Kind.INVALID), reask(1, on=Kind.INVALID))
    assert ladder.labels == ("reask", "resample", "reask#2")
    labels, _, call = climb(ladder, Kind.SCHEMA, Kind.SCHEMA, Kind.SCHEMA)
    assert labels == ["start", "reask", "resample", "reask#2"]
    assert call.rung == "reask#2"


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.NOT_FOUND, Kind.BAD_REQUEST, Kind.BUG])
def test_what_is_fatal_stops_and_never_reaches_the_fallback(kind: Kind) -> None:
    ladder = Ladder(*RUNGS, otherwise=degrade())
    assert next_move(ladder, ["start"], START, failure(kind)) == Stop(kind)


def test_a_spent_budget_goes_straight_to_the_fallback() -> None:
    assert next_move(Ladder(*RUNGS, otherwise=degrade()), ["start"], START, failure(Kind.BUDGET)) == degrade()


def test_kinds_that_no_fallback_may_hide_stop_the_climb_where_no_rung_is_left_for_them() -> None:
    ladder = Ladder(*RUNGS, otherwise=degrade(unless=Kind.CONNECTION))
    waited = ["start", *["wait"] * 4, "switch:strong", "wait", "wait"]
    assert isinstance(next_move(ladder, ["start"], START, failure(Kind.CONNECTION)), Move)
    assert next_move(ladder, waited, START, failure(Kind.CONNECTION)) == Stop(Kind.CONNECTION)
    assert next_move(ladder, waited, START, failure(Kind.OVERLOADED)) == ladder.otherwise
    assert ladder.explain(Kind.CONNECTION)[-1] == "failed"
    assert ladder.explain(Kind.OVERLOADED)[-1] == "degrade"
    assert str(ladder.otherwise) == "degrade(unless=CONNECTION)"
    plain = Ladder(*RUNGS, otherwise=degrade())
    assert ladder.version != plain.version == Ladder(*RUNGS, otherwise=degrade(unless=Kind(0))).version
    with pytest.raises(LadderError, match="unless="):
        degrade(unless="CONNECTION")  # type: ignore[arg-type]  # what is refused


@pytest.mark.parametrize("otherwise", [abstain(), degrade(), park()])
def test_an_empty_ladder_asks_once(otherwise: Otherwise) -> None:
    ladder = Ladder(otherwise=otherwise)
    assert ladder.bound == 1
    assert next_move(ladder, ["start"], START, failure(Kind.GUARD)) == otherwise


def test_labels_of_an_older_ladder_count_for_nothing() -> None:
    moved = next_move(LADDER, ["start", "escalate", "switch:gone"], START, failure(Kind.TIMEOUT))
    assert isinstance(moved, Move)
    assert (moved.call.rung, moved.nth) == ("wait", 1)


# --- reading a ladder -----------------------------------------------------------------------------


def test_explain_tells_the_path_of_each_kind() -> None:
    ladder = Ladder(*RUNGS, otherwise=park())
    assert ladder.explain(Kind.GUARD) == ("start", "reask", "reask", "resample", "switch:strong", "park")
    assert ladder.explain(Kind.TIMEOUT) == (
        "start", "wait", "wait", "wait", "wait", "switch:strong", "wait", "wait", "park",
    )  # fmt: skip
    assert ladder.explain(Kind.TRUNCATED) == ("start", "grow", "switch:strong", "park")
    assert ladder.explain(Kind.BUDGET) == ("start", "park")
    assert ladder.explain(Kind.AUTH) == ("start", "failed")


@pytest.mark.parametrize("kind", list(Kind))
def test_explain_foretells_what_next_move_does(kind: Kind) -> None:
    labels, ended, _ = climb(LADDER, *[kind] * 20)
    assert LADDER.explain(kind) == (*labels, "failed" if isinstance(ended, Stop) else "abstain")


def test_explain_takes_one_kind_at_a_time() -> None:
    with pytest.raises(LadderError, match="not one kind"):
        LADDER.explain(Kind.INVALID)


def test_the_bound_counts_the_first_request_and_the_waits_of_a_switch() -> None:
    assert LADDER.bound == 1 + 4 + 1 + 1 + 2 + 1 + 1 + (1 + 2)


def test_a_ladder_reads_as_it_was_written() -> None:
    assert str(LADDER) == (
        "wait(4, on=TRANSIENT) > grow(2, on=TRUNCATED) > shrink(0.7, on=CONTEXT) > reask(2, on=INVALID | GUARD)"
        " > resample(1, on=GUARD, temperature=0.7) > rephrase('strict', on=INVALID | REFUSED)"
        " > switch('strong', on=ANSWERABLE | TRANSIENT | QUOTA, waits=2) > abstain()"
    )
    assert repr(Ladder(wait())) == "Ladder(wait(1, on=TRANSIENT), otherwise=abstain())"


def test_a_ballot_climbs_waits_and_growth_alone() -> None:
    assert [type(rung) for rung in LADDER.ballot.rungs] == [Wait, Grow]
    assert LADDER.ballot.bound == 6


def test_roles_are_resolved_once_and_labels_stay() -> None:
    resolved = LADDER.resolved(lambda model: Model("openai/big", max_tokens=500, role=model.name))
    assert LADDER.models == (STRONG,)
    assert resolved.models == (Model("openai/big", max_tokens=500, role="strong"),)
    assert resolved.labels == LADDER.labels
    assert resolved.otherwise == LADDER.otherwise


def test_two_roles_may_lead_to_one_model() -> None:
    ladder = Ladder(switch(STRONG, on=Kind.QUOTA), switch(JUDGE, on=Kind.QUOTA))
    resolved = ladder.resolved(lambda model: Model("local/one", role=model.name))
    labels, _, _ = climb(resolved, Kind.QUOTA, Kind.QUOTA)
    assert labels == ["start", "switch:strong"]


# --- identity -------------------------------------------------------------------------------------


def test_ladders_are_values_that_survive_copying_and_pickling() -> None:
    same = Ladder(*RUNGS)
    assert same == LADDER
    assert hash(same) == hash(LADDER)
    assert pickle.loads(pickle.dumps(LADDER)) == LADDER
    assert copy.deepcopy(LADDER).labels == LADDER.labels
    with pytest.raises(AttributeError):
        LADDER.otherwise = park()  # type: ignore[misc]  # that is the point


def test_the_version_is_the_same_on_every_machine() -> None:
    assert Ladder(wait(2), reask(1, on=Kind.GUARD)).version == "854894bde939d7bcef17e6b57bb072e53328019d"


CHANGED = [
    Ladder(*RUNGS, otherwise=park()),
    Ladder(RUNGS[0], *RUNGS[2:]),
    Ladder(RUNGS[1], RUNGS[0], *RUNGS[2:]),
    Ladder(wait(4, on=Kind.TRANSIENT, cap=31.0), *RUNGS[1:]),
    Ladder(wait(4, on=Kind.TRANSIENT, base=0.6), *RUNGS[1:]),
    Ladder(wait(5, on=Kind.TRANSIENT), *RUNGS[1:]),
    Ladder(wait(4, on=Kind.TIMEOUT), *RUNGS[1:]),
    Ladder(RUNGS[0], grow(2.5), *RUNGS[2:]),
    Ladder(RUNGS[0], grow(2.0, limit=9), *RUNGS[2:]),
    Ladder(*RUNGS[:2], shrink(0.6), *RUNGS[3:]),
    Ladder(*RUNGS[:4], resample(1, on=Kind.GUARD, temperature=0.8), *RUNGS[5:]),
    Ladder(*RUNGS[:5], rephrase("loose", on=Kind.INVALID | Kind.REFUSED), RUNGS[6]),
    Ladder(*RUNGS[:6], switch(JUDGE, on=Kind.ANSWERABLE | Kind.TRANSIENT | Kind.QUOTA, waits=2)),
    Ladder(*RUNGS[:6], switch(STRONG, on=Kind.ANSWERABLE | Kind.TRANSIENT | Kind.QUOTA, waits=3)),
]


def test_every_change_of_policy_is_another_version() -> None:
    assert len({ladder.version for ladder in [LADDER, *CHANGED]}) == 1 + len(CHANGED)


def test_two_spellings_of_one_policy_are_one_version() -> None:
    spelled = Ladder(grow(2, on=Kind.TRUNCATED), wait(on=Kind.TRANSIENT, cap=30))
    assert spelled.version == Ladder(grow(2.0), wait()).version


# --- ladders that are refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rungs", "said"),
    [
        ((switch(STRONG, on=Kind.GUARD), switch(STRONG, on=Kind.QUOTA)), "'switch:strong' twice"),
        ((rephrase("a", on=Kind.GUARD), rephrase("a", on=Kind.REFUSED)), "'rephrase:a' twice"),
        ((switch(STRONG, on=Kind.QUOTA, waits=2),), "no wait"),
        ((switch(STRONG, on=Kind.TRANSIENT), wait(2)), "could never be used"),
        (("wait",), "no rung"),
    ],
)
def test_a_ladder_that_cannot_do_what_it_says_is_refused(rungs: tuple[Rung, ...], said: str) -> None:
    with pytest.raises(LadderError, match=said) as error:
        Ladder(*rungs)
    assert error.value.hint


def test_a_wait_below_a_switch_is_fine_where_it_can_be_reached() -> None:
    Ladder(switch(STRONG, on=Kind.TRANSIENT, waits=1), wait(2))
    Ladder(switch(STRONG, on=Kind.RATE_LIMIT), wait(2))


def test_otherwise_is_made_with_its_words() -> None:
    with pytest.raises(LadderError, match="otherwise='abstain'"):
        Ladder(otherwise="abstain")  # type: ignore[arg-type]  # that is the point


def test_without_a_ladder_of_its_own_a_stage_climbs_cheap_rungs_on_one_model() -> None:
    assert DEFAULT_LADDER.models == ()
    assert DEFAULT_LADDER.otherwise == abstain()
    assert DEFAULT_LADDER.explain(Kind.GUARD) == ("start", "reask", "reask", "resample", "abstain")
    assert DEFAULT_LADDER.explain(Kind.TRUNCATED)[1] == "grow"


# --- properties -----------------------------------------------------------------------------------


def some(groups: Kind) -> st.SearchStrategy[Kind]:
    parts = st.lists(st.sampled_from(tuple(groups)), min_size=1, max_size=6)
    return parts.map(lambda kinds: Kind(sum({kind.value for kind in kinds})))


times = st.integers(1, 3)
asked = some(Kind.ANSWERABLE)
rungs = st.one_of(
    st.builds(lambda n, on: wait(n, on=on), times, some(Kind.TRANSIENT | Kind.QUOTA)),
    st.builds(
        lambda n, on, limit: grow(2.0, on=on, times=n, limit=limit),
        times,
        asked,
        st.none() | st.integers(50, 300),
    ),
    st.builds(lambda n, on: shrink(0.7, on=on, times=n), times, some(Kind.CONTEXT)),
    st.builds(lambda n, on: reask(n, on=on), times, asked),
    st.builds(lambda n, on: resample(n, on=on, temperature=0.7), times, asked),
    st.builds(lambda v, n, on: rephrase(v, on=on, times=n), st.sampled_from(["a", "b"]), times, asked),
    st.builds(
        lambda m, on, waits: switch(m, on=on, waits=waits),
        st.sampled_from([FAST, STRONG, JUDGE]),
        some(Kind.ANSWERABLE | Kind.TRANSIENT | Kind.QUOTA),
        st.integers(0, 3),
    ),
)


@st.composite
def ladders(draw: st.DrawFn) -> Ladder:
    kept: list[Rung] = []
    for rung in draw(st.lists(rungs, max_size=7)):
        try:
            Ladder(wait(), *kept, rung)
        except LadderError:
            continue
        kept.append(rung)
    return Ladder(
        wait(draw(times), on=draw(some(Kind.TRANSIENT))),
        *kept,
        otherwise=draw(st.sampled_from([abstain(), degrade(), park()])),
    )


failures = st.builds(
    Failure,
    kind=st.sampled_from(tuple(Kind)),
    text=st.none() | st.just("bad"),
    findings=st.sampled_from([(), (Finding("wrong", at=("a", 1), evidence="x"),)]),
    retry_after=st.none() | st.sampled_from([0.0, 5.0, 100.0]),
)


@settings(max_examples=300)
@given(ladders(), st.lists(failures, min_size=1, max_size=12), st.booleans())
def test_every_climb_ends_within_its_bound_and_no_rung_is_overused(
    ladder: Ladder, failed: list[Failure], trimmable: bool
) -> None:
    call, history = replace(START, trimmable=trimmable), ["start"]
    switched: Switch | None = None
    waits_here = 0
    for each in itertools.islice(itertools.cycle(failed), 60):
        frozen = tuple(history)
        ended = next_move(ladder, history, call, each)
        assert tuple(history) == frozen
        assert ended == next_move(ladder, frozen, call, each)
        if each.kind & Kind.FATAL:
            assert ended == Stop(each.kind)
        if each.kind is Kind.BUDGET:
            assert ended == ladder.otherwise
        if not isinstance(ended, Move):
            break
        assert each.kind & ended.rung.on
        waits_here += isinstance(ended.rung, Wait)
        if isinstance(ended.rung, Switch):
            switched, waits_here = ended.rung, 0
        if switched is not None:
            assert waits_here <= switched.waits
        call = ended.call
        assert len(call.turns) in {0, 2}
        history.append(call.rung)
        assert len(history) <= ladder.bound
    else:
        raise AssertionError("a climb of 60 failures did not end")
    taken = Counter(history)
    for label, rung in zip(ladder.labels, ladder.rungs, strict=True):
        if not isinstance(rung, Wait) or switched is None:
            assert taken[label] <= rung.times


@given(ladders(), st.sampled_from(tuple(Kind)))
def test_every_explained_path_ends_and_keeps_the_bound(ladder: Ladder, kind: Kind) -> None:
    path = ladder.explain(kind)
    assert len(path) - 1 <= ladder.bound
    assert path[-1] in {"failed", ladder.otherwise.action}
