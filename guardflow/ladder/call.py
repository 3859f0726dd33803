"""What the next request is made of, and what became of the last one.

Flow renders a `Call` into a `Request`; rungs change it by copy. Nothing here knows prompts or providers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardflow.kinds import Kind
    from guardflow.values import Finding, Message, Model


@dataclass(frozen=True, slots=True)
class Call:
    """The parts of a request that a rung may change. Every change is sticky.

    Args:
        model: whom to ask, resolved.
        variant: the named variant of the prompt file; None is the prompt itself.
        temperature: None leaves it to the provider.
        max_tokens: the most tokens the answer may take.
        shrink: the part of the trimmable inputs to keep, 1.0 is all of them.
        sample: the number of the draw; it enters the request hash, so that a fresh draw is a new request.
        turns: what follows the rendered prompt: the last bad answer and our words about it, or nothing.
        findings: what was held against the last answer. Where ``turns`` is empty, flow shows them after the
            prompt with `note_text`; otherwise the turns say it already.
        rung: the label of the rung that led here.
        grown: the product of all `grow` factors, so that a `switch` keeps the room an answer turned out to need.
        trimmable: whether the stage has inputs that `shrink` could trim at all.
    """

    model: Model
    variant: str | None
    temperature: float | None
    max_tokens: int
    shrink: float = 1.0
    sample: int = 0
    turns: tuple[Message, ...] = ()
    findings: tuple[Finding, ...] = ()
    rung: str = "start"
    grown: float = 1.0
    trimmable: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """Why the last request has to be followed by another.

    Args:
        kind: what failed, one single kind.
        text: the answer that failed; None where there was none.
        findings: what the schema or the guards had against it.
        retry_after: seconds the provider asked us to wait. Infinity says that waiting is of no use (an open
            breaker): every `wait` rung is passed over then.
    """

    kind: Kind
    text: str | None = None
    findings: tuple[Finding, ...] = ()
    retry_after: float | None = None
