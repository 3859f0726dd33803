"""The three backends, for the conformance suite: what holds on one must hold on all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import Opener, calls
from crash_lab import PRELOAD, Lab
from crash_places import Place

from guardflow.settings import Settings, load_settings
from guardflow.testing import ForkServer


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def settings(home: Path, tmp_path: Path) -> Settings:
    return load_settings(tmp_path, home=home)


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def database(request: pytest.FixtureRequest, home: Path) -> Iterator[str | None]:
    """A database of its own for each test: its URL, ``memory``, or None for the SQLite file in ``home``."""
    if request.param == "postgres":
        yield request.getfixturevalue("postgres_database")
    else:
        yield "memory" if request.param == "memory" else None


@pytest.fixture
def opened(database: str | None, settings: Settings) -> Opener:
    """Opens runtimes on the backend under test; what its stages count begins at 0."""
    calls.clear()
    return Opener(database, settings)


@pytest.fixture(scope="session")
def forks() -> Iterator[ForkServer]:
    """A process that has imported guardflow, DBOS and litellm, and forks the children that tests kill."""
    with ForkServer(PRELOAD, timeout=600, concurrency=3) as server:
        yield server


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def lab(request: pytest.FixtureRequest, forks: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """A bench on each database."""
    postgres = request.getfixturevalue("postgres_url") if request.param == "postgres" else None
    return Lab(forks, Place(request.param, tmp_path_factory.mktemp("lab"), forks, postgres=postgres))
