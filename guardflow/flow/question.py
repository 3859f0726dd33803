"""What is asked for and how it is identified: schema, parser, request hash, and fenced evidence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol, cast

from pydantic import create_model

from guardflow.hashing import JSON, value_hash
from guardflow.prompts import fence_text
from guardflow.values import Message, Model, Schema

from .codec import Codec, is_record, require_class, schema_of

_FENCE_SECRET = b"guardflow re-ask"
"""A delimiter is a keyed hash of what it encloses, so text cannot contain its own; a constant key keeps
re-ask turns equal on every machine."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a model is asked for: the schema (None for plain text) and the parser of its answer."""

    schema: Schema | None
    parse: Callable[[str], object]

    @staticmethod
    def of(output: type[object], *, owner: str = "a question to a judge") -> Question:
        """What is no object by itself is asked for as ``{"value": ...}``: providers enforce objects only.

        Raises:
            StageError: ``output`` is not a class.
        """
        require_class(output, owner=owner)  # before the cache, which needs something hashable
        return _question(output, owner)


class _Wrapped(Protocol):
    value: object


@lru_cache(maxsize=256)
def _question(output: type[object], owner: str) -> Question:
    schema = schema_of(output, owner=owner)
    if schema is None:
        return Question(None, str)
    if is_record(output):
        return Question(schema, Codec(output, owner=owner).parse)
    wrapper = create_model(f"{schema.name}_answer", value=(output, ...))

    def parse(text: str) -> object:
        return cast("_Wrapped", wrapper.model_validate_json(text)).value

    return Question(schema_of(wrapper, owner=owner), parse)


def request_hash(
    model: Model,
    canonical: Sequence[Message],
    schema: Schema | None,
    parameters: tuple[int, float | None, int],
    prompt_hash: str,
) -> str:
    """The identity of what is asked: rendered messages, model, params, schema, prompt hash, sample index."""
    asked: JSON = [
        1,
        [model.name, model.api_base, model.output],
        [[m.role, m.content] for m in canonical],
        schema.hash if schema is not None else None,
        list(parameters),
        prompt_hash,
    ]
    return value_hash(asked)


def fence_evidence(text: str) -> str:
    """Wrap evidence (outside text) for a re-ask turn."""
    return fence_text(text, secret=_FENCE_SECRET, position=0)[0]
