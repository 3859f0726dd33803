"""Fences: outside text between delimiters that its author cannot know, and so cannot close.

The delimiter is HMAC-SHA256(secret, position, content): unguessable, yet equal at every render. The canonical
form of a fence does not depend on the secret: request hashes are taken over it.
"""

from __future__ import annotations

import hmac

from jinja2 import Undefined, pass_context
from jinja2.runtime import Context
from pydantic_core import to_json

FENCES = " fences"
"""Where a render keeps its `Fences` in the template's context. No template can name it: it has a space."""

_DIGITS = 16


class Fence(str):
    """One fenced text. As a string it is what is sent; its type tells the renderer that it is a fence."""

    __slots__ = ("text",)
    text: str

    def __str__(self) -> str:
        return self  # keeps the type where a compiled template calls str() on what it prints

    @property
    def canonical(self) -> str:
        """The fence with a delimiter that depends on the text's length only.

        The length keeps it unambiguous: one text that imitates an end and a new beginning must not read like
        two fenced texts, or a stored answer to one request could be taken for the answer to another.
        """
        return _between(f"data-{len(self.text)}", self.text)


class Fences:
    """Counts the fences of one render, because the position of a fence is part of its delimiter."""

    __slots__ = ("_position", "_secret")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._position = 0

    def add(self, text: str) -> Fence:
        fence = _fence(text, secret=self._secret, position=self._position)
        self._position += 1
        return fence


def fence_text(text: str, *, secret: bytes, position: int) -> tuple[str, str]:
    """Fence a text that is not part of a prompt file, such as the evidence in a re-ask.

    Args:
        text: the outside text; it appears unchanged between the delimiters.
        secret: the installation's secret.
        position: a number that differs for every fence of a request, at least 0.

    Returns:
        What is sent, and the canonical form that request hashes are taken over.
    """
    fence = _fence(text, secret=secret, position=position)
    return str.__str__(fence), fence.canonical


@pass_context
def fenced(context: Context, value: object) -> Fence:
    """The ``fenced`` filter: strings as they are, anything else as JSON."""
    fences = context.parent[FENCES]
    return fences.add(text_of(value))


def text_of(value: object) -> str:
    """A string unchanged; numbers, lists, mappings and pydantic models as JSON, in their own order.

    Raises:
        UndefinedError: the value is an undefined variable or attribute.
        PydanticSerializationError: the value holds something that is not JSON.
    """
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, Undefined):
        return str(value)  # StrictUndefined raises, naming what is undefined
    return json_of(value)


def json_of(value: object, indent: int | None = None) -> str:
    """The ``tojson`` filter: any JSON-able value, pydantic models too, with field names rather than aliases.

    Raises:
        UndefinedError, PydanticSerializationError: as in `text_of`.
    """
    if isinstance(value, Undefined):
        return str(value)
    return to_json(value, by_alias=False, indent=indent).decode("utf-8")


def _fence(text: str, *, secret: bytes, position: int) -> Fence:
    data = text.encode("utf-8", "surrogatepass")
    place = position.to_bytes(8, "big")
    digest = hmac.digest(secret, place + data, "sha256").hex()
    mark, again = f"data-{digest[:_DIGITS]}", 0
    while mark in text:  # chance (2^-64 a try), or somebody who knows the secret: take the next one
        again += 1
        digest = hmac.digest(secret, place + again.to_bytes(8, "big") + data, "sha256").hex()
        mark = f"data-{digest[:_DIGITS]}"
    fence = Fence(_between(mark, text))
    fence.text = text
    return fence


def _between(mark: str, text: str) -> str:
    return f"<{mark}>\n{text}\n</{mark}>"
