"""Makes prompts from text: front matter checked, every variant compiled, inputs matched with their uses, hashed.

`PromptLibrary` calls it for files and `ctx.ask` for inline texts. It never touches the file system itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, NoReturn

from guardflow.errors import PromptError, UnknownInput
from guardflow.hashing import value_hash
from guardflow.prompts.environment import GLOBALS
from guardflow.prompts.frontmatter import (
    Document,
    FrontMatter,
    VariantFrontMatter,
    read_front_matter,
    split,
)
from guardflow.prompts.near import did_you_mean
from guardflow.prompts.render import Prompt
from guardflow.prompts.template import Body, Source, compile_body

_FORMAT: Final = 1
"""Part of every hash. Raise it when the same file starts to render differently."""


@dataclass(frozen=True, slots=True)
class File:
    """One text file of a prompt root; ``label`` is how errors call it."""

    path: Path
    label: str
    text: str


ReadFile = Callable[[str], File]
"""Finds a file by its path below the roots; raises PromptError."""


def load_prompt(name: str, *, read: ReadFile, secret: bytes) -> Prompt:
    """Load ``<name>.md`` with its variants and includes.

    Raises:
        PromptError: anything about it is wrong, with file and line. UnknownInput: uses and declarations differ.
    """
    file = read(f"{name}.md")
    declared = split(file.text, label=file.label)
    if declared.yaml is None:
        raise PromptError(
            f"{file.label}:1: a prompt file begins with its front matter",
            hint="start it with the lines '---', 'description: ...', 'inputs: [...]', '---'",
        )
    document = Document(declared)
    front = read_front_matter(document)
    sources: dict[str | None, Source] = {None: Source(file.label, declared.body, declared.lines)}
    for variant in front.variants:
        sources[variant] = _variant_source(variant, name=name, front=front, document=document, read=read)

    def include(included: str) -> Source:
        found = read(included)
        return Source(found.label, found.text)

    bodies = {variant: compile_body(source, read=include) for variant, source in sources.items()}
    _match_inputs(front, bodies, place=lambda at: document.place("inputs", at))
    hashes = {variant: _hash(front, sources[variant].text, body) for variant, body in bodies.items()}
    return _prompt(name, front, bodies, hashes, path=file.path, secret=secret)


@lru_cache(maxsize=256)
def _inline(text: str, inputs: tuple[str, ...], name: str, secret: bytes) -> Prompt:
    front = FrontMatter(inputs=list(inputs))
    body = compile_body(Source(f"prompt {name!r}", text), read=_no_includes)
    _match_inputs(front, {None: body}, place=lambda _: f"prompt {name!r}")
    return _prompt(name, front, {None: body}, {None: _hash(front, text, body)}, path=None, secret=secret)


def inline_prompt(
    text: str, inputs: Sequence[str], *, name: str = "inline", secret: bytes = b"guardflow"
) -> Prompt:
    """A prompt from a text in the code. Prepared once for each text.

    Args:
        text: a template that a developer wrote, never data. It may have messages, but no includes.
        inputs: the variables it uses.
        name: how errors call it.
        secret: the installation's secret, for fences.

    Raises:
        TemplateError: the template is malformed.
        UnknownInput: it uses a variable that is not among the inputs, or the other way round.
    """
    return _inline(text, tuple(inputs), name, secret)


def _no_includes(name: str) -> NoReturn:
    raise PromptError(f"an inline prompt cannot include {name!r}", hint="make it a file under prompts/")


def _variant_source(
    variant: str, *, name: str, front: FrontMatter, document: Document, read: ReadFile
) -> Source:
    """The body of a variant, from its own file or from the front matter."""
    choice = front.variants[variant]
    if choice.body is not None:
        return Source(document.label, choice.body, document.block_line("variants", variant, "body"))
    place = document.place("variants", variant, "file")
    beside = choice.file or ""
    if "/" in beside or "\\" in beside:
        raise PromptError(
            f"{place}: {beside!r} is not beside the prompt", hint="give the name of a file, no path"
        )
    area = name.rpartition("/")[0]
    try:
        file = read(f"{area}/{beside}" if area else beside)
    except PromptError as error:
        raise PromptError(f"{place}: {error.message}", hint=error.hint) from None
    declared = split(file.text, label=file.label)
    if declared.yaml is not None:
        Document(declared).read(VariantFrontMatter)
    return Source(file.label, declared.body, declared.lines)


def _match_inputs(
    front: FrontMatter, bodies: Mapping[str | None, Body], *, place: Callable[[int], str]
) -> None:
    """Every variable a body uses is declared, and every declared one is used by some body."""
    declared = set(front.inputs)
    for body in bodies.values():
        for name, used_at in sorted(body.names.items(), key=lambda use: use[1]):
            if name not in declared and name not in GLOBALS:
                hint = did_you_mean(name, declared - body.names.keys(), otherwise="add it under inputs")
                raise UnknownInput(f"{used_at}: {name!r} is used but not declared as an input", hint=hint)
    for at, name in enumerate(front.inputs):
        if not any(name in body.names for body in bodies.values()):
            raise UnknownInput(
                f"{place(at)}: the input {name!r} is declared but never used", hint="use it, or remove it"
            )


def _hash(front: FrontMatter, text: str, body: Body) -> str:
    return value_hash(
        {
            "format": _FORMAT,
            "inputs": sorted(front.inputs),
            "trim": sorted(front.trim),
            "model": front.model,
            "params": front.params.model_dump(),
            "body": text,
            "includes": dict(body.includes),
        }
    )


def _prompt(
    name: str,
    front: FrontMatter,
    bodies: Mapping[str | None, Body],
    hashes: Mapping[str | None, str],
    *,
    path: Path | None,
    secret: bytes,
) -> Prompt:
    return Prompt(
        name=name,
        description=front.description,
        inputs=tuple(front.inputs),
        trim=tuple(front.trim),
        model=front.model,
        temperature=front.params.temperature,
        max_tokens=front.params.max_tokens,
        variants=tuple(front.variants),
        path=path,
        _bodies=bodies,
        _hashes=hashes,
        _secret=secret,
    )
