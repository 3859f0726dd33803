"""The frozen nouns that travel through guardflow: models, requests, completions, attempts, outcomes.

Every layer above reads and makes them; none changes one in place. Nothing here does I/O.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Generic, Literal, TypeVar

from guardflow.agreement import Agreement
from guardflow.errors import ConfigError, StageEnded
from guardflow.hashing import JSON
from guardflow.kinds import Kind

OutT = TypeVar("OutT")

Status = Literal["ok", "degraded", "abstained", "over_budget", "waiting", "cancelled", "failed"]
Role = Literal["answer", "guard", "match", "split"]
"""Who asked: the stage itself, one of its guards, a vote's matcher, or a vote's tie-break."""
OutputMode = Literal["json_schema", "json", "tools", "text"]
"""How the model is asked for a typed answer: provider-enforced schema, JSON mode with the schema in the
prompt, a tool call (through instructor), or plain text."""
CacheMode = Literal["use", "off", "refresh", "only"]
Path = tuple[str | int, ...]
"""Where in a value: ``("quotes", 2, "text")``. The empty path is the whole value."""

NANO = 1_000_000_000
"""Money is counted in whole billionths of a US dollar, so that sums are exact in every database."""


@dataclass(frozen=True, slots=True)
class Price:
    """List price in US dollars per million tokens.

    ``cached_input`` is what the provider charges for input tokens it had cached; None means the full price.
    """

    input: float
    output: float
    cached_input: float | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model to ask: a role (``"fast"``, ``"strong"``, ``"judge"``) or a provider's model (``"openai/gpt-5-mini"``).

    Fields left at None come from settings, then from what is known about the model.

    Args:
        name: the role, or ``provider/model``.
        api_base: the URL of an OpenAI-compatible server.
        price: a `Price`, ``"free"``, or None where it must be looked up. Unknown is never free.
        output: how typed answers are asked for.
        max_tokens: the most tokens one answer may take, before any `grow`.
        context: the context window in tokens.
        temperature: what every request is sent with unless a rung changes it.
        timeout: seconds one request may take.
        rpm: requests a minute that its provider grants; None is not limited.
        tpm: tokens a minute, input and output together.
        concurrency: the most requests in flight; None finds out what the provider can take.
        hedge: whether a request that takes longer than most is sent a second time, and the first answer counts.
            None is False: a hedge is paid for.
        role: set on resolved models: the role that led here.
        asked: set on resolved models: what the stage named, for whoever records the request.
    """

    name: str
    api_base: str | None = None
    price: Price | Literal["free"] | None = None
    output: OutputMode | None = None
    max_tokens: int | None = None
    context: int | None = None
    temperature: float | None = None
    timeout: float | None = None
    rpm: int | None = None
    tpm: int | None = None
    concurrency: int | None = None
    hedge: bool | None = None
    role: str | None = None
    asked: Model | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        if self.api_base is not None:
            refuse_credentials(self.api_base, f"the api_base of the model {self.name!r}")
        for name, limit in (("rpm", self.rpm), ("tpm", self.tpm), ("concurrency", self.concurrency)):
            if limit is not None and (type(limit) is not int or limit < 1):
                raise ConfigError(
                    f"the model {self.name!r} is given {name}={limit!r}, so no request could ever be sent",
                    hint="use a whole number from 1, or leave it out for no limit",
                )
        if self.tpm is not None and self.max_tokens is not None and self.tpm < self.max_tokens:
            raise ConfigError(
                f"the model {self.name!r} is given tpm={self.tpm} and max_tokens={self.max_tokens}: one answer may "
                f"take more tokens than a whole minute allows",
                hint="raise tpm to what the provider grants, or lower max_tokens",
            )

    @property
    def provider(self) -> str:
        """The part before the first slash; the whole name for a role."""
        return self.name.split("/", 1)[0]


def refuse_credentials(address: str, what: str) -> None:
    """An address is stored and shown, so it holds no user and no password; with a key, they could not be sent either.

    Raises:
        ConfigError: it does.
    """
    if "@" in re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]:
        raise ConfigError(
            f"{what} holds a user or a password",
            hint="leave them out of the address; what the server checks is the provider's key, in its variable",
        )


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True)
class Schema:
    """The JSON schema an answer must fit. Made once per stage; ``hash`` is the schema's own content hash."""

    name: str
    json: Mapping[str, JSON]
    hash: str


@dataclass(frozen=True, slots=True)
class Request:
    """Exactly one request to one model. It never holds a key.

    ``hash`` identifies what was asked: it is taken with fencing delimiters replaced by a constant, so the
    ledger, the cache and cassettes find the call on any machine.
    """

    model: Model
    messages: tuple[Message, ...]
    schema: Schema | None
    max_tokens: int
    temperature: float | None
    sample: int
    hash: str
    timeout: float | None = None
    stage: str = ""
    """Who asks, for messages to people."""
    prompt_hash: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a request was made of, beside its messages: a recording finds the call by it on another machine."""

    model: Model
    """Resolved."""
    max_tokens: int
    temperature: float | None = None
    sample: int = 0
    schema: str | None = None
    """The schema's content hash."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request. ``cached_input`` is the part of ``input`` the provider had cached."""

    input: int = 0
    output: int = 0
    cached_input: int = 0

    @property
    def total(self) -> int:
        return self.input + self.output


@dataclass(frozen=True, slots=True)
class Completion:
    """A raw answer, as it came. Stored before it is used; never altered.

    ``text`` is the content, or the arguments of the tool call in ``tools`` mode. ``dropped`` names parameters
    that the model refused and that were left out. ``usage`` is None where the provider told nothing.
    """

    text: str | None
    refusal: str | None = None
    finish_reason: str | None = None
    usage: Usage | None = None
    model: str | None = None
    request_id: str | None = None
    dropped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """What a guard, or the schema, has against a value.

    Args:
        message: one sentence that the model can act on.
        at: where in the value.
        evidence: the offending text, if there is any. It is outside text: shown fenced, never rendered.
        expected: what would have been right, for schema findings.
        guard: the guard's name; filled in by the runner.
    """

    message: str
    at: Path = ()
    evidence: str | None = None
    expected: str | None = None
    guard: str | None = None

    def where(self) -> str:
        """The path as JSON path, ``$.quotes[2].text``; a key that is no plain name is quoted, ``$["a b"]``."""
        return "$" + "".join(
            f".{p}" if isinstance(p, str) and p.isidentifier() else f"[{json.dumps(p)}]" for p in self.at
        )


@dataclass(frozen=True, slots=True)
class CallKey:
    """A stage call within a run: the engine's step id, and the index inside a fan_out (-1 outside of one)."""

    run_id: str
    step: int
    item: int = -1


@dataclass(frozen=True, slots=True)
class Reservation:
    """What a request may cost at most: input estimate plus max_tokens, at list price.

    ``nano_usd`` is None where the price is unknown.
    """

    tokens: int
    nano_usd: int | None


@dataclass(frozen=True, slots=True)
class AttemptStart:
    """What is written before a request is sent."""

    key: CallKey
    round: int
    role: Role
    ballot: int
    n: int
    stage: str
    rung: str
    model: str
    request_hash: str
    prompt_hash: str
    reserved: Reservation
    started_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """What is written after a request: a completion, or the kind of error that came instead.

    ``nano_usd`` is the cost; None where the price is unknown. An abandoned request (cancelled, deadline) has
    neither completion nor kind and costs its reservation. ``cached`` answers cost 0. ``unsent`` says that storm
    control held the request back: none was made, none is counted, and waiting is of no use. ``dropped`` names
    parameters that the model refused with this answer, and that will be left out from now on. ``asked`` is known
    before; it stands here because only an answered request can be recorded.
    """

    ended_at: float
    completion: Completion | None = None
    kind: Kind | None = None
    error: str | None = None
    retry_after: float | None = None
    usage: Usage | None = None
    nano_usd: int | None = None
    cached: bool = False
    abandoned: bool = False
    unsent: bool = False
    dropped: tuple[str, ...] = ()
    asked: Asked | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a completion: None is accepted; else the kind and the findings that rejected it."""

    kind: Kind | None
    findings: tuple[Finding, ...] = ()
    note: str = ""
    """Such as ``repaired: fenced`` or ``dropped: temperature``."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One row of the ledger: one request, or one answer from the cache.

    ``end`` is None while it is in flight, or for ever if the process died meanwhile (*in doubt*: it counts at
    its reservation). ``superseded`` rows are history that the stage no longer follows.
    """

    id: int
    start: AttemptStart
    end: AttemptEnd | None = None
    verdict: Verdict | None = None
    superseded: bool = False

    @property
    def in_doubt(self) -> bool:
        return self.end is None

    @property
    def kind(self) -> Kind | None:
        """What failed, or None for an answer that was accepted (or not judged yet)."""
        if self.verdict is not None:
            return self.verdict.kind
        return self.end.kind if self.end is not None else None

    @property
    def nano_usd(self) -> int | None:
        """What it counts for: its cost, or its reservation while in doubt or when abandoned."""
        if self.end is None or self.end.abandoned:
            return self.start.reserved.nano_usd
        return self.end.nano_usd

    @property
    def tokens(self) -> int:
        """What it counts for in tokens."""
        if self.end is None or self.end.abandoned:
            return self.start.reserved.tokens
        return self.end.usage.total if self.end.usage is not None and not self.end.cached else 0

    @property
    def paid(self) -> bool:
        """Whether a request was sent (a cache hit was not, nor what storm control held back)."""
        return self.end is None or not (self.end.cached or self.end.unsent)


@dataclass(frozen=True, slots=True)
class Spend:
    """What attempts have cost together. ``unpriced`` counts requests whose price is unknown: they are not in
    ``nano_usd``, and never counted as 0. ``in_doubt`` is the part of ``nano_usd`` that is reserved, not known."""

    nano_usd: int = 0
    tokens: int = 0
    calls: int = 0
    unpriced: int = 0
    in_doubt: int = 0

    @property
    def usd(self) -> Decimal:
        return Decimal(self.nano_usd) / NANO

    def __add__(self, other: Spend) -> Spend:
        return Spend(
            self.nano_usd + other.nano_usd,
            self.tokens + other.tokens,
            self.calls + other.calls,
            self.unpriced + other.unpriced,
            self.in_doubt + other.in_doubt,
        )


@dataclass(frozen=True, slots=True)
class AttemptNote:
    """One line about an attempt, small enough to travel with every outcome."""

    n: int
    role: Role
    rung: str
    model: str
    kind: str | None
    tokens: int
    nano_usd: int | None
    cached: bool = False
    note: str = ""
    ballot: int = 0
    """Which ballot of a vote, from 0; -1 for what the ladder asked after a vote that decided nothing."""


@dataclass(frozen=True, slots=True)
class Outcome(Generic[OutT]):
    """How a stage call ended.

    ``value`` is there for ``ok`` and ``degraded`` only. ``kind`` and ``findings`` say why otherwise.
    ``attempts`` are those that got an answer or an error: ``spend.calls`` also counts what was cancelled in flight,
    such as ballots that were no longer needed. ``agreement`` is there when several ballots decided.
    """

    stage: str
    status: Status
    value: OutT | None = None
    kind: Kind | None = None
    message: str = ""
    findings: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    attempts: tuple[AttemptNote, ...] = ()
    spend: Spend = field(default_factory=Spend)
    agreement: Agreement | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a value (``degraded`` has one too)."""
        return self.status in ("ok", "degraded")

    def unwrap(self) -> OutT:
        """The value.

        Raises:
            StageEnded: there is none.
        """
        if self.status in ("ok", "degraded"):
            return self.value  # pyright: ignore[reportReturnType]  # a value is there by the status
        because = f" ({self.kind.name})" if self.kind is not None and self.kind.name else ""
        raise StageEnded(f"stage {self.stage!r} ended {self.status}{because}: {self.message}", outcome=self)
