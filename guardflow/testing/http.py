"""The server side of HTTP/1.1, as much as a test server needs: keep-alive, delays, cut and dropped replies.

One `Connection` a socket, made by the fault server. It knows nothing of models.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from guardflow.testing.wire import Response

_NO_LENGTH = b"HTTP/1.1 411 Length Required\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """One complete request. ``head`` is the request line and the headers, as sent."""

    method: str
    path: str
    head: str
    body: bytes


class Connection(asyncio.Protocol):
    """Reads requests one after another; the next is looked at once the last is answered.

    Args:
        on_request: called with each request; answers by `send` or `send_later`.
        register: the set this connection is in while it is open.
    """

    def __init__(
        self, on_request: Callable[[Connection, HttpRequest], None], register: set[Connection]
    ) -> None:
        self._on_request = on_request
        self._register = register
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._needed = 0  # bytes that must be there before it is worth looking again
        self._busy = False
        self._close_after = False
        self._timer: asyncio.TimerHandle | None = None
        self._fire: Callable[[], None] | None = None
        self._given_up: Callable[[], None] | None = None

    # --- what the server does with it ----------------------------------------------------------------

    def send(self, response: Response | None) -> None:
        """Answer the request at hand; None closes the connection without an answer."""
        self._busy = False
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if response is None:
            transport.close()
            return
        transport.write(response.head + response.body)
        if response.close or self._close_after:
            transport.close()
        elif self._buffer:
            self._read()

    def send_later(self, seconds: float, response: Response | None, *, done: Callable[[], None]) -> None:
        """`send` after so many seconds. ``done`` is called then, or at once when the client hangs up before."""

        def fire() -> None:
            self._timer = self._fire = self._given_up = None
            done()
            self.send(response)

        self._given_up, self._fire = done, fire
        self._timer = asyncio.get_running_loop().call_later(seconds, fire)

    def release(self) -> None:
        """Send now what waits for its time in `send_later`, if something does."""
        if self._timer is not None and self._fire is not None:
            self._timer.cancel()
            self._fire()

    def abort(self) -> None:
        """Close at once; what was not sent is not sent."""
        if self._transport is not None:
            self._transport.abort()

    # --- what asyncio calls --------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._register.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._register.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = self._fire = None
        if self._given_up is not None:
            given_up, self._given_up = self._given_up, None
            given_up()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._busy and len(self._buffer) >= self._needed:
            self._read()

    def _read(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._buffer[:end].decode("latin-1")
        lowered = head.lower()
        length = 0
        at = lowered.find("\r\ncontent-length:")
        if at >= 0:
            length = int(lowered[at + 17 :].split("\r\n", 1)[0])
        elif "\r\ntransfer-encoding:" in lowered:
            self._refuse()
            return
        self._needed = end + 4 + length
        if len(self._buffer) < self._needed:
            return
        body = bytes(self._buffer[end + 4 : self._needed])
        del self._buffer[: self._needed]
        self._needed = 0
        self._busy = True
        self._close_after = "\r\nconnection: close" in lowered
        method, path, _ = head.split("\r\n", 1)[0].split(" ", 2)
        self._on_request(self, HttpRequest(method, path, head, body))

    def _refuse(self) -> None:
        if self._transport is not None:
            self._transport.write(_NO_LENGTH)
            self._transport.close()
