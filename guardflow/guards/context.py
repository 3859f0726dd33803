"""What a guard is given besides the value, and the protocol through which it asks models.

Flow makes a `GuardContext` for each check, tests make their own. It never reaches a model by itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, Protocol, TypeVar, cast

from guardflow.errors import StageError
from guardflow.values import Model

AnswerT = TypeVar("AnswerT")
ResourceT = TypeVar("ResourceT")
In_co = TypeVar("In_co", covariant=True)


class Asker(Protocol):
    """Asks a model one question on behalf of a guard. Flow injects it: metered, recorded, with its own waits."""

    async def __call__(
        self,
        model: Model,
        text: str,
        answer: type[AnswerT],
        /,
        *,
        variables: Mapping[str, object],
        guard: str,
    ) -> AnswerT: ...


class GuardContext(Generic[In_co]):
    """What a guard knows besides the value: the stage's input, its name, resources, and models to ask.

    Args:
        input: what the stage was called with.
        stage: the stage's name.
        ask: answers `ask`; None outside a run.
        resources: objects that `resource` finds by type (or a mapping that has them as values).

    >>> GuardContext("the source text", stage="answer").input
    'the source text'
    """

    __slots__ = ("_ask", "_guard", "_resources", "input", "stage")

    input: In_co
    stage: str

    def __init__(
        self,
        input: In_co,
        *,
        stage: str = "",
        ask: Asker | None = None,
        resources: Iterable[object] = (),
    ) -> None:
        self.input = input
        self.stage = stage
        self._ask = ask
        self._guard = ""
        self._resources = resources

    def resource(self, type_: type[ResourceT], /) -> ResourceT:
        """The resource of this type (or of a subclass).

        Raises:
            StageError: there is none.
        """
        held = self._resources
        if isinstance(held, Mapping):
            held = cast("Mapping[object, object]", held).values()
        for found in held:
            if isinstance(found, type_):
                return found
        raise StageError(
            f"stage {self.stage!r} has no resource of type {type_.__name__!r}",
            hint="pass it to Runtime(resources=[...]), or to GuardContext(resources=[...]) in a test",
        )

    async def ask(self, model: Model, text: str, answer: type[AnswerT], /, **variables: object) -> AnswerT:
        """Ask a model and get a typed answer. Counts against the guard's ``asks`` and the run's budget.

        Args:
            model: who is asked.
            text: the question; it may name the variables as ``{{ name }}``.
            answer: the type of the answer.
            variables: outside text that the question refers to. It is shown fenced, as data.

        Raises:
            ModelCallError: the model could not be asked.
            StageError: there is nobody to ask here.
        """
        if self._ask is None:
            raise StageError(
                f"a guard of stage {self.stage!r} asks model {model.name!r}, but there is no run to ask in",
                hint="call the stage, or pass GuardContext(..., ask=...) in a test",
            )
        return await self._ask(model, text, answer, variables=variables, guard=self._guard)

    def for_guard(self, name: str, *, asks: int) -> GuardContext[In_co]:
        """A copy whose questions are asked in the name of one guard, at most ``asks`` of them."""
        view = GuardContext(self.input, stage=self.stage, ask=self._ask, resources=self._resources)
        view._guard = name
        if self._ask is not None:
            view._ask = _Metered(self._ask, name, asks)
        return view


class _Metered:
    """Holds a guard to the number of questions it declared: the worst case of a stage rests on it."""

    __slots__ = ("_ask", "_guard", "_left", "_most")

    def __init__(self, ask: Asker, guard: str, asks: int) -> None:
        self._ask, self._guard, self._most, self._left = ask, guard, asks, asks

    async def __call__(
        self,
        model: Model,
        text: str,
        answer: type[AnswerT],
        /,
        *,
        variables: Mapping[str, object],
        guard: str,
    ) -> AnswerT:
        if self._left <= 0:
            raise StageError(
                f"guard {self._guard!r} asks more than the {self._most} question(s) it declares",
                hint=f"declare the most it can ask with @guard(asks={self._most + 1}) or higher",
            )
        self._left -= 1
        return await self._ask(model, text, answer, variables=variables, guard=guard)
