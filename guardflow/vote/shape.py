"""What votes apart in an output type: its fields, by where they are, with the matcher of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .matchers import Matcher


@dataclass(frozen=True, slots=True)
class Shape:
    """The units of a vote over one type."""


def shape_of(output: type[object], fields: Mapping[str, Matcher], whole: Sequence[Sequence[str]]) -> Shape:
    """The units of a type."""
    return Shape()
