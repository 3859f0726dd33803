"""Processes hear what the others said about models, as long as it is fresh."""

import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import pytest
import sqlalchemy as sa

from guardflow.errors import DatabaseError
from guardflow.store import Store, schema

pytestmark = pytest.mark.anyio


async def test_each_hears_the_others_and_not_itself(
    opened: Callable[[], AbstractAsyncContextManager[Store]],
) -> None:
    async with opened() as one, opened() as two:
        assert await one.board.exchange({"openai/x": {"breaker": "open", "until": 1.5}}) == []
        (told,) = await two.board.exchange({"openai/\x00y": {"breaker": "closed"}})
        assert (told.key, told.state) == ("openai/x", {"breaker": "open", "until": 1.5})
        await one.board.exchange({"openai/x": {"breaker": "closed"}})
        assert [t.state for t in await two.board.exchange({})] == [{"breaker": "closed"}]
        assert [t.key for t in await one.board.exchange({})] == ["openai/\x00y"]


async def test_what_is_old_is_not_believed_and_goes_with_the_next_word(store: Store) -> None:
    def age(connection: sa.Connection) -> None:
        told_at = schema.limits.c.told_at
        connection.execute(sa.text("INSERT INTO gf_limits VALUES ('m', 'gone', '{}', 0)"))
        assert connection.execute(sa.select(sa.func.min(told_at))).scalar() == 0

    with store.database.engine.connect() as connection, connection.begin():
        age(connection)
    assert await store.board.exchange({}) == []
    await store.board.exchange({"m": {}})
    rows = store.database.read(lambda c: c.execute(sa.select(schema.limits.c.owner)).scalars().all())
    assert "gone" not in rows


async def test_a_damaged_word_is_an_error_that_names_it(store: Store) -> None:
    with store.database.engine.connect() as connection, connection.begin():
        connection.execute(
            sa.text("INSERT INTO gf_limits VALUES ('m', 'them', 'no json', :now)"), {"now": time.time()}
        )
    with pytest.raises(DatabaseError, match="what 'them' said about 'm' is damaged"):
        await store.board.exchange({})


async def test_a_process_whose_clock_is_wrong_is_not_believed(store: Store) -> None:
    rows = [{"owner": f"{by} s", "told_at": time.time() + by} for by in (-3000, -60, 60, 3000)]
    with store.database.engine.connect() as connection, connection.begin():
        connection.execute(sa.text("INSERT INTO gf_limits VALUES ('m', :owner, '{}', :told_at)"), rows)
    assert sorted(told.owner for told in await store.board.exchange({})) == ["-60 s", "60 s"]
