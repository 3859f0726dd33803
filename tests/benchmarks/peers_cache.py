"""What a hit of the response cache costs: the lookup alone, and a whole stage call that is answered by it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness import Stopwatch
from peers_calls import ANSWER, LIMIT, Page, Reading, pages


async def cache_peer(*, calls: int, rounds: int) -> Mapping[str, list[float]]:
    """CPU milliseconds a hit: ``lookup`` from the table and from memory, ``stage`` in a durable `fan_out`."""
    from guardflow import LLMStage, Model, Runtime, fan_out, pipeline
    from guardflow.prompts import inline_prompt
    from guardflow.settings import Settings
    from guardflow.testing import Scripted

    prompt = inline_prompt(
        '{% message "user" %}{{ title }}: {{ text | fenced }}{% endmessage %}', ("title", "text"), name="read"
    )
    read = LLMStage("read", Page, Reading, prompt=prompt, model=Model("fast"))

    @pipeline("cached")
    async def cached(count: int) -> int:
        return len(await fan_out(read, pages(count), limit=LIMIT))

    model = Scripted(ANSWER)
    settings = Settings(home=Path.cwd() / "state")
    async with Runtime(settings=settings, models={"fast": model}) as runtime:
        await runtime.run(cached, calls, cache="use")
        asked = model.count
    out: dict[str, list[float]] = {
        "lookup_ms": [],
        "lookup_again_ms": [],
        "stage_ms": [],
        "stage_again_ms": [],
    }
    keys = _keys(settings.home)
    for _ in range(rounds):
        await _lookups(settings.home, keys, out)
        async with Runtime(settings=settings, models={"fast": model}) as runtime:
            for metric in ("stage_ms", "stage_again_ms"):
                watch = Stopwatch()
                await runtime.run(cached, calls, cache="use")
                out[metric].append(1_000 * watch.cpu() / calls)
    assert model.count == asked, "a hit was paid"
    return out


async def _lookups(home: Path, keys: list[str], out: dict[str, list[float]]) -> None:
    from guardflow.store import open_store

    async with open_store(None, home=home) as store:
        for metric in ("lookup_ms", "lookup_again_ms"):
            watch = Stopwatch()
            for key in keys:
                assert await store.cache.get(key) is not None
            out[metric].append(1_000 * watch.cpu() / len(keys))


def _keys(home: Path) -> list[str]:
    import sqlite3

    connection = sqlite3.connect(home / "guardflow.db")
    try:
        return [key for (key,) in connection.execute("SELECT key FROM gf_cache")]
    finally:
        connection.close()
