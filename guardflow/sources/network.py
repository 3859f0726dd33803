"""Connections for the web fetcher: a host is resolved once, its address checked, and that address connected to.

`guardflow.sources.web` uses the transport. There is no second resolution that could answer otherwise, and no proxy.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Collection, Iterable
from functools import lru_cache
from typing import cast

import anyio
import httpcore
import httpx

from .addresses import Resolver, may_connect


class AddressRefused(Exception):
    """Every address of the host is one that must not be connected to."""


class NameUnknown(Exception):
    """The host has no address."""


class PinningBackend(httpcore.AsyncNetworkBackend):
    """Opens TCP connections to checked addresses only. TLS still names, and verifies, the host."""

    def __init__(self, resolver: Resolver, allow: Collection[str]) -> None:
        self._resolver = resolver
        self._allow = allow
        self._sockets = cast("httpcore.AsyncNetworkBackend", httpcore.AnyIOBackend())

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            with anyio.fail_after(timeout):
                addresses = await self._resolver(host, port)
        except TimeoutError as error:
            raise httpcore.ConnectTimeout(f"resolving {host!r} took too long") from error
        except OSError as error:
            if getattr(error, "errno", None) == socket.EAI_AGAIN:
                raise httpcore.ConnectError(f"the host {host!r} cannot be resolved now") from error
            raise NameUnknown(f"the host {host!r} is not known") from error
        permitted = [address for address in addresses if may_connect(address, port, self._allow)]
        if not permitted:
            raise AddressRefused(f"the host {host!r} is at no public address")
        failed: Exception | None = None
        for address in permitted[:3]:
            try:
                return await self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
        raise cast("Exception", failed)

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        raise AddressRefused("local sockets are not on the web")

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


@lru_cache(maxsize=1)
def _public_authorities() -> ssl.SSLContext:
    return httpx.create_ssl_context(trust_env=False)  # reads some hundred certificates, so once is enough


class _Body(httpx.AsyncByteStream):
    def __init__(self, parts: AsyncIterable[bytes]) -> None:
        self._parts = parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._parts:
            yield part

    async def aclose(self) -> None:
        close = getattr(self._parts, "aclose", None)
        if close is not None:
            await close()


class PinnedTransport(httpx.AsyncBaseTransport):
    """httpx over a pool whose connections `PinningBackend` opens. Errors are those of httpcore."""

    def __init__(self, resolver: Resolver, *, allow: Collection[str], tls: ssl.SSLContext | None) -> None:
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or _public_authorities(),
            max_connections=50,
            max_keepalive_connections=10,
            keepalive_expiry=10.0,
            network_backend=PinningBackend(resolver, allow),
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        response = await self._pool.handle_async_request(
            httpcore.Request(
                method=request.method,
                url=httpcore.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=cast("AsyncIterable[bytes]", request.stream),
                extensions=cast("dict[str, object]", request.extensions),
            )
        )
        return httpx.Response(
            status_code=response.status,
            headers=response.headers,
            stream=_Body(cast("AsyncIterable[bytes]", response.stream)),
            extensions=cast("dict[str, object]", response.extensions),  # pyright: ignore[reportUnknownMemberType]  # httpcore types it loosely
        )

    async def aclose(self) -> None:
        await self._pool.aclose()
