# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""How stages, pipelines and runs look to mypy and pyright: types travel from edge to edge. Never run."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import assert_type

from pydantic import BaseModel

from guardflow import (
    Attempt,
    Budget,
    BudgetLeft,
    Context,
    Finding,
    Guard,
    GuardContext,
    Kind,
    Ladder,
    LLMStage,
    Model,
    Outcome,
    Parked,
    Pipeline,
    RunResult,
    Runtime,
    Spend,
    Stage,
    Status,
    Vote,
    abstain,
    ahead_by,
    degrade,
    fan_out,
    first_of,
    guard,
    pipeline,
    reask,
    sleep,
    stage,
    wait,
)

FAST = Model("fast")


class Question(BaseModel):
    text: str


class Hard(Question):
    """A question that is more than one: everything that takes a `Question` takes it."""

    why: str


class Plan(BaseModel):
    queries: list[str]


@dataclass(frozen=True)
class Page:
    title: str
    text: str


class Answer(BaseModel):
    text: str


class LongAnswer(Answer):
    more: str


class Corpus:
    async def best(self, query: str) -> Page:
        raise NotImplementedError


# --- guards, used on a stage ------------------------------------------------------------------------


@guard
def not_empty(answer: Answer) -> Iterator[Finding]:
    if not answer.text:
        yield Finding("is empty", at=("text",))


@guard(inline=True)
def on_topic(answer: Answer, ctx: GuardContext[Question]) -> Iterator[Finding]:
    if ctx.input.text not in answer.text:
        yield Finding("does not name the question")


@guard(asks=1)
async def supported(answer: Answer, ctx: GuardContext[Question]) -> AsyncIterator[Finding]:
    verdict = await ctx.ask(Model("judge"), "Is {{ claim }} supported?", Plan, claim=answer.text)
    if not verdict.queries:
        yield Finding("nothing supports it")


assert_type(not_empty, Guard[Answer, object])
assert_type(on_topic, Guard[Answer, Question])
assert_type(supported, Guard[Answer, Question])


def shorter(answer: Answer, findings: Sequence[Finding]) -> Answer:
    raise NotImplementedError


def plain_answer(question: Question, findings: tuple[Finding, ...]) -> Answer:
    raise NotImplementedError


async def looked_up(question: Question, findings: tuple[Finding, ...]) -> Answer:
    raise NotImplementedError


# --- model stages -----------------------------------------------------------------------------------

plan = LLMStage("plan", Question, Plan, prompt="qa/plan", model=FAST)
voted = LLMStage(
    "voted", Question, Plan, prompt="qa/plan", model=Vote({FAST: 1.0}, rule=ahead_by(2), split=FAST)
)
assert_type(voted, LLMStage[Question, Plan])
answer = LLMStage(
    "answer",
    Question,
    Answer,
    prompt="qa/answer",
    ladder=Ladder(wait(2), reask(1, on=Kind.GUARD), otherwise=degrade()),
    guards=[not_empty.fix(shorter), on_topic.reject(), supported.warn()],
    fallback=plain_answer,
    budget=Budget(usd=0.05),
)
sure = LLMStage("sure", Question, Answer, prompt="qa/sure", fallback=looked_up)
longer = LLMStage("longer", Hard, LongAnswer, prompt="qa/longer", guards=[on_topic.drop(), not_empty.error()])
text = LLMStage("text", str, str, prompt="qa/text", ladder=Ladder(otherwise=abstain()))

assert_type(plan, LLMStage[Question, Plan])
assert_type(text, LLMStage[str, str])
wide: Stage[Hard, Answer] = answer  # an input that says more, and an output read for less, both fit
wider: Stage[Hard, BaseModel] = longer


# --- code stages ------------------------------------------------------------------------------------


@stage
async def fetch(query: str, ctx: Context) -> Page:
    assert_type(ctx.budget_left(), BudgetLeft)
    return await ctx.resource(Corpus).best(query)


@stage
async def count(words: list[str]) -> int:
    return len(words)


@stage(timeout=20, retries=3)
async def patient(query: str, ctx: Context) -> Page:
    raise NotImplementedError


@stage(name="title")
def title_of(page: Page) -> str:
    return page.title


@stage(timeout=1)
def weigh(page: Page, ctx: Context) -> float:
    raise NotImplementedError


@stage
def loud(word: str) -> str:
    return word.upper()


@stage
def measured(page: Page, ctx: Context) -> int:
    return len(page.text)


assert_type(fetch, Stage[str, Page])
assert_type(count, Stage[list[str], int])
assert_type(patient, Stage[str, Page])
assert_type(title_of, Stage[Page, str])
assert_type(weigh, Stage[Page, float])
assert_type(loud, Stage[str, str])
assert_type(measured, Stage[Page, int])


# --- pipelines --------------------------------------------------------------------------------------


@pipeline("read")
async def read(query: str) -> Page:
    return await fetch(query)


@pipeline("qa")
async def qa(question: Question) -> Answer:
    """Every expression below has the type that its stages declare, nothing is `Any`."""
    planned = await plan(question)
    assert_type(planned, Plan)
    assert_type(await plan.outcome(question), Outcome[Plan])
    assert_type((await plan.outcome(question)).unwrap(), Plan)
    assert_type((await plan.outcome(question)).value, Plan | None)
    assert_type((await plan.outcome(question)).status, Status)

    assert_type(await asyncio.gather(plan(question), fetch("x"), loud("y")), tuple[Plan, Page, str])
    assert_type(await asyncio.gather(*[fetch(q) for q in planned.queries]), list[Page])
    assert_type(await first_of(fetch("fast"), patient("slow")), Page)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(fetch("x"))
    assert_type(task.result(), Page)

    assert_type(await fan_out(fetch, planned.queries, limit=4), list[Page])
    assert_type(await fan_out(fetch, planned.queries, errors="raise"), list[Page])
    assert_type(await fan_out(fetch, planned.queries, errors="collect"), list[Outcome[Page]])
    assert_type(await fan_out(read, planned.queries, budget=Budget(calls=2)), list[Page])
    assert_type(await fan_out(read, iter(planned.queries), errors="collect"), list[Outcome[Page]])

    assert_type(await read("as a child"), Page)
    await sleep(1)
    return await answer(Hard(text=question.text, why="a subclass is a question"))


assert_type(read, Pipeline[str, Page])
assert_type(qa, Pipeline[Question, Answer])


# --- runs -------------------------------------------------------------------------------------------


async def main(question: Question, models: list[Pipeline[Question, Answer]]) -> Answer:
    async with Runtime("memory", resources=[Corpus()], pipelines=[read, qa]) as rt:
        result = await rt.run(qa, question, run_id="qa-1", budget=Budget(usd=Decimal("0.5"), calls=40))
        assert_type(result, RunResult[Answer])
        assert_type(result.output, Answer | None)
        assert_type(result.spend, Spend)
        assert_type(result.attempts, Sequence[Attempt])
        assert_type(result.parked, tuple[Parked, ...])
        assert_type(await rt.run(qa, Hard(text="?", why="?")), RunResult[Answer])
        assert_type(await rt.resume("qa-1"), RunResult[object])
        assert_type(await rt.fork("qa-1", from_stage="answer"), str)
        return result.unwrap()


def choose(fast: Stage[Question, Answer], question: Question) -> Awaitable[Answer]:
    """A helper can take any stage of that shape."""
    return fast(question)


choose(answer, Question(text="a stage is its two types"))
