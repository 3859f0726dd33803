"""The HTTP clients that litellm keeps for an event loop: taken out of its cache, then closed.

`LitellmClient` calls it when the last client of a loop is closed. It imports no litellm, and touches no other loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, MutableMapping, Sequence
from typing import Protocol


class SocketCache(Protocol):
    """litellm's cache of HTTP clients; a key ends with the id of its loop."""

    cache_dict: MutableMapping[str, object]
    ttl_dict: MutableMapping[str, object]


def taken(cache: SocketCache, loop: asyncio.AbstractEventLoop) -> Sequence[object]:
    """The clients of a loop. The cache forgets them: litellm would use a closed one again, and its own close
    function closes those of other loops too."""
    ours = [key for key in cache.cache_dict if key.endswith(f"-{id(loop)}")]
    for key in ours:
        cache.ttl_dict.pop(key, None)
    return [cache.cache_dict.pop(key) for key in ours]


async def close(clients: Sequence[object]) -> None:
    """Close clients, each in the way it has: httpx's and openai's differ."""
    for client in clients:
        end = getattr(client, "aclose", None) or getattr(client, "close", None)
        ending = end() if end is not None else None
        if isinstance(ending, Awaitable):
            await ending
