"""Artifacts are stored once, checked on every read, and never pruned while something names them."""

import asyncio
from collections.abc import Callable

import pytest

from guardflow.errors import DatabaseError, StateError
from guardflow.hashing import content_hash
from guardflow.records import ItemRow, RoundRow, RunRow
from guardflow.store import Store
from guardflow.values import CallKey

pytestmark = pytest.mark.anyio
NewRun = Callable[..., RunRow]


async def test_bytes_come_back_under_their_hash(store: Store) -> None:
    blobs = [b"", b"\x00\xff\x1a", bytes(range(256)) * 2000, "text \ud800".encode("utf-8", "surrogatepass")]
    addresses = await asyncio.gather(*(store.artifacts.put(data) for data in blobs * 2))
    assert addresses == [content_hash(data) for data in blobs * 2]
    assert [await store.artifacts.get(address) for address in addresses[:4]] == blobs


@pytest.mark.parametrize("address", ["0" * 40, "", "x' OR '1'='1", "\x00\ud800"])
async def test_an_unknown_address_is_a_typed_error(store: Store, address: str) -> None:
    with pytest.raises(StateError, match="no artifact is stored"):
        await store.artifacts.get(address)


async def test_altered_bytes_are_refused(store: Store) -> None:
    address = await store.artifacts.put(b"what was paid for")
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE gf_artifacts SET address = '{'0' * 40}'")
    with pytest.raises(DatabaseError, match="was altered"):
        await store.artifacts.get("0" * 40)
    with pytest.raises(StateError):
        await store.artifacts.get(address)


async def test_only_what_nothing_names_is_pruned(store: Store, new_run: NewRun) -> None:
    names = ("item", "round", "input", "output", "options", "signal", "checkpoint", "nothing")
    at = {name: await store.artifacts.put(name.encode()) for name in names}
    await store.runs.create(
        new_run(input={"at": at["input"]}, output=[at["output"]], options={"x": f"artifact:{at['options']}"})
    )
    await store.ledger.put_item(ItemRow(CallKey("r", 1, 0), 0, "h", {"at": at["item"]}), epoch=0)
    await store.ledger.open_rounds([RoundRow(CallKey("r", 1), 1, "answer", {"value": at["round"]})])
    await store.runs.send("r", "go", at["signal"])
    checkpoint = [f'{{"at":"{at["checkpoint"]}"}}']
    assert await store.artifacts.prune(references=checkpoint, older_than=3600) == 0  # all are young
    assert await store.artifacts.prune(references=lambda: checkpoint, older_than=-1) == 1
    for name in names[:-1]:
        assert await store.artifacts.get(at[name]) == name.encode()
    with pytest.raises(StateError):
        await store.artifacts.get(at["nothing"])
    assert await store.artifacts.prune(older_than=-1) == 1  # the checkpoint's
    assert await store.artifacts.prune(older_than=-1) == 0


async def test_putting_again_makes_an_artifact_young(store: Store) -> None:
    address = await store.artifacts.put(b"x")
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE gf_artifacts SET put_at = 1")
    await store.artifacts.put(b"x")
    assert await store.artifacts.prune(older_than=3600) == 0
    assert await store.artifacts.get(address) == b"x"


async def test_what_is_put_again_during_a_prune_survives_it(store: Store) -> None:
    address = await store.artifacts.put(b"x")
    with store.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE gf_artifacts SET put_at = 1")
    loop = asyncio.get_running_loop()

    def meanwhile() -> list[str]:  # called in the pruning thread, after our tables were searched
        asyncio.run_coroutine_threadsafe(store.artifacts.put(b"x"), loop).result(5)
        return []

    assert await store.artifacts.prune(references=meanwhile, older_than=3600) == 0
    assert await store.artifacts.get(address) == b"x"
