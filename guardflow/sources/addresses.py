"""Which addresses the web fetcher may connect to: public ones only, decided at the moment of connecting.

`guardflow.sources.network` asks for every connection; redirects and robots.txt make connections too.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence

import anyio

Resolver = Callable[[str, int], Awaitable[Sequence[str]]]
"""A host name and a port -> the IP addresses it stands for."""

PORTS = frozenset({80, 443, 8080, 8443})

_V4_REFUSED = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",
        "100.64.0.0/10",  # carrier-grade NAT; clouds serve metadata here, too
        "127.0.0.0/8",
        "168.63.129.16/32",  # Azure's host
        "169.254.0.0/16",  # link-local, with the metadata service
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_V6_PUBLIC = ipaddress.IPv6Network("2000::/3")
"""Global unicast. Loopback, mapped and NAT64 addresses, unique local, link-local and multicast are all outside."""
_V6_REFUSED = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # Teredo, ORCHID, benchmarks
        "2001:db8::/32",
        "2002::/16",  # 6to4 carries any IPv4 address
        "3fff::/20",
    )
)


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the open internet.

    >>> [is_public(a) for a in ("93.184.215.14", "169.254.169.254", "::ffff:8.8.8.8", "64:ff9b::808:808", "fe80::1%eth0")]
    [True, False, False, False, False]
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv4Address):
        return not any(found in network for network in _V4_REFUSED)
    return found in _V6_PUBLIC and not any(found in network for network in _V6_REFUSED)


def may_connect(address: str, port: int, allow: Collection[str]) -> bool:
    """Whether a connection to this address and port is permitted.

    Args:
        address: an IP address.
        port: the port.
        allow: further sockets as ``"127.0.0.1:8080"`` or ``"[::1]:8080"``, for tests and known inner servers.
    """
    if port in PORTS and is_public(address):
        return True
    return (f"[{address}]:{port}" if ":" in address else f"{address}:{port}") in allow


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system for the addresses of a host, in its order of preference.

    Raises:
        OSError: there are none.
    """
    answers = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(answer[4][0]) for answer in answers))
