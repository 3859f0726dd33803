"""The response cache gives back raw answers, across stores, and stays within bounds."""

import time
from typing import Any

import pytest

from guardflow.store import Store, open_readonly
from guardflow.store.cache import SqlCache
from guardflow.values import Completion, Usage

pytestmark = pytest.mark.anyio
HOSTILE = "\x00\x1a\ud800'; DROP TABLE gf_cache; --"
ANSWER = Completion(HOSTILE, HOSTILE, "stop", Usage(1, 2, 3), "m", "id", ("temperature",))


def fresh(store: Store) -> SqlCache:
    """The cache as another process sees it."""
    return SqlCache(store.database, store.ledger._committer)


def age(store: Store, seconds: float, *keys: str) -> None:
    with store.database.engine.begin() as connection:
        for key in keys:
            connection.exec_driver_sql(
                f"UPDATE gf_cache SET used_at = {time.time() - seconds} WHERE key = '{key}'"
            )


async def test_an_answer_comes_back_from_memory_and_from_the_database(store: Store) -> None:
    assert await store.cache.get(HOSTILE) is None
    await store.cache.put(HOSTILE, "m", ANSWER)
    assert await store.cache.get(HOSTILE) is ANSWER
    await store.ledger.flush()
    assert await fresh(store).get(HOSTILE) == ANSWER


async def test_the_newest_answer_wins(store: Store) -> None:
    for text in ("a", "b", "c"):
        await store.cache.put("k", "m", Completion(text))
    await store.ledger.flush()
    await store.cache.put("k", "m", Completion("d"))
    await store.ledger.flush()
    assert await store.cache.get("k") == await fresh(store).get("k") == Completion("d")
    assert (await store.cache.stats()).entries == 1


async def test_stats_count_the_table_and_this_process(store: Store) -> None:
    assert await store.cache.stats() == (await fresh(store).stats())
    await store.cache.put("k", "m", Completion("é" * 100))
    await store.ledger.flush()
    cache = fresh(store)
    for key in ("k", "k", "absent"):
        await cache.get(key)
    stats = await cache.stats()
    assert (stats.entries, stats.hits, stats.misses) == (1, 2, 1)
    assert stats.bytes == len('{"text":""}') + 200
    assert stats.oldest == pytest.approx(time.time(), abs=60)


async def test_pruning_by_age_drops_what_was_not_used(store: Store) -> None:
    for key in "abc":
        await store.cache.put(key, "m", Completion(key))
    await store.ledger.flush()
    age(store, 1000, "a", "b")
    assert await store.cache.prune(older_than=2000) == 0
    assert await store.cache.prune(older_than=500) == 2
    assert [await store.cache.get(key) for key in "abc"] == [None, None, Completion("c")]


async def test_a_hit_keeps_an_old_answer_alive(store: Store) -> None:
    await store.cache.put("a", "m", ANSWER)
    await store.ledger.flush()
    age(store, 10_000, "a")
    await fresh(store).get("a")
    assert await store.cache.prune(older_than=5000) == 0
    assert await store.cache.get("a") == ANSWER


async def test_pruning_by_size_drops_the_least_recently_used(store: Store) -> None:
    for key in "abcd":
        await store.cache.put(key, "m", Completion("x" * 89))  # 100 bytes of JSON
    await store.ledger.flush()
    age(store, 30, "b")
    age(store, 20, "a")
    assert await store.cache.prune(max_bytes=400) == 0
    assert await store.cache.prune(max_bytes=299) == 2
    assert [await store.cache.get(key) is None for key in "abcd"] == [True, True, False, False]
    assert await store.cache.prune(max_bytes=0) == 2


async def test_memory_in_front_of_the_table_is_bounded(store: Store) -> None:
    for i in range(40):
        await store.cache.put(str(i), "m", Completion("x" * 900_000))
        assert store.cache._recent_bytes <= 16 << 20
    await store.ledger.flush()
    assert store.cache._recent_bytes == sum(size for _, size in store.cache._recent.values())
    assert "39" in store.cache._recent
    assert "0" not in store.cache._recent
    await store.cache.put("huge", "m", Completion("x" * 3_000_000))
    assert "huge" not in store.cache._recent
    assert await store.cache.get("0") == Completion("x" * 900_000)


async def test_a_read_only_store_reads_the_cache(opened: Any, url: str | None, tmp_path: Any) -> None:
    async with opened() as store:
        await store.cache.put("k", "m", ANSWER)
        await store.ledger.flush()
        age(store, 10_000, "k")
    async with open_readonly(url, home=tmp_path / "home") as store:
        assert await store.cache.get("k") == ANSWER
