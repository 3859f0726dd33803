# pyright: strict, reportUnnecessaryTypeIgnoreComment=true
"""What must not pass: wrong edges between stages, wrong guards, wrong inputs, results taken for something else.

Each marked line fails in mypy with that code and in pyright with that rule, and no other line fails in either:
`tests/test_types.py` takes the marks away and compares. Never run.
"""

import asyncio
from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from guardflow import (
    Budget,
    Context,
    Finding,
    GuardContext,
    LLMStage,
    Model,
    Outcome,
    Pipeline,
    Runtime,
    Stage,
    fan_out,
    first_of,
    guard,
    pipeline,
    sleep,
    stage,
)


class Question(BaseModel):
    text: str


class Plan(BaseModel):
    queries: list[str]


class Page(BaseModel):
    text: str


class Answer(BaseModel):
    text: str


class Other(BaseModel):
    n: int


@guard
def on_topic(answer: Answer, ctx: GuardContext[Question]) -> Iterator[Finding]:
    if ctx.input.text not in answer.text:
        yield Finding("does not name the question")


@guard
def small(other: Other) -> Iterator[Finding]:
    if other.n > 3:
        yield Finding("is too big")


@guard
def about_pages(answer: Answer, ctx: GuardContext[Page]) -> Iterator[Finding]:
    if ctx.input.text not in answer.text:
        yield Finding("is not from the page")


def other_fallback(question: Question, findings: tuple[Finding, ...]) -> Other:
    return Other(n=1)


def page_fallback(page: Page, findings: tuple[Finding, ...]) -> Answer:
    return Answer(text=page.text)


def other_repair(other: Other, findings: Sequence[Finding]) -> Other:
    return other


# --- stages that are declared wrongly ---------------------------------------------------------------

plan = LLMStage("plan", Question, Plan, prompt="p")
answer = LLMStage("answer", Question, Answer, prompt="p", guards=[on_topic.reject()])

LLMStage("g", Question, Answer, prompt="p", guards=[small.reject()])  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # a guard of another output
LLMStage("i", Question, Answer, prompt="p", guards=[about_pages.reject()])  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # a guard that needs another input
LLMStage("h", Question, Answer, prompt="p", fallback=page_fallback)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a fallback for another input
LLMStage("u", Question, Answer, prompt="p", guards=[on_topic])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # no action was chosen
LLMStage("m", Question, Answer, prompt="p", model="fast")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # Model("fast")
LLMStage("b", Question, Answer, prompt="p", budget=0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a bare number says no unit
LLMStage("l", Question, Answer, prompt="p", ladder=None)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a stage has a ladder; Ladder() has no rungs
LLMStage("o", Question, Answer("x"), prompt="p")  # type: ignore[arg-type, call-arg]  # pyright: ignore[reportArgumentType, reportCallIssue]  # a value where a class belongs
LLMStage("q", Question, Answer)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # nothing to ask with
LLMStage("r", Question, Answer, "p")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # prompt= is named
on_topic.fix(other_repair)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # repairs something else
on_topic.ignore()  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]  # no such action
wrong: Stage[Question, Plan] = answer  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another output
narrow: Stage[BaseModel, Answer] = answer  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # it takes questions, not any model
other: LLMStage[Question, Answer] = LLMStage("f", Question, Answer, prompt="p", fallback=other_fallback)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]  # another output


@stage(retries="3")  # type: ignore[call-overload, untyped-decorator]  # pyright: ignore[reportArgumentType]  # a number
async def often(query: str) -> Page:
    return Page(text=query)


@stage
async def fetch(query: str, ctx: Context) -> Page:
    return Page(text=query)


@stage
async def count(words: list[str]) -> int:
    return len(words)


@stage
def loud(word: str) -> str:
    return word.upper()


@stage  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]  # one input: put two into one model
async def two_inputs(one: str, two: int) -> str:
    return one * two


# --- edges that do not fit --------------------------------------------------------------------------


@pipeline("not-async")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # pipelines await their stages
def not_async(query: str) -> Page:
    return Page(text=query)


@pipeline("read")
async def read(query: str) -> Page:
    return await fetch(query)


@pipeline("wrong-result")
async def wrong_result(question: Question) -> Answer:
    return await plan(question)  # type: ignore[return-value]  # pyright: ignore[reportReturnType]  # not what it declares


@pipeline("edges")
async def edges(question: Question) -> Answer:
    planned = await plan(question)
    await plan("what?")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # str is no Question
    await plan(planned)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # neither is a Plan
    await answer(planned)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the wrong edge
    await plan(question, question)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # one input
    await plan(value=question)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # by position
    await plan.outcome(planned)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # the wrong edge, outcome or not
    await count("words")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a list of words
    await loud(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # sync stages are typed too
    await read(question)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # child runs are typed too
    text: str = await plan(question)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # a Plan
    forgotten: Plan = plan(question)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # not awaited
    whole: Plan = await plan.outcome(question)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # an Outcome
    maybe: Plan = (await plan.outcome(question)).value  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # may be None; unwrap() tells
    print(planned.query)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]  # misspelt, and known to be
    print((await fetch("x")).title)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]  # a Page has none
    a: tuple[Plan, str] = await asyncio.gather(plan(question), fetch("x"))  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # gather keeps types
    b: Answer = await first_of(fetch("x"), fetch("y"))  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]  # first_of too
    await first_of(plan, fetch("x"))  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a stage, not a call
    await sleep("1 s")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # seconds

    await fan_out(fetch, [1, 2])  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # items are inputs
    await fan_out(fetch, planned)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # no list
    await fan_out(count, planned.queries)  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # one list too few
    await fan_out(read, [question])  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # over a pipeline too
    c: list[Answer] = await fan_out(fetch, planned.queries)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]  # pages
    d: list[Page] = await fan_out(fetch, planned.queries, errors="collect")  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # outcomes
    e: list[Outcome[Page]] = await fan_out(fetch, planned.queries)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]  # values
    f: list[Page] = fan_out(fetch, planned.queries)  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # not awaited
    g: list[Answer] = await fan_out(read, planned.queries)  # type: ignore[arg-type]  # pyright: ignore[reportAssignmentType]  # pages of child runs
    await fan_out(fetch, planned.queries, errors="ignore")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]  # raise or collect
    await fan_out(fetch, planned.queries, 8)  # type: ignore[call-overload]  # pyright: ignore[reportCallIssue]  # limit= is named
    await fan_out(fetch("x"), planned.queries)  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType]  # a call, not a stage
    print(text, forgotten, whole, maybe, a, b, c, d, e, f, g)
    return await answer(question)


# --- runs -------------------------------------------------------------------------------------------


async def main(question: Question) -> None:
    async with Runtime("memory") as rt:
        await rt.run(edges, "what?")  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # str is no Question
        await rt.run(edges, Plan(queries=[]))  # type: ignore[misc]  # pyright: ignore[reportArgumentType]  # neither is a Plan
        await rt.run(plan, question)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # a stage is no pipeline
        await rt.run(edges, question, "run-1")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]  # run_id= is named
        await rt.run(edges, question, budget=0.5)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # Budget(usd=0.5)
        await rt.run(edges, question, cache="always")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # no such mode
        result = await rt.run(edges, question, budget=Budget(calls=3))
        other: Plan = result.unwrap()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # an Answer
        sure: Answer = result.output  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # may be None; unwrap() tells
        result.status = "ok"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]  # frozen
        wrong: Pipeline[Question, Plan] = edges  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # another output
        print(other, sure, wrong, result.outputs)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue, reportUnknownArgumentType, reportUnknownMemberType]  # misspelt
        resumed: Answer = (await rt.resume("run-1")).unwrap()  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]  # an id says no type; run() does
        print(resumed)
    Runtime(models={Model("fast"): "openai/gpt-5-mini"})  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]  # a client; names belong into settings
    Runtime(recover="some")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]  # named or all
    Runtime(pipelines=[answer])  # type: ignore[list-item]  # pyright: ignore[reportArgumentType]  # a stage is no pipeline
