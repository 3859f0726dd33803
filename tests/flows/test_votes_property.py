"""Whatever models say, in whatever order: nothing bad is decided, the worst case holds, and order changes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vote_lab import FAST, QUICK, STRONG, Answer, voting

from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Outcome,
    Vote,
    abstain,
    ahead_by,
    confident,
    degrade,
    grow,
    guard,
    majority,
    meaning,
    quorum,
    reask,
    resample,
    switch,
    unanimous,
    wait,
)
from guardflow.flow.memory import MemoryArtifacts, MemoryCache, MemoryLedger
from guardflow.flow.scope import Services
from guardflow.flow.worst_case import worst_case
from guardflow.models.routing import Models
from guardflow.prompts import PromptLibrary
from guardflow.testing import Scripted, using

JUDGE = Model("judge")
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@guard
def is_good(answer: Answer) -> Iterator[Finding]:
    """Of all that the models here say, ``bad`` and the pair (c, 2) must not pass: no single field shows the second."""
    if answer.text == "bad" or (answer.text, answer.size) == ("c", 2):
        yield Finding("this must not pass", at=("text",))


@guard(asks=1)
async def is_judged(answer: Answer, ctx: GuardContext[str]) -> AsyncIterator[Finding]:
    if (await ctx.ask(JUDGE, "Is it fine?", Answer, answer=answer.text)).text == "bad":
        yield Finding("the judge says no")


answers = st.builds(Answer, text=st.sampled_from(["a", "b", "c", "bad"]), size=st.integers(0, 2))
faults = st.sampled_from(
    [
        Kind.RATE_LIMIT,
        Kind.REFUSED,
        Kind.TRUNCATED,
        Kind.SCHEMA,
        Kind.EMPTY,
        "{",
        '```json\n{"text":"r"}\n```',
    ]
)
says = st.lists(st.one_of(answers, answers, answers, faults), min_size=1, max_size=8)
rules = st.sampled_from(
    [ahead_by(1), ahead_by(2), majority(3), quorum(2, 4), confident(0.9), unanimous(2), unanimous(3)]
)
rungs = st.lists(
    st.sampled_from(
        [
            wait(2, **QUICK),
            grow(2.0),
            reask(2, on=Kind.INVALID | Kind.GUARD),
            resample(1, on=Kind.ANSWERABLE),
            switch(STRONG, on=Kind.ANSWERABLE),
        ]
    ),
    unique_by=lambda rung: rung.label,
    max_size=4,
)


def stage_of(vote: Vote, climbs: Sequence[Any], *, judged: bool, falls: bool) -> LLMStage[str, Answer]:
    ends = {"otherwise": degrade()} if falls else {"otherwise": abstain()}
    return voting(
        vote,
        ladder=Ladder(*climbs, **ends),
        guards=[is_good.reject(), *([is_judged.reject()] if judged else [])],
        fallback=(lambda q, f: Answer(text="plain")) if falls else None,
    )


def held(stage: LLMStage[str, Answer], models: dict[Model, Scripted]) -> Outcome[Answer]:
    async def main() -> Outcome[Answer]:
        with using(models):
            return await stage.outcome("q")

    return asyncio.run(main())


@FEW
@given(says, says, rules, rungs, st.sets(st.sampled_from(["split", "judged", "meaning", "falls"])))
def test_nothing_bad_is_ever_decided_and_the_worst_case_is_never_exceeded(
    fast: Any, strong: Any, rule: Any, climbs: Any, parts: set[str]
) -> None:
    vote = Vote(
        [FAST, STRONG],
        rule=rule,
        split=STRONG if "split" in parts else None,
        fields={"text": meaning(JUDGE)} if "meaning" in parts else {},
    )
    stage = stage_of(vote, climbs, judged="judged" in parts, falls="falls" in parts)

    def judge(request: Any) -> Any:
        matches = "same" in str(request.schema.json)
        return {"same": int(request.hash[-1], 16) % 2 == 0} if matches else Answer(text="fine")

    models = {
        FAST: Scripted(*fast, repeat="cycle"),
        STRONG: Scripted(*strong, repeat="cycle"),
        JUDGE: Scripted(judge),
    }
    outcome = held(stage, models)
    if outcome.ok:
        value = outcome.unwrap()
        by_rule = outcome.agreement is not None and outcome.agreement.decided == "rule"
        assert value.text in ("a", "b", "c", "plain" if outcome.status == "degraded" else "r")
        assert value.text != "r" or not by_rule  # repaired: good enough for one answer, and no ballot
        assert (value.text, value.size) != ("c", 2)
    sent = sum(model.count for model in models.values())
    assert outcome.spend.calls == sent
    with using(models):
        services = Services(
            ledger=MemoryLedger(),
            artifacts=MemoryArtifacts(),
            cache=MemoryCache(),
            models=Models(),
            prompts=PromptLibrary([]),
        )
        assert sent <= worst_case(stage, services).calls
    ballots = {a.ballot for a in outcome.attempts if a.role == "answer" and a.ballot >= 0}
    assert len(ballots) <= vote.max


@FEW
@given(
    st.lists(st.one_of(answers, answers, st.sampled_from(["{", Kind.REFUSED])), min_size=9, max_size=9),
    st.lists(st.sampled_from([0, 0.002, 0.004, 0.006]), min_size=9, max_size=9),
    rules,
)
def test_who_answers_first_changes_neither_the_decision_nor_the_agreement(
    said: Any, delays: list[float], rule: Any
) -> None:
    def model(*, late: bool) -> Scripted:
        async def answer(request: Any) -> Any:
            await asyncio.sleep(delays[request.sample] if late else 0)
            return said[request.sample]

        return Scripted(answer)

    stage = voting(Vote(FAST, rule=rule, max=8), guards=[is_good.reject()])
    at_once, in_turn = (held(stage, {FAST: model(late=late)}) for late in (False, True))
    assert (at_once.status, at_once.value, at_once.kind) == (in_turn.status, in_turn.value, in_turn.kind)
    assert at_once.agreement == in_turn.agreement
