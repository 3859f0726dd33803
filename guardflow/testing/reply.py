"""`Reply`: every good and bad reply that a provider of chat completions gives, as a value.

Tests and scripts make them, `guardflow.testing.wire` puts them into bytes. Nothing here does I/O.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from guardflow.hashing import JSON
from guardflow.values import Usage

Body: TypeAlias = dict[str, Any]
"""A parsed request body. Any, because tests index it freely: ``body["messages"][-1]["content"]``."""


def _error(
    message: str, kind: str, *, code: str | None = None, param: str | None = None
) -> Mapping[str, JSON]:
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP reply. Make it with a constructor (`json`, `rate_limited`, ...), refine it with `but`.

    The fields are what goes over the wire; a completion is built from them unless ``raw`` or ``error`` is set.
    """

    content: str | None = None
    refused: str | None = None
    provider_refused: str | None = None
    finish_reason: str = "stop"
    arguments: str | None = None
    """The arguments of a tool call; the tool is the one that the request forces, or its first."""
    make: Literal["", "echo", "wrong"] = ""
    """Make the content from the request's own schema: an instance that fits, or one that does not."""
    code: int = 200
    error: Mapping[str, JSON] | None = None
    raw: str | None = None
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    """Seconds between the request's arrival and the reply."""
    cut: int | None = None
    """Bytes of the body that are sent before the connection is closed; the headers announce all of it."""
    drop: bool = False
    """Close the connection without a reply."""
    only_with: str | None = None
    """Reply like this only to requests that have this parameter; others get ``otherwise``."""
    otherwise: Reply | None = None
    usage: Usage | Literal["none"] | None = None
    """None computes it from the text; ``"none"`` leaves it out, as some servers do."""
    model: str | None = None
    """The model that says it answered; None repeats the one that was asked."""

    # --- answers -------------------------------------------------------------------------------------

    @classmethod
    def json(cls, value: object) -> Reply:
        """A completion whose content is the value as JSON; a pydantic model is dumped."""
        dump = getattr(value, "model_dump_json", None)
        return cls(content=str(dump()) if dump is not None else json.dumps(value, ensure_ascii=False))

    @classmethod
    def text(cls, text: str) -> Reply:
        """A completion with exactly this content."""
        return cls(content=text)

    @classmethod
    def tool_call(cls, args: object) -> Reply:
        """A completion that calls the request's tool with these arguments (a str is sent as it is)."""
        text = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)
        return cls(arguments=text, finish_reason="tool_calls")

    @classmethod
    def echo(cls) -> Reply:
        """A valid instance of the request's schema, made from its content alone: equal requests, equal answers."""
        return cls(make="echo")

    # --- answers that are no use ---------------------------------------------------------------------

    @classmethod
    def wrong_schema(cls) -> Reply:
        """Well-formed JSON that does not fit the request's schema."""
        return cls(make="wrong")

    @classmethod
    def refusal(
        cls,
        text: str = "I cannot help with that.",
        *,
        place: Literal["message", "content_filter", "provider_fields"] = "message",
    ) -> Reply:
        """The model declines. Providers say so in three places: ``message.refusal``, a finish reason of
        ``content_filter``, or ``message.provider_specific_fields``."""
        match place:
            case "message":
                return cls(refused=text)
            case "content_filter":
                return cls(content=text, finish_reason="content_filter")
            case "provider_fields":
                return cls(provider_refused=text)

    @classmethod
    def truncated(cls, text: str = '{"text": "this answer was cut o') -> Reply:
        """A completion that ran into max_tokens."""
        return cls(content=text, finish_reason="length")

    @classmethod
    def empty(cls) -> Reply:
        """A completion without any content."""
        return cls(content="")

    # --- errors of the provider ----------------------------------------------------------------------

    @classmethod
    def status(
        cls,
        code: int,
        *,
        body: str | Mapping[str, JSON] | None = None,
        headers: Mapping[str, str] | None = None,
        retry_after: float | None = None,
    ) -> Reply:
        """Any status. ``body`` is sent as JSON if it is a mapping, as plain text if it is a str."""
        extra = tuple((headers or {}).items())
        if retry_after is not None:
            extra += (("retry-after", f"{retry_after:g}"),)
        if isinstance(body, str):
            return cls(code=code, raw=body, content_type="text/plain", headers=extra)
        return cls(
            code=code, error=_error(f"status {code}", "server_error") if body is None else body, headers=extra
        )

    @classmethod
    def rate_limited(cls, *, retry_after: float | None = None) -> Reply:
        """429 that passes: too many requests right now. ``retry_after`` is in seconds."""
        body = _error("Rate limit reached for requests per minute.", "requests", code="rate_limit_exceeded")
        return cls.status(429, body=body, retry_after=retry_after)

    @classmethod
    def quota(cls) -> Reply:
        """429 that never passes by waiting: the account has run out of money."""
        message = "You exceeded your current quota, please check your plan and billing details."
        return cls.status(429, body=_error(message, "insufficient_quota", code="insufficient_quota"))

    @classmethod
    def context_too_long(cls) -> Reply:
        """400: the messages do not fit into the model's context window."""
        message = (
            "This model's maximum context length is 8192 tokens. However, your messages resulted in "
            "9001 tokens. Please reduce the length of the messages."
        )
        kind = "invalid_request_error"
        return cls.status(400, body=_error(message, kind, code="context_length_exceeded", param="messages"))

    @classmethod
    def policy(cls, *, code: str = "content_policy_violation", type: str = "invalid_request_error") -> Reply:
        """400: the provider's filter refused the prompt. Azure says ``code="content_filter"``."""
        message = "The response was filtered due to the prompt triggering the content management policy."
        return cls.status(400, body=_error(message, type, code=code, param="prompt"))

    @classmethod
    def unsupported_param(cls, name: str, *, then: Reply | None = None) -> Reply:
        """400: the model refuses this parameter. With ``then``, requests that leave it out get that instead."""
        message = f"Unsupported parameter: '{name}' is not supported with this model."
        body = _error(message, "invalid_request_error", code="unsupported_parameter", param=name)
        refused = cls.status(400, body=body)
        return refused if then is None else replace(refused, only_with=name, otherwise=then)

    # --- what is no reply of the provider at all -----------------------------------------------------

    @classmethod
    def html(cls, *, status: int = 200) -> Reply:
        """A page of some proxy in between."""
        page = "<!doctype html><html><head><title>Gateway</title></head><body>Please sign in.</body></html>"
        return cls(code=status, raw=page, content_type="text/html; charset=utf-8")

    @classmethod
    def bad_json_envelope(cls) -> Reply:
        """200, announced as JSON, but not JSON."""
        return cls(raw='{"id": "chatcmpl-0", "object": "chat.completion", "choices": [{"index": 0, "mess')

    @classmethod
    def slow(cls, seconds: float, *, then: Reply | None = None) -> Reply:
        """``then`` (default: `echo`) after so many seconds."""
        return replace(then or cls.echo(), delay=seconds)

    @classmethod
    def cut_body(cls, after_bytes: int = 40, *, then: Reply | None = None) -> Reply:
        """``then`` (default: `echo`), but the connection closes after so many bytes of its body."""
        return replace(then or cls.echo(), cut=after_bytes)

    @classmethod
    def dropped(cls) -> Reply:
        """The connection closes before any reply."""
        return cls(drop=True)

    # --- refine, store, load -------------------------------------------------------------------------

    def but(
        self,
        *,
        usage: Usage | Literal["none"] | None = None,
        model: str | None = None,
        delay: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """The same reply with other usage, served model, delay (seconds) or more headers."""
        return replace(
            self,
            usage=self.usage if usage is None else usage,
            model=self.model if model is None else model,
            delay=self.delay if delay is None else delay,
            headers=self.headers + tuple((headers or {}).items()),
        )
