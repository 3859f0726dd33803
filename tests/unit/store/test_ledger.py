"""The ledger gives back what was written, in order, and its sums are those of the fold."""

import asyncio
import dataclasses
import threading
from collections.abc import Callable
from typing import Any

import anyio
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from guardflow import budget
from guardflow.errors import DatabaseError, LeaseLost, StateError
from guardflow.kinds import Kind
from guardflow.records import ItemRow, RoundRow, RunRow
from guardflow.store import Store, owner_id, rows
from guardflow.store.cells import Document, from_json_cell, to_json_cell
from guardflow.store.committer import Entry
from guardflow.store.ledger import RowIds
from guardflow.values import (
    AttemptEnd,
    AttemptStart,
    CallKey,
    Completion,
    Finding,
    Reservation,
    Spend,
    Usage,
    Verdict,
)

pytestmark = pytest.mark.anyio
Asked = Callable[..., AttemptStart]
NewRun = Callable[..., RunRow]

HOSTILE = "'); DROP TABLE gf_runs; --\x00\x1a\ud800 \U0001f600 %s ? :x \x1b[2J \u202e"
COMPLETION = Completion(
    HOSTILE,
    refusal=HOSTILE,
    finish_reason="stop",
    usage=Usage(10, 20, 3),
    model="m",
    request_id="q",
    dropped=("a", "b"),
)
VERDICT = Verdict(
    Kind.GUARD, (Finding(HOSTILE, ("quotes", 2, "text"), HOSTILE, "expected", "guard"),), "repaired"
)

text = st.text(st.characters(codec=None))
maybe = st.none() | text
completions = st.builds(
    Completion, maybe, maybe, maybe, st.none() | st.builds(Usage, *[st.integers(0, 9)] * 3), maybe, maybe,
    st.lists(text, max_size=2).map(tuple),
)  # fmt: skip


@given(completions)
def test_any_completion_comes_back_exactly(completion: Completion) -> None:
    cell = to_json_cell(rows.completion_json(completion))
    assert rows.read_completion(Document(from_json_cell(cell, what="it"), what="it")) == completion


async def test_an_attempt_comes_back_as_it_was_written(store: Store, new_run: NewRun, asked: Asked) -> None:
    await store.runs.create(new_run())
    start = asked(stage=HOSTILE, rung=HOSTILE, model=HOSTILE, request_hash=HOSTILE, prompt_hash=HOSTILE)
    row = await store.ledger.begin(start, epoch=0)
    (begun,) = await store.ledger.attempts("r")
    assert (begun.id, begun.start, begun.end, begun.verdict, begun.superseded) == (
        row,
        start,
        None,
        None,
        False,
    )
    end = AttemptEnd(1732287240.1 + 0.2, COMPLETION, Kind.RATE_LIMIT, HOSTILE, 1.25, Usage(1, 2, 1), 2**62)
    await store.ledger.finish(row, end)
    store.ledger.judge(row, Verdict(None))
    store.ledger.judge(row, VERDICT)
    store.ledger.supersede([row])
    await store.ledger.flush()
    (done,) = await store.ledger.attempts("r")
    assert (done.start, done.end, done.verdict, done.superseded) == (start, end, VERDICT, True)


async def test_every_kind_comes_back(store: Store, new_run: NewRun, asked: Asked) -> None:
    await store.runs.create(new_run())
    kinds = [*Kind, Kind.TRANSIENT, Kind.GUARD | Kind.BUG]
    for kind in kinds:
        await store.ledger.record(asked(), AttemptEnd(1.0, kind=kind), epoch=0)
    assert [a.kind for a in await store.ledger.attempts("r")] == kinds


async def test_rows_come_in_order_of_insertion_and_by_step(
    store: Store, new_run: NewRun, asked: Asked
) -> None:
    await store.runs.create(new_run())
    await asyncio.gather(
        *(store.ledger.begin(asked(n=n, key=CallKey("r", n % 2)), epoch=0) for n in range(200))
    )
    assert [a.start.n for a in await store.ledger.attempts("r")] == list(range(200))
    assert [a.start.n for a in await store.ledger.attempts("r", 1)] == list(range(1, 200, 2))
    assert await store.ledger.attempts("other") == []


async def test_ids_go_on_above_those_of_a_machine_whose_clock_is_ahead(
    store: Store, new_run: NewRun, asked: Asked
) -> None:
    await store.runs.create(new_run())
    ahead = 1 << 62
    store.ledger._ids.see(ahead)
    await store.ledger.begin(asked(n=1), epoch=0)
    store.ledger._ids._last = 0  # another process, by its own clock
    lease = await store.runs.claim("r", owner_id(), seconds=30)
    await store.ledger.begin(asked(n=2), epoch=lease.epoch)
    assert [a.start.n for a in await store.ledger.attempts("r")] == [1, 2]


async def test_an_id_that_is_taken_is_drawn_anew(store: Store, new_run: NewRun, asked: Asked) -> None:
    await store.runs.create(new_run())
    taken = await store.ledger.begin(asked(n=1), epoch=0)
    store.ledger._ids.see(1 << 62)  # so that the clock does not help
    store.ledger._ids._last = (1 << 62) - 1
    one = await store.ledger.begin(asked(n=2), epoch=0)
    store.ledger._ids._last -= 1
    other = await store.ledger.begin(asked(n=3), epoch=0)
    assert len({taken, one, other}) == 3
    assert [a.start.n for a in await store.ledger.attempts("r")] == [1, 2, 3]


def test_drawn_ids_grow_and_fit_63_bits() -> None:
    ids = RowIds()
    drawn = [ids.draw() for _ in range(5000)]
    assert drawn == sorted(set(drawn))
    assert drawn[-1] < 2**63


def ends() -> list[AttemptEnd | None]:
    usage = Usage(100, 23, 7)
    return [
        None,
        AttemptEnd(2.0, COMPLETION, usage=usage, nano_usd=77),
        AttemptEnd(2.0, COMPLETION, usage=usage, nano_usd=None),
        AttemptEnd(2.0, COMPLETION, usage=usage, nano_usd=0, cached=True),
        AttemptEnd(2.0, COMPLETION, usage=usage, cached=True),
        AttemptEnd(2.0, abandoned=True),
        AttemptEnd(2.0, kind=Kind.TIMEOUT, error="timed out", nano_usd=0),
        AttemptEnd(2.0, kind=Kind.BUG),
    ]


async def test_spend_is_the_fold_over_a_run_and_its_descendants(
    store: Store, new_run: NewRun, asked: Asked
) -> None:
    await store.runs.create(new_run("r"))
    await store.runs.create(new_run("r-1", root="r", parent="r"))
    await store.runs.create(new_run("r-1-1", root="r", parent="r-1"))
    await store.runs.create(new_run("s"))
    family = ("r", "r-1", "r-1-1")
    for run_id in (*family, "s"):
        for reserved in (Reservation(1000, 5000), Reservation(1000, None), Reservation(10, 2**60)):
            for end in ends():
                start = asked(run_id, reserved=reserved)
                if end is not None and end.cached:
                    await store.ledger.record(start, end, epoch=0)
                    continue
                row = await store.ledger.begin(start, epoch=0)
                if end is not None:
                    await store.ledger.finish(row, end)
                    store.ledger.supersede([row])
    for top, members in (("r", family), ("r-1", family[1:]), ("r-1-1", family[2:])):
        attempts = [a for run_id in members for a in await store.ledger.attempts(run_id)]
        assert await store.ledger.spend(top) == budget.fold(attempts)
    assert await store.ledger.spend("absent") == Spend()


async def test_abandoned_and_recorded_attempts_keep_their_reservation(
    store: Store, new_run: NewRun, asked: Asked
) -> None:
    await store.runs.create(new_run())
    row = await store.ledger.begin(asked(), epoch=0)
    await store.ledger.finish(row, AttemptEnd(2.0, abandoned=True))
    await store.ledger.record(asked(), AttemptEnd(2.0, abandoned=True), epoch=0)
    assert await store.ledger.spend("r") == Spend(10_000, 2000, 2, 0, 10_000)


async def test_a_finished_call_is_kept_after_the_lease_is_lost(
    store: Store, new_run: NewRun, asked: Asked
) -> None:
    await store.runs.create(new_run())
    row = await store.ledger.begin(asked(), epoch=0)
    await store.runs.claim("r", owner_id(), seconds=30)
    await store.ledger.finish(row, AttemptEnd(2.0, COMPLETION))
    assert (await store.ledger.attempts("r"))[0].end is not None
    with pytest.raises(LeaseLost, match="epoch 1, ours 0"):
        await store.ledger.begin(asked(), epoch=0)
    with pytest.raises(LeaseLost):
        await store.ledger.record(asked(), AttemptEnd(2.0), epoch=0)
    with pytest.raises(LeaseLost):
        await store.ledger.put_item(ItemRow(CallKey("r", 1, 0), 0, "h", {}), epoch=0)


async def test_a_child_is_fenced_by_its_roots_lease(store: Store, new_run: NewRun, asked: Asked) -> None:
    await store.runs.create(new_run("r"))
    await store.runs.create(new_run("r-1", root="r", parent="r"))
    lease = await store.runs.claim("r", owner_id(), seconds=30)
    await store.ledger.begin(asked("r-1"), epoch=lease.epoch)
    with pytest.raises(LeaseLost):
        await store.ledger.begin(asked("r-1"), epoch=lease.epoch - 1)


async def test_nothing_is_begun_under_an_old_lease_once_a_takeover_returned(
    opened: Any, new_run: NewRun, asked: Asked
) -> None:
    async with opened() as old, opened() as new:
        await old.runs.create(new_run())
        first = await old.runs.claim("r", owner_id(), seconds=-1)  # it is over at once

        async def keep_writing() -> int:
            written = 0
            while True:
                try:
                    await old.ledger.begin(asked(n=1), epoch=first.epoch)
                except LeaseLost:
                    return written
                written += 1

        writers = [asyncio.ensure_future(keep_writing()) for _ in range(10)]
        while not await new.ledger.attempts("r"):
            await asyncio.sleep(0.01)
        second = await new.runs.claim("r", owner_id(), seconds=30)
        seen = len(await new.ledger.attempts("r"))
        await new.ledger.begin(asked(n=2), epoch=second.epoch)
        written = sum(await asyncio.gather(*writers))
        after = await new.ledger.attempts("r")
    assert written == seen > 0
    assert [a.start.n for a in after].count(1) == seen
    assert second.epoch == first.epoch + 1


async def test_a_takeover_waits_for_the_group_whose_fence_was_checked(
    opened: Any, new_run: NewRun, asked: Asked
) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(_: sa.Connection) -> None:
        running.set()
        assert go_on.wait(60)

    async with opened() as old, opened() as new:
        await old.runs.create(new_run())
        lease = await old.runs.claim("r", owner_id(), seconds=-1)
        group = asyncio.gather(
            old.ledger.begin(asked(), epoch=lease.epoch), old.ledger._committer.write(Entry(None, work=slow))
        )
        await anyio.to_thread.run_sync(running.wait)
        takeover = asyncio.ensure_future(new.runs.claim("r", owner_id(), seconds=30))
        await asyncio.sleep(0.1)
        assert not takeover.done()
        go_on.set()
        await group
        assert (await takeover).epoch == lease.epoch + 1


async def test_a_group_waits_for_a_takeover_that_is_under_way(
    opened: Any, new_run: NewRun, asked: Asked
) -> None:
    running, go_on = threading.Event(), threading.Event()

    def slow(connection: sa.Connection) -> None:
        connection.exec_driver_sql("UPDATE gf_runs SET epoch = epoch + 1")
        running.set()
        assert go_on.wait(60)

    async with opened() as old, opened() as new:
        await old.runs.create(new_run())
        takeover = asyncio.ensure_future(new.ledger._committer.write(Entry(None, work=slow)))
        await anyio.to_thread.run_sync(running.wait)
        begun = asyncio.ensure_future(old.ledger.begin(asked(), epoch=0))
        await asyncio.sleep(0.1)
        assert not begun.done()
        go_on.set()
        await takeover
        with pytest.raises(LeaseLost):
            await begun
        assert await new.ledger.attempts("r") == []


async def test_items_come_back_once_and_in_order(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run())
    made = [
        ItemRow(CallKey("r", 3, item), round_, "h", {"v": 1, "text": HOSTILE, "n": [item, 1.5, None, True]})
        for item in (2, 0, 1)
        for round_ in (1, 0)
    ]
    await asyncio.gather(*(store.ledger.put_item(item, epoch=0) for item in made))
    again = dataclasses.replace(made[0], outcome={"v": "another"})
    await store.ledger.put_item(again, epoch=0)
    found = await store.ledger.items("r", 3)
    assert found == sorted(made, key=lambda row: (row.key.item, row.round))
    assert await store.ledger.items("r", 4) == []


async def test_rounds_are_opened_all_or_none_and_kept_in_order(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run())
    opened = [
        RoundRow(CallKey("r", 5), 1, "resume"),
        RoundRow(CallKey("r", 2), 1, "answer", {"value": HOSTILE}),
        RoundRow(CallKey("r", 2, 7), 1, "answer", {"skip": True}),
    ]
    await store.ledger.open_rounds(opened[:2])
    await store.ledger.open_rounds(opened[2:])
    with pytest.raises(StateError, match="open already") as caught:
        await store.ledger.open_rounds([RoundRow(CallKey("r", 9), 1, "resume"), opened[0]])
    assert not isinstance(caught.value, DatabaseError)
    assert await store.ledger.rounds("r") == opened
    await store.ledger.open_rounds([])


async def test_a_damaged_row_is_a_typed_error(store: Store, new_run: NewRun, asked: Asked) -> None:
    await store.runs.create(new_run())
    await store.ledger.record(asked(), AttemptEnd(1.0), epoch=0)
    for ended in ('{"kind": "INVENTED"}', '{"completion": [1]}', "nothing", '{"cached": 1}'):
        with store.database.engine.begin() as connection:
            connection.exec_driver_sql(f"UPDATE gf_attempts SET ended = '{ended}'")
        with pytest.raises(DatabaseError, match="is damaged"):
            await store.ledger.attempts("r")


async def test_fields_of_a_newer_version_are_ignored(store: Store, new_run: NewRun, asked: Asked) -> None:
    await store.runs.create(new_run())
    await store.ledger.record(asked(), AttemptEnd(1.0), epoch=0)
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(
            """UPDATE gf_attempts SET ended = '{"nano_usd": 3, "invented_later": {}}'"""
        )
    assert (await store.ledger.attempts("r"))[0].end == AttemptEnd(1.0, nano_usd=3)
