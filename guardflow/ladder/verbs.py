"""The lower-case words that ladders are written with: ``wait(4)``, ``reask(2, on=Kind.GUARD)``.

Each makes one rung; what a rung does is in `guardflow.ladder.rungs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardflow.kinds import Kind
from guardflow.ladder.rungs import Grow, Reask, Rephrase, Resample, Shrink, Switch, Wait

if TYPE_CHECKING:
    from guardflow.values import Model


def wait(times: int = 1, *, on: Kind = Kind.TRANSIENT, base: float = 0.5, cap: float = 30.0) -> Wait:
    """Send the same request again after a pause with full jitter; Retry-After is the least pause.

    Args:
        times: how often, on the first model (`switch` says how often on its own).
        on: transient kinds, and QUOTA where it refills soon.
        base: seconds the first pause takes at most; doubled each time.
        cap: seconds no pause exceeds. A provider that asks for more is not waited for: the rung does not
            match, and the ladder moves on.
    """
    return Wait(on=on, times=times, base=base, cap=cap)


def grow(factor: float = 2.0, *, on: Kind = Kind.TRUNCATED, times: int = 1, limit: int | None = None) -> Grow:
    """Give the answer ``factor`` times the tokens, up to ``limit`` and the model's context.

    A cut-off answer needs room, not criticism, so put this above `reask`. Where there is no more room to
    give, it does not match.
    """
    return Grow(on=on, times=times, factor=factor, limit=limit)


def shrink(factor: float = 0.7, *, on: Kind = Kind.CONTEXT, times: int = 1) -> Shrink:
    """Keep ``factor`` of the inputs declared trimmable. A stage that declares none passes it over."""
    return Shrink(on=on, times=times, factor=factor)


def reask(times: int = 1, *, on: Kind) -> Reask:
    """Show the same model its last answer and the findings, and ask again."""
    return Reask(on=on, times=times)


def resample(times: int = 1, *, on: Kind, temperature: float | None = None) -> Resample:
    """Draw afresh, without the bad answer in the context, at ``temperature`` if it is given."""
    return Resample(on=on, times=times, temperature=temperature)


def rephrase(variant: str, *, on: Kind, times: int = 1) -> Rephrase:
    """Ask with the variant ``variant`` of the prompt file, and the findings."""
    return Rephrase(on=on, times=times, variant=variant)


def switch(model: Model, *, on: Kind, waits: int = 0) -> Switch:
    """Ask another model, once, with the findings but without the conversation.

    Args:
        model: the model or role to go on with. Where the call is on that model already, it does not match.
        on: QUOTA, transient kinds, anything answerable.
        waits: how often the ladder's `wait` rungs may be used on the new model, all together.
    """
    return Switch(on=on, times=1, model=model, waits=waits)
