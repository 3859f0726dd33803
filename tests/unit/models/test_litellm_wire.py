"""The wire table: what a provider sends, and the kind that flow sees."""

import socket
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from wire import (  # noqa: F401  # fixtures
    ANSWERS,
    ERRORS,
    client_fixture,
    fails,
    planted_key_fixture,
    request,
    server_fixture,
    until,
)

from guardflow.classify import kind_of_completion
from guardflow.kinds import Kind
from guardflow.models.chat_format import read_completion
from guardflow.models.litellm_adapter import LitellmClient
from guardflow.testing.server import FaultServer, Reply
from guardflow.values import Message, OutputMode, Usage

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("case", ERRORS)
@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
async def test_an_error_costs_one_request_and_has_its_kind(
    server: FaultServer, case: str, transport: str
) -> None:
    reply, kind, status = ERRORS[case]
    server.script(reply)
    server.reset()
    client = LitellmClient(transport="httpx" if transport == "httpx" else "aiohttp")
    error = await fails(client, request(server))
    await client.aclose()
    assert (error.kind, error.status, server.count) == (kind, status, 1)
    assert error.retry_after == (3.0 if case == "429" else None)
    assert error.dropped == ()


@pytest.mark.parametrize("case", ANSWERS)
@pytest.mark.parametrize("output", ["json_schema", "json", "tools", "text"])
async def test_an_answer_is_classified_before_anybody_parses_it(
    server: FaultServer, client: LitellmClient, case: str, output: OutputMode
) -> None:
    reply, kind = ANSWERS[case]
    server.script(reply)
    completion = await client.send(request(server, output=output))
    assert kind_of_completion(completion, expects_json=True) is kind
    assert server.count == 1


@pytest.mark.parametrize(
    "message",
    [
        SimpleNamespace(content=None, refusal="I cannot."),
        SimpleNamespace(content=None, provider_specific_fields={"refusal": "I cannot."}),
        SimpleNamespace(content=None, refusal=None, provider_specific_fields={"refusal": "I cannot."}),
    ],
)
def test_a_refusal_is_found_wherever_litellm_puts_it(message: SimpleNamespace) -> None:
    choice = SimpleNamespace(message=message, finish_reason="stop")
    response = SimpleNamespace(choices=[choice], model="m", id="c", usage=None)
    assert read_completion(response, ()).refusal == "I cannot."


async def test_a_completion_has_all_that_came(server: FaultServer, client: LitellmClient) -> None:
    server.script(Reply.json({"text": "hi"}).but(usage=Usage(30, 7, 20), model="gpt-served"))
    completion = await client.send(request(server))
    assert completion.text == '{"text": "hi"}'
    assert completion.usage == Usage(30, 7, 20)
    assert (completion.model, completion.finish_reason, completion.dropped) == ("gpt-served", "stop", ())
    assert completion.request_id and completion.request_id.startswith("chatcmpl-")


async def test_usage_that_nobody_told_is_unknown(server: FaultServer, client: LitellmClient) -> None:
    server.script(Reply.json({}).but(usage="none"))
    assert (await client.send(request(server))).usage is None


@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
@pytest.mark.parametrize("base", ["http://127.0.0.1:9/v1", "http://no-such-host.invalid/v1"])
async def test_a_server_that_is_not_there_is_a_connection_failure(
    base: str, transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = socket.getaddrinfo

    def unknown(host: Any, *args: Any, **options: Any) -> Any:
        if str(host).endswith(".invalid"):  # a machine without a name server would ask for long
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return look_up(host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    client = LitellmClient(transport="httpx" if transport == "httpx" else "aiohttp")
    error = await fails(client, request(base))
    await client.aclose()
    assert (error.kind, error.status) == (Kind.CONNECTION, None)
    assert "check that address" in error.hint
    assert f"cannot be reached at {base}" in str(error)


async def test_the_deadline_is_kept(server: FaultServer, client: LitellmClient) -> None:
    await client.send(request(server))
    server.script(Reply.slow(6000))
    server.reset()
    with anyio.fail_after(120):  # the server never answers
        error = await fails(client, request(server, timeout=2.0))
    assert error.kind is Kind.TIMEOUT
    assert "within 2 s" in str(error)
    await until(lambda: server.count > 0)
    assert server.count == 1


async def test_cancellation_passes_through(server: FaultServer, client: LitellmClient) -> None:
    await client.send(request(server))
    server.script(Reply.slow(6000))
    with anyio.fail_after(120):
        async with anyio.create_task_group() as group:
            group.start_soon(client.send, request(server, timeout=6000))
            await until(lambda: server.in_flight > 0)
            group.cancel_scope.cancel()
    server.script(Reply.echo())
    assert (await client.send(request(server))).text


async def test_a_schema_is_sent_strict(server: FaultServer, client: LitellmClient) -> None:
    await client.send(request(server, temperature=0.5))
    assert server.requests[-1].body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "hi"}],
        "max_tokens": 100,
        "temperature": 0.5,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "Answer",
                "strict": True,
                "schema": {
                    "type": "object",
                    "properties": {
                        "text": {"type": "string", "description": "minLength 1"},
                        "n": {"type": "integer"},
                    },
                    "required": ["text", "n"],
                    "additionalProperties": False,
                },
            },
        },
    }


async def test_json_mode_tells_the_schema_in_words(server: FaultServer, client: LitellmClient) -> None:
    await client.send(request(server, output="json"))
    body = server.requests[-1].body
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["role"] == "system"
    assert '"minLength":1' in body["messages"][0]["content"]
    assert body["messages"][1] == {"role": "user", "content": "hi"}


async def test_the_words_join_a_system_message_that_is_there(
    server: FaultServer, client: LitellmClient
) -> None:
    asked = request(server, output="text")
    await client.send(replace(asked, messages=(Message("system", "Be brief."), *asked.messages)))
    messages = server.requests[-1].body["messages"]
    assert [m["role"] for m in messages] == ["system", "user"]
    assert messages[0]["content"].startswith("Be brief.\n\nAnswer with a single JSON value")


async def test_plain_text_is_asked_for_plainly(server: FaultServer, client: LitellmClient) -> None:
    await client.send(request(server, output="text", schema=None))
    body = server.requests[-1].body
    assert body["messages"] == [{"role": "user", "content": "hi"}]
    assert "response_format" not in body and "tools" not in body


async def test_tools_go_through_instructor_once(server: FaultServer, client: LitellmClient) -> None:
    server.script(Reply.tool_call({"text": "from a tool"}).but(usage=Usage(11, 5)))
    completion = await client.send(request(server, output="tools", temperature=0.0))
    body = server.requests[-1].body
    assert completion.text == '{"text": "from a tool"}'
    assert completion.usage == Usage(11, 5)
    assert body["tools"][0]["function"]["name"] == "Answer"
    assert body["tool_choice"] == {"type": "function", "function": {"name": "Answer"}}
    assert (body["max_tokens"], body["temperature"]) == (100, 0.0)
    assert server.count == 1


@pytest.mark.parametrize("arguments", ["{oops", '{"wrong": 1}', "[]"])
async def test_instructor_never_asks_again(
    server: FaultServer, client: LitellmClient, arguments: str
) -> None:
    server.script(Reply.tool_call(arguments))
    assert (await client.send(request(server, output="tools"))).text == arguments
    assert server.count == 1


async def test_an_error_through_instructor_keeps_its_kind(server: FaultServer, client: LitellmClient) -> None:
    server.script(Reply.rate_limited(retry_after=2))
    error = await fails(client, request(server, output="tools"))
    assert (error.kind, error.status, error.retry_after, server.count) == (Kind.RATE_LIMIT, 429, 2.0, 1)


async def test_outside_text_is_never_a_template(server: FaultServer, client: LitellmClient) -> None:
    hostile = "{{ cfg.secret }} {% foo %} {{ 7 * 7 }}"
    for output in ("json_schema", "tools", "json"):
        asked = request(server, output=output)  # type: ignore[arg-type]  # a tuple of literals
        await client.send(replace(asked, messages=(Message("user", hostile),)))
        assert server.requests[-1].body["messages"][-1]["content"] == hostile


async def test_retries_set_elsewhere_in_the_program_do_not_count(
    server: FaultServer, client: LitellmClient
) -> None:
    await client.send(request(server))
    import litellm

    server.script(Reply.status(500))
    server.reset()
    litellm.num_retries = 3
    try:
        await fails(client, request(server))
    finally:
        litellm.num_retries = None
    assert server.count == 1


async def test_a_refused_temperature_fails_once_and_is_left_out_from_then_on(
    server: FaultServer, client: LitellmClient
) -> None:
    server.script(Reply.unsupported_param("temperature", then=Reply.echo()))
    error = await fails(client, request(server, temperature=0.3))
    assert (error.kind, error.dropped, server.count) == (Kind.BAD_REQUEST, ("temperature",), 1)
    again = await client.send(request(server, temperature=0.3))
    assert (again.dropped, server.count) == (("temperature",), 2)
    assert "temperature" not in server.requests[-1].body
    without = await client.send(request(server))
    assert without.dropped == ()


async def test_requests_in_flight_together_are_each_told_what_to_leave_out(
    server: FaultServer, client: LitellmClient
) -> None:
    server.script(Reply.unsupported_param("temperature", then=Reply.echo()).but(delay=6000))
    dropped: list[tuple[str, ...]] = []

    async def send() -> None:
        dropped.append((await fails(client, request(server, temperature=0.3))).dropped)

    async with anyio.create_task_group() as group:
        for _ in range(3):
            group.start_soon(send)
        await until(lambda: server.in_flight == 3)
        server.release()
    server.script(Reply.unsupported_param("temperature", then=Reply.echo()))
    assert dropped == [("temperature",)] * 3
    assert (await client.send(request(server, temperature=0.3))).dropped == ("temperature",)
