"""Contestants that read invoices from a faulty server: each says what it made of every question, and how long it took.

`faulty` starts them. All have the same time limit for a request. pydantic-ai may run in an environment of its own,
without guardflow: what a contestant needs is imported inside of it.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

import anyio
from invoices import PRACTICE, SYSTEM, Bill, Invoice, complaint, invoice, messages, truth

TIMEOUT = 1.0
"""Seconds a request may take."""
LIMIT = 16
"""Questions at a time."""
AGAIN = 5
"""How often the contestants with retries may ask again because of an answer."""
_CALL = {"model": "openai/bench", "max_tokens": 256}

Metrics = Mapping[str, Sequence[float]]


async def contest(answer: Callable[[Invoice], Awaitable[Bill | None]], questions: int) -> Metrics:
    """Ask every question, `LIMIT` at a time. For each: 1 is right, -1 wrong, 0 no answer; and the p95 of seconds.

    Before that one question is asked alone, and some together, whose answers are always right: so that nobody's
    imports and first connections run into the time limit.
    """
    for practice in (range(PRACTICE, PRACTICE + 1), range(PRACTICE + 1, PRACTICE + LIMIT)):
        await _asked(answer, practice)
    timed = await _asked(answer, range(questions))
    came = {
        str(n): [0.0 if bill is None else 1.0 if bill == truth(n) else -1.0] for n, (bill, _) in timed.items()
    }
    took = sorted(seconds for _, seconds in timed.values())
    return {**came, "p95": [took[min(questions * 95 // 100, questions - 1)]]}


async def _asked(
    answer: Callable[[Invoice], Awaitable[Bill | None]], numbers: range
) -> Mapping[int, tuple[Bill | None, float]]:
    room = anyio.Semaphore(LIMIT)
    came: dict[int, tuple[Bill | None, float]] = {}

    async def one(number: int, coming: Awaitable[Bill | None]) -> None:
        async with room:
            start = time.perf_counter()
            bill = await coming
            came[number] = bill, time.perf_counter() - start

    async with anyio.create_task_group() as group:
        for number in numbers:
            group.start_soon(
                one, number, answer(invoice(number))
            )  # called here: a pipeline calls its stages itself
    return came


async def guardflow_peer(server: str, questions: int, rule: str = "", most: int | None = None) -> Metrics:
    """A stage with one guard, durable on SQLite: its ladder alone, or a vote among samples of one model.

    Args:
        rule: ``"ahead_by(2)"``, ``"majority(3)"``; none is the ladder alone.
        most: the most ballots of a vote.
    """
    from guardflow import (
        Finding,
        GuardContext,
        Kind,
        Ladder,
        LLMStage,
        Model,
        Outcome,
        Runtime,
        Vote,
        ahead_by,
        guard,
        majority,
        pipeline,
        reask,
        resample,
        wait,
    )
    from guardflow.prompts import inline_prompt

    @guard(inline=True)
    def quotes_the_invoice(bill: Bill, ctx: GuardContext[Invoice]) -> Iterator[Finding]:
        if said := complaint(bill, ctx.input.text):
            yield Finding(said, at=("quote",), evidence=bill.quote)

    rules = {"ahead_by(2)": ahead_by(2), "majority(3)": majority(3)}
    model = Model("openai/bench", api_base=server, price="free", output="json_schema", timeout=TIMEOUT)
    # What is quoted belongs to the amount: they vote together.
    vote = Vote(model, rule=rules[rule], max=most, whole=("amount", "quote")) if rule else None
    stage = LLMStage(
        "read",
        Invoice,
        Bill,
        prompt=inline_prompt(
            f'{{% message "system" %}}{SYSTEM}{{% endmessage %}}'
            '{% message "user" %}{{ text | fenced }}{% endmessage %}',
            ("text",),
            name="bench",
        ),
        model=vote or model,
        ladder=Ladder(
            wait(4),
            reask(3, on=Kind.INVALID | Kind.GUARD),
            resample(AGAIN - 3, on=Kind.ANSWERABLE),
        ),
        guards=[quotes_the_invoice.reject()],
        max_tokens=256,
    )

    @pipeline("contest")
    async def run(count: int) -> Mapping[str, Sequence[float]]:
        async def value(coming: Awaitable[Outcome[Bill]]) -> Bill | None:
            return (await coming).value

        return await contest(lambda given: value(stage.outcome(given)), count)

    async with Runtime("sqlite:///contest.db") as rt:
        return (await rt.run(run, questions)).unwrap()


async def instructor_peer(server: str, questions: int) -> Metrics:
    """instructor on litellm with `max_retries`, the check being a validator of the model.

    litellm's own two retries of 429 and timeouts stay on. The time limit is an `httpx.Timeout`: given a number,
    instructor stops asking again after that many seconds in all.
    """
    import httpx
    import instructor
    import litellm
    from pydantic import ValidationInfo, model_validator

    class Checked(Bill):
        @model_validator(mode="after")
        def quotes_the_invoice(self, info: ValidationInfo) -> Checked:
            if said := complaint(self, info.context["text"]):
                raise ValueError(said)
            return self

    client = instructor.from_litellm(litellm.acompletion, mode=instructor.Mode.JSON_SCHEMA)

    async def answer(given: Invoice) -> Bill | None:
        try:
            bill = await client.chat.completions.create(
                **_CALL,
                messages=messages(given),
                api_base=server,
                response_model=Checked,
                context={"text": given.text},
                max_retries=AGAIN,
                timeout=httpx.Timeout(TIMEOUT),
            )
        except Exception as error:  # noqa: BLE001  # whatever it raises: it gave no answer
            return _nothing(error)
        return Bill.model_validate(bill.model_dump())

    return await contest(answer, questions)


async def pydantic_ai_peer(server: str, questions: int) -> Metrics:
    """pydantic-ai: three models in a `FallbackModel`, all of them this server; an output validator that asks again.

    The retries of the OpenAI client are off, as its documentation says for fallbacks. Refusals fall back too: by
    default only errors of the API do, and every refusal would be no answer.
    """
    from openai import AsyncOpenAI
    from pydantic_ai import Agent, ModelRetry, NativeOutput, RunContext
    from pydantic_ai.exceptions import ContentFilterError, ModelAPIError
    from pydantic_ai.models.fallback import FallbackModel
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(base_url=server, api_key="bench", timeout=TIMEOUT, max_retries=0)
    provider = OpenAIProvider(openai_client=client)
    models = [OpenAIChatModel(name, provider=provider) for name in ("bench", "bench-b", "bench-c")]
    agent = Agent(
        FallbackModel(*models, fallback_on=(ModelAPIError, ContentFilterError)),
        deps_type=Invoice,
        output_type=NativeOutput(Bill),
        instructions=SYSTEM,
        retries=AGAIN,
        model_settings={"max_tokens": 256},
    )

    @agent.output_validator
    def quotes_the_invoice(ctx: RunContext[Invoice], bill: Bill) -> Bill:
        if said := complaint(bill, ctx.deps.text):
            raise ModelRetry(said)
        return bill

    async def answer(given: Invoice) -> Bill | None:
        try:
            return (await agent.run(given.text, deps=given)).output
        except Exception as error:  # noqa: BLE001  # whatever it raises: it gave no answer
            return _nothing(error)

    return await contest(answer, questions)


async def best_peer(server: str, questions: int, *, checked: bool = False) -> Metrics:
    """Five plain calls of litellm at once, and the commonest answer; the first of them where several are.

    Args:
        checked: whether an answer that the check complains about is left out.
    """
    import litellm

    schema = {"name": "Bill", "schema": Bill.model_json_schema(), "strict": True}
    form = {"type": "json_schema", "json_schema": schema}

    async def answer(given: Invoice) -> Bill | None:
        said: list[Bill] = []

        async def ask() -> None:
            with contextlib.suppress(Exception):  # a ballot that failed is no ballot
                came = await litellm.acompletion(
                    **_CALL,
                    messages=messages(given),
                    api_base=server,
                    response_format=form,
                    timeout=TIMEOUT,
                    max_retries=0,
                )
                bill = Bill.model_validate_json(came.choices[0].message.content)
                if not (checked and complaint(bill, given.text)):
                    said.append(bill)

        async with anyio.create_task_group() as group:
            for _ in range(5):
                group.start_soon(ask)
        common = Counter(bill.model_dump_json() for bill in said).most_common(1)
        return Bill.model_validate(json.loads(common[0][0])) if common else None

    return await contest(answer, questions)


def _nothing(error: Exception) -> None:
    """No answer. A mistake of the benchmark's own must not pass for one."""
    if isinstance(error, TypeError | NameError | ImportError | AttributeError):
        raise error
