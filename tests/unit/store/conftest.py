"""A store on SQLite and on PostgreSQL, and makers of rows."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from guardflow.records import RunRow
from guardflow.store import Store, open_store
from guardflow.values import AttemptStart, CallKey, Reservation


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    return None if request.param == "sqlite" else request.getfixturevalue("postgres_database")


@pytest.fixture
def opened(url: str | None, tmp_path: Path) -> Callable[[], AbstractAsyncContextManager[Store]]:
    """Opens the test's database, as often as a test wants."""
    return lambda: open_store(url, home=tmp_path / "home", synchronous="NORMAL", busy_timeout=60)


@pytest.fixture
async def store(opened: Callable[[], AbstractAsyncContextManager[Store]]) -> AsyncIterator[Store]:
    async with opened() as store:
        yield store


@pytest.fixture
def new_run() -> Callable[..., RunRow]:
    def make(run_id: str = "r", **changed: Any) -> RunRow:
        fields: dict[str, Any] = {
            "pipeline": "qa", "input": {"q": 1}, "input_hash": "h", "state": "pending", "status": None,
            "output": None, "error": "", "root": run_id, "parent": None, "forked_from": None, "owner": None,
            "epoch": 0, "active_seconds": 0.0, "options": {}, "created_at": 1.5, "ended_at": None,
        }  # fmt: skip
        return RunRow(run_id, **{**fields, **changed})

    return make


@pytest.fixture
def asked() -> Callable[..., AttemptStart]:
    """An attempt that is about to be sent."""

    def make(run_id: str = "r", n: int = 0, **changed: Any) -> AttemptStart:
        fields: dict[str, Any] = {
            "key": CallKey(run_id, 1), "round": 0, "role": "answer", "ballot": 0, "n": n, "stage": "plan",
            "rung": "first", "model": "openai/x", "request_hash": "a" * 40, "prompt_hash": "b" * 40,
            "reserved": Reservation(1000, 5000), "started_at": 1732287239.123457,
        }  # fmt: skip
        return AttemptStart(**{**fields, **changed})

    return make
