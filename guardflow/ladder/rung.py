"""`Rung`: what all rungs of a ladder have in common, and the checks that keep a rung from being useless.

The seven rungs derive from it; ladders and `next_move` know nothing else of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from guardflow.errors import LadderError
from guardflow.kinds import Kind
from guardflow.ladder.reask import Fence

if TYPE_CHECKING:
    from guardflow.hashing import JSON
    from guardflow.ladder.call import Call, Failure

_GROUPS = (Kind.ANSWERABLE, Kind.TRANSIENT, Kind.INVALID, Kind.BLOCKED)


def kind_text(kind: Kind) -> str:
    """The kinds as code would write them, by their groups where it can: ``INVALID | GUARD``."""
    names: list[str] = []
    for group in (*_GROUPS, *kind):
        if group in kind:
            names.append(str(group.name))
            kind &= ~group
    return " | ".join(names)


@dataclass(frozen=True, slots=True)
class Rung:
    """What every rung has. Make rungs with the functions below.

    Args:
        on: the kinds of failure it answers to.
        times: how often it may be used in one climb.
    """

    on: Kind
    times: int

    verb: ClassVar[str]
    sensible: ClassVar[Kind]
    because: ClassVar[str]

    def __post_init__(self) -> None:
        if type(self.times) is not int or self.times < 1:
            raise LadderError(
                f"{self.verb}() is given times={self.times!r}",
                hint="use a whole number from 1; leave the rung out to never use it",
            )
        if not isinstance(self.on, Kind) or not self.on:  # pyright: ignore[reportUnnecessaryIsInstance]  # untyped callers
            raise LadderError(
                f"{self.verb}() is given on={self.on!r}, so it could never be used",
                hint="name the kinds it answers to, such as on=Kind.INVALID | Kind.GUARD",
            )
        if fatal := self.on & Kind.FATAL:
            raise LadderError(
                f"{self.verb}() is to answer {kind_text(fatal)}, which another request cannot mend",
                hint="take it out of on=; such a stage fails at once, and no fallback hides it",
            )
        if self.on & Kind.BUDGET:
            raise LadderError(
                f"{self.verb}() is to answer BUDGET, but a spent budget allows no other request",
                hint="take it out of on=; otherwise= sees it",
            )
        if odd := self.on & ~self.sensible:
            raise LadderError(
                f"{self.verb}() is to answer {kind_text(odd)}, but {self.because}",
                hint=f"take it out of on=, which may hold {kind_text(self.sensible)}",
            )

    @property
    def label(self) -> str:
        """How attempts name it: ``reask``, ``rephrase:strict``, ``switch:strong``."""
        return self.verb

    @property
    def requests(self) -> int:
        """The most requests it can add to a climb."""
        return self.times

    def fits(self, call: Call, failure: Failure) -> bool:
        """Whether it would change anything for this call; a rung that would not is passed over."""
        return True

    def apply(self, call: Call, failure: Failure, *, fence: Fence = str) -> Call:
        """The call after this move; ``rung`` is set to the label.

        Args:
            call: what failed.
            failure: how it failed.
            fence: wraps evidence in the re-ask text.
        """
        return replace(call, rung=self.label)

    def spec(self) -> dict[str, JSON]:
        """The rung as JSON, for `Ladder.version`. Kinds by name: their numbers may change."""
        names = sorted(str(kind.name) for kind in self.on)
        return {"rung": self.label, "on": names, "times": self.times}

    def __str__(self) -> str:
        return f"{self.verb}({self.times}, on={kind_text(self.on)})"
