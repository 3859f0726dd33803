"""How good guards are: their findings on labelled cases, counted, as precision and recall.

``guardflow eval guards`` prints it. A case is right if the guard finds anything exactly where it should.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from guardflow.errors import GuardflowError, ModelCallError, UsageError
from guardflow.evals.labels import Case, Split
from guardflow.evals.named import Guarded, guarded
from guardflow.guards import Asker, GuardContext
from guardflow.kinds import Kind
from guardflow.stats import Interval, wilson

Seen = Literal["found", "passed", "unusable"]
"""What came of a case. ``unusable``: the guard asked a model, which was reached and gave no judgement to rest on."""

_UNUSABLE = Kind.ANSWERABLE | Kind.CONTEXT
"""How questions of guards fail when the model was reached and could not do it. Any other failure is no verdict on
anybody: nobody was asked."""


@dataclass(frozen=True, slots=True)
class GuardScore:
    """What a guard did on the cases of one split. Counts are of cases.

    A guard that asks a model may get a judgement that cannot be used: twice a quote that is not in the text, a
    criterion left out, no JSON, a refusal. Such a case is neither found nor passed. It does not touch precision,
    which is about findings; it counts against recall if there was something to find, since nothing was found.

    Attributes:
        asks: whether the guard asked a model; the same guard without one is scored apart.
        unusable_faults: cases with something to find, and no usable judgement.
        unusable_clean: cases with nothing to find, and no usable judgement.
        wrong: the ids of the cases it got wrong.
        unusable: the ids of the cases without a usable judgement.
    """

    guard: str
    split: Split
    right_findings: int = 0
    wrong_findings: int = 0
    missed: int = 0
    right_passes: int = 0
    wrong: tuple[str, ...] = field(default=(), repr=False)
    asks: bool = False
    unusable_faults: int = 0
    unusable_clean: int = 0
    unusable: tuple[str, ...] = field(default=(), repr=False)

    @property
    def cases(self) -> int:
        """How many there were."""
        return self.findings + self.missed + self.right_passes + self.unusable_faults + self.unusable_clean

    @property
    def findings(self) -> int:
        """In how many it found something: what precision is a share of."""
        return self.right_findings + self.wrong_findings

    @property
    def faults(self) -> int:
        """In how many there was something to find: what recall is a share of."""
        return self.right_findings + self.missed + self.unusable_faults

    @property
    def precision(self) -> float | None:
        """How many of its findings are right; None if it found nothing."""
        return self.right_findings / self.findings if self.findings else None

    @property
    def recall(self) -> float | None:
        """How much of what it should find it finds; None if there was nothing to find."""
        return self.right_findings / self.faults if self.faults else None

    @property
    def precision_interval(self) -> Interval:
        """Wilson's interval at 95 %."""
        return wilson(self.right_findings, self.findings)

    @property
    def recall_interval(self) -> Interval:
        """Wilson's interval at 95 %."""
        return wilson(self.right_findings, self.faults)


async def evaluate_guards(
    cases: Iterable[Case], *, guard: str | None = None, ask: Asker | None = None
) -> list[GuardScore]:
    """Run guards on labelled cases, one after the other.

    Args:
        cases: see `load_cases`.
        guard: the guard for every case, a name of the kit or ``module:name``; None is the one each case names.
        ask: answers guards that ask a model; without it their cases are an error.

    Returns:
        One score for each guard and split, in the order of the cases; a guard with a model apart from the same
        one without.

    Raises:
        UsageError: a guard does not exist, cannot be made, or crashes.
        ModelCallError: a guard's model could not be reached: that is no verdict on the guard.
    """
    return scores([(one, await look(one, ask)) for one in guarded(cases, guard=guard)])


async def look(one: Guarded, ask: Asker | None = None) -> Seen:
    """What the guard does with its case.

    Raises:
        UsageError: it crashes.
        ModelCallError: its model could not be reached.
    """
    guard, case = one.guard, one.case
    context = GuardContext[object](case.input, stage="eval", ask=ask).for_guard(guard.name, asks=guard.asks)
    try:
        found = [finding async for finding in guard(case.answer, context)]
    except ModelCallError as error:
        if error.kind is not None and error.kind & _UNUSABLE:
            return "unusable"
        raise
    except GuardflowError:
        raise
    except Exception as error:
        raise UsageError(
            f"guard {guard.name!r} crashed on case {case.id!r} with {type(error).__name__}: {error}",
            hint="mend the guard, or the case",
        ) from error
    return "found" if found else "passed"


def scores(results: Iterable[tuple[Guarded, Seen]]) -> list[GuardScore]:
    """Results counted by guard, with a model or without, and split."""
    groups: dict[tuple[str, bool, Split], list[tuple[Case, Seen]]] = {}
    for one, seen in results:
        groups.setdefault((one.case.guard, one.asks, one.case.split), []).append((one.case, seen))
    return [_score(name, split, group, asks=asks) for (name, asks, split), group in groups.items()]


def _score(guard: str, split: Split, results: list[tuple[Case, Seen]], *, asks: bool) -> GuardScore:
    of = Counter((case.found, seen) for case, seen in results)
    return GuardScore(
        guard,
        split,
        right_findings=of[True, "found"],
        wrong_findings=of[False, "found"],
        missed=of[True, "passed"],
        right_passes=of[False, "passed"],
        wrong=tuple(case.id for case, seen in results if seen == ("passed" if case.found else "found")),
        asks=asks,
        unusable_faults=of[True, "unusable"],
        unusable_clean=of[False, "unusable"],
        unusable=tuple(case.id for case, seen in results if seen == "unusable"),
    )
