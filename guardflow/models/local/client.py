"""`LocalClient`: requests to models in this process. It fits `guardflow.models.client.ModelClient`.

`guardflow.models.routing` makes one for each set of models. It sends nothing anywhere, and never repeats a request.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future

from guardflow.errors import ConfigError, ModelCallError
from guardflow.hashing import value_hash
from guardflow.kinds import Kind
from guardflow.models.local.engine import Ask, Engine, Reply
from guardflow.models.local.weights import CONTEXT, TIMEOUT, find
from guardflow.models.local.worker import Key, acquire, compute, release
from guardflow.settings import Settings, load_settings
from guardflow.values import Completion, Model, Request


class LocalClient:
    """Answers requests for ``local/...`` models, one at a time in the whole process.

    Args:
        settings: where the project and its state folder are; None loads them from where the program runs.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings
        self._engines: dict[Key, Future[Engine]] = {}
        self._keys: dict[Model, Key] = {}

    def warm(self, model: Model) -> None:
        """Begin to load a model, in the background. A failure shows at the first request.

        Raises:
            UnknownModel, ConfigError: there are no such weights, or llama.cpp is not installed.
        """
        self._engine(model)

    async def send(self, request: Request) -> Completion:
        """Answer the request when its turn comes. Equal requests get equal answers.

        ``request.timeout`` counts from the request's turn: a queue is no slow model.

        Raises:
            ModelCallError: there is no completion; its ``kind`` says why.
        """
        limit = request.timeout or request.model.timeout or TIMEOUT
        ask = Ask(
            messages=request.messages,
            schema=request.schema if request.model.output != "text" else None,
            max_tokens=request.max_tokens,
            temperature=request.temperature,
            seed=int(value_hash([request.hash, request.sample])[:8], 16) & 0x7FFFFFFF,
        )
        try:
            engine = self._engine(request.model)
            reply = await compute(lambda given_up: _answer(engine, ask, given_up, limit))
        except ConfigError as error:
            raise ModelCallError(
                f"{request.model.name!r} cannot answer: {error.message}", hint=error.hint, kind=Kind.NOT_FOUND
            ) from None
        if reply.stopped is not None:
            raise ModelCallError(
                f"{request.model.name!r} did not finish within {limit:g} s",
                hint="allow more time, or ask for less: the embedded model writes a few dozen tokens a second",
                kind=Kind.TIMEOUT,
            )
        return Completion(
            text=reply.text,
            finish_reason=reply.finish_reason,
            usage=reply.usage,
            model=request.model.name,
        )

    async def aclose(self) -> None:
        """Let go of the models; the memory is given back a while after nobody uses them. Idempotent."""
        keys, self._engines, self._keys = list(self._engines), {}, {}
        for key in keys:
            release(key)

    def _engine(self, model: Model) -> Future[Engine]:
        key = self._keys.get(model)
        if key is None:
            if self._settings is None:
                self._settings = load_settings()
            info = find(model.name.partition("/")[2], self._settings)
            key = self._keys[model] = Key(info.path.resolve(), model.context or CONTEXT)
        engine = self._engines.get(key)
        if engine is None:
            engine = self._engines[key] = acquire(key)
        return engine


def _answer(engine: Future[Engine], ask: Ask, given_up: Callable[[], bool], limit: float) -> Reply:
    """Runs on the thread that computes. Loading came first in its queue, so the engine is there."""
    loaded = engine.result()
    until = time.monotonic() + limit
    return loaded.answer(
        ask,
        lambda: "cancelled" if given_up() else "timeout" if time.monotonic() >= until else None,
    )
