"""`LLMStage`: a stage whose output a model writes, and which is never trusted before it has passed its guards.

This file is the declaration and what is prepared once; ``climb.py`` is what happens in a call.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar, cast

from guardflow.budget import Budget
from guardflow.errors import LadderError, PromptError, StageError
from guardflow.guards import GuardUse
from guardflow.hashing import value_hash
from guardflow.ladder import DEFAULT_LADDER, Call, Ladder, Rephrase, Shrink, note_text
from guardflow.prompts import Prompt, variables_of
from guardflow.values import Attempt, CallKey, Finding, Message, Model, Request
from guardflow.vote import Vote

from .climb import Climb
from .codec import Codec
from .question import Question, fence_evidence, request_hash
from .scope import Scope, Services
from .stage import Performed, Stage, check_name, check_time_reserve

if TYPE_CHECKING:
    from guardflow.vote import Poll

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)
T = TypeVar("T")


class LLMStage(Stage[In, Out]):
    """A stage whose output is a model's answer.

    Args:
        name: the stable name in checkpoints.
        input: the input type; its fields are the prompt's variables (a scalar is the variable ``input``).
        output: the output type: a pydantic model, a dataclass, or ``str`` for plain text.
        prompt: the prompt file's name, such as ``"qa/plan"``, or a `Prompt`.
        model: whom to ask: a role or a provider's model, or a `Vote` among several; the prompt's own by default.
        ladder: what to do when an answer fails.
        guards: uses of guards, such as ``[quotes_are_verbatim.reject()]``.
        fallback: what `degrade()` uses: ``(input, findings) -> output``, free of charge, and guarded too.
        timeout: seconds a call of the stage may take, pauses included.
        time_reserve: share of the run's seconds, from 0 to below 1, that its calls leave for what follows: one that
            would go on longer is cut off, and ends as if the run's seconds were used up. Without a budget of seconds
            it means nothing.
        budget: what one call of the stage may spend, inside the run's own budget.
        temperature: for every request that no rung changes; else the prompt's, else the model's.
        max_tokens: likewise.

    Raises:
        StageError: the output type is not a class, a type cannot be JSON, or ``time_reserve`` is no share.
        LadderError: the ladder degrades, and there is no fallback; or the vote does not fit the output type.
    """

    def __init__(
        self,
        name: str,
        input: type[In],
        output: type[Out],
        *,
        prompt: str | Prompt,
        model: Model | Vote | None = None,
        ladder: Ladder = DEFAULT_LADDER,
        guards: Sequence[GuardUse[Out, In]] = (),
        fallback: Callable[[In, tuple[Finding, ...]], Out | Awaitable[Out]] | None = None,
        timeout: float | None = None,
        time_reserve: float = 0.0,
        budget: Budget | None = None,
        temperature: float | None = None,
        max_tokens: int | None = None,
    ) -> None:
        owner = f"stage {check_name(name, 'stage')!r}"
        self.question = Question.of(cast("type[object]", output), owner=owner)
        super().__init__(name, input=Codec(input, owner=owner), output=Codec(output, owner=owner))
        if ladder.otherwise.action == "degrade" and fallback is None:
            raise LadderError(
                f"{owner} has otherwise=degrade() and no fallback",
                hint="give it fallback=, or use abstain() or park()",
            )
        self.prompt = prompt
        self.model = model if isinstance(model, Model) else None
        self.vote = model if isinstance(model, Vote) else None
        if model is not None and self.model is None and self.vote is None:
            raise StageError(
                f"{owner} has model={model!r}, which is neither a model nor a vote",
                hint='use Model("fast"), or Vote(Model("fast"))',
            )
        if self.vote is not None:
            self.vote.bind(cast("type[object]", output))  # whether it fits, before anything is spent
        self.ladder = ladder
        self.guards = cast("tuple[GuardUse[object, object], ...]", tuple(guards))
        self.fallback = cast("Callable[[object, tuple[Finding, ...]], object] | None", fallback)
        self.timeout = timeout
        self.time_reserve = check_time_reserve(time_reserve, owner)
        self.budget = budget
        self.temperature = temperature
        self.max_tokens = max_tokens
        self.checks = value_hash(
            [
                self.question.schema.hash if self.question.schema is not None else "",
                ladder.version,
                [use.identity for use in self.guards],
                *([self.vote.version] if self.vote is not None else []),
            ]
        )
        self._ready: dict[tuple[Prompt, tuple[Model, ...]], tuple[Ladder, Ballots | None]] = {}

    def prepare(self, services: Services) -> Prepared:
        """Everything about a call that does not depend on its input, checked before anything is spent.

        Raises:
            PromptError, ConfigError: the prompt or a model cannot be used.
            LadderError: the vote cannot be decided by what its models turned out to be.
        """
        vote = self.vote
        prompt = services.prompts.load(self.prompt) if isinstance(self.prompt, str) else self.prompt
        asked = self.model or (Model(prompt.model) if prompt.model is not None else None)
        if vote is not None:
            asked = vote.seat(0).model
        if asked is None:
            raise StageError(
                f"stage {self.name!r} names no model, and neither does its prompt {prompt.name!r}",
                hint="give the stage model=, or the prompt file a `model:`",
            )
        resolve = services.models.resolve
        model = resolve(asked)
        models = (model, *map(resolve, (*self.ladder.models, *(vote.models if vote is not None else ()))))
        ready = self._ready.get((prompt, models))
        if ready is None:
            prompt.check(self.input.kind)
            ladder = self.ladder.resolved(resolve)
            ballots = self._ballots(vote.resolved(resolve), ladder) if vote is not None else None
            self._check_rungs(prompt)
            ready = self._ready.setdefault((prompt, models), (ladder, ballots))
        return Prepared(cast("LLMStage[object, object]", self), prompt, model, *ready)

    def _ballots(self, vote: Vote, ladder: Ladder) -> Ballots:
        return Ballots(vote, vote.bind(self.output.kind), ladder.ballot)

    def _check_rungs(self, prompt: Prompt) -> None:
        for rung in self.ladder.rungs:
            if isinstance(rung, Rephrase) and rung.variant not in prompt.variants:
                have = ", ".join(map(repr, prompt.variants)) or "none"
                raise PromptError(
                    f"stage {self.name!r} rephrases to variant {rung.variant!r}, which prompt {prompt.name!r} "
                    f"does not have (it has {have})",
                    hint="add it under `variants:` in the prompt file",
                )
            if isinstance(rung, Shrink) and not prompt.trim and self.ladder is not DEFAULT_LADDER:
                raise PromptError(
                    f"stage {self.name!r} has a shrink rung, and prompt {prompt.name!r} declares nothing to trim",
                    hint="name the inputs that may be cut under `trim:` in the prompt file",
                )

    async def perform(
        self, scope: Scope, key: CallKey, value: object, history: Sequence[Attempt]
    ) -> Performed:
        prepared = self.prepare(scope.services)
        scope.services.models.warm(prepared.model)  # an embedded model loads while the prompt is made
        outcome = await Climb(scope, prepared, key, value, history).run()
        return Performed(outcome, checks="" if outcome.ok else self.checks)


@dataclass(frozen=True, slots=True)
class Ballots:
    """How the ballots of a stage are cast and counted: the vote with its models resolved, its poll, and what one
    ballot climbs."""

    vote: Vote
    poll: Poll
    ladder: Ladder


@dataclass(frozen=True, slots=True)
class Prepared:
    """A model stage with its prompt loaded and its models resolved. ``model`` is that of a vote's first ballot."""

    stage: LLMStage[object, object]
    prompt: Prompt
    model: Model
    ladder: Ladder
    ballots: Ballots | None = None

    def first_call(self) -> Call:
        """What the first request is made of."""
        return self._call(self.model)

    def ballot_call(self, vote: Vote, ballot: int) -> Call:
        """What a ballot's first request is made of. Later samples of a model are drawn as the vote says."""
        seat = vote.seat(ballot)
        call = self._call(seat.model)
        warm = call.temperature if seat.sample == 0 else vote.temperature
        return replace(call, temperature=warm, sample=seat.sample)

    def split_call(self, vote: Vote) -> Call:
        """What the request is made of that breaks a tie, without the candidates."""
        return self._call(vote.split or vote.seat(0).model)

    def single_call(self, vote: Vote) -> Call:
        """What the ladder changes when the vote has decided nothing. No ballot has its sample number."""
        return replace(self.split_call(vote), sample=vote.max)

    def _call(self, model: Model) -> Call:
        stage, prompt = self.stage, self.prompt
        return Call(
            model=model,
            variant=None,
            temperature=_first(stage.temperature, prompt.temperature, model.temperature),
            max_tokens=_first(stage.max_tokens, prompt.max_tokens, model.max_tokens) or 1024,
            trimmable=bool(prompt.trim),
        )

    def request(self, call: Call, variables: Mapping[str, object]) -> Request:
        """Render a call. The hash is taken over the canonical rendering."""
        rendered = self.prompt.render(variables, variant=call.variant, shrink=call.shrink)
        extra = call.turns
        if not extra and call.findings:
            extra = (Message("user", note_text(call.findings, fence=fence_evidence)),)
        schema = self.stage.question.schema
        model = call.model
        return Request(
            model=model,
            messages=(*rendered.messages, *extra),
            schema=schema,
            max_tokens=call.max_tokens,
            temperature=call.temperature,
            sample=call.sample,
            hash=request_hash(
                model,
                (*rendered.canonical, *extra),
                schema,
                (call.max_tokens, call.temperature, call.sample),
                rendered.prompt_hash,
            ),
            timeout=model.timeout,
            stage=self.stage.name,
            prompt_hash=rendered.prompt_hash,
        )

    def variables(self, value: object) -> Mapping[str, object]:
        return variables_of(value)


def _first(*values: T | None) -> T | None:
    return next((value for value in values if value is not None), None)
