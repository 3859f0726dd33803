"""Response bodies within bounds: bytes are counted as they arrive and as they are unpacked, before they are kept.

`guardflow.sources.web` calls `receive`. A bomb costs no more memory than the limit.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterable
from dataclasses import dataclass

MOST_RECEIVED = 5 * 2**20
MOST_UNPACKED = 20 * 2**20
ACCEPTED = "gzip, deflate"
"""Brotli is not asked for: most of its decoders cannot stop in the middle, and a kilobyte may unpack to gigabytes."""
_STEP = 64 * 1024


class TooLarge(Exception):
    """The body is longer than allowed; the message says which limit."""


class Malformed(Exception):
    """The body is not in the encoding that its header names."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bytes of a body, as sent and as unpacked."""

    received: int = MOST_RECEIVED
    unpacked: int = MOST_UNPACKED


async def receive(parts: AsyncIterable[bytes], encoding: str, limits: Limits) -> bytes:
    """Collect and unpack a body.

    Args:
        parts: the body as sent.
        encoding: the ``Content-Encoding`` header: one of gzip and deflate, or nothing.
        limits: when to stop.

    Raises:
        TooLarge: a limit is reached; no more is read.
        Malformed: it cannot be unpacked.
    """
    unpacker = _unpacker(encoding)
    received = 0
    body = bytearray()
    async for part in parts:
        received += len(part)
        if received > limits.received:
            raise TooLarge(f"it is longer than {limits.received} bytes")
        if unpacker is None:
            body += part
        else:
            unpacker.feed(part, body, limits.unpacked)
    if unpacker is not None and received and not unpacker.complete:
        raise Malformed(f"its {encoding!r} encoding breaks off")
    return bytes(body)


def _unpacker(encoding: str) -> _Unpacker | None:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in ("gzip", "x-gzip", "deflate"):
        return _Unpacker(name)
    raise Malformed(f"it is in an encoding that was not asked for, {name[:40]!r}")


class _Unpacker:
    """zlib, a step at a time."""

    def __init__(self, name: str) -> None:
        self._gzip = name != "deflate"
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16 if self._gzip else zlib.MAX_WBITS)
        self._first = True

    @property
    def complete(self) -> bool:
        return self._zlib.eof

    def feed(self, data: bytes, body: bytearray, most: int) -> None:
        """Unpack onto ``body``, which never grows beyond ``most`` by more than one step."""
        while data:
            if self._zlib.eof:
                if not (self._gzip and data.startswith(b"\x1f\x8b")):
                    return  # padding after the end
                self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)  # the next member
            try:
                body += self._zlib.decompress(data, _STEP)
            except zlib.error as error:
                if not self._first or self._gzip:
                    raise Malformed(f"its encoding is broken ({error})") from error
                self._zlib = zlib.decompressobj(
                    -zlib.MAX_WBITS
                )  # many servers send deflate without its header
                self._first = False
                continue
            self._first = False
            if len(body) > most:
                raise TooLarge(f"it unpacks to more than {most} bytes")
            data = self._zlib.unused_data if self._zlib.eof else self._zlib.unconsumed_tail
