"""What each rung changes in the next call, when it is passed over, and which rungs are refused."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardflow.errors import LadderError
from guardflow.kinds import Kind
from guardflow.ladder import (
    Call,
    Failure,
    Ladder,
    Move,
    Otherwise,
    Rung,
    grow,
    next_move,
    pause_before,
    reask,
    rephrase,
    resample,
    shrink,
    switch,
    wait,
)
from guardflow.values import Finding, Message, Model

FAST = Model("local/fast", role="fast")
STRONG = Model("local/strong", role="strong")
START = Call(model=FAST, variant=None, temperature=0.2, max_tokens=100)
FOUND = (Finding("not in the cited page", at=("quotes", 0), evidence="42"),)
GUARD = Failure(Kind.GUARD, text='{"bad": 1}', findings=FOUND)


def after(rung: Rung, call: Call = START, failure: Failure = GUARD) -> Call:
    moved = next_move(Ladder(rung), ["start"], call, failure)
    assert isinstance(moved, Move)
    return moved.call


def passed_over(rung: Rung, call: Call, failure: Failure) -> bool:
    return isinstance(next_move(Ladder(rung), ["start"], call, failure), Otherwise)


# --- reask ----------------------------------------------------------------------------------------


def test_reask_shows_the_bad_answer_and_then_what_was_wrong_with_it() -> None:
    bad, ours = after(reask(on=Kind.GUARD)).turns
    assert bad == Message("assistant", '{"bad": 1}')
    assert ours.role == "user"
    assert "$.quotes[0]: not in the cited page" in ours.content


def test_a_second_reask_replaces_the_first_so_the_context_does_not_grow() -> None:
    once = after(reask(2, on=Kind.GUARD))
    twice = after(reask(2, on=Kind.GUARD), once, Failure(Kind.GUARD, text="worse", findings=FOUND))
    assert [turn.role for turn in twice.turns] == ["assistant", "user"]
    assert twice.turns[0].content == "worse"


@pytest.mark.parametrize("text", [None, "", " \n"])
def test_an_empty_answer_is_shown_as_words_because_providers_refuse_an_empty_turn(text: str | None) -> None:
    turns = after(reask(on=Kind.EMPTY), failure=Failure(Kind.EMPTY, text=text)).turns
    assert turns[0] == Message("assistant", "(no answer)")
    assert "was empty" in turns[1].content


def test_the_callers_fence_goes_around_evidence() -> None:
    move = next_move(Ladder(reask(on=Kind.GUARD)), [], START, GUARD, fence=lambda text: f"<<{text}>>")
    assert isinstance(move, Move)
    assert "<<42>>" in move.call.turns[1].content


# --- resample, rephrase, switch -------------------------------------------------------------------


def test_resample_draws_afresh_without_the_bad_answer_or_its_findings() -> None:
    call = after(resample(on=Kind.GUARD, temperature=0.9), after(reask(on=Kind.GUARD)))
    assert call == replace(START, sample=1, temperature=0.9, rung="resample")


def test_resample_leaves_the_temperature_alone_unless_told() -> None:
    assert after(resample(on=Kind.GUARD)).temperature == 0.2
    assert after(resample(on=Kind.GUARD, temperature=0)).temperature == 0


def test_rephrase_takes_the_findings_along_but_not_the_conversation() -> None:
    call = after(rephrase("strict", on=Kind.GUARD), after(reask(on=Kind.GUARD)))
    assert call == replace(START, variant="strict", findings=FOUND, rung="rephrase:strict")


@pytest.mark.parametrize("rung", [switch(STRONG, on=Kind.EMPTY), rephrase("strict", on=Kind.EMPTY)])
def test_findings_survive_a_failure_that_has_none(rung: Rung) -> None:
    found = after(reask(on=Kind.GUARD))
    assert after(rung, found, Failure(Kind.EMPTY)).findings == FOUND


def test_a_variant_that_is_in_use_already_is_passed_over() -> None:
    strict = replace(START, variant="strict")
    assert passed_over(rephrase("strict", on=Kind.GUARD, times=2), strict, GUARD)
    assert not passed_over(
        rephrase("strict", on=Kind.GUARD, times=2), replace(strict, turns=(Message("user", "x"),)), GUARD
    )


def test_switch_starts_afresh_with_the_new_models_own_numbers() -> None:
    big = replace(STRONG, max_tokens=900, temperature=0.5)
    call = after(switch(big, on=Kind.GUARD), after(reask(on=Kind.GUARD)))
    assert call == replace(
        START, model=big, max_tokens=900, temperature=0.5, findings=FOUND, rung="switch:strong"
    )


def test_switch_keeps_the_numbers_a_model_does_not_state() -> None:
    call = after(switch(STRONG, on=Kind.GUARD))
    assert (call.max_tokens, call.temperature) == (100, 0.2)


def test_switch_keeps_the_room_an_answer_turned_out_to_need() -> None:
    grown = after(grow(2.0), START, Failure(Kind.TRUNCATED))
    assert after(switch(replace(STRONG, max_tokens=300), on=Kind.GUARD), grown).max_tokens == 600
    assert after(switch(replace(STRONG, max_tokens=300, context=400), on=Kind.GUARD), grown).max_tokens == 400
    assert after(switch(STRONG, on=Kind.GUARD), grown).max_tokens == 200


def test_a_switch_to_the_model_in_use_is_passed_over() -> None:
    assert passed_over(switch(replace(STRONG, name=FAST.name), on=Kind.GUARD), START, GUARD)
    elsewhere = replace(STRONG, name=FAST.name, api_base="http://127.0.0.1:9/v1")
    assert not passed_over(switch(elsewhere, on=Kind.GUARD), START, GUARD)


# --- grow, shrink ---------------------------------------------------------------------------------


def test_grow_gives_room_and_keeps_the_conversation() -> None:
    shown = after(reask(on=Kind.GUARD))
    call = after(grow(1.5), shown, Failure(Kind.TRUNCATED))
    assert call.max_tokens == 150
    assert call.turns == shown.turns


def test_grow_always_gives_at_least_one_token_more() -> None:
    assert after(grow(1.001), replace(START, max_tokens=3), Failure(Kind.TRUNCATED)).max_tokens == 4


@pytest.mark.parametrize(("context", "limit"), [(120, None), (None, 120), (500, 120), (120, 500)])
def test_grow_stops_at_the_context_and_at_its_limit(context: int | None, limit: int | None) -> None:
    call = replace(START, model=replace(FAST, context=context))
    rung = grow(2.0, times=3, limit=limit)
    once = after(rung, call, Failure(Kind.TRUNCATED))
    assert once.max_tokens == 120
    assert passed_over(rung, once, Failure(Kind.TRUNCATED))


def test_grow_never_takes_room_away() -> None:
    assert passed_over(grow(2.0, limit=50), START, Failure(Kind.TRUNCATED))


def test_shrink_multiplies_and_is_passed_over_where_nothing_is_trimmable() -> None:
    cut = Failure(Kind.CONTEXT)
    assert after(shrink(0.5, times=2), after(shrink(0.5, times=2), START, cut), cut).shrink == 0.25
    assert passed_over(shrink(0.5), replace(START, trimmable=False), cut)


# --- wait -----------------------------------------------------------------------------------------


def test_wait_changes_nothing_but_the_label_so_the_request_hash_stays() -> None:
    assert replace(after(wait(), failure=Failure(Kind.TIMEOUT)), rung="start") == START


@given(st.integers(1, 5000), st.none() | st.floats(-10, 40), st.integers(), st.floats(0.01, 40))
def test_a_pause_is_at_least_what_the_provider_asked_for_and_at_most_the_cap(
    nth: int, asked: float | None, seed: int, base: float
) -> None:
    pause = pause_before(wait(base=base, cap=40.0), nth, asked, random.Random(seed))
    assert max(asked or 0.0, 0.0) <= pause <= 40.0


@given(st.integers(1, 6), st.integers())
def test_jitter_is_full_and_its_width_doubles(nth: int, seed: int) -> None:
    assert (
        0 <= pause_before(wait(base=0.5, cap=1000.0), nth, None, random.Random(seed)) <= 0.5 * 2 ** (nth - 1)
    )


def test_jitter_spreads_those_who_were_refused_together() -> None:
    rng = random.Random(7)
    pauses = [pause_before(wait(), 3, 5.0, rng) for _ in range(200)]
    assert min(pauses) < 5.2
    assert max(pauses) > 6.8
    assert max(pause_before(wait(), 3, None, rng) for _ in range(200)) > 1.8


def test_equal_generators_give_equal_pauses_and_other_rungs_pause_not() -> None:
    assert pause_before(wait(), 2, None, random.Random(1)) == pause_before(wait(), 2, None, random.Random(1))
    assert pause_before(reask(on=Kind.GUARD), 1, 9.0, random.Random(1)) == 0.0


def test_the_move_carries_its_pause() -> None:
    move = next_move(
        Ladder(wait(4, cap=60.0)), ["start", "wait"], START, Failure(Kind.RATE_LIMIT, retry_after=50.0)
    )
    assert isinstance(move, Move)
    assert (move.nth, move.retry_after) == (2, 50.0)
    assert 50.0 <= move.pause(random.Random(0)) <= 51.0


@pytest.mark.parametrize("asked", [30.001, 3600.0, float("inf")])
def test_a_longer_retry_after_than_the_cap_is_not_cut_short_but_passed_over(asked: float) -> None:
    assert passed_over(wait(cap=30.0), START, Failure(Kind.RATE_LIMIT, retry_after=asked))


@pytest.mark.parametrize("asked", [None, 0.0, -5.0, 30.0, float("nan")])
def test_every_other_retry_after_is_waited_for(asked: float | None) -> None:
    assert not passed_over(wait(cap=30.0), START, Failure(Kind.RATE_LIMIT, retry_after=asked))


# --- rungs that are refused -----------------------------------------------------------------------

ANY = Kind.GUARD
REFUSED: list[tuple[Callable[[], Rung], str]] = [
    (lambda: wait(0), "times=0"),
    (lambda: wait(True), "times=True"),
    (lambda: reask(1.0, on=ANY), r"times=1\.0"),  # type: ignore[arg-type]  # that is the point
    (lambda: reask(-1, on=ANY), "times=-1"),
    (lambda: reask(on=Kind(0)), "could never be used"),
    (lambda: reask(on="guard"), "on='guard'"),  # type: ignore[arg-type]  # that is the point
    (lambda: switch(STRONG, on=Kind.GUARD | Kind.AUTH), "AUTH, which another request cannot mend"),
    (lambda: switch(STRONG, on=Kind.FATAL), "AUTH | NOT_FOUND | BAD_REQUEST | BUG"),
    (lambda: switch(STRONG, on=Kind.BUDGET), "a spent budget allows no other request"),
    (lambda: wait(on=Kind.TRANSIENT | Kind.GUARD), "GUARD, but the same request again"),
    (lambda: reask(on=Kind.GUARD | Kind.TIMEOUT), "TIMEOUT, but there is no answer to show"),
    (lambda: resample(on=Kind.CONTEXT), "CONTEXT, but no answer was drawn"),
    (lambda: rephrase("strict", on=Kind.QUOTA), "QUOTA"),
    (lambda: grow(on=Kind.RATE_LIMIT), "RATE_LIMIT"),
    (lambda: shrink(on=Kind.CONNECTION), "CONNECTION"),
    (lambda: grow(1.0), r"factor=1\.0"),
    (lambda: grow(float("nan")), "factor=nan"),
    (lambda: grow(float("inf")), "factor=inf"),
    (lambda: grow(limit=0), "limit=0"),
    (lambda: shrink(1.0), r"factor=1\.0"),
    (lambda: shrink(0.0), r"factor=0\.0"),
    (lambda: shrink(float("nan")), "factor=nan"),
    (lambda: wait(base=0.0), r"base=0\.0"),
    (lambda: wait(base=10.0, cap=5.0), r"cap=5\.0"),
    (lambda: wait(cap=float("inf")), "cap=inf"),
    (lambda: resample(on=ANY, temperature=-0.1), r"temperature=-0\.1"),
    (lambda: resample(on=ANY, temperature=float("nan")), "temperature=nan"),
    (lambda: rephrase(" ", on=ANY), "variant=' '"),
    (lambda: switch(STRONG, on=ANY, waits=-1), "waits=-1"),
]


@pytest.mark.parametrize(("make", "said"), REFUSED, ids=[said for _, said in REFUSED])
def test_a_rung_that_cannot_work_is_refused_when_it_is_made(make: Callable[[], Rung], said: str) -> None:
    with pytest.raises(LadderError, match=said) as error:
        make()
    assert error.value.hint


def test_rungs_are_values() -> None:
    assert reask(2, on=Kind.GUARD) == reask(2, on=Kind.GUARD)
    assert len({wait(), wait(), wait(2), grow(), resample(on=ANY), reask(on=ANY)}) == 5
