"""The durable engine: steps are stored once, replayed in order, and never swapped."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import nullcontext
from typing import Any

import anyio
import pytest
from dbos._sys_db import SystemDatabase
from engine_lab import OK, Branch, Lab, database_fixture, lab_fixture, lab_on, stored, url_of  # noqa: F401  # fixtures

from guardflow.errors import (
    LeaseLost,
    NotResumable,
    ReplayMismatch,
    RunExists,
    RunNotFound,
    StageError,
)
from guardflow.store.dbos import internals
from guardflow.store.dbos.rows import WorkflowRows
from guardflow.store.dbos.session import Session
from guardflow.store.engine import Database

pytestmark = pytest.mark.anyio


async def test_a_run_that_broke_off_goes_on_after_its_last_stored_step(lab: Lab) -> None:
    crash = True

    async def two(session: Session) -> list[Any]:
        a = await session.step(session.reserve(), "a", lab.body("a"))
        if crash:
            raise RuntimeError("the process dies here")
        b = await session.step(session.reserve(), "b", lab.body("b"))
        return [a["value"], b["value"], session.resumed, session.epoch]

    lab.code["two"] = two
    with pytest.raises(RuntimeError, match="dies here"):
        await lab.engine.start("r", "two", epoch=1)
    crash = False
    assert (await lab.engine.adopt("r", "two", epoch=2))["value"] == ["a", "b", True, 2]
    assert lab.ran == {"a": 1, "b": 1}
    assert await stored(lab, "r") == {1: "a", 2: "b"}


@pytest.mark.parametrize("seed", range(6))
async def test_parallel_steps_never_swap_their_results(lab: Lab, seed: int) -> None:
    chance = random.Random(seed)
    names = [f"s{i}" for i in range(12)]

    async def wide(session: Session) -> list[Any]:
        calls = [
            session.step(session.reserve(), "same", lab.body(n, pause=chance.random() / 40)) for n in names
        ]
        work = asyncio.gather(*calls)
        if not session.resumed:
            await anyio.sleep(0.012)
            work.cancel()
            await asyncio.wait([work])
            raise RuntimeError("dies")
        return [e["value"] for e in await work]

    lab.code["wide"] = wide
    with pytest.raises(RuntimeError):
        await lab.engine.start("r", "wide", epoch=1)
    done = await lab.engine.steps("r")
    before = Counter(lab.ran)
    assert (await lab.engine.adopt("r", "wide", epoch=2))["value"] == names
    for step in done:
        assert lab.ran[names[step.id - 1]] == before[names[step.id - 1]]


async def test_a_step_that_raised_is_not_stored_and_reopening_it_keeps_its_siblings(lab: Lab) -> None:
    failing = True

    async def fan(session: Session) -> Any:
        ids = [session.reserve() for _ in range(3)]
        results = await asyncio.gather(
            session.step(ids[0], "a", lab.body("a")),
            session.step(ids[1], "b", lab.body("b", fails=failing)),
            session.step(ids[2], "c", lab.body("c")),
            return_exceptions=True,
        )
        return [str(r) if isinstance(r, Exception) else r["value"] for r in results]

    lab.code["fan"] = fan
    assert (await lab.engine.start("r", "fan", epoch=1))["value"] == ["a", "b broke", "c"]
    assert await stored(lab, "r") == {1: "a", 3: "c"}
    failing = False
    assert (await lab.engine.reopen("r", "fan", [2], epoch=2))["value"] == ["a", "b", "c"]
    assert lab.ran == {"a": 1, "b": 2, "c": 1}
    assert (await lab.engine.reopen("r", "fan", [1], epoch=3))["value"] == ["a", "b", "c"]
    assert lab.ran == {"a": 2, "b": 2, "c": 1}
    assert (await lab.engine.reopen("r", "fan", [], epoch=4))["value"] == ["a", "b", "c"]
    assert lab.ran == {"a": 2, "b": 2, "c": 1}


async def test_another_name_at_a_stored_step_is_a_mismatch_that_tells_both(lab: Lab) -> None:
    name = "plan"

    async def one(session: Session) -> None:
        await session.step(session.reserve(), name, lab.body("x"))

    lab.code["one"] = one
    await lab.engine.start("r", "one", epoch=1)
    name = "answer"
    with pytest.raises(ReplayMismatch, match=r"recorded 'plan' and is now 'answer'.*fork"):
        await lab.engine.reopen("r", "one", [], epoch=2)
    name = "plan"
    await lab.engine.adopt("r", "one", epoch=3)
    assert lab.ran == {"x": 1}


async def test_steps_are_reserved_only_in_the_pipelines_own_task_and_outside_of_steps(lab: Lab) -> None:
    async def wrong(session: Session) -> list[str]:
        said: list[str] = []

        async def nested() -> dict[str, Any]:
            with pytest.raises(StageError) as caught:
                session.reserve()
            said.append(str(caught.value))
            return {"v": 1}

        async def branch() -> None:
            with pytest.raises(StageError) as caught:
                session.reserve()
            said.append(str(caught.value))

        await session.step(session.reserve(), "outer", nested)
        await asyncio.create_task(branch())
        async with anyio.create_task_group() as group:
            group.start_soon(branch)
        assert session.reserve() == 2
        return said

    lab.code["wrong"] = wrong
    said = (await lab.engine.start("r", "wrong", epoch=1))["value"]
    assert "inside another stage's step" in said[0]
    assert "another task" in said[1] and "fan_out(branch, items)" in said[1] and said[1] == said[2]


async def test_awaiting_one_reservation_twice_is_refused(lab: Lab) -> None:
    async def twice(session: Session) -> None:
        step = session.reserve()
        await session.step(step, "s", lab.body("s"))
        await session.step(step, "s", lab.body("s"))

    lab.code["twice"] = twice
    with pytest.raises(StageError, match="awaited twice"):
        await lab.engine.start("r", "twice", epoch=1)


async def test_peek_shows_what_is_stored_and_runs_nothing(lab: Lab) -> None:
    async def look(session: Session) -> list[Any]:
        step, seen = session.reserve(), []
        seen.append(await session.peek(step))
        await session.step(step, "s", lab.body("s"))
        seen.append(await session.peek(step))
        seen.append(await session.peek(session.reserve()))
        return seen

    lab.code["look"] = look
    value = {"v": 1, "value": "s"}
    assert (await lab.engine.start("r", "look", epoch=1))["value"] == [None, value, None]
    assert (await lab.engine.reopen("r", "look", [], epoch=2))["value"] == [value, value, None]


async def test_children_run_once_and_a_parent_that_comes_back_attaches_to_them(lab: Lab) -> None:
    crash = True
    executed = Counter[str]()

    async def child(session: Session) -> Any:
        executed[session.run_id] += 1
        await session.step(session.reserve(), "work", lab.body(session.run_id))
        if crash and session.run_id == "p/2":
            raise RuntimeError("child dies")
        return session.resumed

    async def parent(session: Session) -> None:
        await session.step(session.reserve(), "before", lab.body("before"))
        branches = [Branch(f"p/{i}", "child") for i in range(3)]
        await session.children(session.reserve(), "run:child", branches, lab.body("joined"))
        assert session.reserve() == 3

    lab.code |= {"child": child, "parent": parent}
    with pytest.raises(RuntimeError, match="child dies"):
        await lab.engine.start("p", "parent", epoch=1)
    assert await stored(lab, "p") == {1: "before"}
    crash = False
    await lab.engine.adopt("p", "parent", epoch=2)
    await lab.engine.reopen("p", "parent", [], epoch=3)
    assert lab.ran == {"before": 1, "joined": 1, "p/0": 1, "p/1": 1, "p/2": 1}
    executed.clear()
    await lab.engine.reopen("p", "parent", [2], epoch=4)  # attaches anew to children that have ended
    assert lab.ran["joined"] == 2 and executed == {}


async def test_one_child_is_reopened_with_its_parent_and_the_others_are_not(lab: Lab) -> None:
    async def child(session: Session) -> None:
        await session.step(session.reserve(), "first", lab.body(f"{session.run_id} first"))
        await session.step(session.reserve(), "second", lab.body(f"{session.run_id} second"))

    async def parent(session: Session) -> None:
        branches = [Branch(f"p/{i}", "child") for i in range(2)]
        await session.children(session.reserve(), "run:child", branches, lab.body("joined"))

    lab.code |= {"child": child, "parent": parent}
    await lab.engine.start("p", "parent", epoch=1)
    await lab.engine.reopen("p", "parent", [1], children={"p/1": [2]}, epoch=2)
    assert lab.ran == {"joined": 2, "p/0 first": 1, "p/0 second": 1, "p/1 first": 1, "p/1 second": 2}


async def test_a_fork_starts_from_the_steps_before_the_cut(lab: Lab) -> None:
    async def three(session: Session) -> bool:
        for name in "abc":
            await session.step(session.reserve(), name, lab.body(name))
        return session.resumed

    lab.code["three"] = three
    await lab.engine.start("r", "three", epoch=1)
    await lab.engine.fork("r", "f", 3)
    assert await stored(lab, "f") == {1: "a", 2: "b"}
    assert lab.ran == {"a": 1, "b": 1, "c": 1}
    await lab.engine.delete(["r"])  # a fork survives its parent
    assert (await lab.engine.start("f", "three", epoch=1))["value"] is True
    assert lab.ran == {"a": 1, "b": 1, "c": 2}
    with pytest.raises(RunNotFound):
        await lab.engine.fork("nothing", "g", 1)
    await lab.engine.start("r", "three", epoch=1)
    with pytest.raises(RunExists):
        await lab.engine.fork("r", "f", 1)


async def test_cancelling_from_elsewhere_unwinds_the_running_step_and_its_children(
    lab: Lab, database: Database
) -> None:
    begun = anyio.Event()
    unwound: list[str] = []

    async def slow(session: Session) -> None:
        async def body() -> dict[str, Any]:
            begun.set()
            try:
                await anyio.sleep_forever()
            except asyncio.CancelledError:
                unwound.append(session.run_id)
                raise
            return {"v": 1}

        if session.run_id == "p":
            await session.children(session.reserve(), "run:slow", [Branch("p/0", "slow")], lab.body("j"))
        await session.step(session.reserve(), "slow", body if not session.resumed else lab.body("quick"))

    lab.code["slow"] = slow
    elsewhere = WorkflowRows(database.engine)
    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            ended: list[Any] = []

            async def run() -> None:
                ended.append(await lab.engine.start("p", "slow", epoch=1))

            group.start_soon(run)
            await begun.wait()
            assert await anyio.to_thread.run_sync(elsewhere.cancel, "p")
    assert ended == [{"v": 1, "name": "slow", "in": "", "status": "cancelled"}]
    assert unwound == ["p/0"]
    assert elsewhere.status("p") == elsewhere.status("p/0") == "CANCELLED"
    with pytest.raises(NotResumable, match="cancelled"):
        await lab.engine.adopt("p", "slow", epoch=2)
    with pytest.raises(RunNotFound):
        await lab.engine.cancel("nothing")
    await lab.engine.reopen("p", "slow", [], children={"p/0": []}, epoch=2)
    assert lab.ran == {"quick": 2, "j": 1}
    assert not await lab.engine.cancel("p")


async def test_a_result_that_comes_after_a_takeover_is_not_stored(lab: Lab, database: Database) -> None:
    rows = WorkflowRows(database.engine)

    async def late(session: Session) -> None:
        async def body() -> dict[str, Any]:
            claimed = rows.claim("r", "late", owner="host:boot:2:b", version="gf-1")
            assert claimed.attempts == 2
            return {"v": 1}

        await session.step(session.reserve(), "late", body)

    lab.code["late"] = late
    with pytest.raises(LeaseLost, match="taken over"):
        await lab.engine.start("r", "late", epoch=1)
    assert await stored(lab, "r") == {}


@pytest.mark.parametrize("what", ["taken", "cancelled"])
async def test_a_run_that_is_lost_after_its_last_step_ends_here_at_once(
    lab: Lab, database: Database, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks once: it waits neither for the poll of `cancellation` nor for DBOS, which polls for an outcome."""
    rows = WorkflowRows(database.engine)
    polled: list[str] = []

    async def poll(_: object, run_id: str, seconds: float, **options: Any) -> None:
        polled.append(run_id)

    monkeypatch.setattr(SystemDatabase, "await_workflow_result_async", poll)
    monkeypatch.setattr(internals, "cancellation", lambda dbos, run_id, cancel: nullcontext())

    async def late(session: Session) -> None:
        await session.step(session.reserve(), "s", lab.body("s"))
        if what == "taken":
            rows.claim("r", "late", owner="host:boot:2:b", version="gf-1")
        else:
            rows.cancel("r")

    lab.code["late"] = late
    with anyio.fail_after(60):
        if what == "taken":
            with pytest.raises(LeaseLost, match="its last lines"):
                await lab.engine.start("r", "late", epoch=1)
        else:
            assert (await lab.engine.start("r", "late", epoch=1))["status"] == "cancelled"
    assert polled == []
