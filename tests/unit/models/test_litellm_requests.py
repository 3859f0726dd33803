"""What is sent to a provider: once, in time, without what it refuses."""

import asyncio
import gc
import os
import pickle
import subprocess
import sys
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

import anyio
import httpx
import pytest
import respx
from wire import (  # noqa: F401  # fixtures
    ANSWER,
    ANSWERS,
    ERRORS,
    NO_PLACE,
    PLANTED,
    client_fixture,
    fails,
    planted_key_fixture,
    request,
    server_fixture,
    until,
)

from guardflow.kinds import Kind
from guardflow.models.litellm_adapter import LitellmClient
from guardflow.settings import Settings
from guardflow.testing.server import FaultServer, Reply
from guardflow.values import Completion, Message, OutputMode

pytestmark = pytest.mark.anyio


async def test_another_model_keeps_its_temperature(server: FaultServer, client: LitellmClient) -> None:
    server.script(Reply.unsupported_param("temperature", then=Reply.echo()))
    await fails(client, request(server, temperature=0.3))
    server.script(Reply.echo())
    other = await client.send(request(server, temperature=0.3, name="openai/gpt-4o"))
    assert other.dropped == ()
    assert server.requests[-1].body["temperature"] == 0.3


async def test_litellm_refuses_before_anything_is_sent(server: FaultServer, client: LitellmClient) -> None:
    error = await fails(client, request(server, temperature=0.3, name="openai/o1"))
    assert (error.kind, error.dropped, server.count) == (Kind.BAD_REQUEST, ("temperature",), 0)
    assert (await client.send(request(server, temperature=0.3, name="openai/o1"))).dropped == ("temperature",)


async def test_a_server_without_schemas_is_told_in_words(server: FaultServer, client: LitellmClient) -> None:
    server.script(Reply.unsupported_param("response_format", then=Reply.text('{"text": "x"}')))
    error = await fails(client, request(server))
    assert error.dropped == ("response_format",)
    completion = await client.send(request(server))
    assert completion.dropped == ("response_format",)
    assert "fit this JSON schema" in server.requests[-1].body["messages"][0]["content"]


async def test_max_tokens_has_a_newer_name(server: FaultServer, client: LitellmClient) -> None:
    server.script(Reply.unsupported_param("max_tokens", then=Reply.echo()))
    assert (await fails(client, request(server))).dropped == ("max_tokens",)
    await client.send(request(server))
    assert server.requests[-1].body["max_completion_tokens"] == 100
    assert "max_tokens" not in server.requests[-1].body


async def test_a_refusal_that_goes_on_is_an_ordinary_bad_request(
    server: FaultServer, client: LitellmClient
) -> None:
    server.script(Reply.unsupported_param("temperature"))
    assert (await fails(client, request(server, temperature=0.3))).dropped == ("temperature",)
    assert (await fails(client, request(server, temperature=0.3))).dropped == ()


@pytest.mark.parametrize("output", ["json_schema", "tools"])
@pytest.mark.parametrize("leak", ["plain", "escaped", "none"])
async def test_no_key_is_in_an_error(
    server: FaultServer,
    client: LitellmClient,
    output: OutputMode,
    leak: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    said = {"plain": PLANTED, "escaped": "sk-proj-0123456789abcdef", "none": "something"}[leak]
    server.script(Reply.status(401, body={"error": {"message": f"Incorrect API key provided: {said}."}}))
    error = await fails(client, request(server, output=output))
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    printed = "".join(capfd.readouterr()) + caplog.text
    for text in (str(error), repr(error), repr(error.__dict__), shown, repr(pickle.dumps(error)), printed):
        assert "planted/key" not in text
        assert "sk-proj" not in text
    assert error.__cause__ is None and error.__context__ is None
    assert pickle.loads(pickle.dumps(error)).kind is Kind.AUTH


async def test_the_planted_key_is_what_was_sent(server: FaultServer, client: LitellmClient) -> None:
    await client.send(request(server))
    assert f"Bearer {PLANTED}" in server.requests[-1].headers


async def test_a_key_in_dotenv_is_used_and_redacted(
    server: FaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    (tmp_path / ".env").write_text("OPENAI_API_KEY=only-in-dotenv-77\n")
    server.script(Reply.status(401, body={"error": {"message": "bad key only-in-dotenv-77"}}))
    server.reset()
    client = LitellmClient(Settings(root=tmp_path))
    error = await fails(client, request(server))
    await client.aclose()
    assert "Bearer only-in-dotenv-77" in server.requests[-1].headers
    assert "only-in-dotenv-77" not in str(error)
    assert "OPENAI_API_KEY" not in os.environ


async def test_a_server_of_ones_own_needs_no_key(
    server: FaultServer, client: LitellmClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert (await client.send(request(server))).text


async def test_a_provider_without_key_and_server_is_an_auth_failure(
    client: LitellmClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    asked = request("http://127.0.0.1:9")
    error = await fails(client, replace(asked, model=replace(asked.model, api_base=None)))
    assert error.kind is Kind.AUTH


async def test_long_replies_are_shortened(server: FaultServer, client: LitellmClient) -> None:
    server.script(Reply.status(500, body="x" * 50_000))
    assert len(str(await fails(client, request(server)))) < 1000


async def test_respx_sees_the_request() -> None:
    client = LitellmClient(transport="httpx")
    answer = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "mocked"}}
        ],
    }
    with respx.mock(base_url="https://mocked.test/v1") as mocked:
        route = mocked.post("/chat/completions").mock(return_value=httpx.Response(200, json=answer))
        completion = await client.send(request("https://mocked.test/v1"))
    await client.aclose()
    assert completion.text == "mocked"
    assert route.call_count == 1


async def test_many_at_once_do_not_mix(server: FaultServer, client: LitellmClient) -> None:
    server.script(answer=lambda body: Reply.text(body["messages"][0]["content"]))
    answers: list[Completion | None] = [None] * 30

    async def one(i: int) -> None:
        asked = request(server, output="tools" if i % 2 else "json_schema")
        answers[i] = await client.send(replace(asked, messages=(Message("user", f"number {i}"),)))

    async with anyio.create_task_group() as group:
        for i in range(30):
            group.start_soon(one, i)
    assert [a and a.text for a in answers] == [f"number {i}" for i in range(30)]
    assert server.count == 30


async def test_a_client_works_again_after_it_was_closed(server: FaultServer, client: LitellmClient) -> None:
    await client.send(request(server))
    await client.aclose()
    await client.aclose()
    assert (await client.send(request(server))).text


async def test_closing_one_client_leaves_another_alone(server: FaultServer, client: LitellmClient) -> None:
    other = LitellmClient()
    await client.send(request(server))
    await other.send(request(server))
    server.script(Reply.slow(6000))
    async with anyio.create_task_group() as group:
        group.start_soon(client.send, request(server))
        await until(lambda: server.in_flight > 0)
        await other.aclose()
        server.release()
    server.script(Reply.echo())
    assert (await client.send(request(server))).text


async def test_a_client_that_sent_nothing_closes() -> None:
    await LitellmClient().aclose()


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
def test_one_event_loop_after_another_leaves_nothing_open(server: FaultServer, transport: str) -> None:
    server.script(Reply.echo())

    async def session() -> None:
        client = LitellmClient(transport="httpx" if transport == "httpx" else "aiohttp")
        await client.send(request(server))
        await client.send(request(server, output="tools"))
        await client.aclose()

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        for _ in range(3):
            asyncio.run(session())
            gc.collect()
    assert [str(w.message) for w in seen if issubclass(w.category, ResourceWarning)] == []


def test_a_whole_program_prints_nothing_of_its_own(server: FaultServer) -> None:
    server.script(Reply.echo(), Reply.status(500), Reply.status(401))
    code = f"""
import anyio, sys
from guardflow.errors import ModelCallError
from guardflow.models.chat_format import read_completion
from guardflow.models.litellm_adapter import LitellmClient
from dataclasses import replace
from guardflow.values import Message, Model, Request, Schema
async def main():
    client = LitellmClient()
    model = Model("openai/x", api_base={server.base_url!r}, output="text", timeout=300.0)
    ticks = 0
    async def tick():
        nonlocal ticks
        while True:
            await anyio.sleep(0.01); ticks += 1
    async with anyio.create_task_group() as group:
        group.start_soon(tick)
        asked = Request(model, (Message("user", "hi"),), None, 10, None, 0, "h")
        assert (await client.send(asked)).text
        schema = Schema("A", {{"type": "object", "properties": {{"x": {{"type": "string"}}}}}}, "s")
        for output in ("text", "tools"):
            try:
                await client.send(replace(asked, schema=schema, model=replace(model, output=output)))
            except ModelCallError as error:
                assert error.status in (500, 401), error
        group.cancel_scope.cancel()
    await client.aclose()
    assert ticks > 20, ticks
assert "litellm" not in sys.modules
anyio.run(main)
"""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LITELLM")}
    done = subprocess.run(
        [sys.executable, "-W", "error::ResourceWarning", "-c", code],
        capture_output=True,
        text=True,
        env=environment,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
