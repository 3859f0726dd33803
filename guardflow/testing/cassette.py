"""`Cassette`: recorded answers in the place of every model; `replaying` plays one for a block.

Tests call it. It needs no settings and no keys, opens no socket, and never waits where the recorded run waited.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import anyio

from guardflow.errors import ModelCallError, NotRecorded
from guardflow.models.client import ModelClient
from guardflow.models.routing import DEFAULT_MAX_TOKENS, EVERY
from guardflow.testing.nearest import differences, nearest
from guardflow.testing.tape import Recording, Take, Tape, tape_of
from guardflow.testing.tape_file import read_tape, write_tape
from guardflow.values import Attempt, Completion, Model, Request

PATIENCE = 30.0
"""Seconds after which an answer that nobody waited for in the recorded run counts as waited for."""


class Cassette:
    """A `guardflow.models.client.ModelClient` that gives recorded answers, by the hash of what is asked.

        with replaying("tests/cassettes/qa.json") as cassette:
            ...

    The takes of a request are given in order, failures as the failures they were; after them the last answer is
    given again, a last failure is not. A role stands for the model it stood for when the run was recorded.

    Args:
        tape: what was recorded.
        name: what errors call it.
    """

    def __init__(self, tape: Tape, *, name: str = "cassette") -> None:
        self.tape = tape
        self.name = name
        self._by_hash = {recording.request: recording for recording in tape.recordings}
        self._played: dict[str, int] = {}
        self._resolved: dict[Model, Model] = {}
        self._misses: list[NotRecorded] = []
        self._lock = threading.Lock()

    @classmethod
    def load(cls, path: str | Path) -> Cassette:
        """The cassette in a file that ``guardflow runs export RUN --cassette FILE`` wrote.

        Raises:
            CassetteError: there is none, or it is damaged or of another version.
        """
        return cls(read_tape(Path(path)), name=str(path))

    @classmethod
    def of(cls, attempts: Sequence[Attempt]) -> Cassette:
        """The cassette of one run from its `RunResult.attempts`; child runs are not in them.

        Raises:
            CassetteError: they cannot be played again.
        """
        return cls(tape_of([attempts]))

    def save(self, path: str | Path) -> None:
        """Write it to a file, for `load`. Nothing is redacted here: ``runs export`` does that.

        Raises:
            CassetteError: it cannot be written, or a file that is no cassette is there.
        """
        write_tape(Path(path), self.tape)

    def clients(self) -> Mapping[Model | str, ModelClient]:
        """This cassette in the place of every model: for `using`, or ``Runtime(models=...)``."""
        return {EVERY: self}

    @property
    def count(self) -> int:
        """How many requests it has answered."""
        return sum(self._played.values())

    @property
    def misses(self) -> Sequence[NotRecorded]:
        """The requests that were not on it, without those of ballots that a vote was decided without."""
        return tuple(miss for miss in self._misses if miss.needed)

    @property
    def unused(self) -> Sequence[Recording]:
        """The recordings of which not every take was asked for, in the order of the tape.

        Ballots after the first are left out: which of them a vote still asks can hang on who answers first."""
        played = self._played
        return [r for r in self.tape.recordings if r.ballot == 0 and played.get(r.request, 0) < len(r.takes)]

    def resolve(self, model: Model) -> Model:
        """The model that this one was when the run was recorded. One that was not asked then resolves too, because
        a ladder names models that it may never need; a request to it is refused."""
        asked = model.asked or model
        found = self._resolved.get(asked)
        if found is None:
            found = self._resolved[asked] = _resolved(asked, self.tape.recordings)
        return found

    async def send(self, request: Request) -> Completion:
        """The next take of this request.

        Raises:
            ModelCallError: a failure was recorded.
            NotRecorded: the request is not on the tape, or is made more often than it was.
        """
        with self._lock:
            take = self._next(request)
        if take.completion is not None:
            return take.completion
        if take.kind is not None:
            raise ModelCallError(
                take.error,
                kind=take.kind,
                retry_after=take.retry_after,
                dropped=take.dropped,
                recorded=True,
                unsent=take.unsent,
            )
        await anyio.sleep(PATIENCE)  # it was cancelled when it was recorded, so it is cancelled now
        with self._lock:
            raise self._miss(
                request, "was cancelled before its answer came, and this time somebody waits for it"
            )

    def keep(self) -> None:
        """Nothing to write: it plays only."""

    async def aclose(self) -> None:
        """Nothing to release."""

    def _next(self, request: Request) -> Take:
        recording = self._by_hash.get(request.hash)
        if recording is None:
            raise self._miss(request, _why_not(request, self.tape.recordings))
        number = self._played.get(request.hash, 0)
        if number >= len(recording.takes) and recording.takes[-1].completion is None:
            raise self._miss(
                request, f"was made {len(recording.takes)} times then, and is made once more now"
            )
        self._played[request.hash] = number + 1
        return recording.takes[min(number, len(recording.takes) - 1)]

    def _miss(self, request: Request, why: str) -> NotRecorded:
        error = NotRecorded(
            f"a request of stage {request.stage!r} to model {_asked_name(request.model)!r} is not on {self.name!r}: "
            f"it {why}",
            hint="record it again: run the pipeline, then `guardflow runs export RUN --cassette FILE`",
        )
        self._misses.append(error)
        return error


def _why_not(request: Request, recordings: Sequence[Recording]) -> str:
    near = nearest(request, recordings)
    if near is None:
        return "holds no recording at all"
    place = f"stage {near.stage!r}, rung {near.rung or 'start'!r}"
    return f"comes nearest to the recording of {place}, but {'; '.join(differences(request, near))}"


def _asked_name(model: Model) -> str:
    return (model.asked or model).name


def _resolved(asked: Model, recordings: Sequence[Recording]) -> Model:
    """By all that enters a request's hash, then without the address, then by name alone."""
    models = [recording.asked.model for recording in recordings]
    named = [model for model in models if _asked_name(model) == asked.name]
    same = [model for model in named if _shape(model.asked or model) == _shape(asked)]
    here = [model for model in same if (model.asked or model).api_base == asked.api_base]
    for found in (here, same):
        if found:
            return replace(found[0], asked=asked)
    if named:
        given = {name: value for name in _FIELDS if (value := getattr(asked, name)) is not None}
        return replace(named[0], **given, asked=asked)
    return replace(
        asked,
        price="free" if asked.price is None else asked.price,
        output=asked.output or "json_schema",
        max_tokens=asked.max_tokens or DEFAULT_MAX_TOKENS,
        role=asked.role or (None if "/" in asked.name else asked.name),
        asked=asked,
    )


_FIELDS = ("api_base", "output", "max_tokens", "temperature", "timeout", "context", "price")


def _shape(model: Model) -> tuple[object, ...]:
    return (model.output, model.max_tokens, model.temperature)
