"""The Jinja dialect of prompt files: sandboxed, strict, and with messages as syntax.

`{% message "user" %}...{% endmessage %}` compiles to two markers around its body. A marker is told by its type
in the stream of rendered parts, never by its text, so no data can open, close or change a message.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Final, Literal, cast, get_args

from jinja2 import StrictUndefined, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range
from jinja2.utils import Namespace

from guardflow.prompts.fence import fenced, json_of
from guardflow.prompts.near import did_you_mean

MessageRole = Literal["system", "user", "assistant"]
ROLES: Final[tuple[MessageRole, ...]] = get_args(MessageRole)
FENCED: Final = " fenced"
"""The filter behind ``fenced``: `syntax` renames the uses that it allows, so `map("fenced")` finds nothing."""
HTML_FILTERS: Final = frozenset({"e", "escape", "forceescape", "safe", "striptags", "urlize", "xmlattr"})
GLOBALS: Final[dict[str, object]] = {"range": safe_range, "dict": dict, "namespace": Namespace}
"""What templates can use beside their inputs. An input of the same name wins."""


class Marker(str):
    """Opens a message of ``role``, or closes the open one (None)."""

    __slots__ = ("role",)
    role: MessageRole | None

    def __str__(self) -> str:
        return self  # keeps the type where a compiled template calls str() on what it prints


def _marker(role: MessageRole | None) -> Marker:
    marker = Marker()
    marker.role = role
    return marker


class MessageExtension(Extension):
    """Parses ``message`` blocks. The role must be a literal."""

    tags = {"message"}  # noqa: RUF012  # Jinja declares it as an instance variable
    system = _marker("system")
    user = _marker("user")
    assistant = _marker("assistant")
    end = _marker(None)

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        role = parser.stream.current
        if role.type != "string":
            parser.fail(f'a message needs a literal role, such as {{% message "{ROLES[1]}" %}}', line)
        next(parser.stream)
        if role.value not in ROLES:
            parser.fail(f"no message has the role {role.value!r}: {did_you_mean(role.value, ROLES)}", line)
        body = parser.parse_statements(("name:endmessage",), drop_needle=True)
        return message_block(role.value, body, line=line)


def message_block(role: str, body: list[nodes.Node], *, line: int) -> nodes.Scope:
    """The syntax tree of a message: its markers around its body, in a scope of its own."""
    opening = nodes.ExtensionAttribute(MessageExtension.identifier, role, lineno=line)
    closing = nodes.ExtensionAttribute(MessageExtension.identifier, "end", lineno=line)
    return nodes.Scope(
        [nodes.Output([opening], lineno=line), *body, nodes.Output([closing], lineno=line)], lineno=line
    )


def is_message(node: nodes.Node) -> bool:
    """Whether the node is what `message_block` makes (an include makes a scope without markers)."""
    if not isinstance(node, nodes.Scope) or not node.body:
        return False
    first = node.body[0]
    if not isinstance(first, nodes.Output) or not first.nodes:
        return False
    return isinstance(first.nodes[0], nodes.ExtensionAttribute)


def ordered(value: object) -> object:
    """The value; a set as a sorted list, because its own order differs from process to process."""
    if type(value) is set or type(value) is frozenset:
        return sorted(cast("AbstractSet[object]", value), key=_sort_key)
    return value


def _sort_key(item: object) -> tuple[str, float, str]:
    if isinstance(item, (int, float)):
        return ("", item, "")
    return (type(item).__name__, 0, str(item))


class PromptEnvironment(ImmutableSandboxedEnvironment):
    """One for the whole process: it holds no state of any prompt."""

    def __init__(self) -> None:
        super().__init__(
            undefined=StrictUndefined,
            autoescape=False,
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=[MessageExtension],
            cache_size=0,
        )
        self.globals.clear()  # GLOBALS are given at render, so that an input may have the name of one
        filters = cast("dict[str, Any]", self.filters)  # its own annotation is the union of Jinja's functions
        for name in HTML_FILTERS | {"random"}:  # a render must be the same every time
            del filters[name]
        filters[FENCED] = fenced
        filters["tojson"] = json_of  # Jinja's own escapes for HTML and knows no models

    def getattr(self, obj: object, attribute: str) -> object:
        """Fields of pydantic models directly (they are the common case); all else through the sandbox."""
        fields = getattr(type(obj), "__pydantic_fields__", None)
        if fields is not None and attribute in fields:
            return ordered(getattr(obj, attribute))
        return ordered(super().getattr(obj, attribute))


ENVIRONMENT: Final = PromptEnvironment()
