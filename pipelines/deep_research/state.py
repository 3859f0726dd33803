"""What a run of deep research knows so far: its questions, what it read and picked, which parts are degraded.

Rebuilt from recorded stage results when a run resumes, so it must depend on nothing else. It asks nobody but the
recorded budget.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from guardflow import BudgetLeft, Kind, Outcome, Stage, budget_left, fan_out, mark_degraded

from .facts import Claim
from .profiles import PROFILES, Counts
from .quotable import Readable, readable
from .reading import Shelf
from .types import ModelUse, Part, ResearchRequest, SubQuestion
from .words import terms

A = TypeVar("A")
B = TypeVar("B")

_WHY = {
    Kind.GUARD: "no answer passed the guards",
    Kind.BUDGET: "its share of the budget was used up",
    Kind.TRUNCATED: "its answers were cut off",
    Kind.TIMEOUT: "it gave no answer in time",
    Kind.QUOTA: "its account has run out",
}
OUT_OF_BUDGET = "the rest of the budget is kept for what follows"
_OUT_AFTER = 2
"""So many stages in a row whose every answer failed on the way, and no model is asked any more in this run."""


class Research:
    """The notes of one run. Methods either note something or say what is noted."""

    def __init__(self, request: ResearchRequest, budget: BudgetLeft) -> None:
        self.request = request
        self.counts: Counts = PROFILES[request.profile]
        self.questions: list[SubQuestion] = [SubQuestion(id=0, text=request.question)]
        self.shelf = Shelf()
        self.claims: list[Claim] = []
        self.rounds = 0
        self.set_aside = 0
        self._budget = budget
        self._pages: dict[str, Readable] = {}
        self._seen: set[tuple[int, str, int]] = set()
        self._parts: dict[tuple[str, str], Part] = {}
        self._models: dict[str, set[str]] = {}
        self._unanswered_stages = 0
        self._not_asked = OUT_OF_BUDGET

    def readable(self, document: str) -> Readable:
        """The passages of a document that was read; cut once."""
        if document not in self._pages:
            self._pages[document] = readable(self.shelf.documents[document])
            self.set_aside += self._pages[document].set_aside
        return self._pages[document]

    def first_time(self, question: SubQuestion, document: str, start: int) -> bool:
        """Whether a passage is read for a sub-question for the first time."""
        key = (question.id, document, start)
        fresh = key not in self._seen
        self._seen.add(key)
        return fresh

    def unanswered(self) -> list[SubQuestion]:
        """Sub-questions for which no sentence was picked."""
        answered = {claim.sub_question for claim in self.claims}
        return [question for question in self.questions if question.id not in answered]

    def degraded(self, stage: str, part: str, reason: str) -> None:
        """Note that a part was made without a model's answer: the run is degraded too."""
        mark_degraded(stage, reason)
        self._parts.setdefault((stage, part), Part(stage=stage, part=part, reason=reason))

    def made_nothing(self, stage: str) -> None:
        """Note that no answer of a stage stands in the report, although one was accepted."""
        self._models.pop(stage, None)

    def is_degraded(self, stage: str, part: str) -> bool:
        """Whether a part was made without a model's answer."""
        return (stage, part) in self._parts

    @property
    def parts(self) -> tuple[Part, ...]:
        """The degraded parts, in order."""
        return tuple(self._parts.values())

    @property
    def models(self) -> tuple[ModelUse, ...]:
        """Whose answers were used, by stage."""
        return tuple(
            ModelUse(stage=stage, models=tuple(sorted(names)))
            for stage, names in sorted(self._models.items())
        )

    def take(self, outcome: Outcome[B] | None, *, stage: str, part: str) -> B | None:
        """A stage's value if a model gave it; else note why not, and give None.

        Raises:
            StageEnded: the key, the model's name or the request is wrong, or the model could not be reached from the
                first request on: nothing may stand in for that.
        """
        if outcome is None:
            self.degraded(stage, part, self._not_asked)
            return None
        if outcome.kind is not None:
            unreached = outcome.status == "failed" and outcome.kind in Kind.TRANSIENT
            if unreached or outcome.kind in Kind.FATAL:
                outcome.unwrap()
        if outcome.status != "ok":
            self.degraded(stage, part, _reason(outcome.kind))
            return None
        answers = [note.model for note in outcome.attempts if note.role == "answer" and note.kind is None]
        if answers:
            self._models.setdefault(stage, set()).add(answers[-1])
        return outcome.value

    async def asked(
        self, stage: Stage[A, B], inputs: Sequence[A], *, reserve: float
    ) -> list[Outcome[B] | None]:
        """Ask a model about every input, in waves; what is not asked any more is None.

        A wave of which no answer is good is the last one: the rest ends as its last input did. After a stage that
        no model answered, a single input is the first wave, so that an outage is waited for once a stage and not by
        all; after two such stages nobody is asked.

        Args:
            stage: the model stage.
            inputs: its inputs.
            reserve: the share of the run's budget that has to be left for a wave to start.
        """
        done: list[Outcome[B] | None] = []
        size = self.counts.at_once if _share(self._budget, self._budget) is not None else max(1, len(inputs))
        while (at := len(done)) < len(inputs):
            out = self._unanswered_stages >= _OUT_AFTER
            if out or not await self.affords(reserve):
                self._not_asked = self._not_asked if out else OUT_OF_BUDGET
                return [*done, *[None] * (len(inputs) - at)]
            probing = self._unanswered_stages > 0
            wave = await fan_out(stage, inputs[at : at + (1 if probing else size)], errors="collect")
            done += wave
            unanswered = self.heard(wave)
            if (len(wave) > 1 or unanswered) and all(outcome.status != "ok" for outcome in wave):
                return [*done, *wave[-1:] * (len(inputs) - len(done))]
        return done

    def heard(self, outcomes: Sequence[Outcome[B]]) -> bool:
        """Note whether a stage was answered at all. True if every request of it was lost on the way."""
        kinds = [outcome.kind for outcome in outcomes if outcome.status != "ok"]
        lost = bool(kinds) and len(kinds) == len(outcomes)
        lost = lost and all(kind is not None and kind in Kind.TRANSIENT for kind in kinds)
        self._unanswered_stages = self._unanswered_stages + 1 if lost else 0
        if lost:
            self._not_asked = _reason(kinds[-1])
        return lost

    async def affords(self, reserve: float) -> bool:
        """Whether more than this share of the budget is left, in every limit that it has."""
        if _share(self._budget, self._budget) is None:
            return True
        left = _share(await budget_left(), self._budget)
        return left is None or left > reserve


def _share(left: BudgetLeft, whole: BudgetLeft) -> float | None:
    """The smallest share of any limit that is left; None if nothing is limited."""
    pairs = [
        (left.usd, whole.usd),
        (left.tokens, whole.tokens),
        (left.calls, whole.calls),
        (left.seconds, whole.seconds),
    ]
    shares = [
        float(now) / float(most) if most else 0.0
        for now, most in pairs
        if now is not None and most is not None
    ]
    return min(shares, default=None)


def _reason(kind: Kind | None) -> str:
    if kind is None:
        return "it was skipped"
    if kind in Kind.TRANSIENT:
        return _WHY.get(kind, "the model could not be reached")
    if kind in Kind.BLOCKED:
        return "the model refused"
    if kind in Kind.INVALID:
        return "its answers could not be read"
    return _WHY.get(kind, "the model gave no usable answer")


def own_words(question: SubQuestion, phrase: str) -> bool:
    """Whether a search phrase only repeats words of its sub-question."""
    return set(terms(phrase)) <= set(terms(question.text))
