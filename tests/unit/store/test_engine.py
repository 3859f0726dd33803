"""The database file is private, durable and quick to refuse what cannot work."""

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from guardflow.errors import (
    ConfigError,
    DatabaseError,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseTooNew,
    DatabaseUnreachable,
)
from guardflow.store.engine import open_database, resolve_url
from guardflow.store.faults import translated
from guardflow.store.schema import migrate
from guardflow.store.store import open_readonly, open_store

pytestmark = pytest.mark.anyio


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may write everything, so let it be nobody for a moment."""
    mine = os.geteuid()
    if mine == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(mine)


def test_the_file_is_private_from_its_first_moment(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        database = open_database(None, home=tmp_path / "state")
        migrate(database)
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    for file in (tmp_path / "state").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    database.dispose()


@pytest.mark.parametrize(("asked", "stored"), [("FULL", 2), ("NORMAL", 1)])
def test_every_connection_is_set_up(tmp_path: Path, asked: str, stored: int) -> None:
    database = open_database(None, home=tmp_path, synchronous=asked, busy_timeout=12.5)  # type: ignore[arg-type]  # parametrised
    connections = [database.engine.connect() for _ in range(12)]
    for connection in connections:
        pragmas = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in pragmas]
        assert found == ["wal", stored, 1, 12500]
        connection.exec_driver_sql("SELECT 1")
        assert connection.connection.driver_connection.isolation_level == "IMMEDIATE"  # type: ignore[union-attr]  # sqlite3
        connection.close()
    database.dispose()


def test_a_relative_url_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert resolve_url("sqlite:///here/x.db", home=tmp_path).database == str(tmp_path / "here" / "x.db")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://u:pw@h/d", "nonsense", "postgresql://u:pw@h:port/d"]
)
def test_what_cannot_hold_runs_is_a_usage_error(url: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        open_database(url, home=tmp_path)
    assert "pw" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    "url", ["postgres://u:s%2Fcret@127.0.0.1:1/d", "postgresql://u:s%2Fcret@127.0.0.1:1/d"]
)
def test_an_unreachable_server_is_named_without_its_password(url: str, tmp_path: Path) -> None:
    database = open_database(url, home=tmp_path)
    with pytest.raises(DatabaseUnreachable) as caught:
        migrate(database)
    assert "127.0.0.1" in str(caught.value)
    assert "s/cret" not in str(caught.value)
    assert "s%2Fcret" not in str(caught.value)


def test_a_password_in_a_drivers_message_is_taken_out() -> None:
    url = sa.make_url("postgresql://u:s%2Fcret@h/d")
    with pytest.raises(DatabaseError) as caught, translated(url):
        raise sqlite3.OperationalError("bad s/cret and s%2Fcret")
    assert "cret" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_missing_server_database_says_so(postgres_url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachable, match="does not exist"):
        async with open_store(postgres_url.replace("/postgres?", "/absent?"), home=tmp_path):
            pass


async def test_a_locked_database_says_so(tmp_path: Path) -> None:
    async with open_store(home=tmp_path, busy_timeout=0.05) as store:
        other = sqlite3.connect(tmp_path / "guardflow.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseLocked, match="locked by another process"):
            await store.artifacts.put(b"x")
        other.execute("COMMIT")
        other.close()
        assert await store.artifacts.put(b"x")


@pytest.fixture
def shared_home() -> Iterator[Path]:
    """A folder that an unprivileged user may enter."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


async def test_a_read_only_folder_says_so_and_can_be_read(shared_home: Path) -> None:
    async with open_store(home=shared_home) as store:
        address = await store.artifacts.put(b"kept")
    os.chmod(shared_home / "guardflow.db", 0o444)
    os.chmod(shared_home, 0o555)
    with unprivileged():
        with pytest.raises(DatabaseReadOnly) as caught:
            async with open_store(home=shared_home) as store:
                await store.artifacts.put(b"x")
        async with open_readonly(home=shared_home) as store:
            assert await store.artifacts.get(address) == b"kept"
    assert "GUARDFLOW_HOME" in caught.value.hint
    os.chmod(shared_home, 0o755)


async def test_a_folder_that_cannot_be_made_says_so(shared_home: Path) -> None:
    with unprivileged(), pytest.raises(DatabaseReadOnly, match="cannot be created here"):
        async with open_store(home=shared_home / "new"):
            pass


async def test_garbage_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "guardflow.db"
    file.write_bytes(b"these are my notes, not a database. " * 200)
    before = file.read_bytes()
    with pytest.raises(DatabaseError, match="is not a SQLite database"):
        async with open_store(home=tmp_path):
            pass
    assert file.read_bytes() == before


async def test_a_read_only_store_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnreachable, match="there is no database"):
        async with open_readonly(home=tmp_path / "absent"):
            pass
    assert not (tmp_path / "absent").exists()


async def test_a_read_only_store_needs_our_tables(tmp_path: Path, postgres_database: str) -> None:
    sqlite3.connect(tmp_path / "guardflow.db").close()
    for url in (None, postgres_database):
        with pytest.raises(DatabaseError, match="holds no runs"):
            async with open_readonly(url, home=tmp_path):
                pass


async def test_a_newer_database_is_refused_and_left_alone(url: str | None, tmp_path: Path) -> None:
    async with open_store(url, home=tmp_path) as store:
        with store.database.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE gf_meta SET value = '99'")
            connection.exec_driver_sql("DROP TABLE gf_signals")
    for opening in (open_store, open_readonly):
        with pytest.raises(DatabaseTooNew, match="version 99"):
            async with opening(url, home=tmp_path):
                pass
    database = open_database(url, home=tmp_path)
    assert not database.read(lambda connection: sa.inspect(connection).has_table("gf_signals"))
    database.dispose()
