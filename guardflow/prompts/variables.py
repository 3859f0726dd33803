"""Between a stage's input and the variables of its prompt.

`flow` calls `variables_of` for every request, `Prompt.check` calls `names_of` when a stage is defined.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from types import UnionType
from typing import Annotated, Union, get_args, get_origin

from pydantic import BaseModel

WHOLE = "input"
"""The only variable of an input that is not a pydantic model."""


def variables_of(value: object) -> dict[str, object]:
    """The variables a stage's input gives to its prompt.

    Args:
        value: the input. It is not copied: models and lists stay what they are.

    Returns:
        The fields (computed ones too) of a pydantic model; anything else as ``{"input": value}``.
    """
    if not isinstance(value, BaseModel):
        return {WHOLE: value}
    model = type(value)
    variables = {name: value.__dict__[name] for name in model.model_fields if name in value.__dict__}
    for name in model.model_computed_fields:
        variables[name] = getattr(value, name)
    return variables


def names_of(input_type: object) -> AbstractSet[str]:
    """The variables every value of a type gives: of a union, those that all its members have."""
    origin = get_origin(input_type)
    if origin is Annotated:
        return names_of(get_args(input_type)[0])
    if origin is Union or origin is UnionType:
        members = [names_of(member) for member in get_args(input_type)]
        return frozenset[str]().union(*members).intersection(*members)
    if isinstance(input_type, type) and issubclass(input_type, BaseModel):
        return frozenset(input_type.model_fields) | frozenset(input_type.model_computed_fields)
    return frozenset({WHOLE})
