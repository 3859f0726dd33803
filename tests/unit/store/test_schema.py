"""Tables are made once, whoever starts first."""

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from guardflow.errors import DatabaseError
from guardflow.store import schema
from guardflow.store.engine import open_database

START = """
import sys, time, pathlib
from guardflow.store.engine import open_database
from guardflow.store.schema import migrate
while time.time() < float(sys.argv[3]):
    time.sleep(0.001)
database = open_database(sys.argv[1] or None, home=pathlib.Path(sys.argv[2]))
migrate(database)
"""


def test_migrating_again_changes_nothing(url: str | None, tmp_path: Path) -> None:
    database = open_database(url, home=tmp_path)
    assert database.read(schema.stored_version) is None
    for _ in range(2):
        schema.migrate(database)
        assert database.read(schema.stored_version) == schema.newest_version()
    tables = database.read(lambda connection: set(sa.inspect(connection).get_table_names()))
    assert tables == set(schema.metadata.tables)
    assert all(name.startswith("gf_") for name in tables)
    database.dispose()


def test_processes_that_start_together_take_turns(url: str | None, tmp_path: Path) -> None:
    import time

    at = str(time.time() + 1.2)  # all have imported by then, and start in the same millisecond
    command = [sys.executable, "-c", START, url or "", str(tmp_path / "home"), at]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors


def test_an_older_database_is_brought_up_step_by_step(
    url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(url, home=tmp_path)
    monkeypatch.setattr(schema, "UPGRADES", ())
    schema.migrate(database)

    def add(table: str) -> schema.Upgrade:
        return lambda connection: connection.execute(sa.text(f"CREATE TABLE {table} (x integer)")) and None

    monkeypatch.setattr(schema, "UPGRADES", (add("gf_new_one"), add("gf_new_two")))
    with pytest.raises(DatabaseError, match="is of version 1, and this guardflow reads 3"):
        schema.check_version(database)
    schema.migrate(database)
    schema.migrate(database)
    assert database.read(schema.stored_version) == 3
    tables = database.read(lambda connection: sa.inspect(connection).get_table_names())
    assert {"gf_new_one", "gf_new_two"} <= set(tables)
    database.dispose()


def test_a_failed_upgrade_leaves_the_old_version(
    url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(url, home=tmp_path)
    monkeypatch.setattr(schema, "UPGRADES", ())
    schema.migrate(database)

    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("CREATE TABLE gf_half (x integer)"))
        connection.execute(sa.text("SELECT * FROM nowhere"))

    monkeypatch.setattr(schema, "UPGRADES", (half,))
    with pytest.raises(DatabaseError):
        schema.migrate(database)
    assert database.read(schema.stored_version) == 1
    assert not database.read(lambda connection: sa.inspect(connection).has_table("gf_half"))
    database.dispose()


def test_a_database_of_version_1_becomes_like_a_new_one(
    url: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def shape(connection: sa.Connection) -> dict[str, object]:
        found = sa.inspect(connection)
        columns = [(c["name"], str(c["type"]), c["nullable"]) for c in found.get_columns("gf_limits")]
        keys = found.get_pk_constraint("gf_limits")["constrained_columns"]
        return {
            "columns": columns,
            "keys": keys,
            "indexes": [i["name"] for i in found.get_indexes("gf_limits")],
        }

    database = open_database(url, home=tmp_path)
    schema.migrate(database)
    new = database.read(shape)
    with database.engine.connect() as connection, connection.begin():
        connection.execute(sa.text("DROP TABLE gf_limits"))
        connection.execute(sa.text("UPDATE gf_meta SET value = '1' WHERE key = 'schema_version'"))
    with pytest.raises(DatabaseError, match="is of version 1, and this guardflow reads 2"):
        schema.check_version(database)
    schema.migrate(database)
    assert database.read(schema.stored_version) == schema.newest_version() == 2
    assert database.read(shape) == new
    database.dispose()
