"""What the engine's tests share: a database, and pipelines that count what they execute."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import pytest

from guardflow.store.dbos.engine import DbosEngine
from guardflow.store.dbos.session import Session
from guardflow.store.engine import Database, open_database

OK = {"v": 1, "status": "ok"}


@dataclass(frozen=True)
class Branch:
    run_id: str
    pipeline: str


@pytest.fixture(name="database", params=["sqlite", "postgres"])
def database_fixture(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = request.getfixturevalue("postgres_database") if request.param == "postgres" else None
    opened = open_database(url, home=tmp_path, synchronous="NORMAL")
    yield opened
    opened.dispose()


@dataclass
class Lab:
    """An engine whose pipelines are functions given by the test, and a count of the bodies that ran."""

    engine: DbosEngine
    code: dict[str, Callable[[Session], Awaitable[Any]]] = field(default_factory=dict)
    ran: Counter[str] = field(default_factory=Counter)

    def body(
        self, name: str, *, fails: bool = False, pause: float = 0.0
    ) -> Callable[[], Awaitable[dict[str, Any]]]:
        async def run() -> dict[str, Any]:
            self.ran[name] += 1
            await anyio.sleep(pause)
            if fails:
                raise ConnectionError(f"{name} broke")
            return {"v": 1, "value": name}

        return run


def url_of(database: Database) -> str:
    return database.url.render_as_string(hide_password=False)


@asynccontextmanager
async def lab_on(database: Database, owner: str = "host:boot:1:a") -> AsyncIterator[Lab]:
    async def execute(name: str, session: Session) -> dict[str, Any]:
        result = await lab.code[name](session)
        return OK if result is None else {**OK, "value": result}

    lab = Lab(DbosEngine(database.engine, url=url_of(database), owner=owner, execute=execute))
    await lab.engine.launch()
    try:
        yield lab
    finally:
        await lab.engine.close()


@pytest.fixture(name="lab")
async def lab_fixture(database: Database) -> AsyncIterator[Lab]:
    async with lab_on(database) as made:
        yield made


async def stored(lab: Lab, run_id: str) -> dict[int, str]:
    return {s.id: s.name for s in await lab.engine.steps(run_id)}
