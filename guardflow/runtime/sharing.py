"""Storm control between processes: what this one knows about models goes to the others, about once a second.

`Runtime` starts it. No request waits for it, and a database that is away only makes processes forget each other.
"""

from __future__ import annotations

import time

import anyio

from guardflow.errors import GuardflowError
from guardflow.models.limits import Board
from guardflow.models.routing import Models

EVERY = 1.0
"""Seconds between two exchanges."""
_LAST_WORD = 1.0
"""Seconds the last one may take when the runtime closes."""


async def listen(board: Board | None, models: Models) -> None:
    """Tell what changed here, and hear what the others know, once."""
    if board is None:
        return
    storm = models.storm
    news = storm.news(epoch=time.time())
    try:
        said = await board.exchange(news)
    except GuardflowError:
        storm.forget(news)  # nobody was told: the next time says the same again
        return
    storm.hear(said, epoch=time.time())


async def keep_listening(board: Board | None, models: Models) -> None:
    """`listen` for as long as the runtime is open, and say a last word when it closes."""
    if board is None:
        return
    try:
        while True:
            await anyio.sleep(EVERY)
            if models.storm.is_busy:
                await listen(board, models)
    finally:
        with anyio.move_on_after(_LAST_WORD, shield=True):
            if models.storm.is_busy:
                await listen(board, models)
