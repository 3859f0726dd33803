"""`GuardContext.ask`: how a guard puts a question to a model, and a vote's matcher too. Metered and recorded.

A judge has waits of its own; when they are used up, its outage fails the stage and burns no answer attempt.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from functools import partial
from typing import Literal, Protocol, TypeVar, cast

import anyio

from guardflow.classify import kind_of_completion
from guardflow.errors import ModelCallError
from guardflow.kinds import Kind
from guardflow.ladder import Call, Failure, Ladder, Move, next_move, reask, wait
from guardflow.prompts import inline_prompt
from guardflow.values import Message, Model, Request, Verdict

from .asking import Answer, Conversation
from .patience import patience_of
from .places import LANE, STRIDE
from .question import Question, fence_evidence, request_hash
from .repair import read_answer

T = TypeVar("T")

JUDGE_LADDER = Ladder(wait(3), reask(1, on=Kind.INVALID))


class Turnstile(Protocol):
    """What a ballot of a vote waits at."""

    async def enter(self) -> None:
        """Wait until everything that was recorded has been counted: it may have decided already."""
        ...

    async def room(self) -> bool:
        """The budget refused a request: wait until another ballot has ended. False if none is left to wait for."""
        ...


class Judge:
    """Asks on behalf of the guards of one stage call, or of the matchers of its vote.

    Args:
        lane: which ballot is judged, from 1; 0 where there is one answer at a time.
        turnstile: waited at before a question that is not in the ledger.
    """

    def __init__(
        self,
        talk: Conversation,
        *,
        role: Literal["guard", "match"] = "guard",
        lane: int = 0,
        turnstile: Turnstile | None = None,
    ) -> None:
        self._talk = talk
        self._role: Literal["guard", "match"] = role
        self._first = lane * LANE
        self._turnstile = turnstile
        self._asked: Counter[int] = Counter()

    async def __call__(
        self, model: Model, text: str, answer: type[T], /, *, variables: Mapping[str, object], guard: str
    ) -> T:
        """A typed answer to a guard's question. Variables that the text does not place follow it, fenced.

        Raises:
            ModelCallError: there is none; its kind says why.
        """
        resolved = self._talk.scope.services.models.resolve(model)
        return await self.ask(resolved, text, answer, variables=variables, guard=guard)

    async def ask(
        self, resolved: Model, text: str, answer: type[T], /, *, variables: Mapping[str, object], guard: str
    ) -> T:
        """The same, of a model that is resolved already."""
        talk = self._talk
        prompt = inline_prompt(_with_variables(text, variables), tuple(variables), name=f"guard {guard}")
        rendered = prompt.render(variables)
        question = Question.of(answer)
        schema = question.schema
        call = Call(resolved, None, resolved.temperature, resolved.max_tokens or 512)
        path: list[str] = []
        ballot = first = -1
        while True:
            extra: tuple[Message, ...] = call.turns
            parameters = (call.max_tokens, call.temperature, call.sample)
            digest = request_hash(
                resolved, (*rendered.canonical, *extra), schema, parameters, rendered.prompt_hash
            )
            if ballot < 0:
                ballot = int(digest[:7], 16)
                first = self._first + self._asked[ballot] * STRIDE
                self._asked[ballot] += 1
            request = Request(
                resolved,
                (*rendered.messages, *extra),
                schema,
                call.max_tokens,
                call.temperature,
                call.sample,
                digest,
                resolved.timeout,
                talk.stage,
                rendered.prompt_hash,
            )
            n = first + len(path)
            if self._turnstile is not None and not talk.knows(self._role, ballot, n, digest):
                await self._turnstile.enter()
            got = await talk.ask(
                request,
                rung=call.rung,
                n=n,
                prompt_hash=rendered.prompt_hash,
                role=self._role,
                ballot=ballot,
                patience=partial(patience_of, JUDGE_LADDER, path, call),
            )
            read = _read(got, question)
            if not isinstance(read, Failure):
                await self._keep(got, request)
                return cast("T", read)
            talk.judge(got, Verdict(read.kind, read.findings))
            path.append(call.rung)
            move = next_move(JUDGE_LADDER, path, call, read, fence=fence_evidence)
            if not isinstance(move, Move):
                whom = "judge" if self._role == "guard" else "matcher"
                raise ModelCallError(
                    f"the {whom} {resolved.name!r} gave no answer ({got.message or read.kind.name})",
                    kind=read.kind,
                    hint="look at its attempts with `guardflow runs show`, or use another model for it",
                )
            if not got.waited:
                await anyio.sleep(move.pause(random.Random()))  # noqa: S311  # jitter
            call = move.call

    async def _keep(self, got: Answer, request: Request) -> None:
        scope = self._talk.scope
        if got.completion is not None and not got.cached and scope.cache_mode in ("use", "refresh"):
            await scope.services.cache.put(request.hash, request.model.name, got.completion)


def _with_variables(text: str, variables: Mapping[str, object]) -> str:
    if "{{" in text or not variables:
        return text
    return text + "".join(f"\n\n{name}:\n{{{{ {name} | fenced }}}}" for name in variables)


def _read(got: Answer, question: Question) -> object | Failure:
    """The typed answer, or what was wrong with it."""
    completion = got.completion
    if completion is None:
        return Failure(got.kind or Kind.BUG, None, (), got.retry_after)
    text = completion.text or ""
    kind = kind_of_completion(completion, expects_json=question.schema is not None)
    if kind is not None:
        return Failure(kind, text or None)
    if question.schema is None:
        return text
    parsed = read_answer(text, question.parse)
    return parsed.value if parsed.kind is None else Failure(parsed.kind, text, parsed.findings)
