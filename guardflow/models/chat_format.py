"""OpenAI's chat format as litellm takes and gives it: what is sent for a request, what is read from an answer.

`guardflow.models.litellm_adapter` prepares each (model, schema) once with it. Pure: nothing here imports litellm.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from guardflow.models.roles import PROVIDERS, base_of, key_of
from guardflow.models.wire_schema import WireSchema, instruction, wire_schema
from guardflow.values import Completion, Message, Model, Request, Schema, Usage

NO_KEY = "none"
"""What is sent as the key to a server of the user's own that wants none: litellm insists on one."""
CONNECT_SECONDS = 5.0
"""For connecting alone, as in openai's own client: a server that is there accepts at once, however slowly it answers."""


@dataclass(frozen=True, slots=True, repr=False)
class Prepared:
    """Everything of a request that does not change from call to call. Holds the key, so it has no repr."""

    fixed: Mapping[str, object]
    limit_name: str
    words: str | None
    """What is said about the schema, where the model is not held to it."""
    tool: WireSchema | None
    """The one tool whose arguments are the answer."""
    refused: tuple[str, ...]

    def arguments(self, request: Request) -> dict[str, object]:
        """Everything that `litellm.acompletion` is called with, but for the tool."""
        messages = [{"role": m.role, "content": m.content} for m in request.messages]
        if self.words is not None:
            messages = _with_words(request.messages, self.words)
        arguments = {**self.fixed, "messages": messages, self.limit_name: request.max_tokens}
        if request.temperature is not None and "temperature" not in self.refused:
            arguments["temperature"] = request.temperature
        return arguments

    def left_out(self, request: Request) -> tuple[str, ...]:
        """The refused parameters that this request would have sent."""
        if not self.refused:
            return ()
        absent = {"temperature": request.temperature is None, "response_format": request.schema is None}
        return tuple(name for name in self.refused if not absent.get(name, False))


def prepare(
    model: Model, schema: Schema | None, refused: tuple[str, ...], environment: Mapping[str, str]
) -> Prepared:
    """Build what stays the same for all requests of one model with one schema.

    Args:
        model: a resolved model.
        schema: what the answer must fit.
        refused: parameters that this model is known to refuse.
        environment: where keys and addresses are.
    """
    fixed: dict[str, object] = {
        "model": model.name,
        # litellm gives every timeout its own connection pool; the deadline is ours, this one only has to be later.
        "timeout": _patient(model.timeout or 0.0),
        "max_retries": 0,
        # 0 and not absent: another part of the program may have set litellm.num_retries for all.
        "num_retries": 0,
    }
    key = key_of(model.provider, environment)
    base = model.api_base or base_of(model.provider, environment)
    if base is not None:
        fixed["api_base"] = base
    if key is None and base is not None and model.provider in PROVIDERS and PROVIDERS[model.provider].keys:
        key = NO_KEY
    if key is not None and model.provider != "azure":  # azure takes several kinds of credentials, by itself
        fixed["api_key"] = key
    words: str | None = None
    tool: WireSchema | None = None
    if schema is not None:
        mode = model.output or "json_schema"
        wire = wire_schema(schema)
        if mode == "tools" and wire is not None:
            tool = wire
        elif mode == "json_schema" and wire is not None and "response_format" not in refused:
            fixed["response_format"] = wire.response_format()
        else:
            words = instruction(schema)
            if mode == "json" and wire is not None and "response_format" not in refused:
                fixed["response_format"] = {"type": "json_object"}
    limit = "max_completion_tokens" if "max_tokens" in refused else "max_tokens"
    return Prepared(fixed, limit, words, tool, refused)


def _patient(least: float) -> object:
    """A timeout that is later than ours, but for connecting: an address that swallows everything is told soon."""
    from httpx import Timeout

    return Timeout(max(600.0, least), connect=CONNECT_SECONDS)


def _with_words(messages: Sequence[Message], words: str) -> list[dict[str, str]]:
    """The words about the schema join the system message, because some models take only one."""
    if messages and messages[0].role == "system":
        first, *rest = messages
        system = f"{first.content}\n\n{words}"
    else:
        rest, system = list(messages), words
    return [{"role": "system", "content": system}, *({"role": m.role, "content": m.content} for m in rest)]


class _Function(Protocol):
    arguments: str | None


class _ToolCall(Protocol):
    function: _Function


class _Choice(Protocol):
    message: object
    finish_reason: str | None


class _Response(Protocol):
    """The part of litellm's ModelResponse that is read."""

    choices: Sequence[_Choice]
    model: str | None
    id: str | None


def read_completion(response: object, dropped: tuple[str, ...]) -> Completion:
    """The library's ModelResponse as our value: the first choice, its refusal wherever it hides, the tokens."""
    made = cast("_Response", response)
    usage = _usage(getattr(response, "usage", None))
    if not made.choices:
        return Completion(text=None, usage=usage, model=made.model, request_id=made.id, dropped=dropped)
    choice = made.choices[0]
    message = choice.message
    calls = cast("Sequence[_ToolCall] | None", getattr(message, "tool_calls", None))
    text = calls[0].function.arguments if calls else getattr(message, "content", None)
    return Completion(
        text=text,
        refusal=_refusal(message),
        finish_reason=choice.finish_reason,
        usage=usage,
        model=made.model,
        request_id=made.id,
        dropped=dropped,
    )


def _refusal(message: object) -> str | None:
    """OpenAI's field, which litellm moves among the provider's own."""
    plain = getattr(message, "refusal", None)
    if isinstance(plain, str) and plain:
        return plain
    fields = getattr(message, "provider_specific_fields", None)
    moved = cast("Mapping[str, object]", fields).get("refusal") if isinstance(fields, Mapping) else None
    return moved if isinstance(moved, str) and moved else None


def _usage(usage: object) -> Usage | None:
    """The tokens; None where the provider told nothing, which litellm reports as zeros."""
    spent_in, spent_out = (
        getattr(usage, "prompt_tokens", None) or 0,
        getattr(usage, "completion_tokens", None) or 0,
    )
    if not spent_in and not spent_out:
        return None
    details = getattr(usage, "prompt_tokens_details", None)
    return Usage(spent_in, spent_out, getattr(details, "cached_tokens", None) or 0)


_REFUSES = re.compile(
    r"unsupported|not[ _]support|unavailable|not (available|permitted|allowed)|unrecognized|unknown (parameter|field)",
    re.IGNORECASE,
)
_DROPPABLE = ("temperature", "response_format", "max_tokens")
"""What a request can do without: max_tokens has a newer name, and a schema can be told in words."""


def refused_parameter(error: Exception) -> str | None:
    """The parameter that a BAD_REQUEST is about, if requests can do without it."""
    table: Mapping[str, object] = {}
    if isinstance(body := getattr(error, "body", None), Mapping):
        table = cast("Mapping[str, object]", body)
    text = str(error)
    says_so = table.get("code") in ("unsupported_parameter", "unsupported_value") or _REFUSES.search(text)
    if not says_so:
        return None
    named = table.get("param")
    if isinstance(named, str):
        return named if named in _DROPPABLE else None
    return next((name for name in _DROPPABLE if re.search(rf"\b{name}\b", text)), None)
