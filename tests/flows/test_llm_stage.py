"""A model stage called outside of a pipeline: answers are judged, failures climb the ladder, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from guardflow import (
    Finding,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    StageEnded,
    abstain,
    degrade,
    grow,
    guard,
    park,
    reask,
    rephrase,
    resample,
    stage,
    switch,
    wait,
)
from guardflow.errors import LadderError, MissingKey, ModelCallError, PromptError, StageError
from guardflow.prompts import PromptLibrary, inline_prompt
from guardflow.testing import Scripted, using
from guardflow.values import Completion

pytestmark = pytest.mark.anyio

FAST, STRONG = Model("fast"), Model("strong")


class Question(BaseModel):
    text: str


class Answer(BaseModel):
    text: str
    score: int = Field(ge=0, le=10)


GOOD = Answer(text="yes", score=7)
PROMPT = inline_prompt("Answer: {{ text | fenced }}", ["text"])


@guard(inline=True)
def not_no(answer: Answer, ctx: GuardContext[Question]) -> Iterator[Finding]:
    if answer.text == "no":
        yield Finding("must not be no", at=("text",), evidence=answer.text)


def make(*rungs: object, otherwise: object = None, **options: object) -> LLMStage[Question, Answer]:
    ladder = Ladder(*rungs, otherwise=otherwise or abstain())  # type: ignore[arg-type]  # rungs come from tests
    settings: dict[str, object] = {"prompt": PROMPT, "model": FAST, "guards": [not_no.reject()], **options}
    return LLMStage("answer", Question, Answer, ladder=ladder, **settings)  # type: ignore[arg-type]


ASK = Question(text="is it?")


async def test_a_valid_answer_flows_on() -> None:
    with using({FAST: Scripted(GOOD)}):
        assert await make()(ASK) == GOOD


async def test_each_failure_climbs_its_own_rung(tmp_path: Path) -> None:
    (tmp_path / "answer.md").write_text(
        "---\ninputs: [text]\nvariants:\n  strict: {body: 'Strictly: {{ text }}'}\n---\n{{ text }}\n"
    )
    fast = Scripted(Kind.TRUNCATED, "{oops", Kind.RATE_LIMIT, Kind.REFUSED, Kind.REFUSED)
    strong = Scripted(GOOD)
    climbing = make(
        wait(2, on=Kind.TRANSIENT, base=0.001),
        grow(2.0, on=Kind.TRUNCATED),
        reask(1, on=Kind.INVALID),
        rephrase("strict", on=Kind.REFUSED),
        switch(STRONG, on=Kind.ANSWERABLE),
        prompt=PromptLibrary([tmp_path]).load("answer"),
    )
    with using({FAST: fast, STRONG: strong}):
        outcome = await climbing.outcome(ASK)
    assert [a.rung for a in outcome.attempts] == [
        "start",
        "grow",
        "reask",
        "wait",
        "rephrase:strict",
        "switch:strong",
    ]
    assert [a.kind for a in outcome.attempts] == [
        "TRUNCATED",
        "MALFORMED",
        "RATE_LIMIT",
        "REFUSED",
        "REFUSED",
        None,
    ]
    assert outcome.value == GOOD
    assert fast.requests[1].max_tokens == 2 * fast.requests[0].max_tokens


async def test_a_rejected_answer_is_asked_again_with_its_findings() -> None:
    model = Scripted(Answer(text="no", score=1), GOOD)
    with using({FAST: model}):
        outcome = await make(reask(1, on=Kind.GUARD)).outcome(ASK)
    assert outcome.status == "ok"
    again = model.requests[1].messages
    assert again[-2].role == "assistant"
    assert "$.text" in again[-1].content
    assert "must not be no" in again[-1].content


async def test_a_fresh_draw_does_not_show_the_bad_answer() -> None:
    model = Scripted(Answer(text="no", score=1), GOOD)
    with using({FAST: model}):
        await make(resample(1, on=Kind.GUARD, temperature=0.9))(ASK)
    first, second = model.requests
    assert second.temperature == 0.9
    assert second.hash != first.hash
    assert all(m.role != "assistant" for m in second.messages)


async def test_an_answer_in_a_fence_is_repaired_for_free_and_marked() -> None:
    model = Scripted(f"Here you are:\n```json\n{GOOD.model_dump_json()}\n```")
    with using({FAST: model}):
        outcome = await make(reask(1, on=Kind.INVALID)).outcome(ASK)
    assert model.count == 1
    assert outcome.value == GOOD
    assert outcome.attempts[0].note == "repaired: fenced"


async def test_what_does_not_fit_the_schema_is_told_with_its_path() -> None:
    model = Scripted({"text": "x", "score": 99}, GOOD)
    with using({FAST: model}):
        outcome = await make(reask(1, on=Kind.SCHEMA)).outcome(ASK)
    assert [a.kind for a in outcome.attempts] == ["SCHEMA", None]
    assert "$.score" in model.requests[1].messages[-1].content


async def test_a_refused_parameter_is_left_out_and_the_request_sent_once_more() -> None:
    refused = ModelCallError("no temperature, please", kind=Kind.BAD_REQUEST, dropped=("temperature",))
    model = Scripted(refused, Completion(text=GOOD.model_dump_json(), dropped=("temperature",)))
    with using({FAST: model}):
        outcome = await make(temperature=0.3).outcome(ASK)
    assert outcome.status == "ok"
    assert [(a.rung, a.kind, a.note) for a in outcome.attempts] == [
        ("start", "BAD_REQUEST", ""),
        ("drop:temperature", None, "dropped: temperature"),
    ]
    with using({FAST: Scripted(refused)}):
        outcome = await make(temperature=0.3).outcome(ASK)
    assert (outcome.status, len(outcome.attempts)) == ("failed", 2)


async def test_without_a_rung_the_stage_abstains_and_raises_when_awaited() -> None:
    with using({FAST: Scripted(Kind.REFUSED)}):
        with pytest.raises(StageEnded) as ended:
            await make()(ASK)
    assert ended.value.outcome.status == "abstained"  # type: ignore[union-attr]
    assert ended.value.outcome.kind is Kind.REFUSED  # type: ignore[union-attr]


@pytest.mark.parametrize("kind", [Kind.AUTH, Kind.NOT_FOUND, Kind.BAD_REQUEST, Kind.BUG])
async def test_a_wrong_key_never_becomes_a_degraded_answer(kind: Kind) -> None:
    lenient = make(otherwise=degrade(), fallback=lambda q, f: GOOD)
    with using({FAST: Scripted(kind)}):
        outcome = await lenient.outcome(ASK)
    assert outcome.status == "failed"
    assert outcome.kind is kind


async def test_a_fallback_is_marked_and_guarded() -> None:
    lenient = make(otherwise=degrade(), fallback=lambda q, f: GOOD)
    bad = make(otherwise=degrade(), fallback=lambda q, f: Answer(text="no", score=1))
    with using({FAST: Scripted(Kind.REFUSED)}):
        assert (await lenient.outcome(ASK)).status == "degraded"
        refused = await bad.outcome(ASK)
    assert refused.status == "failed"
    assert refused.kind is Kind.GUARD


async def test_a_parked_stage_waits_for_a_person() -> None:
    with using({FAST: Scripted(Kind.REFUSED)}):
        assert (await make(otherwise=park()).outcome(ASK)).status == "waiting"


async def test_a_guard_that_crashes_fails_the_stage() -> None:
    @guard
    def broken(answer: Answer, ctx: GuardContext[Question]) -> Iterator[Finding]:
        raise ValueError("guard bug")
        yield

    with using({FAST: Scripted(GOOD)}):
        outcome = await make(reask(3, on=Kind.GUARD), guards=[broken.reject()]).outcome(ASK)
    assert outcome.status == "failed"
    assert outcome.kind is Kind.BUG


async def test_a_judge_is_asked_and_its_outage_burns_no_answer() -> None:
    class Judged(BaseModel):
        supported: bool

    judge = Model("judge")

    @guard(asks=1)
    async def supported(answer: Answer, ctx: GuardContext[Question]):  # type: ignore[no-untyped-def]
        verdict = await ctx.ask(judge, "Is it supported?", Judged, claim=answer.text)
        if not verdict.supported:
            yield Finding("not supported")

    fast = Scripted(GOOD)
    with using({FAST: fast, judge: Scripted({"supported": False}, {"supported": True})}):
        outcome = await make(reask(1, on=Kind.GUARD), guards=[supported.reject()]).outcome(ASK)
    assert outcome.status == "ok"
    assert [(a.role, a.kind) for a in outcome.attempts] == [
        ("answer", "GUARD"),
        ("guard", None),
        ("answer", None),
        ("guard", None),
    ]

    fast = Scripted(GOOD)
    with using({FAST: fast, judge: Scripted(Kind.AUTH)}):
        outcome = await make(reask(3, on=Kind.GUARD), guards=[supported.reject()]).outcome(ASK)
    assert outcome.status == "failed"
    assert outcome.kind is Kind.AUTH
    assert fast.count == 1


async def test_plain_text_needs_no_schema() -> None:
    plain = LLMStage("say", str, str, prompt=inline_prompt("{{ input }}", ["input"]), model=FAST)
    model = Scripted("hello {{ world }}")
    with using({FAST: model}):
        assert await plain("hi") == "hello {{ world }}"
    assert model.requests[0].schema is None


async def test_a_scalar_is_asked_for_inside_an_object() -> None:
    count = LLMStage("count", str, int, prompt=inline_prompt("{{ input }}", ["input"]), model=FAST)
    with using({FAST: Scripted({"value": 3})}):
        assert await count("how many?") == 3


def test_an_output_type_that_is_not_a_class_is_refused() -> None:
    with pytest.raises(StageError, match="not a class"):
        LLMStage("plan", Question, list[str], prompt=PROMPT, model=FAST)  # type: ignore[arg-type]


def test_degrading_without_a_fallback_is_refused() -> None:
    with pytest.raises(LadderError, match="fallback"):
        make(otherwise=degrade())


async def test_a_missing_variant_is_found_before_anything_is_sent() -> None:
    model = Scripted(GOOD)
    with using({FAST: model}), pytest.raises(PromptError, match="strict"):
        await make(rephrase("strict", on=Kind.REFUSED)).outcome(ASK)
    assert model.count == 0


async def test_a_missing_key_is_a_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(MissingKey):
        await make(model=Model("openai/gpt-5-mini"))(ASK)


async def test_a_stage_inside_a_stage_is_refused() -> None:
    @stage
    async def inner(text: str) -> str:
        return text

    @stage
    async def outer(text: str) -> str:
        return await inner(text)

    with pytest.raises(StageError, match="inside stage 'outer'"):
        await outer("x")


async def test_a_code_stage_is_tried_again_on_network_errors_only() -> None:
    seen: list[int] = []

    @stage(retries=2)
    async def flaky(n: int) -> int:
        seen.append(n)
        if len(seen) < 3:
            raise ConnectionError("reset")
        return n

    @stage(retries=2)
    async def wrong(n: int) -> int:
        seen.append(n)
        raise ValueError("bad")

    assert await flaky(1) == 1
    assert len(seen) == 3
    seen.clear()
    with pytest.raises(StageEnded, match="ValueError: bad") as ended:
        await wrong(1)
    assert isinstance(ended.value.__cause__, ValueError)
    assert len(seen) == 1


async def test_a_sync_stage_runs_in_a_thread_and_times_out() -> None:
    import threading

    @stage(timeout=60)
    def where(n: int) -> str:
        return threading.current_thread().name

    assert await where(1) != threading.current_thread().name

    @stage(timeout=0.05)
    async def slow(n: int) -> int:
        import anyio

        await anyio.sleep(600)
        return n

    outcome = await slow.outcome(1)
    assert outcome.kind is Kind.TIMEOUT
