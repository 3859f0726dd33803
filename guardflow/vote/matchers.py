"""When two answers say the same: `exact`, `within`, `meaning`, `align`, and `follow` for what does not vote.

`Vote(fields=...)` is given them. Declarations only: `shape.py` checks them against a type, `groups.py` and
`lists.py` apply them.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guardflow.errors import LadderError
from guardflow.values import Model

if TYPE_CHECKING:
    from collections.abc import Callable

    from guardflow.hashing import JSON


@dataclass(frozen=True, slots=True)
class Matcher(ABC):
    """What all matchers are, so that a mapping of several kinds has a type."""

    @abstractmethod
    def spec(self) -> dict[str, JSON]:
        """What it is, for the version of a vote."""


@dataclass(frozen=True, slots=True)
class Exact(Matcher):
    """The same value. Text is compared after Unicode NFC, with runs of white space as one space."""

    def spec(self) -> dict[str, JSON]:
        return {"match": "exact"}


@dataclass(frozen=True, slots=True)
class Follow(Matcher):
    """No vote: the field is taken from the ballot that is nearest to what won in the others."""

    def spec(self) -> dict[str, JSON]:
        return {"match": "follow"}


@dataclass(frozen=True, slots=True)
class Within(Matcher):
    """Numbers that are close to each other."""

    rel: float
    abs: float

    def __post_init__(self) -> None:
        for name, value in (("rel", self.rel), ("abs", self.abs)):
            if not _is_real(value) or not (math.isfinite(value) and value >= 0):
                raise LadderError(
                    f"within() is given {name}={value!r}",
                    hint="use a number from 0, such as within(rel=0.03)",
                )
        if self.rel >= 1:
            raise LadderError(
                f"within() is given rel={self.rel!r}, so that all numbers of one sign would be equal",
                hint="use a share below 1: rel=0.03 is 3 %",
            )
        if not self.rel and not self.abs:
            raise LadderError(
                "within() is given no tolerance", hint="use within(rel=0.03) or within(abs=0.5)"
            )

    def close(self, a: float, b: float) -> bool:
        return math.isclose(a, b, rel_tol=self.rel, abs_tol=self.abs)

    def spec(self) -> dict[str, JSON]:
        return {"match": "within", "rel": float(self.rel), "abs": float(self.abs)}


@dataclass(frozen=True, slots=True)
class Meaning(Matcher):
    """Texts that a model says mean the same."""

    model: Model

    def __post_init__(self) -> None:
        if not isinstance(self.model, Model):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise LadderError(
                f"meaning() is given {self.model!r}, which is no model", hint='use meaning(Model("fast"))'
            )

    def spec(self) -> dict[str, JSON]:
        return {"match": "meaning", "model": model_spec(self.model)}


@dataclass(frozen=True, slots=True)
class Align(Matcher):
    """Items of lists, or entries of dicts, that stand for the same thing."""

    key: tuple[str, ...]
    floor: float

    def __post_init__(self) -> None:
        if not _is_real(self.floor) or not 0 < self.floor <= 1:
            raise LadderError(
                f"align() is given floor={self.floor!r}", hint="use a share above 0 and up to 1, such as 0.6"
            )
        if len(set(self.key)) != len(self.key) or not all(_is_name(name) for name in self.key):
            raise LadderError(f"align() is given key={self.key!r}", hint="name each field of the items once")

    def spec(self) -> dict[str, JSON]:
        return {"match": "align", "key": list(self.key), "floor": float(self.floor)}


exact = Exact()
"""The same value: the default for everything but aligned lists. Text is compared after Unicode NFC, with runs of
white space as one space and none at the ends; 1 and 1.0 are the same number; True is no number."""

follow = Follow()
"""The field does not vote: it is taken from the ballot that is nearest to what won. For notes and reasons, which no
two ballots write alike."""


def within(*, rel: float = 0.0, abs: float = 0.0) -> Within:
    """Numbers are the same when they differ by at most ``rel`` of the larger one, or by ``abs``.

    The winner is the median of the winning group: always a number that some ballot gave, so that ints stay ints.

    Raises:
        LadderError: no tolerance, a negative one, or a ``rel`` of 1 and more.
    """
    return Within(rel, abs)


def meaning(model: Model) -> Meaning:
    """Texts are the same when ``model`` says that they mean the same. It is asked about each pair at most once.

    The winner is the medoid: the text of the winning group that is most like the others, by its letters.

    Raises:
        LadderError: ``model`` is no `Model`.
    """
    return Meaning(model)


def align(*, key: str | tuple[str, ...] | None = None, floor: float = 0.6) -> Align:
    """Lists are compared item by item: items are matched by ``key``, and kept where ``floor`` of the ballots have them.

    The rule is asked about the list as a whole: a ballot stands behind it if at least half of what the two name
    together is the same in both, not counting what made items be taken for the same thing. So a stray item stops no
    vote, and lists that have nothing in common decide nothing. In an item, every field is won by its heaviest group.
    It is the default for lists, sets and dicts.

    Args:
        key: the field, or fields, that say what an item is about; None where items are matched by likeness: equal
            values, or records of which half agrees. A dict has its own keys.
        floor: the share of the weight of all ballots that has to have an item.

    Raises:
        LadderError: a share that is none, or a key named twice.
    """
    several = isinstance(key, tuple | list)
    return Align(tuple(key) if several else () if key is None else (key,), floor)


def _is_real(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and bool(name)


def model_spec(model: Model) -> dict[str, JSON]:
    """What makes a model another model, for versions."""
    return {
        "name": model.name,
        "api_base": model.api_base,
        "output": model.output,
        "max_tokens": model.max_tokens,
        "temperature": model.temperature,
    }


def resolved(matcher: Matcher, resolve: Callable[[Model], Model]) -> Matcher:
    """The matcher with its role replaced by the model it stands for."""
    return replace(matcher, model=resolve(matcher.model)) if isinstance(matcher, Meaning) else matcher
