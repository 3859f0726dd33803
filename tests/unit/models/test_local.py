"""The embedded model, with the real weights: schemas, equal answers, one at a time, and stopping."""

import json
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from pydantic import BaseModel, Field

from guardflow import Ladder, LLMStage, Runtime, pipeline
from guardflow.classify import kind_of_completion
from guardflow.errors import ModelCallError
from guardflow.hashing import value_hash
from guardflow.kinds import Kind
from guardflow.models.local import LocalClient, worker
from guardflow.models.local.engine import Ask, Engine, Reply
from guardflow.models.roles import PROVIDERS
from guardflow.prompts import inline_prompt
from guardflow.settings import Settings
from guardflow.values import Message, Model, Request, Schema

pytestmark = pytest.mark.anyio

MODEL = Model("local/smollm2", output="json_schema", context=2048)
SYSTEM = "You plan searches. You answer with short search queries, in plain words, and with nothing else."


class Plan(BaseModel):
    queries: list[str] = Field(min_length=1, max_length=2)


def schema_of(json_schema: dict[str, object]) -> Schema:
    return Schema("Plan", json_schema, value_hash(json_schema))


PLAN = schema_of(
    {
        "type": "object",
        "properties": {
            "queries": {
                "type": "array",
                "items": {"type": "string", "minLength": 1, "maxLength": 20},
                "minItems": 1,
                "maxItems": 2,
            },
            "depth": {"type": "integer", "minimum": 1, "maximum": 3},
        },
        "required": ["queries", "depth"],
        "additionalProperties": False,
    }
)

ENDLESS = schema_of(
    {"type": "object", "properties": {"a": {"type": "string", "minLength": 3000}}, "required": ["a"]}
)
"""What cannot be answered in less than a minute, whatever the model would like to say."""


def request(text: str, **changed: object) -> Request:
    messages = (Message("system", SYSTEM), Message("user", text))
    made = Request(MODEL, messages, PLAN, max_tokens=60, temperature=None, sample=0, hash=value_hash(text))
    return replace(made, **changed)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[LocalClient]:
    client = LocalClient(Settings(root=tmp_path))
    yield client
    await client.aclose()


@pytest.fixture
def replies(monkeypatch: pytest.MonkeyPatch) -> list[Reply | str]:
    """What the engine does, in order: ``"began"``, then the reply."""
    seen: list[Reply | str] = []
    answer = Engine.answer

    def recorded(self: Engine, ask: Ask, stopped: Callable[[], object]) -> Reply:
        seen.append("began")
        reply = answer(self, ask, stopped)
        seen.append(reply)
        return reply

    monkeypatch.setattr(Engine, "answer", recorded)
    return seen


# --- answers ----------------------------------------------------------------------------------------


async def test_an_answer_fits_its_schema(client: LocalClient) -> None:
    completion = await client.send(request("Tell me about llamas."))
    answer = json.loads(completion.text or "")
    assert answer.keys() == {"queries", "depth"}
    assert 1 <= len(answer["queries"]) <= 2
    assert all(1 <= len(query) <= 20 for query in answer["queries"])
    assert answer["depth"] in (1, 2, 3)
    assert completion.finish_reason == "stop"
    assert completion.model == "local/smollm2"
    assert completion.usage is not None
    assert completion.usage.input > 20
    assert 5 < completion.usage.output <= 60
    assert kind_of_completion(completion, expects_json=True) is None


async def test_without_a_schema_it_writes_text(client: LocalClient) -> None:
    completion = await client.send(request("Say hello.", schema=None, max_tokens=8))
    assert completion.text
    assert not completion.text.startswith("{")


async def test_equal_requests_get_equal_answers_whatever_came_before(client: LocalClient) -> None:
    asked = request("Tell me about the mountains of Peru and the animals there.", schema=None, max_tokens=24)
    before = [
        None,
        asked,  # all of it was read already
        request("Tell me about the mountains of Chile.", max_tokens=4),  # a part of the turn is the same
        request("Hi", messages=(Message("user", "Hi"),), max_tokens=4),  # nothing is the same
        replace(
            asked,
            messages=(*asked.messages, Message("assistant", "No."), Message("user", "Why?")),
            max_tokens=4,
        ),
    ]
    answers, reused = [], []
    for other in before:
        if other is not None:
            await client.send(other)
        completion = await client.send(asked)
        assert completion.usage is not None
        answers.append(completion.text)
        reused.append(completion.usage.cached_input)
    assert len(set(answers)) == 1
    whole = reused[1]
    assert 0 < reused[2] < whole  # the system message
    assert reused[3] == 0
    assert reused[4] == whole


async def test_samples_of_one_request_are_different_draws(client: LocalClient) -> None:
    asked = request("Tell me about llamas.", schema=None, temperature=1.2, max_tokens=10)
    draws = [(await client.send(replace(asked, sample=n))).text for n in (0, 1, 2, 0)]
    assert draws[0] == draws[3]
    assert len(set(draws)) > 1


async def test_an_answer_that_is_cut_off_is_truncated(client: LocalClient) -> None:
    completion = await client.send(request("Tell me about llamas.", max_tokens=3))
    assert kind_of_completion(completion, expects_json=True) is Kind.TRUNCATED


@pytest.mark.parametrize(
    "odd",
    [
        {"type": "string", "pattern": "^(?=a)[a-c]{2}$"},
        {"type": "integer", "minimum": 4, "maximum": 2},
        {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "maxItems": 2},
        {"oneOf": [{"const": 3}, {"type": "null"}]},
        {"$ref": "#/$defs/Flag", "description": "a reference"},
    ],
    ids=lambda odd: next(iter(odd.keys() - {"type"})),
)
async def test_what_a_grammar_cannot_say_is_left_out_and_the_shape_stays(
    client: LocalClient, odd: dict[str, object]
) -> None:
    flag = {"type": "object", "properties": {"on": {"type": "boolean"}}, "required": ["on"]}
    schema = {"type": "object", "properties": {"a": odd}, "required": ["a"], "$defs": {"Flag": flag}}
    completion = await client.send(request("Go.", schema=schema_of(schema), max_tokens=16))
    assert (completion.text or "").startswith('{"a": ')


# --- one at a time, and stopping --------------------------------------------------------------------


async def test_requests_never_overlap(client: LocalClient, replies: list[Reply | str]) -> None:
    async with anyio.create_task_group() as tasks:
        for text in ("one", "two", "three"):
            tasks.start_soon(client.send, request(text, max_tokens=4))
    assert [entry == "began" for entry in replies] == [True, False] * 3


async def test_a_cancelled_answer_stops_being_written(
    client: LocalClient, replies: list[Reply | str]
) -> None:
    endless = request("Tell me everything.", schema=ENDLESS, max_tokens=1500)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, endless)
        while not replies:
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    # Leaving the group means that the thread is free: nobody computes for nobody.
    assert isinstance(replies[-1], Reply)
    assert replies[-1].stopped == "cancelled"
    assert (await client.send(request("Hi", max_tokens=2))).finish_reason == "length"


async def test_a_cancelled_prompt_stops_being_read(
    client: LocalClient, replies: list[Reply | str], monkeypatch: pytest.MonkeyPatch
) -> None:
    portions: list[str] = []
    read = Engine._read

    def slowly(self: Engine, messages: Any, marks: Any, watch: Callable[[str], Any]) -> Any:
        """Each portion takes as long as nobody cancels, or two minutes."""

        def between(text: str) -> Any:
            portions.append(text)
            ends = time.monotonic() + 120
            while watch(text) is None and time.monotonic() < ends:
                time.sleep(0.01)
            return watch(text)

        return read(self, messages, marks, between)

    monkeypatch.setattr(Engine, "_read", slowly)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, request("all of this " * 450))
        while not portions:
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    assert len(portions) == 1
    assert isinstance(replies[-1], Reply)
    assert replies[-1].stopped == "cancelled"


async def test_a_request_that_is_cancelled_in_the_queue_never_begins(
    client: LocalClient, replies: list[Reply | str]
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.send, request("first", schema=ENDLESS, max_tokens=1500))
        while not replies:
            await anyio.sleep(0.01)
        with anyio.move_on_after(0.01) as scope:
            await client.send(request("second"))
        assert scope.cancelled_caught
        tasks.cancel_scope.cancel()
    await client.send(request("third", max_tokens=2))
    assert replies.count("began") == 2


async def test_a_request_that_takes_too_long_is_a_timeout(client: LocalClient) -> None:
    with pytest.raises(ModelCallError, match=r"did not finish within 0\.05 s") as caught:
        await client.send(request("Tell me everything.", schema=ENDLESS, max_tokens=1500, timeout=0.05))
    assert caught.value.kind is Kind.TIMEOUT


async def test_a_queue_is_no_slow_model(client: LocalClient) -> None:
    ends: list[str] = []

    async def ask(text: str, timeout: float) -> None:
        await client.send(request(text, max_tokens=6, timeout=timeout, schema=None))
        ends.append(text)

    async with anyio.create_task_group() as tasks:
        for n in range(3):
            tasks.start_soon(ask, f"{n}", 30.0)
    assert ends == ["0", "1", "2"]


# --- what does not fit ------------------------------------------------------------------------------


async def test_a_prompt_longer_than_the_context_is_its_own_kind(client: LocalClient) -> None:
    with pytest.raises(ModelCallError, match="longer than the model's context") as caught:
        await client.send(request("all of this " * 1000))
    assert caught.value.kind is Kind.CONTEXT


async def test_an_answer_that_ends_with_the_context_is_not_truncated(client: LocalClient) -> None:
    small = replace(MODEL, context=256)
    long = request("x " * 180, model=small, schema=ENDLESS, max_tokens=400)
    with pytest.raises(ModelCallError, match="of the context of 256") as caught:
        await client.send(long)
    assert caught.value.kind is Kind.CONTEXT


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not weights at all", b"GGUF" + b"\xff" * 60])
async def test_a_file_that_is_no_model_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.gguf").write_bytes(content)
    client = LocalClient(Settings(root=tmp_path))
    with pytest.raises(ModelCallError, match=r"broken\.gguf.*not a GGUF file") as caught:
        await client.send(request("Hi", model=Model("local/broken.gguf")))
    assert caught.value.kind is Kind.NOT_FOUND
    await client.aclose()


# --- text from outside ------------------------------------------------------------------------------


@pytest.mark.parametrize("marker", ["<|im_end|>", "<|im_start|>", "<|endoftext|>"])
async def test_a_control_token_in_a_text_is_only_text(client: LocalClient, marker: str) -> None:
    """As a token it would count one. As text it takes several."""
    plain = await client.send(request("", schema=None, max_tokens=1))
    marked = await client.send(request(marker * 10, schema=None, max_tokens=1))
    assert plain.usage is not None
    assert marked.usage is not None
    assert marked.usage.input - plain.usage.input >= 30


# --- the process it is loaded into ------------------------------------------------------------------


def test_it_prints_nothing_listens_nowhere_and_leaves_signals_alone(tmp_path: Path) -> None:
    code = """
        import ctypes, os, signal, sys
        from pathlib import Path
        import anyio
        from guardflow.models.local import LocalClient
        from guardflow.settings import Settings
        from guardflow.values import Message, Model, Request

        def disposition(number):
            action = ctypes.create_string_buffer(512)
            ctypes.CDLL(None).sigaction(number, None, action)
            return action.raw[:8]  # the handler; what follows it is not all filled in

        def listening():
            rows = [row.split() for name in ("tcp", "tcp6") for row in open(f"/proc/net/{name}").readlines()[1:]]
            sockets = {row[9] for row in rows if row[3] == "0A"}
            links = [os.readlink(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd") if fd != "3"
                     and os.path.lexists(f"/proc/self/fd/{fd}")]
            return [link for link in links if link.removeprefix("socket:[").rstrip("]") in sockets]

        async def main():
            signals = [disposition(n) for n in (signal.SIGINT, signal.SIGTERM)]
            client = LocalClient(Settings(root=Path.cwd()))
            model = Model("local/smollm2", context=512)
            asked = Request(model, (Message("user", "Hi"),), None, 3, None, 0, "h")
            completion = await client.send(asked)
            assert completion.text
            assert [disposition(n) for n in (signal.SIGINT, signal.SIGTERM)] == signals
            assert listening() == []
            bad = Path("bad.gguf")
            bad.write_bytes(b"GGUF" + b"\\0" * 100)
            try:
                await client.send(Request(Model("local/bad.gguf"), asked.messages, None, 3, None, 0, "h"))
            except Exception as error:
                assert "bad.gguf" in str(error), error
            else:
                raise AssertionError
            # left open on purpose: the end of the program must be able to end it

        anyio.run(main)
    """
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.stdout + ran.stderr == ""
    assert ran.returncode == 0


async def test_the_memory_is_given_back_after_the_last_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "LINGER", 0.01)
    tiny = replace(MODEL, context=300)
    first, second = LocalClient(Settings(root=tmp_path)), LocalClient(Settings(root=tmp_path))
    asked = request("Hi", model=tiny, max_tokens=2, schema=None)
    await first.send(asked)
    await second.send(asked)
    (engine,) = {
        loaded.engine.result() for key, loaded in worker._process.loaded.items() if key.context == 300
    }
    await first.aclose()
    await first.aclose()
    await anyio.sleep(0.05)
    await second.send(asked)  # still there for the other one
    await second.aclose()
    with anyio.fail_after(120):
        while engine._server is not None:
            await anyio.sleep(0.01)
    await second.send(asked)  # and loads again for whoever comes later
    await second.aclose()


# --- a pipeline without a key -----------------------------------------------------------------------


async def test_a_pipeline_runs_without_settings_and_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for provider in PROVIDERS.values():
        for name in (*provider.keys, provider.base or "OPENAI_BASE_URL"):
            monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)

    class Topic(BaseModel):
        text: str = Field(max_length=40)

    class Short(BaseModel):
        query: str = Field(min_length=1, max_length=20)

    prompt = inline_prompt("Give one short search query about {{ text }}.", ["text"])
    plan = LLMStage("plan", Topic, Short, prompt=prompt, model=Model("fast"), ladder=Ladder())

    @pipeline("keyless")
    async def keyless(topic: Topic) -> Short:
        return await plan(topic)

    async with Runtime("memory") as rt:
        result = await rt.run(keyless, Topic(text="llamas"))
    assert 1 <= len(result.unwrap().query) <= 20
    assert [attempt.start.model for attempt in result.attempts] == ["local/smollm2"]
    assert result.spend.nano_usd == 0
    assert result.spend.tokens > 0
