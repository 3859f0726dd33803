"""What a run gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

import anyio

from guardflow.agreement import Agreement
from guardflow.errors import BudgetExceeded, RunError, WaitingForPerson
from guardflow.values import Attempt, Finding, Spend, Status

Out = TypeVar("Out")


@dataclass(frozen=True, slots=True)
class Parked:
    """A stage call that waits for a person. ``item`` is -1 outside of a fan_out."""

    run_id: str
    stage: str
    step: int
    item: int
    message: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class RunResult(Generic[Out]):
    """How a run ended.

    Args:
        run_id: its id; the same id again resumes it, or gives this result again.
        status: ``ok`` and ``degraded`` have an output.
        output: the pipeline's result.
        message: why there is none; of a degraded run, the reasons that its pipeline gave.
        spend: what all its attempts cost, over all rounds and child runs.
        degraded: names of the stages whose fallback stands in the output, and the parts that the pipeline marked
            by `mark_degraded`.
        parked: what waits for a person.
        agreement: how sure the run's own votes were, by stage; of several calls of a stage the least sure one.
    """

    run_id: str
    pipeline: str
    status: Status
    output: Out | None
    message: str
    spend: Spend
    degraded: tuple[str, ...] = ()
    parked: tuple[Parked, ...] = ()
    attempts: Sequence[Attempt] = ()
    agreement: Mapping[str, Agreement] = field(default_factory=dict[str, Agreement])

    @property
    def ok(self) -> bool:
        """Whether there is an output."""
        return self.status in ("ok", "degraded")

    def unwrap(self) -> Out:
        """The output.

        Raises:
            BudgetExceeded, WaitingForPerson, RunError: there is none, by status.
        """
        if self.ok:
            return cast("Out", self.output)
        said = f"run {self.run_id!r} ended {self.status}: {self.message}"
        if self.status == "over_budget":
            raise BudgetExceeded(said, hint=f"resume run {self.run_id!r} with a higher budget")
        if self.status == "waiting":
            raise WaitingForPerson(said, hint=f"answer it with `guardflow runs answer {self.run_id} STAGE`")
        raise RunError(said, hint=f"see `guardflow runs show {self.run_id}`")


class Started(Generic[Out]):
    """A run that executes in the background of its runtime."""

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self._over = anyio.Event()
        self._result: RunResult[Out] | None = None
        self._error: Exception | None = None

    async def carry(self, run: Callable[[], Awaitable[RunResult[Out]]]) -> None:
        """Execute ``run`` and keep what comes of it; the runtime's part."""
        try:
            self._result = await run()
        except Exception as error:  # noqa: BLE001  # raised where it is waited for
            self._error = error
        finally:
            self._over.set()

    async def result(self) -> RunResult[Out]:
        """How the run ended, once it has.

        Raises:
            RunError: the runtime was closed before; or whatever `Runtime.run` raises.
        """
        await self._over.wait()
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise RunError(
                f"run {self.run_id!r} was stopped with its runtime", hint="run the same id again to go on"
            )
        return self._result
