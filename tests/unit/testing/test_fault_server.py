"""What the fault server puts on the wire, seen through plain httpx, and what it counts."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from guardflow.errors import UsageError
from guardflow.testing import FaultServer, Reply, Rule
from guardflow.values import Usage

SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}, "score": {"type": "integer", "minimum": 1, "maximum": 5}},
    "required": ["text", "score"],
    "additionalProperties": False,
}

WAIT = 120.0
"""Seconds after which something hangs; far more than it takes on a slow machine."""


def until(true: Callable[[], object]) -> None:
    ends = time.monotonic() + WAIT
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.005)


def body(text: str = "hi", **extra: object) -> dict[str, object]:
    return {"model": "m", "messages": [{"role": "user", "content": text}], **extra}


def typed(text: str = "hi") -> dict[str, object]:
    return body(text, response_format={"type": "json_schema", "json_schema": {"name": "A", "schema": SCHEMA}})


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(timeout=WAIT) as client:
        yield client


def ask(
    client: httpx.Client, server: FaultServer, request: dict[str, object] | None = None
) -> httpx.Response:
    return client.post(f"{server.base_url}/chat/completions", json=request or body())


def choice(response: httpx.Response) -> dict[str, object]:
    assert response.status_code == 200
    return response.json()["choices"][0]


# --- answers -----------------------------------------------------------------------------------------


def test_text_and_json_are_the_content_of_a_completion(client: httpx.Client) -> None:
    with FaultServer(Reply.text("plain"), Reply.json({"a": ["é"]})) as server:
        first, second = ask(client, server), ask(client, server)
    assert choice(first)["message"] == {"role": "assistant", "content": "plain", "refusal": None}
    assert choice(first)["finish_reason"] == "stop"
    assert json.loads(choice(second)["message"]["content"]) == {"a": ["é"]}
    assert first.json()["object"] == "chat.completion"
    assert first.json()["model"] == "m"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_the_last_reply_repeats(client: httpx.Client) -> None:
    with FaultServer(Reply.text("a"), Reply.text("b")) as server:
        said = [choice(ask(client, server))["message"]["content"] for _ in range(4)]
    assert said == ["a", "b", "b", "b"]


def test_usage_is_computed_from_the_text_unless_it_is_told(client: httpx.Client) -> None:
    told = Reply.text("x").but(usage=Usage(input=10, output=5, cached_input=4), model="m-2026-01")
    with FaultServer(Reply.text("12345678"), told, Reply.text("x").but(usage="none")) as server:
        computed, given, none = (ask(client, server, body("abcde")).json() for _ in range(3))
    assert computed["usage"] == {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    assert given["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    assert given["model"] == "m-2026-01"
    assert "usage" not in none


def test_echo_fits_the_schema_and_depends_on_the_request_alone(client: httpx.Client) -> None:
    with FaultServer() as one, FaultServer() as other:
        first = choice(ask(client, one, typed("q")))["message"]["content"]
        choice(ask(client, other, typed("another question")))
        again = choice(ask(client, other, typed("q")))["message"]["content"]
        different = {choice(ask(client, one, typed(f"q{i}")))["message"]["content"] for i in range(5)}
    made = json.loads(first)
    assert set(made) == {"text", "score"}
    assert 1 <= made["score"] <= 5
    assert first == again
    assert len(different) == 5


def test_echo_calls_the_tool_that_the_request_forces(client: httpx.Client) -> None:
    tools = [{"type": "function", "function": {"name": n, "parameters": SCHEMA}} for n in ("other", "Answer")]
    forced = {"type": "function", "function": {"name": "Answer"}}
    with FaultServer() as server:
        said = choice(ask(client, server, body(tools=tools, tool_choice=forced)))
        unforced = choice(ask(client, server, body(tools=tools)))
    (call,) = said["message"]["tool_calls"]
    assert said["message"]["content"] is None
    assert said["finish_reason"] == "tool_calls"
    assert call["function"]["name"] == "Answer"
    assert set(json.loads(call["function"]["arguments"])) == {"text", "score"}
    assert unforced["message"]["tool_calls"][0]["function"]["name"] == "other"


def test_tool_call_sends_these_arguments_even_if_they_are_no_json(client: httpx.Client) -> None:
    tools = [{"type": "function", "function": {"name": "Answer", "parameters": SCHEMA}}]
    with FaultServer(Reply.tool_call({"text": "t"}), Reply.tool_call("{oops")) as server:
        said = [choice(ask(client, server, body(tools=tools)))["message"]["tool_calls"][0] for _ in range(2)]
    assert [call["function"]["arguments"] for call in said] == ['{"text": "t"}', "{oops"]


# --- answers that are no use -------------------------------------------------------------------------


def test_wrong_schema_is_json_that_does_not_fit(client: httpx.Client) -> None:
    with FaultServer(Reply.wrong_schema()) as server:
        made = json.loads(choice(ask(client, server, typed()))["message"]["content"])
    assert "text" not in made


def test_a_refusal_is_in_the_place_it_was_put(client: httpx.Client) -> None:
    places = ("message", "content_filter", "provider_fields")
    with FaultServer(*(Reply.refusal("no", place=place) for place in places)) as server:
        message, filtered, fields = (choice(ask(client, server)) for _ in places)
    assert message["message"]["refusal"] == "no"
    assert message["message"]["content"] is None
    assert filtered["finish_reason"] == "content_filter"
    assert fields["message"]["provider_specific_fields"] == {"refusal": "no"}
    assert fields["message"]["refusal"] is None


def test_truncated_and_empty_look_like_the_real_ones(client: httpx.Client) -> None:
    with FaultServer(Reply.truncated('{"a": "b'), Reply.empty()) as server:
        cut, empty = choice(ask(client, server)), choice(ask(client, server))
    assert (cut["message"]["content"], cut["finish_reason"]) == ('{"a": "b', "length")
    assert (empty["message"]["content"], empty["finish_reason"]) == ("", "stop")


# --- errors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "status", "code", "param"),
    [
        (Reply.rate_limited(), 429, "rate_limit_exceeded", None),
        (Reply.quota(), 429, "insufficient_quota", None),
        (Reply.context_too_long(), 400, "context_length_exceeded", "messages"),
        (Reply.policy(), 400, "content_policy_violation", "prompt"),
        (Reply.policy(code="content_filter", type="azure"), 400, "content_filter", "prompt"),
        (Reply.unsupported_param("temperature"), 400, "unsupported_parameter", "temperature"),
        (Reply.status(503), 503, None, None),
    ],
)
def test_an_error_has_the_status_and_the_body_of_the_provider(
    client: httpx.Client, reply: Reply, status: int, code: str | None, param: str | None
) -> None:
    with FaultServer(reply) as server:
        response = ask(client, server)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert error["message"]


def test_retry_after_and_headers_are_sent(client: httpx.Client) -> None:
    with FaultServer(
        Reply.rate_limited(retry_after=1.5),
        Reply.status(529, body="busy", headers={"x-reason": "load"}, retry_after=2),
    ) as server:
        limited, busy = ask(client, server), ask(client, server)
    assert limited.headers["retry-after"] == "1.5"
    assert (busy.text, busy.headers["retry-after"], busy.headers["x-reason"]) == ("busy", "2", "load")
    assert busy.headers["content-type"] == "text/plain"


def test_an_unsupported_param_is_refused_only_where_it_is_sent(client: httpx.Client) -> None:
    with FaultServer(Reply.unsupported_param("temperature", then=Reply.text("fine"))) as server:
        refused = ask(client, server, body(temperature=0.2))
        taken = ask(client, server)
    assert refused.status_code == 400
    assert choice(taken)["message"]["content"] == "fine"


# --- what is no reply at all -------------------------------------------------------------------------


def test_html_and_a_broken_envelope_are_not_json(client: httpx.Client) -> None:
    with FaultServer(Reply.html(), Reply.html(status=502), Reply.bad_json_envelope()) as server:
        page, gateway, broken = (ask(client, server) for _ in range(3))
    assert (page.status_code, gateway.status_code) == (200, 502)
    assert page.headers["content-type"].startswith("text/html")
    assert broken.headers["content-type"] == "application/json"
    with pytest.raises(json.JSONDecodeError):
        broken.json()


def test_a_cut_body_ends_early_and_the_next_request_works(client: httpx.Client) -> None:
    with FaultServer(Reply.cut_body(40, then=Reply.text("x" * 1000)), Reply.text("whole")) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="received 40 bytes"):
            ask(client, server)
        assert choice(ask(client, server))["message"]["content"] == "whole"


def test_a_dropped_request_is_counted_but_gets_no_reply(client: httpx.Client) -> None:
    with FaultServer(Reply.dropped()) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            ask(client, server)
        assert (server.count, server.in_flight) == (1, 0)


def test_slow_waits_and_is_in_flight_meanwhile(client: httpx.Client) -> None:
    with FaultServer(Reply.slow(0.15, then=Reply.text("late"))) as server:
        began = time.monotonic()
        assert choice(ask(client, server))["message"]["content"] == "late"
        assert time.monotonic() - began >= 0.15
        assert (server.in_flight, server.max_in_flight) == (0, 1)


def test_a_client_that_hangs_up_is_no_longer_in_flight(client: httpx.Client) -> None:
    with FaultServer(Reply.slow(6000)) as server:
        impatient = httpx.Timeout(WAIT, read=0.05)
        with pytest.raises(httpx.ReadTimeout):
            client.post(f"{server.base_url}/chat/completions", json=body(), timeout=impatient)
        until(lambda: server.max_in_flight and not server.in_flight)
        assert (server.count, server.in_flight, server.max_in_flight) == (1, 0, 1)


# --- who gets what -----------------------------------------------------------------------------------


def test_rules_match_the_last_user_message_or_the_model_and_keep_their_own_place(
    client: httpx.Client,
) -> None:
    rules = [Rule("weather", [Reply.text("sun"), Reply.text("rain")]), Rule("strong", [Reply.text("strong")])]
    with FaultServer(Reply.text("else"), rules=rules) as server:
        asked = [body("the weather?"), body("x", model="openai/strong"), body("y"), body("weather!")]
        said = [choice(ask(client, server, request))["message"]["content"] for request in asked]
    assert said == ["sun", "strong", "else", "rain"]


def test_a_function_decides_alone_and_its_failure_is_visible(client: httpx.Client) -> None:
    def answer(request: dict[str, object]) -> Reply:
        return Reply.text(str(request["messages"][0]["content"]).upper())  # type: ignore[index]  # test data

    with FaultServer(answer=answer) as server:
        assert choice(ask(client, server, body("abc")))["message"]["content"] == "ABC"
        server.script(answer=lambda request: Reply.text(request["no such key"]))
        broken = ask(client, server)
    assert broken.status_code == 500
    assert "no such key" in broken.text


def test_the_script_can_change_and_the_counts_can_be_reset(client: httpx.Client) -> None:
    with FaultServer(Reply.text("a")) as server:
        ask(client, server)
        server.script(Reply.text("b"))
        assert choice(ask(client, server))["message"]["content"] == "b"
        assert server.count == 2
        server.reset()
        assert (server.count, list(server.requests), dict(server.by_key)) == (0, [], {})
        ask(client, server)
        assert server.count == 1


def test_a_stream_is_refused_because_nobody_here_asks_for_one(client: httpx.Client) -> None:
    with FaultServer() as server:
        response = ask(client, server, body(stream=True))
    assert response.status_code == 400
    assert "does not stream" in response.text


# --- counting ----------------------------------------------------------------------------------------


def test_requests_are_kept_with_their_bodies_headers_and_times(client: httpx.Client) -> None:
    with FaultServer(keep=2) as server:
        before = time.monotonic()
        for text in ("a", "b", "b"):
            ask(client, server, body(text))
        kept = server.requests
        assert [r.body["messages"][0]["content"] for r in kept] == ["b", "b"]
        assert before <= kept[0].at <= kept[1].at <= time.monotonic()
        assert kept[0].headers.startswith("POST /v1/chat/completions HTTP/1.1")
        assert server.count == 3
        assert server.by_key[kept[0].key] == 2
        assert len(server.by_key) == 2


@pytest.mark.anyio
async def test_every_one_of_200_concurrent_requests_is_counted_once() -> None:
    async with FaultServer(Reply.echo().but(delay=6000)) as server:
        limits = httpx.Limits(max_connections=200)
        async with httpx.AsyncClient(limits=limits, timeout=WAIT) as client, asyncio.TaskGroup() as group:
            url = f"{server.base_url}/chat/completions"
            asking = [group.create_task(client.post(url, json=typed(f"q{i}"))) for i in range(200)]
            async with asyncio.timeout(WAIT):
                while server.in_flight < 200:
                    await asyncio.sleep(0.01)
            server.release()
        responses = [task.result() for task in asking]
        assert server.count == 200
        assert len(server.by_key) == 200
        assert server.in_flight == 0
        assert server.max_in_flight == 200
        assert len({r.json()["choices"][0]["message"]["content"] for r in responses}) == 200
        answered = {r.json()["id"] for r in responses}
        assert len(answered) == 200


def test_one_connection_serves_many_requests(client: httpx.Client) -> None:
    with FaultServer() as server:
        sockets = {
            ask(client, server).extensions["network_stream"].get_extra_info("client_addr") for _ in range(5)
        }
    assert len(sockets) == 1


def test_a_body_that_comes_in_pieces_is_one_request() -> None:
    payload = json.dumps(body("x" * 5000)).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nContent-Length: {len(payload)}\r\n\r\n".encode()
    with FaultServer() as server, socket.create_connection(("127.0.0.1", server.port)) as raw:
        for piece in (head[:10], head[10:], payload[:100], payload[100:]):
            raw.sendall(piece)
            time.sleep(0.01)
        assert raw.recv(100).startswith(b"HTTP/1.1 200 OK")
        assert server.count == 1


def test_pipelined_requests_are_answered_in_order() -> None:
    def request(text: str) -> bytes:
        payload = json.dumps(body(text)).encode()
        close = "connection: close\r\n" if text == "second" else ""
        return (
            f"POST /v1/chat/completions HTTP/1.1\r\n{close}content-length: {len(payload)}\r\n\r\n".encode()
            + payload
        )

    replies = Reply.slow(6000, then=Reply.text("one")), Reply.text("two")
    with FaultServer(*replies) as server, socket.create_connection(("127.0.0.1", server.port)) as raw:
        raw.sendall(request("first"))
        until(lambda: server.in_flight)
        raw.sendall(request("second"))
        time.sleep(0.02)  # if it were answered now, this would not harm
        server.release()
        got = b"".join(iter(lambda: raw.recv(65536), b""))
    assert 0 < got.index(b'"one"') < got.index(b'"two"')


def test_a_body_that_is_no_question_is_counted_and_refused(client: httpx.Client) -> None:
    with FaultServer() as server:
        for content in (b"{oops", b"[]", b"{}"):
            response = client.post(f"{server.base_url}/chat/completions", content=content)
            assert (response.status_code, "no messages" in response.text) == (400, True)
        assert server.count == 3


def test_a_chunked_request_is_told_to_send_a_length(client: httpx.Client) -> None:
    with FaultServer() as server:
        response = client.post(f"{server.base_url}/chat/completions", content=iter([b"{}"]))
        assert response.status_code == 411
        assert server.count == 0


# --- life --------------------------------------------------------------------------------------------


def test_after_close_nothing_listens_and_open_requests_end(client: httpx.Client) -> None:
    server = FaultServer()
    with server:
        ask(client, server)
    with pytest.raises(httpx.TransportError):
        ask(client, server)
    server.close()


def test_a_taken_port_is_said_so() -> None:
    with FaultServer() as server, pytest.raises(UsageError, match=f"cannot listen on port {server.port}"):
        FaultServer(port=server.port).start()


def test_a_server_cannot_run_twice() -> None:
    with FaultServer() as server, pytest.raises(UsageError, match="running already"):
        server.start()


def test_the_counts_are_there_over_http_and_unknown_paths_are_404(client: httpx.Client) -> None:
    with FaultServer() as server:
        ask(client, server)
        root = server.base_url.removesuffix("/v1")
        stats = client.get(f"{root}/_stats").json()
        assert client.get(f"{root}/nothing").status_code == 404
        assert client.get(f"{server.base_url}/models").json()["object"] == "list"
    assert stats["requests"] == 1
    assert stats["in_flight"] == 0
    assert list(stats["by_key"].values()) == [1]
