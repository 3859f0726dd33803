"""A vote while it is held: ballots start in waves, climb by themselves, and are counted in the order of their numbers.

The standing is that of ballots 0 to k, all of them in, for the lowest k that decides. So neither who answers first
nor what a crash has cut off changes the decision, and no ballot starts that could not decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.abc

from guardflow.errors import ModelCallError, NotRecorded
from guardflow.kinds import Kind
from guardflow.ladder import Failure, Ladder
from guardflow.values import Finding
from guardflow.vote import AllSpoiled, Ballot, Cast, Decided, Split, Spoiled, Standing, Undecided

from .ascent import Ascent, Fallen
from .asking import Answer
from .matching import Matchers
from .turns import Turns
from .verdicts import Accepted, Ended, Subject, Verdicts

if TYPE_CHECKING:
    from .llm import Ballots


@dataclass(frozen=True, slots=True)
class Counted:
    """What came of a vote that was held to its end.

    Args:
        standing: never `Undecided`.
        accepted: the ballots that count, as values of the output type.
        failures: why others do not.
    """

    standing: Decided | Split | AllSpoiled
    accepted: Mapping[int, Accepted]
    failures: Mapping[int, Failure]


PanelEnd: TypeAlias = Counted | Ended | Fallen
"""A vote that was counted; a guard, judge or matcher that ended the stage; a failure that ends it, or the budget."""


class Panel:
    """The ballots of one vote. Made for one `run`.

    Args:
        earlier: answers of an earlier round by ballot. One that passes what judges it now is not paid again.
    """

    def __init__(self, subject: Subject, ballots: Ballots, earlier: Mapping[int, Answer]) -> None:
        self._subject, self._ballots, self._earlier = subject, ballots, earlier
        self._matchers = Matchers(subject.talk, ballots.vote)
        self._results: dict[int, Ballot | Ended | Fallen | NotRecorded] = {}
        self._accepted: dict[int, Accepted] = {}
        self._failures: dict[int, Failure] = {}
        self._counted: list[Ballot] = []
        self._standing: Standing | None = None
        self._turns = Turns(is_open=not subject.talk.history)
        self._errors: list[Exception] = []
        # No ballot of a provider that is out is waited for where another model, now or later, can be asked.
        several = len({(model.name, model.api_base) for model, _ in ballots.vote.panel}) > 1
        self._patience = Ladder() if several else subject.prepared.ladder

    async def run(self) -> PanelEnd:
        """Hold the vote. Ballots in flight when it is decided are cancelled, and settled at what they reserved."""
        ends: list[PanelEnd] = []
        async with anyio.create_task_group() as group:
            try:
                ends.append(await self._count(group))
            except Exception as error:  # noqa: BLE001  # raised below, without the group around it
                self._errors.append(error)
            group.cancel_scope.cancel()
        if self._errors:
            raise self._errors[0]
        for result in self._results.values():
            if isinstance(result, NotRecorded):
                result.needed = False
        return ends[0]

    async def _count(self, group: anyio.abc.TaskGroup) -> PanelEnd:
        turns = self._turns
        while True:
            news = turns.news
            if self._errors:
                raise self._errors[0]
            end = await self._advanced()
            if end is not None:
                return end
            if not self._start(group) and not turns.active:
                if turns.is_open:
                    return await self._with_what_there_is()
                turns.open()  # all that was recorded is counted, and does not decide
            await news.wait()

    async def _advanced(self) -> PanelEnd | None:
        """Count as far as the ballots are in. None while more are needed."""
        while True:
            if self._standing is None:
                try:
                    self._standing = await self._poll(self._counted)
                except ModelCallError as outage:
                    if outage.kind is Kind.BUDGET and self._turns.active:
                        return None  # what is in flight has reserved the rest; asked again when it is in
                    return _outage(outage)
            if not isinstance(self._standing, Undecided):
                return Counted(self._standing, self._accepted, self._failures)
            result = self._results.get(len(self._counted))
            if result is None or _is_broke(result):
                return None
            if isinstance(result, NotRecorded):
                raise result
            if isinstance(result, Ended | Fallen):
                return result
            self._counted.append(result)
            self._standing = None

    def _start(self, group: anyio.abc.TaskGroup) -> bool:
        """Start what could still decide and is not in flight yet. Spoiled ballots are replaced at once."""
        standing, turns = self._standing, self._turns
        if not isinstance(standing, Undecided):
            return False
        if any(isinstance(result, Ended | Fallen | NotRecorded) for result in self._results.values()):
            return False  # no ballot behind it can be counted, or the budget is spent
        counted = len(self._counted)
        spoiled = sum(n >= counted and isinstance(r, Spoiled) for n, r in self._results.items())
        wanted = min(counted + standing.more + spoiled, self._ballots.vote.max)
        fresh = range(turns.started, wanted)
        for number in fresh:
            turns.started += 1
            group.start_soon(self._cast, number)
        return bool(fresh)

    async def _cast(self, number: int) -> None:
        try:
            self._results[number] = await self._climbed(number)
        except NotRecorded as miss:
            self._results[number] = (
                miss  # if it is counted at all: when it was recorded, it may have been cut off
            )
        except Exception as error:  # noqa: BLE001  # raised by `run`, without the group around it
            self._errors.append(error)
        self._turns.end()

    async def _climbed(self, number: int) -> Ballot | Ended | Fallen:
        subject, ballots = self._subject, self._ballots
        model, place = ballots.vote.seat(number).model, self._turns.place(number)
        verdicts = Verdicts(subject, lane=number + 1, turnstile=place)
        ended = await self._checked_again(number, verdicts)
        if ended is None:
            climb = Ascent(
                subject, verdicts, ballots.ladder, ballot=number, turnstile=place, patience=self._patience
            )
            ended = await climb.climb(subject.prepared.ballot_call(ballots.vote, number))
        if isinstance(ended, Accepted):
            self._accepted[number] = ended
            value = subject.prepared.stage.output.dump(ended.value)
            return Cast(number, model, value, ended.length)
        if isinstance(ended, Ended):
            return Fallen(Failure(ended.kind), _text(ended)) if ended.kind is Kind.BUDGET else ended
        if ended.fatal or ended.failure.kind is Kind.BUDGET:
            return ended
        self._failures[number] = ended.failure
        return Spoiled(number, model, ended.failure.kind, ended.message or _first_words(ended.failure))

    async def _checked_again(self, number: int, verdicts: Verdicts) -> Accepted | None:
        earlier = self._earlier.get(number)
        judged = await verdicts.of(earlier) if earlier is not None else None
        return judged if isinstance(judged, Accepted) and not judged.repaired else None

    async def _with_what_there_is(self) -> PanelEnd:
        """The budget refuses the ballots that are missing: those that are in decide, if they can."""
        results = [self._results[number] for number in sorted(self._results)]
        for miss in results:
            if isinstance(miss, NotRecorded):
                raise miss
        stopped = [r for r in results if isinstance(r, Ended | Fallen)]
        graver = [r for r in stopped if not _is_broke(r)]
        if graver or not stopped:
            too_many = Failure(Kind.BUG, None, (Finding("the vote asks for more ballots than it casts"),))
            return graver[0] if graver else Fallen(too_many, too_many.findings[0].message, fatal=True)
        try:
            standing = await self._poll([r for r in results if isinstance(r, Cast | Spoiled)])
        except ModelCallError as outage:
            return _outage(outage)
        if isinstance(standing, Decided):
            return Counted(standing, self._accepted, self._failures)
        return stopped[0]

    async def _poll(self, ballots: list[Ballot]) -> Standing:
        return await self._matchers.answered(self._ballots.poll.poll(tuple(ballots)))


def _is_broke(result: Ballot | Ended | Fallen | NotRecorded) -> bool:
    """Whether the budget refused a request of this ballot."""
    return isinstance(result, Fallen) and result.failure.kind is Kind.BUDGET


def _outage(outage: ModelCallError) -> Ended | Fallen:
    """A matcher's outage is no answer's fault; a spent budget is for the ladder's ``otherwise``."""
    kind = outage.kind or Kind.BUG
    if kind is Kind.BUDGET:
        return Fallen(Failure(kind), outage.message)
    return Ended("failed", (Finding(outage.message, guard="vote"),), kind)


def _text(ended: Ended) -> str:
    return "; ".join(f.message for f in ended.findings[:3])


def _first_words(failure: Failure) -> str:
    return failure.findings[0].message[:200] if failure.findings else ""
