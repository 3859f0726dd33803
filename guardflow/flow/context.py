"""What a stage's second parameter gives: resources, the run's id, the clock, and what is left of the budget."""

from __future__ import annotations

from typing import TypeVar

from guardflow.budget import BudgetLeft

from .scope import Scope

T = TypeVar("T")


class Context:
    """Given to stages that declare ``ctx: Context``. Nothing in it is hashed or stored."""

    def __init__(self, scope: Scope, *, stage: str) -> None:
        self._scope = scope
        self.stage = stage

    @property
    def run_id(self) -> str:
        """The run's id; ``plain`` outside of a run."""
        return self._scope.run_id

    def resource(self, kind: type[T]) -> T:
        """The resource of that type, as given to ``Runtime(resources=[...])``.

        Raises:
            StageError: there is none.
        """
        return self._scope.resource(kind)

    def now(self) -> float:
        """Seconds since the epoch. What a stage makes of it is recorded with its result."""
        return self._scope.services.clock()

    def budget_left(self) -> BudgetLeft:
        """What is left of the run's budget right now."""
        return self._scope.left()
