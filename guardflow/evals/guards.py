"""How good guards are: their findings on labelled cases, counted, as precision and recall.

``guardflow eval guards`` prints it. A case is right if the guard finds anything exactly where it should.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import cast

from guardflow.errors import GuardflowError, UsageError
from guardflow.evals.labels import Case, Split
from guardflow.guards import Asker, Guard, GuardContext, kit
from guardflow.stats import Interval, wilson

AnyGuard = Guard[object, object]
Factory = Callable[..., AnyGuard]


@dataclass(frozen=True, slots=True)
class GuardScore:
    """What a guard did on the cases of one split. Counts are of cases."""

    guard: str
    split: Split
    right_findings: int = 0
    wrong_findings: int = 0
    missed: int = 0
    right_passes: int = 0
    wrong: tuple[str, ...] = field(default=(), repr=False)
    """The ids of the cases it got wrong."""

    @property
    def cases(self) -> int:
        """How many there were."""
        return self.right_findings + self.wrong_findings + self.missed + self.right_passes

    @property
    def precision(self) -> float | None:
        """How many of its findings are right; None if it found nothing."""
        found = self.right_findings + self.wrong_findings
        return self.right_findings / found if found else None

    @property
    def recall(self) -> float | None:
        """How much of what it should find it finds; None if there was nothing to find."""
        there = self.right_findings + self.missed
        return self.right_findings / there if there else None

    @property
    def precision_interval(self) -> Interval:
        """Wilson's interval at 95 %."""
        return wilson(self.right_findings, self.right_findings + self.wrong_findings)

    @property
    def recall_interval(self) -> Interval:
        """Wilson's interval at 95 %."""
        return wilson(self.right_findings, self.right_findings + self.missed)


async def evaluate_guards(
    cases: Iterable[Case], *, guard: str | None = None, ask: Asker | None = None
) -> list[GuardScore]:
    """Run guards on labelled cases.

    Args:
        cases: see `load_cases`.
        guard: the guard for every case, a name of the kit or ``module:name``; None is the one each case names.
        ask: answers guards that ask a model; without it their cases are an error.

    Returns:
        One score for each guard and split, in the order of the cases.

    Raises:
        UsageError: a guard does not exist, cannot be made, or crashes.
    """
    made: dict[str, AnyGuard] = {}
    scores: dict[tuple[str, Split], list[tuple[Case, bool]]] = {}
    for case in cases:
        named = guard or case.guard
        key = f"{named} {case.args!r} {case.options!r}"
        if key not in made:
            made[key] = _make(named, case)
        found = await _finds(made[key], case, ask)
        scores.setdefault((named, case.split), []).append((case, found))
    return [_score(name, split, results) for (name, split), results in scores.items()]


async def _finds(guard: AnyGuard, case: Case, ask: Asker | None) -> bool:
    context = GuardContext[object](case.input, stage="eval", ask=ask).for_guard(guard.name, asks=guard.asks)
    try:
        return [finding async for finding in guard(case.answer, context)] != []
    except GuardflowError:
        raise
    except Exception as error:
        raise UsageError(
            f"guard {guard.name!r} crashed on case {case.id!r} with {type(error).__name__}: {error}",
            hint="mend the guard, or the case",
        ) from error


def _score(guard: str, split: Split, results: list[tuple[Case, bool]]) -> GuardScore:
    return GuardScore(
        guard,
        split,
        right_findings=sum(found and case.found for case, found in results),
        wrong_findings=sum(found and not case.found for case, found in results),
        missed=sum(case.found and not found for case, found in results),
        right_passes=sum(not found and not case.found for case, found in results),
        wrong=tuple(case.id for case, found in results if found != case.found),
    )


# --- guards by name -------------------------------------------------------------------------------------------


def _rules(rules: Mapping[str, Mapping[str, object]]) -> AnyGuard:
    made = {path: cast("Callable[..., kit.Rule]", kit.Rule)(**rule) for path, rule in rules.items()}
    return kit.json_rules(made)


_FROM_JSON: dict[str, Factory] = {"json_rules": _rules}
"""Guards of the kit whose arguments are not JSON; every other name is looked up in the kit itself."""


def _make(named: str, case: Case) -> AnyGuard:
    found = _named(named, case)
    if isinstance(found, Guard):
        if case.args or case.options:
            raise UsageError(f"{named!r} takes no options, which case {case.id!r} has", hint="leave them out")
        return cast("AnyGuard", found)
    if not callable(found):
        raise UsageError(f"{named!r} is no guard and makes none", hint="name a guard, or a function of one")
    try:
        made = found(*case.args, **case.options)
    except TypeError as error:
        raise UsageError(
            f"guard {named!r} cannot be made as case {case.id!r} says: {error}", hint="mend args and options"
        ) from None
    if not isinstance(made, Guard):
        raise UsageError(f"{named!r} makes a {type(made).__name__}, not a guard", hint="name a guard")
    return cast("AnyGuard", made)


def _named(named: str, case: Case) -> object:
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
