"""What a pipeline may cost at worst, and how each of its stages climbs: read off its declarations, before a run.

`guardflow explain` prints it. Nothing is rendered, sent or executed.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import CodeType, FunctionType
from typing import cast

from guardflow.guards import most_asks
from guardflow.kinds import Kind
from guardflow.models.price import price_of, reservation
from guardflow.values import Message, Request, Reservation

from .judging import JUDGE_LADDER
from .llm import LLMStage
from .pipeline import Pipeline
from .scope import Services
from .stage import Stage

AnyStage = Stage[object, object]


REFUSABLE = 3
"""Parameters that a provider's model may refuse (temperature, response_format, max_tokens): each costs one more
request, once a process."""


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The most one call of a model stage can take.

    Args:
        calls: requests, those of guards included.
        tokens: of all requests, with the prompt's own text but an empty input.
        nano_usd: at list price; None where the price of a model is unknown.
        paths: the ladder's climb by kind of failure.
    """

    stage: str
    model: str
    calls: int
    tokens: int
    nano_usd: int | None
    paths: Mapping[str, Sequence[str]]


def stages_of(pipeline: Pipeline[object, object]) -> Sequence[AnyStage]:
    """The stages a pipeline's code names, its child pipelines' too, in order of appearance."""
    found: dict[str, AnyStage] = {}
    for value in _reached(pipeline.function, set()):
        if isinstance(value, Stage):
            stage = cast("AnyStage", value)
            found.setdefault(stage.name, stage)
    return list(found.values())


def worst_case(stage: LLMStage[object, object], services: Services) -> WorstCase:
    """What one call can take.

    Raises:
        PromptError, ConfigError: the stage's prompt or models cannot be used.
    """
    prepared = stage.prepare(services)
    ladder = prepared.ladder
    asks = most_asks(stage.guards) * ladder.bound
    refusable = 0 if prepared.model.provider in ("local", "scripted") else REFUSABLE
    calls = ladder.bound + refusable + asks * JUDGE_LADDER.bound
    call = prepared.first_call()
    empty = Request(
        model=prepared.model,
        messages=(Message("user", ""),),
        schema=stage.question.schema,
        max_tokens=call.max_tokens,
        temperature=None,
        sample=0,
        hash="",
    )
    models = (prepared.model, *ladder.models)
    dearest = [reservation(empty, "free" if m.price == "free" else m.price or price_of(m)) for m in models]
    most = max(dearest, key=_cost)
    known = all(r.nano_usd is not None for r in dearest)
    return WorstCase(
        stage=stage.name,
        model=prepared.model.name,
        calls=calls,
        tokens=most.tokens * calls,
        nano_usd=(most.nano_usd or 0) * calls if known else None,
        paths={str(kind.name): ladder.explain(kind) for kind in Kind},
    )


def _cost(reserved: Reservation) -> int:
    return reserved.nano_usd or 0


def _reached(function: object, seen: set[int]) -> Iterator[object]:
    """What a function's code refers to by name, through the functions and pipelines it calls."""
    if not isinstance(function, FunctionType) or id(function) in seen:
        return
    seen.add(id(function))
    closure = inspect.getclosurevars(function)
    known = {**closure.globals, **closure.nonlocals}
    for name in _names(function.__code__):
        value: object = known.get(name, function.__globals__.get(name))
        yield value
        inner: object = (
            cast("Pipeline[object, object]", value).function if isinstance(value, Pipeline) else value
        )
        if isinstance(inner, FunctionType) and inner.__module__.split(".")[0] != "guardflow":
            yield from _reached(inner, seen)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    yield from code.co_freevars
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
