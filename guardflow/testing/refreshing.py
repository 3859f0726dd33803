"""A cassette that grows: what is not on it is sent to the real models, and added to its file at the end.

`replaying` makes one for people who refresh cassettes by hand. It is refused where CI runs.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import anyio

from guardflow.classify import redact
from guardflow.errors import CassetteError, ModelCallError
from guardflow.flow.sending import asked_of
from guardflow.kinds import Kind
from guardflow.models.routing import Models, override_clients
from guardflow.settings import load_settings, provider_environment, secret_values
from guardflow.testing.cassette import Cassette
from guardflow.testing.tape import Recording, Take, Tape, take_of
from guardflow.testing.tape_file import read_tape, write_tape
from guardflow.values import AttemptEnd, Completion, Model, Request

T = TypeVar("T")


class GrowingCassette(Cassette):
    """Plays what is on the file, and records the rest. Requests go where they would go without it.

    Raises:
        CassetteError: the file cannot be played, or the environment variable ``CI`` is set.
    """

    def __init__(self, path: Path) -> None:
        if "CI" in os.environ:
            raise CassetteError(
                f"nothing can be added to cassette {str(path)!r} where the environment variable CI is set",
                hint="record where a person sees what is sent, and commit the file",
            )
        super().__init__(read_tape(path) if path.exists() else Tape(), name=str(path))
        self._path = path
        self._settings = load_settings()
        self._outer = override_clients.get()
        self._added: dict[str, Recording] = {}

    def resolve(self, model: Model) -> Model:
        """The model that it was in the recording; one that was not asked then, as it is now."""
        name = (model.asked or model).name
        if any((r.asked.model.asked or r.asked.model).name == name for r in self.tape.recordings):
            return super().resolve(model)
        return self._outside(lambda: Models(self._settings).resolve(model))

    async def send(self, request: Request) -> Completion:
        """The next take of this request; where there is none, what the model says now."""
        if self._has(request):
            return await super().send(request)
        models, end = Models(self._settings), AttemptEnd(0.0)
        try:
            client = self._outside(lambda: models.client(request.model))
            completion = await client.send(request)
            end = replace(end, completion=completion)
        except ModelCallError as error:
            end = replace(
                end,
                kind=error.kind or Kind.BUG,
                error=error.message,
                retry_after=error.retry_after,
                dropped=error.dropped,
            )
            raise
        finally:
            self._add(request, take_of(end))
            with anyio.CancelScope(shield=True):
                await models.aclose()
        return completion

    def keep(self) -> None:
        """Write what was added into the file, without secrets; nothing where nothing was.

        Raises:
            CassetteError: it cannot be written, or a model's address holds a secret.
        """
        if self._added:
            kept = (self._added.pop(r.request, r) for r in self.tape.recordings)
            tape = replace(self.tape, recordings=(*kept, *self._added.values()))
            write_tape(self._path, tape.redacted(self._redacted))

    def _has(self, request: Request) -> bool:
        recording = self._by_hash.get(request.hash)
        if recording is None:
            return False
        take = recording.takes[min(self._played.get(request.hash, 0), len(recording.takes) - 1)]
        is_left = self._played.get(request.hash, 0) < len(recording.takes)
        return take.completion is not None or (is_left and take.kind is not None)

    def _add(self, request: Request, take: Take) -> None:
        known = self._added.get(request.hash) or self._by_hash.get(request.hash)
        if take == Take() and known is not None:
            return  # it was cut off: what is known already says more
        earlier = tuple(t for t in known.takes if t != Take()) if known is not None else ()
        asked = asked_of(request, self._shown)
        made = Recording(request.hash, request.stage, asked, (take,), prompt=request.prompt_hash)
        self._added[request.hash] = replace(known or made, takes=(*earlier, take))

    def _shown(self, model: Model) -> Model:
        if model.api_base is None:
            return model
        return replace(model, api_base=self._redacted(model.api_base))

    def _redacted(self, text: str) -> str:
        return redact(text, secret_values(provider_environment(self._settings)))

    def _outside(self, look: Callable[[], T]) -> T:
        """What would be found if this cassette were not in place."""
        token = override_clients.set(self._outer)
        try:
            return look()
        finally:
            override_clients.reset(token)
