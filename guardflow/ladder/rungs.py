"""The seven rungs: each is a condition, a number of uses, and a change to the next `Call`.

`guardflow.ladder.verbs` makes them. A rung is frozen data: it counts nothing itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from guardflow.errors import LadderError
from guardflow.kinds import Kind
from guardflow.ladder.reask import NO_ANSWER, Fence, reask_text
from guardflow.ladder.rung import Rung, kind_text
from guardflow.values import Message, Model

if TYPE_CHECKING:
    from guardflow.hashing import JSON
    from guardflow.ladder.call import Call, Failure


@dataclass(frozen=True, slots=True)
class Wait(Rung):
    """The same request again, after a pause. The call is unchanged, so its hash is too."""

    base: float
    cap: float

    verb = "wait"
    sensible = Kind.TRANSIENT | Kind.QUOTA
    because = "the same request again would get the same answer"

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        if not (math.isfinite(self.base) and math.isfinite(self.cap) and 0 < self.base <= self.cap):
            raise LadderError(
                f"wait() is given base={self.base!r} and cap={self.cap!r}",
                hint="use seconds with 0 < base <= cap, such as base=0.5, cap=30.0",
            )

    def fits(self, call: Call, failure: Failure) -> bool:
        return self.asked(failure.retry_after) <= self.cap

    def asked(self, retry_after: float | None) -> float:
        """The seconds a provider asked for; 0 where it asked for none, or for nonsense."""
        return retry_after if retry_after is not None and retry_after > 0 else 0.0

    def spec(self) -> dict[str, JSON]:
        return {**Rung.spec(self), "base": float(self.base), "cap": float(self.cap)}


@dataclass(frozen=True, slots=True)
class Grow(Rung):
    """More room for the answer."""

    factor: float
    limit: int | None

    verb = "grow"
    sensible = Kind.ANSWERABLE
    because = "more room for the answer changes nothing where there was no answer"

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        if not (math.isfinite(self.factor) and self.factor > 1):
            raise LadderError(f"grow() is given factor={self.factor!r}", hint="use a factor above 1")
        if self.limit is not None and self.limit < 1:
            raise LadderError(f"grow() is given limit={self.limit!r}", hint="use a number of tokens from 1")

    def fits(self, call: Call, failure: Failure) -> bool:
        return self._room(call) > call.max_tokens

    def apply(self, call: Call, failure: Failure, *, fence: Fence = str) -> Call:
        room = self._room(call)
        return replace(
            call, max_tokens=room, grown=call.grown * room / max(call.max_tokens, 1), rung=self.label
        )

    def _room(self, call: Call) -> int:
        bounds = [bound for bound in (self.limit, call.model.context) if bound is not None]
        return max(min([math.ceil(call.max_tokens * self.factor), *bounds]), call.max_tokens)

    def spec(self) -> dict[str, JSON]:
        return {**Rung.spec(self), "factor": float(self.factor), "limit": self.limit}

    def __str__(self) -> str:
        return f"grow({self.factor:g}, on={kind_text(self.on)}{_times(self)})"


@dataclass(frozen=True, slots=True)
class Shrink(Rung):
    """Less of the inputs that the prompt declares trimmable."""

    factor: float

    verb = "shrink"
    sensible = Kind.ANSWERABLE | Kind.CONTEXT
    because = "a shorter prompt changes nothing there"

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        if not 0 < self.factor < 1:
            raise LadderError(
                f"shrink() is given factor={self.factor!r}", hint="use the part to keep, between 0 and 1"
            )

    def fits(self, call: Call, failure: Failure) -> bool:
        return call.trimmable

    def apply(self, call: Call, failure: Failure, *, fence: Fence = str) -> Call:
        return replace(call, shrink=call.shrink * self.factor, rung=self.label)

    def spec(self) -> dict[str, JSON]:
        return {**Rung.spec(self), "factor": float(self.factor)}

    def __str__(self) -> str:
        return f"shrink({self.factor:g}, on={kind_text(self.on)}{_times(self)})"


@dataclass(frozen=True, slots=True)
class Reask(Rung):
    """The same model again, shown its last answer and what was wrong with it."""

    verb = "reask"
    sensible = Kind.ANSWERABLE
    because = "there is no answer to show the model there"

    def apply(self, call: Call, failure: Failure, *, fence: Fence = str) -> Call:
        bad = failure.text if failure.text and not failure.text.isspace() else NO_ANSWER
        ours = reask_text(failure.findings, kind=failure.kind, fence=fence)
        # Earlier turns are replaced, not extended: only the last bad answer is shown, the context cannot grow.
        turns = (Message("assistant", bad), Message("user", ours))
        return replace(call, turns=turns, findings=failure.findings, rung=self.label)


@dataclass(frozen=True, slots=True)
class Resample(Rung):
    """A fresh draw of the same prompt: neither the bad answer nor its findings are in the context."""

    temperature: float | None

    verb = "resample"
    sensible = Kind.ANSWERABLE
    because = "no answer was drawn there"

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        if self.temperature is not None and not 0 <= self.temperature <= 2:
            raise LadderError(
                f"resample() is given temperature={self.temperature!r}", hint="use 0 to 2, or leave it out"
            )

    def apply(self, call: Call, failure: Failure, *, fence: Fence = str) -> Call:
        warm = call.temperature if self.temperature is None else self.temperature
        return replace(call, turns=(), findings=(), sample=call.sample + 1, temperature=warm, rung=self.label)

    def spec(self) -> dict[str, JSON]:
        return {
            **Rung.spec(self),
            "temperature": None if self.temperature is None else float(self.temperature),
        }

    def __str__(self) -> str:
        warm = "" if self.temperature is None else f", temperature={self.temperature:g}"
        return f"resample({self.times}, on={kind_text(self.on)}{warm})"


@dataclass(frozen=True, slots=True)
class Rephrase(Rung):
    """A named variant of the prompt file, without the bad answer; its findings go along."""

    variant: str

    verb = "rephrase"
    sensible = Kind.ANSWERABLE | Kind.CONTEXT
    because = "other words change nothing there"

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        if not self.variant or self.variant.isspace():
            raise LadderError(
                f"rephrase() is given variant={self.variant!r}", hint="name a variant of the prompt file"
            )

    @property
    def label(self) -> str:
        return f"rephrase:{self.variant}"

    def fits(self, call: Call, failure: Failure) -> bool:
        return call.variant != self.variant or bool(call.turns)

    def apply(self, call: Call, failure: Failure, *, fence: Fence = str) -> Call:
        known = failure.findings or call.findings
        return replace(call, variant=self.variant, turns=(), findings=known, rung=self.label)

    def __str__(self) -> str:
        return f"rephrase({self.variant!r}, on={kind_text(self.on)}{_times(self)})"


@dataclass(frozen=True, slots=True)
class Switch(Rung):
    """Another model, which starts afresh: the findings go along, the conversation does not."""

    model: Model
    waits: int

    verb = "switch"
    sensible = Kind.ANSWERABLE | Kind.TRANSIENT | Kind.QUOTA | Kind.CONTEXT
    because = "another model would not help"

    def __post_init__(self) -> None:
        Rung.__post_init__(self)
        if type(self.waits) is not int or self.waits < 0:
            raise LadderError(
                f"switch() is given waits={self.waits!r}",
                hint="use how often the new model may be waited for",
            )

    @property
    def label(self) -> str:
        return f"switch:{self.model.role or self.model.name}"

    @property
    def requests(self) -> int:
        return self.times + self.waits

    def fits(self, call: Call, failure: Failure) -> bool:
        return (call.model.name, call.model.api_base) != (self.model.name, self.model.api_base)

    def apply(self, call: Call, failure: Failure, *, fence: Fence = str) -> Call:
        to = self.model
        room = call.max_tokens if to.max_tokens is None else math.ceil(to.max_tokens * call.grown)
        return replace(
            call,
            model=to,
            temperature=call.temperature if to.temperature is None else to.temperature,
            max_tokens=room if to.context is None else min(room, to.context),
            turns=(),
            findings=failure.findings or call.findings,
            rung=self.label,
        )

    def spec(self) -> dict[str, JSON]:
        to = self.model
        facts: dict[str, JSON] = {
            "name": to.name,
            "api_base": to.api_base,
            "output": to.output,
            "max_tokens": to.max_tokens,
            "temperature": to.temperature,
        }
        return {**Rung.spec(self), "model": facts, "waits": self.waits}

    def __str__(self) -> str:
        waits = f", waits={self.waits}" if self.waits else ""
        return f"switch({self.model.role or self.model.name!r}, on={kind_text(self.on)}{waits})"


def _times(rung: Rung) -> str:
    return "" if rung.times == 1 else f", times={rung.times}"
