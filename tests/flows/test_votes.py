"""A vote in place of a model: which ballots count, what decides, and what happens when they cannot decide."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import pytest
from pydantic import BaseModel
from vote_lab import FAST, NONE, PROMPT, QUICK, STRONG, Answer, Stubborn, by_ballot, is_good, say, voting

from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Vote,
    abstain,
    ahead_by,
    confident,
    degrade,
    guard,
    majority,
    meaning,
    quorum,
    reask,
    resample,
    switch,
    unanimous,
    wait,
    within,
)
from guardflow.errors import LadderError, StageError
from guardflow.flow.matching import most_matches
from guardflow.testing import Scripted, using
from guardflow.values import Request

pytestmark = pytest.mark.anyio

FENCED = '```json\n{"text": "a"}\n```'


# --- rules ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "said", "calls"),
    [
        (ahead_by(2), ["a", "a"], 2),
        (ahead_by(2), ["a", "b", "a", "a"], 4),
        (majority(3), ["a", "b", "a"], 3),
        (majority(5), ["a", "a", "a"], 3),
        (quorum(2, 4), ["a", "b", "c", "a"], 4),
        (confident(0.9), ["a", "a", "a"], 3),
        (unanimous(3), ["a", "a", "a"], 3),
    ],
    ids=str,
)
async def test_each_rule_decides_with_no_more_ballots_than_it_needs(
    rule: Any, said: list[str], calls: int
) -> None:
    model = by_ballot(said)
    with using({FAST: model}):
        outcome = await voting(Vote(FAST, rule=rule)).outcome("q")
    assert outcome.unwrap() == say("a")
    assert model.count == calls
    assert outcome.agreement is not None
    assert outcome.agreement.ballots == calls
    assert outcome.agreement.share == pytest.approx(said.count("a") / calls)
    assert outcome.agreement.decided == "rule"


async def test_ballots_of_a_wave_are_in_flight_together_and_no_more_than_could_decide() -> None:
    async def answer(request: Request) -> Answer:
        while model.max_in_flight < 3:
            await anyio.sleep(0.001)
        return say("a")

    model = Scripted(answer)
    with using({FAST: model}), anyio.fail_after(60):
        await voting(Vote(FAST, rule=majority(5)))("q")
    assert model.max_in_flight == 3


async def test_every_seat_is_asked_with_its_model_its_sample_and_its_temperature() -> None:
    fast, strong = Scripted(say("a"), say("b"), repeat="cycle"), Scripted(say("b"))
    with using({FAST: fast, STRONG: strong}):
        stage = voting(Vote([FAST, STRONG], rule=majority(3), temperature=0.9), temperature=0.1)
        assert (await stage("q")).text == "b"
    assert [(r.sample, r.temperature) for r in fast.requests] == [(0, 0.1), (1, 0.9)]
    assert [(r.sample, r.temperature) for r in strong.requests] == [(0, 0.1)]
    assert len({r.hash for r in (*fast.requests, *strong.requests)}) == 3


async def test_fields_vote_apart_and_the_dissent_is_on_the_outcome() -> None:
    model = by_ballot([say("a", 10), say("a", 99), say("b", 10)])
    with using({FAST: model}):
        outcome = await voting(Vote(FAST, rule=majority(3))).outcome("q")
    assert outcome.unwrap() == say("a", 10)
    fields = outcome.agreement.fields  # type: ignore[union-attr]  # it voted
    assert [(d.value, d.ballots) for d in fields["$.text"].dissent] == [("b", (2,))]
    assert [(d.value, d.ballots) for d in fields["$.size"].dissent] == [(99, (1,))]


# --- spoiled ballots --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spoiled", ["{not JSON", FENCED, Kind.REFUSED, Kind.SCHEMA, say("bad"), Kind.TRUNCATED]
)
async def test_a_spoiled_ballot_is_replaced_and_counts_for_nothing(spoiled: Any) -> None:
    model = by_ballot({0: spoiled, 1: "a", 2: "a"})
    with using({FAST: model}):
        outcome = await voting(Vote(FAST, rule=unanimous(2), max=3), guards=[is_good.reject()]).outcome("q")
    assert outcome.unwrap() == say("a")
    assert model.count == 3
    assert (outcome.agreement.ballots, outcome.agreement.spoiled) == (2, 1)  # type: ignore[union-attr]
    assert next(a.kind for a in outcome.attempts if a.ballot == 0) is not None


async def test_spoiled_ballots_are_replaced_up_to_max_and_no_further() -> None:
    model = Scripted("{not JSON")
    with using({FAST: model}):
        outcome = await voting(Vote(FAST, rule=ahead_by(2), max=4)).outcome("q")
    assert outcome.status == "abstained"
    assert outcome.kind is Kind.MALFORMED
    assert model.count <= 4


async def test_a_spoiled_ballot_is_replaced_while_others_are_still_in_flight() -> None:
    replaced = anyio.Event()

    async def answer(request: Request) -> Any:
        if request.sample == 2:
            replaced.set()
        if request.sample == 0:
            await replaced.wait()
        return "{not JSON" if request.sample == 1 else say("a")

    with using({FAST: Scripted(answer)}), anyio.fail_after(60):
        assert await voting(Vote(FAST))("q") == say("a")


async def test_what_a_guard_mends_is_a_ballot_because_the_stage_says_so() -> None:
    stage = voting(
        Vote(FAST), guards=[is_good.fix(lambda value, finding: Answer(text=value.text.replace("bad", "")))]
    )
    with using({FAST: by_ballot(["abad", "a"])}):
        outcome = await stage.outcome("q")
    assert outcome.unwrap() == say("a")
    assert outcome.agreement.spoiled == 0  # type: ignore[union-attr]


async def test_a_ballot_waits_by_itself_and_climbs_nothing_else() -> None:
    model = by_ballot(
        {0: "a", 1: Kind.RATE_LIMIT, 2: "a"}
    )  # sample 1 is refused for ever: it waits twice, then it is spoiled
    ladder = Ladder(wait(2, **QUICK), reask(3, on=Kind.ANSWERABLE), otherwise=abstain())
    with using({FAST: model}):
        outcome = await voting(Vote(FAST, max=3), ladder=ladder).outcome("q")
    assert outcome.unwrap() == say("a")
    assert [r.sample for r in model.requests].count(1) == 3
    assert {a.rung for a in outcome.attempts} == {"start", "wait"}


# --- what decides when ballots do not ---------------------------------------------------------------------------


async def test_a_split_vote_abstains_with_its_agreement() -> None:
    model = by_ballot(["a", "b", "c", "d"])
    with using({FAST: model}):
        outcome = await voting(Vote(FAST, max=4)).outcome("q")
    assert (outcome.status, outcome.kind) == ("abstained", Kind.DISAGREED)
    assert "none won by ahead_by(2)" in outcome.message
    assert outcome.agreement is not None
    assert outcome.agreement.share <= 0.5


async def test_a_split_model_sees_the_candidates_without_names_fenced_and_in_a_drawn_order() -> None:
    fast, strong = by_ballot(["b", "a"]), Scripted(say("a"))
    stage = voting(Vote(FAST, rule=unanimous(2), split=STRONG))
    orders: set[bool] = set()
    with using({FAST: fast, STRONG: strong}):
        outcome = await stage.outcome("q")
        for number in range(12):
            await stage(f"q{number}")
    assert outcome.unwrap() == say("a")
    assert outcome.agreement.decided == "split"  # type: ignore[union-attr]
    assert [(a.role, a.kind) for a in outcome.attempts][-1] == ("split", None)
    first, again = strong.requests[0], strong.requests[1:]
    assert first.messages[:-1] == (fast.requests[0].messages)
    shown = first.messages[-1].content
    assert "fast" not in shown
    assert "<<" in shown or "data" in shown
    for request in again:
        text = request.messages[-1].content
        orders.add(text.index('"text": "a"') < text.index('"text": "b"'))
    assert orders == {True, False}


async def test_the_tie_break_passes_the_guards_too_and_else_the_ladder_goes_on() -> None:
    fast, strong = by_ballot(["a", "b"]), Scripted(say("bad"), say("bad"), say("c"))
    ladder = Ladder(resample(2, on=Kind.DISAGREED | Kind.GUARD), otherwise=abstain())
    stage = voting(Vote(FAST, rule=unanimous(2), split=STRONG), ladder=ladder, guards=[is_good.reject()])
    with using({FAST: fast, STRONG: strong}):
        outcome = await stage.outcome("q")
    assert outcome.unwrap() == say("c")
    assert fast.count == 2
    assert strong.count == 3
    assert outcome.agreement is None  # neither the ballots nor the tie-break decided
    assert [(a.role, a.ballot, a.rung) for a in outcome.attempts][2:] == [
        ("split", 0, "start"),
        ("answer", -1, "resample"),
        ("answer", -1, "resample"),
    ]


async def test_a_split_vote_climbs_to_one_model_and_never_to_a_second_panel() -> None:
    fast, strong = by_ballot(["a", "b", "c", "d"]), Scripted(say("z"))
    ladder = Ladder(switch(STRONG, on=Kind.ANSWERABLE), otherwise=abstain())
    with using({FAST: fast, STRONG: strong}):
        outcome = await voting(Vote(FAST, rule=unanimous(2), max=4), ladder=ladder).outcome("q")
    assert outcome.unwrap() == say("z")
    assert fast.count == 2
    assert strong.count == 1
    assert "disagree" in strong.requests[0].messages[-1].content


async def test_when_all_ballots_are_spoiled_their_kind_climbs_on_one_model() -> None:
    fast = by_ballot({**dict.fromkeys(range(3), "{oops"), 3: "a"})
    ladder = Ladder(reask(1, on=Kind.INVALID), otherwise=abstain())
    with using({FAST: fast}):
        outcome = await voting(Vote(FAST, max=3), ladder=ladder).outcome("q")
    assert outcome.unwrap() == say("a")
    assert "could not be parsed" in fast.requests[-1].messages[-1].content
    assert fast.requests[-1].sample not in {r.sample for r in fast.requests[:-1]}


async def test_waits_belong_to_the_ballots_and_are_used_up_when_the_ladder_goes_on() -> None:
    fast, strong = Scripted(Kind.OVERLOADED), Scripted(Kind.OVERLOADED, say("z"))
    ladder = Ladder(wait(1, **QUICK), switch(STRONG, on=Kind.TRANSIENT, waits=1), otherwise=abstain())
    with using({FAST: fast, STRONG: strong}):
        outcome = await voting(Vote(FAST, rule=unanimous(2), max=2), ladder=ladder).outcome("q")
    assert outcome.unwrap() == say("z")
    assert fast.count <= 4
    assert strong.count == 2


async def test_a_panel_that_waited_in_vain_is_not_waited_for_again() -> None:
    fast = Scripted(Kind.OVERLOADED)
    with using({FAST: fast}):
        outcome = await voting(
            Vote(FAST, max=2), ladder=Ladder(wait(1, **QUICK), otherwise=abstain())
        ).outcome("q")
    assert outcome.kind is Kind.OVERLOADED
    assert {a.ballot for a in outcome.attempts} <= {0, 1}
    assert fast.count <= 4


async def test_a_vote_that_decides_nothing_degrades_to_the_fallback() -> None:
    ladder = Ladder(otherwise=degrade())
    stage = voting(Vote(FAST, rule=unanimous(2), max=2), ladder=ladder, fallback=lambda q, f: say("plain"))
    with using({FAST: by_ballot(["a", "b"])}):
        outcome = await stage.outcome("q")
    assert (outcome.status, outcome.unwrap()) == ("degraded", say("plain"))


# --- what ends the stage ----------------------------------------------------------------------------------------


async def test_a_wrong_key_of_one_seat_fails_the_stage_unless_others_have_decided_before() -> None:
    with using({FAST: Scripted(say("a")), STRONG: Scripted(Kind.AUTH)}):
        outcome = await voting(Vote([FAST, STRONG])).outcome("q")
        assert (outcome.status, outcome.kind) == ("failed", Kind.AUTH)
        decided = await voting(Vote([FAST, FAST, STRONG])).outcome("q")
        assert decided.status == "ok"


@pytest.mark.parametrize(("use", "status"), [("refuse", "abstained"), ("error", "failed")])
async def test_a_guard_that_ends_the_stage_ends_it_for_a_ballot_too(use: str, status: str) -> None:
    stage = voting(Vote(FAST), guards=[getattr(is_good, use)()])
    with using({FAST: by_ballot(["a", "bad", "a"])}):
        outcome = await stage.outcome("q")
    assert (outcome.status, outcome.kind) == (status, Kind.GUARD)


async def test_a_guard_that_crashes_fails_the_stage() -> None:
    @guard
    def crashes(answer: Answer) -> Iterator[Finding]:
        raise RuntimeError("no")
        yield

    with using({FAST: by_ballot(["a", "a"])}):
        outcome = await voting(Vote(FAST), guards=[crashes.reject()]).outcome("q")
    assert (outcome.status, outcome.kind) == ("failed", Kind.BUG)


async def test_a_judge_is_asked_about_each_ballot_and_its_outage_burns_no_other_answer() -> None:
    @guard(asks=1)
    async def judged(answer: Answer, ctx: GuardContext[str]) -> AsyncIterator[Finding]:
        said = await ctx.ask(STRONG, "Is it good?", Answer, answer=answer.text)
        if said.text != "good":
            yield Finding("the judge says no")

    fine, out = Scripted(say("good")), Scripted(Kind.AUTH)
    model = by_ballot(["a", "a", "a"])
    with using({FAST: model, STRONG: fine}):
        assert await voting(Vote(FAST), guards=[judged.reject()])("q") == say("a")
    assert fine.count == 2
    with using({FAST: model, STRONG: out}):
        outcome = await voting(Vote(FAST), guards=[judged.reject()]).outcome("q")
    assert (outcome.status, outcome.kind) == ("failed", Kind.AUTH)
    assert model.count == 4


# --- composites and matchers ------------------------------------------------------------------------------------


@guard
def small_is_a(answer: Answer) -> Iterator[Finding]:
    if answer.text == "b" and answer.size == 1:
        yield Finding("b is never 1")


async def test_a_composite_that_fails_its_guards_gives_way_to_the_nearest_ballot() -> None:
    said = [say("b", 2), say("a", 1), say("b", 3), say("c", 1)]
    stage = voting(Vote(FAST, rule=quorum(2, 4)), guards=[small_is_a.reject()])
    with using({FAST: by_ballot(said)}):
        outcome = await stage.outcome("q")
    assert outcome.unwrap() in said
    assert [w.guard for w in outcome.warnings] == ["vote"]
    assert "b is never 1" in outcome.warnings[0].message
    with using({FAST: by_ballot(said)}):
        assert await voting(Vote(FAST, rule=quorum(2, 4)))("q") == say("b", 1)


async def test_a_matcher_is_asked_about_a_pair_once_and_sees_fenced_text() -> None:
    asked: list[str] = []

    def same(request: Any) -> dict[str, bool]:
        asked.append(request.messages[-1].content)
        return {"same": True}

    judge = Model("judge")
    vote = Vote(FAST, rule=majority(3), fields={"text": meaning(judge)})
    texts = ["it rains", "rain falls", "rain falls"]
    with using({FAST: by_ballot([say(t) for t in texts]), judge: Scripted(same)}):
        outcome = await voting(vote).outcome("q")
    assert outcome.unwrap().text in texts
    assert len(asked) == 1
    assert "it rains" in asked[0]
    assert [a.role for a in outcome.attempts].count("match") == 1


class Many(BaseModel):
    items: list[str]


async def test_long_lists_are_compared_by_a_matcher_no_more_often_than_the_worst_case_says() -> None:
    judge = Scripted({"same": False})
    vote = Vote(FAST, rule=majority(3), max=3, fields={"items[*]": meaning(STRONG)})
    said = {n: Many(items=[f"item {i} in words {'abc'[n]}" for i in range(45)]) for n in range(3)}
    stage = LLMStage("many", str, Many, prompt=PROMPT, model=vote, ladder=NONE)
    with using({FAST: by_ballot(said), STRONG: judge}):
        await stage.outcome("q")
    assert judge.count == most_matches(vote) == 60


@pytest.mark.parametrize(("fault", "status"), [(Kind.AUTH, "failed"), (Kind.REFUSED, "failed")])
async def test_a_matcher_that_is_out_fails_the_stage_and_burns_no_answers(fault: Kind, status: str) -> None:
    judge = Model("judge")
    model = by_ballot(["a", "b", "a", "b"])
    ladder = Ladder(switch(STRONG, on=Kind.ANSWERABLE), otherwise=degrade())
    stage = voting(
        Vote(FAST, rule=majority(3), fields={"text": meaning(judge)}),
        ladder=ladder,
        fallback=lambda q, f: say("x"),
    )
    strong = Scripted(say("z"))
    with using({FAST: model, judge: Scripted(fault), STRONG: strong}):
        outcome = await stage.outcome("q")
    assert (outcome.status, outcome.kind) == (status, fault)
    assert model.count == 2
    assert strong.count == 0


# --- time -------------------------------------------------------------------------------------------------------


async def test_ballots_that_are_no_longer_needed_are_cancelled_and_counted_as_reserved() -> None:
    model = by_ballot(["a", "b", "c"], delays={2: 600})
    with using({FAST: model}), anyio.fail_after(60):
        outcome = await voting(Vote(FAST, rule=unanimous(3))).outcome("q")
    assert outcome.kind is Kind.DISAGREED
    assert model.count == 3
    assert model.in_flight == 0
    assert outcome.spend.calls == 3
    assert outcome.spend.tokens > 1000  # the reservation of the one that was cancelled


async def test_a_model_that_answers_after_it_was_cancelled_changes_nothing() -> None:
    inner = by_ballot(["a", "b", "a"])
    client = Stubborn(inner, slow={2}, after={0, 1})
    with using({FAST: client}):
        outcome = await voting(Vote(FAST, rule=unanimous(3))).outcome("q")
    assert 2 in client.answered
    assert outcome.kind is Kind.DISAGREED
    assert outcome.agreement.ballots == 2  # type: ignore[union-attr]
    assert outcome.spend.calls == 3


async def test_a_vote_takes_no_longer_than_its_stage_may() -> None:
    with using({FAST: by_ballot(["a", "a"], delays={1: 600})}), anyio.fail_after(60):
        outcome = await voting(Vote(FAST), timeout=0.05).outcome("q")
    assert (outcome.status, outcome.kind) == ("abstained", Kind.TIMEOUT)


# --- construction -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"nothing": within(abs=1)}, {"text": within(abs=1)}])
def test_a_vote_that_does_not_fit_the_output_is_refused_when_the_stage_is_made(fields: Any) -> None:
    with pytest.raises(LadderError):
        voting(Vote(FAST, fields=fields))


def test_what_is_neither_a_model_nor_a_vote_is_refused() -> None:
    with pytest.raises(StageError, match="neither a model nor a vote"):
        LLMStage("s", str, Answer, prompt="x", model="fast")  # type: ignore[arg-type]  # that is the point


def test_another_vote_is_another_check() -> None:
    one, two = voting(Vote(FAST)), voting(Vote(FAST, rule=ahead_by(3)))
    assert one.checks != two.checks
    assert one.checks == voting(Vote(FAST), ladder=NONE).checks
