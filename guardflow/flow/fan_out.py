"""`fan_out`: many calls of one stage, or many child runs of one pipeline, as one step of the run.

Each item of a stage is a ledger row, committed in groups; a resume does only the items that are missing.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar, cast, overload

import anyio

from guardflow.errors import StageEnded, StageError
from guardflow.events import ItemsFinished
from guardflow.hashing import JSON, canonical_json
from guardflow.records import ItemRow
from guardflow.values import Attempt, CallKey, Outcome

from .envelope import INLINE_LIMIT, VERSION, pack, stored_value, unpack
from .pipeline import Pipeline, run_children
from .protocols import Envelope
from .scope import Scope, current_scope, in_stage, plain_scope, refuse_inside_stage
from .stage import Stage, run_step

if TYPE_CHECKING:
    from guardflow.budget import Budget

A = TypeVar("A")
B = TypeVar("B")

_INLINE_ITEM = 16 * 1024
"""Bytes up to which an item's value stays in its row."""


@overload
def fan_out(
    target: Stage[A, B] | Pipeline[A, B],
    items: Iterable[A],
    /,
    *,
    limit: int = 8,
    errors: Literal["raise"] = "raise",
    budget: Budget | None = None,
) -> Coroutine[object, None, list[B]]: ...
@overload
def fan_out(
    target: Stage[A, B] | Pipeline[A, B],
    items: Iterable[A],
    /,
    *,
    limit: int = 8,
    errors: Literal["collect"],
    budget: Budget | None = None,
) -> Coroutine[object, None, list[Outcome[B]]]: ...
def fan_out(
    target: Stage[A, B] | Pipeline[A, B],
    items: Iterable[A],
    /,
    *,
    limit: int = 8,
    errors: Literal["raise", "collect"] = "raise",
    budget: Budget | None = None,
) -> Coroutine[object, None, list[B]] | Coroutine[object, None, list[Outcome[B]]]:
    """Call a stage, or run a pipeline, on every item; results come in the order of the items.

    Args:
        target: a stage (one step, items are rows), or a pipeline (child runs).
        items: the inputs; read at once.
        limit: how many run at the same time.
        errors: ``"raise"`` cancels the rest at the first item that ends without a value, and keeps what is
            finished; ``"collect"`` gives an `Outcome` for each item.
        budget: for pipelines: what each child run may spend, inside the run's own budget.

    Raises:
        StageEnded: with ``errors="raise"``, when an item ends without a value.
    """
    values = list(items)
    refuse_inside_stage("fan_out")
    if limit < 1:
        raise StageError(f"fan_out got limit={limit}", hint="give a limit of at least 1")
    if isinstance(target, Pipeline):
        return cast("Coroutine[object, None, list[B]]", _over_pipeline(target, values, limit, errors, budget))
    if budget is not None:
        raise StageError(
            "fan_out got a budget over a stage",
            hint="budgets of items are for pipelines; give the stage a budget",
        )
    scope = current_scope()
    if scope is None or scope.place == "plain":
        return cast("Coroutine[object, None, list[B]]", _plain(target, values, limit, errors))
    scope.called(target.name, target)
    step = scope.engine.reserve()
    return cast("Coroutine[object, None, list[B]]", _over_stage(target, values, limit, errors, scope, step))


async def _over_pipeline(
    target: Pipeline[A, B],
    values: Sequence[A],
    limit: int,
    errors: Literal["raise", "collect"],
    budget: Budget | None,
) -> Sequence[object]:
    outcomes = await run_children(target, values, limit=limit, budget=budget)
    return list(outcomes) if errors == "collect" else [outcome.unwrap() for outcome in outcomes]


async def _plain(
    target: Stage[A, B], values: Sequence[A], limit: int, errors: Literal["raise", "collect"]
) -> Sequence[object]:
    async with plain_scope() as scope:
        return await _over_stage(target, values, limit, errors, scope, 1)


async def _over_stage(
    target: Stage[A, B],
    values: Sequence[A],
    limit: int,
    errors: Literal["raise", "collect"],
    scope: Scope,
    step: int,
) -> Sequence[object]:
    inputs = [target.input.dump(value) for value in values]
    digests = [target.input.hash(data) for data in inputs]
    digest = target.input.hash(cast("JSON", [*digests, errors]))
    name = f"fan_out:{target.name}"

    async def body() -> Envelope:
        work = _Work(scope, cast("Stage[object, object]", target), step, list(values), digests)
        await work.find_finished()
        async with in_stage(target.name, scope):
            await work.run(limit=limit, stop_early=errors == "raise")
        return await work.packed(name, digest)

    with scope.accompanied():
        envelope = await run_step(scope, step, "fan_out", body, name=name, digest=digest)
    rows = cast("Sequence[Envelope]", await stored_value(envelope, artifacts=scope.services.artifacts))
    artifacts = scope.services.artifacts
    if envelope["status"] != "ok" and errors == "raise":
        failed = await unpack(cast("Envelope", envelope["first"]), target.output, artifacts=artifacts)
        raise StageEnded(
            f"item {envelope['index']} of fan_out over stage {target.name!r} ended {failed.status}"
            f"{f' ({failed.kind.name})' if failed.kind is not None else ''}: {failed.message}",
            outcome=failed,
        )
    outcomes = [await unpack(row, target.output, artifacts=artifacts) for row in rows]
    for outcome in outcomes:
        scope.ended(outcome)
    return outcomes if errors == "collect" else [outcome.value for outcome in outcomes]


@dataclass(slots=True)
class _Work:
    """The items of one fan_out that are still to be done, and those that are."""

    scope: Scope
    stage: Stage[object, object]
    step: int
    values: Sequence[object]
    digests: Sequence[str]
    done: dict[int, Envelope] = field(default_factory=dict[int, Envelope])
    history: dict[int, list[Attempt]] = field(default_factory=dict[int, list[Attempt]])
    first_bad: int | None = None

    async def find_finished(self) -> None:
        """Find the items that an earlier execution finished, in their latest round."""
        attempts, rows = await self.scope.recorded(self.step)
        self.history = _by_item(attempts)
        for row in rows:
            index = row.key.item
            opened = self.scope.round_of(row.key)
            same = index < len(self.digests) and row.input_hash == self.digests[index]
            if same and row.round == (opened.round if opened is not None else 0):
                self.done[index] = row.outcome

    async def run(self, *, limit: int, stop_early: bool) -> None:
        done = self.done
        for index in sorted(done):
            self._watch(index, done[index])
        if stop_early and self.first_bad is not None:
            return
        todo = iter([i for i in range(len(self.values)) if i not in done])
        self._tell()
        errors: list[Exception] = []
        async with anyio.create_task_group() as group:

            async def work() -> None:
                for index in todo:
                    envelope = await self._one(index)
                    done[index] = envelope
                    self._watch(index, envelope)
                    self._tell()
                    if stop_early and self.first_bad is not None:
                        group.cancel_scope.cancel()

            async def worker() -> None:
                try:
                    await work()
                except Exception as error:  # noqa: BLE001  # raised below, without the group around it
                    errors.append(error)
                    group.cancel_scope.cancel()

            for _ in range(min(limit, len(self.values) - len(done))):
                group.start_soon(worker)
        if errors:
            raise errors[0]

    def _watch(self, index: int, envelope: Envelope) -> None:
        if envelope["status"] not in ("ok", "degraded") and self.first_bad is None:
            self.first_bad = index

    def _tell(self) -> None:
        name = f"fan_out:{self.stage.name}"
        event = ItemsFinished(self.scope.run_id, self.step, name, len(self.done), len(self.values))
        self.scope.tell(event)

    async def _one(self, index: int) -> Envelope:
        scope, digest = self.scope, self.digests[index]
        key = CallKey(scope.run_id, self.step, index)
        opened = scope.round_of(key)
        history = self.history.get(index, ())
        value = self.stage.input.check(self.values[index])
        performed = await self.stage.perform(scope, key, value, history)
        envelope = await pack(
            performed.outcome,
            self.stage.output,
            digest=digest,
            artifacts=scope.services.artifacts,
            inline=_INLINE_ITEM,
        )
        if performed.checks:
            envelope = {**envelope, "checks": performed.checks}
        row = ItemRow(key, opened.round if opened is not None else 0, digest, envelope)
        await scope.services.ledger.put_item(row, epoch=scope.engine.epoch)
        return envelope

    async def packed(self, name: str, digest: str) -> Envelope:
        done = self.done
        head: dict[str, JSON] = {"v": VERSION, "name": name, "in": digest, "status": "ok"}
        if self.first_bad is not None:
            bad = done[self.first_bad]
            head |= {"status": bad["status"], "index": self.first_bad, "first": bad}
        items: JSON = [done[i] for i in sorted(done)]
        return await _inline_or_apart(head, items, self.scope)


async def _inline_or_apart(head: dict[str, JSON], items: JSON, scope: Scope) -> Envelope:
    encoded = canonical_json(items)
    if len(encoded) <= INLINE_LIMIT:
        return {**head, "value": items}
    return {**head, "at": await scope.services.artifacts.put(encoded)}


def _by_item(attempts: Sequence[Attempt]) -> dict[int, list[Attempt]]:
    out: dict[int, list[Attempt]] = {}
    for attempt in attempts:
        out.setdefault(attempt.start.key.item, []).append(attempt)
    return out
