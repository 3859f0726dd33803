"""Where runs of the flow tests live: a state folder of their own, and each of the databases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flow_bench import Bench

from guardflow.settings import Settings, load_settings
from guardflow.testing import FaultServer, Reply


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No provider's key or address of this machine reaches a test."""
    for name in ("OPENAI", "ANTHROPIC", "GEMINI", "GOOGLE", "MISTRAL", "GROQ", "DEEPSEEK", "TOGETHERAI"):
        for variable in ("API_KEY", "BASE_URL", "API_BASE"):
            monkeypatch.delenv(f"{name}_{variable}", raising=False)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    return load_settings(tmp_path, home=home)


@pytest.fixture(params=["sqlite", "postgres"])
def durable(request: pytest.FixtureRequest) -> str | None:
    """A database that outlives its runtime: None is the SQLite file in ``home``."""
    return request.getfixturevalue("postgres_database") if request.param == "postgres" else None


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str | None:
    """Every backend: what a run promises does not depend on it."""
    if request.param == "postgres":
        return request.getfixturevalue("postgres_database")
    return "memory" if request.param == "memory" else None


@pytest.fixture(scope="module")
def server() -> Iterator[FaultServer]:
    with FaultServer(Reply.json({"text": "fine"})) as running:
        yield running


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def used(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, server: FaultServer
) -> Iterator[Bench]:
    """One bench for all cases that do not touch the database itself."""
    home = tmp_path_factory.mktemp("bad") / "state"
    url = None
    if request.param == "postgres":
        admin = request.getfixturevalue("postgres_url")
        url = admin.replace("/postgres?", "/bad_input?")
        with psycopg.connect(admin, autocommit=True) as session:
            session.execute("CREATE DATABASE bad_input")
    made = Bench(url, load_settings(home.parent, home=home), server)
    asyncio.run(made.prepare())
    yield made
    if url is not None:
        with psycopg.connect(admin, autocommit=True) as session:
            session.execute("DROP DATABASE bad_input WITH (FORCE)")


@pytest.fixture
async def bench(durable: str | None, settings: Settings, server: FaultServer) -> Bench:
    """A bench of its own, for cases that do something to the database."""
    made = Bench(durable, settings, server)
    await made.prepare()
    return made
