"""Guards by name: what a labelled case says, made into the guard it means. Arguments are JSON, and nothing is run.

`guardflow.evals.guards` counts what these guards find; `guardflow.evals.asking` lets those ask that ask a model.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import cast

from pydantic import TypeAdapter, ValidationError

from guardflow.errors import UsageError
from guardflow.evals.labels import Case
from guardflow.guards import Guard, kit
from guardflow.values import Model

AnyGuard = Guard[object, object]
Factory = Callable[..., AnyGuard]


@dataclass(frozen=True, slots=True)
class Guarded:
    """A case, which names its guard, and that guard."""

    case: Case
    guard: AnyGuard

    @property
    def asks(self) -> bool:
        """Whether the guard may ask a model."""
        return self.guard.asks > 0


def guarded(cases: Iterable[Case], *, guard: str | None = None) -> list[Guarded]:
    """Each case with its guard, made as the case says.

    Args:
        cases: see `load_cases`.
        guard: the guard for every case, a name of the kit or ``module:name``; None is the one each case names.

    Raises:
        UsageError: a guard does not exist or cannot be made.
    """
    made: dict[str, AnyGuard] = {}
    ready: list[Guarded] = []
    for given in cases:
        case = given.model_copy(update={"guard": guard}) if guard else given
        key = f"{case.guard} {case.args!r} {case.options!r}"
        if key not in made:
            made[key] = _make(case)
        ready.append(Guarded(case, made[key]))
    return ready


def _make(case: Case) -> AnyGuard:
    named = case.guard
    found = _named(case)
    if isinstance(found, Guard):
        if case.args or case.options:
            raise UsageError(f"{named!r} takes no options, which case {case.id!r} has", hint="leave them out")
        return cast("AnyGuard", found)
    if not callable(found):
        raise UsageError(f"{named!r} is no guard and makes none", hint="name a guard, or a function of one")
    try:
        made = found(*case.args, **case.options)
    except (TypeError, ValidationError) as error:
        raise UsageError(
            f"guard {named!r} cannot be made as case {case.id!r} says: {_why(error)}",
            hint="mend args and options",
        ) from None
    if not isinstance(made, Guard):
        raise UsageError(f"{named!r} makes a {type(made).__name__}, not a guard", hint="name a guard")
    return cast("AnyGuard", made)


def _why(error: TypeError | ValidationError) -> str:
    if isinstance(error, TypeError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


def _named(case: Case) -> object:
    named = case.guard
    if not named:
        raise UsageError(f"case {case.id!r} names no guard", hint="name one in it, or with --guard")
    module, colon, name = named.partition(":")
    if not colon:
        if named in _FROM_JSON:
            return _FROM_JSON[named]
        if named not in kit.__all__:
            raise UsageError(f"the kit has no guard {named!r}", hint="name your own as module:name")
        return getattr(kit, named)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise UsageError(f"guard {named!r} cannot be loaded: {error}", hint="write module:name") from None


# --- guards of the kit whose arguments are not JSON -------------------------------------------------------------

_CRITERIA = TypeAdapter(tuple[kit.Criterion, ...])


def _rules(rules: Mapping[str, Mapping[str, object]]) -> AnyGuard:
    made = {path: cast("Callable[..., kit.Rule]", kit.Rule)(**rule) for path, rule in rules.items()}
    return kit.json_rules(made)


def _judged(rubric: object, **options: object) -> AnyGuard:
    return cast("Factory", kit.judged)(_CRITERIA.validate_python(rubric), **_with_model(options))


def _grounded(*args: object, **options: object) -> AnyGuard:
    return cast("Factory", kit.grounded)(*args, **_with_model(options))


def _with_model(options: Mapping[str, object]) -> dict[str, object]:
    named = options.get("model")
    return {**options, "model": Model(named)} if isinstance(named, str) else dict(options)


_FROM_JSON: dict[str, Factory] = {"grounded": _grounded, "judged": _judged, "json_rules": _rules}
"""Every other name is looked up in the kit itself."""
