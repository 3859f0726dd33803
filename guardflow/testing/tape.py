"""What a cassette holds: every request of a run by its hash, and what came of it, in order.

`guardflow.testing.recording` makes a `Tape`, `guardflow.testing.tape_file` reads and writes one. Nothing here does I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from guardflow.classify import REDACTED
from guardflow.errors import CassetteError
from guardflow.flow.places import ballot_of
from guardflow.flow.sending import HEDGE
from guardflow.kinds import Kind
from guardflow.values import Asked, Attempt, AttemptEnd, AttemptStart, Completion, Role

_ROLES: tuple[Role, ...] = ("answer", "guard", "match", "split")


@dataclass(frozen=True, slots=True)
class Take:
    """What came of a request once: a completion, or the kind of failure that came instead.

    With neither, nobody waited for the answer: a time limit or another ballot ended it.
    """

    completion: Completion | None = None
    kind: Kind | None = None
    error: str = ""
    retry_after: float | None = None
    dropped: tuple[str, ...] = ()
    unsent: bool = False
    """Storm control held the request back, so that waiting was of no use."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One request, by its hash, and its takes in order. Everything else is for readers and for errors."""

    request: str
    stage: str
    asked: Asked
    takes: tuple[Take, ...]
    role: Role = "answer"
    rung: str = ""
    prompt: str = ""
    """The prompt's content hash."""
    ballot: int = 0
    """Which ballot of a vote asked. Those after the first may be decided against before they ask."""


@dataclass(frozen=True, slots=True)
class Tape:
    """Recordings in the order of the run's program, not of time: recorded again, equal lines stay where they were."""

    recordings: tuple[Recording, ...] = ()
    pipeline: str = ""

    def redacted(self, redact: Callable[[str], str]) -> Tape:
        """The same without configured secrets.

        Raises:
            CassetteError: a model's address holds one: without it, the recording could not be found again.
        """
        for recording in self.recordings:
            base = recording.asked.model.api_base or ""
            if REDACTED in base or redact(base) != base:
                raise CassetteError(
                    f"the address of model {recording.asked.model.name!r} holds a secret, and a cassette must not",
                    hint="give the key in its variable, not in api_base, and run it again",
                )
        return replace(self, recordings=tuple(_redacted(r, redact) for r in self.recordings))


def tape_of(runs: Sequence[Sequence[Attempt]], *, pipeline: str = "") -> Tape:
    """The traffic of a run and its child runs, each given by its rows in the ledger.

    Of a stage call that was opened again, the last round counts; superseded rows do not. An answer from the
    response cache counts where no request was sent for it.

    Raises:
        CassetteError: a row does not say what its request was made of: an older guardflow wrote it.
    """
    kept = [(place, attempt) for place, rows in enumerate(runs) for attempt in _followed(rows)]
    found: dict[str, list[tuple[tuple[object, ...], Attempt]]] = {}
    for run, attempt in sorted(kept, key=lambda pair: pair[1].id):
        found.setdefault(attempt.start.request_hash, []).append((_place(run, attempt), attempt))
    placed = [
        (min(place for place, _ in asked), _recording([a for _, a in asked])) for asked in found.values()
    ]
    placed.sort(key=lambda pair: (pair[0], pair[1].request))
    return Tape(tuple(recording for _, recording in placed), pipeline)


def _followed(rows: Sequence[Attempt]) -> Sequence[Attempt]:
    """The finished rows that the run's result rests on."""
    usable = [a for a in rows if a.end is not None and not a.superseded and not _never_was(a.end)]
    hedged = _hedged(usable)
    usable = [a for a in usable if hedged.get(_asked_at(a), a) is a]
    last: dict[object, int] = {}
    for attempt in usable:
        key = attempt.start.key
        last[key] = max(last.get(key, 0), attempt.start.round)
    return [a for a in usable if a.start.round == last[a.start.key]]


def _never_was(end: AttemptEnd) -> bool:
    """A hedge that was overtaken before it was sent."""
    return end.unsent and end.kind is None


def _hedged(rows: Sequence[Attempt]) -> Mapping[object, Attempt]:
    """Of a request and its hedge, the one that counted: only one of them is played again."""
    pairs: dict[object, list[Attempt]] = {}
    for attempt in rows:
        pairs.setdefault(_asked_at(attempt), []).append(attempt)
    return {
        place: max(pair, key=_weight)
        for place, pair in pairs.items()
        if any(attempt.start.rung == HEDGE for attempt in pair)
    }


def _asked_at(attempt: Attempt) -> tuple[object, ...]:
    start = attempt.start
    return (start.key, start.round, start.role, start.ballot, start.n, start.request_hash)


def _weight(attempt: Attempt) -> tuple[bool, bool, int]:
    end = attempt.end
    return end is not None and end.completion is not None, attempt.start.rung != HEDGE, attempt.id


def _place(run: int, attempt: Attempt) -> tuple[object, ...]:
    """Where in the program a request was made. A guard's ballot is a hash of what it asks, so it says nothing."""
    start = attempt.start
    ballot = 0 if start.role == "guard" else start.ballot
    key = start.key
    return (run, key.step, key.item, _ROLES.index(start.role), ballot, start.n, start.prompt_hash)


def _recording(attempts: Sequence[Attempt]) -> Recording:
    """One request with all that came of it; ``attempts`` in order of time."""
    takes: list[Take] = []
    for attempt in attempts:
        end = attempt.end
        assert end is not None  # `_followed` keeps finished rows only
        take = take_of(end)
        if not (end.cached and any(earlier.completion is not None for earlier in takes)):
            takes.append(take)
    if any(take.completion is not None for take in takes):
        # A hedge that lost, or a killed process: its answer is known from the other one.
        takes = [take for take in takes if take.completion is not None or take.kind is not None]
    while len(takes) > 1 and takes[-1] == takes[-2] and takes[-1].completion is not None:
        takes.pop()  # a last answer is given as often as it is asked for
    start, end = attempts[0].start, attempts[0].end
    if end is None or end.asked is None:
        raise CassetteError(
            f"run {start.key.run_id!r} cannot be made a cassette: an older guardflow recorded stage {start.stage!r}",
            hint="run it again with this guardflow, and export that run",
        )
    ballot = min(_ballot(attempt.start) for attempt in attempts)
    return Recording(
        start.request_hash,
        start.stage,
        end.asked,
        tuple(takes),
        start.role,
        start.rung,
        start.prompt_hash,
        ballot,
    )


def _ballot(start: AttemptStart) -> int:
    """Which ballot it belongs to: the first for whatever is no ballot."""
    return ballot_of(start) or 0


def take_of(end: AttemptEnd) -> Take:
    """What a row says came of its request. A request's id is left out: it is new each time, and nothing reads it."""
    completion = end.completion
    if completion is not None:
        return Take(replace(completion, request_id=None))
    return Take(None, end.kind, end.error or "", end.retry_after, end.dropped, end.unsent)


def _redacted(recording: Recording, redact: Callable[[str], str]) -> Recording:
    return replace(recording, takes=tuple(_redacted_take(take, redact) for take in recording.takes))


def _redacted_take(take: Take, redact: Callable[[str], str]) -> Take:
    completion = take.completion
    if completion is None:
        return replace(take, error=redact(take.error))
    text, refusal = completion.text, completion.refusal
    clean = replace(
        completion,
        text=None if text is None else redact(text),
        refusal=None if refusal is None else redact(refusal),
    )
    return replace(take, completion=clean)
