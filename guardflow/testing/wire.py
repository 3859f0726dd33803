"""Turn a `Reply` and the request it answers into the bytes of an OpenAI-compatible HTTP response.

The fault server calls it once a request. Pure: equal requests get equal bytes, but for the request id.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, cast

from guardflow.testing.echo import broken_instance, instance
from guardflow.testing.reply import Body, Reply
from guardflow.values import Usage

CREATED = 1_700_000_000
"""The ``created`` time of every completion: a constant, so that equal requests get equal answers."""

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class Response:
    """What is written to the socket: ``head + body``, and whether the connection closes after it."""

    head: bytes
    body: bytes
    close: bool


def render(reply: Reply, request: Body, *, number: int) -> Response:
    """Put the reply into bytes. ``number`` makes the request id; a cut body is announced in full length."""
    if reply.raw is not None:
        body = reply.raw.encode()
    elif reply.error is not None:
        body = _compact(reply.error).encode()
    else:
        body = _compact(completion(reply, request, number=number)).encode("utf-8", "surrogatepass")
    close = reply.cut is not None
    extra = "".join(f"{name}: {value}\r\n" for name, value in reply.headers)
    head = (
        f"HTTP/1.1 {reply.code} {_REASONS.get(reply.code, 'Unknown')}\r\n"
        f"content-type: {reply.content_type}\r\n"
        f"content-length: {len(body)}\r\n"
        f"x-request-id: req_{number}\r\n{extra}\r\n"
    )
    return Response(head.encode("latin-1"), body[: reply.cut] if close else body, close)


def completion(reply: Reply, request: Body, *, number: int) -> dict[str, Any]:
    """The JSON of a ``chat.completion``."""
    content, arguments = reply.content, reply.arguments
    finish_reason = reply.finish_reason
    if reply.make:
        content = _made(reply, request)
        if request.get("tools"):
            content, arguments, finish_reason = None, content, "tool_calls"
    message: dict[str, Any] = {"role": "assistant", "content": content, "refusal": reply.refused}
    if arguments is not None:
        function = {"name": tool_name(request), "arguments": arguments}
        message["tool_calls"] = [{"id": f"call_{number}", "type": "function", "function": function}]
    if reply.provider_refused is not None:
        message["provider_specific_fields"] = {"refusal": reply.provider_refused}
    made: dict[str, Any] = {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": CREATED,
        "model": reply.model or request.get("model", "fault"),
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish_reason}],
    }
    if reply.usage != "none":
        said = content or arguments or reply.refused or reply.provider_refused or ""
        made["usage"] = _usage(reply.usage or Usage(input=prompt_tokens(request), output=tokens(said)))
    return made


def tokens(text: str) -> int:
    """How many tokens a text counts for: a quarter of its characters, rounded up. No tokenizer, so it is exact
    on every machine."""
    return (len(text) + 3) // 4


def prompt_tokens(request: Body) -> int:
    """The tokens of all messages, and 3 for each turn."""
    return sum(tokens(_text(message.get("content"))) + 3 for message in request.get("messages", ()))


def last_user_text(request: Body) -> str:
    """The content of the last user message, or nothing."""
    for message in reversed(request.get("messages", ())):
        if message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def request_schema(request: Body) -> Mapping[str, Any] | None:
    """The JSON schema that the answer must fit: of ``response_format``, or of the tool it must call."""
    wanted = cast("Mapping[str, Any]", request.get("response_format") or {})
    if wanted.get("type") == "json_schema":
        return cast("Mapping[str, Any] | None", wanted["json_schema"].get("schema"))
    for tool in request.get("tools") or ():
        if tool["function"]["name"] == tool_name(request):
            return cast("Mapping[str, Any] | None", tool["function"].get("parameters"))
    return None


def tool_name(request: Body) -> str:
    """The tool that the request forces, else its first."""
    choice = request.get("tool_choice")
    if choice and not isinstance(choice, str):
        return str(choice["function"]["name"])
    tools = request.get("tools")
    return str(tools[0]["function"]["name"]) if tools else "answer"


def _made(reply: Reply, request: Body) -> str:
    seed = int.from_bytes(blake2b(_compact(request).encode("utf-8", "surrogatepass"), digest_size=8).digest())
    schema = request_schema(request)
    if schema is not None:
        return _compact(broken_instance(schema, seed) if reply.make == "wrong" else instance(schema, seed))
    if reply.make == "wrong":
        return '["wrong schema"]'
    said = f"echo {seed:016x}: {last_user_text(request)[:80]}"
    wanted = cast("Mapping[str, Any]", request.get("response_format") or {})
    return _compact({"text": said}) if wanted.get("type") == "json_object" else said


def _usage(usage: Usage) -> dict[str, Any]:
    made: dict[str, Any] = {
        "prompt_tokens": usage.input,
        "completion_tokens": usage.output,
        "total_tokens": usage.total,
    }
    if usage.cached_input:
        made["prompt_tokens_details"] = {"cached_tokens": usage.cached_input}
    return made


def _text(content: object) -> str:
    """A message's content as text; parts are joined."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in cast("list[dict[str, Any]]", content))
    return ""
