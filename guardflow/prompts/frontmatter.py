"""The YAML front matter of a prompt file: split off, checked against a model, every error with its line.

`load` calls it. It never looks into the body.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Final, TypeVar, cast

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guardflow.errors import PromptError
from guardflow.prompts.near import did_you_mean

_FENCE: Final = "---"
_RESERVED: Final = frozenset(
    {"self", "loop", "caller", "varargs", "kwargs", "true", "false", "none", "True", "False", "None"}
    | {"and", "or", "not", "in", "is", "if", "else"}
)
_Text = Annotated[str, Field(min_length=1)]
ModelT = TypeVar("ModelT", bound=BaseModel)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Params(_Strict):
    """What a prompt may say about sampling; everything else belongs to the model's settings."""

    temperature: float | None = Field(default=None, ge=0, le=2, allow_inf_nan=False)
    max_tokens: int | None = Field(default=None, ge=1)


class Variant(_Strict):
    """Another body for the same inputs: a file beside the prompt, or inline."""

    file: _Text | None = None
    body: _Text | None = None


class FrontMatter(_Strict):
    """Everything a prompt file may declare."""

    description: str = ""
    inputs: list[str] = []
    trim: list[str] = []
    model: _Text | None = None
    params: Params = Params()
    variants: dict[str, Variant] = {}


class VariantFrontMatter(_Strict):
    """Everything the file of a variant may declare."""

    description: str = ""


@dataclass(frozen=True, slots=True)
class Declared:
    """The front matter's text (None if there is none) and the body, with the body's place in the file."""

    label: str
    yaml: str | None
    body: str
    lines: int
    """How many lines of the file precede the body."""


def split(text: str, *, label: str) -> Declared:
    """Split a file at the ``---`` lines.

    Raises:
        PromptError: the front matter is not closed.
    """
    lines = text.split("\n")
    if lines[0].rstrip() != _FENCE:
        return Declared(label, None, text, 0)
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == _FENCE:
            return Declared(label, "\n".join(lines[1:number]), "\n".join(lines[number + 1 :]), number + 1)
    raise PromptError(f"{label}:1: the front matter has no end", hint="close it with a line that is only ---")


class Document:
    """Parsed front matter that still knows the line of each of its entries."""

    def __init__(self, declared: Declared) -> None:
        self.label = declared.label
        try:
            loader = yaml.SafeLoader(declared.yaml or "")
            self._root: yaml.Node | None = loader.get_single_node()
            self._values = _constructed(loader, self._root)
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 2 if error.problem_mark is not None else 1
            raise PromptError(f"{self.label}:{line}: bad YAML: {error.problem or error.context}") from None
        except (yaml.YAMLError, ValueError) as error:  # ValueError: such as a date that does not exist
            raise PromptError(f"{self.label}:1: bad YAML: {' '.join(str(error).split())}") from None
        if not isinstance(self._values, dict):
            raise PromptError(
                f"{self.label}:2: the front matter is not a mapping",
                hint="write lines such as 'inputs: [question]'",
            )
        self._refuse_duplicates(self._root)

    def line(self, *path: str | int) -> int:
        """The line of an entry in the file; of the nearest entry above it, if it is not there."""
        node, line = self._root, 1
        for step in path:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return line

    def place(self, *path: str | int) -> str:
        return f"{self.label}:{self.line(*path)}"

    def block_line(self, *path: str | int) -> int:
        """How many lines of the file precede the text of an entry (a block scalar starts a line later)."""
        node = self._root
        for step in path:
            found = _child(node, step)
            node = found[1] if found is not None else None
        if node is None:
            return 0
        return node.start_mark.line + 1 + (getattr(node, "style", None) in ("|", ">"))

    def read(self, model: type[ModelT]) -> ModelT:
        """The values as ``model``.

        Raises:
            PromptError: with the line of the first entry that is wrong.
        """
        try:
            return model.model_validate(self._values)
        except ValidationError as errors:
            error = errors.errors(include_url=False)[0]
            *above, name = error["loc"]
            where = self.place(*error["loc"])
            if error["type"] == "extra_forbidden":
                known = _known(model, above)
                raise PromptError(
                    f"{where}: front matter has no key {'.'.join(map(str, error['loc']))!r}",
                    hint=did_you_mean(str(name), known),
                ) from None
            path = ".".join(map(str, error["loc"]))
            raise PromptError(f"{where}: {path!r}: {error['msg']}", hint=f"got {error['input']!r}") from None

    def _refuse_duplicates(self, node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in node.value:
                if key.value in seen:
                    raise PromptError(f"{self.label}:{key.start_mark.line + 2}: {key.value!r} is there twice")
                seen.add(key.value)
                self._refuse_duplicates(value)


def read_front_matter(document: Document) -> FrontMatter:
    """The front matter of a prompt, with the checks that need no body.

    Raises:
        PromptError: something in it is wrong; with its line.
    """
    declared = document.read(FrontMatter)
    for key, names in (("inputs", declared.inputs), ("trim", declared.trim)):
        for at, name in enumerate(names):
            if not name.isidentifier() or name in _RESERVED:
                raise PromptError(f"{document.place(key, at)}: {name!r} cannot be the name of an input")
            if name in names[:at]:
                raise PromptError(f"{document.place(key, at)}: {key} names {name!r} twice")
    for at, name in enumerate(declared.trim):
        if name not in declared.inputs:
            hint = did_you_mean(name, declared.inputs, otherwise="add it under inputs")
            raise PromptError(
                f"{document.place('trim', at)}: trim names {name!r}, which is no input", hint=hint
            )
    for name, variant in declared.variants.items():
        if (variant.file is None) == (variant.body is None):
            raise PromptError(
                f"{document.place('variants', name)}: variant {name!r} needs a file or a body, and not both",
                hint=f"write {name}: {{file: name.{name}.md}} or {name}: {{body: ...}}",
            )
    return declared


def _constructed(loader: yaml.SafeLoader, root: yaml.Node | None) -> object:
    if root is None:
        return {}
    values = cast("object", loader.construct_document(root))  # pyright: ignore[reportUnknownMemberType]  # no stub
    return {} if values is None else values


def _child(node: yaml.Node | None, step: str | int) -> tuple[int, yaml.Node] | None:
    """The line and the node of one entry of a mapping or a sequence."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(step):
                return key.start_mark.line + 2, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line + 2, item
    return None


def _known(model: type[BaseModel], above: list[str | int]) -> list[str]:
    """The keys that are allowed where an unknown one was found."""
    if above[:1] == ["params"]:
        return list(Params.model_fields)
    if above[:1] == ["variants"]:
        return list(Variant.model_fields)
    return list(model.model_fields)
