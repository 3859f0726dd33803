"""What each profile's model stages do about a failed answer. Only the first stage has ladders of its own.

``quick`` asks once and falls back, because a small model does not get better by being asked again; the others climb.
"""

from __future__ import annotations

from guardflow import Kind, Ladder, Model, degrade, grow, reask, resample, switch, wait

from .types import Profile

FAST, STRONG, JUDGE = Model("fast"), Model("strong"), Model("judge")

_LEAN = Ladder(
    wait(2, on=Kind.TRANSIENT),
    switch(STRONG, on=Kind.ANSWERABLE | Kind.TRANSIENT | Kind.QUOTA),
    otherwise=degrade(),
)
_CAREFUL = Ladder(
    wait(3, on=Kind.TRANSIENT),
    grow(2.0, on=Kind.TRUNCATED),
    reask(1, on=Kind.INVALID | Kind.GUARD),
    resample(1, on=Kind.BLOCKED, temperature=0.7),
    switch(STRONG, on=Kind.ANSWERABLE | Kind.TRANSIENT | Kind.QUOTA, waits=1),
    otherwise=degrade(),
)
LADDERS: dict[Profile, Ladder] = {"quick": _LEAN, "standard": _CAREFUL, "deep": _CAREFUL}
"""Every stage has a fallback, so that each of them ends with `degrade`."""

FIRST_LADDERS: dict[Profile, Ladder] = {
    profile: Ladder(
        wait(1, on=Kind.CONNECTION),
        wait(2 if profile == "quick" else 3, on=Kind.RATE_LIMIT | Kind.TIMEOUT | Kind.OVERLOADED),
        *(rung for rung in ladder.rungs if not rung.on & Kind.CONNECTION),
        otherwise=degrade(unless=Kind.CONNECTION),
    )
    for profile, ladder in LADDERS.items()
}
"""For the first request of a run, which asks the strongest model: one that cannot even be reached ends the run soon,
before anybody waits for it in every stage. A resume asks again."""
