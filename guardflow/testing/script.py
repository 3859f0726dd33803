"""What the fault server says to whom: replies in order, rules that match requests, or a function.

In process a script is Python; for a server in its own process it is the same thing as JSON. No I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias, cast

from guardflow.errors import UsageError
from guardflow.testing.reply import Body, Reply
from guardflow.testing.wire import last_user_text
from guardflow.values import Usage

Answer: TypeAlias = Callable[[Body], Reply]
"""Chooses the reply to a request. It runs on the server's own thread and must not block."""


@dataclass(frozen=True, slots=True)
class Rule:
    """Replies for the requests whose last user message, or whose model, contains ``match``."""

    match: str
    replies: Sequence[Reply]


class Script:
    """Rules first (the first that matches), then the default replies; each list goes on with its last reply.

    Args:
        replies: what to say when no rule matches; `Reply.echo` if there is none.
        rules: what to say to whom.
        answer: decides alone, if given.
    """

    def __init__(
        self, replies: Sequence[Reply] = (), *, rules: Sequence[Rule] = (), answer: Answer | None = None
    ) -> None:
        self._answer = answer
        self._rules = [(rule.match, _Sequence(rule.replies)) for rule in rules]
        self._default = _Sequence(replies or (Reply.echo(),))

    def reply(self, request: Body) -> Reply:
        """The reply to this request; the script moves on by one."""
        if self._answer is not None:
            return self._answer(request)
        if self._rules:
            text, model = last_user_text(request), str(request.get("model", ""))
            for match, replies in self._rules:
                if match in text or match in model:
                    return replies.next()
        return self._default.next()

    @classmethod
    def from_json(cls, spec: object) -> Script:
        """``{"rules": [{"match": ..., "replies": [...]}], "replies": [...]}``, or a list of replies alone.

        Raises:
            UsageError: a key, a reply or an argument that does not exist.
        """
        if isinstance(spec, list):
            return cls([reply_from_json(reply) for reply in cast("list[object]", spec)])
        parts = _mapping(spec, "a script", {"rules", "replies"})
        rules: list[Rule] = []
        for given in parts.get("rules", ()):
            rule = _mapping(given, "a rule", {"match", "replies"})
            rules.append(Rule(rule.get("match", ""), [reply_from_json(x) for x in rule.get("replies", ())]))
        return cls([reply_from_json(reply) for reply in parts.get("replies", ())], rules=rules)


def _mapping(spec: object, what: str, keys: set[str]) -> dict[str, Any]:
    """The object that stands there, with no other keys."""
    if not isinstance(spec, dict):
        raise UsageError(f"{spec!r} is not {what}", hint=f"write an object with {sorted(keys)!r}")
    given = cast("dict[str, Any]", spec)
    if unknown := set(given) - keys:
        raise UsageError(f"{what} has no {sorted(unknown)!r}", hint=f"it has {sorted(keys)!r}")
    return given


class _Sequence:
    """Replies in order; the last one for ever."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        if not replies:
            raise UsageError("a rule without replies can answer nothing", hint="give it at least one `Reply`")
        self._replies = tuple(replies)
        self._next = 0

    def next(self) -> Reply:
        at = self._next
        if at < len(self._replies) - 1:
            self._next += 1
        return self._replies[at]


_REFINE = {"usage", "model", "delay", "headers"}
_FIELDS = {field.name for field in fields(Reply)}


def reply_from_json(spec: object) -> Reply:
    """A reply from JSON: a constructor's name (``"quota"``), or an object that names one and its arguments
    (``{"reply": "rate_limited", "retry_after": 2, "delay": 0.1}``); without ``reply``, the fields themselves.

    Raises:
        UsageError: no such constructor, argument or field.
    """
    if isinstance(spec, str):
        spec = {"reply": spec}
    if not isinstance(spec, dict):
        raise UsageError(
            f"{spec!r} is no reply", hint='write a name such as "echo", or {"reply": "text", "text": "hi"}'
        )
    given = {key: _value(key, value) for key, value in cast("dict[str, Any]", spec).items()}
    name = given.pop("reply", None)
    if name is None:
        if unknown := set(given) - _FIELDS:
            raise UsageError(f"a reply has no {sorted(unknown)!r}", hint=f"it has {sorted(_FIELDS)!r}")
        return Reply(**given)
    made = CONSTRUCTORS.get(name)
    if made is None:
        raise UsageError(f"there is no reply {name!r}", hint=f"use one of {sorted(CONSTRUCTORS)!r}")
    own = {
        key: value
        for key, value in given.items()
        if key not in _REFINE or (name, key) == ("status", "headers")
    }
    refine = {key: value for key, value in given.items() if key not in own}
    try:
        return made(**own).but(**refine)
    except TypeError as error:
        raise UsageError(
            f"reply {name!r} was given the wrong arguments: {error}", hint="see `Reply`"
        ) from None


def _value(key: str, value: Any) -> Any:
    if key in ("then", "otherwise"):
        return reply_from_json(value)
    if key == "usage" and isinstance(value, dict):
        return Usage(**cast("dict[str, int]", value))
    if key == "headers" and isinstance(value, list):
        return tuple((name, text) for name, text in cast("list[tuple[str, str]]", value))
    return value


def reply_to_json(reply: Reply) -> dict[str, Any]:
    """The fields that differ from the default, as `reply_from_json` reads them."""
    blank, made = Reply(), dict[str, Any]()
    for name in sorted(_FIELDS):
        value = getattr(reply, name)
        if value != getattr(blank, name):
            made[name] = reply_to_json(value) if isinstance(value, Reply) else _plain(value)
    return made


def script_to_json(replies: Sequence[Reply], *, rules: Sequence[Rule] = ()) -> dict[str, Any]:
    """A script as `Script.from_json` reads it."""
    return {
        "replies": [reply_to_json(reply) for reply in replies],
        "rules": [{"match": r.match, "replies": [reply_to_json(x) for x in r.replies]} for r in rules],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Usage):
        return {"input": value.input, "output": value.output, "cached_input": value.cached_input}
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else value


CONSTRUCTORS: Mapping[str, Callable[..., Reply]] = {
    name: getattr(Reply, name)
    for name in (
        "json",
        "text",
        "tool_call",
        "echo",
        "wrong_schema",
        "refusal",
        "truncated",
        "empty",
        "status",
        "rate_limited",
        "quota",
        "context_too_long",
        "policy",
        "unsupported_param",
        "html",
        "bad_json_envelope",
        "slow",
        "cut_body",
        "dropped",
    )
}
"""The replies that a JSON script can name."""
