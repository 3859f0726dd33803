"""`Scripted`: a model that says what a test tells it to; `using` puts it in place of real ones.

Tests of stages and pipelines call it; it sits where the litellm adapter sits and opens no socket. Nothing is
random: usage comes from the size of the texts.
"""

from __future__ import annotations

import inspect
import json
import threading
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, cast

import anyio
from pydantic import BaseModel

from guardflow.errors import ModelCallError, UsageError
from guardflow.hashing import value_hash
from guardflow.kinds import Kind
from guardflow.models.client import ModelClient
from guardflow.testing.echo import broken_instance, instance
from guardflow.testing.wire import tokens
from guardflow.values import Completion, Model, Request, Usage

Said: TypeAlias = (
    BaseModel
    | Mapping[str, Any]
    | Sequence[Any]
    | str
    | int
    | float
    | bool
    | Kind
    | Completion
    | BaseException
)
"""What a scripted model can say: a value (sent as JSON), raw text, a whole completion, a failure, an error."""
ScriptedReply: TypeAlias = Said | Callable[[Request], Said | Awaitable[Said]]

_ERRORS = {
    Kind.RATE_LIMIT: (429, "too many requests"),
    Kind.QUOTA: (429, "the account has run out of money"),
    Kind.TIMEOUT: (None, "no answer in time"),
    Kind.CONNECTION: (None, "the connection failed"),
    Kind.OVERLOADED: (503, "the provider is overloaded"),
    Kind.CONTEXT: (400, "the messages do not fit into the context window"),
    Kind.AUTH: (401, "the key is wrong"),
    Kind.NOT_FOUND: (404, "there is no such model"),
    Kind.BAD_REQUEST: (400, "the request is malformed"),
    Kind.BUG: (None, "a module that the adapter needs is missing"),
}
_ANSWERS = Kind.TRUNCATED | Kind.EMPTY | Kind.MALFORMED | Kind.SCHEMA | Kind.REFUSED | Kind.FILTERED


class Scripted:
    """A `guardflow.models.client.ModelClient` that answers from a script, in order of arrival.

        fast = Scripted(Kind.TRUNCATED, "{oops", Kind.RATE_LIMIT, Answer(text="ok"))
        with using({Model("fast"): fast}):
            ...
        assert fast.count == 4

    Args:
        replies: pydantic models, dicts and lists (sent as JSON), str (raw text), `Kind` (that failure; a group
            stands for its first member), `Completion`, exceptions (raised), or functions of the `Request` that
            give one of these, sync or async. Without any, it answers every schema with a valid instance.
        repeat: what follows the last reply: the last one again, the first one, or an error.
        usage: what every answer reports; None computes it from the texts.
        delay: seconds before each reply.
    """

    def __init__(
        self,
        *replies: ScriptedReply,
        repeat: Literal["last", "cycle", "none"] = "last",
        usage: Usage | None = None,
        delay: float = 0.0,
    ) -> None:
        for reply in replies:
            _check(reply)
        self._replies: tuple[ScriptedReply, ...] = replies or (echo,)
        self._repeat = repeat
        self._usage = usage
        self._delay = delay
        self._lock = threading.Lock()
        self._requests: list[Request] = []
        self.in_flight = 0
        self.max_in_flight = 0

    @property
    def requests(self) -> Sequence[Request]:
        """Every request so far, in order of arrival."""
        return tuple(self._requests)

    @property
    def count(self) -> int:
        """How many requests came, those that failed included."""
        return len(self._requests)

    async def send(self, request: Request) -> Completion:
        """Answer as the script says.

        Raises:
            ModelCallError: the script says so.
            UsageError: the script has run out (``repeat="none"``), or says something that cannot be said here.
        """
        with self._lock:
            self._requests.append(request)
            number = len(self._requests)
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            reply = self._at(number, request)
            if self._delay:
                await anyio.sleep(self._delay)
            if not isinstance(reply, type) and callable(reply):
                made = reply(request)
                reply = await made if inspect.isawaitable(made) else made
                _check(reply)
            return self._completion(cast("Said", reply), request, number=number)
        finally:
            with self._lock:
                self.in_flight -= 1

    async def aclose(self) -> None:
        """Nothing to release: a scripted model outlives the runtime, so that tests can resume with it."""

    def _at(self, number: int, request: Request) -> ScriptedReply:
        replies, index = self._replies, number - 1
        if index < len(replies):
            return replies[index]
        if self._repeat == "last":
            return replies[-1]
        if self._repeat == "cycle":
            return replies[index % len(replies)]
        last = request.messages[-1].content[:200] if request.messages else ""
        raise UsageError(
            f"the script of {len(replies)} replies has run out at request {number} to "
            f"{request.model.name!r}, which ends with {last!r}",
            hint="add replies, or let the last one repeat with repeat='last'",
        )

    def _completion(self, said: Said, request: Request, *, number: int) -> Completion:
        if isinstance(said, Completion):
            return said
        if isinstance(said, BaseException):
            raise said.with_traceback(None)
        text, refusal, finish_reason = _spoken(said, request)
        return Completion(
            text=text,
            refusal=refusal,
            finish_reason=finish_reason,
            usage=self._usage or _usage(request, text or refusal or ""),
            model=request.model.name,
            request_id=f"scripted-{number}",
        )


def echo(request: Request) -> Said:
    """A valid instance of the request's schema (a line of text without one): equal requests, equal answers."""
    if request.schema is None:
        return f"echo: {request.messages[-1].content[:80]}" if request.messages else "echo"
    return _json(instance(request.schema.json, _seed(request)))


@contextmanager
def using(clients: Mapping[Model | str, ModelClient]) -> Generator[None]:
    """Within the block, requests to these models (by role or name) go to these clients instead.

    Blocks nest: an inner one adds to the outer one, and wins. It holds for the tasks started inside.

    Args:
        clients: a `Scripted`, or any other client, by `Model` or by its name.
    """
    from guardflow.models.routing import override_clients

    named = {model if isinstance(model, str) else model.name: client for model, client in clients.items()}
    token = override_clients.set({**(override_clients.get() or {}), **named})
    try:
        yield
    finally:
        override_clients.reset(token)


def _check(reply: object) -> None:
    """Refuse what could only fail later, far from the test that wrote it."""
    if isinstance(reply, type):
        raise UsageError(f"{reply.__name__} is a class, not a reply", hint=f"write {reply.__name__}(...)")
    if reply is None:
        raise UsageError("None is no reply", hint="use Kind.EMPTY for an empty answer, 'null' for JSON")
    if isinstance(reply, Kind) and _single(reply) not in _ERRORS and _single(reply) not in _ANSWERS:
        raise UsageError(
            f"a model cannot say {reply!r}: it comes from guards, votes or budgets",
            hint="let it answer with a value that the guard rejects",
        )


def _single(kind: Kind) -> Kind:
    return next(iter(kind), kind)


def _spoken(said: object, request: Request) -> tuple[str | None, str | None, str]:
    """Text, refusal and finish reason of what was said."""
    if isinstance(said, str):
        return said, None, "stop"
    if isinstance(said, BaseModel):
        return said.model_dump_json(by_alias=True), None, "stop"
    if not isinstance(said, Kind):
        return _json(said), None, "stop"
    kind = _single(said)
    if kind in _ERRORS:
        status, why = _ERRORS[kind]
        raise ModelCallError(f"{request.model.name!r} was scripted to fail: {why}", kind=kind, status=status)
    match kind:
        case Kind.TRUNCATED:
            return '{"text": "this answer was cut o', None, "length"
        case Kind.EMPTY:
            return "", None, "stop"
        case Kind.MALFORMED:
            return '{"text": "this is not', None, "stop"
        case Kind.SCHEMA:
            if request.schema is None:
                raise UsageError(
                    "Kind.SCHEMA was scripted for a stage without a schema", hint="use Kind.EMPTY"
                )
            return _json(broken_instance(request.schema.json, _seed(request))), None, "stop"
        case Kind.REFUSED:
            return None, "I cannot help with that.", "stop"
        case _:
            return None, None, "content_filter"


def _usage(request: Request, said: str) -> Usage:
    """As the fault server counts: a quarter of the characters, and 3 tokens a message."""
    return Usage(input=sum(tokens(m.content) + 3 for m in request.messages), output=tokens(said))


def _seed(request: Request) -> int:
    """Of what was asked, not of how it was fenced: delimiters differ from one installation to the next."""
    asked = request.hash or [m.content for m in request.messages]
    return int(value_hash([request.model.name, request.sample, asked])[:16], 16)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, default=_dump)


def _dump(value: object) -> object:
    """What json does not know: a pydantic model inside a dict or a list."""
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    raise TypeError(f"{value!r} is no JSON value: script a pydantic model, or plain JSON types")
