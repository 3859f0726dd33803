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
from guardflow.ladder import Ladder
from guardflow.models.price import price_of, reservation
from guardflow.values import Message, Model, Request, Reservation

from .judging import JUDGE_LADDER
from .llm import LLMStage, Prepared
from .matching import most_matches
from .pipeline import Pipeline
from .scope import Services
from .stage import Stage
from .voting import ballots_own

AnyStage = Stage[object, object]


REFUSABLE = 3
"""Parameters that a provider's model may refuse (temperature, response_format, max_tokens): each costs one more
request, once a process."""


@dataclass(frozen=True, slots=True)
class Held:
    """How a stage's vote is held.

    Args:
        panel: the models in the order of their seats, with what a ballot of each counts for.
        rule: when it is decided, as it is written.
        most: ballots, spoiled ones included.
        split: who decides when they do not; None for nobody.
    """

    panel: Sequence[tuple[str, float]]
    rule: str
    most: int
    split: str | None


@dataclass(frozen=True, slots=True)
class WorstCase:
    """The most one call of a model stage can take.

    Args:
        calls: requests, those of guards included.
        tokens: of all requests, with the prompt's own text but an empty input.
        nano_usd: at list price; None where the price of a model is unknown.
        paths: the ladder's climb by kind of failure; of a vote, what one ballot climbs and what follows the vote.
        vote: how it is held, where one stands in place of the model.
    """

    stage: str
    model: str
    calls: int
    tokens: int
    nano_usd: int | None
    paths: Mapping[str, Sequence[str]]
    vote: Held | None = None


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
    calls = _most_calls(prepared)
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
    dearest = [
        reservation(empty, "free" if m.price == "free" else m.price or price_of(m)) for m in _asked(prepared)
    ]
    most = max(dearest, key=_cost)
    known = all(r.nano_usd is not None for r in dearest)
    return WorstCase(
        stage=stage.name,
        model=prepared.model.name,
        calls=calls,
        tokens=most.tokens * calls,
        nano_usd=(most.nano_usd or 0) * calls if known else None,
        paths={str(kind.name): _path(prepared, ladder, kind) for kind in Kind},
        vote=_held(prepared),
    )


def _most_calls(prepared: Prepared) -> int:
    """Requests of answers, of what judges each of them, of matchers, and one for each parameter that is refused.

    Each request for an answer may be sent a second time where a model is hedged.
    """
    ladder, ballots = prepared.ladder, prepared.ballots
    asks = most_asks(prepared.stage.guards) * JUDGE_LADDER.bound
    refusable = 0 if all(m.provider in ("local", "scripted") for m in _asked(prepared)) else REFUSABLE
    sends = 2 if any(m.hedge for m in _asked(prepared)) else 1
    if ballots is None:
        return sends * (ladder.bound + refusable) + ladder.bound * asks
    vote = ballots.vote
    climbs = vote.max + (vote.split is not None)
    answers = climbs * ballots.ladder.bound + _after_vote(ladder)
    composite = asks
    # Ballots in flight together learn of a refused parameter each for itself.
    judged = answers * asks + composite + most_matches(vote) * JUDGE_LADDER.bound
    return sends * (answers + climbs * refusable) + judged


def _after_vote(ladder: Ladder) -> int:
    """Requests of the one model that the ladder asks when a vote decided nothing: waits and growths were the ballots'."""
    return ladder.bound - 1 - len(ballots_own(ladder))


def _asked(prepared: Prepared) -> Sequence[Model]:
    vote = prepared.ballots.vote.models if prepared.ballots is not None else ()
    return (prepared.model, *prepared.ladder.models, *vote)


def _path(prepared: Prepared, ladder: Ladder, kind: Kind) -> Sequence[str]:
    if prepared.ballots is None:
        return ladder.explain(kind)
    if kind & Kind.FATAL:
        return ("ballot", "failed")
    ballot = prepared.ballots.ladder.explain(kind)[1:-1]
    taken = ["start", *ballots_own(ladder)]
    rest: list[str] = []
    while (step := next(ladder.open([*taken, *rest], kind), None)) is not None:
        rest.append(step.label)
    tie = ["split"] if kind is Kind.DISAGREED and prepared.ballots.vote.split is not None else []
    return ("ballot", *ballot, "vote", *tie, *rest, ladder.otherwise.action)


def _held(prepared: Prepared) -> Held | None:
    if prepared.ballots is None:
        return None
    vote = prepared.ballots.vote
    seats = [vote.seat(n) for n in range(len(vote.panel))]
    panel = [(seat.model.name, seat.weight) for seat in seats]
    return Held(panel, str(vote.rule), vote.max, vote.split.name if vote.split is not None else None)


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
