"""Runs, leases and signals, as several processes see them."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest

from guardflow.errors import LeaseLost, RunIsLive, RunNotFound, StateError
from guardflow.records import RunRow
from guardflow.store import Store, owner_id
from guardflow.store.leases import Owner, is_dead

pytestmark = pytest.mark.anyio
NewRun = Callable[..., RunRow]
HOSTILE = "run'); --\x00\x1a\ud800 %s ? \U0001f600"

CLAIM = """
import asyncio, os, pathlib, sys, time
from guardflow.errors import RunIsLive
from guardflow.store import open_store, owner_id
async def main():
    async with open_store(sys.argv[1] or None, home=pathlib.Path(sys.argv[2])) as store:
        while time.time() < float(sys.argv[3]):
            time.sleep(0.001)
        try:
            lease = await store.runs.claim("r", owner_id(), seconds=600)
        except RunIsLive:
            print("lost", flush=True)
        else:
            print("won", lease.epoch, lease.owner, flush=True)
        time.sleep(float(sys.argv[4]))
        os._exit(0)  # never releases
asyncio.run(main())
"""


def claimer(url: str | None, home: Path, *, at: float, stay: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CLAIM, url or "", str(home), str(at), str(stay)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


async def test_a_run_comes_back_as_it_was_created(store: Store, new_run: NewRun) -> None:
    run = new_run(
        HOSTILE, pipeline=HOSTILE, input={HOSTILE: [1, 1.0, None, True, HOSTILE]}, error=HOSTILE, state="ended",
        status="abstained", output=[HOSTILE], forked_from=HOSTILE, owner=HOSTILE, epoch=7, active_seconds=0.1 + 0.2,
        options={"a": {"b": HOSTILE}}, created_at=1732287239.123457, ended_at=1732287240.1,
    )  # fmt: skip
    assert await store.runs.create(run)
    assert await store.runs.get(HOSTILE) == run
    assert await store.runs.get("absent") is None


async def test_a_run_id_is_taken_once(store: Store, new_run: NewRun) -> None:
    made = await asyncio.gather(*(store.runs.create(new_run(pipeline=str(i))) for i in range(5)))
    assert made == [True, False, False, False, False]
    run = await store.runs.get("r")
    assert run is not None
    assert run.pipeline == "0"


async def test_a_tree_has_parents_first(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run("r", created_at=9.0))
    await store.runs.create(new_run("b", root="r", parent="r", created_at=2.0))
    await store.runs.create(new_run("a", root="r", parent="r", created_at=3.0))
    await store.runs.create(new_run("c", root="r", parent="b", created_at=1.0))
    await store.runs.create(new_run("other"))
    assert [run.run_id for run in await store.runs.tree("r")] == ["r", "b", "a", "c"]
    assert [run.run_id for run in await store.runs.tree("b")] == ["b", "c"]
    assert await store.runs.tree("absent") == []


async def test_the_list_has_root_runs_newest_first(store: Store, new_run: NewRun) -> None:
    for i in range(4):
        await store.runs.create(new_run(f"r{i}", created_at=float(i), status="ok" if i % 2 else "failed"))
    await store.runs.create(new_run("child", root="r1", parent="r1", created_at=99.0, status="ok"))
    assert [run.run_id for run in await store.runs.list()] == ["r3", "r2", "r1", "r0"]
    assert [run.run_id for run in await store.runs.list(limit=1)] == ["r3"]
    assert [run.run_id for run in await store.runs.list(status="ok")] == ["r3", "r1"]


async def test_a_held_lease_is_refused_and_an_expired_one_is_taken(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run())
    first = await store.runs.claim("r", owner_id(), seconds=30)
    assert first.epoch == 1
    for owner in (owner_id(), first.owner):
        with pytest.raises(RunIsLive) as caught:
            await store.runs.claim("r", owner, seconds=30)
        assert first.owner in str(caught.value)
    await store.runs.renew(first.owner, seconds=-1, active={})
    second = await store.runs.claim("r", owner_id(), seconds=30)
    assert second.epoch == 2
    assert await store.runs.renew(first.owner, seconds=30, active={}) == []
    assert await store.runs.renew(second.owner, seconds=30, active={}) == ["r"]


async def test_a_lease_of_another_host_ends_only_by_time(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run())
    await store.runs.claim("r", "elsewhere:boot:1:1-x", seconds=600)
    with pytest.raises(RunIsLive):
        await store.runs.claim("r", owner_id(), seconds=30)
    await store.runs.renew("elsewhere:boot:1:1-x", seconds=-1, active={})  # as if its time had passed
    assert (await store.runs.claim("r", owner_id(), seconds=30)).epoch == 2


async def test_a_child_has_no_lease_of_its_own(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run("r"))
    await store.runs.create(new_run("c", root="r", parent="r"))
    with pytest.raises(StateError, match="child of run 'r'"):
        await store.runs.claim("c", owner_id(), seconds=30)
    with pytest.raises(RunNotFound, match="'absent'"):
        await store.runs.claim("absent", owner_id(), seconds=30)


async def test_a_released_run_is_pending_and_free(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run())
    first = await store.runs.claim("r", owner_id(), seconds=30)
    run = await store.runs.get("r")
    assert run is not None
    assert (run.state, run.owner, run.epoch) == ("running", first.owner, 1)
    await store.runs.release(first)
    run = await store.runs.get("r")
    assert run is not None
    assert (run.state, run.owner, run.epoch) == ("pending", None, 1)
    second = await store.runs.claim("r", owner_id(), seconds=30)
    await store.runs.release(first)  # late: it must not free what another holds
    run = await store.runs.get("r")
    assert run is not None
    assert (run.state, run.owner) == ("running", second.owner)


async def test_a_claim_that_is_cancelled_holds_nothing(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run())
    for turns in range(4):  # before it is handed over, and while it is being committed
        claiming = asyncio.create_task(store.runs.claim("r", owner_id(), seconds=60))
        for _ in range(turns):
            await asyncio.sleep(0)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
        row = await store.runs.get("r")
        assert row is not None
        assert (row.owner, row.state) == (None, "pending")
    lease = await store.runs.claim("r", "somebody", seconds=60)
    claiming = asyncio.create_task(store.runs.claim("r", owner_id(), seconds=60))
    await asyncio.sleep(0)
    claiming.cancel()
    with pytest.raises(asyncio.CancelledError):
        await claiming
    assert (await store.runs.renew("somebody", seconds=60, active={})) == [lease.run_id]


async def test_active_seconds_are_summed_while_the_lease_is_held(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run("r"))
    await store.runs.create(new_run("c", root="r", parent="r"))
    await store.runs.create(new_run("s"))
    lease = await store.runs.claim("r", owner_id(), seconds=30)
    for _ in range(2):
        await store.runs.renew(lease.owner, seconds=30, active={"r": 1.5, "c": 0.25, "s": 9.0})
    await store.runs.end("r", "ok", output=None, error="", active=1.0, epoch=1)
    active = {run_id: (await store.runs.get(run_id)).active_seconds for run_id in "rcs"}  # type: ignore[union-attr]  # made above
    assert active == {"r": 4.0, "c": 0.5, "s": 0.0}


async def test_a_run_ends_only_under_its_lease(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run("r"))
    await store.runs.create(new_run("c", root="r", parent="r"))
    lease = await store.runs.claim("r", owner_id(), seconds=30)
    for run_id in "rc":
        with pytest.raises(LeaseLost):
            await store.runs.end(run_id, "ok", output=1, error="", active=0, epoch=0)
        await store.runs.end(
            run_id, "degraded", output={"x": HOSTILE}, error=HOSTILE, active=0, epoch=lease.epoch
        )
        run = await store.runs.get(run_id)
        assert run is not None
        assert (run.state, run.status, run.output, run.error) == (
            "ended",
            "degraded",
            {"x": HOSTILE},
            HOSTILE,
        )
        assert run.ended_at == pytest.approx(time.time(), abs=60)
    with pytest.raises(RunNotFound):
        await store.runs.end("absent", "ok", output=1, error="", active=0, epoch=0)


async def test_reopening_makes_ended_runs_pending(store: Store, new_run: NewRun) -> None:
    ended = {"state": "ended", "status": "failed", "error": "x", "output": 1, "ended_at": 3.0}
    await store.runs.create(new_run("r", **ended, options={"usd": 1}))
    await store.runs.create(new_run("c", root="r", parent="r", **ended, options={"usd": 2}))
    await store.runs.create(new_run("live", state="running"))
    with pytest.raises(RunNotFound, match="'absent'"):
        await store.runs.reopen(["r", "absent"])
    assert (await store.runs.get("r")) == new_run("r", **ended, options={"usd": 1})
    await store.runs.reopen(["r", "c", "live"], options={"usd": 5})
    assert await store.runs.get("r") == new_run("r", options={"usd": 5})
    assert await store.runs.get("c") == new_run("c", root="r", parent="r", options={"usd": 2})
    assert await store.runs.get("live") == new_run("live", state="running")


async def test_signals_are_kept_in_order_by_name(store: Store, new_run: NewRun) -> None:
    await store.runs.create(new_run())
    await store.runs.create(new_run("s"))
    await store.runs.send("s", "go", "other run")
    for name, value in (("go", 1), ("stop", None), ("go", {"x": HOSTILE}), (HOSTILE, 1.5)):
        await store.runs.send("r", name, value)
    first = await store.runs.receive("r", "go", after=0)
    assert first is not None
    assert first == await store.runs.receive("r", "go", after=0)
    assert first[1] == 1
    second = await store.runs.receive("r", "go", after=first[0])
    assert second is not None
    assert second[1] == {"x": HOSTILE}
    assert await store.runs.receive("r", "go", after=second[0]) is None
    assert (await store.runs.receive("r", "stop", after=0) or (0, 0))[1] is None
    assert (await store.runs.receive("r", HOSTILE, after=0) or (0, 0))[1] == 1.5
    with pytest.raises(RunNotFound):
        await store.runs.send("absent", "go", 1)


async def test_signals_of_many_senders_get_one_number_each(opened: Any, new_run: NewRun) -> None:
    async with opened() as one, opened() as other:
        await one.runs.create(new_run())
        await asyncio.gather(*(s.runs.send("r", "n", i) for i in range(20) for s in (one, other)))
        seen, after = [], 0
        while (found := await one.runs.receive("r", "n", after=after)) is not None:
            after = found[0]
            seen.append(found[1])
    assert after == 40
    assert sorted(seen) == sorted([*range(20)] * 2)  # type: ignore[type-var]  # numbers, as sent


async def test_of_two_processes_that_claim_at_once_one_wins(
    opened: Any, new_run: NewRun, url: str | None, tmp_path: Path
) -> None:
    async with opened() as store:
        await store.runs.create(new_run())
        at = time.time() + 1.5
        claimers = [claimer(url, tmp_path / "home", at=at, stay=60) for _ in range(2)]
        answers = sorted(first_line(process) for process in claimers)
        assert answers[0] == "lost\n"
        assert answers[1].startswith("won 1 ")
        with pytest.raises(RunIsLive):
            await store.runs.claim("r", owner_id(), seconds=30)
        for process in claimers:
            os.kill(process.pid, signal.SIGKILL)
        with anyio.fail_after(60):
            while not is_dead(answers[1].split()[2]):  # a kill takes effect a moment later
                await asyncio.sleep(0.01)
        # the lease would hold for ten minutes, and nobody has reaped the dead process yet
        assert (await store.runs.claim("r", owner_id(), seconds=30)).epoch == 2
        for process in claimers:
            process.communicate()


def test_this_process_lives_and_its_owner_strings_differ() -> None:
    one, other = owner_id(), owner_id()
    assert one != other
    assert not is_dead(one)
    parts = Owner.parse(one)
    assert parts is not None
    assert str(parts) == one
    assert parts.pid == os.getpid()


def test_a_pid_that_was_given_to_another_process_is_dead() -> None:
    mine = Owner.parse(owner_id())
    assert mine is not None
    started, _, rest = mine.nonce.partition("-")
    assert is_dead(str(mine._replace(nonce=f"{int(started) - 1}-{rest}")))
    assert is_dead(str(mine._replace(pid=2**22 + 1)))


@pytest.mark.parametrize("change", [{"host": "elsewhere"}, {"boot": "another.1"}])
def test_a_process_of_another_machine_boot_or_container_is_not_judged(change: dict[str, str]) -> None:
    mine = Owner.parse(owner_id())
    assert mine is not None
    assert not is_dead(str(mine._replace(pid=2**22 + 1, **change)))  # type: ignore[arg-type]  # host and boot


@pytest.mark.parametrize("text", ["", "local", "a:b:c:d", "a:b:-1:d", "a:b:1", "a:b:1:c:d"])
def test_what_is_no_owner_string_is_not_judged(text: str) -> None:
    assert Owner.parse(text) is None
    assert not is_dead(text)
