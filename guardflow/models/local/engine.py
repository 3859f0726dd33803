"""`Engine`: one file of weights, loaded once, that answers one request at a time, equal requests equally.

`guardflow.models.local.worker` calls it, from one thread. It knows no asyncio, and never judges an answer.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from guardflow.errors import ConfigError, ModelCallError
from guardflow.kinds import Kind
from guardflow.models.local.gguf import read_header
from guardflow.models.local.grammar import Neutral, Strictness, could_begin, grammar
from guardflow.models.local.native import Exchange, Server, Stopped, exchange, load
from guardflow.values import Message, Schema, Usage

TEMPERATURE, TOP_P = 0.2, 0.9
"""What the makers of SmolLM2 recommend, for a request that names no temperature."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request. ``seed`` decides every draw."""

    messages: tuple[Message, ...]
    schema: Schema | None
    max_tokens: int
    temperature: float | None
    seed: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. ``stopped`` says why there is none. Times in seconds, as llama.cpp took them."""

    text: str
    finish_reason: str | None
    usage: Usage
    reading: float = 0.0
    writing: float = 0.0
    stopped: Literal["cancelled", "timeout"] | None = None


class _Mark(NamedTuple):
    """A place in what the model has read where reading may go on: the messages so far, and their tokens."""

    messages: tuple[Message, ...]
    tokens: int


class Engine:
    """A loaded model; not for several threads at once, because what it has read last is what it reuses.

    Equal requests get equal answers, whatever was asked before. A prompt that is read in other portions differs in
    the last bits of what is computed, and with them the answer: llama.cpp reuses whatever prefix happens to be
    there, and gave three answers to one request in five. So a conversation is read turn by turn here, the last
    token of each turn once more by itself, and reuse begins at such a mark only.
    """

    def __init__(self, weights: Path, context: int) -> None:
        """Load the weights: a second for 100 MB.

        Raises:
            ConfigError: the file is damaged, is no GGUF file, or no chat model.
        """
        header = read_header(weights)
        if not header.chat:
            raise ConfigError(
                f"{str(weights)!r} has no chat template: it is a base model, which cannot follow instructions",
                hint="use the '-Instruct' or '-Chat' version of it",
            )
        self.weights = weights
        self.context = min(context, header.context or context)
        self._neutral = Neutral(header.control)
        self._loose: set[str] = set()
        self._marks: list[_Mark] = []
        self._process = os.getpid()
        self._server: Server | None = load(weights, self.context)

    def close(self) -> None:
        """Give the memory back. Idempotent."""
        self._server, self._marks = None, []

    def answer(self, ask: Ask, stopped: Callable[[], Literal["cancelled", "timeout"] | None]) -> Reply:
        """Read the conversation, then write the answer.

        Args:
            ask: the request.
            stopped: asked between tokens and between portions of the prompt: why to stop, or None.

        Raises:
            ModelCallError: it does not fit into the context (CONTEXT); the chat template refuses it, or llama.cpp
                cannot hold the model to the schema (BAD_REQUEST).
        """
        messages = tuple(Message(m.role, self._neutral(m.content)) for m in ask.messages)
        strictness: Strictness = (
            "loose" if ask.schema is not None and ask.schema.hash in self._loose else "full"
        )
        reply = self._try(ask, messages, strictness, stopped)
        if reply is None and strictness == "full" and ask.schema is not None:
            self._loose.add(ask.schema.hash)
            reply = self._try(ask, messages, "loose", stopped)
        if reply is None:
            name = ask.schema.name if ask.schema is not None else ""
            raise ModelCallError(
                f"llama.cpp cannot hold {self.weights.name!r} to the schema {name!r}",
                hint="use plainer types in it, or another model for this stage",
                kind=Kind.BAD_REQUEST,
            )
        return reply

    def _try(
        self,
        ask: Ask,
        messages: tuple[Message, ...],
        strictness: Strictness,
        stopped: Callable[[], Literal["cancelled", "timeout"] | None],
    ) -> Reply | None:
        """One reading and writing; None where the model writes as if there were no schema."""
        marks, self._marks = self._marks, []  # whatever ends this early leaves nothing that can be trusted
        read = self._read(messages, marks, lambda _: stopped())
        if isinstance(read, str):
            return _nothing(read)
        schema = ask.schema

        def watch(text: str) -> Stopped | None:
            if schema is not None and not could_begin(schema, text):
                return "unconstrained"
            return stopped()

        body = _body(messages, ask.max_tokens) | {
            "temperature": TEMPERATURE if ask.temperature is None else ask.temperature,
            "top_p": TOP_P,
            "seed": ask.seed,
            # Models that think aloud first would do so against the grammar.
            "chat_template_kwargs": {"enable_thinking": False},
        }
        if schema is not None:
            body["grammar"] = grammar(schema, strictness=strictness)
        wrote = self._exchange({**body, "cache_prompt": bool(read.marks)}, watch)
        self._marks = read.marks
        if wrote.stopped == "unconstrained":
            return None
        if wrote.stopped is not None:
            return _nothing(wrote.stopped)
        self._check_room(wrote, ask)
        return Reply(
            wrote.text,
            wrote.finish_reason,
            Usage(wrote.read, wrote.written, read.reused),
            read.seconds + wrote.reading,
            wrote.writing,
        )

    def _read(
        self, messages: tuple[Message, ...], marks: list[_Mark], watch: Callable[[str], Stopped | None]
    ) -> _ReadUp | Literal["cancelled", "timeout"]:
        """Bring the model to the end of the last turn, from the last mark on the way there."""
        turns = [messages[: n + 1] for n, message in enumerate(messages) if message.role != "assistant"]
        kept: list[_Mark] = []
        for mark, turn in zip(marks, turns, strict=False):
            if mark.messages != turn:
                break
            kept.append(mark)
        reused = kept[-1].tokens if kept else 0
        seconds = 0.0
        steps = [*((turn, False) for turn in turns[len(kept) :])]
        if kept:
            steps.insert(0, (kept[-1].messages, True))
        for turn, is_there in steps:
            before = kept[-1].tokens if kept else 0
            if not is_there:
                went = self._go(turn, reuse=bool(kept), watch=watch)
                if went.stopped is not None:
                    return _why(went.stopped)
                seconds += went.reading
                if went.reused != before:
                    return _ReadUp([], 0, seconds)
                before = went.read
            settled = self._go(turn, reuse=True, watch=watch)
            if settled.stopped is not None:
                return _why(settled.stopped)
            seconds += settled.reading
            if (settled.read, settled.reused) != (before, before - 1):
                return _ReadUp([], 0, seconds)
            if not is_there:
                kept.append(_Mark(turn, before))
        return _ReadUp(kept, reused, seconds)

    def _go(
        self, turn: tuple[Message, ...], *, reuse: bool, watch: Callable[[str], Stopped | None]
    ) -> Exchange:
        body = _body(turn, 0) | {"add_generation_prompt": False, "cache_prompt": reuse}
        return self._exchange(body, watch)

    def _exchange(self, body: dict[str, object], watch: Callable[[str], Stopped | None]) -> Exchange:
        if self._process != os.getpid():
            raise ModelCallError(
                f"{self.weights.name!r} was loaded before this process was forked, and its threads are not here",
                hint="make the Runtime after the fork",
                kind=Kind.BUG,
            )
        assert self._server is not None, "a closed model was asked"
        return exchange(self._server, body, watch)

    def _check_room(self, wrote: Exchange, ask: Ask) -> None:
        """An answer that ends with the context is not TRUNCATED: more max_tokens would not help."""
        if wrote.finish_reason == "length" and wrote.written < ask.max_tokens:
            raise ModelCallError(
                f"the prompt has {wrote.read} tokens, which leaves {self.context - wrote.read} of the context of "
                f"{self.context} for an answer that may take {ask.max_tokens}",
                hint="let the ladder shrink the prompt, or use a model with a longer context",
                kind=Kind.CONTEXT,
            )


class _ReadUp(NamedTuple):
    """What reading came to. Without marks, nothing of it can be trusted and the prompt is read again at once: a
    chat template that writes earlier turns differently once there are later ones."""

    marks: list[_Mark]
    reused: int
    seconds: float


def _body(messages: tuple[Message, ...], max_tokens: int) -> dict[str, object]:
    return {
        "messages": [{"role": m.role, "content": m.content} for m in messages],
        "max_tokens": max_tokens,
    }


def _why(stopped: Stopped) -> Literal["cancelled", "timeout"]:
    return "timeout" if stopped == "timeout" else "cancelled"


def _nothing(stopped: Stopped) -> Reply:
    return Reply("", None, Usage(), stopped=_why(stopped))
