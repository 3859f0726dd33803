"""The durable engine across processes: kill -9, takeover of a stopped process, and a second process beside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from crash_places import Spot, stop

from guardflow.errors import LeaseLost
from guardflow.store.dbos.engine import DbosEngine
from guardflow.store.dbos.session import Session
from guardflow.store.engine import open_database

pytestmark = pytest.mark.anyio


class Pipelines:
    """What the child process and the test both run. Every body leaves a line in the log before it works."""

    def __init__(self, folder: Path, who: str) -> None:
        self.folder = folder
        self.who = who

    async def execute(self, name: str, session: Session) -> dict[str, Any]:
        return {"v": 1, "status": "ok", "value": await getattr(self, name)(session)}

    def log(self) -> Counter[str]:
        path = self.folder / "log"
        return Counter(path.read_text().split() if path.exists() else ())

    def step(self, session: Session, name: str, *, until: str | None = None) -> Awaitable[Any]:
        async def body() -> dict[str, Any]:
            with (self.folder / "log").open("a") as log:
                log.write(f"{session.run_id}:{name}\n")
            while until is not None and not (self.folder / until).exists():
                await anyio.sleep(0.01)
            return {"v": 1, "by": self.who, "value": name}

        return session.step(session.reserve(), name, body)

    async def five(self, session: Session) -> list[Any]:
        return [(await self.step(session, f"s{i}"))["by"] for i in range(1, 6)]

    async def held(self, session: Session) -> list[Any]:
        first = await self.step(session, "first")
        second = await self.step(session, "second", until=None if self.who == "rescuer" else "go")
        return [first["by"], second["by"], (await self.step(session, "third"))["by"]]

    async def family(self, session: Session) -> Any:
        children = [Child(f"{session.run_id}/{i}", "held") for i in range(2)]

        async def joined() -> dict[str, Any]:
            return {"v": 1}

        return await session.children(session.reserve(), "run:held", children, joined)


class Child:
    def __init__(self, run_id: str, pipeline: str) -> None:
        self.run_id, self.pipeline = run_id, pipeline


@asynccontextmanager
async def engine_for(pipelines: Pipelines, url: str | None) -> AsyncIterator[DbosEngine]:
    database = open_database(url, home=pipelines.folder, synchronous="NORMAL")
    engine = DbosEngine(
        database.engine,
        url=database.url.render_as_string(hide_password=False),
        owner=f"host:boot:{os.getpid()}:{pipelines.who}",
        execute=pipelines.execute,
    )
    await engine.launch()
    try:
        yield engine
    finally:
        await engine.close()
        database.dispose()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return request.getfixturevalue("postgres_database") if request.param == "postgres" else None


Spawn = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def spawn(tmp_path: Path, url: str | None) -> Iterator[Spawn]:
    started: list[subprocess.Popen[str]] = []

    def start(pipeline: str, *, crash: str = "", **extra: str) -> subprocess.Popen[str]:
        environ = {k: v for k, v in os.environ.items() if k != "GUARDFLOW_CRASH"} | extra
        if crash:
            environ["GUARDFLOW_CRASH"] = crash
        command = [sys.executable, "-W", "error", __file__, str(tmp_path), pipeline, url or ""]
        started.append(
            subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


async def until_logged(pipelines: Pipelines, line: str) -> None:
    with anyio.fail_after(120):
        while not pipelines.log()[line]:
            await anyio.sleep(0.01)


@pytest.mark.parametrize("crash", ["step.before:3", "step.after:3", "step.after:5"])
async def test_killed_between_steps_nothing_runs_twice(
    tmp_path: Path, url: str | None, spawn: Spawn, crash: str
) -> None:
    assert spawn("five", crash=crash).wait(120) == -signal.SIGKILL
    rescuer = Pipelines(tmp_path, "rescuer")
    async with engine_for(rescuer, url) as engine:
        result = await engine.adopt("r", "five", epoch=2)
    done = {"step.before:3": 2, "step.after:3": 3, "step.after:5": 5}[crash]
    assert result["value"] == ["first"] * done + ["rescuer"] * (5 - done)
    assert rescuer.log() == {f"r:s{i}": 1 for i in range(1, 6)}


async def test_killed_inside_a_step_only_that_step_runs_again(
    tmp_path: Path, url: str | None, spawn: Spawn
) -> None:
    rescuer = Pipelines(tmp_path, "rescuer")
    process = spawn("held")
    await until_logged(rescuer, "r:second")
    process.kill()
    process.wait()
    async with engine_for(rescuer, url) as engine:
        result = await engine.adopt("r", "held", epoch=2)
    assert result["value"] == ["first", "rescuer", "rescuer"]
    assert rescuer.log() == {"r:first": 1, "r:second": 2, "r:third": 1}


async def test_children_of_a_killed_parent_go_on_where_they_were(
    tmp_path: Path, url: str | None, spawn: Spawn
) -> None:
    rescuer = Pipelines(tmp_path, "rescuer")
    process = spawn("family")
    await until_logged(rescuer, "r/0:second")
    await until_logged(rescuer, "r/1:second")
    process.kill()
    process.wait()
    async with engine_for(rescuer, url) as engine:
        await engine.adopt("r", "family", epoch=2)
    assert rescuer.log() == {f"r/{i}:{s}": 2 if s == "second" else 1 for i in (0, 1) for s in _HELD}


_HELD = ("first", "second", "third")


async def test_a_stopped_process_that_wakes_after_a_takeover_stores_nothing(
    tmp_path: Path, url: str | None, spawn: Spawn
) -> None:
    rescuer = Pipelines(tmp_path, "rescuer")
    zombie = spawn("held")
    await until_logged(rescuer, "r:second")
    await anyio.to_thread.run_sync(stop, zombie.pid, Spot(tmp_path, url, "r"))
    async with engine_for(rescuer, url) as engine:
        result = await engine.adopt("r", "held", epoch=2)
        (tmp_path / "go").touch()
        zombie.send_signal(signal.SIGCONT)
        output, errors = await anyio.to_thread.run_sync(zombie.communicate)
        steps = await engine.steps("r")
    assert json.loads(output) == {"raised": "LeaseLost"}, errors
    assert result["value"] == ["first", "rescuer", "rescuer"]
    assert [(s.envelope or {})["by"] for s in steps] == ["first", "rescuer", "rescuer"]
    assert rescuer.log() == {"r:first": 1, "r:second": 2, "r:third": 1}


async def test_a_second_process_steals_nothing_from_a_live_one(
    tmp_path: Path, url: str | None, spawn: Spawn
) -> None:
    other = Pipelines(tmp_path, "other")
    live = spawn("held")
    await until_logged(other, "r:second")
    async with engine_for(other, url):
        await anyio.sleep(1.3)  # longer than any poll of DBOS
        (tmp_path / "go").touch()
        output, errors = await anyio.to_thread.run_sync(live.communicate)
    assert json.loads(output)["value"] == ["first"] * 3, errors
    assert other.log() == {"r:first": 1, "r:second": 1, "r:third": 1}


async def test_the_engine_prints_nothing_and_calls_nobody_whatever_the_environment_says(
    spawn: Spawn, url: str | None
) -> None:
    loud = {
        "DBOS__CLOUD": "true",
        "DBOS__CONDUCTOR_KEY": "k",
        "DBOS__CONDUCTOR_APP_NAME": "a",
        "DBOS__CONDUCTOR_URL": "ws://127.0.0.1:9",
        "DBOS_APP_NAME": "a",
        "DBOS__APPVERSION": "theirs",
        "DBOS__VMID": "theirs",
        "DBOS__OTLP_TRACES_ENDPOINT": "http://127.0.0.1:9",
        "GF_TEST_AUDIT": "1",
    }
    output, errors = await anyio.to_thread.run_sync(spawn("five", **loud).communicate)
    assert errors == ""
    said = json.loads(output)
    assert said["value"] == ["first"] * 5
    assert url is not None or said["connections"] == []


async def _child(folder: Path, pipeline: str, url: str | None) -> dict[str, Any]:
    async with engine_for(Pipelines(folder, "first"), url) as engine:
        try:
            return dict(await engine.start("r", pipeline, epoch=1))
        except LeaseLost:
            return {"raised": "LeaseLost"}


if __name__ == "__main__":
    connections: list[str] = []
    if os.environ.get("GF_TEST_AUDIT"):
        sys.addaudithook(
            lambda event, args: connections.append(repr(args[1])) if event == "socket.connect" else None
        )
    said = anyio.run(_child, Path(sys.argv[1]), sys.argv[2], sys.argv[3] or None)
    print(json.dumps(said | ({"connections": connections} if connections or "value" in said else {})))
