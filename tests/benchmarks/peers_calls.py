"""Peers that ask a model for JSON: bare httpx, litellm, instructor on litellm, and a guardflow stage.

All send the same messages to the same server, so many at a time, and give the answer as the same pydantic model.
guardflow's stage runs durably on SQLite, with two guards, the ledger and a budget; the others do none of that.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import anyio
from harness import Stopwatch
from pydantic import BaseModel, Field

if TYPE_CHECKING:
    from guardflow import LLMStage, Model, Vote

LIMIT = 50
"""Calls at a time."""
T = TypeVar("T")
SYSTEM = "You read a page and say what it claims. Answer in JSON, in the language of the page."
USER = "Title: {title}\n\n{text}\n\nWhich claims does the page make, and how sure is it of each?"


class Page(BaseModel):
    title: str
    text: str


class Claim(BaseModel):
    text: str
    certainty: float = Field(ge=0, le=1)


class Reading(BaseModel):
    """What a page claims."""

    title: str
    language: Literal["en", "de", "fr"]
    claims: list[Claim] = Field(min_length=1, max_length=5)


ANSWER = Reading(
    title="The tides",
    language="en",
    claims=[
        Claim(text="The moon causes most of the tide.", certainty=0.9),
        Claim(text="The sun adds about a third to it.", certainty=0.7),
    ],
)
"""What the server answers every request with."""


def pages(count: int, *, start: int = 0) -> list[Page]:
    """Different pages of about a kilobyte and a half."""
    line = "The moon pulls the water towards it, and the water follows some hours later. "
    return [
        Page(title=f"The tides, part {n}", text=f"{n}. " + line * 19) for n in range(start, start + count)
    ]


def messages(page: Page) -> list[dict[str, str]]:
    return [
        {"role": "system", "content": SYSTEM},
        {"role": "user", "content": USER.format(title=page.title, text=page.text)},
    ]


async def spread(call: Callable[[Page], Awaitable[T]], items: list[Page], *, limit: int = LIMIT) -> list[T]:
    """Call for every page, ``limit`` at a time."""
    todo: Iterator[Page] = iter(items)
    done: list[T] = []

    async def work() -> None:
        for page in todo:
            done.append(await call(page))  # noqa: PERF401  # an extend would take the iterator for itself

    async with anyio.create_task_group() as group:
        for _ in range(min(limit, len(items))):
            group.start_soon(work)
    return done


async def measured(
    run: Callable[[str, list[Page]], Awaitable[object]],
    *,
    fast: str,
    slow: str | None,
    calls: int,
    rounds: int,
) -> Mapping[str, list[float]]:
    """Warm up, then time rounds against the fast server (CPU a call) and the slow one (wall).

    Args:
        run: sends one request for every page to the server at that address.
        fast: the address of a server that answers at once.
        slow: of one that answers after 0.3 s; None leaves it out.
        calls: calls a round.
        rounds: rounds against each.
    """
    out: dict[str, list[float]] = {}
    at = 0
    for base, kind in ((fast, ""), (slow, "slow_")):
        if base is None:
            continue
        await run(base, pages(min(calls, 100), start=at))
        for _ in range(rounds):
            at += 1_000
            items, watch = pages(calls, start=at), Stopwatch()
            await run(base, items)
            out.setdefault(f"{kind}cpu_ms", []).append(1_000 * watch.cpu() / calls)
            out.setdefault(f"{kind}wall_s", []).append(watch.wall())
    return out


async def httpx_peer(**options: object) -> Mapping[str, list[float]]:
    """A POST and pydantic, nothing else."""
    import httpx

    form = _response_format()
    headers = {"Authorization": "Bearer bench"}
    limits = httpx.Limits(max_connections=LIMIT, max_keepalive_connections=LIMIT)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60) as client:

        async def run(base: str, items: list[Page]) -> object:
            async def call(page: Page) -> Reading:
                body = {"model": "bench", "messages": messages(page), "response_format": form}
                answer = await client.post(f"{base}/chat/completions", json={**body, "max_tokens": 1024})
                return Reading.model_validate_json(answer.json()["choices"][0]["message"]["content"])

            return await spread(call, items)

        return await measured(run, **options)


async def litellm_peer(**options: object) -> Mapping[str, list[float]]:
    """`litellm.acompletion` with a JSON schema that was made once."""
    import litellm

    form = _response_format()

    async def run(base: str, items: list[Page]) -> object:
        async def call(page: Page) -> Reading:
            answer = await litellm.acompletion(
                model="openai/bench",
                messages=messages(page),
                api_base=base,
                response_format=form,
                max_tokens=1024,
                max_retries=0,
            )
            return Reading.model_validate_json(answer.choices[0].message.content)

        return await spread(call, items)

    return await measured(run, **options)


async def instructor_peer(**options: object) -> Mapping[str, list[float]]:
    """instructor on litellm, as its documentation says."""
    import instructor
    import litellm

    client = instructor.from_litellm(litellm.acompletion, mode=instructor.Mode.JSON_SCHEMA)

    async def run(base: str, items: list[Page]) -> object:
        async def call(page: Page) -> Reading:
            return await client.chat.completions.create(
                model="openai/bench",
                messages=messages(page),
                api_base=base,
                response_model=Reading,
                max_tokens=1024,
            )

        return await spread(call, items)

    return await measured(run, **options)


async def guardflow_peer(*, guards: str = "inline", **options: object) -> Mapping[str, list[float]]:
    """A model stage in `fan_out`: two guards, ledger, budget, durable on SQLite.

    Args:
        guards: ``"inline"``, or ``"threads"`` for guards that are not declared quick.
    """
    async with durably(lambda base: reading_stage(bench_model(base), inline=guards == "inline")) as run:
        found = await measured(run, **options)
    assert "dbos" in sys.modules  # durable, then
    return found


@asynccontextmanager
async def durably(
    stage_at: Callable[[str], LLMStage[Page, Reading]], *, limit: int = LIMIT
) -> AsyncIterator[Callable[[str, list[Page]], Awaitable[object]]]:
    """What runs a stage over pages in one durable run, given the address of its server.

    Args:
        stage_at: the stage for an address; made once for each.
        limit: calls of the stage at a time.
    """
    from guardflow import Budget, Runtime, fan_out, pipeline
    from guardflow.settings import Settings

    stages: dict[str, LLMStage[Page, Reading]] = {}
    now: list[tuple[LLMStage[Page, Reading], list[Page]]] = []

    @pipeline("bench")
    async def bench(count: int) -> int:
        stage, items = now[-1]
        return len(await fan_out(stage, items, limit=limit))

    async with Runtime(settings=Settings(home=Path.cwd() / "state")) as runtime:

        async def run(base: str, items: list[Page]) -> object:
            if base not in stages:
                stages[base] = stage_at(base)
            now.append((stages[base], items))
            budget = Budget(usd=5, tokens=10**9, calls=10**6, seconds=600)
            result = await runtime.run(bench, len(items), budget=budget)
            assert result.unwrap() == len(items), result
            return result

        yield run


def bench_model(base: str) -> Model:
    """The server as a model."""
    from guardflow import Model

    return Model("openai/bench", api_base=base, price="free", output="json_schema")


def reading_stage(model: Model | Vote, *, inline: bool = True) -> LLMStage[Page, Reading]:
    """guardflow's stage for the question of all peers, with two guards.

    Args:
        model: whom it asks.
        inline: whether its guards are declared quick.
    """
    from guardflow import Finding, GuardContext, LLMStage, guard
    from guardflow.prompts import inline_prompt

    @guard(inline=inline)
    def claims_differ(reading: Reading) -> Iterator[Finding]:
        seen: set[str] = set()
        for i, claim in enumerate(reading.claims):
            if claim.text in seen:
                yield Finding("it is said twice", at=("claims", i), evidence=claim.text)
            seen.add(claim.text)

    @guard(inline=inline)
    def is_shorter(reading: Reading, ctx: GuardContext[Page]) -> Iterator[Finding]:
        if sum(len(claim.text) for claim in reading.claims) > len(ctx.input.text):
            yield Finding("the claims are longer than the page", at=("claims",))

    user = USER.format(title="{{ title }}", text="{{ text | fenced }}")
    prompt = inline_prompt(
        f'{{% message "system" %}}{SYSTEM}{{% endmessage %}}{{% message "user" %}}{user}{{% endmessage %}}',
        ("title", "text"),
        name="bench",
    )
    return LLMStage(
        "read",
        Page,
        Reading,
        prompt=prompt,
        model=model,
        guards=[claims_differ.reject(), is_shorter.reject()],
        max_tokens=1024,
    )


def _response_format() -> dict[str, object]:
    schema = Reading.model_json_schema()
    return {"type": "json_schema", "json_schema": {"name": "Reading", "schema": schema, "strict": True}}
