"""Compiles the body of a prompt, its includes spliced in, and runs it: one pass yields both forms of its messages.

`load` compiles, `Prompt.render` runs. The text of inputs is never compiled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NoReturn

from jinja2 import Template, TemplateSyntaxError, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context
from jinja2.visitor import NodeTransformer

from guardflow.errors import PromptError, TemplateError
from guardflow.prompts.environment import ENVIRONMENT, GLOBALS, Marker, MessageRole
from guardflow.prompts.fence import FENCES, Fence, Fences
from guardflow.prompts.syntax import check_messages
from guardflow.values import Message

_LINES: Final = 1_000_000
"""Line numbers of the n-th source are counted from n times this, so that one tree knows all its files."""


@dataclass(frozen=True, slots=True)
class Source:
    """Template text and where it is from: ``before`` lines of the file precede it."""

    label: str
    text: str
    before: int = 0


ReadInclude = Callable[[str], Source]
"""Finds an included file by name; raises PromptError."""


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """A compiled body. ``names`` are the variables it uses, each with the place of its first use."""

    names: Mapping[str, str]
    includes: Mapping[str, str]
    """Every included text by name: part of the prompt's identity."""
    _template: Template
    _labels: tuple[str, ...]

    def messages(
        self, values: Mapping[str, object], *, secret: bytes
    ) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
        """Render: the messages as they are sent, and their canonical form.

        Raises:
            TemplateError: the template failed on these values, or gave no message.
        """
        context = Context(ENVIRONMENT, {**GLOBALS, **values, FENCES: Fences(secret)}, None, {})
        try:
            sent, canonical = _collect(self._template.root_render_func(context))
        except Exception as error:  # a template, or a property of an input, can raise anything
            raise TemplateError(f"{self._place(error)}: {_reason(error)}", hint=_remedy(error)) from error
        if not sent:
            raise TemplateError(
                f"{self._labels[0]}: no message came out for these inputs",
                hint="leave at least one message outside of all conditions",
            )
        return sent, canonical

    def _place(self, error: BaseException) -> str:
        line, traceback = 0, error.__traceback__
        while traceback is not None:
            if traceback.tb_frame.f_code.co_filename == self._template.filename:
                line = self._template.get_corresponding_lineno(traceback.tb_lineno)
            traceback = traceback.tb_next
        return _place(self._labels, line)


def _collect(parts: Iterator[str]) -> tuple[tuple[Message, ...], tuple[Message, ...]]:
    """Fold the rendered parts into messages. What a part is, its type says: never its text."""
    sent: list[Message] = []
    canonical: list[Message] = []
    pieces: list[str] = []
    role: MessageRole | None = None
    has_fence = False
    for part in parts:
        if type(part) is str:
            pieces.append(part)
        elif isinstance(part, Marker):
            if part.role is None and role is not None:
                message = Message(role, "".join(pieces))
                sent.append(message)
                canonical.append(Message(role, _canonical(pieces)) if has_fence else message)
            pieces, role, has_fence = [], part.role, False
        else:
            pieces.append(part)
            has_fence = has_fence or isinstance(part, Fence)
    return tuple(sent), tuple(canonical)


def _canonical(pieces: list[str]) -> str:
    return "".join([piece.canonical if isinstance(piece, Fence) else piece for piece in pieces])


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _remedy(error: Exception) -> str:
    if isinstance(error, SecurityError):
        return "use plain values, their fields and filters; what Python keeps private stays out of reach"
    if isinstance(error, UndefinedError):
        return "name something that this input has, or ask first with {% if ... is defined %}"
    return "correct this line of the template, or what it gets"


def _place(labels: tuple[str, ...] | list[str], line: int) -> str:
    source, line = divmod(line, _LINES)
    return f"{labels[source]}:{line}" if line else labels[source]


def compile_body(source: Source, *, read: ReadInclude) -> Body:
    """Parse, check and compile a body with everything it includes.

    Raises:
        TemplateError: the template, or one it includes, is malformed; with file and line.
    """
    return _Compiler(read).compile(source)


class _Compiler(NodeTransformer):
    """Splices includes into one tree, so that all checks and the compiled code see the whole prompt."""

    def __init__(self, read: ReadInclude) -> None:
        self._read = read
        self._labels: list[str] = []
        self._includes: dict[str, str] = {}
        self._open: list[str] = []

    def compile(self, source: Source) -> Body:
        tree = self._parse(source)
        check_messages(tree, fail=self._fail)
        filename = f"<prompt {source.label}>"
        try:
            names = meta.find_undeclared_variables(tree)
            code = ENVIRONMENT.compile(tree, filename=filename)
        except TemplateSyntaxError as error:
            self._fail(error.lineno, error.message or "malformed")
        used = {name: self._first_use(tree, name) for name in names}
        template = Template.from_code(ENVIRONMENT, code, {})
        return Body(used, self._includes, template, tuple(self._labels))

    def _parse(self, source: Source) -> nodes.Template:
        shift = len(self._labels) * _LINES + source.before
        self._labels.append(source.label)
        try:
            tree = ENVIRONMENT.parse(source.text)
        except TemplateSyntaxError as error:
            self._fail(error.lineno + shift, error.message or "malformed")
        for node in tree.find_all(nodes.Node):
            node.lineno = (node.lineno or 1) + shift  # Jinja numbers the parts of autoescape with None
        return self.visit(tree)

    def visit_Include(self, node: nodes.Include) -> nodes.Node:  # noqa: N802  # NodeTransformer finds it by name
        name = node.template.value if isinstance(node.template, nodes.Const) else None
        if not isinstance(name, str) or node.ignore_missing or not node.with_context:
            self._fail(
                node.lineno,
                "an include must name its file literally, and cannot be optional or without context",
                hint='write {% include "partials/name.md" %}',
            )
        if name in self._open:
            self._fail(node.lineno, f"{name!r} includes itself: {' > '.join([*self._open, name])}")
        try:
            source = self._read(name)
        except PromptError as error:
            self._fail(node.lineno, error.message, hint=error.hint)
        self._includes[name] = source.text
        self._open.append(name)
        body = self._parse(source).body
        self._open.pop()
        return nodes.Scope(body, lineno=node.lineno)

    def _first_use(self, tree: nodes.Template, name: str) -> str:
        uses = [node.lineno for node in tree.find_all(nodes.Name) if node.name == name and node.ctx == "load"]
        return _place(self._labels, min(uses, default=0))

    def _fail(self, line: int, message: str, *, hint: str = "correct this line of the template") -> NoReturn:
        raise TemplateError(f"{_place(self._labels, line)}: {message}", hint=hint) from None
