"""`network_refused`: no connection leaves this process, and no name is looked up.

`replaying` and the pytest plugin call it. It holds for every thread of the process, and knows nothing of pytest.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Generator
from contextlib import contextmanager
from ipaddress import ip_address
from typing import Any, Literal

Loopback = Literal["allowed", "refused"]

_HINT = (
    "answer with guardflow.testing.Scripted, FaultServer or a cassette, or allow the network for this test"
)


class NetworkRefused(AssertionError):
    """A test that may not use the network tried to. Not an OSError: no retry may hide it."""


@contextmanager
def network_refused(*, loopback: Loopback = "refused") -> Generator[None]:
    """Within the block, connections raise. Unix sockets go on: event loops and databases need them.

    A database driver in C, such as PostgreSQL's, opens its sockets by itself and is not held.

    Args:
        loopback: whether this machine's own addresses can be connected to: a model server may listen there.
    """
    undo: list[tuple[object, str, Any]] = []

    def patch(owner: object, name: str, value: Callable[..., Any]) -> None:
        undo.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    refuse_network(patch, loopback=loopback)
    try:
        yield
    finally:
        for owner, name, value in reversed(undo):
            setattr(owner, name, value)


def refuse_network(
    patch: Callable[[object, str, Callable[..., Any]], None], *, loopback: Loopback = "allowed"
) -> None:
    """Guard what connects and what resolves names in `socket`; whoever gave ``patch`` takes it back."""
    real = socket.socket
    connect, connect_ex, sendto, lookup = real.connect, real.connect_ex, real.sendto, socket.getaddrinfo

    def guarded_connect(self: socket.socket, address: Any, /) -> None:
        _check(self, address, loopback)
        connect(self, address)

    def guarded_connect_ex(self: socket.socket, address: Any, /) -> int:
        _check(self, address, loopback)
        return connect_ex(self, address)

    def guarded_sendto(self: socket.socket, *args: Any) -> int:
        _check(self, args[-1], loopback)
        return sendto(self, *args)

    def guarded_lookup(host: Any, *args: Any, **named: Any) -> Any:
        if not _local(host):
            raise NetworkRefused(f"this test may not use the network, but it looked up {host!r}: {_HINT}")
        return lookup(host, *args, **named)

    # On the class, not instead of it: TLS sockets inherit from it, and isinstance checks go on working.
    patch(real, "connect", guarded_connect)
    patch(real, "connect_ex", guarded_connect_ex)
    patch(real, "sendto", guarded_sendto)
    patch(socket, "getaddrinfo", guarded_lookup)


def _check(used: socket.socket, address: Any, loopback: Loopback) -> None:
    internet = used.family in (socket.AF_INET, socket.AF_INET6)
    if internet and (loopback == "refused" or not _local(address[0])):
        used.close()  # whoever made it cleans up after an OSError only
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
