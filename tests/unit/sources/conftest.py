"""A web site on loopback that answers as a test says, down to the byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from ssl import SSLContext

import pytest

from guardflow.sources.web import WebFetcher

Write = Callable[[asyncio.StreamWriter], Awaitable[None]]


NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnone"


@dataclass
class Site:
    """Routes by path; a route is a response, a list of responses for one request each, or a coroutine function."""

    routes: dict[str, bytes | list[bytes] | Write] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    port: int = 0
    open_now: int = 0
    most_open: int = 0
    broken_off: int = 0
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self, tls: SSLContext | None = None) -> asyncio.Server:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.serving.add(task)  # the loop alone would forget one that waits for ever
        task.add_done_callback(self.serving.discard)
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            path = head.split(" ", 2)[1]
            self.requests.append(path)
            self.heads.append(head)
            route = self.routes.get(path, NOT_FOUND)
            if isinstance(route, list):
                route = route.pop(0) if len(route) > 1 else route[0]
            if isinstance(route, bytes):
                writer.write(route)
                await writer.drain()
            else:
                await route(writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.broken_off += 1
        finally:
            self.open_now -= 1
            writer.close()

    @property
    def socket(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, path: str, host: str = "site.test") -> str:
        return f"http://{host}:{self.port}{path}"

    def fetcher(self, **options: object) -> WebFetcher:
        """A fetcher that may connect to this site, and finds it under every name."""
        options = {"allow": {self.socket}, "resolver": names({}, otherwise="127.0.0.1")} | options
        return WebFetcher(**options)


def names(known: dict[str, Sequence[str]], *, otherwise: str | None = None):
    """A resolver that knows some names."""

    async def resolver(host: str, port: int) -> list[str]:
        if host in known:
            return list(known[host])
        if otherwise is None:
            raise OSError(f"no {host}")
        return [otherwise]

    return resolver


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = await made.start()
    yield made
    server.close()
    for task in tuple(made.serving):
        task.cancel()
    await asyncio.gather(*made.serving, return_exceptions=True)
