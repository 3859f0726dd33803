"""Pytest fixtures and marks for users' own tests: ``pytest_plugins = ["guardflow.testing.plugin"]`` in a conftest.py.

Opt-in: nothing registers it by itself. The only module of guardflow that imports pytest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from guardflow.guards import Guard
from guardflow.testing import network
from guardflow.testing.cassette import Cassette
from guardflow.testing.conformance import guard_checks
from guardflow.testing.crash import ForkServer
from guardflow.testing.network import NetworkRefused
from guardflow.testing.playing import replaying
from guardflow.testing.server import FaultServer

__all__ = ["NetworkRefused", "cassette", "fault_server", "fork_server", "guard_conformance", "no_network"]

MARKER = "cassette(name, unused='ignored', network='refused'): play cassettes/<name>.json in the place of every model"


@pytest.fixture
def fault_server() -> Iterator[FaultServer]:
    """A running `FaultServer` that echoes until the test gives it a script (``fault_server.script(...)``)."""
    with FaultServer() as server:
        yield server


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """A running `ForkServer` with the default imports, shared by all tests of the session."""
    with ForkServer() as server:
        yield server


def guard_conformance(guard: Guard[Any, Any], /, **examples: Any) -> pytest.MarkDecorator:
    """Decorates a test that takes ``check`` and calls it: one test for each rule of `check_guard`.

        @guard_conformance(my_guard, passes=[good], fails=[bad], input=source)
        def test_my_guard(check):
            check()

    Args:
        guard: the guard.
        examples: as for `guardflow.testing.check_guard`.
    """
    return pytest.mark.parametrize("check", guard_checks(guard, **examples))


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the test, only loopback addresses and unix sockets can be connected to; names are not looked up."""
    refuse_network(monkeypatch)


def refuse_network(patch: pytest.MonkeyPatch) -> None:
    """Guard what connects and what resolves names in `socket`; ``patch.undo()`` takes it back."""
    network.refuse_network(patch.setattr)


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known, for ``--strict-markers``."""
    config.addinivalue_line("markers", MARKER)


@pytest.fixture(autouse=True)
def _plays_its_cassette(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("cassette") is not None:
        request.getfixturevalue("cassette")


@pytest.fixture
def cassette(request: pytest.FixtureRequest) -> Iterator[Cassette]:
    """The cassette of ``@pytest.mark.cassette("qa")``, played during the test: `replaying` for the whole of it.

    It is ``cassettes/qa.json`` beside the test's file; without a marker, the file has the test's name.
    """
    marker = request.node.get_closest_marker("cassette")
    given = dict(marker.kwargs) if marker is not None else {}
    name = marker.args[0] if marker is not None and marker.args else request.node.name
    with replaying(request.path.parent / "cassettes" / f"{name}.json", **given) as played:
        yield played
