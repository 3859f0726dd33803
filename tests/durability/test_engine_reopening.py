"""The durable engine: what is opened again, forked, cancelled and taken over."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from typing import Any

import anyio
import pytest
import sqlalchemy as sa
from engine_lab import OK, Branch, Lab, database_fixture, lab_fixture, lab_on, stored, url_of  # noqa: F401  # fixtures

from guardflow.errors import (
    LeaseLost,
    NotResumable,
    ReplayMismatch,
    RunExists,
    RunIsLive,
    RunNotFound,
)
from guardflow.store.dbos.engine import RECOVERY_CAP
from guardflow.store.dbos.rows import WorkflowRows
from guardflow.store.dbos.session import Session
from guardflow.store.engine import Database

pytestmark = pytest.mark.anyio


async def test_a_forgotten_step_runs_again_with_its_new_name(lab: Lab, database: Database) -> None:
    names = ["a", "b", "c"]

    async def three(session: Session) -> list[Any]:
        out: list[Any] = []
        for name in names:
            step = session.reserve()
            if session.resumed and name == "B":
                await session.forget(step)
                await session.forget(step)
            out.append((await session.step(step, name, lab.body(name)))["value"])
        return out

    lab.code["three"] = three
    await lab.engine.start("r", "three", epoch=1)
    names[1] = "B"
    assert (await lab.engine.reopen("r", "three", [1], epoch=2))["value"] == ["a", "B", "c"]
    assert lab.ran == {"a": 2, "b": 1, "B": 1, "c": 1}
    assert await stored(lab, "r") == {1: "a", 2: "B", 3: "c"}

    async def lost(session: Session) -> None:
        step = session.reserve()
        WorkflowRows(database.engine).claim("r", "three", owner="host:boot:2:b", version="gf-1")
        await session.forget(step)

    lab.code["three"] = lost
    with pytest.raises(LeaseLost):
        await lab.engine.reopen("r", "three", [], epoch=3)
    assert await stored(lab, "r") == {1: "a", 2: "B", 3: "c"}


async def test_cancelling_the_caller_leaves_the_run_adoptable_and_keeps_what_was_paid(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    async def slow(session: Session) -> None:
        await session.step(session.reserve(), "paid", lab.body("paid"))
        await session.step(session.reserve(), "open", lab.body("open", pause=0 if session.resumed else 600))

    lab.code["slow"] = slow
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: lab.engine.start("r", "slow", epoch=1))
        while not lab.ran["open"]:
            await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    assert await stored(lab, "r") == {1: "paid"}
    await lab.engine.adopt("r", "slow", epoch=2)
    assert lab.ran == {"paid": 1, "open": 2}
    assert caplog.records == []


async def test_an_answer_that_arrived_is_stored_although_the_run_is_being_cancelled(lab: Lab) -> None:
    async def last(session: Session) -> None:
        async def body() -> dict[str, Any]:
            asyncio.current_task().cancel()  # type: ignore[union-attr]  # there is a task
            return {"v": 1}

        await session.step(session.reserve(), "last", body)
        await anyio.sleep(30)

    lab.code["last"] = last
    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(lab.engine.start("r", "last", epoch=1))
    await lab.engine.close()
    assert WorkflowRows(lab.engine.rows.engine).steps("r")[0].name == "last"


async def test_ids_are_taken_once_and_a_run_executes_once_at_a_time(lab: Lab) -> None:
    begun, go_on = anyio.Event(), anyio.Event()

    async def wait(session: Session) -> None:
        async def body() -> dict[str, Any]:
            begun.set()
            await go_on.wait()
            return {"v": 1}

        await session.step(session.reserve(), "w", body)

    lab.code |= {"wait": wait, "other": wait}
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: lab.engine.start("r", "wait", epoch=1))
        await begun.wait()
        for again in (lab.engine.start, lab.engine.adopt):
            with pytest.raises(RunIsLive):
                await again("r", "wait", epoch=1)
        go_on.set()
    with pytest.raises(RunExists):
        await lab.engine.start("r", "wait", epoch=2)
    with pytest.raises(ReplayMismatch, match="another pipeline"):
        await lab.engine.start("r", "other", epoch=2)
    with pytest.raises(ReplayMismatch, match="belongs to 'wait'"):
        await lab.engine.adopt("r", "other", epoch=2)
    with pytest.raises(RunNotFound):
        await lab.engine.reopen("nothing", "wait", [], epoch=2)


async def test_a_run_that_died_before_it_came_to_the_engine_is_adopted_from_its_start(lab: Lab) -> None:
    async def one(session: Session) -> bool:
        await session.step(session.reserve(), "s", lab.body("s"))
        return session.resumed

    lab.code["one"] = one
    assert (await lab.engine.adopt("r", "one", epoch=2))["value"] is True
    assert lab.ran == {"s": 1}


async def test_a_run_that_kills_every_process_is_not_adopted_for_ever(lab: Lab) -> None:
    async def poison(session: Session) -> None:
        raise MemoryError

    lab.code["poison"] = poison
    with pytest.raises(MemoryError):
        await lab.engine.start("r", "poison", epoch=1)
    for epoch in range(RECOVERY_CAP):
        with pytest.raises(MemoryError):
            await lab.engine.adopt("r", "poison", epoch=epoch)
    with pytest.raises(NotResumable, match="ended 6 processes"):
        await lab.engine.adopt("r", "poison", epoch=9)
    with pytest.raises(MemoryError):
        await lab.engine.adopt("r", "poison", epoch=9, cap=None)
    with pytest.raises(MemoryError):
        await lab.engine.reopen("r", "poison", [], epoch=10)
    with pytest.raises(MemoryError):
        await lab.engine.adopt("r", "poison", epoch=11)


async def test_deleted_runs_leave_nothing(lab: Lab, database: Database) -> None:
    async def one(session: Session) -> None:
        await session.step(session.reserve(), "s", lab.body("s"))

    lab.code["one"] = one
    await lab.engine.start("r", "one", epoch=1)
    await lab.engine.start("kept", "one", epoch=1)
    await lab.engine.delete(["r"])
    assert await stored(lab, "r") == {} and await stored(lab, "kept") == {1: "s"}
    prefix = "" if database.is_sqlite else "dbos."
    with database.engine.connect() as connection:
        for table in ("workflow_status", "workflow_input", "workflow_output", "operation_outputs"):
            ids = connection.execute(sa.text(f"SELECT workflow_uuid FROM {prefix}{table}")).scalars().all()
            assert set(ids) == {"kept"}, table


async def test_reading_steps_needs_no_engine_and_no_tables(database: Database) -> None:
    assert WorkflowRows(database.engine).steps("r") == ()
    WorkflowRows(database.engine).delete(["r"])


async def test_steps_that_end_together_share_commits(lab: Lab, database: Database) -> None:
    commits = Counter[int]()

    def count(_: object) -> None:
        commits[threading.get_ident()] += 1

    async def wide(session: Session) -> None:
        sa.event.listen(database.engine, "commit", count)
        await asyncio.gather(*(session.step(session.reserve(), "s", lab.body("s")) for _ in range(200)))
        sa.event.remove(database.engine, "commit", count)

    lab.code["wide"] = wide
    await lab.engine.start("r", "wide", epoch=1)
    assert len(await stored(lab, "r")) == 200
    assert 1 <= commits.total() <= 20


async def test_text_of_every_kind_survives_a_replay(lab: Lab) -> None:
    nasty = {"v": 1, "value": ["\x00", "\ud800", "\u2028", "é" * 3, 1e308, -0.0, 2**80, None, True]}

    async def odd(session: Session) -> Any:
        async def body() -> dict[str, Any]:
            lab.ran["odd"] += 1
            return nasty

        return (await session.step(session.reserve(), "odd", body))["value"]

    lab.code["odd"] = odd
    first = await lab.engine.start("r", "odd", epoch=1)
    assert await lab.engine.reopen("r", "odd", [], epoch=2) == first == {**OK, "value": nasty["value"]}
    assert lab.ran == {"odd": 1}


async def test_what_is_not_json_is_refused_and_not_stored(lab: Lab) -> None:
    async def bad(session: Session) -> None:
        async def body() -> dict[str, Any]:
            return {"v": float("nan")}

        await session.step(session.reserve(), "nan", body)

    lab.code["bad"] = bad
    with pytest.raises(ValueError, match="JSON"):
        await lab.engine.start("r", "bad", epoch=1)
    assert await stored(lab, "r") == {}


async def test_a_code_edit_does_not_strand_a_run(database: Database) -> None:
    async with lab_on(database) as lab:

        async def before(session: Session) -> None:
            await session.step(session.reserve(), "a", lab.body("a"))
            raise RuntimeError("dies")

        lab.code["p"] = before
        with pytest.raises(RuntimeError):
            await lab.engine.start("r", "p", epoch=1)
    async with lab_on(database, "host:boot:2:b") as lab:

        async def after(session: Session) -> None:
            await session.step(session.reserve(), "a", lab.body("a"))
            await session.step(session.reserve(), "new", lab.body("new"))

        lab.code["p"] = after
        await lab.engine.adopt("r", "p", epoch=2)
        assert lab.ran == {"new": 1}
