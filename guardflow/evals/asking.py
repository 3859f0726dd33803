"""Labelled cases of guards that ask a model, as a run: metered, kept to a budget, every question in the ledger.

``guardflow eval guards --model`` runs it. Nothing is asked here but what a guard asks; no model answers a stage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import anyio
from pydantic import BaseModel, ConfigDict

from guardflow.errors import ModelCallError
from guardflow.evals.guards import Seen, look
from guardflow.evals.labels import Case
from guardflow.evals.named import guarded
from guardflow.flow.asking import Conversation
from guardflow.flow.codec import Codec
from guardflow.flow.fan_out import fan_out
from guardflow.flow.judging import Judge
from guardflow.flow.pipeline import pipeline
from guardflow.flow.scope import Scope
from guardflow.flow.stage import Performed, Stage
from guardflow.kinds import Kind
from guardflow.values import Attempt, CallKey, Outcome


class Cases(BaseModel):
    """The cases of one evaluation. Each names its guard."""

    model_config = ConfigDict(frozen=True)

    cases: list[Case]


class _Look(Stage[Case, str]):
    """One case: its guard is run, and asks as it would in a model stage.

    Raises:
        ModelCallError: the model cannot be reached, which would be so for the next case too.
    """

    def __init__(self, name: str) -> None:
        owner = f"stage {name!r}"
        super().__init__(name, input=Codec(Case, owner=owner), output=Codec(str, owner=owner))

    async def perform(
        self, scope: Scope, key: CallKey, value: object, history: Sequence[Attempt]
    ) -> Performed:
        (one,) = guarded([cast("Case", value)])
        opened = scope.round_of(key)
        talk = Conversation(
            scope, self.name, key, opened.round if opened is not None else 0, scope.meter, history
        )
        try:
            with anyio.CancelScope(deadline=scope.deadline):
                return Performed(Outcome(self.name, "ok", await look(one, Judge(talk))))
        except ModelCallError as error:
            if error.kind is not Kind.BUDGET:
                raise
            return self._over_budget(error.message)
        return self._over_budget("the run's seconds are used up")

    def _over_budget(self, message: str) -> Performed:
        return Performed(Outcome(self.name, "over_budget", kind=Kind.BUDGET, message=message))


_look = _Look("cases")


@pipeline("eval-guards")
async def look_at_cases(given: Cases) -> list[Seen]:
    """What the guard of each case does, in their order.

    A model that cannot be reached ends it at once. A budget that is used up ends it when all that was sent has
    been answered, so that no answer is paid for and lost.

    Raises:
        ModelCallError: a model cannot be reached.
    """
    return [cast("Seen", seen.unwrap()) for seen in await fan_out(_look, given.cases, errors="collect")]
