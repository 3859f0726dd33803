"""The four-stage example, as it is shipped: on every backend, and through litellm against a server full of faults."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from guardflow import Kind, RunResult, Runtime
from guardflow.settings import Settings, load_settings
from guardflow.testing import FaultServer, Reply, Scripted
from guardflow.values import Request, Usage
from pipelines.examples.qa import FAST, STRONG, Answer, Excerpt, Library, Plan, Question, qa

pytestmark = pytest.mark.anyio

LIBRARY = Library(
    {
        "bees": "Bees dance to tell where flowers are. They do it in the dark.",
        "ants": "Ants follow the scent of others. Nobody leads them.",
        "birds": "Birds find their way by the stars. Some use the sun.",
    }
)
QUESTION = Question(text="How do animals find their way?")
QUERIES = ["bees dance", "ants scent", "birds stars"]
SENTENCES = [
    "Bees dance to tell where flowers are",
    "Ants follow the scent of others",
    "Birds find their way by the stars",
]
ANSWER = Answer(text="By dances, scents and stars.", quotes=[0, 1, 2])


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_database")
    else:
        yield "memory" if request.param == "memory" else None


def settings_in(folder: Path, **models: Any) -> Settings:
    return load_settings(folder, home=folder / "state", models=models)


def well(request: Request) -> BaseModel:
    """What a good model says."""
    text = request.messages[-1].content
    match request.schema and request.schema.json.get("title"):
        case "Plan":
            return Plan(queries=QUERIES)
        case "Excerpt":
            return Excerpt(quote=next(s for s in SENTENCES if s in text))
        case _:
            return ANSWER


async def test_the_example_answers_with_quotes_and_pays_once(database: str | None, tmp_path: Path) -> None:
    model = Scripted(well)
    settings = settings_in(tmp_path)
    async with Runtime(
        database, settings=settings, resources=[LIBRARY], models={FAST: model, STRONG: model}
    ) as rt:
        first = await rt.run(qa, QUESTION, run_id="r")
        again = await rt.run(qa, QUESTION, run_id="r")
    assert first.status == "ok"
    assert first.unwrap() == again.unwrap() == ANSWER
    assert model.count == len(first.attempts) == 5
    assert [a.start.stage for a in first.attempts] == ["plan", *["excerpt"] * 3, "answer"]
    assert first.spend == again.spend


async def test_the_example_falls_back_to_a_sentence_and_says_so(database: str | None, tmp_path: Path) -> None:
    def refusing(request: Request) -> object:
        if request.schema is not None and request.schema.json.get("title") == "Excerpt":
            return Kind.REFUSED
        return well(request)

    model = Scripted(refusing)
    settings = settings_in(tmp_path)
    async with Runtime(
        database, settings=settings, resources=[LIBRARY], models={FAST: model, STRONG: model}
    ) as rt:
        result = await rt.run(qa, QUESTION)
    assert result.status == "degraded"
    assert result.degraded == ("excerpt",)
    assert result.unwrap() == ANSWER
    assert all(sentence in model.requests[-1].messages[-1].content for sentence in SENTENCES)


# --- through litellm ---------------------------------------------------------------------------------------

USAGE = Usage(input=100, output=10)
PAUSE = 0.2


class Faulty:
    """Replies by what is asked, in order; every 200 reports the same usage."""

    def __init__(self, **replies: Sequence[Reply]) -> None:
        self._replies = {name: list(those) for name, those in replies.items()}
        self.asked: list[str] = []

    def __call__(self, body: Mapping[str, Any]) -> Reply:
        system, text = body["messages"][0]["content"], body["messages"][1]["content"]
        if "You plan searches" in system:
            name = "plan"
        elif "Copy the one sentence" in system:
            name = next(n for n in ("bees", "ants", "birds") if f'Page "{n}"' in text)
        else:
            name = "answer"
        self.asked.append(name)
        reply = self._replies[name].pop(0)
        return reply.but(usage=USAGE) if reply.code == 200 else reply


def faulty() -> Faulty:
    return Faulty(
        plan=[
            Reply.rate_limited(retry_after=PAUSE),
            Reply.truncated('{"queries": ["bees da'),
            Reply.json({"queries": QUERIES}),
        ],
        bees=[Reply.json({"quote": SENTENCES[0]})],
        ants=[Reply.json({"quote": "Ants are led by others"}), Reply.json({"quote": SENTENCES[1]})],
        birds=[Reply.refusal()],
        answer=[Reply.text('{"text": "By dan'), Reply.refusal(), Reply.json(ANSWER)],
    )


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(answer=faulty()) as running:
        yield running


async def run_through_litellm(
    database: str | None, folder: Path, server: FaultServer
) -> tuple[RunResult[Answer], RunResult[Answer]]:
    shared = {"api_base": server.base_url, "price": {"input": 1.0, "output": 2.0}}
    settings = settings_in(folder, fast={"name": "small", **shared}, strong={"name": "big", **shared})
    async with Runtime(database, settings=settings, resources=[LIBRARY]) as rt:
        first = await rt.run(qa, QUESTION, run_id="r")
        return first, await rt.run(qa, QUESTION, run_id="r")


async def test_the_example_survives_every_fault_of_a_provider_with_exactly_one_request_a_rung(
    database: str | None, tmp_path: Path, server: FaultServer
) -> None:
    first, again = await run_through_litellm(database, tmp_path, server)
    assert first.status == "degraded"
    assert first.degraded == ("excerpt",)
    assert first.unwrap() == again.unwrap() == ANSWER
    rungs = [(a.start.stage, a.start.rung.split(":")[0], a.kind) for a in first.attempts]
    assert [r for r in rungs if r[0] == "plan"] == [
        ("plan", "start", Kind.RATE_LIMIT),
        ("plan", "wait", Kind.TRUNCATED),
        ("plan", "grow", None),
    ]
    assert sorted(str(r[1:]) for r in rungs if r[0] == "excerpt") == sorted(
        map(str, [("start", None), ("start", Kind.GUARD), ("reask", None), ("start", Kind.REFUSED)])
    )
    assert [r for r in rungs if r[0] == "answer"] == [
        ("answer", "start", Kind.MALFORMED),
        ("answer", "reask", Kind.REFUSED),
        ("answer", "switch", None),
    ]
    assert server.count == len(first.attempts) == first.spend.calls == 10
    assert first.spend.tokens == 9 * USAGE.total
    assert first.spend.nano_usd == 9 * (USAGE.input * 1000 + USAGE.output * 2000)
    assert first.spend.in_doubt == first.spend.unpriced == 0


async def test_every_request_is_what_its_rung_says(tmp_path: Path, server: FaultServer) -> None:
    await run_through_litellm("memory", tmp_path, server)
    got = server.requests
    assert [r.body["model"] for r in got] == ["small"] * 9 + ["big"]
    refused, waited, grown = got[:3]
    assert waited.at - refused.at >= PAUSE
    assert waited.key == refused.key
    assert grown.body["max_tokens"] == 2 * waited.body["max_tokens"]
    malformed, asked_again, switched = got[-3:]
    assert len(asked_again.body["messages"]) > len(malformed.body["messages"])
    assert "By dan" in str(asked_again.body["messages"])
    assert all(sentence in switched.body["messages"][1]["content"] for sentence in SENTENCES)
