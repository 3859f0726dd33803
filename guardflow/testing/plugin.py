"""Pytest fixtures for users' own tests: ``pytest_plugins = ["guardflow.testing.plugin"]`` in a conftest.py.

Opt-in: nothing registers it by itself. The only module of guardflow that imports pytest.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

import pytest

from guardflow.testing.crash import ForkServer
from guardflow.testing.server import FaultServer


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


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the test, only loopback addresses and unix sockets can be connected to; names are not looked up."""
    refuse_network(monkeypatch)


def refuse_network(patch: pytest.MonkeyPatch) -> None:
    """Guard what connects and what resolves names in `socket`; ``patch.undo()`` takes it back."""
    real = socket.socket
    connect, connect_ex, sendto, lookup = real.connect, real.connect_ex, real.sendto, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any, /) -> None:
        _check(self.family, address)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any, /) -> int:
        _check(self.family, address)
        return connect_ex(self, address)

    def guarded_sendto(self: socket.socket, *args: Any) -> int:
        _check(self.family, args[-1])
        return sendto(self, *args)

    def guarded_lookup(host: Any, *args: Any, **named: Any) -> Any:
        if not _local(host):
            raise NetworkRefused(f"this test may not use the network, but it looked up {host!r}: {_HINT}")
        return lookup(host, *args, **named)

    # On the class, not instead of it: TLS sockets inherit from it, and isinstance checks go on working.
    patch.setattr(real, "connect", guarded_connect)
    patch.setattr(real, "connect_ex", guarded_connect_ex)
    patch.setattr(real, "sendto", guarded_sendto)
    patch.setattr(socket, "getaddrinfo", guarded_lookup)


_HINT = "answer with guardflow.testing.Scripted or FaultServer, or drop the no_network fixture"


class NetworkRefused(AssertionError):
    """The ``no_network`` fixture stopped this. Not an OSError: no retry may hide it."""


def _check(family: int, address: Any) -> None:
    if family in (socket.AF_INET, socket.AF_INET6) and not _local(address[0]):
        raise NetworkRefused(f"this test may not use the network, but it connected to {address!r}: {_HINT}")


def _local(host: Any) -> bool:
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in (None, "", "localhost"):
        return True
    try:
        address = ip_address(str(host).split("%", 1)[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
