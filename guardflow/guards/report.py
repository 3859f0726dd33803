"""What of a guard's findings is passed on: signed, ordered by severity, and cut to size.

The runner uses it for everything it returns or raises, so that no answer can flood the re-ask, the ledger or a log.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from guardflow.errors import GuardCrashed
from guardflow.guards.context import GuardContext
from guardflow.guards.core import Action, GuardUse
from guardflow.values import Finding

OutT = TypeVar("OutT")
InT = TypeVar("InT")

SHOWN = 50
"""Findings of one guard that are passed on."""
TEXT = 500
"""Characters of a finding's message, evidence and expectation, and of a path's part, that are passed on."""
LEVELS: tuple[Action, ...] = ("error", "refuse", "reject", "fix", "drop", "warn")
"""The actions, most severe first."""

FoundByUse = list[Sequence[Finding]]
"""What each use's guard found, in the order of the uses."""


def all_shown(uses: Sequence[GuardUse[OutT, InT]], found: FoundByUse) -> tuple[Finding, ...]:
    """Every finding that is more than a warning, by severity, then in the order of the guards."""
    return tuple(f for action in LEVELS[:-1] for f in shown(uses, found, action))


def shown(uses: Sequence[GuardUse[OutT, InT]], found: FoundByUse, action: Action) -> tuple[Finding, ...]:
    """The findings of one action, signed with the guard's name and cut to size."""
    passed_on: list[Finding] = []
    for use, some in zip(uses, found, strict=True):
        if not some or use.action != action:
            continue
        name = use.guard.name
        passed_on += (show(f, signature(use, f)) for f in some[:SHOWN])
        if len(some) > SHOWN:
            passed_on.append(Finding(f"there is more of this; only the first {SHOWN} are listed", guard=name))
    return tuple(passed_on)


def signature(use: GuardUse[OutT, InT], finding: Finding) -> str:
    """Whose finding it is: the guard's, or the part's that found it in a composed guard."""
    return (finding.guard if use.guard.parts else None) or use.guard.name


def show(finding: Finding, guard: str | None) -> Finding:
    """The finding as it is passed on."""
    return Finding(
        cut(finding.message),
        at=tuple(cut(part) if isinstance(part, str) else part for part in finding.at),
        evidence=None if finding.evidence is None else cut(finding.evidence),
        expected=None if finding.expected is None else cut(finding.expected),
        guard=guard or finding.guard,
    )


def cut(text: str) -> str:
    """At most `TEXT` characters of a text."""
    return text if len(text) <= TEXT else text[: TEXT - 1] + "…"


def crashed(use: GuardUse[OutT, InT], ctx: GuardContext[InT], error: Exception) -> GuardCrashed:
    """The error of a guard whose code, or whose repair, raised."""
    return GuardCrashed(
        f"guard {use.guard.name!r} of stage {ctx.stage!r} crashed with {type(error).__name__}: {cut(str(error))}",
        hint="mend the guard; an answer that could not be checked is never passed on",
    )
