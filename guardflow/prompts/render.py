"""A loaded prompt, and what rendering it gives. Flow renders; `load` makes prompts.

A prompt is immutable and safe to render from many tasks and threads at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from guardflow.errors import MissingInput, PromptError, UnknownInput, UsageError
from guardflow.prompts.environment import ordered
from guardflow.prompts.near import did_you_mean
from guardflow.prompts.shrink import cut
from guardflow.prompts.template import Body
from guardflow.prompts.variables import WHOLE, names_of
from guardflow.values import Message


@dataclass(frozen=True, slots=True)
class Rendered:
    """One render of one prompt.

    ``messages`` are sent. ``canonical`` are the same with delimiters that no secret is in: what is hashed.
    """

    messages: tuple[Message, ...]
    canonical: tuple[Message, ...]
    prompt_hash: str


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """A prompt file that passed all its checks.

    ``model`` is a role, ``max_tokens`` counts tokens of the answer; None where the file says nothing.
    """

    name: str
    description: str
    inputs: tuple[str, ...]
    trim: tuple[str, ...]
    model: str | None
    temperature: float | None
    max_tokens: int | None
    variants: tuple[str, ...]
    path: Path | None
    """The file; None for an inline prompt."""
    _bodies: Mapping[str | None, Body] = field(repr=False)
    _hashes: Mapping[str | None, str] = field(repr=False)
    _secret: bytes = field(repr=False)

    def hash(self, variant: str | None = None) -> str:
        """The content hash of all that can change what is asked: declarations, body and included files.

        Raises:
            PromptError: there is no such variant.
        """
        try:
            return self._hashes[variant]
        except KeyError:
            raise self._no_variant(variant) from None

    def check(self, input_type: object) -> None:
        """Check that every declared input is a field of the stage's input model.

        Args:
            input_type: the annotation. A type that is no pydantic model gives the one variable ``input``.

        Raises:
            UnknownInput: an input is declared that no such value has.
        """
        known = names_of(input_type)
        for name in self.inputs:
            if name not in known:
                shown = getattr(input_type, "__name__", None) or str(input_type)
                what = (
                    f"{shown!r} is not a pydantic model"
                    if known == {WHOLE}
                    else f"{shown!r} has no such field"
                )
                raise UnknownInput(
                    f"prompt {self.name!r} declares the input {name!r}, but {what}",
                    hint=did_you_mean(name, known, otherwise=f"add a field {name!r}, or remove the input"),
                )

    def render(
        self, variables: Mapping[str, object], *, variant: str | None = None, shrink: float = 1.0
    ) -> Rendered:
        """Render the prompt.

        Args:
            variables: a value for every input; others are ignored. See `variables_of`.
            variant: a named variant of the prompt; None for its main body.
            shrink: the share of the inputs under ``trim`` to keep, above 0 and at most 1.

        Raises:
            MissingInput: an input has no value.
            TemplateError: the template failed on these values, such as on an attribute that does not exist.
            PromptError: there is no such variant.
            UsageError: ``shrink`` is out of its range.
        """
        body = self._bodies.get(variant)
        if body is None:
            raise self._no_variant(variant)
        try:
            values = {name: ordered(variables[name]) for name in self.inputs}
        except KeyError as missing:
            raise self._missing(str(missing.args[0]), variables) from None
        if shrink != 1.0:
            if not 0 < shrink < 1:
                raise UsageError(
                    f"shrink={shrink!r} is not a share", hint="give a number above 0 and at most 1"
                )
            values.update({name: cut(values[name], shrink) for name in self.trim})
        messages, canonical = body.messages(values, secret=self._secret)
        return Rendered(messages, canonical, self._hashes[variant])

    def _missing(self, name: str, variables: Mapping[str, object]) -> MissingInput:
        return MissingInput(
            f"prompt {self.name!r} needs the input {name!r}, which was not given",
            hint=did_you_mean(name, variables, otherwise="pass it, or remove it from the prompt's inputs"),
        )

    def _no_variant(self, variant: str | None) -> PromptError:
        hint = did_you_mean(
            str(variant), self.variants, otherwise="declare it under variants in the front matter"
        )
        return PromptError(f"prompt {self.name!r} has no variant {variant!r}", hint=hint)
