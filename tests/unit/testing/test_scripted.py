"""Scripted models say what they are told to, in order, whoever asks and however many at a time."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, Field

from guardflow.classify import kind_of_completion
from guardflow.errors import ModelCallError, UsageError
from guardflow.hashing import value_hash
from guardflow.kinds import Kind
from guardflow.models.client import ModelClient
from guardflow.testing import Scripted, using
from guardflow.values import Completion, Message, Model, Request, Schema, Usage

pytestmark = pytest.mark.anyio


class Answer(BaseModel):
    text: str
    score: int = Field(alias="Score", ge=1, le=5)


def request(content: str = "question", *, typed: bool = True, model: str = "fast") -> Request:
    schema = Schema("Answer", Answer.model_json_schema(), "s") if typed else None
    messages = (Message("system", "be brief"), Message("user", content))
    return Request(Model(model), messages, schema, 100, None, 0, value_hash(content))


async def test_values_are_sent_as_json_and_text_as_it_is() -> None:
    model = Scripted(Answer(text="é", Score=3), {"a": [Answer(text="x", Score=1)]}, [1], "raw {", 5)
    texts = [(await model.send(request())).text for _ in range(5)]
    assert texts[3] == "raw {"
    assert [json.loads(t) for t in texts[:3] if t] == [
        {"text": "é", "Score": 3},
        {"a": [{"text": "x", "Score": 1}]},
        [1],
    ]
    assert texts[4] == "5"


async def test_a_completion_is_returned_as_it_is() -> None:
    completion = Completion(text="t", finish_reason="odd", dropped=("temperature",))
    assert await Scripted(completion).send(request()) is completion


async def test_without_replies_it_answers_every_schema() -> None:
    model = Scripted()
    one, same, other = [(await model.send(request(q))).text for q in ("a", "a", "b")]
    assert one == same != other
    Answer.model_validate_json(one or "")
    assert (await model.send(request(typed=False))).text == "echo: question"


async def test_the_fence_of_an_installation_changes_no_answer() -> None:
    ours, theirs = request("<data-1f>page</data-1f>"), request("<data-9c>page</data-9c>")
    one, same = [(await Scripted().send(replace(r, hash="canonical"))).text for r in (ours, theirs)]
    assert one == same


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (Kind.RATE_LIMIT, 429),
        (Kind.QUOTA, 429),
        (Kind.TIMEOUT, None),
        (Kind.CONNECTION, None),
        (Kind.OVERLOADED, 503),
        (Kind.CONTEXT, 400),
        (Kind.AUTH, 401),
        (Kind.NOT_FOUND, 404),
        (Kind.BAD_REQUEST, 400),
        (Kind.BUG, None),
    ],
)
async def test_a_kind_without_an_answer_is_raised(kind: Kind, status: int | None) -> None:
    model = Scripted(kind)
    for _ in range(2):
        with pytest.raises(ModelCallError, match="'fast' was scripted to fail") as caught:
            await model.send(request())
        assert (caught.value.kind, caught.value.status) == (kind, status)
    assert model.count == 2


async def test_the_classifier_agrees_with_every_kind_that_is_a_completion() -> None:
    for kind in (Kind.TRUNCATED, Kind.EMPTY, Kind.REFUSED, Kind.FILTERED):
        completion = await Scripted(kind).send(request())
        assert kind_of_completion(completion, expects_json=True) == kind
    for kind in (Kind.MALFORMED, Kind.SCHEMA):  # these come out only when the text is parsed
        assert kind_of_completion(await Scripted(kind).send(request()), expects_json=True) is None


async def test_a_group_stands_for_its_first_member() -> None:
    with pytest.raises(ModelCallError) as caught:
        await Scripted(Kind.TRANSIENT).send(request())
    assert caught.value.kind == Kind.RATE_LIMIT
    assert (await Scripted(Kind.INVALID).send(request())).text == ""


async def test_a_kind_with_an_answer_gives_a_completion_of_that_kind() -> None:
    kinds = (Kind.TRUNCATED, Kind.EMPTY, Kind.MALFORMED, Kind.SCHEMA, Kind.REFUSED, Kind.FILTERED)
    model = Scripted(*kinds)
    truncated, empty, malformed, schema, refused, filtered = [await model.send(request()) for _ in kinds]
    assert truncated.finish_reason == "length"
    assert (empty.text, empty.finish_reason) == ("", "stop")
    with pytest.raises(json.JSONDecodeError):
        json.loads(malformed.text or "")
    with pytest.raises(ValueError, match="Field required"):
        Answer.model_validate(json.loads(schema.text or ""))
    assert (refused.text, refused.refusal) == (None, "I cannot help with that.")
    assert filtered.finish_reason == "content_filter"


@pytest.mark.parametrize("kind", [Kind.GUARD, Kind.DISAGREED, Kind.BUDGET])
async def test_a_kind_that_no_model_can_say_is_refused_at_once(kind: Kind) -> None:
    with pytest.raises(UsageError, match="a model cannot say"):
        Scripted("fine", kind)


async def test_a_class_and_none_are_refused_at_once() -> None:
    with pytest.raises(UsageError, match=r"Answer is a class.*write Answer\(\.\.\.\)"):
        Scripted(Answer)  # type: ignore[arg-type]  # the mistake under test
    with pytest.raises(UsageError, match="None is no reply"):
        Scripted(None)  # type: ignore[arg-type]  # the mistake under test


async def test_schema_needs_a_schema() -> None:
    with pytest.raises(UsageError, match="without a schema"):
        await Scripted(Kind.SCHEMA).send(request(typed=False))


async def test_exceptions_are_raised() -> None:
    error = ModelCallError("slow down", kind=Kind.RATE_LIMIT, retry_after=3)
    model = Scripted(error, OSError("cable"))
    with pytest.raises(ModelCallError) as caught:
        await model.send(request())
    assert caught.value.retry_after == 3
    with pytest.raises(OSError, match="cable"):
        await model.send(request())


async def test_functions_see_the_request_and_may_wait() -> None:
    async def later(asked: Request) -> Kind:
        await anyio.sleep(0.001)
        return Kind.EMPTY

    model = Scripted(lambda asked: {"said": asked.messages[-1].content}, later)
    assert json.loads((await model.send(request("hello"))).text or "") == {"said": "hello"}
    assert (await model.send(request())).text == ""


async def test_a_function_that_gives_nothing_is_told_so() -> None:
    with pytest.raises(UsageError, match="None is no reply"):
        await Scripted(lambda asked: None).send(request())  # type: ignore[arg-type, return-value]  # the mistake


async def said(model: Scripted, times: int) -> list[str | None]:
    return [(await model.send(request())).text for _ in range(times)]


async def test_the_last_reply_repeats_or_all_of_them_or_none() -> None:
    assert await said(Scripted("a", "b"), 4) == ["a", "b", "b", "b"]
    assert await said(Scripted("a", "b", repeat="cycle"), 5) == ["a", "b", "a", "b", "a"]
    model = Scripted("a", "b", repeat="none")
    assert await said(model, 2) == ["a", "b"]
    with pytest.raises(UsageError, match="script of 2 replies has run out at request 3 to 'fast'.*question"):
        await model.send(request())
    assert model.count == 3


async def test_usage_follows_from_the_texts_or_is_told() -> None:
    assert (await Scripted("12345").send(request("12345678"))).usage == Usage(input=2 + 3 + 2 + 3, output=2)
    assert (await Scripted("x", usage=Usage(7, 8, 9)).send(request())).usage == Usage(7, 8, 9)


async def test_requests_are_kept_in_order_of_arrival() -> None:
    model = Scripted("a")
    first, second = request("1"), request("2")
    await model.send(first)
    await model.send(second)
    assert list(model.requests) == [first, second]
    ended = await model.send(first)
    assert (ended.model, ended.request_id) == ("fast", "scripted-3")


async def test_concurrent_requests_get_the_replies_in_order_of_arrival() -> None:
    model = Scripted(*map(str, range(50)), delay=0.01)
    ended = await asyncio.gather(*(model.send(request(f"q{i}")) for i in range(50)))
    assert [c.text for c in ended] == [str(i) for i in range(50)]
    assert (model.count, model.in_flight, model.max_in_flight) == (50, 0, 50)


async def test_threads_never_share_a_reply() -> None:
    model = Scripted(*map(str, range(400)))

    def ask() -> list[str | None]:
        return asyncio.run(said(model, 100))

    texts: list[str | None] = []
    async with anyio.create_task_group() as group:
        for _ in range(4):

            async def collect() -> None:
                texts.extend(await anyio.to_thread.run_sync(ask))

            group.start_soon(collect)
    assert sorted(map(int, filter(None, texts))) == list(range(400))


async def test_a_cancelled_request_is_counted_and_no_longer_in_flight() -> None:
    model = Scripted("a", delay=30)
    with anyio.move_on_after(0.01) as scope:
        await model.send(request())
    assert scope.cancelled_caught
    assert (model.count, model.in_flight) == (1, 0)


async def test_it_is_a_model_client_and_survives_being_closed() -> None:
    client: ModelClient = Scripted("a")
    await client.aclose()
    await client.aclose()
    assert (await client.send(request())).text == "a"


async def test_using_puts_clients_in_place_by_role_or_name_and_nests() -> None:
    from guardflow.models.routing import override_clients

    fast, strong, inner = Scripted("f"), Scripted("s"), Scripted("i")
    before: Any = override_clients.get()
    with using({Model("fast"): fast, "openai/big": strong}):
        assert override_clients.get() == {"fast": fast, "openai/big": strong}
        with using({"fast": inner}):
            assert override_clients.get() == {"fast": inner, "openai/big": strong}
            seen = await asyncio.create_task(anyio.to_thread.run_sync(override_clients.get))
            assert seen["fast"] is inner
        assert (override_clients.get() or {})["fast"] is fast
        with pytest.raises(RuntimeError), using({"fast": inner}):
            raise RuntimeError
        assert (override_clients.get() or {})["fast"] is fast
    assert override_clients.get() == before
