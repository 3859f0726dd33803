"""`Vote`: several ballots where one answer would do, and how they are counted.

A stage takes one as its `model`. This file is the declaration and its checks; `bind` makes the `Poll` that counts
for one output type. It asks no model: flow casts the ballots.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import fields as dataclass_fields
from typing import TYPE_CHECKING, TypeAlias, cast

from guardflow.errors import LadderError
from guardflow.hashing import value_hash
from guardflow.values import Model

from .family import family
from .matchers import Matcher, Meaning, model_spec, resolved
from .rules import Group, Rule, ahead_by

if TYPE_CHECKING:
    from .poll import Poll

Panel: TypeAlias = Model | Sequence[Model] | Mapping[Model, float]
_MOST_BALLOTS = 100
_MOST = 1e15
"""Weights above it would lose the ballots of others in their sum."""
_AHEAD_BY_2 = ahead_by(2)


@dataclass(frozen=True, slots=True)
class Seat:
    """Who casts a ballot.

    Args:
        sample: which ballot of this model it is, from 0. It enters the key of every request.
        weight: what the ballot counts for.
    """

    model: Model
    sample: int
    weight: float


@dataclass(frozen=True, slots=True, init=False)
class Vote:
    """Several models, or several samples of one, in place of a model.

    Ballots are numbered from 0 and cast in turns by the models of the panel. Only an answer that passed the schema
    and every guard without repair counts; another one is spoiled, and replaced while there are ballots left. Every
    field votes apart, and the vote is decided when the rule is met in all of them at once.

    Args:
        panel: one model (its samples vote), several, or several with their weights.
        rule: `ahead_by`, `majority`, `quorum`, `confident` or `unanimous`.
        max: the most ballots that are cast, spoiled ones included; what the rule suggests by default.
        fields: how fields are compared, where not exactly: ``{"score": within(abs=0.05)}``. A field of a field is
            ``"address.city"``, one of the items of a list ``"claims[*].text"``.
        whole: fields that vote together: ``("amount", "currency")``, or several such groups.
        split: the model that decides between the answers where the ballots do not; without one the vote abstains.
        temperature: what the ballots of a model after its first are drawn with, so that they differ: 0.7 by
            default. The first is drawn as the stage says.
        family_discount: what several models of one provider share, from 1 (each its own weight) to 0 (all together
            as much as one of them): models of a family err alike. It counts where the panel has several families.

    Raises:
        LadderError: the vote could never be decided, or contradicts itself.

    Source: errors of models of one provider are correlated, Kim et al. 2025, arXiv 2506.07962.

    Example:
        >>> vote = Vote(Model("fast"), rule=majority(3))
        >>> vote.max, [vote.seat(ballot).sample for ballot in range(3)]
        (4, [0, 1, 2])
        >>> Vote({Model("fast"): 1.0, Model("strong"): 1.5}).seat(1).weight
        1.5
    """

    panel: tuple[tuple[Model, float], ...]
    """The models in the order of their seats, and the weights they were given."""
    rule: Rule
    max: int
    fields: tuple[tuple[str, Matcher], ...]
    whole: tuple[tuple[str, ...], ...]
    split: Model | None
    temperature: float
    family_discount: float
    weights: tuple[float, ...] = field(compare=False)
    """What a ballot of each seat counts for: its weight, less what its family shares."""

    def __init__(
        self,
        panel: Panel,
        *,
        rule: Rule = _AHEAD_BY_2,
        max: int | None = None,
        fields: Mapping[str, Matcher] | None = None,
        whole: Sequence[str] | Sequence[Sequence[str]] = (),
        split: Model | None = None,
        temperature: float | None = None,
        family_discount: float = 0.5,
    ) -> None:
        if not isinstance(rule, Rule):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise LadderError(
                f"a vote is given rule={rule!r}",
                hint="use ahead_by(), majority(), quorum(), confident() or unanimous()",
            )
        put = object.__setattr__
        put(self, "panel", _panel(panel))
        put(self, "rule", rule)
        put(self, "max", min(rule.bound, _MOST_BALLOTS) if max is None else max)
        put(self, "fields", _fields(fields or {}))
        put(self, "whole", _whole(whole))
        put(self, "split", split)
        put(self, "temperature", 0.7 if temperature is None else temperature)
        put(self, "family_discount", family_discount)
        put(self, "weights", ())
        _check_limits(self)
        put(self, "weights", _weights(self.panel, family_discount))
        _check_reachable(self)

    def seat(self, ballot: int) -> Seat:
        """Who casts the ballot with this number: the panel in turns, whatever became of other ballots."""
        turn, index = divmod(ballot, len(self.panel))
        model = self.panel[index][0]
        # Two roles may stand for one model: its samples are counted together, or two requests would be the same.
        alike = [i for i, (other, _) in enumerate(self.panel) if _asked(other) == _asked(model)]
        return Seat(model, turn * len(alike) + alike.index(index), self.weights[index])

    @property
    def models(self) -> tuple[Model, ...]:
        """Every model it may ask, each once: the panel, `split`, and those of `meaning`."""
        matching = (matcher.model for _, matcher in self.fields if isinstance(matcher, Meaning))
        asked = (*(model for model, _ in self.panel), *((self.split,) if self.split else ()), *matching)
        return tuple(dict.fromkeys(asked))

    @property
    def version(self) -> str:
        """Content hash of the vote as it was declared: another hash is another policy."""
        return value_hash(
            {
                "v": 1,
                "panel": [[model_spec(model), float(weight)] for model, weight in self.panel],
                "rule": self.rule.spec(),
                "max": self.max,
                "fields": [[name, matcher.spec()] for name, matcher in self.fields],
                "whole": [list(names) for names in self.whole],
                "split": model_spec(self.split) if self.split is not None else None,
                "temperature": float(self.temperature),
                "family_discount": float(self.family_discount),
            }
        )

    def resolved(self, resolve: Callable[[Model], Model]) -> Vote:
        """The same vote with every role replaced by the model it stands for. Families are known from here on.

        Raises:
            LadderError: with the weights that models of one family share, the rule cannot be met within `max`.
        """
        panel = tuple((resolve(model), weight) for model, weight in self.panel)
        vote = _changed(
            self,
            panel=panel,
            weights=_weights(panel, self.family_discount),
            fields=tuple((name, resolved(matcher, resolve)) for name, matcher in self.fields),
            split=None if self.split is None else resolve(self.split),
        )
        _check_reachable(vote)
        return vote

    def bind(self, output: type[object]) -> Poll:
        """The poll that counts ballots of this output type.

        Raises:
            LadderError: a rule for a field that the type does not have, or that does not fit the field.
        """
        from .poll import Poll
        from .shape import shape_of

        return Poll(self, shape_of(output, dict(self.fields), self.whole))


def _changed(vote: Vote, **changes: object) -> Vote:
    """A copy, with other values for some of its fields, which need no check."""
    copy = object.__new__(Vote)
    for part in dataclass_fields(Vote):
        object.__setattr__(copy, part.name, changes.get(part.name, getattr(vote, part.name)))
    return copy


def _weights(panel: Sequence[tuple[Model, float]], discount: float) -> tuple[float, ...]:
    """The weights of the seats, after the family discount."""
    families = [family(model) for model, _ in panel]
    if None in families or len(set(families)) == 1:
        return tuple(weight for _, weight in panel)
    members: dict[str | None, set[tuple[str, str | None]]] = {}
    for mine, (model, _) in zip(families, panel, strict=True):
        members.setdefault(mine, set()).add(_asked(model))
    shared = [1 + (len(members[mine]) - 1) * discount for mine in families]
    return tuple(
        weight * share / len(members[mine])
        for mine, share, (_, weight) in zip(families, shared, panel, strict=True)
    )


def _asked(model: Model) -> tuple[str, str | None]:
    """Models that are equal in this are one model, whatever role led to it."""
    return model.name, model.api_base


def _panel(panel: Panel) -> tuple[tuple[Model, float], ...]:
    if isinstance(panel, str):
        raise LadderError(f"a vote is given {panel!r}, which is no model", hint=f"use Vote(Model({panel!r}))")
    if isinstance(panel, Model):
        pairs: list[tuple[Model, float]] = [(panel, 1.0)]
    elif isinstance(panel, Mapping):
        pairs = list(panel.items())
    elif not isinstance(panel, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise LadderError(
            f"a vote is given {_brief(panel)}, which is no model",
            hint='use Model("fast"), several in a list, or a mapping of models to their weights',
        )
    else:
        pairs = [(model, 1.0) for model in panel]
    if not pairs:
        raise LadderError("a vote has no models", hint='name at least one: Vote(Model("fast"))')
    for model, weight in pairs:
        if not isinstance(model, Model):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise LadderError(f"a vote is given {_brief(model)}, which is no model", hint='use Model("fast")')
        if not _is_number(weight) or weight <= 0:
            raise LadderError(
                f"a vote gives model {model.name!r} the weight {_brief(weight)}",
                hint="use a number above 0; leave a model out to give it no vote",
            )
    return tuple(pairs)


def _fields(fields: Mapping[str, Matcher]) -> tuple[tuple[str, Matcher], ...]:
    if not isinstance(fields, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise LadderError(
            f"a vote is given fields={_brief(fields)}",
            hint='use a mapping of fields to rules, such as {"score": within(abs=0.05)}',
        )
    for name, matcher in fields.items():
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise LadderError(
                f"a vote has a rule for {name!r}, which is no field",
                hint='name a field, a place such as "items[*].text", or "$" for a value without fields',
            )
        if not isinstance(matcher, Matcher):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise LadderError(
                f"a vote compares field {name!r} by {matcher!r}",
                hint="use exact, within(), meaning(), align() or follow",
            )
    return tuple(sorted(fields.items(), key=lambda pair: pair[0]))


def _whole(whole: Sequence[str] | Sequence[Sequence[str]]) -> tuple[tuple[str, ...], ...]:
    if isinstance(whole, str):
        raise LadderError(
            f"a vote is given whole={whole!r}",
            hint="name the fields that vote together, such as whole=('a', 'b')",
        )
    if not isinstance(whole, Sequence) or not all(isinstance(part, Sequence) for part in whole):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise LadderError(
            f"a vote is given whole={_brief(whole)}",
            hint="name the fields that vote together, such as whole=('a', 'b')",
        )
    if all(isinstance(part, str) for part in whole):
        groups = (tuple(cast("Sequence[str]", whole)),) if whole else ()
    else:
        groups = tuple((part,) if isinstance(part, str) else tuple(part) for part in whole)
    for names in groups:
        if len(names) < 2:
            raise LadderError(
                f"a vote is given the group {names!r} under whole=, which has nothing to vote together with",
                hint="name two fields or more",
            )
    return groups


def _check_limits(vote: Vote) -> None:
    if type(vote.max) is not int or not 1 <= vote.max <= _MOST_BALLOTS:
        raise LadderError(
            f"a vote is given max={vote.max!r}",
            hint=f"use a whole number of ballots from 1 to {_MOST_BALLOTS}",
        )
    if vote.rule.size is not None and vote.max < vote.rule.size:
        raise LadderError(
            f"a vote by {vote.rule} is given max={vote.max}, and counts {vote.rule.size} ballots",
            hint=f"use max={vote.rule.bound}, which leaves room for spoiled ballots, or at least {vote.rule.size}",
        )
    if not _is_number(vote.temperature) or not 0 < vote.temperature <= 2:
        raise LadderError(
            f"a vote is given temperature={vote.temperature!r}",
            hint="use a number above 0 and up to 2: samples that are all alike are no vote",
        )
    if not _is_number(vote.family_discount) or not 0 <= vote.family_discount <= 1:
        raise LadderError(
            f"a vote is given family_discount={vote.family_discount!r}",
            hint="use a share: 1 for no discount, 0 for one weight that a family shares",
        )
    if vote.split is not None and not isinstance(vote.split, Model):  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
        raise LadderError(
            f"a vote is given split={vote.split!r}, which is no model", hint='use Model("strong")'
        )


def _check_reachable(vote: Vote) -> None:
    counted = min(vote.max, vote.rule.size or vote.max)
    weight = math.fsum(vote.seat(ballot).weight for ballot in range(counted))
    if not vote.rule.wins([Group(weight, counted)], ()):
        raise LadderError(
            f"a vote by {vote.rule} could not be decided by {vote.max} ballots, even if all of them agreed "
            f"(they weigh {weight:g} together)",
            hint="raise max= or the weights, or ask for less",
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and -_MOST <= value <= _MOST


def _brief(value: object) -> str:
    """What was written, as far as it helps: a whole vote or a long number does not."""
    said = f"a {type(value).__name__}" if isinstance(value, Vote) else repr(value)
    return said if len(said) <= 80 else f"{said[:79]}…"
