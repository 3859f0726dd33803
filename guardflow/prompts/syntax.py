"""What a prompt's syntax tree may contain, checked once when it is loaded.

Messages: literal roles, never nested, all text inside them. Fences: only as the last thing done to a value that
is printed, so that nothing can alter a delimiter. Both: never inside a block whose output is captured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NoReturn, Protocol

from jinja2 import nodes

from guardflow.prompts.environment import ENVIRONMENT, FENCED, ROLES, is_message, message_block
from guardflow.prompts.near import did_you_mean

Place = Literal["outside", "message", "captured"]
_CAPTURING = (nodes.AssignBlock, nodes.FilterBlock, nodes.Macro, nodes.CallBlock)
_PRINTING = (nodes.FilterBlock, nodes.CallBlock)
_TAGS: dict[type[nodes.Node], str] = {nodes.FromImport: "from", nodes.ScopedEvalContextModifier: "autoescape"}
_PLAIN = (nodes.If, nodes.For, nodes.With, nodes.Assign, nodes.Scope)


class Fail(Protocol):
    """Raises a TemplateError at a line of the tree."""

    def __call__(self, line: int, message: str, *, hint: str = "") -> NoReturn: ...


def check_messages(tree: nodes.Template, *, fail: Fail) -> None:
    """Check the tree; make a body without any message one user message; cut the text at the edges of messages."""
    if not any(is_message(scope) for scope in tree.find_all(nodes.Scope)):
        tree.body = [message_block("user", tree.body, line=1)]
    _Checker(fail).statements(tree.body, "outside")
    tree.set_environment(ENVIRONMENT)


class _Checker:
    def __init__(self, fail: Fail) -> None:
        self._fail = fail

    def statements(self, body: Iterable[nodes.Node], place: Place) -> None:
        for node in body:
            self._statement(node, place)

    def _statement(self, node: nodes.Node, place: Place) -> None:
        if isinstance(node, nodes.Output):
            self._output(node, place)
        elif isinstance(node, nodes.Scope) and is_message(node):
            self._message(node, place)
        elif isinstance(node, nodes.For):
            self._expressions(node)
            inner: Place = "captured" if node.recursive else place
            self.statements(node.body, inner)
            self.statements(node.else_, place)
        elif isinstance(node, nodes.If):
            self._expressions(node)
            self.statements([*node.body, *node.elif_, *node.else_], place)
        elif isinstance(node, _PLAIN):
            self._expressions(node)
            self.statements(getattr(node, "body", ()), place)
        elif isinstance(node, _CAPTURING):
            if place == "outside" and isinstance(node, _PRINTING):
                self._outside(node.lineno)
            self._expressions(node)
            self.statements(node.body, "captured")
        else:
            what = _TAGS.get(type(node), type(node).__name__.lower())
            self._fail(
                node.lineno,
                f"{what!r} is not part of prompt files",
                hint="share text with {% include %}, and leave the rest to Python",
            )

    def _message(self, node: nodes.Scope, place: Place) -> None:
        if place == "message":
            self._fail(
                node.lineno, "a message inside a message", hint="close the first one with {% endmessage %}"
            )
        if place == "captured":
            self._fail(
                node.lineno,
                "a message inside a block whose output is captured (set, macro, call, filter, recursive for)",
                hint="put the block into the message",
            )
        opening, *inside, closing = node.body
        inside = _without_edges(inside)
        self.statements(inside, "message")
        node.body = [opening, *inside, closing]

    def _output(self, node: nodes.Output, place: Place) -> None:
        for child in node.nodes:
            text = child.data if isinstance(child, nodes.TemplateData) else None
            if place == "outside" and (text is None or text.strip()):
                before = text[: len(text) - len(text.lstrip())] if text else ""
                self._outside(child.lineno + before.count("\n"))
            if place == "captured":
                self._expression(child)
            else:
                self._printed(child)
        if place == "outside":
            node.nodes = []

    def _outside(self, line: int) -> NoReturn:
        self._fail(
            line,
            "text outside of any message",
            hint=f'put it into {{% message "role" %}}...{{% endmessage %}} with one of the roles {", ".join(ROLES)}',
        )

    def _printed(self, node: nodes.Node) -> None:
        """A value that is printed: here, and in the branches of an if-expression, it may end in ``| fenced``."""
        if isinstance(node, nodes.Filter) and node.name == "fenced" and not node.args and not node.kwargs:
            if node.node is not None:
                self._expression(node.node)
            node.name = FENCED
        elif isinstance(node, nodes.CondExpr):
            self._expression(node.test)
            self._printed(node.expr1)
            if node.expr2 is not None:
                self._printed(node.expr2)
        else:
            self._expression(node)

    def _expressions(self, node: nodes.Node) -> None:
        for child in node.iter_child_nodes():
            if isinstance(child, (nodes.Expr, nodes.Keyword)):
                self._expression(child)

    def _expression(self, root: nodes.Node) -> None:
        for node in (root, *root.find_all(nodes.Node)):
            if isinstance(node, nodes.Filter):
                if node.name == "fenced" or _maps(node, "fenced"):
                    self._fail(
                        node.lineno,
                        "'fenced' takes no arguments and must be the last thing done to a printed value",
                        hint="write {{ value | fenced }} directly in a message, not in a set, a macro or an expression",
                    )
                self._known(node, "filter", ENVIRONMENT.filters.keys() - {FENCED} | {"fenced"})
            elif isinstance(node, nodes.Test):
                self._known(node, "test", ENVIRONMENT.tests)
            elif isinstance(node, nodes.Name) and node.name == "self":
                self._fail(node.lineno, "'self' means nothing in prompt files")

    def _known(self, node: nodes.Filter | nodes.Test, what: str, known: Iterable[str]) -> None:
        if node.name not in known:
            self._fail(node.lineno, f"no {what} named {node.name!r}", hint=did_you_mean(node.name, known))


def _maps(node: nodes.Filter, name: str) -> bool:
    """Whether the filter applies the one with that name: ``map("name")``."""
    first = node.args[0] if node.args else None
    return node.name == "map" and isinstance(first, nodes.Const) and first.value == name


def _without_edges(body: Sequence[nodes.Node]) -> list[nodes.Node]:
    """The body without the template's own whitespace at its two ends; data is never touched."""
    body = list(body)
    for end, strip in ((0, str.lstrip), (-1, str.rstrip)):
        while body and isinstance(output := body[end], nodes.Output):
            text = output.nodes[end] if output.nodes else None
            if text is None:
                del body[end]
                continue
            if not isinstance(text, nodes.TemplateData):
                break
            text.data = strip(text.data)
            if text.data:
                break
            del output.nodes[end]
    return body
